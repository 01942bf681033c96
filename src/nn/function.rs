//! Modules without weights: activations, pools, and those that hand on their input or change its shape alone.

use super::{Activation, Channels, Flow, Module, ModuleId, Part, Pass, Scope};
use tch::Tensor;

/// A module that computes something of its input alone.
#[derive(Debug, Clone)]
pub struct Function {
    id: ModuleId,
    operation: Operation,
}

#[derive(Debug, Clone, Copy)]
enum Operation {
    Identity,
    Flatten,
    Tanh,
    Activation(Activation),
    MaxPool2d { kernel: i64, stride: i64, padding: i64, ceil: bool },
    AvgPool2d { kernel: i64, stride: i64, padding: i64 },
    AdaptiveAvgPool2d(i64),
}

/// The identity. It is there because PyTorch lists and calls it.
pub fn identity(s: Scope) -> Function {
    identity_of_class(s, "Identity")
}

/// A `Dropout` at `s`: nothing is dropped in evaluation mode.
pub fn dropout(s: Scope) -> Function {
    identity_of_class(s, "Dropout")
}

/// A `StochasticDepth` at `s`: no block is left out in evaluation mode.
pub fn stochastic_depth(s: Scope) -> Function {
    identity_of_class(s, "StochasticDepth")
}

fn identity_of_class(s: Scope, class: &'static str) -> Function {
    Function { id: s.register(class), operation: Operation::Identity }
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
    activation(s, Activation::Relu)
}

/// `x · Φ(x)`, with Φ the normal distribution (by `erf`, PyTorch's `approximate="none"`).
pub fn gelu(s: Scope) -> Function {
    activation(s, Activation::Gelu)
}

/// The hyperbolic tangent.
pub fn tanh(s: Scope) -> Function {
    Function { id: s.register("Tanh"), operation: Operation::Tanh }
}

/// The module of an activation function, never in place.
pub fn activation(s: Scope, function: Activation) -> Function {
    Function { id: s.register(function.class()), operation: Operation::Activation(function) }
}

/// The largest value in each window: `[N, C, H, W]` to `[N, C, H', W']`,
/// `H' = (H + 2·padding − kernel) / stride + 1` rounded down.
pub fn max_pool2d(s: Scope, kernel: i64, stride: i64, padding: i64) -> Function {
    Function { id: s.register("MaxPool2d"), operation: Operation::MaxPool2d { kernel, stride, padding, ceil: false } }
}

/// The same with `H'` rounded up (`ceil_mode`), without padding.
pub fn max_pool2d_ceil(s: Scope, kernel: i64, stride: i64) -> Function {
    Function { id: s.register("MaxPool2d"), operation: Operation::MaxPool2d { kernel, stride, padding: 0, ceil: true } }
}

/// The mean of each `size × size` square, the squares side by side: `[N, C, H, W]` to `[N, C, H / size, W / size]`, rounded down.
pub fn avg_pool2d(s: Scope, size: i64) -> Function {
    Function { id: s.register("AvgPool2d"), operation: Operation::AvgPool2d { kernel: size, stride: size, padding: 0 } }
}

/// The mean of each window, the zeros around the picture included: `[N, C, H, W]` to `[N, C, H', W']`, as [`max_pool2d`].
pub fn avg_pool2d_padded(s: Scope, kernel: i64, stride: i64, padding: i64) -> Function {
    Function { id: s.register("AvgPool2d"), operation: Operation::AvgPool2d { kernel, stride, padding } }
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
            Operation::Tanh => x.f_tanh()?,
            Operation::Activation(function) => function.of(x)?,
            Operation::MaxPool2d { kernel, stride, padding, ceil } => {
                x.f_max_pool2d(twice(kernel), twice(stride), twice(padding), [1, 1], ceil)?
            }
            Operation::AvgPool2d { kernel, stride, padding } => {
                x.f_avg_pool2d(twice(kernel), twice(stride), twice(padding), false, true, None)?
            }
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

/// `torchvision.ops.Permute`: the axes in another order.
#[derive(Debug)]
pub struct Permute {
    id: ModuleId,
    axes: [i64; 4],
}

/// Pictures `[N, C, H, W]` to `[N, H, W, C]`; what comes after has its channels last.
pub fn to_channels_last(s: Scope) -> Permute {
    Permute { id: s.register("Permute"), axes: [0, 2, 3, 1] }
}

/// Pictures `[N, H, W, C]` to `[N, C, H, W]`; what comes after has its channels first.
pub fn to_channels_first(s: Scope) -> Permute {
    Permute { id: s.register("Permute"), axes: [0, 3, 1, 2] }
}

impl Module for Permute {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        pass.channels_are(Some(if self.axes[1] == 3 { Channels::First } else { Channels::Last }));
        Ok(x.f_permute(self.axes)?)
    }
}
