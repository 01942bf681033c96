//! Whose weights a file has that is given by its path: known by its hash, or told where it does not tell it itself.

use super::{Weights, file_and_key};
use crate::error::advise;
use crate::hash::sha256_of_file;
use crate::models::{Activation, Architecture};
use crate::registry::{Choice, PublishedWeights, Registry};
use anyhow::Result;
use std::path::PathBuf;

/// `choice` with the published weights that a file has, if its hash is theirs, and with the activation function, if that is of a kind
/// that no checkpoint tells: as published, as told, or of random weights as OpenAI's.
pub fn identified<'a>(
    registry: &'a Registry,
    choice: Choice<'a>,
    weights: &Weights,
    told: Option<Activation>,
) -> Result<Choice<'a>> {
    let path = if let Weights::File(given) = weights { Some(file_and_key(given).0) } else { None };
    let path = path.as_ref();
    if let Some(path) = path.filter(|path| !path.exists())
        && let Some(tag) = registry.tag_called(choice.entry, &path.to_string_lossy())
    {
        return Err(advise(
            format!("there is no weights file `{}`", path.display()),
            format!("published weights are named with the model: --model {}.{tag}", choice.entry.name),
        ));
    }
    // One that cannot be read is an error later.
    let sha256 = path.and_then(|path| sha256_of_file(path).ok()).unwrap_or_default();
    let found = registry.published(&sha256, choice.entry).map(|found| check(&choice, found, weights)).transpose()?;
    let choice = found.unwrap_or(choice);
    let is_published = path.is_none() && *weights != Weights::Random || choice.identified;
    let choice = if is_published || choice.tagged { choice } else { as_constructed(choice, path)? };
    let by_registry = choice.architecture.clone().activation().map(|activation| *activation);
    let Some(by_registry) = by_registry else {
        return match told {
            Some(_) => Err(advise(
                format!("--activation is of no effect on `{}`", choice.name()),
                "leave it out: it is for the vision transformers of CLIP",
            )),
            None => Ok(choice),
        };
    };
    let file = registry.known_file(&sha256);
    let published = choice.weights.activation.filter(|_| is_published);
    let known = published.or(file.map(|file| file.activation)).or(by_registry);
    let (name, file) = (choice.name(), path.map_or_else(|| choice.name(), |path| path.display().to_string()));
    let activation = match (known, told) {
        (Some(known), Some(told)) if known != told => {
            return Err(advise(
                format!("the weights in `{file}` were trained with {}, and --activation is {}", word(known), word(told)),
                "leave --activation out",
            ));
        }
        (Some(known), _) => known,
        (None, Some(told)) => told,
        (None, None) if *weights == Weights::Random => Activation::default(),
        (None, None) => {
            return Err(advise(
                format!("`{file}` fits `{name}`, but does not tell which activation function its weights were trained with"),
                "say it: --activation quickgelu (as OpenAI's, and OpenCLIP's that are called so) or --activation gelu (OpenCLIP's others, \
                 as all of LAION's); a registry may say it too",
            ));
        }
    };
    Ok(Choice { activation: Some(activation), ..choice })
}

/// The network of the upstream constructor, which that of published weights may not be: for random weights, and those in a file
/// that is not known. Fails if such a file, at `path`, may be of either.
fn as_constructed<'a>(choice: Choice<'a>, path: Option<&PathBuf>) -> Result<Choice<'a>> {
    let entry = choice.entry;
    let choice = Choice { architecture: &entry.architecture, ..choice };
    // One that is not there is an error later.
    let Some(path) = path.filter(|path| path.exists()) else { return Ok(choice) };
    let rescales = |weights: &&PublishedWeights| weights.architecture.as_ref().is_some_and(Architecture::transforms_input);
    match entry.weights.iter().find(rescales) {
        Some(weights) if !entry.architecture.transforms_input() => Err(advise(
            format!(
                "`{}` does not tell whether its network rescales images itself (torchvision's transform_input)",
                path.display()
            ),
            format!(
                "torchvision's pretrained ones do, and those trained on from them: --model {}.{}; for one that does not, write a \
                 registry with its architecture (docs/models.md)",
                entry.name, weights.tag
            ),
        )),
        _ => Ok(choice),
    }
}

/// `found` is what the file is, if it may be that of `choice`.
fn check<'a>(choice: &Choice<'a>, found: Choice<'a>, weights: &Weights) -> Result<Choice<'a>> {
    let is_other_model = found.entry.name != choice.entry.name;
    if is_other_model || choice.tagged && found.weights.tag != choice.weights.tag {
        let path = String::from(weights.clone());
        return Err(advise(
            format!("`{path}` is the file of `{}`, by its SHA-256, and not of `{}`", found.name(), choice.name()),
            format!("take --model {}", if is_other_model { found.entry.name.clone() } else { found.name() }),
        ));
    }
    Ok(Choice { tagged: choice.tagged, ..found })
}

fn word(activation: Activation) -> &'static str {
    match activation {
        Activation::QuickGelu => "quickgelu",
        Activation::Gelu => "gelu",
    }
}
