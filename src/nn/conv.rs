//! `torch.nn.Conv2d`.

use super::{Epilogue, Flow, Folded, Module, ModuleId, Parameter, Part, Pass, Scope, fuse, winograd};
use anyhow::Result;
use std::sync::OnceLock;
use tch::Tensor;

/// The keyword arguments of `torch.nn.Conv2d`, the same along both axes.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    pub stride: i64,
    pub padding: i64,
    pub groups: i64,
    pub bias: bool,
}

impl Default for Conv {
    fn default() -> Self {
        Conv { stride: 1, padding: 0, groups: 1, bias: true }
    }
}

/// As before a batch norm.
pub const NO_BIAS: Conv = Conv { stride: 1, padding: 0, groups: 1, bias: false };

/// Convolution: `[N, C_in, H, W]` to `[N, C_out, H', W']`, `H' = (H + 2·padding − kernel) / stride + 1` rounded down.
#[derive(Debug)]
pub struct Conv2d {
    id: ModuleId,
    pub(super) weight: Parameter,
    pub(super) bias: Option<Parameter>,
    pub(super) options: Conv,
    /// Above and below, left and right.
    pub(super) padding: [i64; 2],
    /// For a call that no batch norm is folded into.
    pub(super) alone: Folded,
    /// For [`winograd`], whatever follows.
    pub(super) transformed: OnceLock<Parameter>,
}

pub fn conv2d(s: Scope, c_in: i64, c_out: i64, kernel: i64, options: Conv) -> Result<Conv2d> {
    with_sides(&s, [c_in, c_out], [kernel; 2], [options.padding; 2], options)
}

/// A convolution whose kernel has this height and width, padded by half of each, so that the picture keeps its size.
pub fn conv2d_same(s: Scope, c_in: i64, c_out: i64, kernel: [i64; 2], options: Conv) -> Result<Conv2d> {
    with_sides(&s, [c_in, c_out], kernel, kernel.map(|side| side / 2), options)
}

fn with_sides(s: &Scope, [c_in, c_out]: [i64; 2], kernel: [i64; 2], padding: [i64; 2], options: Conv) -> Result<Conv2d> {
    Ok(Conv2d {
        id: s.register("Conv2d"),
        weight: s.tensor("weight", &[c_out, c_in / options.groups, kernel[0], kernel[1]])?,
        bias: options.bias.then(|| s.tensor("bias", &[c_out])).transpose()?,
        options,
        padding,
        alone: Folded::default(),
        transformed: OnceLock::new(),
    })
}

impl Module for Conv2d {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        self.with_stride(self.options.stride).compute(pass, x)
    }

    fn part(&self) -> Part<'_> {
        Part::Convolution(self.with_stride(self.options.stride))
    }
}

impl Conv2d {
    /// The same module called with another stride than that of the constructor.
    pub fn with_stride(&self, stride: i64) -> Strided<'_> {
        Strided { conv: self, stride }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    pub(super) conv: &'a Conv2d,
    pub(super) stride: i64,
}

impl Module for Strided<'_> {
    fn id(&self) -> ModuleId {
        self.conv.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        if pass.is_tracing() {
            pass.has_winograd(winograd::takes(*self));
            return fuse::blank_convolution(*self, x);
        }
        if pass.is_fused() && self.stride == self.conv.options.stride {
            return fuse::convolve(pass, *self, None, x, Epilogue::None);
        }
        self.plain(x, &self.conv.weight, self.conv.bias.as_deref())
    }

    fn part(&self) -> Part<'_> {
        Part::Convolution(*self)
    }
}

impl Strided<'_> {
    /// By PyTorch's own operation, with these parameters in place of the module's.
    pub(super) fn plain(&self, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Flow<Tensor> {
        Ok(x.f_conv2d(weight, bias, [self.stride; 2], self.conv.padding, [1, 1], self.conv.options.groups)?)
    }
}
