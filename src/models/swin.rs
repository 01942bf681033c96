//! Swin transformer: Liu et al. 2021, "Hierarchical vision transformer using shifted windows",
//! <https://arxiv.org/abs/2103.14030>; its second version: Liu et al. 2021, "Scaling up capacity and resolution",
//! <https://arxiv.org/abs/2111.09883>.
//!
//! Names, order and constants are those of torchvision's `models/swin_transformer.py`. From the patches to the last norm,
//! pictures have their channels last: `[N, H, W, C]`.

use super::misc::{draw_anew, mlp, relative_position_bias, relative_position_index};
use super::vit::redraw;
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use tch::{Device, Kind, Tensor};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether it is the second version: cosine attention, norms after what they belong to, biases from coordinates.
    #[serde(default)]
    pub v2: bool,
    /// The side of a patch in pixels.
    #[serde(default = "four")]
    pub patch: i64,
    /// The number of features of a place in the first stage; each further stage has twice as many.
    pub width: i64,
    /// The number of blocks in each of the four stages.
    pub depths: [usize; 4],
    /// The number of attention heads in each stage.
    pub heads: [i64; 4],
    /// The side of a window in places.
    pub window: i64,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

fn four() -> i64 {
    4
}

/// Larger windows than any network has; they are compared place by place.
const LARGEST_WINDOW: i64 = 32;

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { patch, width, heads, window, classes, .. } = *self;
        in_bounds([patch, width, window, classes])?;
        in_bounds(heads)?;
        in_bounds(self.depths.map(|depth| depth as i64))?;
        ensure!((2..=LARGEST_WINDOW).contains(&window), "a window has the side {window} instead of 2 to {LARGEST_WINDOW}");
        for (stage, heads) in heads.into_iter().enumerate() {
            let width = width << stage;
            ensure!(width % heads == 0, "{width} features cannot be split among {heads} heads");
        }
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(SwinTransformer::new(s, self)?))
    }

    /// Every layer's own default as it is made, with what an attention has of its own after its projections, and a
    /// block's perceptron anew at once; then all linear layers anew.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        for module in modules {
            init.reset(module)?;
            if let Some(attention) = module.name.strip_suffix(".proj") {
                init.set(&format!("{attention}.relative_position_index"), relative_position_index(self.window)?)?;
                if self.v2 {
                    init.set(&format!("{attention}.relative_coords_table"), relative_coords_table(self.window)?)?;
                    init.fill(&format!("{attention}.logit_scale"), 10f64.ln())?;
                } else {
                    init.trunc_normal(&format!("{attention}.relative_position_bias_table"), 0.02)?;
                }
            } else if let Some(mlp) = module.name.strip_suffix("mlp.4") {
                redraw(init, &format!("{mlp}mlp"))?;
            }
        }
        for module in modules.iter().filter(|module| module.class == "Linear") {
            draw_anew(init, module, |init, weight| init.trunc_normal(weight, 0.02))?;
        }
        Ok(())
    }
}

/// Patches, four stages of blocks with a merging of places between each two, a classifier.
struct SwinTransformer {
    features: Sequential,
    norm: LayerNorm,
    permute: Permute,
    avgpool: Function,
    flatten: Function,
    head: Linear,
}

impl SwinTransformer {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let width = config.width << 3;
        Ok(s.register("SwinTransformer").of(Self {
            features: features(&(&s / "features"), config)?,
            norm: layer_norm(&s / "norm", width, EPS)?,
            permute: to_channels_first(&s / "permute"),
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
            flatten: flatten_module(&s / "flatten"),
            head: linear(&s / "head", width, config.classes)?,
        }))
    }
}

fn features(s: &Scope, config: &Config) -> Result<Sequential> {
    let mut features = Sequential::new(s);
    features.push(s, |s| patches(&s, config))?;
    for (stage, depth) in config.depths.into_iter().enumerate() {
        let width = config.width << stage;
        features.push(s, |s| blocks(&s, config, width, config.heads[stage], depth))?;
        if stage < 3 {
            features.push(s, |s| PatchMerging::new(s, width, config.v2))?;
        }
    }
    Ok(features)
}

