//! CLIP's vision transformer.

use super::blocks::Blocks;
use crate::models::{Family, Layout, in_bounds};
use crate::nn::{self, *};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The side of a patch in pixels.
    pub patch: i64,
    /// The side of the image in pixels.
    pub resolution: i64,
    /// The number of blocks.
    pub depth: usize,
    /// The number of features of a token.
    pub width: i64,
    /// The number of features of an attention head.
    #[serde(default = "sixty_four")]
    pub head_width: i64,
    /// The length of the embedding.
    pub outputs: i64,
    /// The non-linearity, which no checkpoint tells: OpenAI's weights need QuickGELU, most of OpenCLIP's GELU. QuickGELU if nobody
    /// says it.
    #[serde(default)]
    pub activation: Option<Activation>,
}

pub(super) fn sixty_four() -> i64 {
    64
}

impl Config {
    fn blocks(&self) -> Blocks {
        Blocks {
            are_openclips: false,
            depth: self.depth,
            width: self.width,
            heads: self.width / self.head_width,
            mlp_width: 4 * self.width,
            activation: self.activation.unwrap_or_default().function(),
            eps: EPS,
            is_causal: false,
        }
    }
}

/// A non-linearity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Activation {
    /// x · sigmoid(1.702 x): of OpenAI's weights, and of OpenCLIP's that are called so
    #[default]
    QuickGelu,
    /// x · Φ(x): of OpenCLIP's other weights
    Gelu,
}

impl Activation {
    /// The function as a module.
    pub fn function(self) -> nn::Activation {
        match self {
            Activation::QuickGelu => nn::Activation::QuickGelu,
            Activation::Gelu => nn::Activation::Gelu,
        }
    }
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { patch, resolution, width, head_width, outputs, .. } = *self;
        in_bounds([patch, resolution, width, head_width, outputs])?;
        ensure!(width % head_width == 0, "{width} features cannot be split among heads of {head_width}");
        Ok(())
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(VisionTransformer::new(s, self)?))
    }

    fn initialise(&self, init: &mut Init) -> Result<()> {
        initialise(init, self.width)
    }

    fn layouts(&self) -> Vec<Layout> {
        let ignored = &["vision_model.embeddings.position_ids"];
        vec![Layout { ignored, ..Layout::of("transformers", TRANSFORMERS) }]
    }
}

/// In the order of the constructor; the text tower comes after and changes nothing here.
pub(super) fn initialise(init: &mut Init, width: i64) -> Result<()> {
    let scale = (width as f64).powf(-0.5);
    let scaled = |randn: &Tensor| randn.f_mul_scalar(scale);
    for module in init.modules() {
        init.reset(module)?;
        if module.name == "visual.conv1" {
            init.randn("visual.class_embedding", scaled)?;
            init.randn("visual.positional_embedding", scaled)?;
        }
    }
    init.randn("visual.proj", scaled)
}

/// Of `CLIPModel` and `CLIPVisionModelWithProjection`, in `modeling_clip.py`.
const TRANSFORMERS: [[&str; 2]; 13] = [
    ["^visual.class_embedding", "vision_model.embeddings.class_embedding"],
    ["^visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"],
    ["^visual.conv1.", "vision_model.embeddings.patch_embedding."],
    ["^visual.ln_pre.", "vision_model.pre_layrnorm."],
    ["^visual.ln_post.", "vision_model.post_layernorm."],
    ["^visual.proj", "visual_projection.weightᵀ"],
    ["^visual.transformer.resblocks.", "vision_model.encoder.layers."],
    [".attn.in_proj_", ".self_attn.{q_proj,k_proj,v_proj}."],
    [".attn.out_proj.", ".self_attn.out_proj."],
    [".ln_1.", ".layer_norm1."],
    [".ln_2.", ".layer_norm2."],
    [".mlp.c_fc.", ".mlp.fc1."],
    [".mlp.c_proj.", ".mlp.fc2."],
];

struct VisionTransformer {
    class_embedding: Parameter,
    positional_embedding: Parameter,
    proj: Affine,
    conv1: Conv2d,
    ln_pre: LayerNorm,
    transformer: Box<dyn Module>,
    ln_post: LayerNorm,
}

impl VisionTransformer {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let d = config.width;
        let tokens = (config.resolution / config.patch).pow(2) + 1;
        Ok(s.register("VisionTransformer").of(Self {
            class_embedding: s.tensor("class_embedding", &[d])?,
            positional_embedding: s.tensor("positional_embedding", &[tokens, d])?,
            proj: Affine::transposed(&s, "proj", d, config.outputs)?,
            conv1: conv2d(&s / "conv1", 3, d, config.patch, Conv { stride: config.patch, ..NO_BIAS })?,
            ln_pre: layer_norm(&s / "ln_pre", d, EPS)?,
            transformer: config.blocks().transformer(&s / "transformer")?,
            ln_post: layer_norm(&s / "ln_post", d, EPS)?,
        }))
    }
}

/// The class token and the patches that `conv1` gives, `[N, D, H, W]`, with their positions: `[N, L, D]`.
pub(super) fn tokens(patches: &Tensor, class: &Parameter, positions: &Parameter) -> Flow<Tensor> {
    let class = class.f_expand([patches.size()[0], 1, -1], false)?;
    let patches = patches.f_flatten(2, -1)?.f_transpose(1, 2)?;
    Ok(Tensor::f_cat(&[&class, &patches], 1)?.f_add(positions)?)
}

impl Forward for VisionTransformer {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let tokens = tokens(&self.conv1.forward(pass, x)?, &self.class_embedding, &self.positional_embedding)?;
        let y = run(pass, &tokens, &[&self.ln_pre, &*self.transformer])?;
        let y = self.ln_post.forward(pass, &y.f_select(1, 0)?)?;
        self.proj.apply(pass, &y)
    }
}
