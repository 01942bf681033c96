//! The image towers of CLIP: Radford et al. 2021, "Learning transferable visual models from natural language
//! supervision", <https://arxiv.org/abs/2103.00020>.
//!
//! Names are those of the whole model in OpenAI's `clip/model.py`, so everything begins with `visual`; its output is the
//! projected embedding, not normalised. Tokens are `[N, L, D]`, where OpenAI's own hooks would show `[L, N, D]`.

mod resnet;
mod vit;

use super::at_least_one;
use crate::nn::{Init, Module, Scope};
use anyhow::{Result, ensure};
use serde::Deserialize;

/// What may vary.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "tower", rename_all = "lowercase", deny_unknown_fields)]
pub enum Config {
    /// A ResNet with attention pooling.
    Resnet(resnet::Config),
    /// A vision transformer.
    Vit(vit::Config),
}

/// Fails if no tower can have these numbers.
pub fn check(config: &Config) -> Result<()> {
    match config {
        Config::Resnet(resnet::Config { depths, width, resolution, outputs, text_width }) => {
            at_least_one([*width / 2, *resolution / 32, *outputs, *text_width])?;
            at_least_one(depths.map(|depth| depth as i64))
        }
        Config::Vit(vit::Config { patch, resolution, width, head_width, outputs, .. }) => {
            at_least_one([*patch, *resolution, *width, *head_width, *outputs])?;
            ensure!(width % head_width == 0, "{width} features cannot be split among heads of {head_width}");
            Ok(())
        }
    }
}

/// The tower at `s`.
pub fn new(s: Scope, config: &Config) -> Result<Box<dyn Module>> {
    let s = &s / "visual";
    Ok(match config {
        Config::Resnet(config) => Box::new(resnet::ModifiedResNet::new(s, config)?),
        Config::Vit(config) => Box::new(vit::VisionTransformer::new(s, config)?),
    })
}

/// As the constructor of the whole model draws: the image tower, then the text tower, which is not kept.
pub fn initialise(init: &mut Init, config: &Config) -> Result<()> {
    match config {
        Config::Resnet(config) => resnet::initialise(init, config),
        Config::Vit(config) => vit::initialise(init, config),
    }
}
