//! timm's `AttentionPoolLatent`, SigLIP's way from tokens to one vector.

use super::block::{mlp, show_heads};
use super::{Config, EPS};
use crate::nn::*;
use anyhow::Result;
use tch::Tensor;

/// The attention of a learnt query to the tokens `[N, L, D]`, and a perceptron: `[N, D]`.
pub struct AttentionPoolLatent {
    heads: i64,
    latent: Parameter,
    q: Linear,
    kv: Linear,
    norms: [Function; 2],
    proj: Linear,
    proj_drop: Function,
    norm: LayerNorm,
    mlp: Sequential,
}

impl AttentionPoolLatent {
    pub fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let d = config.width;
        Ok(s.register("AttentionPoolLatent").of(Self {
            heads: config.heads,
            latent: s.tensor("latent", &[1, 1, d])?,
            q: linear(&s / "q", d, d)?,
            kv: linear(&s / "kv", d, 2 * d)?,
            norms: ["q_norm", "k_norm"].map(|name| identity(&s / name)),
            proj: linear(&s / "proj", d, d)?,
            proj_drop: dropout(&s / "proj_drop"),
            norm: layer_norm(&s / "norm", d, EPS)?,
            mlp: mlp(&(&s / "mlp"), d, config.mlp_width, config.act)?,
        }))
    }
}

impl Forward for AttentionPoolLatent {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let latent = self.latent.f_expand([x.size()[0], -1, -1], false)?;
        let q = self.q.forward(pass, &latent)?;
        let kv = self.kv.forward(pass, x)?.f_chunk(2, -1)?;
        let [k, v] = &kv[..] else { unreachable!("chunk gives as many parts as asked for") };
        show_heads(pass, &self.norms, [&q, k], self.heads)?;
        let y = attend(pass, &q, k, v, self.heads)?;
        let y = run(pass, &y, &[&self.proj, &self.proj_drop])?;
        let added = run(pass, &y, &[&self.norm, &self.mlp])?;
        Ok(add(added, &y)?.f_select(1, 0)?)
    }
}

/// `trunc_normal_tf_`: cut off at ±2 deviations, of which each is `1 / √d`.
pub fn draw_latent(init: &mut Init, d: i64) -> Result<()> {
    init.trunc_normal_tf("attn_pool.latent", (d as f64).powf(-0.5))
}
