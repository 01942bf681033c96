//! `thingsvision reduce`: a run with shorter rows of one that is there.

use super::derive::{Target, derive, whole_run};
use super::files;
use super::fit_on::FitOn;
use super::make::Finished;
use super::record::{Record, Reduced};
use super::reduce::{reduce_layer, shorten};
use super::request::RunRdm;
use super::summary;
use crate::atomic_file::partial;
use crate::error::advise;
use crate::observer::Observer;
use crate::output::{StoredRows, unpack};
use crate::reduce::{Method, Reduction};
use crate::run::LayerRecord;
use crate::weights::Weights;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
/// A run that is to be made of one that is there, with shorter rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The folder of the run, which stays as it is
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,

    /// The folder of the new run [default: beside the other, as activations/resnet50.pca-100]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// For srp: the seed of the random matrix [default: that of the run]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// The RDM stored beside each layer: 1 − Pearson's r between the images' rows, or none
    #[arg(long, value_enum, default_value_t)]
    pub rdm: RunRdm,

    /// Replace a run that is already there
    #[arg(long)]
    pub force: bool,

    /// The words of the command line that said this, for the record
    #[arg(skip)]
    #[serde(skip)]
    pub command: Vec<String>,

    // Last, for what follows would get its heading.
    /// How rows become shorter
    #[command(flatten)]
    pub reduction: Reduction,
}

/// Makes a run with shorter rows of one that is there, the same as `extract` makes with the same reduction, and says where it is.
pub fn reduce(request: &Request, observer: &dyn Observer) -> Result<Finished> {
    request.reduction.check()?;
    let Some(method) = request.reduction.method else {
        return Err(advise(
            "it is not said how rows are to be reduced",
            "say it: --reduce pca --components 100, or --reduce srp",
        ));
    };
    let source = whole_run(&request.run)?;
    let record = reduced_record(request, method, &source)?;
    let target =
        Target { source: &request.run, out: request.out.as_deref(), label: request.reduction.label(), force: request.force };
    let bring_all = |place: &Path, record: &Record| {
        let mut layers = record.layers.iter().zip(&source.layers);
        layers.try_for_each(|(layer, stored)| bring((&request.run, &source, stored), (place, record, layer), observer))
    };
    derive(&target, record, &|record| summary::say_reduction(record, observer), &bring_all, observer)
}

fn reduced_record(request: &Request, method: Method, source: &Record) -> Result<Record> {
    let asked = &request.reduction;
    let mut record = Record { complete: false, seconds: None, command: request.command.clone(), ..source.clone() };
    let was = |part: &str| source.request.as_ref().map(|request| request[part].clone()).unwrap_or_default();
    let seed = request.seed.unwrap_or_else(|| was("seed").as_u64().unwrap_or(0));
    let is_random = was("weights") == serde_json::to_value(Weights::Random)?;
    if method == Method::Pca && request.seed.is_some() {
        return Err(advise("--seed is of random projections", "leave it out"));
    }
    if is_random && was("seed").as_u64().is_some_and(|own| own != seed) {
        return Err(advise(
            "the run has random weights, and its seed is that of the projection too",
            "leave out --seed, or extract the run with it",
        ));
    }
    let names: Vec<&str> = source.layers.iter().map(|layer| layer.name.as_str()).collect();
    let fit_on = asked.fit_on.as_deref().map(|folder| FitOn::read(folder, &names)).transpose()?;
    fit_on.as_ref().map_or(Ok(()), |fit_on| fit_on.check(source))?;
    let mut shapes: Vec<Vec<usize>> = source.layers.iter().map(|layer| layer.shape.clone()).collect();
    let full = shorten(asked, source.images, fit_on.as_ref(), &names, &mut shapes)?;
    request.rdm.check(asked)?;
    let with_rdm = request.rdm == RunRdm::Correlation;
    record.one_file = false;
    files::check(record.format, record.dtype, &names, &shapes)?;
    let layer = |((layer, shape), full): ((&LayerRecord, &Vec<usize>), Option<Vec<usize>>)| {
        let file = files::name(&layer.name, record.format, record.one_file);
        let stored = LayerRecord::new(&layer.name, shape, file, with_rdm);
        full.map_or(stored.clone(), |full| stored.reduced_from(full))
    };
    record.layers = source.layers.iter().zip(&shapes).zip(full).map(layer).collect();
    let reduced = Reduced::of(asked, source.images, seed, fit_on.map(|fit_on| fit_on.hash));
    record.reduction = reduced.map(|reduced| Reduced { from: source.dtype, ..reduced });
    if let Some(Value::Object(recorded)) = &mut record.request {
        // Paths in it begin where the run was extracted, which may be elsewhere.
        let fit_on = asked.fit_on.as_ref().map(std::path::absolute).transpose()?;
        recorded.insert("reduction".into(), serde_json::to_value(Reduction { fit_on, ..asked.clone() })?);
        recorded.insert("rdm".into(), serde_json::to_value(request.rdm)?);
        recorded.insert("seed".into(), seed.into());
        recorded.insert("one_file".into(), false.into());
    }
    Ok(record)
}

/// Brings the rows of a layer of the run `source` in `folder` to the run in `place`: in full where they are reduced later or never, else
/// reduced.
fn bring(
    (folder, source, stored): (&Path, &Record, &LayerRecord),
    (place, record, layer): (&Path, &Record, &LayerRecord),
    observer: &dyn Observer,
) -> Result<()> {
    let from = folder.join(&stored.file);
    let plain = |to: &Path| unpack(&from, to, &stored.name, source.images, &stored.shape, source.dtype);
    let open = |path: &Path| StoredRows::open(path, &stored.name, source.images, &stored.shape, source.dtype);
    if let Some(full) = layer.reduced.as_ref().filter(|_| !record.reduces_later(layer)) {
        if !source.format.is_made_at_the_end() {
            return reduce_layer(&open(&from)?, place, record, layer, observer);
        }
        let rows = place.join(&full.file);
        plain(&rows)?;
        reduce_layer(&open(&rows)?, place, record, layer, observer)?;
        return Ok(std::fs::remove_file(&rows)?);
    }
    // A layer that is not reduced has the file that it had.
    let to = place.join(layer.reduced.as_ref().map_or(&layer.file, |full| &full.file));
    // What a process that was stopped left: it may be another name of the file that is to be copied.
    for stale in [&to, &partial(&to)] {
        std::fs::remove_file(stale).ok();
    }
    if layer.reduced.is_some() && !source.format.is_npy() {
        return plain(&to);
    }
    if source.one_file {
        let file = files::open_kept(place, record, layer)?;
        open(&from)?.copy_to(&file, 0)?;
        return file.finish();
    }
    // Nobody writes to full rows, so that another name for the file is enough where the disk can give one.
    let linked = layer.reduced.is_some() && std::fs::hard_link(&from, &to).is_ok();
    if !linked {
        std::fs::copy(&from, &to).with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display()))?;
    }
    Ok(())
}
