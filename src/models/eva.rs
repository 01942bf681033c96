//! Vision transformers with rotary positions: EVA-02, Fang et al. 2023, <https://arxiv.org/abs/2303.11331>, and DINOv3,
//! Siméoni et al. 2025, <https://arxiv.org/abs/2508.10104>.
//!
//! Names, order and constants are those of timm's `models/eva.py`, numbers are called as the arguments of its constructor.
//! Tokens are `[N, L, D]`, special ones first.

use super::timmvit::block::mlp;
use super::timmvit::positions::{Positions, Way, check_sides};
use super::timmvit::{Act, Embedding, PatchEmbed, all};
use super::{Family, Layout, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::collections::HashMap;
use std::f64::consts::PI;
use std::sync::{Arc, Mutex, PoisonError};
use tch::{Device, Kind, Tensor};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The side of a patch in pixels.
    patch: i64,
    /// The side of the images in pixels that learnt positions are for.
    resolution: i64,
    /// The number of blocks.
    depth: usize,
    /// The number of attention heads.
    heads: i64,
    /// The number of features of a token.
    width: i64,
    /// The number of features between the layers of a block's perceptron, after gates if there are some.
    mlp_width: i64,
    /// How the perceptron is built.
    #[serde(default)]
    mlp: Perceptron,
    /// How angles follow from places.
    rope_type: Rope,
    /// The side of the grid of patches that angles are for, of `cat`; others are stretched to it.
    ref_feat_shape: Option<i64>,
    /// Whether positions are also learnt and added.
    #[serde(default)]
    use_abs_pos_emb: bool,
    /// Whether queries, keys and values come from one matrix.
    #[serde(default = "yes")]
    qkv_fused: bool,
    /// Whether queries and values have a bias.
    #[serde(default = "yes")]
    qkv_bias: bool,
    /// What layer scales are before training; without it there are none.
    init_values: Option<f64>,
    /// The number of registers.
    #[serde(default)]
    num_reg_tokens: i64,
    /// Whether the mean of the patches, which is the network's output, is normalised instead of the tokens.
    #[serde(default = "yes")]
    use_fc_norm: bool,
    /// The number of classes of the last layer; 0 if `head` is the identity.
    #[serde(default = "imagenet_classes")]
    classes: i64,
    /// What is added to variances.
    #[serde(default = "eps")]
    eps: f64,
}

fn yes() -> bool {
    true
}

fn eps() -> f64 {
    1e-6
}

/// The perceptron of a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Perceptron {
    /// `W₂ gelu(W₁ x)`
    #[default]
    Mlp,
    /// `W₂ (silu(x₁) · x₂)`, of the halves of one product
    Packed,
    /// `W₂ (silu(W_g x) · W_x x)`
    Swiglu,
    /// The same, normalised before `W₂`
    Scaled,
}

/// How angles follow from places; both turn pairs of features of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Rope {
    /// EVA-02's: patches are counted, neighbouring features are pairs, the base is 10,000.
    Cat,
    /// DINOv3's: the picture reaches from −1 to 1, features half a head apart are pairs, the base is 100.
    DinoV3,
}

impl Config {
    fn grid(&self) -> i64 {
        self.resolution / self.patch
    }

