//! The text towers of models: each is an entry of its own, under the names and tags of the model.

use super::{Choice, Entry, PublishedWeights, Registry};
use crate::error::advise;
use crate::models::{Architecture, TextTower};
use crate::readout::Readout;
use anyhow::{Context, Result};
use serde::Deserialize;

/// A text tower, as the registry has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Its numbers.
    tower: TextTower,
    /// Where its tokenizer is published; CLIP's comes with the program.
    pub tokenizer: Option<String>,
}

/// What is other than the registry says of the model, for some weights.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedText {
    /// Where the weights of the text tower are published.
    url: String,
    /// The SHA-256 of that file, or the prefix of it that is published.
    sha256: Option<String>,
    tower: Option<TextTower>,
    tokenizer: Option<String>,
}

/// The text tower of `entry`, if it has one, with those weights that are published for it.
pub(super) fn tower(entry: &Entry) -> Result<Option<Entry>> {
    let Some(text) = &entry.text else { return Ok(None) };
    let build = |tower: &TextTower, image: &Architecture| -> Result<Architecture> {
        let outputs = if tower.outputs == 0 { entry.outputs.unwrap_or(0) } else { tower.outputs };
        let tower = TextTower { outputs, image: Some(Box::new(image.clone())), ..tower.clone() };
        let architecture = Architecture::Cliptext(tower);
        architecture.check().with_context(|| format!("the text tower of model `{}`", entry.name))?;
        Ok(architecture)
    };
    // Where some weights say where those of the text tower are, those of others are nowhere.
    let is_apart = entry.weights.iter().any(|weights| weights.text.is_some());
    let mut all = Vec::new();
    for weights in entry.weights.iter().filter(|weights| weights.text.is_some() || !is_apart) {
        let image = weights.architecture.as_ref().unwrap_or(&entry.architecture);
        let own = weights.text.as_ref();
        all.push(PublishedWeights {
            url: own.map_or_else(|| weights.url.clone(), |own| Some(own.url.clone())),
            sha256: own.map_or_else(|| weights.sha256.clone(), |own| own.sha256.clone()),
            architecture: Some(build(own.and_then(|own| own.tower.as_ref()).unwrap_or(&text.tower), image)?),
            ..weights.clone()
        });
    }
    Ok(Some(Entry {
        architecture: build(&text.tower, &entry.architecture)?,
        default_layer: text.tower.default_layer().to_owned(),
        default_readout: Readout::Eot,
        tokens: None,
        weights: all,
        ..entry.clone()
    }))
}

impl Registry {
    /// The text tower of the model of `choice`.
    pub fn text_tower(&self, choice: &Choice) -> Result<Choice<'_>> {
        let Some(entry) = self.texts.iter().find(|entry| entry.name == choice.entry.name) else {
            return Err(advise(
                format!("`{}` has no text tower", choice.entry.name),
                "take a model of CLIP, OpenCLIP or SigLIP: `thingsvision models clip` and `models siglip` list them",
            ));
        };
        let weights = entry
            .weights
            .iter()
            .find(|weights| weights.tag == choice.weights.tag)
            .with_context(|| format!("no text tower is known for the weights `{}`", choice.name()))?;
        Ok(self.with_weights(entry, weights, choice.tagged))
    }
}

impl Choice<'_> {
    /// Where the tokenizer of a text tower is published; none of CLIP's, which comes with the program.
    pub fn tokenizer(&self) -> Option<&str> {
        let own = self.weights.text.as_ref().and_then(|text| text.tokenizer.as_deref());
        own.or(self.entry.text.as_ref()?.tokenizer.as_deref())
    }
}
