//! Centred kernel alignment of layers with each other, by their features, with linear or Gaussian kernels (Kornblith, Norouzi, Lee &
//! Hinton 2019), and its unbiased estimate (Song et al. 2012; Nguyen, Raghu & Kornblith 2021).

use super::analyse::FEW;
use super::features::{Layer, layers};
use super::kernel::Kernel;
use super::rbf::Rbf;
use crate::error::advise;
use crate::npy;
use crate::numbers::count;
use crate::observer::Observer;
use crate::rdm::{Alignment, align, ids, outputs};
use anyhow::{Context, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How alike two stimuli are to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// The product of their features
    #[default]
    Linear,
    /// exp(−‖x−y‖² / (2σ²)), σ being --bandwidth × the layer's median distance
    Rbf,
}

/// A comparison of layers with each other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Runs of `thingsvision extract` (all their layers), or files of features [stimuli, units]: at least two layers
    #[arg(required = true, value_name = "RUN_DIR|FEATURES")]
    pub features: Vec<PathBuf>,

    /// Compare the stimuli that all have, by their IDs, instead of failing when they differ
    #[arg(long)]
    pub intersect: bool,

    /// Use the unbiased estimate of HSIC: 0 on average for unrelated features, may be negative
    #[arg(long)]
    pub unbiased: bool,

    /// The kernel
    #[arg(long, value_enum, default_value_t)]
    pub kernel: Form,

    /// The width of the rbf kernel in units of each layer's median distance: σ² = S² × the median of the squared distances
    /// of all N² pairs, those of a stimulus with itself included, as in the code of Kornblith et al. (2019) [default: 1]
    #[arg(long, value_name = "S", value_parser = parse_bandwidth, allow_negative_numbers = true)]
    pub bandwidth: Option<f64>,

    /// Write the matrix, [layers, layers] float64
    #[arg(long, value_name = "FILE.npy")]
    pub out: Option<PathBuf>,
}

impl Request {
    /// Of the rbf kernel, where that is wanted, the width.
    pub fn width(&self) -> Option<f64> {
        (self.kernel == Form::Rbf).then(|| self.bandwidth.unwrap_or(1.0))
    }

    /// Fails for what contradicts itself.
    fn check(&self) -> Result<()> {
        match self.bandwidth {
            Some(_) if self.kernel != Form::Rbf => {
                Err(advise("a linear kernel has no bandwidth", "add --kernel rbf, or leave out --bandwidth"))
            }
            Some(bandwidth) if !is_bandwidth(&bandwidth) => {
                Err(advise(format!("the bandwidth is {bandwidth}"), "give a number above 0"))
            }
            _ => Ok(()),
        }
    }
}

fn parse_bandwidth(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(is_bandwidth).ok_or_else(|| "a number above 0 is needed".to_owned())
}

fn is_bandwidth(bandwidth: &f64) -> bool {
    *bandwidth > 0.0 && bandwidth.is_finite()
}

/// What was computed.
pub struct Compared {
    /// The names of the layers.
    pub layers: Vec<String>,
    /// `[layers, layers]`.
    pub cka: Array2<f64>,
    /// Which stimuli were compared.
    pub alignment: Alignment,
    /// That stimuli are few, in a sentence.
    pub few: Option<String>,
}

