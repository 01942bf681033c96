//! How many images per second go through a network, forward alone:
//! `cargo bench --bench forward -- MODEL [BATCH_SIZE] [WORKERS] [SECONDS] [all|exact|direct|bf16]…`
//!
//! A line of JSON. Each worker runs its own batches on one libtorch thread, as extraction does; what counts is the time
//! from the first batch to the last after a first one that is not counted. `all` keeps the outputs of all modules; `direct`
//! computes convolutions in the order of their definition, `bf16` everything in bfloat16.
//! `benches/forward.py` does the same with PyTorch.

#![allow(clippy::print_stdout)]

// The one of the program.
#[path = "../src/allocator.rs"]
mod allocator;

use anyhow::{Context, Result};
use serde_json::json;
use std::sync::Barrier;
use std::time::Instant;
use tch::{Device, Kind, Tensor};
use thingsvision::models::Model;
use thingsvision::nn::{Plan, flush_denormals};
use thingsvision::registry::Registry;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (flags, arguments): (Vec<_>, Vec<_>) =
        arguments.into_iter().partition(|argument| ["all", "exact", "direct", "bf16"].contains(&argument.as_str()));
    let Some(name) = arguments.first() else {
        println!("not run: it needs a model");
        return Ok(());
    };
    let number = |i: usize, default: usize| arguments.get(i).map_or(Ok(default), |text| text.parse());
    let (batch, seconds) = (number(1, 16)? as i64, number(3, 10)? as f64);
    let workers = number(2, std::thread::available_parallelism()?.into())?;

    let registry = Registry::load(None)?;
    let choice = registry.choose(name)?;
    let has = |name: &str| flags.iter().any(|flag| flag == name);
    let (architecture, kind) = (&choice.entry.architecture, if has("bf16") { Kind::BFloat16 } else { Kind::Float });
    let model = Model::of_kind(architecture, architecture.seeded_weights(0)?, Device::Cpu, kind)?;
    let model = if has("exact") {
        model.exact()
    } else if has("direct") {
        model.direct()
    } else {
        model
    };
    let shown = choice.preprocessing.and_then(|preprocessing| preprocessing.shown_always());
    let [height, width] = shown.context("the weights of the registry have a crop")?;
    let trace = Model::without_weights(architecture)?.trace([height, width])?;
    let last = trace.calls.len() - 1;
    let wanted: Vec<usize> = if has("all") { (1..=last).collect() } else { vec![last] };
    let plan = Plan::new(&trace, &wanted);

    let barrier = Barrier::new(workers);
    let rates: Vec<f64> = std::thread::scope(|scope| {
        let worker = || -> Result<f64> {
            tch::set_num_threads(1);
            flush_denormals();
            let images = Tensor::f_rand([batch, 3, height as i64, width as i64], (Kind::Float, Device::Cpu))?;
            let mut keep = |_, y: &Tensor| {
                let _ = y.f_contiguous()?;
                Ok(())
            };
            let mut pass = || model.run(&plan, &model.take(&images)?, &mut keep);
            pass()?;
            barrier.wait();
            let (start, mut passes) = (Instant::now(), 0);
            while start.elapsed().as_secs_f64() < seconds {
                pass()?;
                passes += 1;
            }
            Ok((passes * batch) as f64 / start.elapsed().as_secs_f64())
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().expect("errors are returned")).collect::<Result<_>>()
    })?;
    let rate: f64 = rates.iter().sum();
    println!("{}", json!({ "model": name, "batch": batch, "workers": workers, "images_per_second": rate }));
    Ok(())
}