    fn prefix(&self) -> i64 {
        1 + self.num_reg_tokens
    }
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { patch, depth, heads, width, mlp_width, classes, num_reg_tokens, .. } = *self;
        in_bounds([patch, self.resolution, self.grid(), depth as i64, heads, width, mlp_width, classes + 1, num_reg_tokens + 1])?;
        in_bounds(self.ref_feat_shape)?;
        ensure!(width % (4 * heads) == 0, "{width} features cannot be split among {heads} heads of two pairs and more");
        ensure!(self.eps > 0.0 && self.init_values.is_none_or(f64::is_finite), "`eps` must be positive, `init_values` finite");
        Ok(())
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(Eva::new(s, self)?))
    }

    /// Every layer's own default as it is made; then linear layers anew, positions and special tokens.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        for module in modules {
            init.reset(module)?;
        }
        for module in modules.iter().filter(|module| module.class == "Linear") {
            init.trunc_normal(&format!("{}.weight", module.name), 0.02)?;
            let bias = format!("{}.bias", module.name);
            if init.has(&bias) {
                init.fill(&bias, 0.0)?;
            }
        }
        for token in ["pos_embed", "cls_token", "reg_token"] {
            if init.has(token) {
                init.trunc_normal(token, 0.02)?;
            }
        }
        for i in 0..self.depth {
            for (name, value) in [("attn.q_bias", 0.0), ("attn.v_bias", 0.0)].into_iter().chain(self.gammas()) {
                let key = format!("blocks.{i}.{name}");
                if init.has(&key) {
                    init.fill(&key, value)?;
                }
            }
            for weight in ["attn.proj.weight", "mlp.fc2.weight"] {
                init.divide(&format!("blocks.{i}.{weight}"), (2.0 * (i + 1) as f64).sqrt())?;
            }
        }
        if self.classes > 0 {
            init.trunc_normal("head.weight", 0.02)?;
            init.scale("head.weight", 0.001)?;
            init.scale("head.bias", 0.001)?;
        }
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn own_layout(&self) -> Layout {
        Layout { refused: &["norm.", "fc_norm.", "norm_pre.", "attn_pool.", "pos_embed", "reg_token"], ..Layout::default() }
    }

    fn layouts(&self) -> Vec<Layout> {
        if self.rope_type != Rope::DinoV3 {
            return Vec::new();
        }
        // Both hold biases of queries and values, which are 0 in what was published; timm's networks have none.
        let gates = if self.mlp == Perceptron::Swiglu { &GATES_OF_AUTHORS[..] } else { &[] };
        let own = Layout {
            ignored: &["mask_token", "rope_embed.", "local_cls_norm.", ".attn.qkv.bias_mask"],
            zeros: &[".attn.qkv.bias"],
            ..Layout::of("DINOv3", [&AUTHORS[..], gates].concat())
        };
        let zeros = &[".attention.q_proj.bias", ".attention.v_proj.bias"];
        vec![own, Layout { ignored: &["embeddings.mask_token"], zeros, ..Layout::of("transformers", TRANSFORMERS) }]
    }

    fn rows_stand_alone(&self) -> bool {
        true
    }
}

/// Of DINOv3's own `vision_transformer.py`.
const AUTHORS: [[&str; 2]; 3] = [["^reg_token", "storage_tokens"], [".gamma_1", ".ls1.gamma"], [".gamma_2", ".ls2.gamma"]];

/// Of its perceptrons with gates.
const GATES_OF_AUTHORS: [[&str; 2]; 3] = [[".mlp.fc1_g.", ".mlp.w1."], [".mlp.fc1_x.", ".mlp.w2."], [".mlp.fc2.", ".mlp.w3."]];

/// Of `DINOv3ViTModel`, in `modeling_dinov3_vit.py` of transformers.
const TRANSFORMERS: [[&str; 2]; 12] = [
    ["^cls_token", "embeddings.cls_token"],
    ["^reg_token", "embeddings.register_tokens"],
    ["^patch_embed.proj.", "embeddings.patch_embeddings."],
    ["^blocks.", "layer."],
    [".attn.qkv.", ".attention.{q_proj,k_proj,v_proj}."],
    [".attn.proj.", ".attention.o_proj."],
    [".gamma_1", ".layer_scale1.lambda1"],
    [".gamma_2", ".layer_scale2.lambda1"],
    [".mlp.fc1.", ".mlp.up_proj."],
    [".mlp.fc1_g.", ".mlp.gate_proj."],
    [".mlp.fc1_x.", ".mlp.up_proj."],
    [".mlp.fc2.", ".mlp.down_proj."],
];

impl Config {
    fn gammas(&self) -> impl Iterator<Item = (&'static str, f64)> {
        ["gamma_1", "gamma_2"].into_iter().zip(self.init_values.into_iter().cycle())
    }
}

struct Eva {
    prefix: i64,
    patch: i64,
    cls_token: Parameter,
    reg_token: Option<Parameter>,
    pos_embed: Option<Positions>,
    patch_embed: Named<PatchEmbed>,
    /// What stands between the patches and the blocks.
    before: Vec<Box<dyn Module>>,
    rope: RotaryEmbedding,
    blocks: Vec<EvaBlock>,
    norm: Box<dyn Module>,
    /// What is done to the pooled vector.
    head: Vec<Box<dyn Module>>,
}

