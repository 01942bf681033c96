//! What is to be compared, and how: the same value whether flags, a study or a caller in Rust says it.

use super::analysis::not_partial;
use super::regression::{Wanted, not_linear};
use super::{Comparison, Over};
use crate::arrays;
use crate::error::advise;
use crate::rdm::outputs;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A comparison of models with targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).multiple(true).args(["behavior", "fmri", "meg", "eeg"]))]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Runs of `thingsvision extract`, or RDM files (with --reweight files of features) [default: every finished run in activations/]
    #[arg(value_name = "RUN_DIR|RDM")]
    pub models: Vec<PathBuf>,

    /// An RDM of behaviour: .npy, .npz, .csv, .mat or .h5, square or condensed. Of several subjects: an array [subjects,
    /// N, N], [N, N, subjects] or [subjects, pairs], or files with commas between, or a glob in quotes; NAME= before it names it. Repeat
    /// for more
    #[arg(long, value_name = "[NAME=]RDM")]
    pub behavior: Vec<String>,

    /// An RDM of fMRI responses, likewise
    #[arg(long, value_name = "[NAME=]RDM")]
    pub fmri: Vec<String>,

    /// A movie of MEG RDMs: [times, N, N], of several subjects [subjects, times, N, N] or files with commas between; its
    /// times, in ms, one a line in FILE.times.txt
    #[arg(long, value_name = "[NAME=]MOVIE")]
    pub meg: Vec<String>,

    /// A movie of EEG RDMs, likewise
    #[arg(long, value_name = "[NAME=]MOVIE")]
    pub eeg: Vec<String>,

    /// How two RDMs are compared
    #[arg(long, value_enum, default_value_t)]
    pub compare: Comparison,

    /// An RDM to hold constant: scores are partial correlations, of what a regression on all controls leaves of models and
    /// targets (pearson, or spearman of ranks). Repeat for more
    #[arg(long, value_name = "[NAME=]RDM")]
    pub control: Vec<String>,

    /// A multiple regression instead of comparisons one by one
    #[command(flatten)]
    pub regression: Wanted,

    /// Compare the stimuli that all RDMs have, by their IDs, instead of failing when they differ
    #[arg(long)]
    pub intersect: bool,

    /// Test by this many permutations of the stimuli (all of them if these are not more)
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub permutations: u32,

    /// Give 95 % intervals from this many bootstraps
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub bootstrap: u32,

    /// To what the intervals generalise: what is drawn in the bootstrap
    #[arg(long, value_enum, default_value_t, requires = "bootstrap")]
    pub over: Over,

    /// Compare models with each other on every target (needs --bootstrap)
    #[arg(long, requires = "bootstrap")]
    pub differences: bool,

    /// Of all random draws; the result does not depend on the number of threads
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Write PREFIX.npy (scores [targets, layers]), PREFIX.csv and PREFIX.json
    #[arg(long, value_name = "PREFIX", default_value = "rsa")]
    pub out: PathBuf,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            models: Vec::new(),
            behavior: Vec::new(),
            fmri: Vec::new(),
            meg: Vec::new(),
            eeg: Vec::new(),
            compare: Comparison::default(),
            control: Vec::new(),
            regression: Wanted::default(),
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

/// The scores of all draws are kept, and nobody needs a p below 1e-7.
const MOST_DRAWS: u32 = 10_000_000;

/// Fails for numbers of draws that tell nothing.
pub(crate) fn check_draws(permutations: u32, bootstrap: u32) -> Result<()> {
    if (1..FEWEST_BOOTSTRAPS).contains(&bootstrap) {
        return Err(advise(
            format!("{bootstrap} bootstraps are too few for an interval"),
            format!("take 1000, at least {FEWEST_BOOTSTRAPS}, or none"),
        ));
    }
    match [permutations, bootstrap].into_iter().find(|draws| *draws > MOST_DRAWS) {
        Some(draws) => Err(advise(
            format!("{draws} draws would take memory and time for nothing"),
            format!("take 10000 to 1000000, at most {MOST_DRAWS}"),
        )),
        None => Ok(()),
    }
}

/// Fails if `out` is a folder or a file, and not what the names of files begin with, such as `example`.
pub(super) fn check_prefix(out: &Path, example: &str, endings: &str) -> Result<()> {
    outputs::check_name(out, &format!("name files in it: --out FOLDER/{example}"))?;
    if matches!(arrays::kind(out).as_str(), "npy" | "csv" | "json") {
        return Err(advise(
            format!("`{}` is no prefix: {endings} will be added to it", out.display()),
            format!("leave the ending out: --out {}", out.with_extension("").display()),
        ));
    }
    Ok(())
}

impl Request {
    /// Fails for what contradicts itself.
    pub fn check(&self) -> Result<()> {
        if [&self.behavior, &self.fmri, &self.meg, &self.eeg].into_iter().all(Vec::is_empty) {
            return Err(advise(
                "there is nothing to compare with",
                "give RDMs of behaviour, fMRI, MEG or EEG: --behavior, --fmri, --meg, --eeg",
            ));
        }
        check_draws(self.permutations, self.bootstrap)?;
        self.regression.check()?;
        if self.regression.is_regression() {
            self.check_regression()?;
        }
        if self.regression.reweight {
            self.check_reweight()?;
        }
        if !self.control.is_empty() && self.compare.partial().is_none() {
            return Err(not_partial(self.compare));
        }
        if self.bootstrap == 0 && self.differences {
            return Err(advise("differences between models need a bootstrap", "add --bootstrap 1000"));
        }
        check_prefix(&self.out, "rsa", ".npy, .csv and .json")
    }

    /// Fails for what a cross-validation of reweighted units cannot do.
    fn check_reweight(&self) -> Result<()> {
        let stimuli = self.bootstrap > 0 && self.over != Over::Subjects;
        let refused: [(bool, &str, &str); 4] = [
            (
                self.permutations > 0,
                "--permutations would need all fits anew for each",
                "leave them out; bootstrap over subjects",
            ),
            (
                stimuli,
                "stimuli that are drawn twice would be both fitted and left out",
                "add --over subjects, or leave out --bootstrap",
            ),
            (!self.control.is_empty(), "--control is of RDMs, and --reweight fits units", "leave it out, or --reweight"),
            (self.differences, "--differences are of models as they are, and --reweight fits them", "leave out --differences"),
        ];
        match refused.into_iter().find(|(given, ..)| *given) {
            Some((_, problem, hint)) => Err(advise(problem, hint)),
            None => Ok(()),
        }
    }

    /// Fails for what a regression cannot do.
    fn check_regression(&self) -> Result<()> {
        let Wanted { regress_layers, cross_validate, .. } = &self.regression;
        if !self.control.is_empty() {
            return Err(advise(
                "in a regression all predictors control for each other",
                "give the controls as predictors: --regress instead of --control",
            ));
        }
        if self.differences {
            return Err(advise("--differences compare models, and a regression has predictors", "leave it out"));
        }
        if regress_layers.is_empty() && !self.models.is_empty() {
            let model = self.models[0].display();
            return Err(advise(
                format!("with --regress models are not compared one by one, and `{model}` is one"),
                "make it a predictor: --regress RDM, or --regress-layers GLOB with the folders of runs; or leave it out",
            ));
        }
        if self.compare.partial().is_none() {
            return Err(not_linear(self.compare));
        }
        if cross_validate.is_some() && self.compare != Comparison::Pearson {
            return Err(advise(
                "ranks of pairs that are left out hang on those that are fitted, so they cannot be predicted from them",
                "cross-validate with --compare pearson",
            ));
        }
        Ok(())
    }
}
