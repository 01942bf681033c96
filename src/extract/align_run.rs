//! `thingsvision align`: a run with transformed rows of one that is there.

use super::chosen::{Chosen, whole};
use super::derive::{Target, derive, whole_run};
use super::files;
use super::make::Finished;
use super::record::Record;
use super::request::{Request as ExtractRequest, RunRdm};
use super::sink::store;
use super::sources::Sources;
use crate::align::{ROWS, Transform};
use crate::error::Advice;
use crate::numbers::shape;
use crate::observer::{Observer, Stopped};
use crate::output::{StoredRows, unpack};
use crate::parallel::parallel;
use crate::run::LayerRecord;
use crate::weights::{Content, Published, Store};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tch::Tensor;

/// A run that is to be made of one that is there, with the rows of a layer transformed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The folder of the run, which stays as it is
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,

    /// A published transform, as gLocal, or a file with the arrays `weights`, `mean`, `std` and perhaps `bias`
    #[arg(long, value_name = "gLocal|FILE.npz")]
    pub transform: String,

    /// The layer, if the run has several [default: the one that a published transform was learnt on]
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,

    /// The folder of the new run [default: beside the other, as activations/resnet18.gLocal]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// The RDM stored beside the layer: 1 − Pearson's r between the images' rows, or none
    #[arg(long, value_enum, default_value_t)]
    pub rdm: RunRdm,

    /// Replace a run that is already there
    #[arg(long)]
    pub force: bool,

    /// The words of the command line that said this, for the record
    #[arg(skip)]
    #[serde(skip)]
    pub command: Vec<String>,
}

/// How the rows of a run were transformed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aligned {
    /// The name of a published transform; none of a file that is not known to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<String>,
    /// Whose features it was learnt on, if that is known: of one of several if its publisher does not say which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learnt_on: Vec<String>,
    /// Other networks for which the very same file is published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_published_for: Vec<String>,
    /// What whoever uses it has to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Of each row `x`.
    pub formula: String,
    /// Where it is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A file of the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Of the file.
    pub sha256: String,
    /// Of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The paper to cite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
    /// The shape of a row before.
    pub from: Vec<usize>,
}

/// Makes a run with the rows of a layer transformed of one that is there, and says where it is. Registry and cache are those of `places`.
pub fn align(request: &Request, places: &ExtractRequest, observer: &dyn Observer) -> Result<Finished> {
    let sources = Sources::open_as_they_are(&ExtractRequest { models: Vec::new(), ..places.clone() })?;
    let source = whole_run(&request.run)?;
    let chosen = Chosen::find(request, &sources, &source)?;
    let layer = chosen.layer(request, &source)?;
    let (aligned, transform) = chosen.read(&sources, layer, observer)?;
    let record = aligned_record(request, &source, layer, &transform, &aligned)?;
    let target = Target { source: &request.run, out: request.out.as_deref(), label: chosen.label(), force: request.force };
    let bring = |place: &Path, record: &Record| bring((&request.run, &source, layer), &transform, (place, record), observer);
    derive(&target, record, &|_| say(&aligned, layer, &transform, observer), &bring, observer)
}

fn aligned_record(
    request: &Request,
    source: &Record,
    layer: &LayerRecord,
    transform: &Transform,
    aligned: &Aligned,
) -> Result<Record> {
    let mut record = Record {
        complete: false,
        seconds: None,
        command: request.command.clone(),
        one_file: false,
        alignment: Some(aligned.clone()),
        ..source.clone()
    };
    let shape = vec![transform.outputs()];
    files::check(record.format, record.dtype, &[&layer.name], std::slice::from_ref(&shape))?;
    let file = files::name(&layer.name, record.format, false);
    record.layers = vec![LayerRecord::new(&layer.name, &shape, file, request.rdm == RunRdm::Correlation)];
    if let Some(Value::Object(recorded)) = &mut record.request {
        recorded.insert("layers".into(), vec![layer.name.clone()].into());
        // What goes without saying of a model's default layer does not of one that is named.
        recorded.insert("readout".into(), serde_json::to_value(source.readout)?);
        recorded.insert("rdm".into(), serde_json::to_value(request.rdm)?);
        recorded.insert("one_file".into(), false.into());
    }
    Ok(record)
}

fn say(aligned: &Aligned, layer: &LayerRecord, transform: &Transform, observer: &dyn Observer) {
    let Aligned { transform: name, learnt_on, also_published_for: also, note, path, sha256, citation, .. } = aligned;
    let file = path.as_deref().and_then(Path::file_name).map(|file| format!("{}, ", file.display())).unwrap_or_default();
    let name = name.as_ref().map(|name| format!("{name} of {}, ", learnt_on.join(" or "))).unwrap_or_default();
    let shapes = format!("{} → {}", shape(&layer.shape), shape(&[transform.outputs()]));
    observer.fact("aligns", &format!("`{}` ({shapes}) by {name}{file}sha256 {}…", layer.name, &sha256[..8]));
    citation.iter().for_each(|citation| observer.fact("", &format!("please cite {citation}")));
    note.iter().for_each(|note| observer.fact("", note));
    if !also.is_empty() {
        observer
            .fact("", &format!("the very same file is published for {}: it cannot have been learnt on both", also.join(" and ")));
    }
    if !transform.unused.is_empty() {
        observer.fact("", &format!("of no use here: `{}` in the file", transform.unused.join("`, `")));
    }
}

