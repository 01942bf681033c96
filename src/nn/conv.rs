//! `torch.nn.Conv2d`.

use super::{Flow, Module, ModuleId, Parameter, Pass, Scope};
use anyhow::Result;
use tch::Tensor;

/// The keyword arguments of `torch.nn.Conv2d`, the same along both axes.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    /// Step of the window.
    pub stride: i64,
    /// Zeros added on each side.
    pub padding: i64,
    /// Groups of channels convolved apart.
    pub groups: i64,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Default for Conv {
    fn default() -> Self {
        Conv { stride: 1, padding: 0, groups: 1, bias: true }
    }
}

/// As before a batch norm.
pub const NO_BIAS: Conv = Conv { stride: 1, padding: 0, groups: 1, bias: false };

/// Convolution with a square kernel.
///
/// # Shapes
/// `[N, C_in, H, W]` to `[N, C_out, H', W']`, `H' = (H + 2·padding − kernel) / stride + 1` rounded down.
#[derive(Debug)]
pub struct Conv2d {
    id: ModuleId,
    weight: Parameter,
    bias: Option<Parameter>,
    options: Conv,
}

/// A [`Conv2d`] at `s` from `c_in` to `c_out` channels.
pub fn conv2d(s: Scope, c_in: i64, c_out: i64, kernel: i64, options: Conv) -> Result<Conv2d> {
    Ok(Conv2d {
        id: s.register("Conv2d"),
        weight: s.tensor("weight", &[c_out, c_in / options.groups, kernel, kernel])?,
        bias: options.bias.then(|| s.tensor("bias", &[c_out])).transpose()?,
        options,
    })
}

impl Module for Conv2d {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        self.convolve(x, self.options.stride)
    }
}

impl Conv2d {
    /// As [`Module::forward`], with another stride than that of the constructor.
    pub fn forward_with_stride(&self, pass: &mut Pass, x: &Tensor, stride: i64) -> Flow<Tensor> {
        let y = self.convolve(x, stride)?;
        pass.visit(self.id, &y)?;
        Ok(y)
    }

    fn convolve(&self, x: &Tensor, stride: i64) -> Flow<Tensor> {
        let Conv { padding, groups, .. } = self.options;
        let bias = self.bias.as_deref();
        Ok(x.f_conv2d(&self.weight, bias, [stride, stride], [padding, padding], [1, 1], groups)?)
    }
}
