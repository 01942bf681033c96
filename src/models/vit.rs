//! Vision transformer: Dosovitskiy et al. 2020, "An image is worth 16×16 words", <https://arxiv.org/abs/2010.11929>.
//!
//! Names, order and constants are those of torchvision's `models/vision_transformer.py`. Tokens are `[N, L, D]`, the class
//! token first.

use super::timmvit::{EPS_OF_TRANSFORMERS, OTHERS};
use super::{Family, Layout, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::Tensor;

/// torchvision's, not PyTorch's default.
const EPS: f64 = 1e-6;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The side of a patch in pixels.
    pub patch: i64,
    /// The side of the image in pixels.
    pub resolution: i64,
    /// The number of blocks.
    pub depth: usize,
    /// The number of attention heads.
    pub heads: i64,
    /// The number of features of a token.
    pub width: i64,
    /// The number of features between the two layers of a block's perceptron.
    pub mlp_width: i64,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { patch, resolution, depth, heads, width, mlp_width, classes } = *self;
        in_bounds([patch, resolution, depth as i64, heads, width, mlp_width, classes])?;
        ensure!(width % heads == 0, "{width} features cannot be split among {heads} heads");
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(VisionTransformer::new(s, self)?))
    }

    /// Every layer's own default as it is made; a block's perceptron draws anew at once, the patches at the end.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        init.fill("class_token", 0.0)?;
        for module in modules {
            init.reset(module)?;
            match module.class.as_str() {
                "Encoder" => init.normal("encoder.pos_embedding", 0.0, 0.02)?,
                // The last module of a perceptron: both of its linear layers are there.
                "Dropout" if module.name.ends_with("mlp.4") => redraw(init, module.name.trim_end_matches(".4"))?,
                _ => {}
            }
        }
        let fan_in = init.fans("conv_proj.weight")?.0;
        init.trunc_normal("conv_proj.weight", (1.0 / fan_in).sqrt())?;
        init.fill("conv_proj.bias", 0.0)?;
        init.fill("heads.head.weight", 0.0)?;
        init.fill("heads.head.bias", 0.0)
    }

    fn layouts(&self) -> Vec<Layout> {
        vec![
            Layout::of("torchvision 0.12", OLDER),
            Layout { refused: OTHERS, ..Layout::of("timm", TIMM) },
            Layout {
                note: Some(EPS_OF_TRANSFORMERS),
                ..Layout::of("transformers", [&TRANSFORMERS[..], &WITH_CLASSIFIER].concat())
            },
            Layout { note: Some(EPS_OF_TRANSFORMERS), ..Layout::of("transformers, without its classifier", TRANSFORMERS) },
        ]
    }

    fn rows_stand_alone(&self) -> bool {
        true
    }
}

/// Of timm's `vision_transformer.py`, of DINO and of MAE.
const TIMM: [[&str; 2]; 12] = [
    ["^class_token", "cls_token"],
    ["^encoder.pos_embedding", "pos_embed"],
    ["^conv_proj.", "patch_embed.proj."],
    ["^encoder.ln.", "norm."],
    ["^heads.head.", "head."],
    ["^encoder.layers.encoder_layer_", "blocks."],
    [".ln_1.", ".norm1."],
    [".ln_2.", ".norm2."],
    [".self_attention.in_proj_", ".attn.qkv."],
    [".self_attention.out_proj.", ".attn.proj."],
    [".mlp.0.", ".mlp.fc1."],
    [".mlp.3.", ".mlp.fc2."],
];

/// Of `ViTModel`, in `modeling_vit.py` of transformers.
const TRANSFORMERS: [[&str; 2]; 12] = [
    ["^class_token", "embeddings.cls_token"],
    ["^encoder.pos_embedding", "embeddings.position_embeddings"],
    ["^conv_proj.", "embeddings.patch_embeddings.projection."],
    ["^encoder.ln.", "layernorm."],
    ["^heads.head.", "classifier."],
    ["^encoder.layers.encoder_layer_", "encoder.layer."],
    [".ln_1.", ".layernorm_before."],
    [".ln_2.", ".layernorm_after."],
    [".self_attention.in_proj_", ".attention.attention.{query,key,value}."],
    [".self_attention.out_proj.", ".attention.output.dense."],
    [".mlp.0.", ".intermediate.dense."],
    [".mlp.3.", ".output.dense."],
];

/// Of `ViTForImageClassification`, whose classifier stands beside the others.
const WITH_CLASSIFIER: [[&str; 2]; 2] = [["^", "vit."], ["^vit.classifier.", "classifier."]];

