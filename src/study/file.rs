//! `study.toml`: which networks, which images, which targets.

use crate::error::advise;
use crate::rsa::{Comparison, Over};
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::de::{DeserializeOwned, Error};
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
    pub weights: Vec<Weights>,
    /// How RDMs are compared.
    #[serde(default, deserialize_with = "by_name")]
    pub compare: Comparison,
    /// Relabellings of the stimuli in the test; 0 for no test.
    #[serde(default = "thousand")]
    pub permutations: u32,
    /// Bootstraps for intervals; 0 for none.
    #[serde(default = "thousand")]
    pub bootstrap: u32,
    /// To what intervals generalise.
    #[serde(default, deserialize_with = "by_name")]
    pub over: Over,
    /// Of permutations and bootstraps.
    #[serde(default)]
    pub seed: u64,
    /// By so many clusters of the first target stimuli are ordered in pictures.
    #[serde(default = "five")]
    pub clusters: usize,
    /// Where networks run, as `extract --device`.
    #[serde(default = "auto")]
    pub device: String,
    /// The image sets.
    #[serde(rename = "dataset")]
    pub datasets: Vec<Dataset>,
}

/// A network and the layers that are wanted of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// As `thingsvision models` lists it.
    pub model: String,
    /// As `extract --layer`; empty for the default layer.
    pub layers: Vec<String>,
    /// As `extract --readout`.
    pub readout: Option<String>,
    /// As `extract --preprocess`.
    pub preprocess: Option<String>,
    /// As `extract --tokens`.
    pub tokens: Option<String>,
    /// Instead of those of the study.
    pub weights: Option<Vec<Weights>>,
}

impl<'de> Deserialize<'de> for Network {
    /// A name, or a table.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Network, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            model: String,
            #[serde(default, deserialize_with = "one_or_more")]
            layers: Vec<String>,
            readout: Option<String>,
            preprocess: Option<String>,
            tokens: Option<String>,
            #[serde(default, deserialize_with = "some_or_more")]
            weights: Option<Vec<Weights>>,
        }
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(model) => {
                Ok(Network { model, layers: Vec::new(), readout: None, preprocess: None, tokens: None, weights: None })
            }
            table => {
                let table: Table = table.try_into().map_err(D::Error::custom)?;
                let Table { model, layers, readout, preprocess, tokens, weights } = table;
                Ok(Network { model, layers, readout, preprocess, tokens, weights })
            }
        }
    }
}

/// Which weights a network has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weights {
    /// The published ones.
    Pretrained,
    /// Drawn at random, with the seeds 0, 1, … of so many networks.
    Random(u64),
    /// A checkpoint.
    File(String),
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Weights, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix("random") {
            Some("") => Ok(Weights::Random(1)),
            Some(rest) if rest.starts_with(':') => match rest[1..].parse() {
                Ok(count) if count > 0 => Ok(Weights::Random(count)),
                _ => Err(D::Error::custom(format!("`{text}` is no number of random networks: write \"random:5\""))),
            },
            _ if text == "pretrained" => Ok(Weights::Pretrained),
            Some(_) if !text.contains(['.', '/']) => {
                Err(D::Error::custom(format!("`{text}` is no kind of weights: write \"random:5\", or the name of a file")))
            }
            _ => Ok(Weights::File(text)),
        }
    }
}

/// Images, and what people or brains made of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// The name in tables and figures.
    pub name: String,
    /// As `extract --images`.
    pub images: Option<PathBuf>,
    /// As `extract --image-list`.
    pub image_list: Option<PathBuf>,
    /// As `extract --average-by`.
    pub average_by: Option<String>,
    /// RDMs of behaviour, as `rsa --behavior`.
    #[serde(default, deserialize_with = "one_or_more")]
    pub behavior: Vec<String>,
    /// RDMs of brain areas, as `rsa --fmri`.
    #[serde(default, deserialize_with = "one_or_more")]
    pub fmri: Vec<String>,
    /// As `plot rdm --categories`.
    pub categories: Option<String>,
}

fn pretrained() -> Vec<Weights> {
    vec![Weights::Pretrained]
}

fn thousand() -> u32 {
    1000
}

fn five() -> usize {
    5
}

fn auto() -> String {
    "auto".into()
}

/// A value of an enum by the name that it has on the command line.
fn by_name<'de, D: Deserializer<'de>, T: ValueEnum>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    T::from_str(&text, false).map_err(|_| {
        let names = T::value_variants().iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()));
        D::Error::custom(format!("`{text}` is none of {}", names.collect::<Vec<_>>().join(", ")))
    })
}

