//! Where a network's weights come from, and a record of it.

mod checkpoint;
mod download;
mod fit;
mod identity;
mod pickle;
mod place;
mod provenance;
mod published;
mod store;
mod torch_file;

pub use checkpoint::Checkpoint;
pub use download::{Patience, Progress, download};
pub use fit::Fit;
pub use provenance::Provenance;
pub use published::{Content, Published};
pub use store::{CACHE, Found, MIRROR, OFFLINE, Store};

pub(crate) use identity::identified;

use crate::error::advise;
use crate::hash::sha256_of_file;
use crate::models::{Card, Model};
use crate::nn::{Manifest, ModuleId, StateDict, Trace};
use crate::observer::{Observer, Stage};
use crate::registry::{Choice, Registry};
use anyhow::{Context, Result, bail};
use checkpoint::sha256_of_weights;
use place::{fitting, read};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tch::{Device, Kind};

/// Whose weights a network is to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Weights {
    /// The published ones.
    Pretrained,
    /// Untrained: as PyTorch initialises the network.
    Random,
    /// A user's own file; `FILE#KEY` for one of several sets of weights in it.
    File(PathBuf),
}

impl Weights {
    /// What a run's folder is called after the model's name: `random-0`, `my-checkpoint`, nothing for published weights.
    /// `tags` are those of the model's published weights.
    pub fn label(&self, seed: u64, tags: &[&str]) -> Option<String> {
        match self {
            Weights::Pretrained => None,
            Weights::Random => Some(format!("random-{seed}")),
            Weights::File(given) => {
                let (path, key) = file_and_key(given);
                let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
                let key: String = key
                    .unwrap_or_default()
                    .chars()
                    .map(|c| if c.is_alphanumeric() || "._".contains(c) { c } else { '-' })
                    .collect();
                let stem = if key.is_empty() { stem } else { format!("{stem}-{key}").into() };
                // A file may be called like what other runs are called after.
                let taken = stem.starts_with("random-") || tags.contains(&stem.as_ref());
                Some(if taken { format!("file-{stem}") } else { stem.into_owned() })
            }
        }
    }
}

/// The file that `FILE#KEY` names, and the key; a file may be called so itself.
pub fn file_and_key(given: &Path) -> (PathBuf, Option<String>) {
    let text = given.to_str().filter(|_| !given.exists()).unwrap_or_default();
    let hashes = text.rmatch_indices('#').map(|(hash, _)| (Path::new(&text[..hash]), &text[hash + 1..]));
    match hashes.into_iter().find(|(file, _)| file.is_file()) {
        Some((file, key)) => (file.to_owned(), Some(key.to_owned())),
        None => (given.to_owned(), None),
    }
}

/// `pretrained`, `random`, or a path.
impl From<String> for Weights {
    fn from(text: String) -> Weights {
        match text.as_str() {
            "pretrained" => Weights::Pretrained,
            "random" => Weights::Random,
            _ => Weights::File(text.into()),
        }
    }
}

impl From<Weights> for String {
    fn from(weights: Weights) -> String {
        match weights {
            Weights::Pretrained => "pretrained".into(),
            Weights::Random => "random".into(),
            Weights::File(path) => path.display().to_string(),
        }
    }
}

/// The network of `choice` for a dry run: with zeros for weights, or from its file.
pub fn outline(choice: &Choice) -> Result<Model> {
    match choice.is_exported() {
        true => Model::exported(exported_file(choice)?, Device::Cpu, Kind::Float),
        false => Model::without_weights(&choice.architecture()),
    }
}

/// The file of an exported network; an error if it is not on this machine.
fn exported_file<'a>(choice: &Choice<'a>) -> Result<&'a Path> {
    choice.file().ok_or_else(|| {
        advise(
            format!("`{}` is an exported network, and its layers are not known before it is fetched", choice.name()),
            format!("thingsvision weights fetch {}", choice.name()),
        )
    })
}

/// The weights of a model, looked for once.
pub struct Located<'a> {
    choice: Choice<'a>,
    place: Place<'a>,
}

enum Place<'a> {
    Random {
        seed: u64,
    },
    /// Of the registry's own, the beginning of its SHA-256 is expected, if it is known. What fits was looked for in it.
    File {
        path: PathBuf,
        expected: Option<&'a str>,
        key: Option<String>,
        fit: Box<Fit>,
    },
    /// None if they have to be fetched.
    Published(Option<Found>),
    Exported,
}