fn patches(s: &Scope, config: &Config) -> Result<Sequential> {
    let mut patches = Sequential::new(s);
    let options = Conv { stride: config.patch, ..Conv::default() };
    patches.push(s, |s| conv2d(s, 3, config.width, config.patch, options))?;
    patches.push(s, |s| Ok(to_channels_last(s)))?;
    patches.push(s, |s| layer_norm(s, config.width, EPS))?;
    Ok(patches)
}

/// The windows of every other block are shifted by half of their side.
fn blocks(s: &Scope, config: &Config, width: i64, heads: i64, depth: usize) -> Result<Sequential> {
    let mut blocks = Sequential::new(s);
    for i in 0..depth {
        let shift = if i % 2 == 0 { 0 } else { config.window / 2 };
        blocks.push(s, |s| SwinTransformerBlock::new(s, config, width, heads, shift))?;
    }
    Ok(blocks)
}

impl Forward for SwinTransformer {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        run(pass, x, &[&self.features, &self.norm, &self.permute, &self.avgpool, &self.flatten, &self.head])
    }
}

/// Each square of four places to one: `[N, H, W, C]` to `[N, H / 2, W / 2, 2 C]`, rounded up.
struct PatchMerging {
    v2: bool,
    reduction: Linear,
    norm: LayerNorm,
}

impl PatchMerging {
    fn new(s: Scope, d: i64, v2: bool) -> Result<Named<Self>> {
        Ok(s.register(if v2 { "PatchMergingV2" } else { "PatchMerging" }).of(Self {
            v2,
            reduction: linear_no_bias(&s / "reduction", 4 * d, 2 * d)?,
            norm: layer_norm(&s / "norm", if v2 { 2 * d } else { 4 * d }, EPS)?,
        }))
    }
}

impl Forward for PatchMerging {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let (_, h, w, _) = x.size4()?;
        let x = pad(x, [h % 2, w % 2])?;
        let every_other = |y: i64, x_: i64| x.f_slice(1, y, None, 2)?.f_slice(2, x_, None, 2);
        let x = Tensor::f_cat(&[every_other(0, 0)?, every_other(1, 0)?, every_other(0, 1)?, every_other(1, 1)?], -1)?;
        if self.v2 { run(pass, &x, &[&self.reduction, &self.norm]) } else { run(pass, &x, &[&self.norm, &self.reduction]) }
    }
}

/// `x` `[N, H, W, C]` with so many rows of zeros below it, and so many columns to the right.
fn pad(x: &Tensor, [below, right]: [i64; 2]) -> Flow<Tensor> {
    Ok(if below + right == 0 { x.shallow_clone() } else { x.f_constant_pad_nd([0, 0, 0, right, 0, below])? })
}

struct SwinTransformerBlock {
    v2: bool,
    norm1: LayerNorm,
    attn: Named<ShiftedWindowAttention>,
    stochastic_depth: Function,
    norm2: LayerNorm,
    mlp: Sequential,
}

impl SwinTransformerBlock {
    fn new(s: Scope, config: &Config, d: i64, heads: i64, shift: i64) -> Result<Named<Self>> {
        let v2 = config.v2;
        Ok(s.register(if v2 { "SwinTransformerBlockV2" } else { "SwinTransformerBlock" }).of(Self {
            v2,
            norm1: layer_norm(&s / "norm1", d, EPS)?,
            attn: ShiftedWindowAttention::new(&s / "attn", config, d, heads, shift)?,
            stochastic_depth: stochastic_depth(&s / "stochastic_depth"),
            norm2: layer_norm(&s / "norm2", d, EPS)?,
            mlp: mlp(&(&s / "mlp"), d, 4 * d)?,
        }))
    }
}

impl Forward for SwinTransformerBlock {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let Self { norm1, attn, stochastic_depth, norm2, mlp, .. } = self;
        if self.v2 {
            let x = add(run(pass, x, &[attn, norm1, stochastic_depth])?, x)?;
            return add(run(pass, &x, &[mlp, norm2, stochastic_depth])?, &x);
        }
        let x = add(run(pass, x, &[norm1, attn, stochastic_depth])?, x)?;
        add(run(pass, &x, &[norm2, mlp, stochastic_depth])?, &x)
    }
}

