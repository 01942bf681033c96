//! Modules without weights: activations, pools, and those that hand on their input or change its shape alone.

use super::{Activation, Flow, Module, ModuleId, Part, Pass, Scope};
use tch::Tensor;

/// A module that computes something of its input alone.
#[derive(Debug)]
pub struct Function {
    id: ModuleId,
    operation: Operation,
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Identity,
    Flatten,
    Activation(Activation),
    MaxPool2d { kernel: i64, stride: i64, padding: i64 },
    AvgPool2d(i64),
    AdaptiveAvgPool2d(i64),
}

/// The identity. It is there because PyTorch lists and calls it.
pub fn identity(s: Scope) -> Function {
    Function { id: s.register("Identity"), operation: Operation::Identity }
}

/// A `Dropout` at `s`: nothing is dropped in evaluation mode.
pub fn dropout(s: Scope) -> Function {
    Function { id: s.register("Dropout"), operation: Operation::Identity }
}

/// `torch.flatten(x, 1)`, which is no module: `[N, …]` to `[N, D]`.
pub fn flatten(x: &Tensor) -> Flow<Tensor> {
    Ok(x.f_flatten(1, -1)?)
}

/// [`flatten`] as a module.
pub fn flatten_module(s: Scope) -> Function {
    Function { id: s.register("Flatten"), operation: Operation::Flatten }
}

/// `max(x, 0)`, never in place.
pub fn relu(s: Scope) -> Function {
    Function { id: s.register("ReLU"), operation: Operation::Activation(Activation::Relu) }
}

/// `x · Φ(x)`, with Φ the normal distribution (by `erf`, PyTorch's `approximate="none"`).
pub fn gelu(s: Scope) -> Function {
    Function { id: s.register("GELU"), operation: Operation::Activation(Activation::Gelu) }
}

pub(super) const QUICK: f64 = 1.702;

/// `x · sigmoid(1.702 x)`, OpenAI's approximation of GELU in CLIP.
pub fn quick_gelu(s: Scope) -> Function {
    Function { id: s.register("QuickGELU"), operation: Operation::Activation(Activation::QuickGelu) }
}

/// The largest value in each window: `[N, C, H, W]` to `[N, C, H', W']`,
/// `H' = (H + 2·padding − kernel) / stride + 1` rounded down.
pub fn max_pool2d(s: Scope, kernel: i64, stride: i64, padding: i64) -> Function {
    Function { id: s.register("MaxPool2d"), operation: Operation::MaxPool2d { kernel, stride, padding } }
}

/// The mean of each `size × size` square, the squares side by side: `[N, C, H, W]` to `[N, C, H / size, W / size]`, rounded down.
pub fn avg_pool2d(s: Scope, size: i64) -> Function {
    Function { id: s.register("AvgPool2d"), operation: Operation::AvgPool2d(size) }
}

/// The mean of each cell of a `size × size` grid laid over the picture: `[N, C, H, W]` to `[N, C, size, size]`.
pub fn adaptive_avg_pool2d(s: Scope, size: i64) -> Function {
    Function { id: s.register("AdaptiveAvgPool2d"), operation: Operation::AdaptiveAvgPool2d(size) }
}

impl Module for Function {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let twice = |size| [size, size];
        Ok(match self.operation {
            Operation::Identity => x.shallow_clone(),
            Operation::Flatten => flatten(x)?,
            Operation::Activation(Activation::Relu) => x.f_relu()?,
            Operation::Activation(Activation::Gelu) => x.f_gelu("none")?,
            Operation::Activation(Activation::QuickGelu) => x.f_mul(&x.f_mul_scalar(QUICK)?.f_sigmoid()?)?,
            Operation::MaxPool2d { kernel, stride, padding } => {
                x.f_max_pool2d(twice(kernel), twice(stride), twice(padding), [1, 1], false)?
            }
            Operation::AvgPool2d(size) => x.f_avg_pool2d(twice(size), twice(size), [0, 0], false, true, None)?,
            Operation::AdaptiveAvgPool2d(size) => x.f_adaptive_avg_pool2d(twice(size))?,
        })
    }

    fn part(&self) -> Part<'_> {
        match self.operation {
            Operation::Activation(activation) => Part::Activation(activation),
            _ => Part::Other,
        }
    }
}
