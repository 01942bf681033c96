//! MaxViT: Tu et al. 2022, "Multi-axis vision transformer", <https://arxiv.org/abs/2204.01697>.
//!
//! Names, order and constants are those of torchvision's `models/maxvit.py`.

use super::misc::{
    Block, conv_norm_activation, draw_anew, factors_in_bounds, relative_position_bias, relative_position_index,
    squeeze_excitation,
};
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::sync::OnceLock;
use tch::Tensor;

/// Of batch norms: torchvision's, not PyTorch's default.
const BATCH_NORM_EPS: f64 = 1e-3;

/// Larger partitions than any network has; they are compared place by place.
const LARGEST_PARTITION: i64 = 32;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The side of the image in pixels.
    pub input_size: i64,
    /// The number of channels of the stem.
    pub stem_channels: i64,
    /// The side of a window in places, and of the grid that is laid over a picture.
    pub partition_size: i64,
    /// The number of channels of each block.
    pub block_channels: Vec<i64>,
    /// The number of layers of each block.
    pub block_layers: Vec<usize>,
    /// The number of features of an attention head.
    pub head_dim: i64,
    /// Channels in squeeze and excitation, of those of the block.
    #[serde(default = "quarter")]
    pub squeeze_ratio: f64,
    /// Channels in the bottleneck, of those of the block.
    #[serde(default = "fourfold")]
    pub expansion_ratio: f64,
    /// Features between the two layers of a perceptron, of those of the block.
    #[serde(default = "four")]
    pub mlp_ratio: i64,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

fn quarter() -> f64 {
    0.25
}

fn fourfold() -> f64 {
    4.0
}

fn four() -> i64 {
    4
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { input_size, stem_channels, partition_size, head_dim, mlp_ratio, classes, .. } = *self;
        in_bounds([input_size, stem_channels, partition_size, head_dim, mlp_ratio, classes])?;
        factors_in_bounds([self.squeeze_ratio, self.expansion_ratio])?;
        in_bounds(self.block_channels.iter().copied())?;
        in_bounds(self.block_layers.iter().map(|layers| *layers as i64))?;
        ensure!(partition_size <= LARGEST_PARTITION, "partitions of {partition_size} are larger than {LARGEST_PARTITION}");
        ensure!(!self.block_channels.is_empty(), "there are no blocks");
        ensure!(self.block_channels.len() == self.block_layers.len(), "`block_channels` and `block_layers` are not as many");
        let mut side = half(input_size);
        for channels in &self.block_channels {
            side = half(side);
            ensure!(side % partition_size == 0, "a side of {side} cannot be cut into partitions of {partition_size}");
            ensure!(channels % head_dim == 0, "{channels} features cannot be split among heads of {head_dim}");
            let squeezed = part(*channels, self.squeeze_ratio).min(part(*channels, self.expansion_ratio));
            ensure!(squeezed > 0, "of {channels} channels none are left");
        }
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(MaxVit::new(s, self)?))
    }

    /// Every layer's own default as it is made, with an attention's biases after its projections; then all convolutions and
    /// linear layers anew.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        for module in modules {
            init.reset(module)?;
            if let Some(attention) = module.name.strip_suffix(".merge") {
                let places = self.partition_size.pow(2);
                let index = relative_position_index(self.partition_size)?.f_view([places, places])?;
                init.set(&format!("{attention}.relative_position_index"), index)?;
                init.trunc_normal(&format!("{attention}.relative_position_bias_table"), 0.02)?;
            }
        }
        for module in modules.iter().filter(|module| module.class == "Conv2d" || module.class == "Linear") {
            draw_anew(init, module, |init, weight| init.normal(weight, 0.0, 0.02))?;
        }
        Ok(())
    }
}

/// The side of a picture after a convolution with a stride of 2.
fn half(side: i64) -> i64 {
    (side - 1) / 2 + 1
}

fn part(channels: i64, ratio: f64) -> i64 {
    (channels as f64 * ratio) as i64
}

