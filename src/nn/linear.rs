//! `torch.nn.Linear`, and the map alone for modules that use one without calling it.

use super::{Epilogue, Flow, Module, ModuleId, Parameter, Part, Pass, Scope, fuse, kernels};
use anyhow::Result;
use std::sync::{Mutex, OnceLock, PoisonError};
use tch::Tensor;

/// `x Wᵀ + b`: `[N, …, D_in]` to `[N, …, D_out]`.
#[derive(Debug)]
pub struct Linear {
    id: ModuleId,
    map: Affine,
}

pub fn linear(s: Scope, d_in: i64, d_out: i64) -> Result<Linear> {
    Ok(Linear { id: s.register("Linear"), map: Affine::new(&s, ["weight", "bias"], d_in, d_out)? })
}

impl Module for Linear {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        self.map.apply(pass, x)
    }

    fn part(&self) -> Part<'_> {
        Part::Affine(&self.map)
    }
}

/// `x Wᵀ`, without bias.
pub fn linear_no_bias(s: Scope, d_in: i64, d_out: i64) -> Result<Linear> {
    let id = s.register("Linear");
    Ok(Linear { id, map: Affine::of(s.tensor("weight", &[d_out, d_in])?, None, [d_out, d_in]) })
}

/// `x Wᵀ + b`, which is no module.
#[derive(Debug)]
pub struct Affine {
    /// Until it is packed, so that memory holds large weights once.
    weight: Mutex<Option<Parameter>>,
    packed: OnceLock<Parameter>,
    bias: Option<Parameter>,
    shape: [i64; 2],
}

impl Affine {
    /// The map from `d_in` to `d_out` features whose weight and bias have these names at `s`.
    pub fn new(s: &Scope, [weight, bias]: [&str; 2], d_in: i64, d_out: i64) -> Result<Affine> {
        let weight = s.tensor(weight, &[d_out, d_in])?;
        Ok(Self::of(weight, Some(s.tensor(bias, &[d_out])?), [d_out, d_in]))
    }

    /// The map `x A` without bias, `A` `[D_in, D_out]` being the parameter `name` at `s`.
    pub fn transposed(s: &Scope, name: &str, d_in: i64, d_out: i64) -> Result<Affine> {
        let weight = Parameter::new(s.tensor(name, &[d_in, d_out])?.f_tr()?);
        Ok(Self::of(weight, None, [d_out, d_in]))
    }

    /// The map by `weight` `[D_out, D_in]`, the sizes of which are `shape`.
    pub fn of(weight: Parameter, bias: Option<Parameter>, shape: [i64; 2]) -> Affine {
        Affine { weight: Mutex::new(Some(weight)), packed: OnceLock::new(), bias, shape }
    }

    /// The map of `x` `[N, …, D_in]`.
    pub fn apply(&self, pass: &Pass, x: &Tensor) -> Flow<Tensor> {
        if pass.is_tracing() {
            return fuse::blank_map(x, self.shape);
        }
        if pass.is_fused() {
            return self.fused(x, Epilogue::None);
        }
        let weight = self.weight.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = weight.as_ref().map(|weight| weight.shallow_clone()).expect("plain passes do not pack weights");
        Ok(x.f_linear(&weight, self.bias.as_deref())?)
    }

    /// The map with an activation, by weights laid out for it.
    pub(super) fn fused(&self, x: &Tensor, epilogue: Epilogue) -> Flow<Tensor> {
        let packed = match self.packed.get() {
            Some(packed) => packed,
            None => self.pack(x)?,
        };
        kernels::linear(x, packed, self.bias.as_deref(), epilogue)
    }

    fn pack(&self, x: &Tensor) -> Flow<&Parameter> {
        let mut weight = self.weight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plain) = &*weight {
            let size = x.size();
            let rows: i64 = size[1..size.len() - 1].iter().product();
            let packed = kernels::pack_linear(plain, rows * fuse::PACKED_FOR)?;
            *weight = None;
            return Ok(self.packed.get_or_init(|| packed));
        }
        Ok(self.packed.get().expect("set before the plain weight went"))
    }
}
