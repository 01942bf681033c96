//! The text towers of CLIP (Radford et al. 2021, <https://arxiv.org/abs/2103.00020>), of OpenCLIP (Cherti et al. 2022,
//! <https://arxiv.org/abs/2212.07143>) and of SigLIP (Zhai et al. 2023, <https://arxiv.org/abs/2303.15343>).
//!
//! Names are those of the whole model in OpenAI's `clip/model.py` or in OpenCLIP's `open_clip`, where SigLIP's is `text`. Input are
//! tokens `[N, L]`; the output is the projected embedding, not normalised, of the last token in SigLIP, else of the end of the text.
//! Tokens are `[N, L, D]`, where OpenAI's own hooks would show `[L, N, D]`.

use super::clip::{Activation, Blocks};
use super::{Architecture, Family, Layout, in_bounds};
use crate::nn::{self, *};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tch::Tensor;

/// A text tower.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose it is.
    #[serde(default)]
    pub style: Style,
    /// The number of tokens of a text.
    #[serde(default = "seventy_seven")]
    pub context: i64,
    /// The number of tokens that there are.
    #[serde(default = "clips_vocabulary")]
    pub vocabulary: i64,
    /// The token that fills up texts that are shorter.
    #[serde(default)]
    pub padding: i64,
    /// The number of blocks.
    #[serde(default = "twelve")]
    pub depth: usize,
    /// The number of heads of attention.
    pub heads: i64,
    /// The number of features of a token.
    pub width: i64,
    /// The number of features between the two layers of a block's perceptron; four times the width if nobody says it.
    pub mlp_width: Option<i64>,
    /// The length of the embedding; that of images if nobody says it.
    #[serde(default)]
    pub outputs: i64,
    /// The non-linearity, which no checkpoint tells.
    #[serde(default)]
    pub activation: Option<Activation>,
    /// Whether GELU is computed by tanh.
    #[serde(default)]
    pub tanh: bool,
    /// Whether the features of the last token are the embedding as they are.
    #[serde(default)]
    pub unprojected: bool,
    /// The image tower, whose random weights are drawn before.
    #[serde(default)]
    pub image: Option<Box<Architecture>>,
}

/// The writers of text towers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// `clip/model.py`.
    #[default]
    OpenAi,
    /// `open_clip/transformer.py`, within `CLIP`.
    OpenClip,
    /// The same in `CustomTextCLIP`, as SigLIP has it: tokens see all others, and the last is projected.
    SigLip,
}

fn seventy_seven() -> i64 {
    77
}

fn clips_vocabulary() -> i64 {
    49_408
}

fn twelve() -> usize {
    12
}

impl Config {
    /// Where the non-linearity is said; SigLIP's is known.
    pub fn activation(&mut self) -> Option<&mut Option<Activation>> {
        (self.style != Style::SigLip).then_some(&mut self.activation)
    }

    /// That of the network as it is constructed.
    pub fn constructed_activation(&self) -> Option<Activation> {
        match self.style {
            Style::OpenAi => Some(Activation::QuickGelu),
            Style::OpenClip => Some(Activation::Gelu),
            Style::SigLip => None,
        }
    }