/// Compares all layers with each other, and writes the matrix if that is wanted.
pub fn compare(request: &Request, observer: &dyn Observer) -> Result<Compared> {
    request.check()?;
    if let Some(out) = &request.out {
        outputs::check_folder(out)?;
        outputs::check_npy(out, "")?;
        outputs::check(std::slice::from_ref(out), request.features.iter().flat_map(|path| outputs::read_of(path)))?;
    }
    let layers = layers(&request.features)?;
    if layers.len() < 2 {
        return Err(advise("one layer has nothing to be compared with", "name two runs or files, or a run of several layers"));
    }
    let alignment = align(&layers.iter().map(|layer| layer.rows(false)).collect::<Vec<_>>(), request.intersect)?;
    let stimuli = alignment.rows[0].len();
    if stimuli < 4 {
        return Err(advise(format!("`{}` has {stimuli} stimuli", layers[0].name), "CKA needs at least 4, better many more"));
    }
    alignment.renamed.iter().for_each(|sentence| observer.note(sentence));
    if alignment.left_out > 0 {
        observer.note(&format!("left out {} stimuli that not all have", count(alignment.left_out)));
    }
    let rbf = request.width().map(|width| Rbf { width, unbiased: request.unbiased });
    let kernels = kernels(&layers, &alignment, rbf)?;
    let cka = matrix(&layers, &kernels, request.unbiased)?;
    if let Some(out) = &request.out {
        npy::write(out, &cka.clone().into_dyn())?;
    }
    let few = match request.kernel {
        Form::Rbf if !request.unbiased => by_chance(&kernels)?,
        _ => few(&layers, stimuli, request.unbiased),
    };
    Ok(Compared { few, layers: layers.into_iter().map(|layer| layer.name).collect(), cka, alignment })
}

/// A warning of numbers that say little: with fewer stimuli than units all layers are alike.
fn few(layers: &[Layer], stimuli: usize, unbiased: bool) -> Option<String> {
    let units = layers.iter().map(|layer| layer.features.columns).max().unwrap_or(0);
    match unbiased {
        true if stimuli < FEW => Some(format!("with fewer than {FEW} stimuli the unbiased CKA is unsure")),
        false if stimuli < FEW || stimuli < units => Some(format!(
            "with {} stimuli and up to {} units CKA is high even of layers that have nothing in common: take --unbiased",
            count(stimuli),
            count(units)
        )),
        _ => None,
    }
}

/// The same of rbf kernels, which have as many dimensions as there are stimuli: if even the mean CKA over all orders of the stimuli of
/// one of two layers, `tr K tr L / ((n − 1) ‖K‖ ‖L‖)`, is high.
fn by_chance(kernels: &[Kernel]) -> Result<Option<String>> {
    const HIGH: f64 = 0.1;
    let mut shares = kernels.iter().map(Kernel::share).collect::<Result<Vec<_>>>()?;
    shares.sort_by(|a, b| b.total_cmp(a));
    let chance = shares[0] * shares[1];
    Ok((chance >= HIGH).then(|| {
        format!(
            "with these stimuli and this bandwidth CKA is up to {chance:.2} on average of layers that have nothing in common: \
             take --unbiased"
        )
    }))
}

/// The kernel of each layer: the linear one, or this.
fn kernels(layers: &[Layer], alignment: &Alignment, rbf: Option<Rbf>) -> Result<Vec<Kernel>> {
    let kernel = |(layer, rows): (&Layer, &Vec<usize>)| {
        let kernel = Kernel::new(&layer.features, rows, rbf, &|row| ids::name(layer.ids.as_deref(), row));
        kernel.with_context(|| format!("no CKA of `{}`", layer.name))
    };
    layers.iter().zip(&alignment.rows).map(kernel).collect()
}

fn matrix(layers: &[Layer], kernels: &[Kernel], unbiased: bool) -> Result<Array2<f64>> {
    let kind = if unbiased { "unbiased " } else { "" };
    let mut cka = Array2::zeros((layers.len(), layers.len()));
    for i in 0..layers.len() {
        for j in i..layers.len() {
            let value = if unbiased { kernels[i].unbiased(&kernels[j])? } else { kernels[i].cka(&kernels[j])? };
            if value.is_nan() {
                return Err(advise(
                    format!(
                        "`{}` and `{}` have no {kind}CKA: the HSIC of one with itself is not positive",
                        layers[i].name, layers[j].name
                    ),
                    "compare more stimuli, or stimuli that differ more; of few leave out --unbiased",
                ));
            }
            cka[[i, j]] = value;
            cka[[j, i]] = value;
        }
    }
    Ok(cka)
}
