//! A file that somebody publishes: weights, or a transform of features.

use crate::hash::{git_blob, sha256_of_file};
use crate::plain_file;
use crate::registry::Choice;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// What is known of the content of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Its SHA-256, or the beginning of it.
    pub sha256: Option<String>,
    /// What Git calls it.
    pub git: Option<String>,
}

impl Content {
    /// Whether bytes are these.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        let is_hash = self.sha256.as_ref().is_none_or(|sha256| crate::hash::sha256(bytes).starts_with(sha256));
        is_hash && self.git.as_ref().is_none_or(|git| git_blob(bytes) == *git)
    }

    /// The SHA-256 of the file at `path`, and whether its content is this.
    pub(super) fn check(&self, path: &Path) -> Result<(String, bool)> {
        let sha256 = sha256_of_file(path)?;
        let is_hash = self.sha256.as_ref().is_none_or(|expected| sha256.starts_with(expected));
        let is_git = || -> Result<bool> {
            let Some(git) = &self.git else { return Ok(true) };
            Ok(git_blob(&plain_file::read(path).with_context(|| format!("cannot read `{}`", path.display()))?) == *git)
        };
        Ok((sha256, is_hash && is_git()?))
    }

    /// For a message.
    pub(super) fn expected(&self) -> String {
        match (&self.sha256, &self.git) {
            (Some(sha256), _) => format!("expected is {sha256}…"),
            (None, Some(git)) => format!("and in Git it is not {git}"),
            (None, None) => "expected is what was recorded at the first fetch…".to_owned(),
        }
    }
}

/// A file that is published.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Whose weights they are, for messages: `` `alexnet` `` or a transform.
    pub owner: String,
    /// Where.
    pub url: Option<String>,
    /// What is known of its content.
    pub content: Content,
    /// One on this machine instead.
    pub file: Option<PathBuf>,
    /// Whether its name, with what is known of the content, tells it from all others.
    pub is_unique: bool,
    /// What to do if it was damaged.
    pub again: String,
    /// What to do without network.
    pub by_hand: String,
}

impl From<&Choice<'_>> for Published {
    fn from(choice: &Choice) -> Published {
        let (name, weights) = (choice.name(), choice.weights);
        let url = weights.url.clone().unwrap_or_default();
        Published {
            owner: format!("`{name}`"),
            content: Content { sha256: weights.sha256.clone(), git: None },
            file: weights.file.clone(),
            is_unique: weights.sha256.is_some(),
            again: format!("remove it and fetch it again: thingsvision weights fetch {name}"),
            by_hand: format!(
                "download {url} elsewhere and run\n      thingsvision weights import {} --model {name}",
                super::store::file_name(&url)
            ),
            url: weights.url.clone(),
        }
    }
}
