//! Networks: one architecture family a file, those that PyTorch exported, and what holds for all of them.
//!
//! A family's file reads like its Python source: the constructor mirrors `__init__`, `compute` mirrors `forward`,
//! `initialise` replays the constructor's random draws.

pub mod alexnet;
mod built_in;
pub mod clip;
pub mod cornet;
mod exported;
mod model;
pub mod resnet;
pub mod vgg;
pub mod vit;

pub use exported::{Card, Exported};
pub use model::Model;

use crate::nn::{Init, Manifest, Module, Scope, StateDict};
use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use tch::{Device, Kind};

/// A family of networks and the numbers that single one out, as written in `models.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "family", rename_all = "lowercase")]
pub enum Architecture {
    /// [`alexnet`]
    Alexnet(alexnet::Config),
    /// [`clip`]
    Clip(clip::Config),
    /// [`cornet`]
    Cornet(cornet::Config),
    /// [`resnet`]
    Resnet(resnet::Config),
    /// [`vgg`]
    Vgg(vgg::Config),
    /// [`vit`]
    Vit(vit::Config),
    /// Whatever the weights file holds: it is a network that PyTorch exported ([`Exported`]).
    Exported,
}

fn at_least_one(numbers: impl IntoIterator<Item = i64>) -> Result<()> {
    match numbers.into_iter().find(|number| *number < 1) {
        Some(number) => bail!("a number of the architecture is {number} and must be at least 1"),
        None => Ok(()),
    }
}

/// The classes of ImageNet, which most published weights tell apart.
fn imagenet_classes() -> i64 {
    1000
}

impl Architecture {
    /// Fails if no network can have these numbers.
    pub fn check(&self) -> Result<()> {
        match self {
            Architecture::Alexnet(alexnet::Config { classes }) | Architecture::Cornet(cornet::Config { classes, .. }) => {
                at_least_one([*classes])
            }
            Architecture::Clip(config) => clip::check(config),
            Architecture::Resnet(config) => {
                at_least_one([config.groups, config.width_per_group, config.classes + 1])?;
                at_least_one(config.depths.map(|depth| depth as i64))
            }
            Architecture::Vgg(config) => at_least_one([config.classes]),
            Architecture::Vit(vit::Config { patch, resolution, heads, width, mlp_width, classes, .. }) => {
                at_least_one([*patch, *resolution, *heads, *width, *mlp_width, *classes])?;
                ensure!(width % heads == 0, "{width} features cannot be split among {heads} heads");
                Ok(())
            }
            Architecture::Exported => Ok(()),
        }
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(match self {
            Architecture::Alexnet(config) => Box::new(alexnet::AlexNet::new(s, config)?),
            Architecture::Clip(config) => clip::new(s, config)?,
            Architecture::Cornet(config) => cornet::new(s, config)?,
            Architecture::Resnet(config) => Box::new(resnet::ResNet::new(s, config)?),
            Architecture::Vgg(config) => Box::new(vgg::Vgg::new(s, config)?),
            Architecture::Vit(config) => Box::new(vit::VisionTransformer::new(s, config)?),
            Architecture::Exported => bail!("an exported network is not built, but read from its file"),
        })
    }

    /// The modules and tensors, without allocating the latter.
    pub fn manifest(&self) -> Result<Manifest> {
        let (_, manifest) = Scope::build(None, (Kind::Float, Device::Cpu), |s| self.construct(s))?;
        Ok(manifest)
    }

    /// What the keys of a whole checkpoint begin with that belong to this network: of CLIP only the image tower does.
    pub fn scope(&self) -> &'static str {
        match self {
            Architecture::Clip(_) => "visual.",
            _ => "",
        }
    }

    /// The weights of `torch.manual_seed(seed)` followed by the upstream constructor.
    pub fn seeded_weights(&self, seed: u64) -> Result<StateDict> {
        let manifest = self.manifest()?;
        let mut init = Init::new(&manifest, seed)?;
        match self {
            Architecture::Alexnet(_) => alexnet::initialise(&mut init)?,
            Architecture::Clip(config) => clip::initialise(&mut init, config)?,
            Architecture::Cornet(config) => cornet::initialise(&mut init, config)?,
            Architecture::Resnet(_) => resnet::initialise(&mut init)?,
            Architecture::Vgg(_) => vgg::initialise(&mut init)?,
            Architecture::Vit(_) => vit::initialise(&mut init)?,
            Architecture::Exported => {}
        }
        init.finish()
    }
}