/// A stem, blocks, a classifier.
struct MaxVit {
    stem: Sequential,
    blocks: Vec<Named<MaxVitBlock>>,
    classifier: Sequential,
}

impl MaxVit {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        Ok(s.register("MaxVit").of(Self {
            stem: stem(&(&s / "stem"), config.stem_channels)?,
            blocks: blocks(&(&s / "blocks"), config)?,
            classifier: classifier(&(&s / "classifier"), config)?,
        }))
    }
}

fn stem(s: &Scope, c: i64) -> Result<Sequential> {
    let mut stem = Sequential::new(s);
    let block = Block { kernel: 3, stride: 2, groups: 1, eps: BATCH_NORM_EPS, activation: Some(Activation::Gelu) };
    stem.push(s, |s| conv_norm_activation(&s, 3, c, block))?;
    stem.push(s, |s| {
        let mut layers = Sequential::of_class(&s, "Conv2dNormActivation");
        layers.push(&s, |s| conv2d(s, c, c, 3, Conv { padding: 1, ..Conv::default() }))?;
        Ok(layers)
    })?;
    Ok(stem)
}

fn blocks(s: &Scope, config: &Config) -> Result<Vec<Named<MaxVitBlock>>> {
    s.register("ModuleList");
    let mut blocks = Vec::new();
    let (mut c_in, mut side) = (config.stem_channels, half(config.input_size));
    for (i, (c_out, depth)) in config.block_channels.iter().zip(&config.block_layers).enumerate() {
        side = half(side);
        blocks.push(MaxVitBlock::new(s / i, config, [c_in, *c_out], side, *depth, i == 0)?);
        c_in = *c_out;
    }
    Ok(blocks)
}

fn classifier(s: &Scope, config: &Config) -> Result<Sequential> {
    let d = config.block_channels.last().copied().unwrap_or(config.stem_channels);
    let mut classifier = Sequential::new(s);
    classifier.push(s, |s| Ok(adaptive_avg_pool2d(s, 1)))?;
    classifier.push(s, |s| Ok(flatten_module(s)))?;
    classifier.push(s, |s| layer_norm(s, d, EPS))?;
    classifier.push(s, |s| linear(s, d, d))?;
    classifier.push(s, |s| Ok(tanh(s)))?;
    classifier.push(s, |s| linear_no_bias(s, d, config.classes))?;
    Ok(classifier)
}

impl Forward for MaxVit {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let mut y = self.stem.forward(pass, x)?;
        for block in &self.blocks {
            y = block.forward(pass, &y)?;
        }
        self.classifier.forward(pass, &y)
    }
}

/// Layers, of which the first halves the sides of the picture.
struct MaxVitBlock {
    layers: Vec<Named<MaxVitLayer>>,
}

impl MaxVitBlock {
    fn new(s: Scope, config: &Config, [c_in, c]: [i64; 2], side: i64, depth: usize, first: bool) -> Result<Named<Self>> {
        let id = s.register("MaxVitBlock");
        let s = &s / "layers";
        s.register("ModuleList");
        let layer = |i: usize| {
            let (c_in, stride) = if i == 0 { (c_in, 2) } else { (c, 1) };
            MaxVitLayer::new(&s / i, config, [c_in, c], stride, side, first && i == 0)
        };
        Ok(id.of(Self { layers: (0..depth).map(layer).collect::<Result<_>>()? }))
    }
}

impl Forward for MaxVitBlock {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let mut y = x.shallow_clone();
        for layer in &self.layers {
            y = layer.forward(pass, &y)?;
        }
        Ok(y)
    }
}

/// Convolutions, attention within windows, attention between the places of a grid.
struct MaxVitLayer {
    layers: Sequential,
}

