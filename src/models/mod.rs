//! Networks: one architecture family a file, those that PyTorch exported, and what holds for all of them.
//!
//! A family's file reads like its Python source: the constructor mirrors `__init__`, `compute` mirrors `forward`,
//! `initialise` replays the constructor's random draws.

mod alexnet;
mod clip;
mod cliptext;
mod convnext;
mod cornet;
mod densenet;
mod efficientnet;
mod eva;
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
mod timmconvnext;
mod timmvit;
mod vgg;
mod vit;

pub use clip::Activation;
pub use cliptext::Config as TextTower;
pub use exported::{Card, Exported};
pub use model::Model;
pub use timmvit::positions::UnfitSize;

use crate::nn::{self, Init, Manifest, Module, Scope, StateDict};
use anyhow::{Result, bail};
use serde::Deserialize;
use std::collections::HashMap;
use tch::{Device, Kind};

/// What the networks of a family have in common; implemented by the numbers that single one out.
trait Family {
    /// Fails if no network can have these numbers.
    fn check(&self) -> Result<()>;

    /// The network at `s`.
    fn construct(&self, s: Scope) -> Result<Box<dyn Module>>;

    /// Draws all weights in the order of the upstream constructor.
    fn initialise(&self, init: &mut Init) -> Result<()>;

    /// The same of an image tower, with the draws of the text tower where the constructor of both makes them.
    fn initialise_around(&self, init: &mut Init, text: &mut dyn FnMut(&mut Init) -> Result<()>) -> Result<()> {
        self.initialise(init)?;
        text(init)
    }

    /// The weights of `torch.manual_seed(seed)` followed by the upstream constructor, of the network with this manifest.
    fn seeded(&self, manifest: &Manifest, seed: u64) -> Result<StateDict> {
        let mut init = Init::new(manifest, seed)?;
        self.initialise(&mut init)?;
        init.finish()
    }

    /// The number of tokens of a text, of a network that is shown texts.
    fn context(&self) -> Option<i64> {
        None
    }

    /// What of other networks may stand beside its own keys.
    fn own_layout(&self) -> Layout {
        Layout::default()
    }

    /// How else files hold its tensors than under the network's own keys, each way by itself.
    fn layouts(&self) -> Vec<Layout> {
        Vec::new()
    }

    /// The number of classes that its classifier tells apart, if it can have one; 0 without.
    fn classes(&mut self) -> Option<&mut i64> {
        None
    }

    /// Whether an image's outputs are to the bit the same in a batch of any size from 2 on, in fused passes and where that is so of
    /// the kernels themselves ([`rows_stand_alone`](crate::nn::rows_stand_alone)). It is not where few numbers an image are
    /// multiplied, as in squeeze and excitation.
    fn rows_stand_alone(&self) -> bool {
        false
    }

    /// Whether the network itself brings images from ImageNet's mean and deviation to others before it looks at them.
    fn transforms_input(&self) -> bool {
        false
    }
}

/// How files hold the tensors of a network. What stands before all keys is found by itself.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Whose it is; empty for the network's own keys.
    pub name: &'static str,
    /// Parts of the network's keys, and what files have instead; replaced in this order.
    ///
    /// `^` is the beginning of a key. What a file holds apart and the network joined along the first axis stands in braces:
    /// `.attn.{q,k,v}.`; and what it holds transposed ends with `ᵀ`.
    pub renames: Vec<[&'static str; 2]>,
    /// What keys of the file begin with, or end with if it begins with a dot, that are among the network's and of no use.
    pub ignored: &'static [&'static str],
    /// What keys begin with in networks that compute something else with the same keys beside.
    pub refused: &'static [&'static str],
    /// Whether nothing else may stand beside the network, whose parts are those of a larger one.
    pub alone: bool,
    /// Whether shapes may differ in axes of size 1: a matrix may be a convolution of single places.
    pub ones: bool,
    /// What keys of the file end with whose tensors must be 0 throughout, for the network has nothing like them.
    pub zeros: &'static [&'static str],
    /// What a user must know of files in it.
    pub note: Option<&'static str>,
}

