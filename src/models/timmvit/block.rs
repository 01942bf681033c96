//! A block of attention and perceptron, each added to what it was given.

use super::{Act, Config, EPS, School, all};
use crate::nn::*;
use anyhow::Result;
use tch::Tensor;

pub struct Block {
    norm1: LayerNorm,
    attn: Named<Attention>,
    /// What the output of the attention goes through before it is added.
    after_attn: Vec<Box<dyn Module>>,
    norm2: LayerNorm,
    mlp: Box<dyn Module>,
    after_mlp: Vec<Box<dyn Module>>,
}

impl Block {
    pub fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let id = s.register(if config.school == School::DinoV2 { "NestedTensorBlock" } else { "Block" });
        let norm1 = layer_norm(&s / "norm1", config.width, EPS)?;
        let attn = Attention::new(&s / "attn", config)?;
        // One module for both in DINO's code, of their own in the others'.
        let drop_path = (config.school == School::Dino).then(|| identity(&s / "drop_path"));
        let after = |number| match &drop_path {
            Some(drop_path) => Ok(vec![Box::new(drop_path.clone()) as Box<dyn Module>]),
            None => scale_and_drop(&s, number, config),
        };
        let after_attn = after("1")?;
        let norm2 = layer_norm(&s / "norm2", config.width, EPS)?;
        let mlp = perceptron(&s / "mlp", config)?;
        let after_mlp = after("2")?;
        Ok(id.of(Self { norm1, attn, after_attn, norm2, mlp, after_mlp }))
    }
}

/// The layer scale, and the stochastic depth after it, which DINOv2's code does not call in evaluation.
fn scale_and_drop(s: &Scope, number: &str, config: &Config) -> Result<Vec<Box<dyn Module>>> {
    let ls = s / format!("ls{number}");
    let mut modules: Vec<Box<dyn Module>> = match config.init_values {
        Some(_) => vec![Box::new(layer_scale(ls, config.width)?)],
        None => vec![Box::new(identity(ls))],
    };
    let drop_path = identity(s / format!("drop_path{number}"));
    if config.school == School::Timm {
        modules.push(Box::new(drop_path));
    }
    Ok(modules)
}

impl Forward for Block {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let attention: [&dyn Module; 2] = [&self.norm1, &self.attn];
        let y = run(pass, x, &[&attention[..], &all(&self.after_attn)].concat())?;
        let x = add(y, x)?;
        let perceptron: [&dyn Module; 2] = [&self.norm2, &self.mlp];
        let y = run(pass, &x, &[&perceptron[..], &all(&self.after_mlp)].concat())?;
        add(y, &x)
    }
}

/// Self-attention of the tokens `[N, L, D]` to the same.
struct Attention {
    heads: i64,
    qkv: Linear,
    /// Of queries and keys, head by head: no norms, but timm has and calls modules for them.
    norms: Option<[Function; 2]>,
    /// Called in DINO's code alone, on the weights of the attention.
    attn_drop: Option<Function>,
    norm: Option<Function>,
    proj: Linear,
    proj_drop: Function,
}

impl Attention {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let (school, d) = (config.school, config.width);
        let id = s.register(if school == School::DinoV2 { "MemEffAttention" } else { "Attention" });
        let qkv = linear(&s / "qkv", d, 3 * d)?;
        let is_timm = school == School::Timm;
        let norms = is_timm.then(|| ["q_norm", "k_norm"].map(|name| identity(&s / name)));
        let attn_drop = (school != School::DinoV2).then(|| dropout(&s / "attn_drop"));
        let norm = is_timm.then(|| identity(&s / "norm"));
        let proj = linear(&s / "proj", d, d)?;
        let attn_drop = attn_drop.filter(|_| school == School::Dino);
        Ok(id.of(Self { heads: config.heads, qkv, norms, attn_drop, norm, proj, proj_drop: dropout(&s / "proj_drop") }))
    }
}