/// Brings the rows of `layer` of the run `source` in `folder`, transformed, to the run in `place`.
fn bring(
    (folder, source, layer): (&Path, &Record, &LayerRecord),
    transform: &Transform,
    (place, record): (&Path, &Record),
    observer: &dyn Observer,
) -> Result<()> {
    let from = folder.join(&layer.file);
    let plain = place.join(format!("{}.unaligned.npy", layer.name));
    let is_packed = source.format.is_made_at_the_end();
    if is_packed {
        std::fs::remove_file(&plain).ok();
        unpack(&from, &plain, &layer.name, source.images, &layer.shape, source.dtype)?;
    }
    let rows = StoredRows::open(if is_packed { &plain } else { &from }, &layer.name, source.images, &layer.shape, source.dtype)?;
    let file = files::open_kept(place, record, &record.layers[0])?;
    let blocks = parallel(rows.rows.div_ceil(ROWS), &|block| {
        if let Some(reason) = observer.stopped() {
            let problem = format!("{reason}: rows are being aligned");
            let hint = "the same command begins anew".to_owned();
            return Err(anyhow::Error::new(Stopped(reason)).context(Advice { problem, hint }));
        }
        let part = block * ROWS..rows.rows.min((block + 1) * ROWS);
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        part.clone().try_for_each(|row| rows.append(row, 0..rows.units, &mut bytes, &mut values))?;
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let aligned: Vec<f32> = transform.apply(&values)?.into_iter().map(|value| value as f32).collect();
        let aligned = Tensor::f_from_slice(&aligned)?.f_view([part.len() as i64, transform.outputs() as i64])?;
        store(&file, record.dtype, part.start, &aligned, &mut Vec::new()).with_context(|| format!("layer `{}`", layer.name))?;
        Ok(Moments::of(&values))
    })?;
    file.finish()?;
    if is_packed {
        std::fs::remove_file(&plain)?;
    }
    if let ([mean], [std]) = (&transform.mean[..], &transform.std[..]) {
        let own = blocks.into_iter().fold(Moments::default(), Moments::and);
        let (own_mean, own_std) = own.mean_and_std();
        observer.fact(
            "",
            &format!(
                "numbers of these rows have mean {own_mean:.3}, deviation {own_std:.3}; where it was learnt {mean:.3}, {std:.3}"
            ),
        );
    }
    Ok(())
}

/// Sums of numbers.
#[derive(Debug, Default)]
struct Moments {
    number: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Moments {
        let squares = values.iter().map(|value| value * value).sum();
        Moments { number: values.len() as f64, sum: values.iter().sum(), squares }
    }

    fn and(self, other: Moments) -> Moments {
        Moments { number: self.number + other.number, sum: self.sum + other.sum, squares: self.squares + other.squares }
    }

    fn mean_and_std(&self) -> (f64, f64) {
        let mean = self.sum / self.number;
        (mean, (self.squares / self.number - mean * mean).max(0.0).sqrt())
    }
}

impl Aligned {
    /// What a run that is extracted anew is to be compared with: the same, aligned.
    pub(super) fn expected(&self, now: Record, there: &Record) -> Record {
        let layers = now.layers.iter().zip(&there.layers);
        let layers = layers.map(|(layer, there)| LayerRecord { shape: there.shape.clone(), ..layer.clone() }).collect();
        Record { alignment: Some(self.clone()), layers, ..now }
    }

    /// Rows `[rows, units]` as they are stored. Fails if the transform is not on this machine.
    pub(super) fn rows(&self, store: &Store, full: &[f64]) -> Result<Vec<f64>> {
        let path = match &self.path {
            Some(path) => path.clone(),
            None => {
                // Where its SHA-256 was not known it lies in a folder called after the address.
                let contents = [Some(self.sha256.clone()), None].map(|sha256| Content { sha256, git: None });
                let published = contents.map(|content| Published { url: self.url.clone(), content, ..Published::default() });
                let found = published.into_iter().find_map(|published| store.find(published).transpose()).transpose()?;
                found.context("the transform of the run is not on this machine")?.path
            }
        };
        let transform = Transform::read(&path, whole(&path, &self.sha256)?)?;
        let blocks = full.chunks(ROWS * transform.units).map(|rows| transform.apply(rows));
        Ok(blocks.collect::<Result<Vec<_>>>()?.concat().into_iter().map(|value| f64::from(value as f32)).collect())
    }
}