    /// What stands before its names.
    fn prefix(&self) -> &'static str {
        if self.style == Style::SigLip { "text." } else { "" }
    }

    /// The layer that is the embedding.
    pub fn default_layer(&self) -> &'static str {
        if self.style == Style::SigLip { "text" } else { "output" }
    }

    /// Whether the embedding is that of the last place, and not of the end of the text.
    pub fn reads_last(&self) -> bool {
        self.style == Style::SigLip
    }

    fn mlp_width(&self) -> i64 {
        self.mlp_width.unwrap_or(4 * self.width)
    }

    fn eps(&self) -> f64 {
        if self.style == Style::SigLip { 1e-6 } else { EPS }
    }

    fn blocks(&self) -> Blocks {
        let activation = match self.style {
            Style::SigLip if self.tanh => nn::Activation::GeluTanh,
            _ => self.activation.or(self.constructed_activation()).unwrap_or(Activation::Gelu).function(),
        };
        Blocks {
            are_openclips: self.style != Style::OpenAi,
            depth: self.depth,
            width: self.width,
            heads: self.heads,
            mlp_width: self.mlp_width(),
            activation,
            eps: self.eps(),
            is_causal: self.style != Style::SigLip,
        }
    }
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { context, depth, heads, width, outputs, .. } = *self;
        in_bounds([context, depth as i64, heads, width, outputs, self.mlp_width()])?;
        ensure!(!self.unprojected || self.style == Style::SigLip && outputs == width, "only SigLIP's tower may be unprojected");
        const MOST: i64 = 1 << 20;
        ensure!((2..=MOST).contains(&self.vocabulary), "a vocabulary of {} tokens; 2 to {MOST} are possible", self.vocabulary);
        ensure!((0..self.vocabulary).contains(&self.padding), "there is no token {}", self.padding);
        ensure!(width % heads == 0, "{width} features cannot be split among {heads} heads");
        self.image.as_ref().map_or(Ok(()), |image| image.check())
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        match self.style {
            Style::SigLip => Ok(Box::new(TextTower::new(&s / "text", self)?)),
            Style::OpenAi | Style::OpenClip => Ok(Box::new(TextTower::new(s, self)?)),
        }
    }

    /// The constructor of the tower: every layer's own default, then the tables of tokens and of places anew. OpenAI's is then left
    /// for the image tower.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let prefix = self.prefix();
        let is_table = |module: &&ModuleEntry| module.class == "Embedding";
        let modules = init.modules().iter();
        // OpenAI makes the table after the blocks, OpenCLIP before them.
        let (first, last): (Vec<_>, Vec<_>) = modules.partition(|module| is_table(module) == (self.style != Style::OpenAi));
        first.into_iter().chain(last).try_for_each(|module| init.reset(module))?;
        init.normal(&format!("{prefix}token_embedding.weight"), 0.0, 0.02)?;
        init.normal(&format!("{prefix}positional_embedding"), 0.0, 0.01)
    }

    /// As the constructor of the whole model draws, of which the image tower is not kept.
    fn seeded(&self, manifest: &Manifest, seed: u64) -> Result<StateDict> {
        let image = self.image.as_deref().context("nothing says which image tower is drawn before the text tower")?;
        let shapes = image.manifest()?;
        let mut init = Init::new(&shapes, seed)?;
        let mut text = Init::beside(&init, manifest)?;
        image.family()?.initialise_around(&mut init, &mut |_| self.initialise(&mut text))?;
        self.initialise_blocks(&mut text)?;
        text.finish()
    }

    fn layouts(&self) -> Vec<Layout> {
        let ignored = &["text_model.embeddings.position_ids"];
        let (from, head): (&[[&str; 2]], &[[&str; 2]]) = match self.style {
            Style::SigLip => (&SIGLIP, &[["^text.text_projection.", "text_model.head."]]),
            Style::OpenAi | Style::OpenClip => (&CLIP, &[["^text_projection", "text_projection.weightᵀ"]]),
        };
        vec![Layout { ignored, ..Layout::of("transformers", [head, from, &BLOCKS].concat()) }]
    }

    fn context(&self) -> Option<i64> {
        Some(self.context)
    }
}

/// Of `CLIPModel` and `CLIPTextModelWithProjection`, in `modeling_clip.py`.
const CLIP: [[&str; 2]; 4] = [
    ["^token_embedding.", "text_model.embeddings.token_embedding."],
    ["^positional_embedding", "text_model.embeddings.position_embedding.weight"],
    ["^ln_final.", "text_model.final_layer_norm."],
    ["^transformer.resblocks.", "text_model.encoder.layers."],
];

/// Of `SiglipModel` and `SiglipTextModel`, in `modeling_siglip.py`.
const SIGLIP: [[&str; 2]; 4] = [
    ["^text.token_embedding.", "text_model.embeddings.token_embedding."],
    ["^text.positional_embedding", "text_model.embeddings.position_embedding.weight"],
    ["^text.ln_final.", "text_model.final_layer_norm."],
    ["^text.transformer.resblocks.", "text_model.encoder.layers."],
];

