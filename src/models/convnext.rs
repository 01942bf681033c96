//! ConvNeXt: Liu et al. 2022, "A ConvNet for the 2020s", <https://arxiv.org/abs/2201.03545>.
//!
//! Names, order and constants are those of torchvision's `models/convnext.py`.

use super::misc::draw_anew;
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

/// torchvision's, not PyTorch's default.
const EPS: f64 = 1e-6;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of blocks in each of the four stages.
    pub depths: [usize; 4],
    /// The number of channels in each.
    pub widths: [i64; 4],
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds(self.widths.into_iter().chain(self.depths.map(|depth| depth as i64)).chain([self.classes]))
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(s.register("ConvNeXt").of(ConvNext {
            features: features(&(&s / "features"), self)?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
            classifier: classifier(&(&s / "classifier"), self)?,
        })))
    }

    /// Every layer's own default, in order; then all convolutions and linear layers anew.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        for module in modules {
            init.reset(module)?;
            if module.class == "CNBlock" {
                init.fill(&format!("{}.layer_scale", module.name), 1e-6)?;
            }
        }
        for module in modules.iter().filter(|module| matches!(module.class.as_str(), "Conv2d" | "Linear")) {
            draw_anew(init, module, |init, weight| init.trunc_normal(weight, 0.02))?;
        }
        Ok(())
    }
}

/// Four stages of blocks with convolutions of stride 2 between them, means over places, a classifier.
struct ConvNext {
    features: Sequential,
    avgpool: Function,
    classifier: Sequential,
}

impl Forward for ConvNext {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        run(pass, x, &[&self.features, &self.avgpool, &self.classifier])
    }
}

fn features(s: &Scope, config: &Config) -> Result<Sequential> {
    let Config { depths, widths, .. } = config;
    let mut features = Sequential::new(s);
    features.push(s, |s| stem(&s, widths[0]))?;
    for i in 0..4 {
        features.push(s, |s| stage(&s, widths[i], depths[i]))?;
        if i < 3 {
            features.push(s, |s| downsampling(&s, widths[i], widths[i + 1]))?;
        }
    }
    Ok(features)
}

fn stem(s: &Scope, c_out: i64) -> Result<Sequential> {
    let mut stem = Sequential::of_class(s, "Conv2dNormActivation");
    stem.push(s, |s| conv2d(s, 3, c_out, 4, Conv { stride: 4, ..Conv::default() }))?;
    stem.push(s, |s| layer_norm2d(s, c_out, EPS))?;
    Ok(stem)
}

fn stage(s: &Scope, c: i64, depth: usize) -> Result<Sequential> {
    let mut stage = Sequential::new(s);
    for _ in 0..depth {
        stage.push(s, |s| CnBlock::new(s, c))?;
    }
    Ok(stage)
}

fn downsampling(s: &Scope, c_in: i64, c_out: i64) -> Result<Sequential> {
    let mut downsampling = Sequential::new(s);
    downsampling.push(s, |s| layer_norm2d(s, c_in, EPS))?;
    downsampling.push(s, |s| conv2d(s, c_in, c_out, 2, Conv { stride: 2, ..Conv::default() }))?;
    Ok(downsampling)
}

fn classifier(s: &Scope, config: &Config) -> Result<Sequential> {
    let c = config.widths[3];
    let mut classifier = Sequential::new(s);
    classifier.push(s, |s| layer_norm2d(s, c, EPS))?;
    classifier.push(s, |s| Ok(flatten_module(s)))?;
    classifier.push(s, |s| linear(s, c, config.classes))?;
    Ok(classifier)
}

/// A convolution of each channel alone, then a perceptron of the channels at each place.
struct CnBlock {
    layer_scale: Parameter,
    block: Sequential,
    stochastic_depth: Function,
}

impl CnBlock {
    fn new(s: Scope, c: i64) -> Result<Named<Self>> {
        Ok(s.register("CNBlock").of(Self {
            layer_scale: s.tensor("layer_scale", &[c, 1, 1])?,
            block: block(&(&s / "block"), c)?,
            stochastic_depth: stochastic_depth(&s / "stochastic_depth"),
        }))
    }
}

fn block(s: &Scope, c: i64) -> Result<Sequential> {
    let mut block = Sequential::new(s);
    block.push(s, |s| conv2d(s, c, c, 7, Conv { padding: 3, groups: c, ..Conv::default() }))?;
    block.push(s, |s| Ok(to_channels_last(s)))?;
    block.push(s, |s| layer_norm(s, c, EPS))?;
    block.push(s, |s| linear(s, c, 4 * c))?;
    block.push(s, |s| Ok(gelu(s)))?;
    block.push(s, |s| linear(s, 4 * c, c))?;
    block.push(s, |s| Ok(to_channels_first(s)))?;
    Ok(block)
}

impl Forward for CnBlock {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = self.block.forward(pass, x)?;
        let y = self.layer_scale.f_mul(&y)?;
        add(run(pass, &y, &[&self.stochastic_depth])?, x)
    }
}
