//! `thingsvision cka`

use super::rsa::candidates::folder_name;
use crate::cli::Cka;
use crate::printer::{Printer, columns, count};
use anyhow::Result;
use ndarray::Array2;
use std::path::{Path, PathBuf};
use thingsvision::advice::advise;
use thingsvision::arrays;
use thingsvision::extract::{is_run, read_record};
use thingsvision::npy::{self, Matrix};
use thingsvision::rdm::ids;
use thingsvision::rsa::Kernel;

/// Compares all layers with each other.
pub fn run(arguments: &Cka, printer: Printer) -> Result<()> {
    let layers = layers(&arguments.features)?;
    if layers.len() < 2 {
        return Err(advise("one layer has nothing to be compared with", "name two runs or files, or a run of several layers"));
    }
    let stimuli = check(&layers)?;
    let kernels: Vec<Kernel> = layers.iter().map(|layer| Kernel::new(&layer.features)).collect::<Result<_>>()?;
    let mut cka = Array2::zeros((layers.len(), layers.len()));
    for i in 0..layers.len() {
        for j in i..layers.len() {
            let value = if arguments.unbiased { kernels[i].unbiased(&kernels[j])? } else { kernels[i].cka(&kernels[j])? };
            cka[[i, j]] = value;
            cka[[j, i]] = value;
        }
    }
    if let Some(out) = &arguments.out {
        npy::write(out, &cka.clone().into_dyn())?;
    }
    let kind = if arguments.unbiased { "unbiased " } else { "" };
    printer.data(&if arguments.json { json(&layers, &cka)? } else { text(&layers, &cka) })?;
    printer.note(&format!("\n  {kind}linear CKA of {} layers, {} stimuli", layers.len(), count(stimuli)));
    Ok(())
}

struct Layer {
    name: String,
    features: Matrix,
    ids: Option<Vec<String>>,
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
    let is_npy = arrays::kind(path) == "npy";
    let features = if is_npy { Matrix::open(path)? } else { Matrix::from_array(arrays::read(path)?.values, path)? };
    Ok(Layer { ids: ids::of(path, features.rows)?, name, features })
}

/// The number of stimuli, which must be the same, in the same order as far as that is known.
fn check(layers: &[Layer]) -> Result<usize> {
    let first = &layers[0];
    let n = first.features.rows;
    if let Some(other) = layers.iter().find(|layer| layer.features.rows != n) {
        return Err(advise(
            format!("`{}` has {n} stimuli, but `{}` has {}", first.name, other.name, other.features.rows),
            "features must be of the same stimuli in the same order",
        ));
    }
    let mut known = layers.iter().filter(|layer| layer.ids.is_some());
    if let (Some(one), Some(other)) = (known.next(), known.find(|layer| layer.ids != layers.iter().find_map(|l| l.ids.clone()))) {
        return Err(advise(
            format!("`{}` and `{}` are of different stimuli, or in another order", one.name, other.name),
            "extract both for the same images",
        ));
    }
    if n < 4 {
        return Err(advise(format!("`{}` has {n} stimuli", first.name), "CKA needs at least 4, better many more"));
    }
    Ok(n)
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
