//! How far each way to compute is from float64: `cargo bench --bench precision -- INPUT.npy MODEL…`
//!
//! `INPUT.npy` holds images as the network sees them, as `thingsvision extract --layer input` writes them. Random weights of seed 0. A
//! line a model, as the table of docs/numbers.md: of the differences from float64 of all outputs of all modules, each in units of the
//! output's largest value, the largest and the median.

#![allow(clippy::print_stdout)]

use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};
use thingsvision::models::Model;
use thingsvision::nn::{Plan, flush_denormals};
use thingsvision::registry::Registry;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [input, names @ ..] = &arguments[..] else {
        println!("not run: it needs images and models");
        return Ok(());
    };
    flush_denormals();
    let images = Tensor::read_npy(input)?;
    let [.., height, width] = images.size()[..] else { anyhow::bail!("`{input}` is no stack of pictures") };
    let registry = Registry::load(None)?;
    println!("| network | PyTorch's order | direct | default |\n|---|---|---|---|");
    for name in names {
        let architecture = &registry.choose(name)?.entry.architecture;
        let model = |kind| Model::of_kind(architecture, architecture.seeded_weights(0)?, Device::Cpu, kind);
        let trace = Model::without_weights(architecture)?.trace([height as usize, width as usize])?;
        let all: Vec<usize> = (1..trace.calls.len()).collect();
        let outputs = |model: &Model| -> Result<Vec<Tensor>> {
            let mut kept = Vec::new();
            let mut keep = |_, y: &Tensor| {
                kept.push(y.f_contiguous()?);
                Ok(())
            };
            model.run(&Plan::new(&trace, &all), &model.take(&images)?, &mut keep)?;
            Ok(kept)
        };
        let expected = outputs(&model(Kind::Double)?)?;
        let mut cells = Vec::new();
        for way in [model(Kind::Float)?.exact(), model(Kind::Float)?.direct(), model(Kind::Float)?] {
            let distance = |(y, expected): (Tensor, &Tensor)| -> Result<f64> {
                let scale = expected.f_abs()?.f_max()?.f_double_value(&[])?.max(f64::MIN_POSITIVE);
                Ok(y.f_sub(expected)?.f_abs()?.f_max()?.f_double_value(&[])? / scale)
            };
            let mut worst: Vec<f64> = outputs(&way)?.into_iter().zip(&expected).map(distance).collect::<Result<_>>()?;
            worst.sort_by(f64::total_cmp);
            let (largest, median) = (worst.last().context("a network has calls")?, worst[worst.len() / 2]);
            cells.push(format!("{largest:.1e} ({median:.1e})"));
        }
        println!("| `{name}` | {} |", cells.join(" | "));
    }
    Ok(())
}
