//! `torch.nn.Linear`.

use super::{Flow, Module, ModuleId, Parameter, Pass, Scope};
use anyhow::Result;
use tch::Tensor;

/// `x Wᵀ + b`.
///
/// # Shapes
/// `[N, …, D_in]` to `[N, …, D_out]`.
#[derive(Debug)]
pub struct Linear {
    id: ModuleId,
    weight: Parameter,
    bias: Parameter,
}

/// A [`Linear`] at `s` from `d_in` to `d_out` features, with bias.
pub fn linear(s: Scope, d_in: i64, d_out: i64) -> Result<Linear> {
    Ok(Linear { id: s.register("Linear"), weight: s.tensor("weight", &[d_out, d_in])?, bias: s.tensor("bias", &[d_out])? })
}

impl Module for Linear {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_linear(&self.weight, Some(&*self.bias))?)
    }
}
