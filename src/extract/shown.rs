//! What a network is shown of each stimulus: pixels, or tokens.

use super::request::Request;
use super::sources::Sources;
use super::stimuli::Stimuli;
use crate::error::advise;
use crate::images::Preprocessing;
use crate::models::Architecture;
use crate::numbers::count_of;
use crate::registry::Choice;
use crate::text::short;
use crate::texts::{Tokenized, Tokenizer};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a network is shown of each stimulus.
#[derive(Clone)]
pub enum Shown {
    /// An image that is prepared so, of this height and width.
    Image(Preprocessing, [usize; 2]),
    /// A text.
    Text(Arc<Tokenized>),
}

/// How texts became tokens, for the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    /// `clip`, or the SHA-256 of a tokenizer's file.
    pub tokenizer: String,
    /// The number of tokens that the network was shown of each text.
    pub context: usize,
    /// The sentences that each text was put in.
    pub templates: Vec<String>,
    /// The IDs of the texts of which the end was cut off.
    pub truncated: Vec<String>,
}

impl Texts {
    /// The tokenizer and the length, in words.
    pub(super) fn describe(&self) -> String {
        let tokenizer = match self.tokenizer.as_str() {
            "clip" => "CLIP's tokenizer".to_owned(),
            sha256 => format!("tokenizer {}…", &sha256[..8]),
        };
        let cut = match self.truncated.first() {
            Some(first) => {
                format!(
                    "; {} cut off, among them `{}`; run.json lists them",
                    count_of(self.truncated.len(), "text"),
                    short(first)
                )
            }
            None => String::new(),
        };
        format!("{} of each text, by {tokenizer}{cut}", self.context)
    }
}

impl Shown {
    /// What the network of `choice` is shown of `stimuli`, and of texts how.
    pub(super) fn of(request: &Request, sources: &Sources, stimuli: &Stimuli, choice: &Choice) -> Result<(Shown, Option<Texts>)> {
        let Some(all) = stimuli.images.texts() else {
            let preprocessing = request.pixels.preprocessing(&sources.registry, choice)?;
            let size = stimuli.images.shown(&preprocessing)?;
            return Ok((Shown::Image(preprocessing, size), None));
        };
        let Architecture::Cliptext(tower) = choice.architecture else {
            return Err(anyhow::anyhow!("`{}` is shown images, and not texts", choice.name()));
        };
        let context = tower.context as usize;
        let found = choice.tokenizer().and_then(|url| sources.tokenizers.get(url));
        let tokenizer = match (request.tokenizer.as_ref().or(found), choice.tokenizer()) {
            (None, None) => Tokenizer::clip(context)?,
            (Some(path), Some(_)) => Tokenizer::published(path, context, tower.vocabulary, tower.padding as u32)?,
            (Some(_), None) => {
                return Err(advise(
                    format!("`{}` has CLIP's tokenizer, which comes with the program", choice.name()),
                    "leave --tokenizer out",
                ));
            }
            (None, Some(url)) => {
                return Err(advise(
                    format!("the tokenizer of `{}` is not on this machine", choice.name()),
                    format!(
                        "`thingsvision extract` fetches it; or download {url}, and name the file: --tokenizer tokenizer.json"
                    ),
                ));
            }
        };
        let ids = &stimuli.images.ids;
        let tokenized = Tokenized::new(&tokenizer, all, request.truncate, tower.reads_last());
        let tokenized = tokenized.with_context(|| format!("the texts cannot be shown to `{}`", choice.name()))?;
        let record = Texts {
            tokenizer: tokenizer.name().to_owned(),
            context,
            templates: request.templates.clone(),
            truncated: tokenized.truncated.iter().map(|&text| ids[text].clone()).collect(),
        };
        Ok((Shown::Text(Arc::new(tokenized)), Some(record)))
    }

    /// Height and width of an image; nothing of a text, whose length is the network's own.
    pub(super) fn size(&self) -> [usize; 2] {
        match self {
            Shown::Image(_, size) => *size,
            Shown::Text(_) => [0, 0],
        }
    }

    /// How an image is prepared.
    pub(super) fn preprocessing(&self) -> Option<&Preprocessing> {
        match self {
            Shown::Image(preprocessing, _) => Some(preprocessing),
            Shown::Text(_) => None,
        }
    }
}
