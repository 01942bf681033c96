//! A network with weights on a device: the one thing that extraction sees of it.

use super::Architecture;
use crate::nn::{Halt, Keep, Manifest, Module, ModuleId, Pass, Plan, Scope, StateDict, Trace};
use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

/// A network ready to run.
pub struct Model {
    /// Its modules and tensors.
    pub manifest: Manifest,
    /// Where its weights are and its images go.
    pub device: Device,
    root: Box<dyn Module>,
}

impl Model {
    /// The network of `architecture` with the tensors of `weights`; fails if one is missing or of another shape.
    pub fn new(architecture: &Architecture, weights: StateDict, device: Device) -> Result<Model> {
        let (root, manifest) = Scope::build(Some(weights), device, |s| architecture.construct(s))?;
        Ok(Model { manifest, device, root })
    }

    /// The network with zeros for weights, which take no memory: for its trace.
    pub fn without_weights(architecture: &Architecture) -> Result<Model> {
        let (root, manifest) = Scope::build(None, Device::Cpu, |s| architecture.construct(s))?;
        Ok(Model { manifest, device: Device::Cpu, root })
    }

    /// Runs one blank image of this height and width through the whole network and records every call.
    pub fn trace(&self, [height, width]: [usize; 2]) -> Result<Trace> {
        let mut pass = Pass::tracing();
        let size = [1, 3, height as i64, width as i64];
        self.pass(&mut pass, &Tensor::f_zeros(size, (Kind::Float, self.device))?)?;
        Ok(pass.into_trace())
    }

    /// Runs `images` `[N, 3, H, W]` until the last planned call and hands the planned outputs to `keep`.
    pub fn run(&self, plan: &Plan, images: &Tensor, keep: &mut Keep) -> Result<()> {
        self.pass(&mut Pass::keeping(plan, keep), images)
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
