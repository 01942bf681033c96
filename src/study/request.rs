//! `study.toml`: which networks, which images, which targets; and the requests that it stands for.

use super::one_or_more::{OneOf, one_or_more, some_or_more};
use crate::device::Preference;
use crate::error::advise;
use crate::extract::{self, Overrides};
use crate::images::AverageBy;
use crate::plain_file;
use crate::readout::{Readout, Tokens};
use crate::rsa::{self, Comparison, Over};
use crate::weights::Weights;
use anyhow::{Context, Result};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};

/// A study as its file describes it; paths begin where the file lies.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// The folder that everything goes to.
    pub out: PathBuf,
    /// The networks.
    #[serde(deserialize_with = "one_or_more")]
    pub models: Vec<Network>,
    /// Their weights, unless a network has its own.
    #[serde(default = "pretrained", deserialize_with = "one_or_more")]
    pub weights: Vec<Initial>,
    /// How RDMs are compared.
    #[serde(default)]
    pub compare: Comparison,
    /// Permutations of the stimuli in the test; 0 for no test.
    #[serde(default = "thousand")]
    pub permutations: u32,
    /// Bootstraps for intervals; 0 for none.
    #[serde(default = "thousand")]
    pub bootstrap: u32,
    /// To what intervals generalise.
    #[serde(default)]
    pub over: Over,
    /// Of permutations and bootstraps.
    #[serde(default)]
    pub seed: u64,
    /// By this many clusters of the first target stimuli are ordered in pictures.
    #[serde(default = "five")]
    pub clusters: usize,
    /// Where networks run.
    #[serde(default)]
    pub device: Preference,
    /// The image sets.
    #[serde(rename = "dataset")]
    pub datasets: Vec<Dataset>,
}

/// A network and what is wanted of it, each as in [`extract::Request`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// As `thingsvision models` lists it.
    pub model: String,
    /// Empty for the default layer.
    #[serde(default, deserialize_with = "one_or_more")]
    pub layers: Vec<String>,
    /// What is kept of each activation.
    pub readout: Option<Readout>,
    /// The name of another preprocessing.
    pub preprocess: Option<String>,
    /// Which tokens are special.
    pub tokens: Option<Tokens>,
    /// Instead of those of the study.
    #[serde(default, deserialize_with = "some_or_more")]
    pub weights: Option<Vec<Initial>>,
}

/// Which weights a network has: some, or those of several seeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Initial {
    /// The published ones, or a checkpoint.
    Trained(Weights),
    /// Drawn at random, with the seeds 0, 1, … of this many networks.
    Random(u64),
}

/// A study of more random networks would never end.
const MOST_SEEDS: u64 = 1000;

impl<'de> Deserialize<'de> for Initial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Initial, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix("random") {
            Some("") => Ok(Initial::Random(1)),
            Some(rest) if rest.starts_with(':') => match rest[1..].parse() {
                Ok(count @ 1..=MOST_SEEDS) => Ok(Initial::Random(count)),
                _ => Err(D::Error::custom(format!(
                    "`{text}` is no number of random networks from 1 to {MOST_SEEDS}: write \"random:5\""
                ))),
            },
            Some(_) if !text.contains(['.', '/']) => {
                Err(D::Error::custom(format!("`{text}` is no kind of weights: write \"random:5\", or the name of a file")))
            }
            _ => Ok(Initial::Trained(text.into())),
        }
    }
}

