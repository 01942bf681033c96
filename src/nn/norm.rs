//! `torch.nn.BatchNorm2d` in evaluation mode, `torch.nn.GroupNorm`, `torch.nn.LayerNorm`.

use super::{Flow, Folded, Module, ModuleId, Parameter, Part, Pass, Scope};
use anyhow::Result;
use std::sync::OnceLock;
use tch::Tensor;

/// PyTorch's default, added to variances.
pub const EPS: f64 = 1e-5;

/// `(x − running_mean) / √(running_var + ε) · weight + bias`, each along the channels: `[N, C, H, W]` to the same.
#[derive(Debug)]
pub struct BatchNorm2d {
    id: ModuleId,
    pub(super) weight: Parameter,
    pub(super) bias: Parameter,
    pub(super) running_mean: Parameter,
    pub(super) running_var: Parameter,
    /// With the convolution that it follows.
    pub(super) folded: OnceLock<Folded>,
}

pub fn batch_norm2d(s: Scope, c: i64) -> Result<BatchNorm2d> {
    let norm = BatchNorm2d {
        id: s.register("BatchNorm2d"),
        weight: s.tensor("weight", &[c])?,
        bias: s.tensor("bias", &[c])?,
        running_mean: s.tensor("running_mean", &[c])?,
        running_var: s.tensor("running_var", &[c])?,
        folded: OnceLock::new(),
    };
    s.counter("num_batches_tracked");
    Ok(norm)
}

impl Module for BatchNorm2d {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let (weight, bias) = (Some(&*self.weight), Some(&*self.bias));
        let (mean, var) = (Some(&*self.running_mean), Some(&*self.running_var));
        Ok(x.f_batch_norm(weight, bias, mean, var, false, 0.0, EPS, true)?)
    }

    fn part(&self) -> Part<'_> {
        Part::BatchNorm(self)
    }
}

/// Each image's groups of channels, less their mean, divided by their deviation; then `· weight + bias` by channel:
/// `[N, C, H, W]` to the same.
#[derive(Debug)]
pub struct GroupNorm {
    id: ModuleId,
    groups: i64,
    weight: Parameter,
    bias: Parameter,
}

pub fn group_norm(s: Scope, groups: i64, c: i64) -> Result<GroupNorm> {
    Ok(GroupNorm { id: s.register("GroupNorm"), groups, weight: s.tensor("weight", &[c])?, bias: s.tensor("bias", &[c])? })
}

impl Module for GroupNorm {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        // Of channels-last images libtorch forms the variance less accurately.
        Ok(x.f_contiguous()?.f_group_norm(self.groups, Some(&*self.weight), Some(&*self.bias), EPS, true)?)
    }
}

/// The last axis, less its mean, divided by its deviation; then `· weight + bias`: `[…, D]` to the same.
#[derive(Debug)]
pub struct LayerNorm {
    id: ModuleId,
    d: i64,
    eps: f64,
    weight: Parameter,
    bias: Parameter,
}

pub fn layer_norm(s: Scope, d: i64, eps: f64) -> Result<LayerNorm> {
    Ok(LayerNorm { id: s.register("LayerNorm"), d, eps, weight: s.tensor("weight", &[d])?, bias: s.tensor("bias", &[d])? })
}

impl Module for LayerNorm {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_layer_norm([self.d], Some(&*self.weight), Some(&*self.bias), self.eps, true)?)
    }
}