impl MaxVitLayer {
    fn new(s: Scope, config: &Config, [c_in, c]: [i64; 2], stride: i64, side: i64, first: bool) -> Result<Named<Self>> {
        let id = s.register("MaxVitLayer");
        let s = &(&s / "layers");
        let mut layers = Sequential::new(s);
        layers.push_named(s, "MBconv", |s| MbConv::new(s, config, [c_in, c], stride, first))?;
        layers.push_named(s, "window_attention", |s| PartitionAttentionLayer::new(s, config, c, side, false))?;
        layers.push_named(s, "grid_attention", |s| PartitionAttentionLayer::new(s, config, c, side, true))?;
        Ok(id.of(Self { layers }))
    }
}

impl Forward for MaxVitLayer {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        self.layers.forward(pass, x)
    }
}

/// An inverted bottleneck with squeeze and excitation.
struct MbConv {
    proj: Box<dyn Module>,
    stochastic_depth: Function,
    layers: Sequential,
}

impl MbConv {
    fn new(s: Scope, config: &Config, [c_in, c]: [i64; 2], stride: i64, first: bool) -> Result<Named<Self>> {
        Ok(s.register("MBConv").of(Self {
            proj: proj(&s / "proj", c_in, c, stride)?,
            // The probability of leaving out a block grows from 0 for the first layer of all.
            stochastic_depth: match &s / "stochastic_depth" {
                s if first => identity(s),
                s => stochastic_depth(s),
            },
            layers: bottleneck(&(&s / "layers"), config, c_in, c, stride)?,
        }))
    }
}

fn proj(s: Scope, c_in: i64, c: i64, stride: i64) -> Result<Box<dyn Module>> {
    if stride == 1 && c_in == c {
        return Ok(Box::new(identity(s)));
    }
    let mut proj = Sequential::new(&s);
    if stride == 2 {
        proj.push(&s, |s| Ok(avg_pool2d_padded(s, 3, 2, 1)))?;
    }
    proj.push(&s, |s| conv2d(s, c_in, c, 1, Conv::default()))?;
    Ok(Box::new(proj))
}

fn bottleneck(s: &Scope, config: &Config, c_in: i64, c: i64, stride: i64) -> Result<Sequential> {
    let (mid, squeezed) = (part(c, config.expansion_ratio), part(c, config.squeeze_ratio));
    let conv_a = Block { kernel: 1, stride: 1, groups: 1, eps: BATCH_NORM_EPS, activation: Some(Activation::Gelu) };
    let conv_b = Block { kernel: 3, stride, groups: mid, ..conv_a };
    let mut layers = Sequential::new(s);
    layers.push_named(s, "pre_norm", |s| batch_norm2d_eps(s, c_in, BATCH_NORM_EPS))?;
    layers.push_named(s, "conv_a", |s| conv_norm_activation(&s, c_in, mid, conv_a))?;
    layers.push_named(s, "conv_b", |s| conv_norm_activation(&s, mid, mid, conv_b))?;
    let activations = [Activation::Silu, Activation::Sigmoid];
    layers.push_named(s, "squeeze_excitation", |s| squeeze_excitation(s, mid, squeezed, activations))?;
    layers.push_named(s, "conv_c", |s| conv2d(s, mid, c, 1, Conv::default()))?;
    Ok(layers)
}

impl Forward for MbConv {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let res = self.proj.forward(pass, x)?;
        let y = run(pass, x, &[&self.layers, &self.stochastic_depth])?;
        sum(pass, &res, y)
    }
}

/// Attention within parts of the picture: windows of `partition_size` places a side, or places so far from each other that
/// there are `partition_size` a side.
struct PartitionAttentionLayer {
    partition_op: Named<WindowPartition>,
    departition_op: Named<WindowDepartition>,
    partition_swap: Box<dyn Module>,
    departition_swap: Box<dyn Module>,
    attn_layer: Sequential,
    mlp_layer: Sequential,
    stochastic_dropout: Function,
}

