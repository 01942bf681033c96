//! Published transforms of features: of which networks and layers they were learnt, and where their files are (`transforms.toml`).

use super::{Choice, Registry, same_name};
use crate::error::{advise, did_you_mean};
use crate::readout::Readout;
use crate::weights::{Content, Published};
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::collections::BTreeSet;

/// Transforms of one kind, each in a file of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transforms {
    /// As `--transform` has it: `gLocal`.
    pub name: String,
    /// Of the files.
    pub licence: String,
    /// The paper to cite.
    pub citation: String,
    /// What stands before the path of each file.
    #[serde(default)]
    url: String,
    /// The files; none if none is published.
    #[serde(default, rename = "file")]
    files: Vec<TransformFile>,
}

/// A published transform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformFile {
    /// Of whose features it was learnt, with the tag of their weights; of one of several if its publisher does not say which.
    pub models: Vec<String>,
    /// Of which layer.
    pub layer: String,
    /// Of which readout, where others of the layer have as many numbers.
    pub readout: Option<Readout>,
    /// What comes after the address of all.
    path: String,
    /// The SHA-256 of the file.
    sha256: Option<String>,
    /// What Git calls its content.
    git: Option<String>,
    /// What whoever uses it has to know.
    pub note: Option<String>,
}

/// A published transform, and what holds for all of its kind.
#[derive(Debug, Clone, Copy)]
pub struct TransformChoice<'a> {
    /// All of its kind.
    pub kind: &'a Transforms,
    /// It.
    pub file: &'a TransformFile,
}

impl Transforms {
    pub(super) fn check(&self) -> Result<()> {
        let is_hash = |hash: &Option<String>, digits: usize| {
            hash.as_ref().is_none_or(|hash| hash.len() == digits && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        super::check_file_name(&self.name)?;
        for file in &self.files {
            let place = format!("the transform `{}` at `{}`", self.name, file.path);
            ensure!(!file.models.is_empty(), "{place} is of no model");
            ensure!(is_hash(&file.sha256, 64) && is_hash(&file.git, 40), "the hash of {place} is none");
            ensure!(file.sha256.is_some() || file.git.is_some(), "{place} has neither a `sha256` nor a name in `git`");
        }
        Ok(())
    }
}

impl TransformChoice<'_> {
    /// The file where it is published.
    pub fn published(&self) -> Published {
        let TransformChoice { kind, file } = self;
        let url = format!("{}{}", kind.url, file.path);
        let owner = format!("the transform `{}` of `{}`", kind.name, file.models[0]);
        Published {
            content: Content { sha256: file.sha256.clone(), git: file.git.clone() },
            file: None,
            again: "remove it, and give the same command again".into(),
            by_hand: format!("download {url} elsewhere, and name the file: --transform transform.npz"),
            // All files have the same name.
            is_unique: false,
            url: Some(url),
            owner,
        }
    }

    fn is_same_file(&self, other: &TransformChoice) -> bool {
        let [a, b] = [self.file, other.file];
        a.sha256.is_some() && a.sha256 == b.sha256 || a.git.is_some() && a.git == b.git
    }
}

/// Whose features the weights of a run make: `alexnet.imagenet1k_v1`.
pub fn tagged(choice: &Choice, tag: &str) -> String {
    format!("{}.{tag}", choice.entry.name)
}

impl Registry {
    fn all_transforms(&self) -> impl Iterator<Item = TransformChoice<'_>> {
        self.transforms.iter().flat_map(|kind| kind.files.iter().map(move |file| TransformChoice { kind, file }))
    }

    /// The transforms called `name`; fails if there are none, or no files of any.
    pub fn transforms_called(&self, name: &str) -> Result<Vec<TransformChoice<'_>>> {
        let Some(kind) = self.transforms.iter().find(|kind| same_name(&kind.name, name)) else {
            let names: BTreeSet<&str> = self.transforms.iter().map(|kind| kind.name.as_str()).collect();
            let near = did_you_mean(name, names);
            return Err(advise(
                format!("there is no transform `{name}`"),
                format!("{near}name a published one, as gLocal, or a file that ends in .npz"),
            ));
        };
        let found: Vec<_> = self.all_transforms().filter(|choice| same_name(&choice.kind.name, name)).collect();
        if found.is_empty() {
            return Err(advise(
                format!("no file of the transform `{}` is published ({})", kind.name, kind.citation),
                "ask the authors for that of your network, or learn one: --transform FILE.npz takes `weights`, `mean`, `std`, `bias`",
            ));
        }
        Ok(found)
    }

    /// The transforms of the features of `model`, which is a name with a tag.
    pub fn transforms_of(&self, model: &str) -> Vec<TransformChoice<'_>> {
        self.all_transforms().filter(|choice| choice.file.models.iter().any(|other| other == model)).collect()
    }

    /// The published transforms whose file has this content.
    pub fn transforms_with(&self, is_it: &dyn Fn(&Content) -> bool) -> Vec<TransformChoice<'_>> {
        self.all_transforms().filter(|choice| is_it(&choice.published().content)).collect()
    }

    /// Other networks for which the very file of `choice` is published.
    pub fn also_published_for(&self, choice: &TransformChoice) -> Vec<&str> {
        let others = self.all_transforms().filter(|other| !std::ptr::eq(other.file, choice.file) && other.is_same_file(choice));
        others.map(|other| other.file.models[0].as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_are_of_networks_and_layers_that_there_are() {
        let registry = Registry::load(None).unwrap();
        let gl = registry.transforms_called("glocal").unwrap();
        assert_eq!(gl.len(), 12);
        for choice in gl {
            for name in &choice.file.models {
                let model = registry.choose(name).unwrap();
                assert_eq!(*name, tagged(&model, &model.weights.tag));
                let manifest = model.architecture().manifest().unwrap();
                assert!(manifest.module(&choice.file.layer).is_some(), "{name} {}", choice.file.layer);
                let is_default = choice.file.layer == model.entry.default_layer;
                assert!(!is_default || choice.file.readout.unwrap_or_default() == model.entry.default_readout, "{name}");
            }
        }
        let of = |model: &str| registry.transforms_of(model)[0];
        assert_eq!(registry.also_published_for(&of("dinov2-vitb14.lvd142m")), ["dino-vitb16.dino"]);
        assert_eq!(registry.also_published_for(&of("dino-vitb16.dino")), ["dinov2-vitb14.lvd142m"]);
        assert!(registry.also_published_for(&of("dino-vitb8.dino")).is_empty());
        assert!(registry.transforms_called("naive").is_err());
    }
}
