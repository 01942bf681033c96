//! `torch.nn.MultiheadAttention` as self-attention.

use super::{Flow, Module, ModuleId, Parameter, Pass, Scope};
use anyhow::Result;
use tch::Tensor;

/// `concat(softmax(Qₕ Kₕᵀ / √d) Vₕ) Wₒᵀ + bₒ` over the heads h; Q, K, V are linear maps of the same tokens.
///
/// Batch first. PyTorch's module gives a tuple of the output and the weights; here it is the output alone. Its
/// `out_proj` is listed, but never called: PyTorch, too, reads its weights and bypasses it.
///
/// # Shapes
/// `[N, L, D]` to the same.
#[derive(Debug)]
pub struct MultiheadAttention {
    id: ModuleId,
    heads: i64,
    in_proj_weight: Parameter,
    in_proj_bias: Parameter,
    out_proj_weight: Parameter,
    out_proj_bias: Parameter,
}

/// A [`MultiheadAttention`] at `s` over tokens of `d` features.
pub fn multihead_attention(s: Scope, d: i64, heads: i64) -> Result<MultiheadAttention> {
    let id = s.register("MultiheadAttention");
    let in_proj_weight = s.tensor("in_proj_weight", &[3 * d, d])?;
    let in_proj_bias = s.tensor("in_proj_bias", &[3 * d])?;
    let out_proj = &s / "out_proj";
    out_proj.register("NonDynamicallyQuantizableLinear");
    Ok(MultiheadAttention {
        id,
        heads,
        in_proj_weight,
        in_proj_bias,
        out_proj_weight: out_proj.tensor("weight", &[d, d])?,
        out_proj_bias: out_proj.tensor("bias", &[d])?,
    })
}

impl Module for MultiheadAttention {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let packed = x.f_linear(&self.in_proj_weight, Some(&*self.in_proj_bias))?;
        let packed = packed.f_chunk(3, -1)?;
        let [q, k, v] = &packed[..] else { unreachable!("chunk gives as many parts as asked for") };
        let y = attend(q, k, v, self.heads)?;
        Ok(y.f_linear(&self.out_proj_weight, Some(&*self.out_proj_bias))?)
    }
}

/// The attention of the queries `q` `[N, Lq, D]` to the tokens `k`, `v` `[N, L, D]`, head by head: `[N, Lq, D]`.
pub fn attend(q: &Tensor, k: &Tensor, v: &Tensor, heads: i64) -> Flow<Tensor> {
    let split = |x: &Tensor| x.f_unflatten(-1, [heads, -1])?.f_transpose(1, 2);
    let (q, k, v) = (split(q)?, split(k)?, split(v)?);
    let y = Tensor::f_scaled_dot_product_attention(&q, &k, &v, None::<&Tensor>, 0.0, false, None, false)?;
    Ok(y.f_transpose(1, 2)?.f_flatten(-2, -1)?)
}
