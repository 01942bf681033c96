//! Library use: the activations of one layer for one image.
//!
//! `cargo run --release --example extract_layer -- path/to/image.jpg`

#![allow(clippy::print_stdout)]

use anyhow::{Context, Result};
use tch::{Device, Tensor};
use thingsvision::extract::resolve;
use thingsvision::images::decode;
use thingsvision::models::Model;
use thingsvision::nn::Plan;
use thingsvision::registry::Registry;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("name an image")?;
    let registry = Registry::load(None)?;
    let choice = registry.choose("resnet18")?;
    let architecture = &choice.entry.architecture;
    let model = Model::new(architecture, architecture.seeded_weights(0)?, Device::Cpu)?;

    let side = choice.preprocessing.crop as i64;
    let mut pixels = vec![0.0; choice.preprocessing.len()];
    choice.preprocessing.apply(&decode(path.as_ref())?, &mut pixels);
    let image = Tensor::from_slice(&pixels).view([1, 3, side, side]);

    let trace = model.trace(side)?;
    let layers = resolve("resnet18", &model.manifest, &trace, &["layer4".to_owned()])?;
    model.run(&Plan::new(&trace, &[layers[0].call]), &image, &mut |_, activation| {
        println!("{}: {:?}, mean {:.4}", layers[0].name, activation.size(), activation.mean(None).double_value(&[]));
        Ok(())
    })
}
