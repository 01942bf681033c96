//! The image towers of CLIP: Radford et al. 2021, "Learning transferable visual models from natural language
//! supervision", <https://arxiv.org/abs/2103.00020>.
//!
//! Names are those of the whole model in OpenAI's `clip/model.py`, or in OpenCLIP's `open_clip`, so everything begins with `visual`;
//! its output is the projected embedding, not normalised. Tokens are `[N, L, D]`, where OpenAI's own hooks would show `[L, N, D]`.

mod blocks;
mod openclip;
mod resnet;
mod vit;

pub(super) use blocks::Blocks;
pub use vit::Activation;

use super::{Family, Layout};
use crate::nn::{Init, Module, Scope};
use anyhow::Result;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "tower", rename_all = "lowercase", deny_unknown_fields)]
pub enum Config {
    /// A ResNet with attention pooling, OpenAI's or OpenCLIP's.
    Resnet(resnet::Config),
    /// OpenAI's vision transformer.
    Vit(vit::Config),
    /// OpenCLIP's vision transformer.
    Openclip(openclip::Config),
}

impl Config {
    fn tower(&self) -> &dyn Family {
        match self {
            Config::Resnet(config) => config,
            Config::Vit(config) => config,
            Config::Openclip(config) => config,
        }
    }
}

impl Config {
    /// Where the non-linearity is said that no checkpoint tells; ResNets have ReLU.
    pub fn activation(&mut self) -> Option<&mut Option<Activation>> {
        match self {
            Config::Resnet(_) => None,
            Config::Vit(config) => Some(&mut config.activation),
            Config::Openclip(config) => Some(&mut config.activation),
        }
    }

    /// That of the network as it is constructed.
    pub fn constructed_activation(&self) -> Option<Activation> {
        match self {
            Config::Resnet(_) => None,
            Config::Vit(config) => Some(config.activation.unwrap_or_default()),
            Config::Openclip(config) => Some(config.activation()),
        }
    }
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        self.tower().check()
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        self.tower().construct(&s / "visual")
    }

    /// As the constructor of the whole model draws: the image tower, then the text tower, which is not kept.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        self.tower().initialise(init)
    }

    fn initialise_around(&self, init: &mut Init, text: &mut dyn FnMut(&mut Init) -> Result<()>) -> Result<()> {
        self.tower().initialise_around(init, text)
    }

    fn layouts(&self) -> Vec<Layout> {
        let alone = Layout { alone: true, ..Layout::of("the tower alone", [["^visual.", ""]]) };
        self.tower().layouts().into_iter().chain([alone]).collect()
    }

    fn rows_stand_alone(&self) -> bool {
        true
    }
}
