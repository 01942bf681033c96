//! `thingsvision align`: a run with transformed rows of one that is there.

use super::derive::{Target, derive, whole_run};
use super::files;
use super::make::Finished;
use super::record::Record;
use super::request::{Request as ExtractRequest, RunRdm};
use super::sink::store;
use super::sources::Sources;
use crate::align::{FORMULA, ROWS, Transform};
use crate::arrays;
use crate::error::{Advice, advise};
use crate::hash::sha256;
use crate::memory;
use crate::numbers::shape;
use crate::observer::{Observer, Stage, Stopped};
use crate::output::{StoredRows, unpack};
use crate::parallel::parallel;
use crate::plain_file;
use crate::registry::{TransformChoice, tagged};
use crate::run::LayerRecord;
use crate::weights::{Content, Provenance, Published, Store};
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

/// The transform that is asked for.
enum Chosen<'a> {
    Published(TransformChoice<'a>),
    /// A file, which may be a published one.
    File {
        path: PathBuf,
        bytes: Vec<u8>,
        known: Option<TransformChoice<'a>>,
    },
}

impl<'a> Chosen<'a> {
    fn find(request: &Request, sources: &'a Sources, source: &Record) -> Result<Chosen<'a>> {
        let path = Path::new(&request.transform);
        let is_file = arrays::kind(path) == "npz" || request.transform.contains('/');
        if is_file {
            let length = path.metadata().map_or(0, |file| file.len());
            memory::check(&format_args!("`{}`", path.display()), length)?;
            let bytes = plain_file::read(path).map_err(|_| arrays::cannot_read(path))?;
            let known = sources.registry.transforms_with(&|content: &Content| content.is_of(&bytes));
            let model = model_of(sources, source);
            let own = known.iter().find(|choice| model.as_ref().is_some_and(|model| choice.file.models.contains(model)));
            let known = own.or(known.first()).copied();
            known.map_or(Ok(()), |choice| check_model(&choice, sources, source))?;
            return Ok(Chosen::File { path: path.to_owned(), bytes, known });
        }
        let all = sources.registry.transforms_called(&request.transform)?;
        let model = sources.registry.choose(&source.model)?;
        let is_of_network = |choice: &&TransformChoice| {
            choice.file.models.iter().any(|name| name.split_once('.').is_some_and(|(network, _)| network == model.entry.name))
        };
        let own = model_of(sources, source);
        let of_run = all.iter().find(|choice| own.as_ref().is_some_and(|own| choice.file.models.contains(own)));
        let Some(choice) = of_run.or_else(|| all.iter().find(is_of_network)) else {
            let names: Vec<_> = all.iter().map(|choice| format!("`{}`", choice.file.models[0])).collect();
            return Err(advise(
                format!("no transform `{}` of `{}` is published", all[0].kind.name, model.entry.name),
                format!("there are those of {}; --transform FILE.npz takes one of your own", names.join(", ")),
            ));
        };
        check_model(choice, sources, source)?;
        Ok(Chosen::Published(*choice))
    }

    fn known(&self) -> Option<&TransformChoice<'a>> {
        match self {
            Chosen::Published(choice) => Some(choice),
            Chosen::File { known, .. } => known.as_ref(),
        }
    }

