//! Networks: one architecture family a file, those that PyTorch exported, and what holds for all of them.
//!
//! A family's file reads like its Python source: the constructor mirrors `__init__`, `compute` mirrors `forward`,
//! `initialise` replays the constructor's random draws.

mod alexnet;
mod clip;
mod cornet;
mod exported;
mod model;
mod resnet;
mod vgg;
mod vit;

pub use clip::Activation;
pub use exported::{Card, Exported};
pub use model::Model;

use crate::nn::{Init, Manifest, Module, Scope, StateDict};
use anyhow::{Result, bail};
use serde::Deserialize;
use tch::{Device, Kind};

/// What the networks of a family have in common; implemented by the numbers that single one out.
trait Family {
    /// Fails if no network can have these numbers.
    fn check(&self) -> Result<()>;

    /// The network at `s`.
    fn construct(&self, s: Scope) -> Result<Box<dyn Module>>;

    /// Draws all weights in the order of the upstream constructor.
    fn initialise(&self, init: &mut Init) -> Result<()>;

    /// What the keys of a whole checkpoint begin with that belong to this network.
    fn prefix(&self) -> &'static str {
        ""
    }
}

/// Declares the families by their files; in `models.toml` they are called so.
macro_rules! families {
    ($($name:ident: $file:ident,)*) => {
        /// A family of networks and the numbers that single one out, as written in `models.toml`.
        #[derive(Debug, Clone, Deserialize)]
        #[serde(tag = "family", rename_all = "lowercase")]
        pub enum Architecture {
            $(#[doc = concat!("`", stringify!($file), ".rs`")] $name($file::Config),)*
            /// Whatever the weights file holds: it is a network that PyTorch exported ([`Exported`]).
            Exported,
        }

        impl Architecture {
            fn family(&self) -> Result<&dyn Family> {
                match self {
                    $(Architecture::$name(config) => Ok(config),)*
                    Architecture::Exported => bail!("an exported network is not built, but read from its file"),
                }
            }
        }
    };
}

families! {
    Alexnet: alexnet,
    Clip: clip,
    Cornet: cornet,
    Resnet: resnet,
    Vgg: vgg,
    Vit: vit,
}

/// More layers, classes or pixels than any network has: a registry may ask for anything.
const MOST: i64 = 100_000;

fn in_bounds(numbers: impl IntoIterator<Item = i64>) -> Result<()> {
    match numbers.into_iter().find(|number| !(1..=MOST).contains(number)) {
        Some(number) => bail!("a number of the architecture is {number} and must be from 1 to {MOST}"),
        None => Ok(()),
    }
}

/// The classes of ImageNet, which most published weights tell apart.
fn imagenet_classes() -> i64 {
    1000
}

impl Architecture {
    /// Whether it is a network that PyTorch exported.
    pub fn is_exported(&self) -> bool {
        matches!(self, Architecture::Exported)
    }

    /// Where the activation function is said, of networks whose checkpoints do not tell it.
    pub fn activation(&mut self) -> Option<&mut Option<Activation>> {
        match self {
            Architecture::Clip(config) => config.activation(),
            _ => None,
        }
    }

    /// Fails if no network can have these numbers.
    pub fn check(&self) -> Result<()> {
        if self.is_exported() { Ok(()) } else { self.family()?.check() }
    }

    /// The modules and tensors, without allocating the latter.
    pub fn manifest(&self) -> Result<Manifest> {
        let (_, manifest) = Scope::build(None, (Kind::Float, Device::Cpu), |s| self.family()?.construct(s))?;
        Ok(manifest)
    }

    /// What the keys of a whole checkpoint begin with that belong to this network: of CLIP only the image tower does.
    pub fn prefix(&self) -> &'static str {
        self.family().map_or("", Family::prefix)
    }

    /// The weights of `torch.manual_seed(seed)` followed by the upstream constructor.
    pub fn seeded_weights(&self, seed: u64) -> Result<StateDict> {
        let manifest = self.manifest()?;
        let mut init = Init::new(&manifest, seed)?;
        self.family()?.initialise(&mut init)?;
        init.finish()
    }
}
