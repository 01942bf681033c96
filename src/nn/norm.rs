//! `torch.nn.BatchNorm2d` in evaluation mode.

use super::{Flow, Module, ModuleId, Parameter, Pass, Scope};
use anyhow::Result;
use tch::Tensor;

/// PyTorch's default.
const EPS: f64 = 1e-5;

/// `(x − running_mean) / √(running_var + ε) · weight + bias`, each along the channels.
///
/// # Shapes
/// `[N, C, H, W]` to the same.
#[derive(Debug)]
pub struct BatchNorm2d {
    id: ModuleId,
    weight: Parameter,
    bias: Parameter,
    running_mean: Parameter,
    running_var: Parameter,
}

/// A [`BatchNorm2d`] at `s` over `c` channels.
pub fn batch_norm2d(s: Scope, c: i64) -> Result<BatchNorm2d> {
    let norm = BatchNorm2d {
        id: s.register("BatchNorm2d"),
        weight: s.tensor("weight", &[c])?,
        bias: s.tensor("bias", &[c])?,
        running_mean: s.tensor("running_mean", &[c])?,
        running_var: s.tensor("running_var", &[c])?,
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
}
