//! `torch.nn.MaxPool2d`, `torch.nn.AvgPool2d` and `torch.nn.AdaptiveAvgPool2d`.

use super::{Flow, Module, ModuleId, Pass, Scope};
use tch::Tensor;

/// The largest value in each window: `[N, C, H, W]` to `[N, C, H', W']`,
/// `H' = (H + 2·padding − kernel) / stride + 1` rounded down.
#[derive(Debug)]
pub struct MaxPool2d {
    id: ModuleId,
    kernel: i64,
    stride: i64,
    padding: i64,
}

pub fn max_pool2d(s: Scope, kernel: i64, stride: i64, padding: i64) -> MaxPool2d {
    MaxPool2d { id: s.register("MaxPool2d"), kernel, stride, padding }
}

impl Module for MaxPool2d {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let twice = |size| [size, size];
        Ok(x.f_max_pool2d(twice(self.kernel), twice(self.stride), twice(self.padding), [1, 1], false)?)
    }
}

/// The mean of each cell of a `size × size` grid laid over the picture: `[N, C, H, W]` to `[N, C, size, size]`.
#[derive(Debug)]
pub struct AdaptiveAvgPool2d {
    id: ModuleId,
    size: i64,
}

pub fn adaptive_avg_pool2d(s: Scope, size: i64) -> AdaptiveAvgPool2d {
    AdaptiveAvgPool2d { id: s.register("AdaptiveAvgPool2d"), size }
}

impl Module for AdaptiveAvgPool2d {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_adaptive_avg_pool2d([self.size, self.size])?)
    }
}

/// The mean of each `size × size` square, the squares side by side: `[N, C, H, W]` to `[N, C, H / size, W / size]`, rounded down.
#[derive(Debug)]
pub struct AvgPool2d {
    id: ModuleId,
    size: i64,
}

pub fn avg_pool2d(s: Scope, size: i64) -> AvgPool2d {
    AvgPool2d { id: s.register("AvgPool2d"), size }
}

impl Module for AvgPool2d {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let size = [self.size, self.size];
        Ok(x.f_avg_pool2d(size, size, [0, 0], false, true, None)?)
    }
}
