//! Modules that hand on their input: `torch.nn.Identity`, and `torch.nn.Dropout` in evaluation mode.

use super::{Flow, Module, ModuleId, Pass, Scope};
use tch::Tensor;

/// The identity. It is there because PyTorch lists and calls it.
#[derive(Debug)]
pub struct Identity {
    id: ModuleId,
}

pub fn identity(s: Scope) -> Identity {
    Identity { id: s.register("Identity") }
}

/// A `Dropout` at `s`: nothing is dropped in evaluation mode.
pub fn dropout(s: Scope) -> Identity {
    Identity { id: s.register("Dropout") }
}

impl Module for Identity {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.shallow_clone())
    }
}
