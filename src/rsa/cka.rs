//! Centred kernel alignment of layers with each other, by their features, with linear or Gaussian kernels (Kornblith, Norouzi, Lee &
//! Hinton 2019), and its unbiased estimate (Song et al. 2012; Nguyen, Raghu & Kornblith 2021).

use super::analyse::FEW;
use super::candidates::folder_name;
use super::rbf;
use crate::arrays;
use crate::error::advise;
use crate::npy::{self, Matrix};
use crate::numbers::count;
use crate::observer::Observer;
use crate::rdm::errors::not_finite;
use crate::rdm::noise::less_mean;
use crate::rdm::{Alignment, Rows, align, ids, outputs, power_of_two};
use crate::run::{is_run, read_record};
use anyhow::{Context, Result};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

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
    let alignment = align(&layers.iter().map(Layer::rows).collect::<Vec<_>>(), request.intersect)?;
    let stimuli = alignment.rows[0].len();
    if stimuli < 4 {
        return Err(advise(format!("`{}` has {stimuli} stimuli", layers[0].name), "CKA needs at least 4, better many more"));
    }
    alignment.renamed.iter().for_each(|sentence| observer.note(sentence));
    if alignment.left_out > 0 {
        observer.note(&format!("left out {} stimuli that not all have", count(alignment.left_out)));
    }
    let kernels = kernels(&layers, &alignment, request.width())?;
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
        format!("CKA is up to {chance:.2} on average of layers that have nothing in common, of so few stimuli and this bandwidth: take --unbiased")
    }))
}

/// The kernel of each layer, with a width that of the rbf kernel.
fn kernels(layers: &[Layer], alignment: &Alignment, width: Option<f64>) -> Result<Vec<Kernel>> {
    let kernel = |(layer, rows): (&Layer, &Vec<usize>)| {
        let kernel = Kernel::new(&layer.features, rows, width, &|row| ids::name(layer.ids.as_deref(), row));
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

struct Layer {
    name: String,
    features: Matrix,
    ids: Option<Vec<String>>,
}

impl Layer {
    fn rows(&self) -> Rows<'_> {
        Rows { name: &self.name, stimuli: self.features.rows, ids: self.ids.as_deref(), leads: false }
    }
}

fn layers(paths: &[PathBuf]) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    for path in paths {
        if is_run(path) {
            let model = folder_name(path)?;
            let record = read_record(path)?;
            if !record.complete {
                return Err(advise(
                    format!("the run in `{}` is not finished", path.display()),
                    "the command that began it goes on with it",
                ));
            }
            for layer in &record.layers {
                let features = arrays::layer_of_run(path, &record, layer)?;
                layers.push(named(format!("{model} {}", layer.name), features, None, &path.join(&layer.file))?);
            }
        } else {
            layers.push(open(path.display().to_string(), path)?);
        }
    }
    Ok(layers)
}

fn open(name: String, path: &Path) -> Result<Layer> {
    let (features, own) = arrays::features(path)?;
    named(name, features, own, path)
}

/// Features from `path`, with the names of their rows: their own, or those beside the file.
fn named(name: String, features: Matrix, own: Option<Vec<String>>, path: &Path) -> Result<Layer> {
    let ids = own.map_or_else(|| ids::of(path, features.rows), |own| Ok(Some(own)))?;
    if let Some(ids) = &ids {
        ids::check_unique(ids, &name)?;
    }
    Ok(Layer { ids, name, features })
}

/// Units that are read at a time.
const BLOCK: usize = 1024;

/// A centred kernel; the linear one, `K = X Xᵀ` of centred features `X` `[N, P]`, as whichever of the two is smaller.
struct Kernel {
    factor: Factor,
    /// Kᵢᵢ.
    diagonal: Vec<f64>,
}

enum Factor {
    /// X, with fewer units than stimuli.
    Features(Tensor),
    /// K.
    Gram(Tensor),
}

impl Kernel {
    /// Of these `rows` of `features`, which messages call by `name`. Values that are not finite are an error, and so are
    /// rows that are all the same. With a `width` it is the rbf kernel.
    fn new(features: &Matrix, rows: &[usize], width: Option<f64>, name: &dyn Fn(usize) -> String) -> Result<Kernel> {
        let unit = checked_unit(features, rows, name)?;
        let (n, p) = (rows.len(), features.columns);
        if p < n && width.is_none() {
            let x = centred(features, rows, 0..p, unit)?;
            let diagonal = Vec::<f64>::try_from(x.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?)?;
            return Ok(Kernel { factor: Factor::Features(x), diagonal });
        }
        let mut gram = Tensor::f_zeros([n as i64, n as i64], (Kind::Double, Device::Cpu))?;
        for first in (0..p).step_by(BLOCK) {
            let x = centred(features, rows, first..p.min(first + BLOCK), unit)?;
            gram = gram.f_add(&x.f_matmul(&x.f_tr()?)?)?;
        }
        if let Some(width) = width {
            gram = rbf::centred(&gram, width, &|i, j| squared_distance(features, [rows[i], rows[j]], unit))?;
        }
        let diagonal = Vec::<f64>::try_from(gram.f_diag(0)?)?;
        Ok(Kernel { factor: Factor::Gram(gram), diagonal })
    }