/// One value, or a list of them.
fn one_or_more<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let values = match toml::Value::deserialize(deserializer)? {
        toml::Value::Array(values) => values,
        one => vec![one],
    };
    values.into_iter().map(|value| value.try_into().map_err(D::Error::custom)).collect()
}

fn some_or_more<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    one_or_more(deserializer).map(Some)
}

impl Study {
    /// Reads the file at `path`; paths in it are made to begin where it lies.
    pub fn read(path: &Path) -> Result<Study> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            advise(
                format!("cannot read `{}`: {error}", path.display()),
                "name the file that describes the study; the README has one",
            )
        })?;
        let study: Study = toml::from_str(&text).map_err(|error| {
            advise(
                format!("`{}` cannot be used: {error}", path.display()),
                "the README explains the file; `study --help` has an example",
            )
        })?;
        let study = study.below(path.parent().unwrap_or(Path::new("")));
        study.check().with_context(|| format!("`{}` cannot be used", path.display()))?;
        Ok(study)
    }

    fn below(mut self, folder: &Path) -> Study {
        self.out = folder.join(&self.out);
        for weights in [&mut self.weights].into_iter().chain(self.models.iter_mut().filter_map(|model| model.weights.as_mut())) {
            for file in weights.iter_mut() {
                if let Weights::File(path) = file {
                    *path = below(folder, path);
                }
            }
        }
        for dataset in &mut self.datasets {
            for path in [&mut dataset.images, &mut dataset.image_list].into_iter().flatten() {
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
    pub fn weights_of<'a>(&'a self, network: &'a Network) -> &'a [Weights] {
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
        if self.images.is_none() && self.image_list.is_none() {
            return Err(advise(format!("dataset `{name}` has no images"), "give `images = \"folder\"`, or `image_list`"));
        }
        if self.behavior.is_empty() && self.fmri.is_empty() {
            return Err(advise(format!("dataset `{name}` has nothing to compare with"), "give `behavior` or `fmri`, RDM files"));
        }
        match self.average_by.as_deref() {
            None | Some("folder") => Ok(()),
            Some(other) => Err(advise(
                format!("dataset `{name}`: `average_by = \"{other}\"` is not known"),
                "images can be averaged by \"folder\"",
            )),
        }
    }
}

fn below(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Study> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.toml");
        std::fs::write(&path, text).unwrap();
        Study::read(&path)
    }

    const DATASET: &str = "[[dataset]]\nname = \"a\"\nimages = \"i\"\nbehavior = \"b.npy\"\n";

    #[test]
    fn what_is_not_said_has_its_default_and_paths_begin_at_the_file() {
        let text = format!(
            "out = \"o\"\nmodels = [\"alexnet\", {{ model = \"resnet50\", layers = [\"layer4.*\"] }}]\nweights = [\"pretrained\", \"random:5\"]\n{DATASET}fmri = [\"IT=s1.npy,s2.npy\"]\n"
        );
        let study: Study = toml::from_str(&text).unwrap();
        let study = study.below(Path::new("/lab"));
        assert_eq!(study.out, Path::new("/lab/o"));
        assert_eq!(study.datasets[0].fmri, ["IT=/lab/s1.npy,/lab/s2.npy"]);
        assert_eq!(study.datasets[0].behavior, ["/lab/b.npy"]);
        assert_eq!(study.weights_of(&study.models[0]), [Weights::Pretrained, Weights::Random(5)]);
        assert_eq!((study.compare, study.permutations, study.clusters), (Comparison::Pearson, 1000, 5));
        assert_eq!(study.models[1].layers, ["layer4.*"]);
    }

    #[test]
    fn mistakes_are_named() {
        let problem = |text: &str| format!("{:#}", read(text).unwrap_err());
        assert!(
            problem(&format!("out = \"o\"\nmodels = [\"a\"]\ncompare = \"person\"\n{DATASET}"))
                .contains("`person` is none of pearson")
        );
        assert!(
            problem(&format!("out = \"o\"\nmodels = [\"a\"]\nweights = [\"random:x\"]\n{DATASET}"))
                .contains("no number of random networks")
        );
        assert!(problem(&format!("out = \"o\"\nmodel = [\"a\"]\n{DATASET}")).contains("unknown field `model`"));
        assert!(problem(&format!("out = \"o\"\nmodels = [\"a\"]\n{DATASET}{DATASET}")).contains("two datasets are called `a`"));
        let lonely = "[[dataset]]\nname = \"a\"\nimages = \"i\"\n";
        assert!(problem(&format!("out = \"o\"\nmodels = [\"a\"]\n{lonely}")).contains("nothing to compare with"));
        assert!(
            problem(&format!("out = \"o\"\nmodels = [\"a\"]\n{}", DATASET.replace("\"a\"", "\"../a\"")))
                .contains("cannot be the name")
        );
    }
}
