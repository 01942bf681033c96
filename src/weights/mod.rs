//! Where a network's weights come from, and a record of it.

mod checkpoint;

pub use checkpoint::read as read_checkpoint;

use crate::advice::{Advice, advise};
use crate::nn::StateDict;
use crate::registry::Choice;
use anyhow::Result;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The value of `--weights`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weights {
    /// The published ones.
    Pretrained,
    /// Untrained: as PyTorch initialises the network.
    Random,
    /// A user's own file.
    File(PathBuf),
}

impl Weights {
    /// What a run's folder is called after the model's name: `random-0`, `my-checkpoint`, nothing for published weights.
    pub fn label(&self, seed: u64) -> Option<String> {
        match self {
            Weights::Pretrained => None,
            Weights::Random => Some(format!("random-{seed}")),
            Weights::File(path) => Some(path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()),
        }
    }
}

impl FromStr for Weights {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "pretrained" => Weights::Pretrained,
            "random" => Weights::Random,
            path => Weights::File(path.into()),
        })
    }
}

/// Which weights a run used, for its record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Provenance {
    /// Drawn as by `torch.manual_seed(seed)` and the constructor.
    Random {
        /// The seed.
        seed: u64,
    },
    /// Read from a file.
    File {
        /// As given.
        path: PathBuf,
        /// Of the whole file.
        sha256: String,
    },
}

impl Provenance {
    /// For a message: "random, seed 0".
    pub fn describe(&self) -> String {
        match self {
            Provenance::Random { seed } => format!("random, seed {seed} (as torch.manual_seed({seed}))"),
            Provenance::File { path, sha256 } => format!("{} (sha256 {}…)", path.display(), &sha256[..8]),
        }
    }
}

/// The weights of `choice` from `source`.
pub fn load(choice: &Choice, source: &Weights, seed: u64) -> Result<(StateDict, Provenance)> {
    match source {
        Weights::Random => Ok((choice.entry.architecture.seeded_weights(seed)?, Provenance::Random { seed })),
        Weights::File(path) => load_file(choice, path, None),
        Weights::Pretrained => match &choice.weights.file {
            Some(path) => load_file(choice, path, choice.weights.sha256.as_deref()),
            None => Err(not_fetched(choice)),
        },
    }
}

fn not_fetched(choice: &Choice) -> anyhow::Error {
    advise(
        format!("pretrained weights of `{}` cannot be fetched by this version", choice.name()),
        format!(
            "download {} and give the file: --weights FILE;\n      \
             or run the untrained network: --weights random --seed 0",
            choice.weights.url.as_deref().unwrap_or("them")
        ),
    )
}

/// `expected` is the beginning of the file's SHA-256, if it is known.
fn load_file(choice: &Choice, path: &Path, expected: Option<&str>) -> Result<(StateDict, Provenance)> {
    let (weights, sha256) = checkpoint::read(path)?;
    if let Some(expected) = expected.filter(|expected| !sha256.starts_with(*expected)) {
        return Err(advise(
            format!("`{}` is not the file of the registry: its SHA-256 is {sha256}, expected is {expected}…", path.display()),
            "get the right file, or correct the registry",
        ));
    }
    choice.entry.architecture.manifest()?.check(&weights).map_err(|error| {
        error.context(Advice {
            problem: format!("the weights in `{}` do not fit `{}`", path.display(), choice.entry.name),
            hint: format!(
                "the file must hold the state dict of `{}` ({}) and nothing else",
                choice.entry.name, choice.entry.source
            ),
        })
    })?;
    Ok((weights, Provenance::File { path: path.to_owned(), sha256 }))
}
