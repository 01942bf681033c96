//! `torch.nn.BatchNorm2d` in evaluation mode, `torch.nn.GroupNorm`, `torch.nn.LayerNorm`, the last over channels, and a scale alone.

use super::{Flow, Folded, Module, ModuleId, Parameter, Part, Pass, Scope};
use anyhow::Result;
use tch::Tensor;

/// PyTorch's default, added to variances.
pub const EPS: f64 = 1e-5;

/// `(x − running_mean) / √(running_var + ε) · weight + bias`, each along the channels: `[N, C, H, W]` to the same.
#[derive(Debug)]
pub struct BatchNorm2d {
    id: ModuleId,
    pub(super) eps: f64,
    pub(super) weight: Parameter,
    pub(super) bias: Parameter,
    pub(super) running_mean: Parameter,
    pub(super) running_var: Parameter,
    /// With the convolution that it follows.
    pub(super) folded: Folded,
}

pub fn batch_norm2d(s: Scope, c: i64) -> Result<BatchNorm2d> {
    batch_norm2d_eps(s, c, EPS)
}

/// The same with another ε.
pub fn batch_norm2d_eps(s: Scope, c: i64, eps: f64) -> Result<BatchNorm2d> {
    let norm = BatchNorm2d {
        id: s.register("BatchNorm2d"),
        eps,
        weight: s.tensor("weight", &[c])?,
        bias: s.tensor("bias", &[c])?,
        running_mean: s.tensor("running_mean", &[c])?,
        running_var: s.tensor("running_var", &[c])?,
        folded: Folded::default(),
    };
    s.counter("num_batches_tracked")?;
    Ok(norm)
}

impl Module for BatchNorm2d {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        self.of(x)
    }

    fn part(&self) -> Part<'_> {
        Part::BatchNorm(self)
    }
}

impl BatchNorm2d {
    /// The computation alone, into new memory.
    pub(super) fn of(&self, x: &Tensor) -> Flow<Tensor> {
        let (weight, bias) = (Some(&*self.weight), Some(&*self.bias));
        let (mean, var) = (Some(&*self.running_mean), Some(&*self.running_var));
        Ok(x.f_batch_norm(weight, bias, mean, var, false, 0.0, self.eps, true)?)
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

/// [`LayerNorm`] over the channels of each place: `[N, C, H, W]` to the same (ConvNeXt's).
#[derive(Debug)]
pub struct LayerNorm2d(LayerNorm);

pub fn layer_norm2d(s: Scope, c: i64, eps: f64) -> Result<LayerNorm2d> {
    Ok(LayerNorm2d(LayerNorm {
        id: s.register("LayerNorm2d"),
        d: c,
        eps,
        weight: s.tensor("weight", &[c])?,
        bias: s.tensor("bias", &[c])?,
    }))
}

impl Module for LayerNorm2d {
    fn id(&self) -> ModuleId {
        self.0.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(self.0.compute(pass, &x.f_permute([0, 2, 3, 1])?)?.f_permute([0, 3, 1, 2])?)
    }
}

/// `x · gamma` along the last axis, timm's and DINOv2's `LayerScale`: `[…, D]` to the same.
#[derive(Debug)]
pub struct LayerScale {
    id: ModuleId,
    gamma: Parameter,
}

pub fn layer_scale(s: Scope, d: i64) -> Result<LayerScale> {
    Ok(LayerScale { id: s.register("LayerScale"), gamma: s.tensor("gamma", &[d])? })
}

impl Module for LayerScale {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_mul(&self.gamma)?)
    }
}