/// Images, and what people or brains made of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The name in tables and figures.
    pub name: String,
    /// A folder or a stack.
    pub images: Option<PathBuf>,
    /// A list of them.
    pub image_list: Option<PathBuf>,
    /// Texts instead of images, as of `thingsvision extract --texts`.
    pub texts: Option<PathBuf>,
    /// The sentences that each is put in.
    #[serde(default, deserialize_with = "one_or_more")]
    pub templates: Vec<String>,
    /// Over which images the rows are means: those of a folder, or of a value in a column of the list.
    pub average_by: Option<AverageBy>,
    /// RDMs of behaviour, as in [`rsa::Request`].
    #[serde(default, deserialize_with = "one_or_more")]
    pub behavior: Vec<String>,
    /// RDMs of brain areas.
    #[serde(default, deserialize_with = "one_or_more")]
    pub fmri: Vec<String>,
    /// `folder`, or a table of stimuli and their categories.
    pub categories: Option<String>,
}

fn pretrained() -> Vec<Initial> {
    vec![Initial::Trained(Weights::Pretrained)]
}

fn thousand() -> u32 {
    1000
}

fn five() -> usize {
    5
}

impl OneOf<'_> for Initial {}

impl OneOf<'_> for Network {
    fn of_text<E: Error>(text: &str) -> Result<Network, E> {
        Ok(Network { model: text.to_owned(), layers: Vec::new(), readout: None, preprocess: None, tokens: None, weights: None })
    }
}

impl Study {
    /// Reads the file at `path`; paths in it are made to begin where it lies.
    pub fn read(path: &Path) -> Result<Study> {
        let text = plain_file::read_to_string(path).map_err(|error| {
            advise(
                format!("cannot read `{}`: {error}", path.display()),
                "name the file that describes the study; `study --help` has an example",
            )
        })?;
        let study: Study = toml::from_str(&text).map_err(|error| {
            advise(
                format!("`{}` cannot be used: {error}", path.display()),
                "the guide explains the file (docs/figures.md); `study --help` has an example",
            )
        })?;
        let study = study.below(path.parent().unwrap_or(Path::new("")));
        study.check().with_context(|| format!("`{}` cannot be used", path.display()))?;
        Ok(study)
    }

    /// The comparison of a dataset, without runs.
    pub(super) fn comparison(&self, dataset: &Dataset) -> rsa::Request {
        rsa::Request {
            behavior: dataset.behavior.clone(),
            fmri: dataset.fmri.clone(),
            compare: self.compare,
            permutations: self.permutations,
            bootstrap: self.bootstrap,
            over: self.over,
            seed: self.seed,
            out: self.out.join(&dataset.name).join("rsa"),
            ..rsa::Request::default()
        }
    }

    pub(super) fn images(&self, dataset: &Dataset) -> extract::Request {
        extract::Request {
            out: self.out.join("activations").join(&dataset.name),
            average_by: dataset.average_by.clone(),
            device: self.device,
            force: true,
            images: dataset.images.iter().cloned().collect(),
            image_list: dataset.image_list.clone(),
            texts: dataset.texts.clone(),
            templates: dataset.templates.clone(),
            ..extract::Request::default()
        }
    }

    /// The extractions of a network on a dataset, one for each of its weights, with networks from `places`.
    pub(super) fn extractions(&self, dataset: &Dataset, network: &Network, places: &extract::Request) -> Vec<extract::Request> {
        let extract::Request { registry, cache, offline, .. } = places.clone();
        let common = extract::Request {
            models: vec![network.model.clone()],
            layers: network.layers.clone(),
            readout: network.readout,
            tokens: network.tokens,
            pixels: Overrides { preprocess: network.preprocess.clone(), ..Overrides::default() },
            registry,
            cache,
            offline,
            ..self.images(dataset)
        };
        let request = |weights: Weights, seed: u64| extract::Request { weights, seed, ..common.clone() };
        let all = self.weights_of(network).iter().flat_map(|initial| match initial {
            Initial::Trained(weights) => vec![request(weights.clone(), 0)],
            Initial::Random(seeds) => (0..*seeds).map(|seed| request(Weights::Random, seed)).collect(),
        });
        all.collect()
    }