    /// What the name of the run's folder gets.
    fn label(&self) -> String {
        match self {
            Chosen::Published(choice) | Chosen::File { known: Some(choice), .. } => format!(".{}", choice.kind.name),
            Chosen::File { path, .. } => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let stem: String = stem.chars().map(|c| if c.is_alphanumeric() || "._".contains(c) { c } else { '-' }).collect();
                format!(".aligned-{stem}")
            }
        }
    }

    /// The layer of the run `source` that it is for.
    fn layer<'r>(&self, request: &Request, source: &'r Record) -> Result<&'r LayerRecord> {
        let names = || source.layers.iter().map(|layer| format!("`{}`", layer.name)).collect::<Vec<_>>().join(", ");
        let wanted = match (self.known(), &request.layer, &source.layers[..]) {
            (Some(choice), given, _) => {
                let file = choice.file;
                let learnt =
                    format!("the transform `{}` of `{}` was learnt on `{}`", choice.kind.name, file.models[0], file.layer);
                if let Some(given) = given.as_ref().filter(|given| **given != file.layer) {
                    return Err(advise(format!("{learnt}, and not on `{given}`"), "leave out --layer"));
                }
                let network = &source.model;
                if !source.layers.iter().any(|layer| layer.name == file.layer) {
                    return Err(advise(
                        format!("{learnt}, and the run has {}", names()),
                        format!("extract it: thingsvision extract --model {network} --layer {} --images …", file.layer),
                    ));
                }
                if let Some(readout) = file.readout.filter(|readout| *readout != source.readout) {
                    let name =
                        |readout| serde_json::to_value(readout).unwrap_or_default().as_str().unwrap_or_default().to_owned();
                    let (wanted, is) = (name(readout), name(source.readout));
                    return Err(advise(
                        format!("{learnt} with the readout {wanted}, and the run has the readout {is}"),
                        format!(
                            "extract it: thingsvision extract --model {network} --layer {} --readout {wanted} --images …",
                            file.layer
                        ),
                    ));
                }
                &file.layer
            }
            (None, Some(given), _) => given,
            (None, None, [only]) => &only.name,
            (None, None, _) => {
                return Err(advise(format!("the run has several layers: {}", names()), "say which is transformed: --layer NAME"));
            }
        };
        source
            .layers
            .iter()
            .find(|layer| layer.name == *wanted)
            .ok_or_else(|| advise(format!("the run has no layer `{wanted}`"), format!("it has {}", names())))
    }

    /// Fetches it if it is not on this machine, and reads it.
    fn read(&self, sources: &Sources, layer: &LayerRecord, observer: &dyn Observer) -> Result<(Aligned, Transform)> {
        let known = self.known();
        let (path, bytes, url) = match self {
            Chosen::File { path, bytes, .. } => (path.clone(), bytes.clone(), None),
            Chosen::Published(choice) => {
                let published = choice.published();
                let name = format!("the transform {} of {}", choice.kind.name, choice.file.models[0]);
                let progress = observer.begin(Stage::Fetch(&name), None);
                let found = sources.store.fetch(published.clone(), &mut |arrived, total| progress.at(arrived, total))?;
                let bytes = whole(&found.path, &found.sha256)?;
                (found.path, bytes, published.url)
            }
        };
        let aligned = Aligned {
            transform: known.map(|choice| choice.kind.name.clone()),
            learnt_on: known.map(|choice| choice.file.models.clone()).unwrap_or_default(),
            also_published_for: known
                .map(|choice| sources.registry.also_published_for(choice).into_iter().map(str::to_owned).collect())
                .unwrap_or_default(),
            note: known.and_then(|choice| choice.file.note.clone()),
            formula: FORMULA.to_owned(),
            path: if url.is_none() { Some(std::path::absolute(&path)?) } else { None },
            url,
            sha256: sha256(&bytes),
            licence: known.map(|choice| choice.kind.licence.clone()),
            citation: known.map(|choice| choice.kind.citation.clone()),
            from: layer.shape.clone(),
        };
        let transform = Transform::read(&path, bytes)?;
        let units: usize = layer.shape.iter().product();
        if units != transform.units {
            return Err(advise(
                format!(
                    "`{}` is for rows of {}, and those of `{}` have {}",
                    path.display(),
                    shape(&[transform.units]),
                    layer.name,
                    shape(&layer.shape)
                ),
                "take the layer and the readout that it was learnt on; of tokens a readout as `cls` makes one row",
            ));
        }
        Ok((aligned, transform))
    }
}

/// The network of a run, with the tag of its weights, if these are published ones or the registry's own.
fn model_of(sources: &Sources, source: &Record) -> Option<String> {
    let choice = sources.registry.choose(&source.model).ok()?;
    let is_registrys = || source.request.as_ref().is_some_and(|request| request["weights"] == "pretrained");
    let tag = match &source.weights {
        Provenance::Published { tag, .. } | Provenance::File { tag: Some(tag), .. } => tag,
        Provenance::File { .. } | Provenance::Exported { .. } if is_registrys() => &choice.weights.tag,
        Provenance::Random { .. } | Provenance::File { .. } | Provenance::Exported { .. } => return None,
    };
    Some(tagged(&choice, tag))
}

/// Fails if the features of the run `source` are of another network than a transform was learnt on, or of other weights.
fn check_model(choice: &TransformChoice, sources: &Sources, source: &Record) -> Result<()> {
    let models = &choice.file.models;
    match model_of(sources, source) {
        Some(model) if models.contains(&model) => Ok(()),
        own => {
            let is = own.unwrap_or_else(|| format!("{} with weights {}", source.model, source.weights.describe()));
            Err(advise(
                format!(
                    "the transform `{}` of `{}` was learnt on other features than those of {is}",
                    choice.kind.name,
                    models.join("` or `")
                ),
                format!(
                    "extract its layer: thingsvision extract --model {} --layer {} --images …",
                    models.last().map_or("", String::as_str),
                    choice.file.layer
                ),
            ))
        }
    }
}

/// The bytes of a file whose SHA-256 is known.
fn whole(path: &Path, expected: &str) -> Result<Vec<u8>> {
    let bytes = plain_file::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    match sha256(&bytes) == expected {
        true => Ok(bytes),
        false => Err(advise(
            format!("`{}` is not the file that the rows were transformed with: its SHA-256 is not {expected}", path.display()),
            "it was changed: get the other one, or make the run again",
        )),
    }
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
            .fact("", &format!("the very same file is published for {}: of one of them it was not learnt", also.join(" and ")));
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
