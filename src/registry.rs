//! The models that have a name: `models.toml`, parsed and looked up.

use crate::advice::{advise, did_you_mean};
use crate::images::Preprocessing;
use crate::models::Architecture;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Everything in `models.toml`.
#[derive(Debug, Clone)]
pub struct Registry {
    /// In the order of the file.
    pub models: Vec<Entry>,
    preprocessing: BTreeMap<String, Preprocessing>,
}

/// A model: an architecture and the weights published for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name on the command line, lower case with hyphens.
    pub name: String,
    /// What to build.
    pub architecture: Architecture,
    /// The layer extracted when none is asked for: the penultimate one.
    pub default_layer: String,
    /// The number of values of the default layer.
    pub outputs: i64,
    /// Whose module names and numbers these are.
    pub source: String,
    /// Of code and weights.
    pub licence: String,
    /// The paper to cite.
    pub citation: String,
    /// The first ones are meant when no tag is given.
    pub weights: Vec<Weights>,
}

/// A published weights file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// What follows the dot in `resnet50.imagenet1k_v2`.
    pub tag: String,
    /// Where it is published.
    pub url: String,
    /// The SHA-256 of the file, or the prefix of it that is published.
    pub sha256: String,
    /// The name of the preprocessing that the weights were trained with.
    preprocessing: String,
}

/// A model as chosen by a name on the command line.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The model.
    pub entry: &'a Entry,
    /// Its weights: those of the tag, or the first.
    pub weights: &'a Weights,
    /// The preprocessing of these weights.
    pub preprocessing: &'a Preprocessing,
    /// Whether the name had a tag.
    pub tagged: bool,
}

impl Choice<'_> {
    /// `resnet50`, or `resnet50.imagenet1k_v2` if the tag was given.
    pub fn name(&self) -> String {
        if self.tagged { format!("{}.{}", self.entry.name, self.weights.tag) } else { self.entry.name.clone() }
    }
}

impl Registry {
    /// The registry that comes with the program.
    pub fn builtin() -> Result<Registry> {
        Self::parse(include_str!("../models.toml")).context("the built-in models.toml")
    }

    fn parse(text: &str) -> Result<Registry> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            preprocessing: BTreeMap<String, Preprocessing>,
            model: Vec<Entry>,
        }
        let File { preprocessing, model: models } = toml::from_str(text)?;
        for entry in &models {
            entry.weights.first().with_context(|| format!("model `{}` has no weights", entry.name))?;
            for weights in &entry.weights {
                let known = preprocessing.contains_key(&weights.preprocessing);
                anyhow::ensure!(known, "model `{}`: no preprocessing `{}`", entry.name, weights.preprocessing);
            }
        }
        Ok(Registry { models, preprocessing })
    }

    /// The model called `name`, which may carry a weights tag. Case does not matter, nor does `_` for `-`.
    pub fn choose(&self, name: &str) -> Result<Choice<'_>> {
        let (model, tag) = match name.split_once('.') {
            Some((model, tag)) => (model, Some(tag)),
            None => (name, None),
        };
        let entry = self.models.iter().find(|entry| same_name(&entry.name, model)).ok_or_else(|| {
            let near = did_you_mean(&plain(model), self.models.iter().map(|entry| entry.name.as_str()));
            advise(format!("there is no model `{model}`"), format!("{near}`thingsvision models` lists all"))
        })?;
        let weights = match tag {
            None => &entry.weights[0],
            Some(tag) => entry.weights.iter().find(|weights| same_name(&weights.tag, tag)).ok_or_else(|| {
                let tags: Vec<_> = entry.weights.iter().map(|weights| format!("`{}.{}`", entry.name, weights.tag)).collect();
                advise(format!("`{}` has no weights `{tag}`", entry.name), format!("there are {}", tags.join(", ")))
            })?,
        };
        Ok(Choice { entry, weights, preprocessing: &self.preprocessing[&weights.preprocessing], tagged: tag.is_some() })
    }
}

fn same_name(a: &str, b: &str) -> bool {
    plain(a) == plain(b)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_forgive_case_and_hyphens() {
        let registry = Registry::builtin().unwrap();
        assert_eq!(registry.choose("AlexNet").unwrap().name(), "alexnet");
        assert_eq!(registry.choose("ResNet50.IMAGENET1K-V2").unwrap().name(), "resnet50.imagenet1k_v2");
        assert_eq!(registry.choose("resnet50").unwrap().weights.tag, "imagenet1k_v1");
    }

    #[test]
    fn preprocessing_belongs_to_the_weights() {
        let registry = Registry::builtin().unwrap();
        assert_eq!(registry.choose("resnet50").unwrap().preprocessing.resize, 256);
        assert_eq!(registry.choose("resnet50.imagenet1k_v2").unwrap().preprocessing.resize, 232);
    }

    #[test]
    fn a_misspelt_entry_is_refused() {
        let text = include_str!("../models.toml").replace("default_layer", "defualt_layer");
        assert!(format!("{:#}", Registry::parse(&text).unwrap_err()).contains("defualt_layer"));
    }
}
