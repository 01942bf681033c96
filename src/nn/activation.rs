//! `torch.nn.ReLU`, `torch.nn.GELU`, and CLIP's `QuickGELU`.

use super::{Activation, Flow, Module, ModuleId, Part, Pass, Scope};
use tch::Tensor;

/// `max(x, 0)`, never in place.
#[derive(Debug)]
pub struct Relu {
    id: ModuleId,
}

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

    fn part(&self) -> Part<'_> {
        Part::Activation(Activation::Relu)
    }
}

/// `x · Φ(x)`, with Φ the normal distribution (by `erf`, PyTorch's `approximate="none"`).
#[derive(Debug)]
pub struct Gelu {
    id: ModuleId,
}

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

    fn part(&self) -> Part<'_> {
        Part::Activation(Activation::Gelu)
    }
}

pub(super) const QUICK: f64 = 1.702;

/// `x · sigmoid(1.702 x)`, OpenAI's approximation of GELU in CLIP.
#[derive(Debug)]
pub struct QuickGelu {
    id: ModuleId,
}

pub fn quick_gelu(s: Scope) -> QuickGelu {
    QuickGelu { id: s.register("QuickGELU") }
}

impl Module for QuickGelu {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, _: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        Ok(x.f_mul(&x.f_mul_scalar(QUICK)?.f_sigmoid()?)?)
    }

    fn part(&self) -> Part<'_> {
        Part::Activation(Activation::QuickGelu)
    }
}