/// Attention of the places of a window to each other: `[N, H, W, C]` to the same. Its `qkv` and `proj` are listed, but never
/// called: PyTorch, too, reads their weights and bypasses them.
struct ShiftedWindowAttention {
    heads: i64,
    window: i64,
    shift: i64,
    /// The bias of each step from one place to another `[(2 W − 1)², H]`; in the second version the coordinates of the step.
    table: Parameter,
    qkv: Affine,
    proj: Affine,
    cosine: Option<Cosine>,
    /// For pictures of the size that came last.
    windows: Mutex<Option<Arc<Windows>>>,
}

/// What the second version has more: a scale for each head, and a perceptron that makes biases of coordinates.
struct Cosine {
    logit_scale: Parameter,
    cpb_mlp: Sequential,
}

impl ShiftedWindowAttention {
    fn new(s: Scope, config: &Config, d: i64, heads: i64, shift: i64) -> Result<Named<Self>> {
        let Config { v2, window, .. } = *config;
        let id = s.register(if v2 { "ShiftedWindowAttentionV2" } else { "ShiftedWindowAttention" });
        let steps = 2 * window - 1;
        let logit_scale = v2.then(|| s.tensor("logit_scale", &[heads, 1, 1])).transpose()?;
        let table = match v2 {
            true => s.tensor("relative_coords_table", &[1, steps, steps, 2])?,
            false => s.tensor("relative_position_bias_table", &[steps * steps, heads])?,
        };
        s.integers("relative_position_index", &[window.pow(4)], || relative_position_index(window))?;
        let qkv = projection(&s / "qkv", d, 3 * d, v2)?;
        let proj = projection(&s / "proj", d, d, false)?;
        let cosine = match logit_scale {
            Some(logit_scale) => Some(Cosine { logit_scale, cpb_mlp: cpb_mlp(&(&s / "cpb_mlp"), heads)? }),
            None => None,
        };
        Ok(id.of(Self { heads, window, shift, table, qkv, proj, cosine, windows: Mutex::default() }))
    }
}

/// A linear layer that is not called; if `no_key_bias`, the second third of its bias is taken for 0.
fn projection(s: Scope, d_in: i64, d_out: i64, no_key_bias: bool) -> Result<Affine> {
    s.register("Linear");
    let (weight, bias) = (s.tensor("weight", &[d_out, d_in])?, s.tensor("bias", &[d_out])?);
    if !no_key_bias {
        return Ok(Affine::of(weight, Some(bias), [d_out, d_in]));
    }
    let third = |i: i64| bias.f_narrow(0, i * d_in, d_in);
    let bias = Tensor::f_cat(&[third(0)?, third(1)?.f_zeros_like()?, third(2)?], 0)?;
    Ok(Affine::of(weight, Some(Parameter::new(bias)), [d_out, d_in]))
}

fn cpb_mlp(s: &Scope, heads: i64) -> Result<Sequential> {
    let mut cpb_mlp = Sequential::new(s);
    cpb_mlp.push(s, |s| linear(s, 2, 512))?;
    cpb_mlp.push(s, |s| Ok(relu(s)))?;
    cpb_mlp.push(s, |s| linear_no_bias(s, 512, heads))?;
    Ok(cpb_mlp)
}

impl Forward for ShiftedWindowAttention {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let table = match &self.cosine {
            Some(Cosine { cpb_mlp, .. }) => {
                pass.aside("it sees coordinates instead of images", |pass| cpb_mlp.forward(pass, &self.table))?
            }
            None => self.table.shallow_clone(),
        };
        if pass.is_tracing() {
            return Ok(x.shallow_clone());
        }
        let (n, h, w, c) = x.size4()?;
        let windows = self.windows([h, w], &table)?;
        let x = pad(x, windows.padding)?.f_reshape([n, -1, c])?.f_index_select(1, &windows.cut)?;
        let qkv = self.qkv.apply(pass, &x)?.f_reshape([-1, self.window.pow(2), 3, self.heads, c / self.heads])?;
        let qkv = qkv.f_permute([2, 0, 3, 1, 4])?;
        let [q, k, v] = [qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?];
        let y = if pass.is_fused() { self.attend_at_once(&windows, q, k, v)? } else { self.attend(&windows, &q, &k, &v)? };
        let y = self.proj.apply(pass, &y.f_reshape([n, -1, c])?)?;
        Ok(y.f_index_select(1, &windows.join)?.f_view([n, h, w, c])?)
    }
}

