//! The flags of `thingsvision rsa` and `thingsvision cka`.

use std::path::PathBuf;
use thingsvision::rsa::{Comparison, Over, Request, cka};

/// `thingsvision rsa`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).multiple(true).args(["behavior", "fmri"]))]
pub struct Rsa {
    /// Runs of `thingsvision extract`, or RDM files [default: every finished run in activations/]
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

    /// How two RDMs are compared
    #[arg(long, value_enum, default_value_t)]
    pub compare: Comparison,

    /// Compare the stimuli that all RDMs have, by their IDs, instead of failing when they differ
    #[arg(long)]
    pub intersect: bool,

    /// Test by so many relabellings of the stimuli (all of them if these are not more)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub permutations: Option<u32>,

    /// Give 95 % intervals from so many bootstraps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(40..))]
    pub bootstrap: Option<u32>,

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

    /// Print what was done, with all formulas, ready for a methods section
    #[arg(long)]
    pub explain: bool,

    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

impl Rsa {
    /// What the flags ask for.
    pub fn request(&self) -> Request {
        Request {
            models: self.models.clone(),
            behavior: self.behavior.clone(),
            fmri: self.fmri.clone(),
            compare: self.compare,
            intersect: self.intersect,
            permutations: self.permutations.unwrap_or(0),
            bootstrap: self.bootstrap.unwrap_or(0),
            over: self.over,
            differences: self.differences,
            seed: self.seed,
            out: self.out.clone(),
        }
    }
}

/// `thingsvision cka`
#[derive(Debug, clap::Args)]
pub struct Cka {
    /// Runs of `thingsvision extract` (all their layers), or files of features [stimuli, units]: at least two layers
    #[arg(required = true, value_name = "RUN_DIR|FEATURES")]
    pub features: Vec<PathBuf>,

    /// Compare the stimuli that all have, by their IDs, instead of failing when they differ
    #[arg(long)]
    pub intersect: bool,

    /// Use the unbiased estimate of HSIC: 0 on average for unrelated features, may be negative
    #[arg(long)]
    pub unbiased: bool,

    /// Write the matrix, [layers, layers] float64
    #[arg(long, value_name = "FILE.npy")]
    pub out: Option<PathBuf>,

    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

impl Cka {
    /// What the flags ask for.
    pub fn request(&self) -> cka::Request {
        let Cka { features, intersect, unbiased, out, json: _ } = self;
        cka::Request { features: features.clone(), intersect: *intersect, unbiased: *unbiased, out: out.clone() }
    }
}
