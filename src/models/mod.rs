//! Networks: one architecture family a file, those that PyTorch exported, and what holds for all of them.
//!
//! A family's file reads like its Python source: the constructor mirrors `__init__`, `compute` mirrors `forward`,
//! `initialise` replays the constructor's random draws.

mod alexnet;
mod clip;
mod convnext;
mod cornet;
mod densenet;
mod efficientnet;
mod exported;
mod googlenet;
mod inception;
mod maxvit;
mod misc;
mod mnasnet;
mod mobilenetv2;
mod mobilenetv3;
mod model;
mod regnet;
mod resnet;
mod shufflenet;
mod squeezenet;
mod swin;
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

    /// What is particular to the keys of its checkpoints.
    fn layout(&self) -> Layout {
        Layout::default()
    }

    /// Whether the network itself brings images from ImageNet's mean and deviation to others before it looks at them.
    fn transforms_input(&self) -> bool {
        false
    }
}

/// How checkpoints hold the tensors of a network, beside the ways in which they hold those of all (`[checkpoints]` in `models.toml`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Layout {
    /// What the keys begin with that belong to this network: of CLIP only the image tower does.
    pub prefix: &'static str,
    /// What keys begin with that may be there and are of no use.
    pub ignored: &'static [&'static str],
    /// Parts of keys that stand for others.
    pub renames: &'static [[&'static str; 2]],
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

            /// As `models.toml` calls the family.
            pub fn family_name(&self) -> &'static str {
                match self {
                    $(Architecture::$name(_) => stringify!($file),)*
                    Architecture::Exported => "exported",
                }
            }
        }
    };
}

families! {
    Alexnet: alexnet,
    Clip: clip,
    Convnext: convnext,
    Cornet: cornet,
    Densenet: densenet,
    Efficientnet: efficientnet,
    Googlenet: googlenet,
    Inception: inception,
    Maxvit: maxvit,
    Mnasnet: mnasnet,
    Mobilenetv2: mobilenetv2,
    Mobilenetv3: mobilenetv3,
    Regnet: regnet,
    Resnet: resnet,
    Shufflenet: shufflenet,
    Squeezenet: squeezenet,
    Swin: swin,
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

    /// What is particular to the keys of its checkpoints.
    pub fn layout(&self) -> Layout {
        self.family().map_or_else(|_| Layout::default(), Family::layout)
    }

    /// Whether the network itself brings images from ImageNet's mean and deviation to others before it looks at them, which no
    /// checkpoint tells (torchvision's `transform_input`).
    pub fn transforms_input(&self) -> bool {
        self.family().is_ok_and(Family::transforms_input)
    }

    /// The weights of `torch.manual_seed(seed)` followed by the upstream constructor.
    pub fn seeded_weights(&self, seed: u64) -> Result<StateDict> {
        let manifest = self.manifest()?;
        let mut init = Init::new(&manifest, seed)?;
        self.family()?.initialise(&mut init)?;
        init.finish()
    }
}
