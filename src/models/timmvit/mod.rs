//! Vision transformers in timm's layout: Dosovitskiy et al. 2020, "An image is worth 16×16 words",
//! <https://arxiv.org/abs/2010.11929>, and what grew out of it: DeiT, DINO, MAE, DINOv2, SigLIP.
//!
//! Names, order and constants are those of timm's `models/vision_transformer.py` and `models/deit.py`; of DINO's and DINOv2's
//! own `vision_transformer.py`, which differ in modules without weights, where the configuration says so ([`School`]). Numbers
//! are called as the arguments of timm's constructor. Tokens are `[N, L, D]`, special ones first.

pub(super) mod block;
mod pool;
pub(super) mod positions;

use super::{Family, Layout, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use block::Block;
use pool::AttentionPoolLatent;
use positions::{Positions, Way};
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose modules and calls these are.
    #[serde(default)]
    school: School,
    /// The side of a patch in pixels.
    patch: i64,
    /// The side of the images in pixels that the positions are for.
    resolution: i64,
    /// The number of blocks.
    depth: usize,
    /// The number of attention heads.
    heads: i64,
    /// The number of features of a token.
    width: i64,
    /// The number of features between the two layers of a block's perceptron.
    mlp_width: i64,
    /// Whether half of these gate the other half, `silu(x₁) · x₂` (DINOv2).
    #[serde(default)]
    swiglu: bool,
    /// The non-linearity, where there are no gates.
    #[serde(default)]
    act: Act,
    /// The number of classes of the last layer; 0 if `head` is the identity.
    #[serde(default = "imagenet_classes")]
    classes: i64,
    /// How the tokens become one vector.
    #[serde(default)]
    global_pool: Pool,
    /// Whether there is a token for distillation, with a classifier of its own (DeiT).
    #[serde(default)]
    distilled: bool,
    /// The number of registers (DINOv2).
    #[serde(default)]
    reg_tokens: i64,
    /// Whether special tokens have no position.
    #[serde(default)]
    no_embed_class: bool,
    /// What layer scales are before training; without it there are none.
    init_values: Option<f64>,
}

/// timm's and DINO's, not PyTorch's default.
pub(super) const EPS: f64 = 1e-6;

/// The code that names modules and calls them. Weights have the same names in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum School {
    #[default]
    Timm,
    Dino,
    DinoV2,
}

/// The non-linearity of perceptrons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    #[default]
    Gelu,
    GeluTanh,
}

impl Act {
    fn module(self, s: Scope) -> Function {
        activation(
            s,
            match self {
                Act::Gelu => Activation::Gelu,
                Act::GeluTanh => Activation::GeluTanh,
            },
        )
    }
}

/// How the tokens become one vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pool {
    /// By the class token.
    #[default]
    Token,
    /// By the mean of the patches, which is normalised in place of the tokens (MAE trained further).
    Avg,
    /// By the attention of a learnt query to the patches; then there is no class token.
    Map,
}

impl Config {
    /// The number of patches along a side.
    fn grid(&self) -> i64 {
        self.resolution / self.patch
    }

    /// The number of tokens that stand for no part of the image.
    fn prefix(&self) -> i64 {
        i64::from(self.has_class_token()) + i64::from(self.distilled) + self.reg_tokens
    }

    fn has_class_token(&self) -> bool {
        self.global_pool != Pool::Map
    }