impl Eva {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let Config { width: d, patch, num_reg_tokens, .. } = *config;
        let id = s.register("Eva");
        let cls_token = s.tensor("cls_token", &[1, 1, d])?;
        let reg_token = (num_reg_tokens > 0).then(|| s.tensor("reg_token", &[1, num_reg_tokens, d])).transpose()?;
        let sizes = [config.prefix(), config.grid(), patch, d];
        let pos_embed = config.use_abs_pos_emb.then(|| Positions::new(&s, sizes, false, Way::Antialiased)).transpose()?;
        let norm = |there: bool, name: &str| -> Result<Box<dyn Module>> {
            Ok(if there { Box::new(layer_norm(&s / name, d, config.eps)?) } else { Box::new(identity(&s / name)) })
        };
        let embedding = Embedding { norm: true, picture: config.rope_type == Rope::DinoV3 };
        let patch_embed = PatchEmbed::new(&s / "patch_embed", [patch, d], embedding)?;
        let mut before: Vec<Box<dyn Module>> = vec![Box::new(dropout(&s / "pos_drop"))];
        let rope = RotaryEmbedding::new(&s / "rope", config);
        before.push(norm(false, "norm_pre")?);
        let blocks = &s / "blocks";
        blocks.register("ModuleList");
        let blocks = (0..config.depth).map(|i| EvaBlock::new(&blocks / i, config)).collect::<Result<_>>()?;
        let last = norm(!config.use_fc_norm, "norm")?;
        let mut head = vec![norm(config.use_fc_norm, "fc_norm")?, Box::new(dropout(&s / "head_drop")) as Box<dyn Module>];
        head.push(match config.classes {
            0 => Box::new(identity(&s / "head")),
            classes => Box::new(linear(&s / "head", d, classes)?),
        });
        let prefix = config.prefix();
        Ok(id.of(Self { prefix, patch, cls_token, reg_token, pos_embed, patch_embed, before, rope, blocks, norm: last, head }))
    }
}

impl Forward for Eva {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let (n, _, h, w) = x.size4()?;
        check_sides([h, w], self.patch, self.rope.rope == Rope::DinoV3)?;
        let patches = self.patch_embed.forward(pass, x)?;
        let patches = if patches.dim() == 4 { patches.f_flatten(1, 2)? } else { patches };
        pass.channels_are(Some(Channels::First));
        let expand = |token: &Parameter| token.f_expand([n, -1, -1], false);
        let mut parts = vec![expand(&self.cls_token)?];
        parts.extend(self.reg_token.iter().map(expand).collect::<Result<Vec<_>, _>>()?);
        parts.push(patches);
        let mut x = Tensor::f_cat(&parts, 1)?;
        if let Some(positions) = &self.pos_embed {
            x = x.f_add(&positions.of(pass, [h, w])?)?;
        }
        let mut x = run(pass, &x, &all(&self.before))?;
        let turn = self.rope.of([h / self.patch, w / self.patch], &x)?;
        for block in &self.blocks {
            x = block.forward(pass, &x, &turn)?;
        }
        let x = self.norm.forward(pass, &x)?;
        run(pass, &x.f_slice(1, self.prefix, None, 1)?.f_mean_dim(1, false, None)?, &all(&self.head))
    }
}

/// The angles of places, which upstream holds in a module that it never calls.
struct RotaryEmbedding {
    rope: Rope,
    /// The number of features of a head.
    head_width: i64,
    ref_feat_shape: Option<i64>,
    made: Mutex<HashMap<[i64; 2], Arc<[Parameter; 2]>>>,
}

/// What turns queries and keys: the sine and cosine of each patch's angles, `[L, D / H]`.
struct Turn {
    rope: Rope,
    angles: Arc<[Parameter; 2]>,
}

