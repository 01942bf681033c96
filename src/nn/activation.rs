//! Activation functions: their classes in Python, and their formulas by PyTorch's operations.

use super::Flow;
use tch::Tensor;

/// An activation function, as a module, or within a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x · Φ(x)`
    Gelu,
    /// `x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`, nearly the same
    GeluTanh,
    /// `x · sigmoid(1.702 x)`, OpenAI's approximation of GELU in CLIP
    QuickGelu,
    /// `x · sigmoid(x)`
    Silu,
    /// `x · min(max(x + 3, 0), 6) / 6`
    Hardswish,
    /// `1 / (1 + exp(−x))`
    Sigmoid,
    /// `min(max(x + 3, 0), 6) / 6`
    Hardsigmoid,
}

pub(super) const QUICK: f64 = 1.702;

impl Activation {
    /// The name of the class in Python.
    pub(super) fn class(self) -> &'static str {
        match self {
            Activation::Relu => "ReLU",
            Activation::Relu6 => "ReLU6",
            Activation::Gelu => "GELU",
            Activation::GeluTanh => "GELUTanh",
            Activation::QuickGelu => "QuickGELU",
            Activation::Silu => "SiLU",
            Activation::Hardswish => "Hardswish",
            Activation::Sigmoid => "Sigmoid",
            Activation::Hardsigmoid => "Hardsigmoid",
        }
    }

    /// Of `x`, in PyTorch's order of operations.
    pub(crate) fn of(self, x: &Tensor) -> Flow<Tensor> {
        Ok(match self {
            Activation::Relu => x.f_relu()?,
            Activation::Relu6 => x.f_relu6()?,
            Activation::Gelu => x.f_gelu("none")?,
            Activation::GeluTanh => x.f_gelu("tanh")?,
            Activation::QuickGelu => x.f_mul(&x.f_mul_scalar(QUICK)?.f_sigmoid()?)?,
            Activation::Silu => x.f_silu()?,
            Activation::Hardswish => x.f_hardswish()?,
            Activation::Sigmoid => x.f_sigmoid()?,
            Activation::Hardsigmoid => x.f_hardsigmoid()?,
        })
    }
}
