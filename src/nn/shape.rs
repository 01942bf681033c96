//! Changes of shape alone: `torch.flatten`, which is no module, and a `Flatten` that is one.

use super::{Flow, Module, ModuleId, Pass, Scope};
use tch::Tensor;

/// `torch.flatten(x, 1)`: `[N, …]` to `[N, D]`.
pub fn flatten(x: &Tensor) -> Flow<Tensor> {
    Ok(x.f_flatten(1, -1)?)
}

/// [`flatten`] as a module.
#[derive(Debug)]
pub struct Flatten {
    id: ModuleId,
}

pub fn flatten_module(s: Scope) -> Flatten {
    Flatten { id: s.register("Flatten") }
}

impl Module for Flatten {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        flatten(x)
    }
}
