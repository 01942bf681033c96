//! Library use: two layers of a network, their RDMs, and how these agree with behaviour.
//!
//! `cargo run --release --example whole_job`

#![allow(clippy::print_stdout)]

use anyhow::Result;
use thingsvision::observer::Silent;
use thingsvision::weights::Weights;
use thingsvision::{extract, rsa};

fn main() -> Result<()> {
    let wanted = extract::Request {
        models: vec!["alexnet".into()],
        weights: Weights::Random,
        layers: vec!["features.12".into(), "classifier.5".into()],
        images: vec!["examples/images".into()],
        out: "demo/whole_job".into(),
        ..extract::Request::default()
    };
    // The activations and RDMs of both layers; what is there already is not made again.
    let run = extract::extract(&wanted, &Silent)?;

    let comparison = rsa::Request {
        models: run.folders,
        behavior: vec!["examples/behavior.npy".into()],
        permutations: 1000,
        ..rsa::Request::default()
    };
    for score in rsa::analyse(&comparison, &Silent)?.table.scores {
        println!("{} {}: r = {:.3}, p = {:.3}", score.model, score.layer, score.score, score.p.unwrap_or(f64::NAN));
    }
    Ok(())
}
