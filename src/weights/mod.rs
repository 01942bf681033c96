//! Where a network's weights come from, and a record of it.

mod checkpoint;
mod download;
mod fit;
mod identity;
mod provenance;
mod store;

pub use checkpoint::Checkpoint;
pub use download::{Patience, Progress, download};
pub use provenance::Provenance;
pub use store::{CACHE, Found, MIRROR, OFFLINE, Store};

pub(crate) use identity::identified;

use crate::error::advise;
use crate::hash::sha256_of_file;
use crate::models::{Architecture, Card, Model};
use crate::nn::StateDict;
use crate::observer::{Observer, Stage};
use crate::registry::{Choice, Registry};
use anyhow::{Context, Result, bail};
use fit::fit;
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
    /// A user's own file.
    File(PathBuf),
}

impl Weights {
    /// What a run's folder is called after the model's name: `random-0`, `my-checkpoint`, nothing for published weights.
    /// `tags` are those of the model's published weights.
    pub fn label(&self, seed: u64, tags: &[&str]) -> Option<String> {
        match self {
            Weights::Pretrained => None,
            Weights::Random => Some(format!("random-{seed}")),
            Weights::File(path) => {
                let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
                // A file may be called like what other runs are called after.
                let taken = stem.starts_with("random-") || tags.contains(&stem.as_ref());
                Some(if taken { format!("file-{stem}") } else { stem.into_owned() })
            }
        }
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
    /// Of the registry's own, the beginning of its SHA-256 is expected, if it is known.
    File {
        path: PathBuf,
        expected: Option<&'a str>,
    },
    /// None if they have to be fetched.
    Published(Option<Found>),
    Exported,
}

impl<'a> Located<'a> {
    /// Looks where `source` says; for published ones in `store`.
    pub fn find(store: &Store, choice: Choice<'a>, source: &Weights, seed: u64) -> Result<Located<'a>> {
        let place = match (source, &choice.weights.file) {
            _ if choice.is_exported() => Place::Exported,
            (Weights::Random, _) => Place::Random { seed },
            (Weights::File(path), _) => Place::File { path: path.clone(), expected: None },
            (Weights::Pretrained, Some(path)) => Place::File { path: path.clone(), expected: choice.weights.sha256.as_deref() },
            (Weights::Pretrained, None) => Place::Published(store.find(&choice)?),
        };
        Ok(Located { choice, place })
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
            Place::File { path, .. } => Some(of_file(&self.choice, path, sha256_of_file(path)?)?),
            Place::Published(found) => found.as_ref().map(|found| published(&self.choice, &found.sha256)),
            Place::Exported => Some(exported(&self.choice)?),
        })
    }

    /// The weights of a network that is built here.
    pub fn load(&self, registry: &Registry) -> Result<(StateDict, Provenance)> {
        let choice = &self.choice;
        match &self.place {
            Place::Random { seed } => Ok((choice.architecture().seeded_weights(*seed)?, Provenance::Random { seed: *seed })),
            Place::File { path, expected } => load_file(registry, choice, path, *expected),
            Place::Published(found) => {
                let Found { path, sha256 } = found.as_ref().context("weights are fetched before they are loaded")?;
                Ok((read(registry, choice, path, &Checkpoint::open(path)?)?, published(choice, sha256)))
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

/// `expected` is the beginning of the file's SHA-256, if it is known.
fn load_file(registry: &Registry, choice: &Choice, path: &Path, expected: Option<&str>) -> Result<(StateDict, Provenance)> {
    let file = Checkpoint::open(path)?;
    // Hashed while the tensors are read.
    let (weights, sha256) = std::thread::scope(|scope| {
        let sha256 = scope.spawn(|| sha256_of_file(path));
        (read(registry, choice, path, &file), sha256.join().expect("hashing does not panic"))
    });
    let sha256 = sha256?;
    check_hash(path, &sha256, expected)?;
    Ok((weights?, of_file(choice, path, sha256)?))
}

/// The provenance of a user's file, which may be that of published weights.
fn of_file(choice: &Choice, path: &Path, sha256: String) -> Result<Provenance> {
    let known = |text: &str| choice.identified.then(|| text.to_owned());
    Ok(Provenance::File {
        path: std::path::absolute(path)?,
        sha256,
        tag: known(&choice.weights.tag),
        licence: known(choice.licence()),
        citation: known(&choice.entry.citation),
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

fn read(registry: &Registry, choice: &Choice, path: &Path, file: &Checkpoint) -> Result<StateDict> {
    let tensors = file.tensors()?;
    let fit_to = |architecture: &Architecture| -> Result<_> {
        Ok(fit(&architecture.manifest()?, &architecture.layout(), &tensors, &registry.checkpoints))
    };
    let names = match fit_to(choice.architecture)? {
        Ok(names) => names,
        Err(faults) => {
            let fits = |(_, architecture): &(String, &Architecture)| fit_to(architecture).is_ok_and(|fit| fit.is_ok());
            let hint = match registry.architectures().find(fits) {
                Some((name, _)) => format!("the file fits `{name}`"),
                None => format!("it must hold the weights of `{}` ({})", choice.name(), choice.entry.source),
            };
            let problem = format!("the weights in `{}` do not fit `{}`: {faults}", path.display(), choice.name());
            return Err(advise(problem, hint));
        }
    };
    let mut weights = StateDict::new();
    for (key, name) in names {
        let tensor = file.read(&name).with_context(|| format!("cannot read weights from `{}`", path.display()))?;
        if tensor.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            let problem = format!("`{name}` in `{}` has values that are not finite", path.display());
            return Err(advise(problem, "the file is damaged, or the training that made it failed"));
        }
        weights.insert(key, tensor);
    }
    Ok(weights)
}
