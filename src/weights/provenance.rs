//! The record of where the weights of a run come from.

use super::fit::shortened;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which weights a run used, for its record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Provenance {
    /// Drawn as by `torch.manual_seed(seed)` and the constructor.
    Random {
        /// The seed.
        seed: u64,
    },
    /// The published file.
    Published {
        /// Its tag.
        tag: String,
        /// Where it is published.
        url: Option<String>,
        /// Of the whole file.
        sha256: String,
        /// Of code and weights.
        licence: String,
        /// The paper to cite.
        citation: String,
    },
    /// Read from a file.
    File {
        /// As given.
        path: PathBuf,
        /// Of the whole file.
        sha256: String,
        /// The published weights that these are, by their hash.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        /// Of these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        licence: Option<String>,
        /// Of these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        citation: Option<String>,
        /// What stands before the keys of the network's tensors in the file.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Whose keys these are, if not the network's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layout: Option<String>,
        /// The number of classes, if it is not the model's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        classes: Option<i64>,
        /// The tensors of a classifier that the file has not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        absent: Vec<String>,
        /// How many tensors of the file belong to other parts, by the beginnings of their names.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        left_aside: BTreeMap<String, usize>,
    },
    /// In the file of a network that PyTorch exported.
    Exported {
        /// The file, if it is one of the user's.
        path: Option<PathBuf>,
        /// Where it is published.
        url: Option<String>,
        /// Of the whole file.
        sha256: String,
        /// Where they come from, as the file says.
        weights: String,
        /// The library that the network is of, and how it was exported, as the file or the registry says.
        source: String,
        /// Of code and weights.
        licence: String,
        /// The paper to cite.
        citation: String,
    },
}

impl Provenance {
    /// For a message: "random, seed 0".
    pub fn describe(&self) -> String {
        match self {
            Provenance::Random { seed } => format!("random, seed {seed} (as torch.manual_seed({seed}))"),
            Provenance::Published { tag, sha256, .. } => format!("{tag} (sha256 {}…, verified)", &sha256[..8]),
            Provenance::File { path, sha256, tag, key, .. } => {
                let known = tag.as_ref().map(|tag| format!(", that of {tag}")).unwrap_or_default();
                let key =
                    key.as_ref().filter(|key| !key.is_empty()).map(|key| format!("#{}", shortened(key))).unwrap_or_default();
                format!("{}{key} (sha256 {}…{known})", path.display(), &sha256[..8])
            }
            Provenance::Exported { path, url, sha256, weights, .. } => {
                let file = path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
                let place = file.or_else(|| url.clone()).unwrap_or_default();
                let weights = if weights.is_empty() { String::new() } else { format!("{weights}, ") };
                format!("{weights}in {place} (sha256 {}…)", &sha256[..8])
            }
        }
    }
}