impl<'a> Located<'a> {
    /// Looks where `source` says; for published ones in `store`. In a file it is looked which tensors are the network's.
    pub fn find(registry: &Registry, store: &Store, mut choice: Choice<'a>, source: &Weights, seed: u64) -> Result<Located<'a>> {
        let (path, expected, key) = match (source, &choice.weights.file) {
            _ if choice.is_exported() => return Ok(Located { choice, place: Place::Exported }),
            (Weights::Random, _) => return Ok(Located { choice, place: Place::Random { seed } }),
            (Weights::Pretrained, None) => return Ok(Located { choice, place: Place::Published(store.find(&choice)?) }),
            (Weights::File(given), _) => {
                let (path, key) = file_and_key(given);
                (path, None, key)
            }
            (Weights::Pretrained, Some(path)) => (path.clone(), choice.weights.sha256.as_deref(), choice.weights.key.clone()),
        };
        if let Some(expected) = expected.filter(|_| path.exists()) {
            check_hash(&path, &sha256_of_weights(&path)?, Some(expected))?;
        }
        let fit = fitting(registry, &choice, &path, &Checkpoint::open(&path)?, key.as_deref())?;
        choice.classes = fit.classes;
        Ok(Located { choice, place: Place::File { path, expected, key, fit: Box::new(fit) } })
    }

    /// The model, with a classifier of as many classes as the weights have.
    pub fn choice(&self) -> Choice<'a> {
        self.choice
    }

    /// Says in a trace which calls give nothing because the weights have no classifier: the classifier's, and all that come after.
    pub fn mark(&self, manifest: &Manifest, trace: &mut Trace) {
        let Some((first, why)) = self.first_absent(manifest, trace) else { return };
        trace.calls[first..].iter_mut().for_each(|call| call.unusable = Some(why.clone().into()));
    }

    /// The first call that needs an absent tensor, and why that is absent.
    fn first_absent(&self, manifest: &Manifest, trace: &Trace) -> Option<(usize, String)> {
        let Place::File { fit, .. } = &self.place else { return None };
        let owners = fit.absent.iter().filter_map(|(key, why)| {
            // The module itself, or the first around it that is called: of one that evaluation leaves out there is none.
            let ends = key.rmatch_indices('.').map(|(dot, _)| &key[..dot]);
            let calls = ends.filter_map(|name| manifest.module(name)).map(|module| trace.calls_of(module));
            let first = *calls.into_iter().find(|calls| !calls.is_empty())?.first()?;
            Some(((first, !key.ends_with("weight")), why.clone()))
        });
        owners.min_by_key(|(place, _)| *place).map(|((first, _), why)| (first, why))
    }

    /// The layers that are not there because the weights have no classifier, and why: for a note.
    pub fn absent(&self, manifest: &Manifest, trace: &Trace) -> Option<(Vec<String>, String)> {
        let (first, why) = self.first_absent(manifest, trace)?;
        let modules: Vec<ModuleId> = trace.calls[first..].iter().map(|call| call.module).collect();
        Some((modules.into_iter().map(|module| manifest.layer_name(module).to_owned()).collect(), why))
    }

    /// Fetches them if they are not on this machine.
    pub fn fetch(&mut self, store: &Store, observer: &dyn Observer) -> Result<()> {
        if let Place::Published(found @ None) = &mut self.place {
            *found = Some(fetch(store, &self.choice, observer)?);
        }
        Ok(())
    }

    /// What [`Located::network`] would load; `None` if that has to be fetched first.
    pub fn provenance(&self) -> Result<Option<Provenance>> {
        Ok(match &self.place {
            Place::Random { seed } => Some(Provenance::Random { seed: *seed }),
            Place::File { path, fit, .. } => Some(of_file(&self.choice, path, sha256_of_weights(path)?, fit)?),
            Place::Published(found) => found.as_ref().map(|found| published(&self.choice, &found.sha256)),
            Place::Exported => Some(exported(&self.choice)?),
        })
    }