impl RotaryEmbedding {
    fn new(s: Scope, config: &Config) -> RotaryEmbedding {
        s.register(match config.rope_type {
            Rope::Cat => "RotaryEmbeddingCat",
            Rope::DinoV3 => "RotaryEmbeddingDinoV3",
        });
        let head_width = config.width / config.heads;
        RotaryEmbedding { rope: config.rope_type, head_width, ref_feat_shape: config.ref_feat_shape, made: Mutex::default() }
    }

    /// For a grid of patches of this height and width; of the kind and on the device of `like`.
    fn of(&self, grid: [i64; 2], like: &Tensor) -> Flow<Turn> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let angles = match made.get(&grid) {
            Some(angles) => angles.clone(),
            None => {
                let angles = self.angles(grid)?;
                let [sin, cos] = [angles.f_sin()?, angles.f_cos()?].map(|x| -> Flow<Parameter> {
                    let x = match self.rope {
                        Rope::Cat => x.f_repeat_interleave_self_int(2, -1, None)?,
                        Rope::DinoV3 => Tensor::f_cat(&[&x, &x], -1)?,
                    };
                    Ok(Parameter::new(x.f_to_device(like.device())?.f_to_kind(like.kind())?))
                });
                made.entry(grid).or_insert(Arc::new([sin?, cos?])).clone()
            }
        };
        Ok(Turn { rope: self.rope, angles })
    }

    /// One for each pair of features, first those of rows and then those of columns: `[L, D / 2 H]`.
    fn angles(&self, grid: [i64; 2]) -> Flow<Tensor> {
        let cpu = (Kind::Float, Device::Cpu);
        let d = self.head_width;
        let axis = |side: i64| -> Flow<Tensor> {
            Ok(match (self.rope, self.ref_feat_shape) {
                (Rope::Cat, None) => Tensor::f_arange(side, cpu)?,
                (Rope::Cat, Some(size)) => Tensor::f_arange(side, cpu)?.f_div_scalar(side)?.f_mul_scalar(size)?,
                (Rope::DinoV3, _) => Tensor::f_arange_start(0.5, side as f64, cpu)?.f_div_scalar(side)?,
            })
        };
        let places = Tensor::f_stack(&Tensor::f_meshgrid_indexing(&[axis(grid[0])?, axis(grid[1])?], "ij")?, -1)?;
        let places = places.f_flatten(0, 1)?.f_unsqueeze(-1)?;
        let angles = match self.rope {
            Rope::Cat => {
                let exponents = Tensor::f_arange_start_step(0, d / 2, 2, (Kind::Int64, Device::Cpu))?;
                let exponents = exponents.f_to_kind(Kind::Float)?.f_div_scalar(d / 2)?;
                let periods = Tensor::f_pow_scalar(10_000.0, &exponents)?;
                places.f_mul(&periods.f_reciprocal()?)?
            }
            Rope::DinoV3 => {
                let exponents = Tensor::f_arange(d / 4, cpu)?.f_mul_scalar(2.0)?.f_div_scalar(d / 2)?;
                let periods = Tensor::f_pow_scalar(100.0, &exponents)?;
                let places = places.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
                places.f_mul_scalar(2.0 * PI)?.f_div(&periods)?
            }
        };
        Ok(angles.f_flatten(1, -1)?)
    }
}

impl Turn {
    /// `x` `[N, H, L, D / H]` with its patches turned, those after the first `prefix` tokens.
    fn of(&self, x: &Tensor, prefix: i64) -> Flow<Tensor> {
        let [sin, cos] = &*self.angles;
        let patches = x.f_slice(2, prefix, None, 1)?;
        let other = match self.rope {
            Rope::Cat => {
                let (even, odd) = (patches.f_slice(-1, 0, None, 2)?, patches.f_slice(-1, 1, None, 2)?);
                Tensor::f_stack(&[odd.f_neg()?, even], -1)?.f_reshape(patches.size())?
            }
            Rope::DinoV3 => {
                let halves = patches.f_chunk(2, -1)?;
                Tensor::f_cat(&[halves[1].f_neg()?, halves[0].shallow_clone()], -1)?
            }
        };
        let patches = patches.f_mul(cos)?.f_add(&other.f_mul(sin)?)?;
        Ok(Tensor::f_cat(&[x.f_narrow(2, 0, prefix)?, patches], 2)?)
    }
}

