//! Linear CKA of layers with each other, by their features.

mod kernel;

use super::candidates::folder_name;
use crate::arrays;
use crate::error::advise;
use crate::npy::{self, Matrix};
use crate::numbers::count;
use crate::observer::Observer;
use crate::rdm::outputs;
use crate::rdm::{Alignment, Rows, align, ids};
use crate::run::{is_run, read_record};
use anyhow::{Context, Result};
use kernel::Kernel;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A comparison of layers with each other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Folders of runs, of which all layers are compared, or files of features `[N, P]`.
    pub features: Vec<PathBuf>,
    /// Whether the stimuli that all have are compared, instead of failing when they differ.
    pub intersect: bool,
    /// Whether the unbiased estimate of HSIC is used.
    pub unbiased: bool,
    /// The `.npy` file of the matrix, if it is to be written.
    pub out: Option<PathBuf>,
}

/// What was computed.
pub struct Compared {
    /// The names of the layers.
    pub layers: Vec<String>,
    /// `[layers, layers]`.
    pub cka: Array2<f64>,
    /// Which stimuli were compared.
    pub alignment: Alignment,
}

/// Compares all layers with each other, and writes the matrix if that is wanted.
pub fn compare(request: &Request, observer: &dyn Observer) -> Result<Compared> {
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
    if alignment.left_out > 0 {
        observer.note(&format!("left out {} stimuli that not all have", count(alignment.left_out)));
    }
    let cka = matrix(&layers, &alignment, request.unbiased)?;
    if let Some(out) = &request.out {
        npy::write(out, &cka.clone().into_dyn())?;
    }
    Ok(Compared { layers: layers.into_iter().map(|layer| layer.name).collect(), cka, alignment })
}

fn matrix(layers: &[Layer], alignment: &Alignment, unbiased: bool) -> Result<Array2<f64>> {
    let kernel = |(layer, rows): (&Layer, &Vec<usize>)| {
        let kernel = Kernel::new(&layer.features, rows, &|row| ids::name(layer.ids.as_deref(), row));
        kernel.with_context(|| format!("no CKA of `{}`", layer.name))
    };
    let kernels: Vec<Kernel> = layers.iter().zip(&alignment.rows).map(kernel).collect::<Result<_>>()?;
    let mut cka = Array2::zeros((layers.len(), layers.len()));
    for i in 0..layers.len() {
        for j in i..layers.len() {
            let value = if unbiased { kernels[i].unbiased(&kernels[j])? } else { kernels[i].cka(&kernels[j])? };
            if value.is_nan() {
                return Err(advise(
                    format!(
                        "`{}` and `{}` have no unbiased CKA: the HSIC of one with itself is not positive",
                        layers[i].name, layers[j].name
                    ),
                    "compare more stimuli, or leave out --unbiased",
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
            for layer in read_record(path)?.layers {
                layers.push(open(format!("{model} {}", layer.name), &path.join(layer.file))?);
            }
        } else {
            layers.push(open(path.display().to_string(), path)?);
        }
    }
    Ok(layers)
}

fn open(name: String, path: &Path) -> Result<Layer> {
    let (features, own) = match arrays::kind(path).as_str() {
        "npy" => (Matrix::open(path)?, None),
        _ => {
            let labelled = arrays::read(path)?;
            (Matrix::from_array(labelled.values, path)?, labelled.ids)
        }
    };
    let ids = own.map_or_else(|| ids::of(path, features.rows), |own| Ok(Some(own)))?;
    if let Some(ids) = &ids {
        ids::check_unique(ids, &name)?;
    }
    Ok(Layer { ids, name, features })
}
