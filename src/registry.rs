//! The models that have a name: `models.toml`, parsed and looked up.

mod files;
mod identity;
mod texts;
mod transforms;

pub use texts::{PublishedText, Text};
pub use transforms::{TransformChoice, TransformFile, Transforms, tagged};

use crate::error::{Advice, advise, did_you_mean};
use crate::images::Preprocessing;
use crate::models::{Activation, Architecture};
use crate::plain_file;
use crate::readout::{Readout, Tokens};
use crate::text::shown;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// All models that are known.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// In the order of the files.
    pub models: Vec<Entry>,
    /// The text towers of those that have one, under the same names.
    texts: Vec<Entry>,
    preprocessing: BTreeMap<String, Preprocessing>,
    files: Vec<KnownFile>,
    transforms: Vec<Transforms>,
}

/// A file of weights that are not of the registry, of which is known what it does not tell.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFile {
    /// Whose it is.
    pub name: String,
    /// The beginning of its SHA-256.
    sha256: String,
    /// The function that its weights were trained with.
    pub activation: Activation,
}

/// A model: an architecture and the weights published for it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name on the command line, lower case with hyphens.
    pub name: String,
    /// Other names for it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What to build.
    pub architecture: Architecture,
    /// The layer extracted when none is asked for: the penultimate one. The file of an exported network may say it, so that it
    /// is empty before [`Registry::add_files`] has looked there.
    #[serde(default)]
    pub default_layer: String,
    /// The readout of the default layer, when none is asked for.
    #[serde(default)]
    pub default_readout: Readout,
    /// The number of values of the default layer after its readout.
    pub outputs: Option<i64>,
    /// Which tokens of layers of tokens are special; of networks built here the first is the class token.
    pub tokens: Option<Tokens>,
    /// Its text tower, if it has one.
    pub text: Option<Text>,
    /// Networks of others whose checkpoints have the same keys and shapes.
    #[serde(default)]
    pub same_keys: Vec<String>,
    /// Whose module names and numbers these are.
    #[serde(default)]
    pub source: String,
    /// Of code and weights.
    #[serde(default)]
    pub licence: String,
    /// The paper to cite.
    #[serde(default)]
    pub citation: String,
    /// The first ones are meant when no tag is given.
    pub weights: Vec<PublishedWeights>,
}

/// A published weights file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedWeights {
    /// What follows the dot in `resnet50.imagenet1k_v2`.
    pub tag: String,
    /// Where it is published.
    pub url: Option<String>,
    /// A file on this machine, relative to the registry that names it.
    pub file: Option<PathBuf>,
    /// Which of several sets of weights in the file is meant: what stands before its keys, as behind the `#` of `--weights FILE#KEY`.
    pub key: Option<String>,
    /// The SHA-256 of the file, or the prefix of it that is published.
    pub sha256: Option<String>,
    /// The name of the preprocessing that the weights were trained with.
    preprocessing: Option<String>,
    /// The activation function that they were trained with, where no checkpoint tells it.
    pub activation: Option<Activation>,
    /// The network that they are of, where it is not that of the upstream constructor.
    pub architecture: Option<Architecture>,
    /// Where those of the text tower are, if not in the same file.
    pub text: Option<PublishedText>,
    /// Of these weights, where it is not the model's.
    pub licence: Option<String>,
    /// Where the file of an exported network was found, fetched from `url`.
    #[serde(skip)]
    pub found: Option<PathBuf>,
    /// The preprocessing in the file of an exported network.
    #[serde(skip)]
    preprocessing_in_file: Option<Preprocessing>,
}

/// A model as chosen by a name on the command line.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The model.
    pub entry: &'a Entry,
    /// Its weights: those of the tag, or the first.
    pub weights: &'a PublishedWeights,
    /// The network.
    pub architecture: &'a Architecture,
    /// The preprocessing of these weights, if it is known.
    pub preprocessing: Option<&'a Preprocessing>,
    /// Whether the name had a tag.
    pub tagged: bool,
    /// Whether a file given by its path is that of these weights.
    pub identified: bool,
    /// The activation function, where no checkpoint tells it.
    pub activation: Option<Activation>,
    /// The number of classes that the weights in a file have, if it is not the network's.
    pub classes: Option<i64>,
}