    fn below(mut self, folder: &Path) -> Study {
        self.out = folder.join(&self.out);
        for weights in [&mut self.weights].into_iter().chain(self.models.iter_mut().filter_map(|model| model.weights.as_mut())) {
            for file in weights.iter_mut() {
                if let Initial::Trained(Weights::File(path)) = file {
                    *path = folder.join(&path);
                }
            }
        }
        for model in self.models.iter_mut().map(|network| &mut network.model) {
            let path = folder.join(&*model);
            if let (true, Some(_), Some(path)) = (path.is_file(), path.extension(), path.to_str()) {
                *model = path.to_owned();
            }
        }
        for dataset in &mut self.datasets {
            for path in [&mut dataset.images, &mut dataset.image_list, &mut dataset.texts].into_iter().flatten() {
                *path = folder.join(&path);
            }
            for target in dataset.behavior.iter_mut().chain(&mut dataset.fmri) {
                let (name, files) = target.split_once('=').map_or(("", &**target), |(name, files)| (name, files));
                let files: Vec<String> = files.split(',').map(|file| below(folder, file)).collect();
                let equals = if name.is_empty() { "" } else { "=" };
                *target = format!("{name}{equals}{}", files.join(","));
            }
            if let Some(categories) = dataset.categories.as_mut().filter(|categories| *categories != "folder") {
                *categories = below(folder, categories);
            }
        }
        self
    }

    fn check(&self) -> Result<()> {
        if self.models.is_empty() || self.datasets.is_empty() {
            return Err(advise("it names no models, or no dataset", "give `models = [\"alexnet\"]` and a [[dataset]]"));
        }
        if let Some(network) = self.models.iter().find(|network| self.weights_of(network).is_empty()) {
            return Err(advise(
                format!("`{}` is to have no weights", network.model),
                "give `weights = [\"pretrained\", \"random:5\"]`, or leave it out for pretrained ones",
            ));
        }
        if self.bootstrap > 0 && self.bootstrap < 40 {
            return Err(advise("`bootstrap` is less than 40, too few for an interval", "take 1000, or 0 for no intervals"));
        }
        for (number, dataset) in self.datasets.iter().enumerate() {
            dataset.check()?;
            if self.datasets[..number].iter().any(|other| other.name.to_lowercase() == dataset.name.to_lowercase()) {
                return Err(advise(format!("two datasets are called `{}`", dataset.name), "give each a name of its own"));
            }
        }
        Ok(())
    }

    /// The weights of `network`.
    pub fn weights_of<'a>(&'a self, network: &'a Network) -> &'a [Initial] {
        network.weights.as_deref().unwrap_or(&self.weights)
    }
}

impl Dataset {
    fn check(&self) -> Result<()> {
        let name = &self.name;
        let plain = |letter: char| letter.is_alphanumeric() || "-_".contains(letter);
        if name.is_empty() || name.to_lowercase() == "activations" || !name.chars().all(plain) {
            return Err(advise(
                format!("`{name}` cannot be the name of a dataset, for a folder is called so"),
                "use letters, digits, hyphens and underscores; `activations` is taken",
            ));
        }
        let has_images = self.images.is_some() || self.image_list.is_some();
        if !has_images && self.texts.is_none() {
            return Err(advise(format!("dataset `{name}` has no images"), "give `images = \"folder\"`, `image_list` or `texts`"));
        }
        if self.texts.is_some() && (has_images || self.average_by.is_some()) {
            return Err(advise(
                format!("dataset `{name}` has texts and images"),
                "give texts a dataset of their own, without `average_by`",
            ));
        }
        if self.texts.is_none() && !self.templates.is_empty() {
            return Err(advise(format!("dataset `{name}` has templates and no texts"), "give `texts = \"concepts.txt\"`"));
        }
        if self.behavior.is_empty() && self.fmri.is_empty() {
            return Err(advise(format!("dataset `{name}` has nothing to compare with"), "give `behavior` or `fmri`, RDM files"));
        }
        Ok(())
    }
}

fn below(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}
