//! Library use: the activations of one layer for one image.
//!
//! `cargo run --release --example extract_layer -- path/to/image.jpg`

#![allow(clippy::print_stdout)]

use anyhow::{Context, Result};
use tch::{Device, Tensor};
use thingsvision::extract::resolve;
use thingsvision::images::{Reading, decode};
use thingsvision::models::Model;
use thingsvision::nn::Plan;
use thingsvision::registry::Registry;

fn main() -> Result<()> {
    let path = std::env::args().nth(1).context("name an image")?;
    let registry = Registry::load(None)?;
    let choice = registry.choose("resnet18")?;
    let architecture = &choice.entry.architecture;
    let model = Model::new(architecture, architecture.seeded_weights(0)?, Device::Cpu)?;

    let preprocessing = choice.preprocessing.context("the weights of the registry have one")?;
    let [height, width] = preprocessing.shown_always().context("and it has a crop")?;
    let mut pixels = vec![0.0; 3 * height * width];
    let looked_at = |width, height| preprocessing.looks_at(width, height);
    preprocessing.apply(&decode(path.as_ref(), &Reading::default(), &looked_at)?, &mut pixels);
    let image = Tensor::from_slice(&pixels).view([1, 3, height as i64, width as i64]);

    let trace = model.trace([height, width])?;
    let layers = resolve("resnet18", model.manifest(), &trace, &["layer4".to_owned()])?;
    model.run(&Plan::new(&trace, &[layers[0].call]), &image, &mut |_, activation| {
        println!("{}: {:?}, mean {:.4}", layers[0].name, activation.size(), activation.mean(None).double_value(&[]));
        Ok(())
    })
}