    /// How many of these have a position: in DINOv2 registers come in after positions were added.
    fn prefix_positions(&self) -> i64 {
        match self.school {
            _ if self.no_embed_class => 0,
            School::DinoV2 => 1,
            School::Timm | School::Dino => self.prefix(),
        }
    }
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { patch, depth, heads, width, mlp_width, classes, reg_tokens, .. } = *self;
        in_bounds([patch, self.resolution, self.grid(), depth as i64, heads, width, mlp_width, classes + 1, reg_tokens + 1])?;
        ensure!(width % heads == 0, "{width} features cannot be split among {heads} heads");
        ensure!(!self.swiglu || mlp_width % 2 == 0, "{mlp_width} features have no halves, one to gate the other");
        ensure!(self.init_values.is_none_or(f64::is_finite), "`init_values` must be finite");
        let by_token = self.global_pool == Pool::Token;
        ensure!(by_token || !self.distilled, "with a token for distillation `global_pool` must be `token`");
        let is_plain = by_token && !self.distilled && !self.no_embed_class && classes == 0;
        ensure!(
            self.school == School::Timm || is_plain,
            "the networks of DINO and DINOv2 have a class token with a position and no classes"
        );
        let is_dinov2 = self.school == School::DinoV2;
        ensure!(is_dinov2 || reg_tokens == 0 && !self.swiglu, "only networks of DINOv2 have registers or gates");
        Ok(())
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(VisionTransformer::new(s, self)?))
    }

    /// Every layer's own default as it is made; then positions and special tokens, then linear layers anew.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        for module in modules {
            match module.class.as_str() {
                "LayerScale" => init.fill(&format!("{}.gamma", module.name), self.init_values.unwrap_or_default())?,
                _ => init.reset(module)?,
            }
            // The constructor of the pooling ends after that of its perceptron, which ends with this.
            if module.name == "attn_pool.mlp.drop2" {
                pool::draw_latent(init, self.width)?;
            }
        }
        if self.distilled {
            init.trunc_normal("dist_token", 0.02)?;
        }
        init.trunc_normal("pos_embed", 0.02)?;
        match self.school {
            School::Dino => init.trunc_normal("cls_token", 0.02)?,
            _ if self.has_class_token() => init.normal("cls_token", 0.0, 1e-6)?,
            _ => {}
        }
        if self.reg_tokens > 0 {
            init.normal("register_tokens", 0.0, 1e-6)?;
        }
        if self.school == School::DinoV2 {
            init.fill("mask_token", 0.0)?;
        }
        for module in modules {
            if module.class == "Linear" {
                init.trunc_normal(&format!("{}.weight", module.name), 0.02)?;
                init.fill(&format!("{}.bias", module.name), 0.0)?;
            }
            // Anew, too, after its parts.
            if module.name == "attn_pool.mlp.drop2" {
                pool::draw_latent(init, self.width)?;
            }
        }
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn own_layout(&self) -> Layout {
        Layout { refused: OTHERS, ..Layout::default() }
    }

    fn layouts(&self) -> Vec<Layout> {
        match self.school {
            School::DinoV2 => vec![
                Layout { refused: OTHERS, ..Layout::of("timm", TIMM_OF_DINOV2) },
                Layout::of("transformers", TRANSFORMERS_OF_DINOV2),
            ],
            School::Timm | School::Dino => vec![
                // In pretraining a decoder follows the encoder.
                Layout { ignored: &["mask_token", "decoder_"], refused: OTHERS, ..Layout::of("MAE", []) },
                Layout {
                    note: Some(EPS_OF_TRANSFORMERS),
                    ..Layout::of("transformers", [&TRANSFORMERS[..], &WITH_CLASSIFIER].concat())
                },
                Layout { note: Some(EPS_OF_TRANSFORMERS), ..Layout::of("transformers, without its classifier", TRANSFORMERS) },
            ],
        }
    }

    fn rows_stand_alone(&self) -> bool {
        true
    }
}

/// Of timm's networks with the weights of DINOv2.
const TIMM_OF_DINOV2: [[&str; 2]; 2] = [[".mlp.w12.", ".mlp.fc1."], [".mlp.w3.", ".mlp.fc2."]];

/// Parts of timm's other vision transformers. With registers timm's DINOv2 has other positions.
pub(super) const OTHERS: &[&str] =
    &["pre_logits.", "fc_norm.", "norm_pre.", "attn_pool.", "head_dist.", "dist_token", "reg_token"];

/// Of `ViTConfig.layer_norm_eps`, which no file tells.
pub(super) const EPS_OF_TRANSFORMERS: &str = "the norms add 1e-6 to variances, as the network's own code, where transformers' \
    `ViTModel` adds 1e-12";

/// Of `ViTModel`, in `modeling_vit.py` of transformers.
const TRANSFORMERS: [[&str; 2]; 11] = [
    ["^cls_token", "embeddings.cls_token"],
    ["^pos_embed", "embeddings.position_embeddings"],
    ["^patch_embed.proj.", "embeddings.patch_embeddings.projection."],
    ["^norm.", "layernorm."],
    ["^blocks.", "encoder.layer."],
    [".norm1.", ".layernorm_before."],
    [".norm2.", ".layernorm_after."],
    [".attn.qkv.", ".attention.attention.{query,key,value}."],
    [".attn.proj.", ".attention.output.dense."],
    [".mlp.fc1.", ".intermediate.dense."],
    [".mlp.fc2.", ".output.dense."],
];

/// Of `ViTForImageClassification`: the classifier stands beside the rest.
const WITH_CLASSIFIER: [[&str; 2]; 2] = [["^", "vit."], ["^vit.head.", "classifier."]];