impl Entry {
    /// Whether `name` is this model's with a tag.
    fn has_tagged(&self, name: &str) -> bool {
        self.weights.iter().any(|weights| same_name(&format!("{}.{}", self.name, weights.tag), name))
    }

    /// Its name and all others.
    fn names(&self) -> impl Iterator<Item = &str> {
        [&self.name].into_iter().chain(&self.aliases).map(String::as_str)
    }
}

impl<'a> Choice<'a> {
    /// Whether it is a network that PyTorch exported, which has its weights in its file.
    pub fn is_exported(&self) -> bool {
        self.entry.architecture.is_exported()
    }

    /// The network with as many classes as its weights have.
    pub fn with_classes(&self) -> Architecture {
        let other = self.classes.and_then(|classes| self.architecture.with_classes(classes));
        other.unwrap_or_else(|| self.architecture.clone())
    }

    /// The network that is built: the same, with the activation function that was told.
    pub fn architecture(&self) -> Architecture {
        let mut architecture = self.with_classes();
        if let (Some(activation), Some(place)) = (self.activation, architecture.activation()) {
            *place = Some(activation);
        }
        architecture
    }

    /// The licence of the weights, or of the model.
    pub fn licence(&self) -> &'a str {
        self.weights.licence.as_ref().unwrap_or(&self.entry.licence)
    }

    /// The file on this machine that the registry names, or where that of an exported network was found.
    pub fn file(&self) -> Option<&'a Path> {
        self.weights.file.as_deref().or(self.weights.found.as_deref())
    }

    /// `resnet50`, or `resnet50.imagenet1k_v2` if the tag was given.
    pub fn name(&self) -> String {
        if self.tagged { format!("{}.{}", self.entry.name, self.weights.tag) } else { self.entry.name.clone() }
    }
}

impl Registry {
    /// The models that come with the program and, if `own` names a file, those that it adds.
    pub fn load(own: Option<&Path>) -> Result<Registry> {
        let mut registry = Registry::default();
        registry.add(include_str!("../models.toml"), Path::new("")).context("the built-in models.toml")?;
        registry.add(include_str!("../transforms.toml"), Path::new("")).context("the built-in transforms.toml")?;
        if let Some(path) = own {
            let text =
                plain_file::read_to_string(path).with_context(|| format!("cannot read the registry `{}`", path.display()))?;
            let folder = path.parent().unwrap_or(Path::new(""));
            registry.add(&text, folder).map_err(|error| {
                error.context(Advice {
                    problem: format!("the registry `{}` cannot be used", path.display()),
                    hint:
                        "write it like the models.toml of the program's source; `thingsvision models NAME --json` shows an entry"
                            .into(),
                })
            })?;
        }
        Ok(registry)
    }

