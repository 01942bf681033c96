//! What is to be compared, and how: the same value whether flags, a study or a caller in Rust says it.

use super::{Comparison, Over};
use crate::arrays;
use crate::error::advise;
use crate::rdm::outputs;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A comparison of models with targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Folders of runs, or RDM files; empty for every finished run in `activations/`.
    pub models: Vec<PathBuf>,
    /// RDMs of behaviour: `[NAME=]FILE[,FILE…]`, or a glob for files.
    pub behavior: Vec<String>,
    /// RDMs of fMRI responses, likewise.
    pub fmri: Vec<String>,
    /// How two RDMs are compared.
    pub compare: Comparison,
    /// Whether the stimuli that all RDMs have are compared, instead of failing when they differ.
    pub intersect: bool,
    /// Permutations of the stimuli in the test; 0 for none.
    pub permutations: u32,
    /// Bootstraps for 95 % intervals; 0 for none.
    pub bootstrap: u32,
    /// To what the intervals generalise.
    pub over: Over,
    /// Whether models are compared with each other on every target.
    pub differences: bool,
    /// Of all random draws.
    pub seed: u64,
    /// What the names of the files that are written begin with.
    pub out: PathBuf,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            models: Vec::new(),
            behavior: Vec::new(),
            fmri: Vec::new(),
            compare: Comparison::default(),
            intersect: false,
            permutations: 0,
            bootstrap: 0,
            over: Over::default(),
            differences: false,
            seed: 0,
            out: "rsa".into(),
        }
    }
}

/// Fewer bootstraps make no interval.
const FEWEST_BOOTSTRAPS: u32 = 40;

impl Request {
    /// Fails for what contradicts itself.
    pub fn check(&self) -> Result<()> {
        if self.behavior.is_empty() && self.fmri.is_empty() {
            return Err(advise("there is nothing to compare with", "give RDMs of behaviour or fMRI: --behavior, --fmri"));
        }
        if (1..FEWEST_BOOTSTRAPS).contains(&self.bootstrap) {
            return Err(advise(
                format!("{} bootstraps are too few for an interval", self.bootstrap),
                format!("take 1000, at least {FEWEST_BOOTSTRAPS}, or none"),
            ));
        }
        if self.bootstrap == 0 && self.differences {
            return Err(advise("differences between models need a bootstrap", "add --bootstrap 1000"));
        }
        outputs::check_name(&self.out, "name files in it: --out FOLDER/rsa")?;
        if matches!(arrays::kind(&self.out).as_str(), "npy" | "csv" | "json") {
            return Err(advise(
                format!("`{}` is no prefix: .npy, .csv and .json will be added to it", self.out.display()),
                format!("leave the ending out: --out {}", self.out.with_extension("").display()),
            ));
        }
        Ok(())
    }
}