impl ShiftedWindowAttention {
    /// In PyTorch's order of operations: `[windows of all images, heads, places, features]` to `[…, places, C]`.
    fn attend(&self, windows: &Windows, q: &Tensor, k: &Tensor, v: &Tensor) -> Flow<Tensor> {
        let (all, heads, places, features) = q.size4()?;
        let logits = match &self.cosine {
            Some(Cosine { logit_scale, .. }) => {
                let unit = |x: &Tensor| x.f_div(&length(x)?).map_err(Halt::from);
                let scale = logit_scale.f_clamp_max(100f64.ln())?.f_exp()?;
                unit(q)?.f_matmul(&unit(k)?.f_transpose(-2, -1)?)?.f_mul(&scale)?
            }
            None => q.f_mul_scalar((features as f64).powf(-0.5))?.f_matmul(&k.f_transpose(-2, -1)?)?,
        };
        let logits = logits.f_add(&windows.bias)?;
        let logits = match &windows.mask {
            Some(mask) => {
                let logits = logits.f_view([-1, mask.size()[0], heads, places, places])?;
                logits.f_add(&mask.f_unsqueeze(1)?.f_unsqueeze(0)?)?.f_view([-1, heads, places, places])?
            }
            None => logits,
        };
        let y = logits.f_softmax(-1, q.kind())?.f_matmul(v)?;
        Ok(y.f_transpose(1, 2)?.f_reshape([all, places, heads * features])?)
    }

    /// The same by libtorch's kernel for attention. Shifted windows of an image have masks of their own; one image after
    /// the other, these need not be repeated for all.
    fn attend_at_once(&self, windows: &Windows, q: Tensor, k: Tensor, v: Tensor) -> Flow<Tensor> {
        let (q, k, scale) = match &self.cosine {
            Some(Cosine { logit_scale, .. }) => {
                let scale = logit_scale.f_clamp_max(100f64.ln())?.f_exp()?;
                (q.f_mul(&scale.f_div(&length(&q)?)?)?, k.f_div(&length(&k)?)?, Some(1.0))
            }
            None => (q, k, None),
        };
        let bias = Some(&*windows.masked_bias);
        let attend = |q: &Tensor, k: &Tensor, v: &Tensor| {
            let y = Tensor::f_scaled_dot_product_attention(q, k, v, bias, 0.0, false, scale, false)?;
            y.f_transpose(1, 2)?.f_flatten(-2, -1)
        };
        let Some(mask) = &windows.mask else { return Ok(attend(&q, &k, &v)?) };
        let images = |x: &Tensor| x.f_split(mask.size()[0], 0);
        let images = images(&q)?.into_iter().zip(images(&k)?).zip(images(&v)?);
        let ys: Vec<_> = images.map(|((q, k), v)| attend(&q, &k, &v)).collect::<Result<_, _>>()?;
        Ok(Tensor::f_cat(&ys, 0)?)
    }

    /// How a picture of this height and width is cut; `table` has the bias of each step, or what it is made of.
    fn windows(&self, size: [i64; 2], table: &Tensor) -> Flow<Arc<Windows>> {
        let mut last = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(windows) = last.as_ref().filter(|windows| windows.size == size) {
            return Ok(windows.clone());
        }
        let bias = relative_position_bias(&table.f_view([-1, self.heads])?, self.window)?;
        let bias = if self.cosine.is_some() { bias.f_sigmoid()?.f_mul_scalar(16.0)? } else { bias };
        let windows = Arc::new(Windows::new(size, self.window, self.shift, bias)?);
        *last = Some(windows.clone());
        Ok(windows)
    }
}

