//! ConvNeXt in timm's layout: Liu et al. 2022, "A ConvNet for the 2020s", <https://arxiv.org/abs/2201.03545>; ConvNeXt V2, Woo et
//! al. 2023, <https://arxiv.org/abs/2301.00808>.
//!
//! Names, order and constants are those of timm's `models/convnext.py`, numbers are called as the arguments of its constructor.

use super::misc::draw_anew;
use super::timmvit::{Act, block::mlp};
use super::{Family, Layout, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::Tensor;

/// timm's, not PyTorch's default; also what keeps response norms from dividing by 0.
const EPS: f64 = 1e-6;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of blocks in each of the four stages.
    depths: [usize; 4],
    /// The number of channels in each.
    dims: [i64; 4],
    /// What layer scales are before training; without it there are none (V2).
    ls_init_value: Option<f64>,
    /// Whether perceptrons normalise what each channel responds in all (V2).
    #[serde(default)]
    use_grn: bool,
    /// Whether perceptrons are convolutions of single places, and channels stay first (timm's smaller networks).
    #[serde(default)]
    conv_mlp: bool,
    /// The number of classes of the last layer; 0 if `head.fc` is the identity.
    #[serde(default = "imagenet_classes")]
    classes: i64,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds(self.dims.into_iter().chain(self.depths.map(|depth| depth as i64)).chain([self.classes + 1]))?;
        ensure!(self.ls_init_value.is_none_or(f64::is_finite), "`ls_init_value` must be finite");
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        let mut network = Sequential::of_class(&s, "ConvNeXt");
        network.push_named(&s, "stem", |s| stem(&s, self.dims[0]))?;
        network.push_named(&s, "stages", |s| stages(&s, self))?;
        network.push_named(&s, "norm_pre", |s| Ok(identity(s)))?;
        network.push_named(&s, "head", |s| head(&s, self))?;
        Ok(Box::new(network))
    }

    /// Every layer's own default as it is made; then all convolutions and linear layers anew.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        for module in modules {
            init.reset(module)?;
            if let ("ConvNeXtBlock", Some(value)) = (module.class.as_str(), self.ls_init_value) {
                init.fill(&format!("{}.gamma", module.name), value)?;
            }
            if module.class == "GlobalResponseNorm" {
                init.fill(&format!("{}.weight", module.name), 0.0)?;
                init.fill(&format!("{}.bias", module.name), 0.0)?;
            }
        }
        for module in modules.iter().filter(|module| matches!(module.class.as_str(), "Conv2d" | "Linear")) {
            draw_anew(init, module, |init, weight| init.trunc_normal(weight, 0.02))?;
        }
        Ok(())
    }

    fn layouts(&self) -> Vec<Layout> {
        let layout = |name, renames: Vec<[&'static str; 2]>| Layout {
            ones: true,
            refused: &["norm_pre."],
            ignored: &["norms."],
            ..Layout::of(name, renames)
        };
        let before = [["^", "convnextv2."], ["^convnextv2.head.fc.", "classifier."]];
        vec![
            layout("its authors' own", AUTHORS.to_vec()),
            layout("transformers", [&TRANSFORMERS[..], &before].concat()),
            layout("transformers, without its classifier", TRANSFORMERS.to_vec()),
            layout("transformers, of DINOv3", TRANSFORMERS_OF_DINOV3.to_vec()),
        ]
    }
}

/// Of the authors' `models/convnext.py` and `models/convnextv2.py`, and of DINOv3's.
pub(super) const AUTHORS: [[&str; 2]; 12] = [
    ["^stem.", "downsample_layers.0."],
    ["^stages.1.downsample.", "downsample_layers.1."],
    ["^stages.2.downsample.", "downsample_layers.2."],
    ["^stages.3.downsample.", "downsample_layers.3."],
    [".blocks.", "."],
    [".conv_dw.", ".dwconv."],
    [".mlp.fc1.", ".pwconv1."],
    [".mlp.fc2.", ".pwconv2."],
    [".mlp.grn.weight", ".grn.gamma"],
    [".mlp.grn.bias", ".grn.beta"],
    ["^head.norm.", "norm."],
    ["^head.fc.", "head."],
];

