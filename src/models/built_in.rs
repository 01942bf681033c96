//! Networks whose families are written here.

use super::Architecture;
use super::network::Network;
use crate::nn::{self, Halt, Keep, Manifest, Module, ModuleId, Pass, Plan, Scope, StateDict, Trace};
use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

/// A network built in `nn`.
pub(super) struct BuiltIn {
    root: Box<dyn Module>,
    manifest: Manifest,
    device: Device,
    can_fuse: bool,
}

impl BuiltIn {
    /// With the tensors of `weights`, or with shapes alone.
    pub fn new(architecture: &Architecture, weights: Option<StateDict>, (kind, device): (Kind, Device)) -> Result<BuiltIn> {
        let can_fuse = weights.is_some() && device == Device::Cpu && kind == Kind::Float && nn::can_fuse();
        let (root, manifest) = Scope::build(weights, (kind, device), |s| architecture.family()?.construct(s))?;
        Ok(BuiltIn { root, manifest, device, can_fuse })
    }

    fn pass(&self, pass: &mut Pass, images: &Tensor) -> Result<()> {
        let end = tch::no_grad(|| {
            pass.visit(ModuleId::INPUT, images)?;
            self.root.forward(pass, images)
        });
        match end {
            Ok(_) | Err(Halt::Done) => Ok(()),
            Err(Halt::Failed(error)) => bail!(error),
        }
    }
}

impl Network for BuiltIn {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Follows shapes only.
    fn trace(&self, [height, width]: [usize; 2]) -> Result<Trace> {
        let mut pass = Pass::tracing();
        let size = [1, 3, height as i64, width as i64];
        self.pass(&mut pass, &Tensor::f_zeros(size, (Kind::Float, self.device))?)?;
        Ok(pass.into_trace())
    }

    fn run(&self, plan: &Plan, images: &Tensor, fused: bool, keep: &mut Keep) -> Result<()> {
        self.pass(&mut Pass::keeping(plan, keep).fusing(fused), images)
    }

    fn can_fuse(&self) -> bool {
        self.can_fuse
    }
}
