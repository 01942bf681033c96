//! MobileNetV2: Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks",
//! <https://arxiv.org/abs/1801.04381>.
//!
//! Names, order and constants are those of torchvision's `models/mobilenetv2.py`.

use super::misc::{Block, classifier, conv_norm_activation, factors_in_bounds, initialise, make_divisible, no_factor};
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the numbers of channels are multiplied by.
    #[serde(default = "no_factor")]
    pub width: f64,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

/// Of each stage: how many times as many channels a block has within as come in, the channels that come out, the number of
/// blocks, and the stride of the first.
const STAGES: [(i64, i64, usize, i64); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

const RELU6: Block = Block { kernel: 3, stride: 1, groups: 1, eps: EPS, activation: Some(Activation::Relu6) };

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds([self.classes])?;
        factors_in_bounds([self.width])
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        let last_channel = make_divisible(1280.0 * self.width.max(1.0));
        Ok(Box::new(s.register("MobileNetV2").of(MobileNetV2 {
            features: features(&(&s / "features"), self.width, last_channel)?,
            classifier: classifier(&(&s / "classifier"), last_channel, self.classes)?,
        })))
    }

    fn initialise(&self, init: &mut Init) -> Result<()> {
        initialise(init, |init, weight| init.normal(weight, 0.0, 0.01))
    }
}

/// Inverted residual blocks between two convolutions, a classifier of the means over places.
struct MobileNetV2 {
    features: Sequential,
    classifier: Sequential,
}

impl Forward for MobileNetV2 {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = self.features.forward(pass, x)?;
        let y = y.f_adaptive_avg_pool2d([1, 1])?;
        self.classifier.forward(pass, &flatten(&y)?)
    }
}

fn features(s: &Scope, width: f64, last_channel: i64) -> Result<Sequential> {
    let mut features = Sequential::new(s);
    let mut c_in = make_divisible(32.0 * width);
    features.push(s, |s| conv_norm_activation(&s, 3, c_in, Block { stride: 2, ..RELU6 }))?;
    for (expand, c, depth, stride) in STAGES {
        let c_out = make_divisible(c as f64 * width);
        for i in 0..depth {
            let stride = if i == 0 { stride } else { 1 };
            features.push(s, |s| InvertedResidual::new(s, c_in, c_out, stride, expand))?;
            c_in = c_out;
        }
    }
    features.push(s, |s| conv_norm_activation(&s, c_in, last_channel, Block { kernel: 1, ..RELU6 }))?;
    Ok(features)
}

/// 1×1, 3×3 of each channel by itself, 1×1; more channels in between than come in and out.
struct InvertedResidual {
    conv: Sequential,
    use_res_connect: bool,
}

impl InvertedResidual {
    fn new(s: Scope, c_in: i64, c_out: i64, stride: i64, expand: i64) -> Result<Named<Self>> {
        let hidden = c_in * expand;
        let id = s.register("InvertedResidual");
        let s = &(&s / "conv");
        let mut conv = Sequential::new(s);
        if expand != 1 {
            conv.push(s, |s| conv_norm_activation(&s, c_in, hidden, Block { kernel: 1, ..RELU6 }))?;
        }
        conv.push(s, |s| conv_norm_activation(&s, hidden, hidden, Block { stride, groups: hidden, ..RELU6 }))?;
        conv.push(s, |s| conv2d(s, hidden, c_out, 1, NO_BIAS))?;
        conv.push(s, |s| batch_norm2d(s, c_out))?;
        Ok(id.of(Self { conv, use_res_connect: stride == 1 && c_in == c_out }))
    }
}

impl Forward for InvertedResidual {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = self.conv.forward(pass, x)?;
        if self.use_res_connect { add(y, x) } else { Ok(y) }
    }
}
