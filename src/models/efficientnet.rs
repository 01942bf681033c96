//! EfficientNet: Tan & Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks",
//! <https://arxiv.org/abs/1905.11946>; EfficientNetV2: Tan & Le 2021, <https://arxiv.org/abs/2104.00298>.
//!
//! Names, order and constants are those of torchvision's `models/efficientnet.py`.

use super::misc::{
    Block, classifier, conv_norm_activation, factors_in_bounds, initialise, make_divisible, no_factor, squeeze_excitation,
};
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of channels that the first convolution gives.
    #[serde(default = "first_stem")]
    pub stem: i64,
    /// The stages, each written as `[block, expand, kernel, stride, c_out, depth]`; without them those of the first version.
    #[serde(default = "first_stages")]
    pub stages: Vec<Stage>,
    /// What the numbers of channels are multiplied by.
    #[serde(default = "no_factor")]
    pub width: f64,
    /// What the numbers of blocks are multiplied by.
    #[serde(default = "no_factor")]
    pub depth: f64,
    /// Of the batch norms.
    #[serde(default = "eps")]
    pub eps: f64,
    /// The number of channels of the last convolution; without it four times that of the last stage.
    pub last_channel: Option<i64>,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

/// Blocks that have the same size but for the channels that come into the first, and its stride.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    pub block: MbConv,
    /// How many times as many channels a block has within as come in.
    pub expand: f64,
    /// The side of the kernel.
    pub kernel: i64,
    /// Of the first block.
    pub stride: i64,
    /// The number of channels that come out.
    pub c_out: i64,
    /// The number of blocks.
    pub depth: usize,
}

/// The two kinds of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MbConv {
    /// 1×1, a kernel for each channel by itself, squeeze and excitation, 1×1.
    Separate,
    /// A kernel over all channels, 1×1.
    Fused,
}

fn first_stem() -> i64 {
    32
}

fn first_stages() -> Vec<Stage> {
    let separate = |expand, kernel, stride, c_out, depth| Stage { block: MbConv::Separate, expand, kernel, stride, c_out, depth };
    vec![
        separate(1.0, 3, 1, 16, 1),
        separate(6.0, 3, 2, 24, 2),
        separate(6.0, 5, 2, 40, 2),
        separate(6.0, 3, 2, 80, 3),
        separate(6.0, 5, 1, 112, 3),
        separate(6.0, 5, 2, 192, 4),
        separate(6.0, 3, 1, 320, 1),
    ]
}

fn eps() -> f64 {
    EPS
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        ensure!(!self.stages.is_empty(), "there must be stages");
        let stages = self.stages.iter().flat_map(|stage| [stage.kernel, stage.c_out, stage.depth as i64]);
        in_bounds(stages.chain([self.stem, self.last_channel.unwrap_or(1), self.classes]))?;
        ensure!(self.stages.iter().all(|stage| matches!(stage.stride, 1 | 2)), "the strides must be 1 or 2");
        ensure!(self.stages.iter().all(|stage| stage.kernel % 2 == 1), "the kernels must have odd sides");
        ensure!(self.eps > 0.0 && self.eps < 1.0, "eps must be above 0 and below 1");
        factors_in_bounds(self.stages.iter().map(|stage| stage.expand).chain([self.width, self.depth]))
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        let c = self.stages.last().map_or(self.stem, |stage| stage.c_out);
        let lastconv = self.last_channel.unwrap_or(4 * make_divisible(c as f64 * self.width));
        Ok(Box::new(s.register("EfficientNet").of(EfficientNet {
            features: features(&(&s / "features"), self, lastconv)?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
            classifier: classifier(&(&s / "classifier"), lastconv, self.classes)?,
        })))
    }

    fn initialise(&self, init: &mut Init) -> Result<()> {
        initialise(init, |init, weight| {
            let range = 1.0 / init.fans(weight)?.1.sqrt();
            init.uniform(weight, -range, range)
        })
    }
}

/// Stages of blocks between two convolutions, means over places, a classifier.
struct EfficientNet {
    features: Sequential,
    avgpool: Function,
    classifier: Sequential,
}

