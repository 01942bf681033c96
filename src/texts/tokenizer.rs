//! From a text to the tokens that a text tower knows.

use super::clean;
use super::clip::{Clip, END_OF_TEXT, SPECIAL, START_OF_TEXT};
use super::published::Published;
use crate::error::advise;
use anyhow::Result;
use std::path::Path;

/// A tokenizer, and how long a text may be for its network.
pub struct Tokenizer {
    kind: Kind,
    /// The number of tokens that the network is shown of each text.
    context: usize,
}

enum Kind {
    Clip(Clip),
    Published { tokenizer: Published, padding: u32 },
}

/// The tokens of a text, as many as it has.
pub(super) struct Encoded {
    pub(super) tokens: Vec<u32>,
    /// How many at the end stand behind every text.
    pub(super) ending: usize,
}

impl Tokenizer {
    /// CLIP's, which comes with the program.
    pub fn clip(context: usize) -> Result<Tokenizer> {
        Ok(Tokenizer { kind: Kind::Clip(Clip::new()?), context })
    }

    /// That in the file at `path`, for a network that knows as many tokens as `vocabulary`, and is shown `padding` behind texts.
    pub fn published(path: &Path, context: usize, vocabulary: i64, padding: u32) -> Result<Tokenizer> {
        Ok(Tokenizer { kind: Kind::Published { tokenizer: Published::read(path, vocabulary)?, padding }, context })
    }

    /// `clip`, or the SHA-256 of the file.
    pub fn name(&self) -> &str {
        match &self.kind {
            Kind::Clip(_) => "clip",
            Kind::Published { tokenizer, .. } => &tokenizer.sha256,
        }
    }

    /// The number of tokens that the network is shown of each text.
    pub fn context(&self) -> usize {
        self.context
    }

    /// What follows the tokens of a text that is shorter.
    pub(super) fn padding(&self) -> u32 {
        match &self.kind {
            Kind::Clip(_) => 0,
            Kind::Published { padding, .. } => *padding,
        }
    }

    /// Cleans `text` as upstream does (ftfy, HTML's entities, white space, lower case; SigLIP's without punctuation) and cuts it.
    pub(super) fn encode(&self, text: &str) -> Result<Encoded> {
        match &self.kind {
            Kind::Clip(clip) => {
                let cleaned = clean::lower(text);
                if let Some(special) = SPECIAL.iter().find(|special| cleaned.contains(**special)) {
                    return Err(advise(
                        format!(
                            "`{special}` in a text is read as letters by some of CLIP's tokenizers, and by others as a token"
                        ),
                        "write it otherwise",
                    ));
                }
                let words = clip.encode(&cleaned)?;
                check_words(words.len())?;
                Ok(Encoded { tokens: [vec![START_OF_TEXT], words, vec![END_OF_TEXT]].concat(), ending: 1 })
            }
            Kind::Published { tokenizer, .. } => {
                let (tokens, ending) = tokenizer.encode(&clean::canonicalize(text))?;
                check_words(tokens.len() - ending)?;
                Ok(Encoded { tokens, ending })
            }
        }
    }
}

/// Fails if nothing is left of a text.
fn check_words(number: usize) -> Result<()> {
    if number > 0 {
        return Ok(());
    }
    Err(advise(
        "nothing is left of it when it is cleaned: the network would be shown no text",
        "take it out, or write it in words; SigLIP's texts are cleaned of punctuation",
    ))
}
