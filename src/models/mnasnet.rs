//! MNASNet: Tan et al. 2018, "MnasNet: platform-aware neural architecture search for mobile",
//! <https://arxiv.org/abs/1807.11626>; its variant B1.
//!
//! Names, order and constants are those of torchvision's `models/mnasnet.py`, version 2, whose first layers scale as well.

use super::misc::{classifier, factors_in_bounds, initialise, make_divisible};
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the numbers of channels are multiplied by.
    pub alpha: f64,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

/// Channels that come out of the first convolutions and of the stacks.
const DEPTHS: [i64; 8] = [32, 16, 24, 40, 80, 96, 192, 320];

/// Of each stack: the side of the kernels, the stride of the first block, how many times as many channels a block has within
/// as come in, and the number of blocks.
const STACKS: [(i64, i64, i64, usize); 6] = [(3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1)];

const LAST_CHANNEL: i64 = 1280;

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds([self.classes])?;
        factors_in_bounds([self.alpha])
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(s.register("MNASNet").of(MnasNet {
            layers: layers(&(&s / "layers"), DEPTHS.map(|depth| make_divisible(depth as f64 * self.alpha)))?,
            classifier: classifier(&(&s / "classifier"), LAST_CHANNEL, self.classes)?,
        })))
    }

    fn initialise(&self, init: &mut Init) -> Result<()> {
        initialise(init, |init, key| init.kaiming_uniform_fan_out(key))
    }
}

/// Stacks of inverted residual blocks between convolutions, a classifier of the means over places.
struct MnasNet {
    layers: Sequential,
    classifier: Sequential,
}

impl Forward for MnasNet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = self.layers.forward(pass, x)?;
        let y = y.f_mean_dim([2i64, 3].as_slice(), false, None)?;
        self.classifier.forward(pass, &y)
    }
}

fn layers(s: &Scope, depths: [i64; 8]) -> Result<Sequential> {
    let mut layers = Sequential::new(s);
    layers.push(s, |s| conv2d(s, 3, depths[0], 3, Conv { stride: 2, padding: 1, ..NO_BIAS }))?;
    layers.push(s, |s| batch_norm2d(s, depths[0]))?;
    layers.push(s, |s| Ok(relu(s)))?;
    layers.push(s, |s| conv2d(s, depths[0], depths[0], 3, Conv { padding: 1, groups: depths[0], ..NO_BIAS }))?;
    layers.push(s, |s| batch_norm2d(s, depths[0]))?;
    layers.push(s, |s| Ok(relu(s)))?;
    layers.push(s, |s| conv2d(s, depths[0], depths[1], 1, NO_BIAS))?;
    layers.push(s, |s| batch_norm2d(s, depths[1]))?;
    for ((kernel, stride, expand, repeats), c) in STACKS.into_iter().zip(depths[1..].windows(2)) {
        layers.push(s, |s| stack(&s, [c[0], c[1]], kernel, stride, expand, repeats))?;
    }
    layers.push(s, |s| conv2d(s, depths[7], LAST_CHANNEL, 1, NO_BIAS))?;
    layers.push(s, |s| batch_norm2d(s, LAST_CHANNEL))?;
    layers.push(s, |s| Ok(relu(s)))?;
    Ok(layers)
}

fn stack(s: &Scope, [c_in, c_out]: [i64; 2], kernel: i64, stride: i64, expand: i64, repeats: usize) -> Result<Sequential> {
    let mut stack = Sequential::new(s);
    stack.push(s, |s| InvertedResidual::new(s, c_in, c_out, kernel, stride, expand))?;
    for _ in 1..repeats {
        stack.push(s, |s| InvertedResidual::new(s, c_out, c_out, kernel, 1, expand))?;
    }
    Ok(stack)
}

/// 1×1, a kernel for each channel by itself, 1×1; more channels in between than come in and out.
struct InvertedResidual {
    layers: Sequential,
    apply_residual: bool,
}

impl InvertedResidual {
    fn new(s: Scope, c_in: i64, c_out: i64, kernel: i64, stride: i64, expand: i64) -> Result<Named<Self>> {
        let c = c_in * expand;
        let id = s.register("_InvertedResidual");
        let s = &(&s / "layers");
        let mut layers = Sequential::new(s);
        layers.push(s, |s| conv2d(s, c_in, c, 1, NO_BIAS))?;
        layers.push(s, |s| batch_norm2d(s, c))?;
        layers.push(s, |s| Ok(relu(s)))?;
        layers.push(s, |s| conv2d(s, c, c, kernel, Conv { stride, padding: kernel / 2, groups: c, ..NO_BIAS }))?;
        layers.push(s, |s| batch_norm2d(s, c))?;
        layers.push(s, |s| Ok(relu(s)))?;
        layers.push(s, |s| conv2d(s, c, c_out, 1, NO_BIAS))?;
        layers.push(s, |s| batch_norm2d(s, c_out))?;
        Ok(id.of(Self { layers, apply_residual: c_in == c_out && stride == 1 }))
    }
}

impl Forward for InvertedResidual {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = self.layers.forward(pass, x)?;
        if self.apply_residual { add(y, x) } else { Ok(y) }
    }
}