/// Of `Dinov2Model` and `Dinov2WithRegistersModel`.
const TRANSFORMERS_OF_DINOV2: [[&str; 2]; 13] = [
    ["^cls_token", "embeddings.cls_token"],
    ["^mask_token", "embeddings.mask_token"],
    ["^register_tokens", "embeddings.register_tokens"],
    ["^pos_embed", "embeddings.position_embeddings"],
    ["^patch_embed.proj.", "embeddings.patch_embeddings.projection."],
    ["^norm.", "layernorm."],
    ["^blocks.", "encoder.layer."],
    [".attn.qkv.", ".attention.attention.{query,key,value}."],
    [".attn.proj.", ".attention.output.dense."],
    [".ls1.gamma", ".layer_scale1.lambda1"],
    [".ls2.gamma", ".layer_scale2.lambda1"],
    [".mlp.w12.", ".mlp.weights_in."],
    [".mlp.w3.", ".mlp.weights_out."],
];

struct VisionTransformer {
    school: School,
    no_embed_class: bool,
    cls_token: Option<Parameter>,
    dist_token: Option<Parameter>,
    /// Between the class token and the patches, without positions.
    register_tokens: Option<Parameter>,
    pos_embed: Positions,
    patch_embed: Named<PatchEmbed>,
    /// What stands between the patches and the blocks.
    before: Vec<Box<dyn Module>>,
    blocks: Vec<Named<Block>>,
    /// Of the blocks, where upstream calls it.
    sequential: Option<ModuleId>,
    norm: Box<dyn Module>,
    attn_pool: Option<Named<AttentionPoolLatent>>,
    /// Of the mean of the patches, where that is the pooled vector: the number of tokens before them.
    mean_after: Option<i64>,
    /// What is done to the pooled vector.
    head: Vec<Box<dyn Module>>,
    /// That of the token for distillation.
    head_dist: Option<Box<dyn Module>>,
}

impl VisionTransformer {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let Config { school, width: d, classes, reg_tokens, .. } = *config;
        let is_timm = school == School::Timm;
        let class = if school == School::DinoV2 { "DinoVisionTransformer" } else { "VisionTransformer" };
        let id = s.register(if config.distilled { "VisionTransformerDistilled" } else { class });
        let token = |there: bool, name: &str, shape: &[i64]| there.then(|| s.tensor(name, shape)).transpose();
        let cls_token = token(config.has_class_token(), "cls_token", &[1, 1, d])?;
        let pos_embed = positions(&s, config)?;
        let register_tokens = token(reg_tokens > 0, "register_tokens", &[1, reg_tokens, d])?;
        let dist_token = token(config.distilled, "dist_token", &[1, 1, d])?;
        // Of images whose patches are hidden.
        if school == School::DinoV2 {
            s.unused("mask_token", &[1, d])?;
        }
        let embedding = Embedding { norm: school != School::Dino, picture: false };
        let patch_embed = PatchEmbed::new(&s / "patch_embed", [config.patch, d], embedding)?;
        let mut before: Vec<Box<dyn Module>> = Vec::new();
        if school != School::DinoV2 {
            before.push(Box::new(dropout(&s / "pos_drop")));
        }
        if is_timm {
            before.push(Box::new(identity(&s / "patch_drop")));
            before.push(Box::new(identity(&s / "norm_pre")));
        }
        let container = (&s / "blocks").register(if is_timm { "Sequential" } else { "ModuleList" });
        let block = |i| Block::new(&(&s / "blocks") / i, config);
        let blocks = (0..config.depth).map(block).collect::<Result<_>>()?;
        let by_mean = config.global_pool == Pool::Avg;
        let norm_if = |there: bool, name: &str| -> Result<Box<dyn Module>> {
            Ok(if there { Box::new(layer_norm(&s / name, d, EPS)?) } else { Box::new(identity(&s / name)) })
        };
        let norm = norm_if(!by_mean, "norm")?;
        let attn_pool = (!config.has_class_token()).then(|| AttentionPoolLatent::new(&s / "attn_pool", config)).transpose()?;
        let classifier = |name: &str| -> Result<Box<dyn Module>> {
            Ok(match classes {
                0 => Box::new(identity(&s / name)),
                _ => Box::new(linear(&s / name, d, classes)?),
            })
        };
        let mut head: Vec<Box<dyn Module>> = Vec::new();
        if is_timm {
            head.push(norm_if(by_mean, "fc_norm")?);
            head.push(Box::new(dropout(&s / "head_drop")));
        }
        head.push(classifier("head")?);
        let head_dist = config.distilled.then(|| classifier("head_dist")).transpose()?;
        Ok(id.of(Self {
            school,
            no_embed_class: config.no_embed_class,
            cls_token,
            dist_token,
            register_tokens,
            pos_embed,
            patch_embed,
            before,
            blocks,
            sequential: is_timm.then_some(container),
            norm,
            attn_pool,
            mean_after: by_mean.then(|| config.prefix()),
            head,
            head_dist,
        }))
    }

    /// Patches with the special tokens before them and their positions added.
    fn tokens(&self, pass: &mut Pass, patches: &Tensor, size: [i64; 2]) -> Flow<Tensor> {
        let n = patches.size()[0];
        let expand = |token: &Parameter| token.f_expand([n, -1, -1], false);
        let with_tokens = |x: &Tensor| -> Flow<Tensor> {
            let special = [&self.cls_token, &self.dist_token].into_iter().flatten();
            let mut parts = special.map(expand).collect::<Result<Vec<_>, _>>()?;
            parts.push(x.shallow_clone());
            Ok(if parts.len() == 1 { parts.remove(0) } else { Tensor::f_cat(&parts, 1)? })
        };
        let positions = self.pos_embed.of(pass, size)?;
        if self.no_embed_class {
            return with_tokens(&patches.f_add(&positions)?);
        }
        let x = with_tokens(patches)?.f_add(&positions)?;
        let Some(registers) = &self.register_tokens else { return Ok(x) };
        Ok(Tensor::f_cat(&[x.f_narrow(1, 0, 1)?, expand(registers)?, x.f_slice(1, 1, None, 1)?], 1)?)
    }
}

