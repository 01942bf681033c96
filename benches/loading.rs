//! How long a weights file takes from the page cache into a network: `cargo bench --bench loading -- FILE MODEL`.
//!
//! `benches/loading.py FILE MODEL` does the same with PyTorch.

#![allow(clippy::print_stdout)]

use anyhow::{Context, Result};
use std::time::Instant;
use tch::Device;
use thingsvision::models::Model;
use thingsvision::registry::Registry;
use thingsvision::weights::{Located, Store, Weights};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [file, model] = &arguments[..] else {
        println!("not run: it needs a weights file and the name of its model");
        return Ok(());
    };
    let registry = Registry::load(None)?;
    let store = Store::open(None, true)?;
    let choice = registry.choose(model)?;
    let source = Weights::File(file.into());
    let mut seconds = Vec::new();
    for _ in 0..6 {
        let start = Instant::now();
        let (weights, _) = Located::find(&registry, &store, choice, &source, 0)?.load(&registry)?;
        Model::new(&choice.entry.architecture, weights, Device::Cpu)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    // The first run warms up.
    seconds[1..].sort_by(f64::total_cmp);
    println!("{model}: median {:.3} s, hash and check for finite values included", seconds.get(3).context("six runs")?);
    Ok(())
}