/// A block of attention and perceptron, each added to what it was given.
struct EvaBlock {
    id: ModuleId,
    gamma_1: Option<Parameter>,
    gamma_2: Option<Parameter>,
    norm1: LayerNorm,
    attn: EvaAttention,
    drop_path1: Function,
    norm2: LayerNorm,
    mlp: Box<dyn Module>,
    drop_path2: Function,
}

impl EvaBlock {
    fn new(s: Scope, config: &Config) -> Result<EvaBlock> {
        let (d, hidden) = (config.width, config.mlp_width);
        let id = s.register("EvaBlock");
        let gamma = |name: &str| config.init_values.is_some().then(|| s.tensor(name, &[d])).transpose();
        Ok(EvaBlock {
            id,
            gamma_1: gamma("gamma_1")?,
            gamma_2: gamma("gamma_2")?,
            norm1: layer_norm(&s / "norm1", d, config.eps)?,
            attn: EvaAttention::new(&s / "attn", config)?,
            drop_path1: identity(&s / "drop_path1"),
            norm2: layer_norm(&s / "norm2", d, config.eps)?,
            mlp: match config.mlp {
                Perceptron::Mlp => Box::new(mlp(&(&s / "mlp"), d, hidden, Act::Gelu)?),
                Perceptron::Packed => Box::new(GluMlp::new(&s / "mlp", d, 2 * hidden)?),
                Perceptron::Swiglu | Perceptron::Scaled => Box::new(SwiGLU::new(&s / "mlp", config)?),
            },
            drop_path2: identity(&s / "drop_path2"),
        })
    }

    fn forward(&self, pass: &mut Pass, x: &Tensor, turn: &Turn) -> Flow<Tensor> {
        let scaled = |y: Tensor, gamma: &Option<Parameter>| match gamma {
            Some(gamma) => gamma.f_mul(&y),
            None => Ok(y),
        };
        let y = self.norm1.forward(pass, x)?;
        let y = scaled(self.attn.forward(pass, &y, turn)?, &self.gamma_1)?;
        let x = add(self.drop_path1.forward(pass, &y)?, x)?;
        let y = scaled(run(pass, &x, &[&self.norm2, &self.mlp])?, &self.gamma_2)?;
        let x = add(self.drop_path2.forward(pass, &y)?, &x)?;
        pass.visit(self.id, &x)?;
        Ok(x)
    }
}

/// Self-attention of the tokens `[N, L, D]` to the same, patches being told apart by how far queries and keys were turned.
struct EvaAttention {
    id: ModuleId,
    heads: i64,
    prefix: i64,
    qkv: Projections,
    q_norm: Function,
    k_norm: Function,
    norm: Function,
    proj: Linear,
    proj_drop: Function,
}

/// From tokens to queries, keys and values; keys have no bias.
enum Projections {
    /// One matrix; where there is a bias, upstream reads it and bypasses the module.
    Fused(Linear),
    Bypassed(Affine),
    Separate([Linear; 3]),
}

impl EvaAttention {
    fn new(s: Scope, config: &Config) -> Result<EvaAttention> {
        let d = config.width;
        let id = s.register("EvaAttention");
        let qkv = match (config.qkv_fused, config.qkv_bias) {
            (true, false) => Projections::Fused(linear_no_bias(&s / "qkv", d, 3 * d)?),
            (true, true) => {
                let (q_bias, v_bias) = (s.tensor("q_bias", &[d])?, s.tensor("v_bias", &[d])?);
                let qkv = &s / "qkv";
                qkv.register("Linear");
                let bias = Tensor::f_cat(&[&*q_bias, &q_bias.f_zeros_like()?, &*v_bias], 0)?;
                let weight = qkv.tensor("weight", &[3 * d, d])?;
                Projections::Bypassed(Affine::of(weight, Some(Parameter::new(bias)), [3 * d, d]))
            }
            (false, bias) => {
                let projection = |name: &str, bias| {
                    let build = if bias { linear } else { linear_no_bias };
                    build(&s / name, d, d)
                };
                Projections::Separate([projection("q_proj", bias)?, projection("k_proj", false)?, projection("v_proj", bias)?])
            }
        };
        let (q_norm, k_norm) = (identity(&s / "q_norm"), identity(&s / "k_norm"));
        // Listed, and with fused attention never called.
        dropout(&s / "attn_drop");
        Ok(EvaAttention {
            id,
            heads: config.heads,
            prefix: config.prefix(),
            qkv,
            q_norm,
            k_norm,
            norm: identity(&s / "norm"),
            proj: linear(&s / "proj", d, d)?,
            proj_drop: dropout(&s / "proj_drop"),
        })
    }

