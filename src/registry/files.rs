//! Networks that PyTorch exported: those that users give as files, and what files say of those that the registry lists.

use super::{Choice, Entry, PublishedWeights, Registry, same_name};
use crate::error::advise;
use crate::models::{Architecture, Card};
use crate::readout::Readout;
use anyhow::Result;
use std::path::{Path, PathBuf};

impl Registry {
    /// Adds the networks that `names` give as files: those that PyTorch exported. What other exported networks that are named
    /// leave open their files say, if `file` knows where these are.
    pub fn add_files<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a String> + Clone,
        mut file: impl FnMut(&Choice) -> Result<Option<PathBuf>>,
    ) -> Result<()> {
        for name in names.clone() {
            if self.is_file(name) {
                self.add_file(name)?;
            } else {
                // A wrong name waits for no other's file.
                self.choose(name)?;
            }
        }
        for name in names {
            let choice = self.choose(name)?;
            if choice.is_exported()
                && let Some(path) = file(&choice)?
            {
                let (entry, tag) = (choice.entry.name.clone(), choice.weights.tag.clone());
                let entry = self.models.iter_mut().find(|other| other.name == entry).expect("just chosen");
                entry.complete(&tag, path)?;
            }
        }
        Ok(())
    }

    /// Whether `name` means a file: by its ending, or because no model is called so and there is one.
    fn is_file(&self, name: &str) -> bool {
        let path = Path::new(name);
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
        ["pt", "pth", "ts", "pt2"].contains(&ending.as_str()) || path.is_file() && self.choose(name).is_err()
    }

    fn add_file(&mut self, name: &str) -> Result<()> {
        let path = Path::new(name);
        if !path.is_file() {
            return Err(advise(
                format!("there is no file `{name}`"),
                "give the path of a network that PyTorch exported, or the name of a model: `thingsvision models` lists all",
            ));
        }
        if self.choose(name).is_ok() {
            return Ok(());
        }
        let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        // A file may be called like a model that is known.
        let taken = self.models.iter().any(|entry| entry.has_tagged(&stem) || entry.names().any(|name| same_name(name, &stem)));
        let (url, sha256, found, preprocessing, preprocessing_in_file) = (None, None, None, None, None);
        let file = Some(path.to_owned());
        let (activation, architecture, licence) = (None, None, None);
        let weights = PublishedWeights {
            text: None,
            key: None,
            tag: "file".into(),
            url,
            file,
            sha256,
            preprocessing,
            activation,
            architecture,
            licence,
            found,
            preprocessing_in_file,
        };
        self.models.push(Entry {
            text: None,
            name: if taken { format!("file-{stem}") } else { stem.into_owned() },
            aliases: vec![name.to_owned()],
            architecture: Architecture::Exported,
            default_layer: String::new(),
            default_readout: Readout::None,
            outputs: None,
            tokens: None,
            same_keys: Vec::new(),
            source: String::new(),
            licence: String::new(),
            citation: String::new(),
            weights: vec![weights],
        });
        Ok(())
    }
}

impl Entry {
    /// Takes from the card of an exported network, in the file of the weights `tag` at `path`, what the entry leaves open.
    fn complete(&mut self, tag: &str, path: PathBuf) -> Result<()> {
        let card = Card::read(&path)?;
        if self.default_layer.is_empty() {
            self.default_layer = card.default_layer.unwrap_or_else(|| "output".into());
            self.default_readout = card.default_readout;
        }
        self.tokens = self.tokens.or(card.tokens);
        let source = [card.source, card.exported].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
        for (own, text) in [(&mut self.source, source), (&mut self.licence, card.licence), (&mut self.citation, card.citation)] {
            if own.is_empty() {
                *own = text;
            }
        }
        for weights in self.weights.iter_mut().filter(|weights| weights.tag == tag) {
            weights.preprocessing_in_file = card.preprocessing.clone();
            weights.found = Some(path.clone());
        }
        Ok(())
    }
}
