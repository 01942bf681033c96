//! The models of an analysis: layers of runs, and RDM files.

use super::analysis::model_name;
use super::targets::stem;
use crate::atomic_file::is_same;
use crate::error::advise;
use crate::observer::Observer;
use crate::rdm::{Rdms, Uninformative};
use crate::run::{is_run, rdm_file, read_record};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Where runs are looked for when none is named: the default of `extract --out`.
const RUNS: &str = "activations";

/// The RDM of a layer, with the names that it has in the table.
pub(crate) struct Candidate {
    /// The run, as its folder is called, or the file.
    pub(crate) model: String,
    /// Empty for a file outside of runs.
    pub(crate) layer: String,
    pub(crate) path: PathBuf,
    /// Of one subject.
    pub(crate) rdm: Rdms,
}

impl Candidate {
    pub(super) fn name(&self) -> String {
        model_name(&self.model, &self.layer)
    }
}

/// The RDMs of the runs and files that were named, or of all finished runs.
pub(crate) fn candidates(named: &[PathBuf], observer: &dyn Observer) -> Result<Vec<Candidate>> {
    let paths = if named.is_empty() { finished_runs(observer)? } else { named.to_vec() };
    let mut found = Vec::new();
    for path in &paths {
        if path.is_dir() {
            found.extend(layers_of_run(path, observer)?);
        } else {
            found.push(named_file(path)?);
        }
    }
    if found.is_empty() {
        return Err(advise("no layer is left to compare", "extract layers that have RDMs"));
    }
    name_apart(&mut found);
    Ok(found)
}

/// An RDM file that the user named: a layer if it lies in a run, else something of its own.
fn named_file(path: &Path) -> Result<Candidate> {
    let rdm = Rdms::read(path)?;
    if rdm.subjects.len() > 1 {
        return Err(advise(
            format!("`{}` holds {} RDMs; a model is one", path.display(), rdm.subjects.len()),
            "average them: thingsvision rdm average; or give them as a target",
        ));
    }
    let (model, layer) = run_and_layer(path)?;
    Ok(Candidate { model, layer, path: path.to_owned(), rdm })
}

/// What the RDM at `path` is called: the run and the layer if it lies in a run, else the file's name.
pub(crate) fn run_and_layer(path: &Path) -> Result<(String, String)> {
    match std::path::absolute(path)?.parent().filter(|folder| is_run(folder)) {
        Some(run) => Ok((folder_name(run)?, stem(path))),
        None => Ok((stem(path), String::new())),
    }
}

pub(super) fn finished_runs(observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let mut runs = Vec::new();
    let folders = std::fs::read_dir(RUNS).map(|folders| folders.filter_map(|folder| Some(folder.ok()?.path())).collect());
    let mut folders: Vec<_> = folders.unwrap_or_default();
    folders.sort();
    for folder in folders.into_iter().filter(|folder| is_run(folder)) {
        let record = read_record(&folder)?;
        if record.shard.is_some() {
            observer.note(&format!("left out `{}`: it is a part of a run", folder.display()));
        } else if record.complete {
            runs.push(folder);
        } else {
            observer.note(&format!("left out `{}`: the run was not finished", folder.display()));
        }
    }
    if runs.is_empty() {
        return Err(advise(
            format!("there are no finished runs in `{RUNS}/`"),
            "make one with `thingsvision extract --model … --images …`, or name a run's folder or an RDM file",
        ));
    }
    Ok(runs)
}

/// The RDMs of all layers of the run in `folder` that have one.
pub(crate) fn layers_of_run(folder: &Path, observer: &dyn Observer) -> Result<Vec<Candidate>> {
    if !is_run(folder) {
        return Err(advise(
            format!("`{}` is not the folder of a run: it has no run.json", folder.display()),
            "name a folder that `thingsvision extract` printed",
        ));
    }
    let record = read_record(folder)?;
    if !record.complete {
        return Err(advise(format!("the run in `{}` was not finished", folder.display()), "run the extraction again"));
    }
    if record.shard.is_some() {
        return Err(advise(
            format!("`{}` is a part of a run", folder.display()),
            "join all parts first: thingsvision merge SHARD_DIR…",
        ));
    }
    let model = folder_name(folder)?;
    let mut candidates = Vec::new();
    for layer in record.layers {
        let path = folder.join(layer.rdm.unwrap_or_else(|| rdm_file(&layer.name)));
        if let (Some(reason), false) = (layer.without_rdm, path.exists()) {
            observer.note(&format!("left out `{}` of `{}`: {reason}", layer.name, folder.display()));
            continue;
        }
        if !path.exists() {
            return Err(advise(
                format!("the run in `{}` has no RDM of `{}`", folder.display(), layer.name),
                format!("make it: thingsvision rdm {}", folder.join(layer.file).display()),
            ));
        }
        match Rdms::read(&path) {
            Ok(rdm) => candidates.push(Candidate { model: model.clone(), layer: layer.name, path, rdm }),
            // A layer that is the same for all images.
            Err(fault) if !fault.is::<Uninformative>() => return Err(fault),
            Err(fault) => observer.note(&format!("left out `{}` of `{}`: {fault}", layer.name, folder.display())),
        }
    }
    Ok(candidates)
}

/// Gives different files that would be called the same their paths instead.
fn name_apart(candidates: &mut [Candidate]) {
    let same_name = |a: &Candidate, b: &Candidate| a.model == b.model && a.layer == b.layer && !is_same(&a.path, &b.path);
    let clash = |candidate: &Candidate| candidates.iter().any(|other| same_name(candidate, other));
    let clashes: Vec<bool> = candidates.iter().map(clash).collect();
    for (candidate, _) in candidates.iter_mut().zip(clashes).filter(|(_, clashes)| *clashes) {
        candidate.model = candidate.path.display().to_string();
    }
}

pub(super) fn folder_name(folder: &Path) -> Result<String> {
    Ok(folder.canonicalize()?.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default())
}
