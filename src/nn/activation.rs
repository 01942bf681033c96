//! `torch.nn.ReLU`, `torch.nn.GELU`, and CLIP's `QuickGELU`.

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

/// `x · Φ(x)`, with Φ the normal distribution (by `erf`, PyTorch's `approximate="none"`).
#[derive(Debug)]
pub struct Gelu {
    id: ModuleId,
}

/// A [`Gelu`] at `s`.
pub fn gelu(s: Scope) -> Gelu {
    Gelu { id: s.register("GELU") }
}

impl Module for Gelu {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_gelu("none")?)
    }
}

/// `x · sigmoid(1.702 x)`, OpenAI's approximation of GELU in CLIP.
#[derive(Debug)]
pub struct QuickGelu {
    id: ModuleId,
}

/// A [`QuickGelu`] at `s`.
pub fn quick_gelu(s: Scope) -> QuickGelu {
    QuickGelu { id: s.register("QuickGELU") }
}

impl Module for QuickGelu {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_mul(&x.f_mul_scalar(1.702)?.f_sigmoid()?)?)
    }
}