    fn forward(&self, pass: &mut Pass, x: &Tensor, turn: &Turn) -> Flow<Tensor> {
        let qkv = match &self.qkv {
            Projections::Fused(qkv) => qkv.forward(pass, x)?.f_chunk(3, -1)?,
            Projections::Bypassed(qkv) => qkv.apply(pass, x)?.f_chunk(3, -1)?,
            Projections::Separate(projections) => {
                projections.iter().map(|projection| projection.forward(pass, x)).collect::<Flow<Vec<_>>>()?
            }
        };
        let [q, k, v] = [&qkv[0], &qkv[1], &qkv[2]].map(|x| split_heads(x, self.heads));
        pass.channels_are(None);
        let (q, k) = (self.q_norm.forward(pass, &q?)?, self.k_norm.forward(pass, &k?)?);
        pass.channels_are(Some(Channels::First));
        let y = attend_heads(pass, &turn.of(&q, self.prefix)?, &turn.of(&k, self.prefix)?, &v?)?;
        let y = run(pass, &y, &[&self.norm, &self.proj, &self.proj_drop])?;
        pass.visit(self.id, &y)?;
        Ok(y)
    }
}

/// timm's `SwiGLUPacked`: `W₂ (silu(x₁) · x₂)`, `x₁` and `x₂` being the halves of `W₁ x`.
struct GluMlp {
    fc1: Linear,
    act: Function,
    drop1: Function,
    norm: Function,
    fc2: Linear,
    drop2: Function,
}

impl GluMlp {
    fn new(s: Scope, d: i64, hidden: i64) -> Result<Named<Self>> {
        Ok(s.register("GluMlp").of(Self {
            fc1: linear(&s / "fc1", d, hidden)?,
            act: activation(&s / "act", Activation::Silu),
            drop1: dropout(&s / "drop1"),
            norm: identity(&s / "norm"),
            fc2: linear(&s / "fc2", hidden / 2, d)?,
            drop2: dropout(&s / "drop2"),
        }))
    }
}

impl Forward for GluMlp {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let halves = self.fc1.forward(pass, x)?.f_chunk(2, -1)?;
        let y = self.act.forward(pass, &halves[0])?.f_mul(&halves[1])?;
        run(pass, &y, &[&self.drop1, &self.norm, &self.fc2, &self.drop2])
    }
}

/// `W₂ (silu(W_g x) · W_x x)`.
struct SwiGLU {
    fc1_g: Linear,
    fc1_x: Linear,
    act: Function,
    drop1: Function,
    norm: Box<dyn Module>,
    fc2: Linear,
    drop2: Function,
}

impl SwiGLU {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let (d, hidden) = (config.width, config.mlp_width);
        Ok(s.register("SwiGLU").of(Self {
            fc1_g: linear(&s / "fc1_g", d, hidden)?,
            fc1_x: linear(&s / "fc1_x", d, hidden)?,
            act: activation(&s / "act", Activation::Silu),
            drop1: dropout(&s / "drop1"),
            norm: match config.mlp {
                Perceptron::Scaled => Box::new(layer_norm(&s / "norm", hidden, config.eps)?),
                _ => Box::new(identity(&s / "norm")),
            },
            fc2: linear(&s / "fc2", hidden, d)?,
            drop2: dropout(&s / "drop2"),
        }))
    }
}

impl Forward for SwiGLU {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let gate = self.fc1_g.forward(pass, x)?;
        let x = self.fc1_x.forward(pass, x)?;
        let y = self.act.forward(pass, &gate)?.f_mul(&x)?;
        run(pass, &y, &[&self.drop1, &*self.norm, &self.fc2, &self.drop2])
    }
}
