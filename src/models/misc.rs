//! What several families are made of: the blocks of torchvision's `ops/misc.py`, with its names, order and constants.

use crate::nn::*;
use anyhow::{Result, bail};
use tch::{TchError, Tensor};

/// The keyword arguments of a [`conv_norm_activation`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    /// The side of the kernel; half of it is the padding.
    pub kernel: i64,
    pub stride: i64,
    pub groups: i64,
    /// Of the batch norm.
    pub eps: f64,
    pub activation: Option<Activation>,
}

/// A convolution without bias, a batch norm, and an activation if there is one: `[N, C_in, H, W]` to `[N, C_out, H', W']`.
pub(super) fn conv_norm_activation(s: &Scope, c_in: i64, c_out: i64, block: Block) -> Result<Sequential> {
    conv_norm_activation_of_class(s, "Conv2dNormActivation", c_in, c_out, block)
}

/// The same of a class that only inherits from `Conv2dNormActivation`.
pub(super) fn conv_norm_activation_of_class(
    s: &Scope,
    class: &'static str,
    c_in: i64,
    c_out: i64,
    block: Block,
) -> Result<Sequential> {
    let Block { kernel, stride, groups, eps, .. } = block;
    let mut layers = Sequential::of_class(s, class);
    let options = Conv { stride, groups, padding: (kernel - 1) / 2, ..NO_BIAS };
    layers.push(s, |s| conv2d(s, c_in, c_out, kernel, options))?;
    layers.push(s, |s| batch_norm2d_eps(s, c_out, eps))?;
    if let Some(function) = block.activation {
        layers.push(s, |s| Ok(activation(s, function)))?;
    }
    Ok(layers)
}

/// Squeeze and excitation: Hu et al. 2018, <https://arxiv.org/abs/1709.01507>. Every channel times a number that two layers
/// make of the means of all: `[N, C, H, W]` to the same.
pub(super) struct SqueezeExcitation {
    avgpool: Function,
    fc1: Conv2d,
    fc2: Conv2d,
    activation: Function,
    scale_activation: Function,
}

/// With `squeezed` channels in between, the activation after the first layer, and that after the second.
pub(super) fn squeeze_excitation(
    s: Scope,
    c: i64,
    squeezed: i64,
    [inner, scale]: [Activation; 2],
) -> Result<Named<SqueezeExcitation>> {
    Ok(s.register("SqueezeExcitation").of(SqueezeExcitation {
        avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
        fc1: conv2d(&s / "fc1", c, squeezed, 1, Conv::default())?,
        fc2: conv2d(&s / "fc2", squeezed, c, 1, Conv::default())?,
        activation: activation(&s / "activation", inner),
        scale_activation: activation(&s / "scale_activation", scale),
    }))
}

impl Forward for SqueezeExcitation {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let scale = run(pass, x, &[&self.avgpool, &self.fc1, &self.activation, &self.fc2, &self.scale_activation])?;
        Ok(scale.f_mul(x)?)
    }
}

/// Two linear layers with an activation between them: `[…, D]` to the same.
pub(super) fn mlp(s: &Scope, d: i64, hidden: i64) -> Result<Sequential> {
    let mut mlp = Sequential::of_class(s, "MLP");
    mlp.push(s, |s| linear(s, d, hidden))?;
    mlp.push(s, |s| Ok(gelu(s)))?;
    mlp.push(s, |s| Ok(dropout(s)))?;
    mlp.push(s, |s| linear(s, hidden, d))?;
    mlp.push(s, |s| Ok(dropout(s)))?;
    Ok(mlp)
}

/// A linear layer after a dropout: `[N, D]` to `[N, classes]`.
pub(super) fn classifier(s: &Scope, d: i64, classes: i64) -> Result<Sequential> {
    let mut classifier = Sequential::new(s);
    classifier.push(s, |s| Ok(dropout(s)))?;
    classifier.push(s, |s| linear(s, d, classes))?;
    Ok(classifier)
}

/// torchvision's `_make_divisible` with a divisor of 8: the nearest multiple of 8, but not below 90 % of `value`.
pub(super) fn make_divisible(value: f64) -> i64 {
    let rounded = (((value + 4.0) as i64) / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * value { rounded + 8 } else { rounded }
}

/// For the factor of a network that is not scaled.
pub(super) fn no_factor() -> f64 {
    1.0
}

/// Fails if one of the numbers that channels or blocks are multiplied by is none that a network has.
pub(super) fn factors_in_bounds(factors: impl IntoIterator<Item = f64>) -> Result<()> {
    match factors.into_iter().find(|factor| !(*factor > 0.0 && *factor <= 50.0)) {
        Some(factor) => bail!("a factor of the architecture is {factor} and must be above 0 and at most 50"),
        None => Ok(()),
    }
}

/// A layer's weight by `draw`, and 0 for its bias if it has one.
pub(super) fn draw_anew(init: &mut Init, layer: &ModuleEntry, draw: impl Fn(&mut Init, &str) -> Result<()>) -> Result<()> {
    draw(init, &format!("{}.weight", layer.name))?;
    let bias = format!("{}.bias", layer.name);
    if init.has(&bias) { init.fill(&bias, 0.0) } else { Ok(()) }
}

/// Every layer's own default, in order; then all convolutions anew, and linear layers' weights by `draw`, with biases of 0.
pub(super) fn initialise(init: &mut Init, draw: impl Fn(&mut Init, &str) -> Result<()>) -> Result<()> {
    let modules = init.modules();
    modules.iter().try_for_each(|module| init.reset(module))?;
    for module in modules {
        match module.class.as_str() {
            "Conv2d" => draw_anew(init, module, |init, weight| init.kaiming_normal_fan_out(weight))?,
            "Linear" => draw_anew(init, module, &draw)?,
            _ => {}
        }
    }
    Ok(())
}

/// Which row of a table of biases belongs to each two places of a square window: `[W⁴]`, the row of the step from the second
/// place to the first.
pub(super) fn relative_position_index(window: i64) -> Result<Tensor, TchError> {
    let steps = |i: i64, j: i64| (i / window - j / window + window - 1) * (2 * window - 1) + i % window - j % window + window - 1;
    let places = window * window;
    let index: Vec<i64> = (0..places).flat_map(|i| (0..places).map(move |j| steps(i, j))).collect();
    Tensor::f_from_slice(&index)
}

/// The bias of each two places of a square window, from the rows of `table` `[(2 W − 1)², heads]`: `[1, heads, W², W²]`.
pub(super) fn relative_position_bias(table: &Tensor, window: i64) -> Flow<Tensor> {
    let bias = table.f_index_select(0, &relative_position_index(window)?.f_to_device(table.device())?)?;
    Ok(bias.f_view([window * window, window * window, -1])?.f_permute([2, 0, 1])?.f_contiguous()?.f_unsqueeze(0)?)
}