/// Of torchvision before 0.13.
const OLDER: [[&str; 2]; 2] = [[".mlp.0.", ".mlp.linear_1."], [".mlp.3.", ".mlp.linear_2."]];

/// Patches to tokens, an encoder, a classifier of the class token.
struct VisionTransformer {
    class_token: Parameter,
    conv_proj: Conv2d,
    encoder: Named<Encoder>,
    heads: Sequential,
}

impl VisionTransformer {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let patches = Conv { stride: config.patch, ..Conv::default() };
        Ok(s.register("VisionTransformer").of(Self {
            class_token: s.tensor("class_token", &[1, 1, config.width])?,
            conv_proj: conv2d(&s / "conv_proj", 3, config.width, config.patch, patches)?,
            encoder: Encoder::new(&s / "encoder", config)?,
            heads: heads(&(&s / "heads"), config)?,
        }))
    }
}

fn heads(s: &Scope, config: &Config) -> Result<Sequential> {
    let mut heads = Sequential::new(s);
    heads.push_named(s, "head", |s| linear(s, config.width, config.classes))?;
    Ok(heads)
}

impl Forward for VisionTransformer {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let tokens = self.conv_proj.forward(pass, x)?.f_flatten(2, -1)?.f_transpose(1, 2)?;
        let class_token = self.class_token.f_expand([x.size()[0], -1, -1], false)?;
        let y = self.encoder.forward(pass, &Tensor::f_cat(&[&class_token, &tokens], 1)?)?;
        self.heads.forward(pass, &y.f_select(1, 0)?)
    }
}

struct Encoder {
    pos_embedding: Parameter,
    dropout: Function,
    layers: Sequential,
    ln: LayerNorm,
}

impl Encoder {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let tokens = (config.resolution / config.patch).pow(2) + 1;
        Ok(s.register("Encoder").of(Self {
            pos_embedding: s.tensor("pos_embedding", &[1, tokens, config.width])?,
            dropout: dropout(&s / "dropout"),
            layers: layers(&(&s / "layers"), config)?,
            ln: layer_norm(&s / "ln", config.width, EPS)?,
        }))
    }
}

fn layers(s: &Scope, config: &Config) -> Result<Sequential> {
    let mut layers = Sequential::new(s);
    for i in 0..config.depth {
        layers.push_named(s, format!("encoder_layer_{i}"), |s| EncoderBlock::new(s, config))?;
    }
    Ok(layers)
}

impl Forward for Encoder {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        run(pass, &x.f_add(&self.pos_embedding)?, &[&self.dropout, &self.layers, &self.ln])
    }
}

struct EncoderBlock {
    ln_1: LayerNorm,
    self_attention: MultiheadAttention,
    dropout: Function,
    ln_2: LayerNorm,
    mlp: Sequential,
}

impl EncoderBlock {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        Ok(s.register("EncoderBlock").of(Self {
            ln_1: layer_norm(&s / "ln_1", config.width, EPS)?,
            self_attention: multihead_attention(&s / "self_attention", config.width, config.heads)?,
            dropout: dropout(&s / "dropout"),
            ln_2: layer_norm(&s / "ln_2", config.width, EPS)?,
            mlp: mlp(&(&s / "mlp"), config)?,
        }))
    }
}

fn mlp(s: &Scope, config: &Config) -> Result<Sequential> {
    let mut mlp = Sequential::of_class(s, "MLPBlock");
    mlp.push(s, |s| linear(s, config.width, config.mlp_width))?;
    mlp.push(s, |s| Ok(gelu(s)))?;
    mlp.push(s, |s| Ok(dropout(s)))?;
    mlp.push(s, |s| linear(s, config.mlp_width, config.width))?;
    mlp.push(s, |s| Ok(dropout(s)))?;
    Ok(mlp)
}

impl Forward for EncoderBlock {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let x = add(run(pass, x, &[&self.ln_1, &self.self_attention, &self.dropout])?, x)?;
        add(run(pass, &x, &[&self.ln_2, &self.mlp])?, &x)
    }
}

pub(super) fn redraw(init: &mut Init, mlp: &str) -> Result<()> {
    for layer in [0, 3] {
        init.xavier_uniform(&format!("{mlp}.{layer}.weight"))?;
        init.normal(&format!("{mlp}.{layer}.bias"), 0.0, 1e-6)?;
    }
    Ok(())
}