    /// The weights of a network that is built here.
    pub fn load(&self, registry: &Registry) -> Result<(StateDict, Provenance)> {
        let choice = &self.choice;
        match &self.place {
            Place::Random { seed } => Ok((choice.architecture().seeded_weights(*seed)?, Provenance::Random { seed: *seed })),
            Place::File { path, expected, key, fit } => {
                let file = Checkpoint::open(path)?;
                // Hashed while the tensors are read.
                let (weights, sha256) = std::thread::scope(|scope| {
                    let sha256 = scope.spawn(|| sha256_of_weights(path));
                    let weights = fitting(registry, choice, path, &file, key.as_deref()).and_then(|now| match now == **fit {
                        true => read(choice, path, &file, fit),
                        false => bail!("`{}` was changed while it was looked at", path.display()),
                    });
                    (weights, sha256.join().expect("hashing does not panic"))
                });
                let sha256 = sha256?;
                check_hash(path, &sha256, *expected)?;
                Ok((weights?, of_file(choice, path, sha256, fit)?))
            }
            Place::Published(found) => {
                let Found { path, sha256 } = found.as_ref().context("weights are fetched before they are loaded")?;
                let file = Checkpoint::open(path)?;
                let fit = fitting(registry, choice, path, &file, choice.weights.key.as_deref())?;
                if let Some(why) = fit.absent.values().next() {
                    bail!("the weights in `{}` do not fit `{}`: {why}", path.display(), choice.name());
                }
                Ok((read(choice, path, &file, &fit)?, published(choice, sha256)))
            }
            Place::Exported => bail!("an exported network has its weights in its file"),
        }
    }

    /// The network on a device, with these weights as numbers of this kind. An exported network that is on the CPU already, as
    /// its [`outline`], is that.
    pub fn network(&self, registry: &Registry, (device, kind): (Device, Kind), outline: &Model) -> Result<(Model, Provenance)> {
        let choice = &self.choice;
        if !choice.is_exported() {
            let (weights, provenance) = self.load(registry)?;
            return Ok((Model::of_kind(&choice.architecture(), weights, device, kind)?, provenance));
        }
        let is_there = (device, kind) == (Device::Cpu, Kind::Float);
        let model = if is_there { outline.clone() } else { Model::exported(exported_file(choice)?, device, kind)? };
        let provenance = exported(choice)?;
        // It was hashed as it was opened, or this fails.
        model.check_file()?;
        Ok((model, provenance))
    }
}

/// The published file of `choice`, fetched if it is not on this machine.
pub fn fetch(store: &Store, choice: &Choice, observer: &dyn Observer) -> Result<Found> {
    let name = choice.name();
    let progress = observer.begin(Stage::Fetch(&name), None);
    store.fetch(choice, &mut |arrived, total| progress.at(arrived, total))
}

/// The provenance of an exported network.
fn exported(choice: &Choice) -> Result<Provenance> {
    let path = exported_file(choice)?;
    let (Choice { entry, weights, .. }, card) = (choice, Card::read(path)?);
    let sha256 = sha256_of_file(path)?;
    check_hash(path, &sha256, weights.sha256.as_deref())?;
    Ok(Provenance::Exported {
        path: weights.file.as_deref().map(std::path::absolute).transpose()?,
        url: weights.url.clone(),
        sha256,
        weights: card.weights,
        source: entry.source.clone(),
        licence: entry.licence.clone(),
        citation: entry.citation.clone(),
    })
}

fn published(choice: &Choice, sha256: &str) -> Provenance {
    let Choice { entry, weights, .. } = choice;
    Provenance::Published {
        tag: weights.tag.clone(),
        url: weights.url.clone(),
        sha256: sha256.to_owned(),
        licence: choice.licence().to_owned(),
        citation: entry.citation.clone(),
    }
}

/// The provenance of a user's file, which may be that of published weights.
fn of_file(choice: &Choice, path: &Path, sha256: String, fit: &Fit) -> Result<Provenance> {
    let known = |text: &str| choice.identified.then(|| text.to_owned());
    Ok(Provenance::File {
        path: std::path::absolute(path)?,
        sha256,
        tag: known(&choice.weights.tag),
        licence: known(choice.licence()),
        citation: known(&choice.entry.citation),
        key: Some(fit.key().to_owned()),
        layout: (!fit.layout.is_empty()).then(|| fit.layout.to_owned()),
        classes: fit.classes,
        absent: fit.absent.keys().cloned().collect(),
        left_aside: fit.aside.clone(),
    })
}

/// `expected` is the beginning of the file's SHA-256, if it is known.
fn check_hash(path: &Path, sha256: &str, expected: Option<&str>) -> Result<()> {
    match expected.filter(|expected| !sha256.starts_with(*expected)) {
        Some(expected) => Err(advise(
            format!("`{}` is not the file of the registry: its SHA-256 is {sha256}, expected is {expected}…", path.display()),
            "get the right file, or correct the registry",
        )),
        None => Ok(()),
    }
}