impl Forward for VisionTransformer {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let (_, _, h, w) = x.size4()?;
        let patches = self.patch_embed.forward(pass, x)?;
        let x = self.tokens(pass, &patches, [h, w])?;
        let mut x = run(pass, &x, &all(&self.before))?;
        for block in &self.blocks {
            x = block.forward(pass, &x)?;
        }
        if let Some(sequential) = self.sequential {
            pass.visit(sequential, &x)?;
        }
        let x = self.norm.forward(pass, &x)?;
        let Some(head_dist) = &self.head_dist else {
            let y = match (&self.attn_pool, self.mean_after) {
                (Some(attn_pool), _) => attn_pool.forward(pass, &x)?,
                (None, Some(prefix)) => x.f_slice(1, prefix, None, 1)?.f_mean_dim(1, false, None)?,
                (None, None) => x.f_select(1, 0)?,
            };
            // DINO's own code has a head, and never calls it.
            return if self.school == School::Dino { Ok(y) } else { run(pass, &y, &all(&self.head)) };
        };
        // Its head calls the dropout for both tokens before the classifiers; `fc_norm` it never calls.
        let [_, drop, head] = &self.head[..] else { unreachable!("timm's head has three modules") };
        let (class, distilled) = (drop.forward(pass, &x.f_select(1, 0)?)?, drop.forward(pass, &x.f_select(1, 1)?)?);
        let (class, distilled) = (head.forward(pass, &class)?, head_dist.forward(pass, &distilled)?);
        Ok(class.f_add(&distilled)?.f_div_scalar(2.0)?)
    }
}

fn positions(s: &Scope, config: &Config) -> Result<Positions> {
    let way = match config.school {
        School::Timm => Way::Antialiased,
        School::DinoV2 if config.reg_tokens > 0 => Way::Antialiased,
        School::Dino | School::DinoV2 => Way::Offset,
    };
    let sizes = [config.prefix_positions(), config.grid(), config.patch, config.width];
    Positions::new(s, sizes, config.school == School::DinoV2, way)
}

/// As a list of modules to run.
pub(super) fn all(modules: &[Box<dyn Module>]) -> Vec<&dyn Module> {
    modules.iter().map(|module| &**module).collect()
}

/// Images `[N, 3, H, W]` to patches `[N, L, D]`, or `[N, H, W, D]` if they stay a picture.
pub(super) struct PatchEmbed {
    proj: Conv2d,
    norm: Option<Function>,
    picture: bool,
}

/// What distinguishes one from another.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Embedding {
    /// Whether there is a module for a norm, which does nothing.
    pub norm: bool,
    /// Whether patches stay a picture, as upstream has it where images may have any size (`dynamic_img_size`).
    pub picture: bool,
}

impl PatchEmbed {
    pub(super) fn new(s: Scope, [patch, d]: [i64; 2], embedding: Embedding) -> Result<Named<Self>> {
        let Embedding { norm, picture } = embedding;
        let options = Conv { stride: patch, ..Conv::default() };
        Ok(s.register("PatchEmbed").of(Self {
            proj: conv2d(&s / "proj", 3, d, patch, options)?,
            norm: norm.then(|| identity(&s / "norm")),
            picture,
        }))
    }
}