    /// `tr K / (‖K‖ √(n − 1))`, at most 1.
    fn share(&self) -> Result<f64> {
        let trace: f64 = self.diagonal.iter().sum();
        Ok(trace / (self.product(self)? * (self.diagonal.len() as f64 - 1.0)).sqrt())
    }

    /// `⟨K, L⟩ / (‖K‖ ‖L‖)`, 0 to 1.
    fn cka(&self, other: &Kernel) -> Result<f64> {
        let [own, both, others] = [self.product(self)?, self.product(other)?, other.product(other)?];
        Ok((both / (own.sqrt() * others.sqrt())).clamp(0.0, 1.0))
    }

    /// The same with the unbiased `HSIC = (tr K̃L̃ + 1ᵀK̃1 1ᵀL̃1 / ((n−1)(n−2)) − 2/(n−2) 1ᵀK̃L̃1) / (n(n−3))`, the diagonals
    /// of K̃ and L̃ being 0; NaN if a denominator is not positive, or only by rounding. It needs 4 stimuli.
    fn unbiased(&self, other: &Kernel) -> Result<f64> {
        let [own, both, others] = [self.hsic(self)?, self.hsic(other)?, other.hsic(other)?];
        Ok(if own > self.rounding() && others > other.rounding() {
            (both / (own.sqrt() * others.sqrt())).clamp(-1.0, 1.0)
        } else {
            f64::NAN
        })
    }

    /// What rounding makes of an unbiased HSIC of 0 at most: `‖K‖ ≤ tr K`.
    fn rounding(&self) -> f64 {
        let n = self.diagonal.len() as f64;
        64.0 * f64::EPSILON * self.diagonal.iter().sum::<f64>().powi(2) / (n * (n - 3.0))
    }

    fn hsic(&self, other: &Kernel) -> Result<f64> {
        let n = self.diagonal.len() as f64;
        // The rows of centred kernels sum to 0, so those of K̃ to −Kᵢᵢ.
        let diagonals: f64 = self.diagonal.iter().zip(&other.diagonal).map(|(k, l)| k * l).sum();
        let trace = self.product(other)? - diagonals;
        let sum = |diagonal: &[f64]| diagonal.iter().sum::<f64>();
        let sums = sum(&self.diagonal) * sum(&other.diagonal) / ((n - 1.0) * (n - 2.0));
        Ok((trace + sums - 2.0 / (n - 2.0) * diagonals) / (n * (n - 3.0)))
    }

    /// `Σ Kᵢⱼ Lᵢⱼ`, without making what is not there: `‖XᵀY‖²` of features.
    fn product(&self, other: &Kernel) -> Result<f64> {
        let sum = |tensor: Tensor| -> Result<f64> { Ok(tensor.f_sum(Kind::Double)?.double_value(&[])) };
        match (&self.factor, &other.factor) {
            (Factor::Features(x), Factor::Features(y)) => sum(x.f_tr()?.f_matmul(y)?.f_square()?),
            (Factor::Gram(k), Factor::Gram(l)) => sum(k.f_mul(l)?),
            (Factor::Gram(k), Factor::Features(x)) | (Factor::Features(x), Factor::Gram(k)) => sum(k.f_matmul(x)?.f_mul(x)?),
        }
    }
}

/// The power of two of the largest difference from the first row, in units of which no product of kernels overflows or vanishes.
fn checked_unit(features: &Matrix, rows: &[usize], name: &dyn Fn(usize) -> String) -> Result<f64> {
    let first = features.row(rows[0]);
    let mut largest = 0.0f64;
    for &row in rows {
        let values = features.row(row);
        if values.iter().any(|value| !value.is_finite()) {
            return Err(not_finite(&[row], name));
        }
        largest = values.iter().zip(&first).fold(largest, |largest, (&value, &first)| largest.max(apart(value, first).abs()));
    }
    match largest > 0.0 {
        true => Ok(power_of_two(largest)),
        false => Err(advise("all stimuli have the same values, so nothing is like them", "leave this layer or file out")),
    }
}

/// Half the difference of two values, which is finite.
fn apart(value: f64, first: f64) -> f64 {
    value * 0.5 - first * 0.5
}

/// Of two rows, in the units of [`centred`].
fn squared_distance(features: &Matrix, [one, other]: [usize; 2], unit: f64) -> f64 {
    let other = features.row(other);
    features.row(one).iter().zip(other).map(|(&value, other)| (apart(value, other) / unit).powi(2)).sum()
}

/// The units of `columns` divided by `unit`, each less its mean over the stimuli.
fn centred(features: &Matrix, rows: &[usize], columns: std::ops::Range<usize>, unit: f64) -> Result<Tensor> {
    let mut values: Vec<f64> = Vec::with_capacity(rows.len() * columns.len());
    rows.iter().for_each(|&row| features.append(row, columns.clone(), &mut values));
    let first = values[..columns.len()].to_vec();
    for row in values.chunks_exact_mut(columns.len()) {
        row.iter_mut().zip(&first).for_each(|(value, &first)| *value = apart(*value, first) / unit);
    }
    less_mean(&values, rows.len(), columns.len())
}
