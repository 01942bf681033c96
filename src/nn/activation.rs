//! `torch.nn.ReLU`, and `torch.nn.Dropout` in evaluation mode.

use super::{Flow, Module, ModuleId, Pass, Scope};
use tch::Tensor;

/// `max(x, 0)`, never in place.
#[derive(Debug)]
pub struct Relu {
    id: ModuleId,
}

/// A [`Relu`] at `s`.
pub fn relu(s: Scope) -> Relu {
    Relu { id: s.register("ReLU") }
}

impl Module for Relu {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_relu()?)
    }
}

/// The identity: nothing is dropped in evaluation mode. It is there because PyTorch lists and calls it.
#[derive(Debug)]
pub struct Dropout {
    id: ModuleId,
}

/// A [`Dropout`] at `s`.
pub fn dropout(s: Scope) -> Dropout {
    Dropout { id: s.register("Dropout") }
}

impl Module for Dropout {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.shallow_clone())
    }
}
