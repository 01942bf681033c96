//! A network with weights on a device: the one thing that extraction sees of it.

use super::Architecture;
use crate::nn::{Halt, Keep, Manifest, Module, ModuleId, Pass, Plan, Scope, StateDict, Trace, can_fuse};
use anyhow::{Result, bail};
use tch::{Device, Kind, Tensor};

/// Where networks without weights are built.
const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A network ready to run.
pub struct Model {
    /// Its modules and tensors.
    pub manifest: Manifest,
    /// Where its weights are and its images go.
    pub device: Device,
    root: Box<dyn Module>,
    fused: bool,
    /// Of weights and activations.
    kind: Kind,
}

impl Model {
    /// The network of `architecture` with the tensors of `weights`; fails if one is missing or of another shape.
    ///
    /// On the CPU, modules are computed together where nobody wants an output in between ([`fuse`](crate::nn)).
    pub fn new(architecture: &Architecture, weights: StateDict, device: Device) -> Result<Model> {
        Self::of_kind(architecture, weights, device, Kind::Float)
    }

    /// The same with weights and activations of another kind of floating-point numbers.
    pub fn of_kind(architecture: &Architecture, weights: StateDict, device: Device, kind: Kind) -> Result<Model> {
        let (root, manifest) = Scope::build(Some(weights), (kind, device), |s| architecture.construct(s))?;
        Ok(Model { manifest, device, root, fused: device == Device::Cpu && kind == Kind::Float && can_fuse(), kind })
    }

    /// The same network, each module computed by itself and in PyTorch's order of operations.
    pub fn exact(self) -> Model {
        Model { fused: false, ..self }
    }

    /// Whether modules may be computed together.
    pub fn is_fused(&self) -> bool {
        self.fused
    }

    /// The network with zeros for weights, which take no memory: for its trace.
    pub fn without_weights(architecture: &Architecture) -> Result<Model> {
        let (root, manifest) = Scope::build(None, CPU, |s| architecture.construct(s))?;
        Ok(Model { manifest, device: Device::Cpu, root, fused: false, kind: Kind::Float })
    }

    /// Follows the shape of one image of this height and width through the whole network and records every call.
    pub fn trace(&self, [height, width]: [usize; 2]) -> Result<Trace> {
        let mut pass = Pass::tracing();
        let size = [1, 3, height as i64, width as i64];
        self.pass(&mut pass, &Tensor::f_zeros(size, (Kind::Float, self.device))?)?;
        Ok(pass.into_trace())
    }

    /// Puts `images`, which are on the CPU, where the network is, as it needs them. To a GPU they are copied from memory
    /// that stays in place, so that the call does not wait for it.
    pub fn take(&self, images: &Tensor) -> Result<Tensor> {
        match self.device {
            Device::Cuda(_) => Ok(images.f_pin_memory(self.device)?.f_to_device_(self.device, self.kind, true, false)?),
            device => Ok(images.f_to_kind(self.kind)?.f_to_device(device)?),
        }
    }

    /// Runs `images` `[N, 3, H, W]` until the last planned call and hands the planned outputs to `keep`.
    pub fn run(&self, plan: &Plan, images: &Tensor, keep: &mut Keep) -> Result<()> {
        self.pass(&mut Pass::keeping(plan, keep).fusing(self.fused), images)
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
