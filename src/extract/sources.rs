//! Where a request finds its networks and their weights.

use super::request::Request;
use crate::error::advise;
use crate::observer::{Observer, Stage};
use crate::registry::{Choice, Registry};
use crate::weights::{self, Found, Published, Store, Weights, identified};
use anyhow::Result;
use std::collections::HashMap;
use std::path::PathBuf;

/// The registry with all networks that are asked for, and the store of published weights.
pub struct Sources {
    /// Names.
    pub registry: Registry,
    /// Files.
    pub store: Store,
    /// The files of the tokenizers of text towers, by their addresses, of those that are on this machine.
    pub(super) tokenizers: HashMap<String, PathBuf>,
}

impl Sources {
    /// Those of `request`, with the networks that it names as files; exported ones that are not on this machine are fetched.
    pub fn open(request: &Request, observer: &dyn Observer) -> Result<Sources> {
        let mut sources = Self::open_with(request, |store, choice| match store.path(choice)? {
            Some(path) => Ok(Some(path)),
            None => Ok(Some(weights::fetch(store, choice, observer)?.path)),
        })?;
        sources.find_tokenizers(request, |store, file| {
            let progress = observer.begin(Stage::Fetch("tokenizer"), None);
            store.fetch(file, &mut |arrived, total| progress.at(arrived, total)).map(Some)
        })?;
        Ok(sources)
    }

    /// The same without fetching anything.
    pub fn open_as_they_are(request: &Request) -> Result<Sources> {
        let mut sources = Self::open_with(request, Store::path)?;
        sources.find_tokenizers(request, |store, file| store.find(file))?;
        Ok(sources)
    }

    fn open_with(request: &Request, file: impl Fn(&Store, &Choice) -> Result<Option<PathBuf>>) -> Result<Sources> {
        let mut registry = Registry::load(request.registry.as_deref())?;
        let store = Store::open(request.cache.as_deref(), request.offline)?;
        registry.add_files(&request.models, |choice| file(&store, choice))?;
        Ok(Sources { registry, store, tokenizers: HashMap::new() })
    }

    /// Looks for the tokenizers of the text towers that are asked for, where no file of the user's is named.
    fn find_tokenizers(&mut self, request: &Request, find: impl Fn(&Store, Published) -> Result<Option<Found>>) -> Result<()> {
        if request.texts.is_none() || request.tokenizer.is_some() {
            return Ok(());
        }
        for name in &request.models {
            let choice = self.registry.text_tower(&self.registry.choose(name)?)?;
            let Some(url) = choice.tokenizer() else { continue };
            let file = Published {
                owner: format!("the tokenizer of `{}`", choice.name()),
                url: Some(url.to_owned()),
                again: "remove it, and give the command again".to_owned(),
                by_hand: format!("download {url} elsewhere, and name the file: --tokenizer tokenizer.json"),
                ..Published::default()
            };
            if let Some(found) = find(&self.store, file)? {
                self.tokenizers.insert(url.to_owned(), found.path);
            }
        }
        Ok(())
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
