//! `thingsvision cka`

use crate::cli::Cka;
use crate::printer::{Printer, columns};
use anyhow::{Context, Result};
use ndarray::Array2;
use std::path::{Path, PathBuf};
use thingsvision::arrays;
use thingsvision::error::advise;
use thingsvision::npy::{self, Matrix};
use thingsvision::numbers::count;
use thingsvision::outputs;
use thingsvision::rdm::{Alignment, Rows, align, ids};
use thingsvision::rsa::{Kernel, folder_name};
use thingsvision::run::{is_run, read_record};

/// Compares all layers with each other.
pub fn run(arguments: &Cka, printer: Printer) -> Result<()> {
    if let Some(out) = &arguments.out {
        outputs::check_folder(out)?;
        outputs::check_npy(out, "")?;
        outputs::check(std::slice::from_ref(out), arguments.features.iter().flat_map(|path| outputs::read_of(path)))?;
    }
    let layers = layers(&arguments.features)?;
    if layers.len() < 2 {
        return Err(advise("one layer has nothing to be compared with", "name two runs or files, or a run of several layers"));
    }
    let alignment = align(&layers.iter().map(Layer::rows).collect::<Vec<_>>(), arguments.intersect)?;
    let stimuli = alignment.rows[0].len();
    if stimuli < 4 {
        return Err(advise(format!("`{}` has {stimuli} stimuli", layers[0].name), "CKA needs at least 4, better many more"));
    }
    if alignment.left_out > 0 {
        printer.note(&format!("left out {} stimuli that not all have", count(alignment.left_out)));
    }
    let cka = matrix(&layers, &alignment, arguments.unbiased)?;
    if let Some(out) = &arguments.out {
        npy::write(out, &cka.clone().into_dyn())?;
    }
    printer.data(&if arguments.json { json(&layers, &cka)? } else { text(&layers, &cka) })?;
    printer.note(&said(arguments, layers.len(), &alignment));
    Ok(())
}

/// What must be known to read the matrix.
fn said(arguments: &Cka, layers: usize, alignment: &Alignment) -> String {
    let kind = if arguments.unbiased { "unbiased " } else { "" };
    let order = match (&alignment.ids, alignment.assumed) {
        (Some(_), false) => "matched by name",
        (Some(_), true) => "without names on one side, so taken to be in the same order",
        (None, _) => "taken to be in the same order",
    };
    format!("\n  {kind}linear CKA of {layers} layers, {} stimuli, {order}", count(alignment.rows[0].len()))
}

fn matrix(layers: &[Layer], alignment: &Alignment, unbiased: bool) -> Result<Array2<f64>> {
    let kernel = |(layer, rows): (&Layer, &Vec<usize>)| {
        let kernel = Kernel::new(&layer.features, rows, &|row| layer.stimulus(row));
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

    fn stimulus(&self, row: usize) -> String {
        self.ids.as_ref().map_or_else(|| format!("row {row}"), |ids| format!("`{}`", ids[row]))
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

fn text(layers: &[Layer], cka: &Array2<f64>) -> String {
    let header = std::iter::once(String::new()).chain((1..=layers.len()).map(|number| number.to_string()));
    let mut rows: Vec<Vec<String>> = vec![header.collect()];
    for (i, layer) in layers.iter().enumerate() {
        let name = format!("{} {}", i + 1, layer.name);
        rows.push(std::iter::once(name).chain(cka.row(i).iter().map(|value| format!("{value:.3}"))).collect());
    }
    columns(&rows, &(1..=layers.len()).collect::<Vec<_>>())
}

fn json(layers: &[Layer], cka: &Array2<f64>) -> Result<String> {
    let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    let rows: Vec<Vec<f64>> = cka.outer_iter().map(|row| row.to_vec()).collect();
    Ok(serde_json::to_string_pretty(&serde_json::json!({ "layers": names, "cka": rows }))? + "\n")
}