    /// Adds the entries in `text`; files that they name are relative to `folder`.
    fn add(&mut self, text: &str, folder: &Path) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            preprocessing: BTreeMap<String, Preprocessing>,
            #[serde(default)]
            file: Vec<KnownFile>,
            #[serde(default)]
            model: Vec<Entry>,
            #[serde(default)]
            transform: Vec<Transforms>,
        }
        let File { preprocessing, file, model: models, transform } = toml::from_str(text)?;
        self.files.extend(file);
        transform.iter().try_for_each(Transforms::check)?;
        self.transforms.extend(transform);
        for (name, preprocessing) in preprocessing {
            preprocessing.check().with_context(|| format!("preprocessing `{name}`"))?;
            ensure!(preprocessing.shown_always().is_some(), "preprocessing `{name}` must say `crop`, or both sides in `resize`");
            ensure!(!self.preprocessing.contains_key(&name), "there is already a preprocessing `{name}`");
            self.preprocessing.insert(name, preprocessing);
        }
        for mut entry in models {
            let name = &entry.name;
            ensure!(!name.contains('.'), "the name `{name}` must not contain a dot");
            check_file_name(name)?;
            ensure!(!entry.weights.is_empty(), "model `{name}` has no weights");
            entry.architecture.check().with_context(|| format!("model `{name}`"))?;
            for (other, taken) in self.models.iter().flat_map(|other| other.names().map(move |taken| (other, taken))) {
                if let Some(name) = entry.names().find(|name| clash(name, taken)) {
                    bail!("the name `{name}` is that of `{}`", other.name);
                }
            }
            self.check_tags(&entry)?;
            let is_exported = entry.architecture.is_exported();
            if !is_exported {
                ensure!(!entry.default_layer.is_empty(), "model `{name}` has no default_layer");
                entry.tokens.get_or_insert(Tokens::CLASS);
            }
            for weights in &mut entry.weights {
                if let Some(architecture) = &weights.architecture {
                    architecture.check().with_context(|| format!("model `{}`, weights `{}`", entry.name, weights.tag))?;
                    let is_of_family = architecture.family_name() == entry.architecture.family_name() && !is_exported;
                    ensure!(is_of_family, "model `{}`: the weights `{}` are of another family", entry.name, weights.tag);
                }
                check_file_name(&weights.tag)?;
                let is_hash = |text: &String| (4..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
                ensure!(weights.sha256.as_ref().is_none_or(is_hash), "the sha256 of the weights `{}` is none", weights.tag);
                match &weights.preprocessing {
                    Some(preprocessing) => {
                        let known = self.preprocessing.contains_key(preprocessing);
                        ensure!(known, "model `{}`: there is no preprocessing `{preprocessing}`", entry.name);
                    }
                    None => ensure!(is_exported, "model `{}`: the weights `{}` have no preprocessing", entry.name, weights.tag),
                }
                weights.file = weights.file.take().map(|file| folder.join(file));
            }
            self.texts.extend(texts::tower(&entry)?);
            self.models.push(entry);
        }
        Ok(())
    }

    /// Fails if two tags of `entry` are one name, or a name with a tag is that of another model, and the other way round.
    fn check_tags(&self, entry: &Entry) -> Result<()> {
        for (i, weights) in entry.weights.iter().enumerate() {
            if let Some(other) = entry.weights[..i].iter().find(|other| same_name(&other.tag, &weights.tag)) {
                bail!("model `{}`: the tags `{}` and `{}` are one name", entry.name, other.tag, weights.tag);
            }
        }
        for other in &self.models {
            let name =
                entry.names().find(|name| other.has_tagged(name)).or_else(|| other.names().find(|name| entry.has_tagged(name)));
            if let Some(name) = name {
                bail!("the name `{name}` may be a model or a model with a tag, of `{}` and of `{}`", other.name, entry.name);
            }
        }
        Ok(())
    }

    /// The model called `name`, which may carry a weights tag. Case does not matter, nor do `_`, `.`, `/` and `@` for `-`;
    /// but what is to the letter another's name for a model (OpenAI's `ViT-B/32`) means that model.
    pub fn choose(&self, name: &str) -> Result<Choice<'_>> {
        let (model, tag) = match name.split_once('.') {
            // `squeezenet1.1` is a name, and `squeezenet1.1.imagenet1k_v1` one with a tag.
            Some((first, _)) if !self.is_name(name) => {
                let longest = name.match_indices('.').map(|(dot, _)| dot).rfind(|&dot| self.is_name(&name[..dot]));
                let dot = longest.unwrap_or(first.len());
                (&name[..dot], Some(&name[dot + 1..]))
            }
            _ => (name, None),
        };
        self.check_schools(model)?;
        let entry = self.find(model).ok_or_else(|| {
            let names = self.models.iter().flat_map(|entry| entry.aliases.iter().chain([&entry.name]));
            let near = did_you_mean(&plain(model), names.map(String::as_str));
            advise(
                format!("there is no model `{model}`"),
                format!("{near}`thingsvision models` lists all; examples/export_model.py exports others of PyTorch's libraries"),
            )
        })?;
        let weights = match tag {
            None => &entry.weights[0],
            Some(tag) => entry.weights.iter().find(|weights| same_name(&weights.tag, tag)).ok_or_else(|| {
                let tags: Vec<_> = entry.weights.iter().map(|weights| format!("`{}.{}`", entry.name, weights.tag)).collect();
                advise(format!("`{}` has no weights `{tag}`", entry.name), format!("there are {}", tags.join(", ")))
            })?,
        };
        Ok(self.with_weights(entry, weights, tag.is_some()))
    }

    fn with_weights<'a>(&'a self, entry: &'a Entry, weights: &'a PublishedWeights, tagged: bool) -> Choice<'a> {
        let preprocessing = weights.preprocessing.as_ref().map(|name| &self.preprocessing[name]);
        let preprocessing = preprocessing.or(weights.preprocessing_in_file.as_ref());
        let architecture = weights.architecture.as_ref().unwrap_or(&entry.architecture);
        Choice { entry, weights, architecture, preprocessing, tagged, identified: false, activation: None, classes: None }
    }

    /// All networks, each with the name by which it is asked for.
    pub fn architectures(&self) -> impl Iterator<Item = (String, &Architecture)> {
        let built_in = self.models.iter().filter(|entry| !entry.architecture.is_exported());
        built_in.flat_map(|entry| {
            let others = entry.weights.iter().filter_map(|weights| {
                let architecture = weights.architecture.as_ref()?;
                Some((format!("{}.{}", entry.name, weights.tag), architecture))
            });
            [(entry.name.clone(), &entry.architecture)].into_iter().chain(others)
        })
    }

    /// The models that have `word` in a name, the family, the source, a tag, a licence or the citation; as [`Registry::choose`], case
    /// does not matter, nor how words are joined.
    pub fn search(&self, word: &str) -> Vec<&Entry> {
        let has = |text: &str| plain(text).contains(&plain(word));
        let of_weights = |weights: &PublishedWeights| has(&weights.tag) || weights.licence.as_deref().is_some_and(has);
        let texts = |entry: &Entry| [&entry.source, &entry.licence, &entry.citation].into_iter().any(|text| has(text));
        let is_found = |entry: &&Entry| {
            entry.names().any(has)
                || has(entry.architecture.family_name())
                || entry.weights.iter().any(of_weights)
                || texts(entry)
        };
        self.models.iter().filter(is_found).collect()
    }

    /// The preprocessing called `name`.
    pub fn preprocessing(&self, name: &str) -> Result<&Preprocessing> {
        self.preprocessing.get(name).ok_or_else(|| {
            let near = did_you_mean(name, self.preprocessing.keys().map(String::as_str));
            let hint =
                format!("{near}there are `imagenet`, `imagenet-v2`, `clip`, `half`; others are called by the sizes that images are brought and cut to, as \
                 `imagenet-342-299` and `imagenet-232-224-bicubic`");
            advise(format!("there is no preprocessing `{name}`"), hint)
        })
    }

    fn is_name(&self, name: &str) -> bool {
        self.models.iter().any(|entry| entry.names().any(|known| same_name(known, name)))
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        let exact = |entry: &&Entry| entry.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name));
        let alike = |entry: &&Entry| same_name(&entry.name, name);
        let alias_alike = |entry: &&Entry| entry.aliases.iter().any(|alias| same_name(alias, name));
        let models = &self.models;
        models.iter().find(exact).or_else(|| models.iter().find(alike)).or_else(|| models.iter().find(alias_alike))
    }
}

/// Folders of runs and of fetched weights are called after names and tags, which a registry may have from anybody.
fn check_file_name(name: &str) -> Result<()> {
    let is_odd = |letter: char| letter.is_control() || matches!(letter, '/' | '\\');
    let is_plain = !name.contains(is_odd) && shown(name) == name;
    let is_one = (1..=100).contains(&name.len()) && !name.starts_with('.') && is_plain;
    ensure!(is_one, "no folder can be called `{}`, as a name or tag has it", name.escape_debug());
    Ok(())
}

/// Whether two names mean one model. OpenAI's `ViT-B/32`, with its slash, is another than torchvision's `vit-b-32`.
fn clash(a: &str, b: &str) -> bool {
    a.contains('/') == b.contains('/') && same_name(a, b)
}

fn same_name(a: &str, b: &str) -> bool {
    plain(a) == plain(b)
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace(['_', '.', '/', '@'], "-")
}