impl PartitionAttentionLayer {
    fn new(s: Scope, config: &Config, c: i64, side: i64, grid: bool) -> Result<Named<Self>> {
        let p = if grid { side / config.partition_size } else { config.partition_size };
        Ok(s.register("PartitionAttentionLayer").of(Self {
            partition_op: (&s / "partition_op").register("WindowPartition").of(WindowPartition { p }),
            departition_op: (&s / "departition_op").register("WindowDepartition").of(WindowDepartition { p, g: side / p }),
            partition_swap: swap(&s / "partition_swap", grid),
            departition_swap: swap(&s / "departition_swap", grid),
            attn_layer: attn_layer(&(&s / "attn_layer"), config, c)?,
            mlp_layer: mlp_layer(&(&s / "mlp_layer"), c, c * config.mlp_ratio)?,
            stochastic_dropout: stochastic_depth(&s / "stochastic_dropout"),
        }))
    }
}

fn swap(s: Scope, grid: bool) -> Box<dyn Module> {
    if grid { Box::new(s.register("SwapAxes").of(SwapAxes)) } else { Box::new(identity(s)) }
}

fn attn_layer(s: &Scope, config: &Config, c: i64) -> Result<Sequential> {
    let mut attn_layer = Sequential::new(s);
    attn_layer.push(s, |s| layer_norm(s, c, EPS))?;
    attn_layer.push(s, |s| RelativePositionalMultiHeadAttention::new(s, c, config.head_dim, config.partition_size))?;
    attn_layer.push(s, |s| Ok(dropout(s)))?;
    Ok(attn_layer)
}

fn mlp_layer(s: &Scope, c: i64, hidden: i64) -> Result<Sequential> {
    let mut mlp_layer = Sequential::new(s);
    mlp_layer.push(s, |s| layer_norm(s, c, EPS))?;
    mlp_layer.push(s, |s| linear(s, c, hidden))?;
    mlp_layer.push(s, |s| Ok(gelu(s)))?;
    mlp_layer.push(s, |s| linear(s, hidden, c))?;
    mlp_layer.push(s, |s| Ok(dropout(s)))?;
    Ok(mlp_layer)
}

impl Forward for PartitionAttentionLayer {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        pass.channels_are(None);
        let x = run(pass, x, &[&self.partition_op, &self.partition_swap])?;
        let y = run(pass, &x, &[&self.attn_layer, &self.stochastic_dropout])?;
        let x = sum(pass, &x, y)?;
        let y = run(pass, &x, &[&self.mlp_layer, &self.stochastic_dropout])?;
        let x = sum(pass, &x, y)?;
        let x = self.departition_swap.forward(pass, &x)?;
        pass.channels_are(Some(Channels::First));
        self.departition_op.forward(pass, &x)
    }
}

/// Pictures `[N, C, H, W]` to parts with `p` places a side `[N, parts, places, C]`.
struct WindowPartition {
    p: i64,
}

impl Forward for WindowPartition {
    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let ((n, c, h, w), p) = (x.size4()?, self.p);
        let x = x.f_reshape([n, c, h / p, p, w / p, p])?.f_permute([0, 2, 4, 3, 5, 1])?;
        Ok(x.f_reshape([n, (h / p) * (w / p), p * p, c])?)
    }
}

/// The way back, `g` parts being beside each other.
#[derive(Clone, Copy)]
struct WindowDepartition {
    p: i64,
    g: i64,
}

impl Forward for WindowDepartition {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let ((n, .., c), Self { p, g }) = (x.size4()?, *self);
        let x = x.f_reshape([n, g, g, p, p, c])?;
        if pass.is_fused() {
            // Convolutions take channels side by side in memory.
            return Ok(x.f_permute([0, 1, 3, 2, 4, 5])?.f_reshape([n, g * p, g * p, c])?.f_permute([0, 3, 1, 2])?);
        }
        Ok(x.f_permute([0, 5, 1, 3, 2, 4])?.f_reshape([n, c, g * p, g * p])?)
    }
}

/// Parts to places and back.
struct SwapAxes;

