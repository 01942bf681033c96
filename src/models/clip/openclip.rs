//! OpenCLIP's vision transformer: Ilharco et al. 2021, <https://doi.org/10.5281/zenodo.5143773>; Cherti et al. 2022,
//! "Reproducible scaling laws for contrastive language-image learning", <https://arxiv.org/abs/2212.07143>.
//!
//! Names, order and constants are those of open_clip's `transformer.py`. It computes what OpenAI's network does, but has other
//! modules and shows more: blocks have identities for what can be left out, and `ln_post` is of all tokens.

use super::blocks::Blocks;
use super::vit::{Activation, initialise, sixty_four, tokens};
use crate::models::{Family, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
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
    /// The number of features between the two layers of a block's perceptron; four times the width if nobody says it.
    pub mlp_width: Option<i64>,
    /// The length of the embedding.
    pub outputs: i64,
    /// The non-linearity, which no checkpoint tells. GELU if nobody says it, as the network's own constructor makes it.
    #[serde(default)]
    pub activation: Option<Activation>,
}

impl Config {
    /// What the network has if nobody says another.
    pub fn activation(&self) -> Activation {
        self.activation.unwrap_or(Activation::Gelu)
    }

    fn mlp_width(&self) -> i64 {
        self.mlp_width.unwrap_or(4 * self.width)
    }

    fn blocks(&self) -> Blocks {
        Blocks {
            are_openclips: true,
            depth: self.depth,
            width: self.width,
            heads: self.width / self.head_width,
            mlp_width: self.mlp_width(),
            activation: self.activation().function(),
            eps: EPS,
            is_causal: false,
        }
    }
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { patch, resolution, depth, width, head_width, outputs, .. } = *self;
        in_bounds([patch, resolution, depth as i64, width, head_width, self.mlp_width(), outputs])?;
        ensure!(width % head_width == 0, "{width} features cannot be split among heads of {head_width}");
        Ok(())
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(VisionTransformer::new(s, self)?))
    }

    fn initialise(&self, init: &mut Init) -> Result<()> {
        initialise(init, self.width)
    }
}

struct VisionTransformer {
    class_embedding: Parameter,
    positional_embedding: Parameter,
    proj: Affine,
    conv1: Conv2d,
    patch_dropout: Function,
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
            patch_dropout: identity(&s / "patch_dropout"),
            ln_pre: layer_norm(&s / "ln_pre", d, EPS)?,
            transformer: config.blocks().transformer(&s / "transformer")?,
            ln_post: layer_norm(&s / "ln_post", d, EPS)?,
        }))
    }
}

impl Forward for VisionTransformer {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let tokens = tokens(&self.conv1.forward(pass, x)?, &self.class_embedding, &self.positional_embedding)?;
        let y = run(pass, &tokens, &[&self.patch_dropout, &self.ln_pre, &*self.transformer, &self.ln_post])?;
        self.proj.apply(pass, &y.f_select(1, 0)?)
    }
}
