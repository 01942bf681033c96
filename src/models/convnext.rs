//! ConvNeXt: Liu et al. 2022, "A ConvNet for the 2020s", <https://arxiv.org/abs/2201.03545>.
//!
//! Names, order and constants are those of torchvision's `models/convnext.py`.

use super::misc::draw_anew;
use super::timmconvnext::{AUTHORS, TRANSFORMERS, downsampling};
use super::{Family, Layout, imagenet_classes, in_bounds};
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

    fn layouts(&self) -> Vec<Layout> {
        // First as timm's, whose names the others' follow from.
        let layout = |name, after: &[&[[&'static str; 2]]]| {
            let renames = [&[&TIMM[..]], after].concat().concat();
            Layout { ones: true, refused: &["norm_pre."], ignored: &["norms."], ..Layout::of(name, renames) }
        };
        vec![
            layout("timm", &[]),
            layout("its authors' own", &[&AUTHORS]),
            layout("transformers", &[&TRANSFORMERS, &LAYER_SCALE, &[["^", "convnext."], ["^convnext.head.fc.", "classifier."]]]),
            layout("transformers, without its classifier", &[&TRANSFORMERS, &LAYER_SCALE]),
        ]
    }
}

const TIMM: [[&str; 2]; 15] = [
    ["^features.0.", "stem."],
    ["^features.1.", "stages.0.blocks."],
    ["^features.2.", "stages.1.downsample."],
    ["^features.3.", "stages.1.blocks."],
    ["^features.4.", "stages.2.downsample."],
    ["^features.5.", "stages.2.blocks."],
    ["^features.6.", "stages.3.downsample."],
    ["^features.7.", "stages.3.blocks."],
    [".layer_scale", ".gamma"],
    [".block.0.", ".conv_dw."],
    [".block.2.", ".norm."],
    [".block.3.", ".mlp.fc1."],
    [".block.5.", ".mlp.fc2."],
    ["^classifier.0.", "head.norm."],
    ["^classifier.2.", "head.fc."],
];

/// As transformers' `ConvNextModel` calls it.
const LAYER_SCALE: [[&str; 2]; 1] = [[".gamma", ".layer_scale_parameter"]];

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