impl Forward for Attention {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let qkv = self.qkv.forward(pass, x)?.f_chunk(3, -1)?;
        let [q, k, v] = &qkv[..] else { unreachable!("chunk gives as many parts as asked for") };
        if let Some(norms) = &self.norms {
            show_heads(pass, norms, [q, k], self.heads)?;
        }
        let y = match &self.attn_drop {
            Some(dropout) => attend_shown(pass, [q, k, v], self.heads, dropout)?,
            None => attend(pass, q, k, v, self.heads)?,
        };
        match &self.norm {
            Some(norm) => run(pass, &y, &[norm, &self.proj, &self.proj_drop]),
            None => run(pass, &y, &[&self.proj, &self.proj_drop]),
        }
    }
}

/// Queries and keys `[N, L, D]` head by head to timm's modules for their norms, which do nothing.
pub fn show_heads(pass: &mut Pass, norms: &[Function; 2], [q, k]: [&Tensor; 2], heads: i64) -> Flow<()> {
    pass.channels_are(None);
    for (norm, x) in norms.iter().zip([q, k]) {
        let _ = norm.forward(pass, &split_heads(x, heads)?)?;
    }
    pass.channels_are(Some(Channels::First));
    Ok(())
}

/// Two linear layers with a non-linearity between them: each token `[N, L, D]` to the same.
fn perceptron(s: Scope, config: &Config) -> Result<Box<dyn Module>> {
    Ok(match (config.school, config.swiglu) {
        (School::Timm, _) => Box::new(mlp(&s, config.width, config.mlp_width, config.act)?),
        (School::Dino | School::DinoV2, false) => Box::new(mlp_of_dino(&s, config)?),
        (School::Dino | School::DinoV2, true) => Box::new(SwiGLUFFN::new(s, config)?),
    })
}

/// timm's.
pub fn mlp(s: &Scope, d: i64, hidden: i64, act: Act) -> Result<Sequential> {
    let mut mlp = Sequential::of_class(s, "Mlp");
    mlp.push_named(s, "fc1", |s| linear(s, d, hidden))?;
    mlp.push_named(s, "act", |s| Ok(act.module(s)))?;
    mlp.push_named(s, "drop1", |s| Ok(dropout(s)))?;
    mlp.push_named(s, "norm", |s| Ok(identity(s)))?;
    mlp.push_named(s, "fc2", |s| linear(s, hidden, d))?;
    mlp.push_named(s, "drop2", |s| Ok(dropout(s)))?;
    Ok(mlp)
}

/// DINO's and DINOv2's, with one dropout that is called twice.
fn mlp_of_dino(s: &Scope, config: &Config) -> Result<Named<Mlp>> {
    let (d, hidden) = (config.width, config.mlp_width);
    Ok(s.register("Mlp").of(Mlp {
        fc1: linear(s / "fc1", d, hidden)?,
        act: config.act.module(s / "act"),
        fc2: linear(s / "fc2", hidden, d)?,
        drop: dropout(s / "drop"),
    }))
}

struct Mlp {
    fc1: Linear,
    act: Function,
    fc2: Linear,
    drop: Function,
}

impl Forward for Mlp {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        run(pass, x, &[&self.fc1, &self.act, &self.drop, &self.fc2, &self.drop])
    }
}

/// DINOv2's perceptron with gates: `W₂ (silu(x₁) · x₂)`, `x₁` and `x₂` being the halves of `W₁ x`.
struct SwiGLUFFN {
    w12: Linear,
    w3: Linear,
}

impl SwiGLUFFN {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let (d, hidden) = (config.width, config.mlp_width);
        let id = s.register("SwiGLUFFNFused");
        Ok(id.of(Self { w12: linear(&s / "w12", d, hidden)?, w3: linear(&s / "w3", hidden / 2, d)? }))
    }
}

impl Forward for SwiGLUFFN {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let halves = self.w12.forward(pass, x)?.f_chunk(2, -1)?;
        let y = Activation::Silu.of(&halves[0])?.f_mul(&halves[1])?;
        self.w3.forward(pass, &y)
    }
}
