//! Tokenizers in files of Hugging Face's library, `tokenizer.json`, as SigLIP's are published.

use crate::error::advise;
use crate::hash::sha256;
use crate::plain_file;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::Path;

/// Vocabularies of 256,000 tokens take 35 MB.
const LARGEST: usize = 256 << 20;

/// Of a token, in bytes: the library goes down a level for each.
const LONGEST: usize = 1000;

/// Whether all names and texts in `value` are tokens of a length that can be.
fn is_short(value: &Value) -> bool {
    match value {
        Value::String(text) => text.len() <= LONGEST,
        Value::Array(values) => values.iter().all(is_short),
        Value::Object(values) => values.iter().all(|(name, value)| name.len() <= LONGEST && is_short(value)),
        _ => true,
    }
}

/// A tokenizer from a file.
pub(super) struct Published {
    tokenizer: tokenizers::Tokenizer,
    /// The number of tokens that the network knows.
    vocabulary: i64,
    /// Of the file.
    pub(super) sha256: String,
}

impl Published {
    /// Reads the file at `path`, for a network that knows as many tokens as `vocabulary`.
    pub(super) fn read(path: &Path, vocabulary: i64) -> Result<Published> {
        let hint = "name the tokenizer.json that is published with the network";
        let bytes = plain_file::read(path).with_context(|| format!("cannot read the tokenizer `{}`", path.display()))?;
        if bytes.len() > LARGEST {
            return Err(advise(format!("`{}` is larger than any tokenizer", path.display()), hint));
        }
        let content: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !is_short(&content["model"]) || !is_short(&content["added_tokens"]) {
            return Err(advise(format!("`{}` has a token of more than {LONGEST} bytes", path.display()), hint));
        }
        drop(content);
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(&bytes)
            .map_err(|error| advise(format!("`{}` is no tokenizer of Hugging Face's library: {error}", path.display()), hint))?;
        let known = tokenizer.get_vocab_size(true) as i64;
        if known > vocabulary {
            return Err(advise(
                format!("`{}` has {known} tokens, and the network knows {vocabulary}", path.display()),
                "it is the tokenizer of another network: take the one that is published with this",
            ));
        }
        // Texts are cut and filled up where it can be said.
        tokenizer.with_padding(None);
        let untruncated = tokenizer.with_truncation(None).map(drop);
        untruncated.map_err(anyhow::Error::from_boxed)?;
        Ok(Published { tokenizer, vocabulary, sha256: sha256(&bytes) })
    }

    /// The tokens of `text`, with those that stand before and behind every text; and how many of the latter there are.
    pub(super) fn encode(&self, text: &str) -> Result<(Vec<u32>, usize)> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(anyhow::Error::from_boxed)?;
        if let Some(id) = encoding.get_ids().iter().find(|id| i64::from(**id) >= self.vocabulary) {
            bail!("the tokenizer gives the token {id}, and the network knows {}", self.vocabulary);
        }
        let ending = encoding.get_special_tokens_mask().iter().rev().take_while(|special| **special == 1).count();
        Ok((encoding.get_ids().to_vec(), ending))
    }
}