const BLOCKS: [[&str; 2]; 6] = [
    [".attn.in_proj_", ".self_attn.{q_proj,k_proj,v_proj}."],
    [".attn.out_proj.", ".self_attn.out_proj."],
    [".ln_1.", ".layer_norm1."],
    [".ln_2.", ".layer_norm2."],
    [".mlp.c_fc.", ".mlp.fc1."],
    [".mlp.c_proj.", ".mlp.fc2."],
];

impl Config {
    /// The rest of `initialize_parameters`.
    fn initialise_blocks(&self, init: &mut Init) -> Result<()> {
        let (prefix, width) = (self.prefix(), self.width as f64);
        let attention = width.powf(-0.5);
        let projection = attention * (2.0 * self.depth as f64).powf(-0.5);
        for block in 0..self.depth {
            let key = |name: &str| format!("{prefix}transformer.resblocks.{block}.{name}");
            init.normal(&key("attn.in_proj_weight"), 0.0, attention)?;
            init.normal(&key("attn.out_proj.weight"), 0.0, projection)?;
            init.normal(&key("mlp.c_fc.weight"), 0.0, (2.0 * width).powf(-0.5))?;
            init.normal(&key("mlp.c_proj.weight"), 0.0, projection)?;
        }
        match self.style {
            Style::SigLip if self.unprojected => Ok(()),
            Style::SigLip => {
                init.normal("text.text_projection.weight", 0.0, attention)?;
                init.fill("text.text_projection.bias", 0.0)
            }
            Style::OpenAi | Style::OpenClip => init.normal("text_projection", 0.0, attention),
        }
    }
}

struct TextTower {
    reads_last: bool,
    positional_embedding: Parameter,
    token_embedding: Embedding,
    transformer: Box<dyn Module>,
    ln_final: LayerNorm,
    text_projection: Projection,
}

/// OpenAI's is a matrix, SigLIP's a module.
enum Projection {
    Matrix(Affine),
    Module(Linear),
    None,
}

impl TextTower {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let Config { style, context, vocabulary, width: d, outputs, .. } = *config;
        let class = if style == Style::SigLip { "TextTransformer" } else { "CLIP" };
        let id = s.register(class);
        let positional_embedding = s.tensor("positional_embedding", &[context, d])?;
        let table = || embedding(&s / "token_embedding", vocabulary, d);
        let (token_embedding, transformer) = match style {
            Style::SigLip => (table()?, config.blocks().transformer(&s / "transformer")?),
            Style::OpenAi | Style::OpenClip => {
                let transformer = config.blocks().transformer(&s / "transformer")?;
                (table()?, transformer)
            }
        };
        let ln_final = layer_norm(&s / "ln_final", d, config.eps())?;
        let text_projection = match style {
            Style::SigLip if config.unprojected => Projection::None,
            Style::SigLip => Projection::Module(linear(&s / "text_projection", d, outputs)?),
            Style::OpenAi | Style::OpenClip => Projection::Matrix(Affine::transposed(&s, "text_projection", d, outputs)?),
        };
        let reads_last = config.reads_last();
        Ok(id.of(Self { reads_last, positional_embedding, token_embedding, transformer, ln_final, text_projection }))
    }
}

impl Forward for TextTower {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = self.token_embedding.forward(pass, x)?.f_add(&self.positional_embedding)?;
        let y = run(pass, &y, &[&*self.transformer, &self.ln_final])?;
        let y = if self.reads_last { y.f_select(1, -1)? } else { one_of_each(&y, &ends(x)?)? };
        match &self.text_projection {
            Projection::Matrix(map) => map.apply(pass, &y),
            Projection::Module(linear) => linear.forward(pass, &y),
            Projection::None => Ok(y),
        }
    }
}

/// Where each text of tokens `[N, L]` ends: its token of the highest number, `[N]`.
fn ends(tokens: &Tensor) -> Flow<Tensor> {
    Ok(tokens.f_argmax(1, false)?)
}