impl Forward for PatchEmbed {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let patches = self.proj.forward(pass, x)?;
        let patches = if self.picture {
            pass.channels_are(Some(Channels::Last));
            patches.f_permute([0, 2, 3, 1])?
        } else {
            patches.f_flatten(2, -1)?.f_transpose(1, 2)?
        };
        match &self.norm {
            Some(norm) => norm.forward(pass, &patches),
            None => Ok(patches),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let sizes = "resolution = 28\npatch = 14\ndepth = 2\nwidth = 8\nmlp_width = 32\n";
        let heads = if text.contains("heads") { "" } else { "heads = 2\n" };
        toml::from_str(&format!("{sizes}{heads}{text}")).unwrap()
    }

    /// What a file of this layout has for a key of the network; joined by `+`.
    fn key(config: &Config, layout: &str, key: &str) -> String {
        let layouts = config.layouts();
        let (keys, is_transposed) = layouts.iter().find(|other| other.name == layout).unwrap().keys(key);
        assert!(!is_transposed);
        keys.join("+")
    }

    /// The keys of transformers' `ViTModel`, `ViTForImageClassification` and `Dinov2Model`, and of timm's DINOv2.
    #[test]
    fn files_of_others_have_other_keys() {
        let (vit, dinov2) = (config(""), config("school = 'dinov2'\nclasses = 0\ninit_values = 1.0\nswiglu = true"));
        let query = |layer: &str| {
            let parts = ["query", "key", "value"];
            parts.map(|part| format!("{layer}.attention.attention.{part}.weight")).join("+")
        };
        let without = "transformers, without its classifier";
        assert_eq!(key(&vit, without, "blocks.1.attn.qkv.weight"), query("encoder.layer.1"));
        assert_eq!(key(&vit, without, "norm.bias"), "layernorm.bias");
        assert_eq!(key(&vit, "transformers", "blocks.0.attn.qkv.weight"), query("vit.encoder.layer.0"));
        assert_eq!(key(&vit, "transformers", "blocks.0.norm2.bias"), "vit.encoder.layer.0.layernorm_after.bias");
        assert_eq!(key(&vit, "transformers", "blocks.0.mlp.fc2.bias"), "vit.encoder.layer.0.output.dense.bias");
        assert_eq!(key(&vit, "transformers", "blocks.0.attn.proj.bias"), "vit.encoder.layer.0.attention.output.dense.bias");
        assert_eq!(key(&vit, "transformers", "pos_embed"), "vit.embeddings.position_embeddings");
        assert_eq!(key(&vit, "transformers", "head.weight"), "classifier.weight");
        assert_eq!(key(&dinov2, "transformers", "blocks.0.norm1.weight"), "encoder.layer.0.norm1.weight");
        assert_eq!(key(&dinov2, "transformers", "blocks.0.ls2.gamma"), "encoder.layer.0.layer_scale2.lambda1");
        assert_eq!(key(&dinov2, "transformers", "blocks.0.mlp.w12.weight"), "encoder.layer.0.mlp.weights_in.weight");
        assert_eq!(key(&dinov2, "timm", "blocks.0.mlp.w3.bias"), "blocks.0.mlp.fc2.bias");
    }

    #[test]
    fn networks_that_no_school_has_are_refused() {
        for text in [
            "school = 'dino'",
            "school = 'dino'\nclasses = 0\nreg_tokens = 4",
            "school = 'dinov2'\nclasses = 0\nno_embed_class = true",
            "swiglu = true",
            "reg_tokens = 1",
            "distilled = true\nglobal_pool = 'map'",
            "distilled = true\nglobal_pool = 'avg'",
            "school = 'dinov2'\nclasses = 0\nglobal_pool = 'avg'",
            "heads = 3",
            "init_values = nan",
        ] {
            assert!(config(text).check().is_err(), "{text}");
        }
    }

    #[test]
    fn sides_that_leave_something_are_named() {
        let said = |sides, whole| {
            positions::check_sides(sides, 14, whole).err().map(|error| match error {
                Halt::Failed(error) => error.to_string(),
                Halt::Done => unreachable!(),
            })
        };
        assert_eq!(said([28, 42], true), None);
        assert_eq!(said([28, 43], false), None);
        assert_eq!(said([28, 300], true).unwrap(), "both sides must be multiples of 14 pixels, as 294 and 308 are");
        assert_eq!(said([13, 28], false).unwrap(), "both sides must have 14 pixels or more");
        assert_eq!(said([5, 28], true).unwrap(), "both sides must be multiples of 14 pixels, as 14 and 28 are");
    }
}
