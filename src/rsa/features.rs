//! The features of layers: those of runs, and files.

use super::analysis::model_name;
use super::candidates::{finished_runs, folder_name, run_and_layer};
use crate::arrays;
use crate::error::advise;
use crate::npy::Matrix;
use crate::observer::Observer;
use crate::rdm::{Rows, ids};
use crate::run::{is_run, read_record};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The features of a layer, with the names that it has in tables.
pub(crate) struct Layer {
    /// The run, as its folder is called, and the layer; of a file its path.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// `[stimuli, units]`.
    pub(crate) features: Matrix,
    pub(crate) ids: Option<Vec<String>>,
    /// Whether it was found in a run that was named.
    pub(crate) model_and_layer: Option<(String, String)>,
}

impl Layer {
    /// What is known of its rows; see [`Rows::leads`].
    pub(crate) fn rows(&self, leads: bool) -> Rows<'_> {
        Rows { name: &self.name, stimuli: self.features.rows, ids: self.ids.as_deref(), leads }
    }
}

/// All layers of the runs, and the files.
pub(super) fn layers(paths: &[PathBuf]) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    for path in paths {
        if is_run(path) {
            layers.extend(layers_of_run(path)?);
        } else {
            let (features, own) = arrays::features(path)?;
            layers.push(named(path.display().to_string(), features, own, path)?);
        }
    }
    Ok(layers)
}

/// The layers of the runs and files that were named, or of all finished runs; with names of their own. Fails if one is
/// an RDM, of which `what` can make nothing.
pub(crate) fn named_layers(named: &[PathBuf], what: &str, observer: &dyn Observer) -> Result<Vec<Layer>> {
    if let Some(rdm) = named.iter().find(|path| path.to_string_lossy().ends_with(".rdm.npy")) {
        return Err(advise(
            format!("`{}` is an RDM, and {what} needs the features that it is of", rdm.display()),
            "name the folder of the run, or a file of features [stimuli, units]",
        ));
    }
    let found = layers(&if named.is_empty() { finished_runs(observer)? } else { named.to_vec() })?;
    if found.is_empty() {
        return Err(advise("no layer is there to compare", "extract some, or name files of features"));
    }
    let names = found.iter().map(|layer| layer.model_and_layer.clone().map_or_else(|| run_and_layer(&layer.path), Ok));
    let names: Vec<(String, String)> = names.collect::<Result<_>>()?;
    let apart = |name: &(String, String)| names.iter().filter(|other| *other == name).count() == 1;
    let own = |(layer, name): (Layer, &(String, String))| {
        let name = if apart(name) { name.clone() } else { (layer.path.display().to_string(), name.1.clone()) };
        Layer { model_and_layer: Some(name), ..layer }
    };
    Ok(found.into_iter().zip(&names).map(own).collect())
}

fn layers_of_run(folder: &Path) -> Result<Vec<Layer>> {
    let model = folder_name(folder)?;
    let record = read_record(folder)?;
    if !record.complete {
        return Err(advise(
            format!("the run in `{}` is not finished", folder.display()),
            "the command that began it goes on with it",
        ));
    }
    let of = |layer| -> Result<Layer> {
        let features = arrays::layer_of_run(folder, &record, layer)?;
        let read = named(model_name(&model, &layer.name), features, None, &folder.join(&layer.file))?;
        Ok(Layer { model_and_layer: Some((model.clone(), layer.name.clone())), ..read })
    };
    record.layers.iter().map(of).collect()
}

/// Features from `path`, with the names of their rows: their own, or those beside the file.
fn named(name: String, features: Matrix, own: Option<Vec<String>>, path: &Path) -> Result<Layer> {
    let ids = own.map_or_else(|| ids::of(path, features.rows), |own| Ok(Some(own)))?;
    if let Some(ids) = &ids {
        ids::check_unique(ids, &name)?;
    }
    Ok(Layer { name, path: path.to_owned(), features, ids, model_and_layer: None })
}