impl Layout {
    /// Other keys than the network's own.
    fn of(name: &'static str, renames: impl Into<Vec<[&'static str; 2]>>) -> Layout {
        Layout { name, renames: renames.into(), ..Layout::default() }
    }

    /// The keys of the file that make the network's `key`, joined in this order; and whether each is transposed.
    pub fn keys(&self, key: &str) -> (Vec<String>, bool) {
        let key = self.renames.iter().fold(key.to_owned(), |key, [from, to]| match from.strip_prefix('^') {
            Some(from) => key.strip_prefix(from).map_or(key.clone(), |rest| format!("{to}{rest}")),
            None => key.replace(from, to),
        });
        let (key, is_transposed) = key.strip_suffix('ᵀ').map_or((key.as_str(), false), |key| (key, true));
        let apart = key.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
        let keys = match apart {
            Some((before, (parts, after))) => parts.split(',').map(|part| format!("{before}{part}{after}")).collect(),
            None => vec![key.to_owned()],
        };
        (keys, is_transposed)
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
            fn family_mut(&mut self) -> Option<&mut dyn Family> {
                match self {
                    $(Architecture::$name(config) => Some(config),)*
                    Architecture::Exported => None,
                }
            }

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
    Cliptext: cliptext,
    Convnext: convnext,
    Cornet: cornet,
    Densenet: densenet,
    Efficientnet: efficientnet,
    Eva: eva,
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
    Timmconvnext: timmconvnext,
    Timmvit: timmvit,
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
            Architecture::Cliptext(config) => config.activation(),
            _ => None,
        }
    }

    /// The activation function that the upstream constructor gives such a network.
    pub fn constructed_activation(&self) -> Option<Activation> {
        match self {
            Architecture::Clip(config) => config.constructed_activation(),
            Architecture::Cliptext(config) => config.constructed_activation(),
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

    /// How files hold its tensors: first under the network's own keys.
    pub fn layouts(&self) -> Vec<Layout> {
        self.family().map_or_else(|_| Vec::new(), |family| [vec![family.own_layout()], family.layouts()].concat())
    }

    /// The same network with a classifier of this number of classes, if it has one.
    pub fn with_classes(&self, classes: i64) -> Option<Architecture> {
        let mut architecture = self.clone();
        *architecture.family_mut()?.classes()? = classes;
        architecture.check().is_ok().then_some(architecture)
    }

    /// The number of classes that it tells apart, if it can have a classifier; 0 without.
    pub fn classes(&self) -> Option<i64> {
        self.clone().family_mut()?.classes().copied()
    }

    /// The keys of the classifier: of the tensors whose shape follows from the number of classes.
    pub fn classifier(&self) -> Result<Vec<String>> {
        let mut other = self.clone();
        let Some(classes) = other.family_mut().and_then(Family::classes) else { return Ok(Vec::new()) };
        *classes += 1;
        let shapes: HashMap<String, Vec<i64>> =
            other.manifest()?.tensors.into_iter().map(|entry| (entry.key, entry.shape)).collect();
        let tensors = self.manifest()?.tensors.into_iter();
        Ok(tensors.filter(|entry| shapes.get(&entry.key) != Some(&entry.shape)).map(|entry| entry.key).collect())
    }

    /// Whether an image's outputs do not depend on the size of its batch, in fused passes.
    pub fn rows_stand_alone(&self) -> bool {
        nn::rows_stand_alone() && self.family().is_ok_and(Family::rows_stand_alone)
    }

    /// The number of tokens of a text, of a network that is shown texts and not images.
    pub fn context(&self) -> Option<i64> {
        self.family().ok()?.context()
    }

    /// Whether the network itself brings images from ImageNet's mean and deviation to others before it looks at them, which no
    /// checkpoint tells (torchvision's `transform_input`).
    pub fn transforms_input(&self) -> bool {
        self.family().is_ok_and(Family::transforms_input)
    }

    /// The weights of `torch.manual_seed(seed)` followed by the upstream constructor.
    pub fn seeded_weights(&self, seed: u64) -> Result<StateDict> {
        self.family()?.seeded(&self.manifest()?, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    fn architecture(text: &str) -> Result<Architecture> {
        #[derive(Deserialize)]
        struct Entry {
            architecture: Architecture,
        }
        let Entry { architecture } = toml::from_str(&format!("architecture = {{ {text} }}"))?;
        architecture.check()?;
        Ok(architecture)
    }

    #[test]
    fn networks_that_cannot_be_are_refused() {
        let refused = [
            r#"family = "vit", patch = 16, resolution = 224, depth = 1000000000, heads = 1, width = 1, mlp_width = 1"#,
            r#"family = "vgg", depths = [0, 0, 0, 0, 0]"#,
            r#"family = "swin", width = 96, depths = [2, 2, 6, 2], heads = [5, 6, 12, 24], window = 7"#,
            r#"family = "swin", width = 96, depths = [2, 2, 6, 2], heads = [3, 6, 12, 24], window = 64"#,
            r#"family = "swin", width = 8, depths = [100000, 1, 1, 1], heads = [1, 1, 1, 1], window = 2"#,
            r#"family = "densenet", growth = 1, depths = [100000, 1, 1, 1], init_features = 8"#,
            r#"family = "convnext", depths = [1, 1, 1, 1], widths = [100000, 100000, 100000, 100000]"#,
            r#"family = "efficientnet", width = nan"#,
            r#"family = "efficientnet", depth = 1e300"#,
            r#"family = "efficientnet", depth = 50.0, stages = [["separate", 1, 3, 1, 16, 100000]]"#,
            r#"family = "efficientnet", stages = [["separate", 1, 4, 1, 16, 1]]"#,
            r#"family = "efficientnet", stages = []"#,
            r#"family = "mobilenetv3", last_channel = 8, blocks = [[2, 16, 16, false, "RE", 1]]"#,
            r#"family = "mobilenetv3", last_channel = 8, blocks = [[3, 16, 16, false, "GELU", 1]]"#,
            r#"family = "regnet", depths = [1, 1, 1, 1], widths = [8, 8, 8, 8], group_widths = [8, 8, 8, 3]"#,
            r#"family = "regnet", depths = [1, 1, 1, 1], widths = [8, 8, 8, 8], group_widths = [8, 8, 8, 8], se_ratio = 0.001"#,
            r#"family = "mnasnet", alpha = 0.0"#,
            r#"family = "squeezenet", stem = [64, 0], stages = [[16], [16], [16]]"#,
            r#"family = "shufflenet", stages_out_channels = [24, 49, 96, 192, 1024]"#,
            r#"family = "googlenet", classes = 0"#,
            r#"family = "inception", classes = 100001"#,
        ];
        for text in refused {
            let found = architecture(text).and_then(|architecture| architecture.manifest());
            assert!(found.is_err(), "{text}");
        }
    }

    #[test]
    fn tables_of_positions_are_the_networks_own() {
        let swin =
            architecture(r#"family = "swin", width = 8, depths = [1, 1, 1, 1], heads = [1, 1, 1, 1], window = 2, classes = 3"#);
        let swin = swin.unwrap();
        let build = |weights| Model::new(&swin, weights, Device::Cpu);
        let mut weights = swin.seeded_weights(0).unwrap();
        let mut without: StateDict = weights.iter().map(|(key, tensor)| (key.clone(), tensor.shallow_clone())).collect();
        without.retain(|key, _| !key.ends_with("relative_position_index"));
        build(without).unwrap();
        let key = "features.3.0.attn.relative_position_index";
        weights.insert(key.into(), Tensor::zeros([16], (Kind::Int64, Device::Cpu)));
        let error = build(weights).err().unwrap().to_string();
        assert!(error.starts_with(&format!("`{key}` has other numbers")), "{error}");
    }
}
