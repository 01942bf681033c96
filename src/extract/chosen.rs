//! Which transform the rows of a run are to be aligned by, and whether it is for them.

use super::align_run::{Aligned, Request};
use super::record::Record;
use super::sources::Sources;
use crate::align::{FORMULA, Transform};
use crate::arrays;
use crate::error::advise;
use crate::hash::sha256;
use crate::memory;
use crate::numbers::shape;
use crate::observer::{Observer, Stage};
use crate::plain_file;
use crate::registry::{TransformChoice, tagged};
use crate::run::LayerRecord;
use crate::weights::{Content, Provenance};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// The transform that is asked for.
pub(super) enum Chosen<'a> {
    Published(TransformChoice<'a>),
    /// A file, which may be a published one.
    File {
        path: PathBuf,
        bytes: Vec<u8>,
        known: Option<TransformChoice<'a>>,
    },
}

impl<'a> Chosen<'a> {
    pub(super) fn find(request: &Request, sources: &'a Sources, source: &Record) -> Result<Chosen<'a>> {
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
    pub(super) fn label(&self) -> String {
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
    pub(super) fn layer<'r>(&self, request: &Request, source: &'r Record) -> Result<&'r LayerRecord> {
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
    pub(super) fn read(&self, sources: &Sources, layer: &LayerRecord, observer: &dyn Observer) -> Result<(Aligned, Transform)> {
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
pub(super) fn whole(path: &Path, expected: &str) -> Result<Vec<u8>> {
    let bytes = plain_file::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    match sha256(&bytes) == expected {
        true => Ok(bytes),
        false => Err(advise(
            format!("`{}` is not the file that the rows were transformed with: its SHA-256 is not {expected}", path.display()),
            "it was changed: get the other one, or make the run again",
        )),
    }
}
