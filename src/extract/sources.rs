//! Where a request finds its networks and their weights.

use super::request::Request;
use crate::error::advise;
use crate::observer::Observer;
use crate::registry::{Choice, Registry};
use crate::weights::{self, Store, Weights, identified};
use anyhow::Result;
use std::path::PathBuf;

/// The registry with all networks that are asked for, and the store of published weights.
pub struct Sources {
    /// Names.
    pub registry: Registry,
    /// Files.
    pub store: Store,
}

impl Sources {
    /// Those of `request`, with the networks that it names as files; exported ones that are not on this machine are fetched.
    pub fn open(request: &Request, observer: &dyn Observer) -> Result<Sources> {
        Self::open_with(request, |store, choice| match store.path(choice)? {
            Some(path) => Ok(Some(path)),
            None => Ok(Some(weights::fetch(store, choice, observer)?.path)),
        })
    }

    /// The same without fetching anything.
    pub fn open_as_they_are(request: &Request) -> Result<Sources> {
        Self::open_with(request, Store::path)
    }

    fn open_with(request: &Request, file: impl Fn(&Store, &Choice) -> Result<Option<PathBuf>>) -> Result<Sources> {
        let mut registry = Registry::load(request.registry.as_deref())?;
        let store = Store::open(request.cache.as_deref(), request.offline)?;
        registry.add_files(&request.models, |choice| file(&store, choice))?;
        Ok(Sources { registry, store })
    }

    /// The models of `request` by their names, each once, and the folders of their runs.
    pub(super) fn choices(&self, request: &Request) -> Result<Vec<(Choice<'_>, PathBuf)>> {
        let mut choices: Vec<(Choice, PathBuf)> = Vec::new();
        for name in &request.models {
            let choice = self.registry.choose(name)?;
            let choice = if request.texts.is_some() { self.registry.text_tower(&choice)? } else { choice };
            if choice.is_exported() && request.weights != Weights::Pretrained {
                return Err(advise(
                    format!("`{}` is an exported network, and has the weights that are in its file", choice.name()),
                    "leave --weights out; examples/export_model.py exports networks with other weights (--random, --checkpoint)",
                ));
            }
            let mut choice = identified(&self.registry, choice, &request.weights, request.activation)?;
            if request.weights == Weights::Random && request.activation.is_none() {
                // OpenCLIP's constructor makes another than OpenAI's.
                choice.activation = choice.architecture.constructed_activation();
            }
            let folder = folder(request, &choice);
            if choices.iter().any(|(_, other)| *other == folder) {
                return Err(advise(format!("`{}` is asked for twice", choice.name()), "name each model once"));
            }
            choices.push((choice, folder));
        }
        Ok(choices)
    }
}

/// `activations/alexnet.random-0`.
fn folder(request: &Request, choice: &Choice) -> PathBuf {
    let tags: Vec<_> = choice.entry.weights.iter().map(|weights| weights.tag.as_str()).collect();
    let label = request.weights.label(request.seed, &tags).map(|label| format!(".{label}")).unwrap_or_default();
    let shard = request.shard.map(|shard| shard.ending()).unwrap_or_default();
    let of_texts = if request.texts.is_some() { ".text" } else { "" };
    request.out.join(choice.name() + of_texts + &request.reduction.label() + &label + &shard)
}