impl Forward for EfficientNet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.features, &self.avgpool])?;
        self.classifier.forward(pass, &flatten(&y)?)
    }
}

fn features(s: &Scope, config: &Config, lastconv: i64) -> Result<Sequential> {
    let silu = Block { kernel: 1, stride: 1, groups: 1, eps: config.eps, activation: Some(Activation::Silu) };
    let mut features = Sequential::new(s);
    let mut c_in = make_divisible(config.stem as f64 * config.width);
    features.push(s, |s| conv_norm_activation(&s, 3, c_in, Block { kernel: 3, stride: 2, ..silu }))?;
    for stage in &config.stages {
        let c_out = make_divisible(stage.c_out as f64 * config.width);
        features.push(s, |s| {
            let mut blocks = Sequential::new(&s);
            for i in 0..(stage.depth as f64 * config.depth).ceil() as usize {
                let (c_in, stride) = if i == 0 { (c_in, stage.stride) } else { (c_out, 1) };
                match stage.block {
                    MbConv::Separate => blocks.push(&s, |s| mb_conv(s, c_in, c_out, Stage { stride, ..*stage }, silu))?,
                    MbConv::Fused => blocks.push(&s, |s| fused_mb_conv(s, c_in, c_out, Stage { stride, ..*stage }, silu))?,
                }
            }
            Ok(blocks)
        })?;
        c_in = c_out;
    }
    features.push(s, |s| conv_norm_activation(&s, c_in, lastconv, silu))?;
    Ok(features)
}

/// A block of either kind.
struct Residual {
    block: Sequential,
    stochastic_depth: Function,
    use_res_connect: bool,
}

fn mb_conv(s: Scope, c_in: i64, c_out: i64, stage: Stage, silu: Block) -> Result<Named<Residual>> {
    let Stage { kernel, stride, .. } = stage;
    let id = s.register("MBConv");
    let b = &(&s / "block");
    let mut block = Sequential::new(b);
    let expanded = make_divisible(c_in as f64 * stage.expand);
    if expanded != c_in {
        block.push(b, |s| conv_norm_activation(&s, c_in, expanded, silu))?;
    }
    let depthwise = Block { kernel, stride, groups: expanded, ..silu };
    block.push(b, |s| conv_norm_activation(&s, expanded, expanded, depthwise))?;
    let squeezed = (c_in / 4).max(1);
    block.push(b, |s| squeeze_excitation(s, expanded, squeezed, [Activation::Silu, Activation::Sigmoid]))?;
    block.push(b, |s| conv_norm_activation(&s, expanded, c_out, Block { activation: None, ..silu }))?;
    let use_res_connect = stride == 1 && c_in == c_out;
    Ok(id.of(Residual { block, stochastic_depth: stochastic_depth(&s / "stochastic_depth"), use_res_connect }))
}

fn fused_mb_conv(s: Scope, c_in: i64, c_out: i64, stage: Stage, silu: Block) -> Result<Named<Residual>> {
    let Stage { kernel, stride, .. } = stage;
    let id = s.register("FusedMBConv");
    let b = &(&s / "block");
    let mut block = Sequential::new(b);
    let expanded = make_divisible(c_in as f64 * stage.expand);
    if expanded != c_in {
        block.push(b, |s| conv_norm_activation(&s, c_in, expanded, Block { kernel, stride, ..silu }))?;
        block.push(b, |s| conv_norm_activation(&s, expanded, c_out, Block { activation: None, ..silu }))?;
    } else {
        block.push(b, |s| conv_norm_activation(&s, c_in, c_out, Block { kernel, stride, ..silu }))?;
    }
    let use_res_connect = stride == 1 && c_in == c_out;
    Ok(id.of(Residual { block, stochastic_depth: stochastic_depth(&s / "stochastic_depth"), use_res_connect }))
}

impl Forward for Residual {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        if !self.use_res_connect {
            return self.block.forward(pass, x);
        }
        let y = run(pass, x, &[&self.block, &self.stochastic_depth])?;
        add(y, x)
    }
}
