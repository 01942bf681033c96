//! The same numbers as PyTorch, torchvision, Pillow and SciPy, which made the files in `tests/fixtures`; and what the library's parts
//! promise a caller: names, files of RDMs and studies.
#![allow(clippy::unwrap_used)] // helpers of tests

mod activations;
mod checkpoints;
mod cka;
mod differential;
mod exported;
mod golden;
mod matlab;
mod names;
mod nifti;
mod order;
mod permutation;
mod pixels;
mod rdm;
mod rdm_files;
mod rsa;
mod seeded_weights;
mod structure;
mod studies;
mod tables;
mod variants;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use thingsvision::registry::{Entry, Registry};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The lines of a fixture, split at tabs.
fn table(path: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(fixtures().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// The models of the program, and small ones of kinds of which it has large ones alone.
fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::load(Some(&fixtures().join("small.toml"))).unwrap());
    &REGISTRY
}

/// Height and width of the images that a model takes.
fn input_size(model: &str) -> [usize; 2] {
    registry().choose(model).unwrap().preprocessing.unwrap().shown_always().unwrap()
}

fn every_model(check: impl Fn(&Entry)) {
    for entry in &registry().models {
        check(entry);
    }
}