/// Of `ConvNextV2Model`, in `modeling_convnextv2.py` of transformers.
pub(super) const TRANSFORMERS: [[&str; 2]; 11] = [
    ["^stem.0.", "embeddings.patch_embeddings."],
    ["^stem.1.", "embeddings.layernorm."],
    [".downsample.", ".downsampling_layer."],
    [".blocks.", ".layers."],
    [".norm.", ".layernorm."],
    ["^head.layernorm.", "layernorm."],
    ["^stages.", "encoder.stages."],
    [".conv_dw.", ".dwconv."],
    [".mlp.fc1.", ".pwconv1."],
    [".mlp.fc2.", ".pwconv2."],
    [".mlp.grn.", ".grn."],
];

/// Of `DINOv3ConvNextModel`, in `modeling_dinov3_convnext.py`.
const TRANSFORMERS_OF_DINOV3: [[&str; 2]; 8] = [
    ["^stem.", "stages.0.downsample_layers."],
    [".downsample.", ".downsample_layers."],
    [".blocks.", ".layers."],
    [".conv_dw.", ".depthwise_conv."],
    [".norm.", ".layer_norm."],
    ["^head.layer_norm.", "layer_norm."],
    [".mlp.fc1.", ".pointwise_conv1."],
    [".mlp.fc2.", ".pointwise_conv2."],
];

fn stem(s: &Scope, c_out: i64) -> Result<Sequential> {
    let mut stem = Sequential::new(s);
    stem.push(s, |s| conv2d(s, 3, c_out, 4, Conv { stride: 4, ..Conv::default() }))?;
    stem.push(s, |s| layer_norm2d(s, c_out, EPS))?;
    Ok(stem)
}

fn stages(s: &Scope, config: &Config) -> Result<Sequential> {
    let mut stages = Sequential::new(s);
    for number in 0..4 {
        stages.push(s, |s| stage(&s, number, config))?;
    }
    Ok(stages)
}

fn stage(s: &Scope, number: usize, config: &Config) -> Result<Sequential> {
    let c = config.dims[number];
    let mut stage = Sequential::of_class(s, "ConvNeXtStage");
    match number.checked_sub(1) {
        None => stage.push_named(s, "downsample", |s| Ok(identity(s)))?,
        Some(before) => stage.push_named(s, "downsample", |s| downsampling(&s, config.dims[before], c))?,
    }
    stage.push_named(s, "blocks", |s| {
        let mut blocks = Sequential::new(&s);
        for _ in 0..config.depths[number] {
            blocks.push(&s, |s| ConvNeXtBlock::new(s, c, config))?;
        }
        Ok(blocks)
    })?;
    Ok(stage)
}

/// Half as many places along each side, also in torchvision's network.
pub(super) fn downsampling(s: &Scope, c_in: i64, c_out: i64) -> Result<Sequential> {
    let mut downsampling = Sequential::new(s);
    downsampling.push(s, |s| layer_norm2d(s, c_in, EPS))?;
    downsampling.push(s, |s| conv2d(s, c_in, c_out, 2, Conv { stride: 2, ..Conv::default() }))?;
    Ok(downsampling)
}

/// The mean over places, normalised, and a classifier: `[N, C, H, W]` to `[N, classes]`.
fn head(s: &Scope, config: &Config) -> Result<Sequential> {
    let c = config.dims[3];
    let mut head = Sequential::of_class(s, "NormMlpClassifierHead");
    head.push_named(s, "global_pool", |s| {
        let mut pool = Sequential::of_class(&s, "SelectAdaptivePool2d");
        pool.push_named(&s, "pool", |s| Ok(adaptive_avg_pool2d(s, 1)))?;
        pool.push_named(&s, "flatten", |s| Ok(identity(s)))?;
        Ok(pool)
    })?;
    head.push_named(s, "norm", |s| layer_norm2d(s, c, EPS))?;
    head.push_named(s, "flatten", |s| Ok(flatten_module(s)))?;
    head.push_named(s, "pre_logits", |s| Ok(identity(s)))?;
    head.push_named(s, "drop", |s| Ok(dropout(s)))?;
    match config.classes {
        0 => head.push_named(s, "fc", |s| Ok(identity(s)))?,
        classes => head.push_named(s, "fc", |s| linear(s, c, classes))?,
    }
    Ok(head)
}

/// A convolution of each channel alone, then a perceptron of the channels at each place.
struct ConvNeXtBlock {
    channels_last: bool,
    gamma: Option<Parameter>,
    conv_dw: Conv2d,
    norm: Box<dyn Module>,
    mlp: Sequential,
    shortcut: Function,
    drop_path: Function,
}

