//! RegNet: Radosavovic et al. 2020, "Designing network design spaces", <https://arxiv.org/abs/2003.13678>.
//!
//! Names, order and constants are those of torchvision's `models/regnet.py`; the widths and depths that it computes of a network's
//! parameters are given here.

use super::misc::{Block, conv_norm_activation, conv_norm_activation_of_class, squeeze_excitation};
use super::resnet::shortcut;
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of blocks in each of the four stages.
    pub depths: [usize; 4],
    /// The number of channels in each.
    pub widths: [i64; 4],
    /// The number of channels of a group of the 3×3 convolutions in each.
    pub group_widths: [i64; 4],
    /// The channels that squeeze and excitation leaves, as a part of those that come into the block; without it there is none.
    pub se_ratio: Option<f64>,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

const STEM: i64 = 32;

const RELU: Block = Block { kernel: 1, stride: 1, groups: 1, eps: EPS, activation: Some(Activation::Relu) };

impl Family for Config {
    fn check(&self) -> Result<()> {
        let depths = self.depths.map(|depth| depth as i64);
        in_bounds(depths.into_iter().chain(self.widths).chain(self.group_widths).chain([self.classes]))?;
        let divide = self.widths.iter().zip(self.group_widths).all(|(width, group)| width % group == 0);
        ensure!(divide, "the widths must be multiples of the group widths");
        ensure!(self.se_ratio.is_none_or(|ratio| ratio > 0.0 && ratio <= 1.0), "se_ratio must be above 0 and at most 1");
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(s.register("RegNet").of(RegNet {
            stem: conv_norm_activation_of_class(&(&s / "stem"), "SimpleStemIN", 3, STEM, Block { kernel: 3, stride: 2, ..RELU })?,
            trunk_output: trunk(&(&s / "trunk_output"), self)?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
            fc: linear(&s / "fc", self.widths[3], self.classes)?,
        })))
    }

    /// Every layer's own default, in order; then the weights of all convolutions and of the linear layer anew.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        modules.iter().try_for_each(|module| init.reset(module))?;
        for module in modules {
            let weight = format!("{}.weight", module.name);
            match module.class.as_str() {
                "Conv2d" => {
                    // As torchvision writes it; `kaiming_normal_` rounds otherwise.
                    let std = (2.0 / init.fans(&weight)?.1).sqrt();
                    init.normal(&weight, 0.0, std)?;
                }
                "Linear" => {
                    init.normal(&weight, 0.0, 0.01)?;
                    init.fill(&format!("{}.bias", module.name), 0.0)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A stem, four stages of residual blocks, a classifier.
struct RegNet {
    stem: Sequential,
    trunk_output: Sequential,
    avgpool: Function,
    fc: Linear,
}

impl Forward for RegNet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.stem, &self.trunk_output, &self.avgpool])?;
        self.fc.forward(pass, &flatten(&y)?)
    }
}

fn trunk(s: &Scope, config: &Config) -> Result<Sequential> {
    let mut trunk = Sequential::new(s);
    for i in 0..4 {
        let c_in = if i == 0 { STEM } else { config.widths[i - 1] };
        trunk.push_named(s, format!("block{}", i + 1), |s| stage(&s, config, i, c_in))?;
    }
    Ok(trunk)
}

fn stage(s: &Scope, config: &Config, i: usize, c_in: i64) -> Result<Sequential> {
    let mut stage = Sequential::of_class(s, "AnyStage");
    for k in 0..config.depths[i] {
        let (c_in, stride) = if k == 0 { (c_in, 2) } else { (config.widths[i], 1) };
        stage.push_named(s, format!("block{}-{k}", i + 1), |s| ResBottleneckBlock::new(s, config, i, c_in, stride))?;
    }
    Ok(stage)
}

struct ResBottleneckBlock {
    proj: Option<Sequential>,
    f: Sequential,
    activation: Function,
}

impl ResBottleneckBlock {
    fn new(s: Scope, config: &Config, i: usize, c_in: i64, stride: i64) -> Result<Named<Self>> {
        let c_out = config.widths[i];
        let project = || conv_norm_activation(&(&s / "proj"), c_in, c_out, Block { stride, activation: None, ..RELU });
        Ok(s.register("ResBottleneckBlock").of(Self {
            proj: (c_in != c_out || stride != 1).then(project).transpose()?,
            f: bottleneck(&(&s / "f"), config, i, c_in, stride)?,
            activation: relu(&s / "activation"),
        }))
    }
}

impl Forward for ResBottleneckBlock {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let identity = shortcut(pass, x, self.proj.as_ref())?;
        let y = self.f.forward(pass, x)?;
        add_relu(pass, y, &identity, &self.activation)
    }
}

fn bottleneck(s: &Scope, config: &Config, i: usize, c_in: i64, stride: i64) -> Result<Sequential> {
    let (c, groups) = (config.widths[i], config.widths[i] / config.group_widths[i]);
    let mut layers = Sequential::of_class(s, "BottleneckTransform");
    layers.push_named(s, "a", |s| conv_norm_activation(&s, c_in, c, RELU))?;
    layers.push_named(s, "b", |s| conv_norm_activation(&s, c, c, Block { kernel: 3, stride, groups, ..RELU }))?;
    if let Some(ratio) = config.se_ratio {
        let squeezed = (ratio * c_in as f64).round_ties_even() as i64;
        ensure!(squeezed > 0, "se_ratio leaves none of {c_in} channels");
        layers.push_named(s, "se", |s| squeeze_excitation(s, c, squeezed, [Activation::Relu, Activation::Sigmoid]))?;
    }
    layers.push_named(s, "c", |s| conv_norm_activation(&s, c, c, Block { activation: None, ..RELU }))?;
    Ok(layers)
}
