//! A network with weights on a device, built here or exported by PyTorch: the one thing that extraction sees of it.

use super::{Architecture, Exported};
use crate::nn::{self, Halt, Keep, Manifest, Module, ModuleId, Pass, Plan, Scope, StateDict, Trace, Way};
use anyhow::{Result, bail};
use std::path::Path;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A network ready to run. Clones share its weights.
#[derive(Clone)]
pub struct Model {
    network: Arc<dyn Network>,
    way: Way,
    /// Where its weights are and its images go.
    pub device: Device,
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
        Ok(Self::of(BuiltIn::new(architecture, Some(weights), (kind, device))?, device, kind))
    }

    /// The network with zeros for weights, which take no memory: for its trace.
    pub fn without_weights(architecture: &Architecture) -> Result<Model> {
        let (device, kind) = (Device::Cpu, Kind::Float);
        Ok(Self::of(BuiltIn::new(architecture, None, (kind, device))?, device, kind))
    }

    /// The network that PyTorch exported to the file at `path`.
    pub fn exported(path: &Path, device: Device, kind: Kind) -> Result<Model> {
        Ok(Self::of(Exported::open(path, (kind, device))?, device, kind))
    }

    fn of(network: impl Network + 'static, device: Device, kind: Kind) -> Model {
        let way = if network.can_fuse() { Way::Winograd } else { Way::Exact };
        Model { way, network: Arc::new(network), device, kind }
    }

    /// The same network, each module computed by itself and in PyTorch's order of operations.
    pub fn exact(self) -> Model {
        Model { way: Way::Exact, ..self }
    }

    /// The same network, its convolutions computed in the order of their definition.
    pub fn direct(self) -> Model {
        Model { way: if self.is_fused() { Way::Direct } else { Way::Exact }, ..self }
    }

    /// Fails if the file of an exported network was changed since it was opened, so that a hash of it would be that of another.
    pub fn check_file(&self) -> Result<()> {
        self.network.check_file()
    }

    /// Its modules and tensors.
    pub fn manifest(&self) -> &Manifest {
        self.network.manifest()
    }

    /// Whether an image's outputs do not depend on the size of its batch, from 2 on.
    pub fn rows_stand_alone(&self) -> bool {
        self.network.rows_stand_alone()
    }

    /// Whether modules may be computed together.
    pub fn is_fused(&self) -> bool {
        self.way != Way::Exact
    }

    /// Follows one image of this height and width through the whole network and records every call; of a network for texts, one text.
    pub fn trace(&self, size: [usize; 2]) -> Result<Trace> {
        self.network.trace(size)
    }

    /// Puts `images` or tokens, which are on the CPU, where the network is, as it needs them. To a GPU they are copied from memory
    /// that stays in place, so that the call does not wait for it.
    pub fn take(&self, images: &Tensor) -> Result<Tensor> {
        let kind = if images.kind() == Kind::Int64 { Kind::Int64 } else { self.kind };
        match self.device {
            Device::Cuda(_) => Ok(images.f_pin_memory(self.device)?.f_to_device_(self.device, kind, true, false)?),
            device => Ok(images.f_to_kind(kind)?.f_to_device(device)?),
        }
    }

    /// Runs `images` `[N, 3, H, W]`, or tokens `[N, L]`, until the last planned call and hands the planned outputs to `keep`.
    pub fn run(&self, plan: &Plan, images: &Tensor, keep: &mut Keep) -> Result<()> {
        self.network.run(plan, images, self.way, keep)
    }
}

/// What differs between a network that is built here and one that PyTorch exported.
pub(super) trait Network: Send + Sync {
    /// Its modules and tensors.
    fn manifest(&self) -> &Manifest;

    /// The calls of a pass of images of this height and width, each with the shape for one image.
    fn trace(&self, size: [usize; 2]) -> Result<Trace>;

    /// Runs `images` `[N, 3, H, W]` until the last planned call and hands the planned outputs to `keep`, batch first;
    /// computed so, if it is built here.
    fn run(&self, plan: &Plan, images: &Tensor, way: Way, keep: &mut Keep) -> Result<()>;

    /// Whether modules can be computed together.
    fn can_fuse(&self) -> bool;

    /// Whether an image's outputs do not depend on the size of its batch where modules are computed together.
    fn rows_stand_alone(&self) -> bool {
        false
    }

    /// Fails if the file that it was read from is not the same any more.
    fn check_file(&self) -> Result<()> {
        Ok(())
    }
}

/// A network whose family is written here.
struct BuiltIn {
    root: Box<dyn Module>,
    manifest: Manifest,
    device: Device,
    can_fuse: bool,
    rows_stand_alone: bool,
    /// The number of tokens of a text, if it is shown texts.
    context: Option<i64>,
}

impl BuiltIn {
    /// With the tensors of `weights`, or with shapes alone.
    fn new(architecture: &Architecture, weights: Option<StateDict>, (kind, device): (Kind, Device)) -> Result<BuiltIn> {
        let can_fuse = weights.is_some() && device == Device::Cpu && kind == Kind::Float && nn::can_fuse();
        let (root, manifest) = Scope::build(weights, (kind, device), |s| architecture.family()?.construct(s))?;
        let (rows_stand_alone, context) = (architecture.rows_stand_alone(), architecture.context());
        Ok(BuiltIn { root, manifest, device, can_fuse, rows_stand_alone, context })
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
        let blank = match self.context {
            Some(tokens) => Tensor::f_zeros([1, tokens], (Kind::Int64, self.device))?,
            None => Tensor::f_zeros([1, 3, height as i64, width as i64], (Kind::Float, self.device))?,
        };
        self.pass(&mut pass, &blank)?;
        Ok(pass.into_trace())
    }

    fn run(&self, plan: &Plan, images: &Tensor, way: Way, keep: &mut Keep) -> Result<()> {
        self.pass(&mut Pass::keeping(plan, keep).computing(way), images)
    }

    fn can_fuse(&self) -> bool {
        self.can_fuse
    }

    fn rows_stand_alone(&self) -> bool {
        self.rows_stand_alone
    }
}