impl ConvNeXtBlock {
    fn new(s: Scope, c: i64, config: &Config) -> Result<Named<Self>> {
        let Config { conv_mlp, use_grn, .. } = *config;
        let id = s.register("ConvNeXtBlock");
        let mlp_scope = &s / "mlp";
        Ok(id.of(Self {
            channels_last: !conv_mlp,
            gamma: config.ls_init_value.map(|_| s.tensor("gamma", &[c])).transpose()?,
            conv_dw: conv2d(&s / "conv_dw", c, c, 7, Conv { padding: 3, groups: c, ..Conv::default() })?,
            norm: match conv_mlp {
                true => Box::new(layer_norm2d(&s / "norm", c, EPS)?),
                false => Box::new(layer_norm(&s / "norm", c, EPS)?),
            },
            mlp: match (use_grn, conv_mlp) {
                (false, false) => mlp(&mlp_scope, c, 4 * c, Act::Gelu)?,
                _ => perceptron(&mlp_scope, c, config)?,
            },
            shortcut: identity(&s / "shortcut"),
            drop_path: identity(&s / "drop_path"),
        }))
    }
}

/// With a response norm or convolutions; otherwise it is that of vision transformers.
fn perceptron(s: &Scope, c: i64, config: &Config) -> Result<Sequential> {
    let Config { conv_mlp, use_grn, .. } = *config;
    let layer = |s: Scope, c_in: i64, c_out: i64| -> Result<Box<dyn Module>> {
        Ok(match conv_mlp {
            true => Box::new(conv2d(s, c_in, c_out, 1, Conv::default())?),
            false => Box::new(linear(s, c_in, c_out)?),
        })
    };
    let mut mlp = Sequential::of_class(s, if use_grn { "GlobalResponseNormMlp" } else { "Mlp" });
    mlp.push_named(s, "fc1", |s| layer(s, c, 4 * c))?;
    mlp.push_named(s, "act", |s| Ok(gelu(s)))?;
    mlp.push_named(s, "drop1", |s| Ok(dropout(s)))?;
    match use_grn {
        true => mlp.push_named(s, "grn", |s| GlobalResponseNorm::new(s, 4 * c, !conv_mlp))?,
        false => mlp.push_named(s, "norm", |s| Ok(identity(s)))?,
    }
    mlp.push_named(s, "fc2", |s| layer(s, 4 * c, c))?;
    mlp.push_named(s, "drop2", |s| Ok(dropout(s)))?;
    Ok(mlp)
}

impl Forward for ConvNeXtBlock {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let mut y = self.conv_dw.forward(pass, x)?;
        if self.channels_last {
            pass.channels_are(Some(Channels::Last));
            y = run(pass, &y.f_permute([0, 2, 3, 1])?, &[&*self.norm, &self.mlp])?.f_permute([0, 3, 1, 2])?;
            pass.channels_are(Some(Channels::First));
        } else {
            y = run(pass, &y, &[&*self.norm, &self.mlp])?;
        }
        if let Some(gamma) = &self.gamma {
            y = y.f_mul(&gamma.f_view([1, -1, 1, 1])?)?;
        }
        let y = self.drop_path.forward(pass, &y)?;
        add(y, &self.shortcut.forward(pass, x)?)
    }
}

/// `x + β + γ · x · G(x) / mean(G(x))`, `G(x)` being the Euclidean length of each channel over all places and the mean that over
/// channels: pictures to the same (section 3.2 of ConvNeXt V2).
struct GlobalResponseNorm {
    channels_last: bool,
    weight: Parameter,
    bias: Parameter,
}

impl GlobalResponseNorm {
    fn new(s: Scope, c: i64, channels_last: bool) -> Result<Named<Self>> {
        let id = s.register("GlobalResponseNorm");
        Ok(id.of(Self { channels_last, weight: s.tensor("weight", &[c])?, bias: s.tensor("bias", &[c])? }))
    }
}

impl Forward for GlobalResponseNorm {
    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let (places, channel, shape) = if self.channels_last { ([1, 2], -1, [1, 1, 1, -1]) } else { ([2, 3], 1, [1, -1, 1, 1]) };
        let response = x.f_norm_scalaropt_dim(2.0, places, true)?;
        let relative = response.f_div(&response.f_mean_dim(channel, true, None)?.f_add_scalar(EPS)?)?;
        let scaled = self.bias.f_view(shape)?.f_addcmul(&self.weight.f_view(shape)?, &x.f_mul(&relative)?)?;
        Ok(x.f_add(&scaled)?)
    }
}