/// `max(‖x‖, ε)` along the last axis, as in `F.normalize`.
fn length(x: &Tensor) -> Flow<Tensor> {
    Ok(x.f_norm_scalaropt_dim(2.0, [-1], true)?.f_clamp_min(1e-12)?)
}

/// How a picture is cut into windows, which, if shifted, wrap around its edges.
struct Windows {
    /// The height and width of the picture.
    size: [i64; 2],
    /// Rows of zeros below and columns to the right, so that windows fill it.
    padding: [i64; 2],
    /// The places of the padded picture, window by window.
    cut: Parameter,
    /// Where each place of the picture is among these.
    join: Parameter,
    /// What is added to logits: −100 between places that only wrapping brought together, `[windows, places, places]`.
    mask: Option<Parameter>,
    /// What is added to logits in all windows: `[1, heads, places, places]`.
    bias: Parameter,
    /// The sum of both.
    masked_bias: Parameter,
}

impl Windows {
    fn new(size: [i64; 2], window: i64, shift: i64, bias: Tensor) -> Flow<Windows> {
        let padding = size.map(|side| (window - side % window) % window);
        let padded = [size[0] + padding[0], size[1] + padding[1]];
        // Along an axis with a single window nothing is shifted.
        let shifts = padded.map(|side| if window >= side { 0 } else { shift });
        let by_window = |x: Tensor| {
            let x = x.f_roll(shifts.map(|shift| -shift), [0, 1])?;
            let x = x.f_view([padded[0] / window, window, padded[1] / window, window])?;
            x.f_permute([0, 2, 1, 3])?.f_reshape([-1, window * window])
        };
        let places = Tensor::f_arange(padded[0] * padded[1], (Kind::Int64, Device::Cpu))?.f_view(padded)?;
        let cut = by_window(places)?.f_flatten(0, -1)?;
        let join = cut.f_argsort(0, false)?.f_view(padded)?.f_narrow(0, 0, size[0])?.f_narrow(1, 0, size[1])?;
        let join = join.f_reshape([-1])?.f_to_device(bias.device())?;
        // Which part of the picture a place is of: the part before the shift is wrapped around.
        let wrapped =
            |axis: usize| Tensor::f_arange(padded[axis], (Kind::Int64, Device::Cpu))?.f_lt(shifts[axis])?.f_to_kind(Kind::Int64);
        let mask = if shifts == [0, 0] {
            None
        } else {
            let parts = by_window(wrapped(0)?.f_unsqueeze(1)?.f_mul_scalar(2)?.f_add(&wrapped(1)?)?)?;
            let apart = parts.f_unsqueeze(1)?.f_sub(&parts.f_unsqueeze(2)?)?.f_ne(0)?;
            Some(apart.f_to_kind(bias.kind())?.f_mul_scalar(-100.0)?.f_to_device(bias.device())?)
        };
        let masked_bias = match &mask {
            Some(mask) => bias.f_add(&mask.f_unsqueeze(1)?)?,
            None => bias.shallow_clone(),
        };
        Ok(Windows {
            size,
            padding,
            cut: Parameter::new(cut.f_to_device(bias.device())?),
            join: Parameter::new(join),
            mask: mask.map(Parameter::new),
            bias: Parameter::new(bias),
            masked_bias: Parameter::new(masked_bias),
        })
    }
}

/// The coordinates of each step within a window, on a logarithmic scale from −1 to 1: `[1, 2 W − 1, 2 W − 1, 2]`.
fn relative_coords_table(window: i64) -> Result<Tensor> {
    let side = Tensor::f_arange_start(1 - window, window, (Kind::Float, Device::Cpu))?;
    let steps = Tensor::f_stack(&Tensor::f_meshgrid_indexing(&[&side, &side], "ij")?, -1)?.f_unsqueeze(0)?;
    let steps = steps.f_div_scalar(window - 1)?.f_mul_scalar(8)?;
    Ok(steps.f_sign()?.f_mul(&steps.f_abs()?.f_add_scalar(1.0)?.f_log2()?)?.f_div_scalar(3.0)?)
}