impl Forward for SwapAxes {
    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_transpose(-2, -3)?)
    }
}

/// `x + y`. In a plain pass as Python writes it: the layout in memory is then that of `x`, and last digits of what follows depend
/// on it.
fn sum(pass: &Pass, x: &Tensor, y: Tensor) -> Flow<Tensor> {
    if pass.is_fused() { add(y, x) } else { Ok(x.f_add(&y)?) }
}

/// Attention of the places of a part to each other, with a bias for each step from one to another: `[N, parts, places, C]`
/// to the same.
struct RelativePositionalMultiHeadAttention {
    heads: i64,
    window: i64,
    relative_position_bias_table: Parameter,
    to_qkv: Linear,
    merge: Linear,
    bias: OnceLock<Parameter>,
}

impl RelativePositionalMultiHeadAttention {
    fn new(s: Scope, d: i64, head_dim: i64, window: i64) -> Result<Named<Self>> {
        let (heads, steps, places) = (d / head_dim, 2 * window - 1, window * window);
        let id = s.register("RelativePositionalMultiHeadAttention");
        let relative_position_bias_table = s.tensor("relative_position_bias_table", &[steps * steps, heads])?;
        s.integers("relative_position_index", &[places, places], || relative_position_index(window)?.f_view([places, places]))?;
        Ok(id.of(Self {
            heads,
            window,
            relative_position_bias_table,
            to_qkv: linear(&s / "to_qkv", d, 3 * d)?,
            merge: linear(&s / "merge", d, d)?,
            bias: OnceLock::new(),
        }))
    }
}

impl Forward for RelativePositionalMultiHeadAttention {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let qkv = self.to_qkv.forward(pass, x)?;
        let y = if pass.is_tracing() { x.shallow_clone() } else { self.attend(pass, &qkv)? };
        self.merge.forward(pass, &y)
    }
}

impl RelativePositionalMultiHeadAttention {
    /// `[N, parts, places, 3 C]` to `[N, parts, places, C]`.
    fn attend(&self, pass: &Pass, qkv: &Tensor) -> Flow<Tensor> {
        let (n, parts, places, d) = qkv.size4()?;
        let (d, bias) = (d / 3, self.bias()?);
        let scale = (d as f64).powf(-0.5);
        let [q, k, v] = [0, 1, 2].map(|i| qkv.f_narrow(-1, i * d, d));
        if pass.is_fused() {
            let split = |x: Tensor| x.f_reshape([n * parts, places, self.heads, -1])?.f_transpose(1, 2);
            let (q, k, v) = (split(q?)?, split(k?)?, split(v?)?);
            let y = Tensor::f_scaled_dot_product_attention(&q, &k, &v, Some(bias), 0.0, false, Some(scale), false)?;
            return Ok(y.f_transpose(1, 2)?.f_reshape([n, parts, places, d])?);
        }
        let split = |x: Tensor| x.f_reshape([n, parts, places, self.heads, -1])?.f_permute([0, 1, 3, 2, 4]);
        let (q, k, v) = (split(q?)?, split(k?)?.f_mul_scalar(scale)?, split(v?)?);
        let logits = Tensor::f_einsum("B G H I D, B G H J D -> B G H I J", &[&q, &k], None::<i64>)?;
        let weights = logits.f_add(bias)?.f_softmax(-1, qkv.kind())?;
        let y = Tensor::f_einsum("B G H I J, B G H J D -> B G H I D", &[&weights, &v], None::<i64>)?;
        Ok(y.f_permute([0, 1, 3, 2, 4])?.f_reshape([n, parts, places, d])?)
    }

    fn bias(&self) -> Flow<&Tensor> {
        if self.bias.get().is_none() {
            let bias = relative_position_bias(&self.relative_position_bias_table, self.window)?;
            self.bias.get_or_init(|| Parameter::new(bias));
        }
        Ok(self.bias.get().expect("it was just set"))
    }
}
