//! `torch.nn.MultiheadAttention` as self-attention.

use super::{Affine, Channels, Flow, Function, Module, ModuleId, Pass, Scope, fuse};
use anyhow::Result;
use tch::Tensor;

/// `concat(softmax(Qₕ Kₕᵀ / √d) Vₕ) Wₒᵀ + bₒ` over the heads h; Q, K, V are linear maps of the same tokens.
///
/// `[N, L, D]` to the same, batch first. PyTorch's module gives a tuple of the output and the weights; here it is the
/// output alone. Its `out_proj` is listed, but never called: PyTorch, too, reads its weights and bypasses it.
#[derive(Debug)]
pub struct MultiheadAttention {
    id: ModuleId,
    heads: i64,
    /// Whether tokens see those before them alone.
    is_causal: bool,
    in_proj: Affine,
    out_proj: Affine,
}

pub fn multihead_attention(s: Scope, d: i64, heads: i64) -> Result<MultiheadAttention> {
    let id = s.register("MultiheadAttention");
    let in_proj = Affine::new(&s, ["in_proj_weight", "in_proj_bias"], d, 3 * d)?;
    let out_proj = &s / "out_proj";
    out_proj.register("NonDynamicallyQuantizableLinear");
    let out_proj = Affine::new(&out_proj, ["weight", "bias"], d, d)?;
    Ok(MultiheadAttention { id, heads, is_causal: false, in_proj, out_proj })
}

/// The same of tokens that see themselves and those before them: with the mask of `torch.triu(-inf, 1)`.
pub fn causal_attention(s: Scope, d: i64, heads: i64) -> Result<MultiheadAttention> {
    Ok(MultiheadAttention { is_causal: true, ..multihead_attention(s, d, heads)? })
}

impl Module for MultiheadAttention {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let qkv = self.in_proj.apply(pass, x)?.f_chunk(3, -1)?;
        let [q, k, v] = &qkv[..] else { unreachable!("chunk gives as many parts as asked for") };
        let [q, k, v] = [q, k, v].map(|x| split_heads(x, self.heads));
        let y = attend_masked(pass, [&q?, &k?, &v?], self.is_causal)?;
        self.out_proj.apply(pass, &y)
    }
}

/// The attention of the queries `q` `[N, Lq, D]` to the tokens `k`, `v` `[N, L, D]`, head by head: `[N, Lq, D]`.
pub fn attend(pass: &Pass, q: &Tensor, k: &Tensor, v: &Tensor, heads: i64) -> Flow<Tensor> {
    if pass.is_tracing() {
        return Ok(q.shallow_clone());
    }
    attend_heads(pass, &split_heads(q, heads)?, &split_heads(k, heads)?, &split_heads(v, heads)?)
}

/// The same of what is split by heads, `[N, H, L, D / H]`: `[N, Lq, D]`.
pub fn attend_heads(pass: &Pass, q: &Tensor, k: &Tensor, v: &Tensor) -> Flow<Tensor> {
    attend_masked(pass, [q, k, v], false)
}

fn attend_masked(pass: &Pass, [q, k, v]: [&Tensor; 3], is_causal: bool) -> Flow<Tensor> {
    let y = if pass.is_tracing() {
        q.shallow_clone()
    } else {
        Tensor::f_scaled_dot_product_attention(q, k, v, None::<&Tensor>, 0.0, is_causal, None, false)?
    };
    Ok(y.f_transpose(1, 2)?.f_flatten(-2, -1)?)
}

/// [`attend`] by separate operations, so that `dropout` is called on the weights `[N, H, Lq, L]`, `softmax(Qₕ Kₕᵀ / √d)`; where
/// nobody wants them, and modules may be computed together, they are never made.
pub fn attend_shown(pass: &mut Pass, [q, k, v]: [&Tensor; 3], heads: i64, dropout: &Function) -> Flow<Tensor> {
    if pass.is_fused() && pass.wants_none_of_next(1) {
        pass.pass_over(dropout.id())?;
        return attend(pass, q, k, v, heads);
    }
    let (n, lq, d) = q.size3()?;
    let weights = if pass.is_tracing() {
        fuse::blank(q, &[n, heads, lq, k.size()[1]])?
    } else {
        let products = split_heads(q, heads)?.f_matmul(&split_heads(k, heads)?.f_transpose(-2, -1)?)?;
        products.f_mul_scalar(((d / heads) as f64).powf(-0.5))?.f_softmax(-1, None::<tch::Kind>)?
    };
    pass.channels_are(None);
    let weights = dropout.forward(pass, &weights)?;
    pass.channels_are(Some(Channels::First));
    if pass.is_tracing() {
        return Ok(q.shallow_clone());
    }
    Ok(weights.f_matmul(&split_heads(v, heads)?)?.f_transpose(1, 2)?.f_flatten(-2, -1)?)
}

/// Of tokens `[N, L, D]` those at `places` `[N]`: `[N, D]`.
pub fn one_of_each(x: &Tensor, places: &Tensor) -> Result<Tensor, tch::TchError> {
    let places = places.f_view([-1, 1, 1])?.f_expand([-1, 1, x.size()[2]], false)?;
    x.f_gather(1, &places, false)?.f_squeeze_dim(1)
}

/// `[N, L, D]` to `[N, H, L, D / H]`.
pub fn split_heads(x: &Tensor, heads: i64) -> Flow<Tensor> {
    Ok(x.f_unflatten(-1, [heads, -1])?.f_transpose(1, 2)?)
}
