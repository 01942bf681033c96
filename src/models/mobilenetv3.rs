//! MobileNetV3: Howard et al. 2019, "Searching for MobileNetV3", <https://arxiv.org/abs/1905.02244>.
//!
//! Names, order and constants are those of torchvision's `models/mobilenetv3.py`.

use super::misc::{Block, conv_norm_activation, initialise, make_divisible, squeeze_excitation};
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The blocks, each written as `[kernel, expanded, c_out, se, activation, stride]`.
    pub blocks: Vec<Bneck>,
    /// The number of channels of the penultimate layer.
    pub last_channel: i64,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

/// A row of the paper's tables 1 and 2.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bneck {
    /// The side of the kernel of each channel.
    pub kernel: i64,
    /// The number of channels within the block.
    pub expanded: i64,
    /// The number that comes out.
    pub c_out: i64,
    /// Whether there is squeeze and excitation.
    pub se: bool,
    /// The activation function within the block.
    pub activation: Nonlinearity,
    pub stride: i64,
}

/// As the paper abbreviates them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Nonlinearity {
    /// ReLU.
    #[serde(rename = "RE")]
    Relu,
    /// Hardswish.
    #[serde(rename = "HS")]
    Hardswish,
}

const STEM: i64 = 16;

/// torchvision's, not PyTorch's default.
const EPS: f64 = 1e-3;

const HARDSWISH: Block = Block { kernel: 1, stride: 1, groups: 1, eps: EPS, activation: Some(Activation::Hardswish) };

impl Family for Config {
    fn check(&self) -> Result<()> {
        ensure!(!self.blocks.is_empty(), "there must be blocks");
        let blocks = self.blocks.iter().flat_map(|block| [block.kernel, block.expanded, block.c_out]);
        in_bounds(blocks.chain([self.last_channel, self.classes]))?;
        ensure!(self.blocks.iter().all(|block| matches!(block.stride, 1 | 2)), "the strides must be 1 or 2");
        ensure!(self.blocks.iter().all(|block| block.kernel % 2 == 1), "the kernels must have odd sides");
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        let lastconv = 6 * self.blocks.last().map_or(STEM, |block| block.c_out);
        Ok(Box::new(s.register("MobileNetV3").of(MobileNetV3 {
            features: features(&(&s / "features"), &self.blocks, lastconv)?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
            classifier: classifier(&(&s / "classifier"), [lastconv, self.last_channel, self.classes])?,
        })))
    }

    fn initialise(&self, init: &mut Init) -> Result<()> {
        initialise(init, |init, weight| init.normal(weight, 0.0, 0.01))
    }
}

/// Inverted residual blocks between two convolutions, means over places, a classifier of two layers.
struct MobileNetV3 {
    features: Sequential,
    avgpool: Function,
    classifier: Sequential,
}

impl Forward for MobileNetV3 {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.features, &self.avgpool])?;
        self.classifier.forward(pass, &flatten(&y)?)
    }
}

fn features(s: &Scope, blocks: &[Bneck], lastconv: i64) -> Result<Sequential> {
    let mut features = Sequential::new(s);
    features.push(s, |s| conv_norm_activation(&s, 3, STEM, Block { kernel: 3, stride: 2, ..HARDSWISH }))?;
    let mut c_in = STEM;
    for block in blocks {
        features.push(s, |s| InvertedResidual::new(s, c_in, *block))?;
        c_in = block.c_out;
    }
    features.push(s, |s| conv_norm_activation(&s, c_in, lastconv, HARDSWISH))?;
    Ok(features)
}

fn classifier(s: &Scope, [d_in, d, classes]: [i64; 3]) -> Result<Sequential> {
    let mut classifier = Sequential::new(s);
    classifier.push(s, |s| linear(s, d_in, d))?;
    classifier.push(s, |s| Ok(activation(s, Activation::Hardswish)))?;
    classifier.push(s, |s| Ok(dropout(s)))?;
    classifier.push(s, |s| linear(s, d, classes))?;
    Ok(classifier)
}

/// 1×1, a kernel for each channel by itself, squeeze and excitation if wanted, 1×1.
struct InvertedResidual {
    block: Sequential,
    use_res_connect: bool,
}

impl InvertedResidual {
    fn new(s: Scope, c_in: i64, config: Bneck) -> Result<Named<Self>> {
        let Bneck { kernel, expanded, c_out, stride, .. } = config;
        let activation = Some(match config.activation {
            Nonlinearity::Relu => Activation::Relu,
            Nonlinearity::Hardswish => Activation::Hardswish,
        });
        let pointwise = Block { activation, ..HARDSWISH };
        let id = s.register("InvertedResidual");
        let s = &(&s / "block");
        let mut block = Sequential::new(s);
        if expanded != c_in {
            block.push(s, |s| conv_norm_activation(&s, c_in, expanded, pointwise))?;
        }
        let depthwise = Block { kernel, stride, groups: expanded, ..pointwise };
        block.push(s, |s| conv_norm_activation(&s, expanded, expanded, depthwise))?;
        if config.se {
            let squeezed = make_divisible((expanded / 4) as f64);
            block.push(s, |s| squeeze_excitation(s, expanded, squeezed, [Activation::Relu, Activation::Hardsigmoid]))?;
        }
        block.push(s, |s| conv_norm_activation(&s, expanded, c_out, Block { activation: None, ..pointwise }))?;
        Ok(id.of(Self { block, use_res_connect: stride == 1 && c_in == c_out }))
    }
}

impl Forward for InvertedResidual {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = self.block.forward(pass, x)?;
        if self.use_res_connect { add(y, x) } else { Ok(y) }
    }
}
