//! Where a module is being built: its name so far, and the weights and the manifest of the network around it.

use super::{Manifest, ModuleEntry, ModuleId, Parameter, StateDict, TensorEntry};
use anyhow::{Context, Result, bail, ensure};
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Div;
use tch::{Device, Kind, TchError, Tensor};

/// A place in the network under construction. `&s / "conv1"` is the place of its child `conv1`.
///
/// A constructor takes its scope, registers itself first and its children in the order of the Python source:
/// the fields of a struct literal are evaluated in the order written.
pub struct Scope<'a> {
    name: String,
    build: &'a Build,
}

/// More than any network has: a registry may ask for anything.
const MOST_TENSORS: usize = 10_000;
const MOST_VALUES: i64 = 1 << 30;

struct Build {
    weights: RefCell<Option<StateDict>>,
    manifest: RefCell<Manifest>,
    /// Of weights.
    kind: Kind,
    device: Device,
}

impl Scope<'_> {
    /// Builds with the tensors of `weights`, made floats of this kind on this device. Without weights the
    /// tensors have shapes but no memory.
    pub fn build<T>(
        weights: Option<StateDict>,
        (kind, device): (Kind, Device),
        constructor: impl FnOnce(Scope) -> Result<T>,
    ) -> Result<(T, Manifest)> {
        let build = Build { weights: RefCell::new(weights), manifest: RefCell::default(), kind, device };
        let network = constructor(Scope { name: String::new(), build: &build })?;
        Ok((network, build.manifest.into_inner()))
    }

    /// Enters this scope as a module of the Python class `class`. The first thing that a constructor does.
    pub fn register(&self, class: &'static str) -> ModuleId {
        let modules = &mut self.build.manifest.borrow_mut().modules;
        modules.push(ModuleEntry { name: self.name.clone(), class: class.to_owned() });
        ModuleId(modules.len() - 1)
    }

    /// The float tensor `name` of this module.
    pub(crate) fn tensor(&self, name: &str, shape: &[i64]) -> Result<Parameter> {
        let key = self.enter(name, shape, Kind::Float)?;
        let tensor = match &mut *self.build.weights.borrow_mut() {
            Some(weights) => {
                let tensor = weights.remove(&key).with_context(|| format!("the weights have no `{key}`"))?;
                ensure!(tensor.size() == shape, "`{key}` has the shape {:?} instead of {shape:?}", tensor.size());
                tensor.f_to_kind(self.build.kind)?.f_to_device(self.build.device)?
            }
            None => Tensor::f_zeros([] as [i64; 0], (self.build.kind, self.build.device))?.f_expand(shape, false)?,
        };
        Ok(Parameter::new(tensor))
    }

    /// A tensor that evaluation does not use but a state dict has: a counter of training steps.
    pub fn counter(&self, name: &str) -> Result<()> {
        self.enter(name, &[], Kind::Int64).map(drop)
    }

    /// A float tensor that only training uses but a state dict has.
    pub fn unused(&self, name: &str, shape: &[i64]) -> Result<()> {
        self.enter(name, shape, Kind::Float).map(drop)
    }

    /// A tensor of integers that a state dict has, but evaluation makes anew: positions in a table, which must be those of `make`.
    pub fn integers(&self, name: &str, shape: &[i64], make: impl FnOnce() -> Result<Tensor, TchError>) -> Result<()> {
        let key = self.enter(name, shape, Kind::Int64)?;
        match self.build.weights.borrow_mut().as_mut().and_then(|weights| weights.remove(&key)) {
            Some(found) if !found.f_to_kind(Kind::Int64)?.f_equal(&make()?)? => {
                bail!("`{key}` has other numbers than the network's own, which follow from its sizes")
            }
            _ => Ok(()),
        }
    }

    fn enter(&self, name: &str, shape: &[i64], kind: Kind) -> Result<String> {
        let key = self.child(name);
        let values = shape.iter().try_fold(1i64, |values, &size| values.checked_mul(size));
        ensure!(values.is_some_and(|values| values <= MOST_VALUES), "`{key}` would have the shape {shape:?}");
        let tensors = &mut self.build.manifest.borrow_mut().tensors;
        ensure!(tensors.len() < MOST_TENSORS, "the network would have more than {MOST_TENSORS} tensors");
        tensors.push(TensorEntry { key: key.clone(), shape: shape.to_vec(), kind });
        Ok(key)
    }

    fn child(&self, name: impl Display) -> String {
        if self.name.is_empty() { name.to_string() } else { format!("{}.{name}", self.name) }
    }
}

impl<'a, D: Display> Div<D> for &Scope<'a> {
    type Output = Scope<'a>;

    fn div(self, name: D) -> Scope<'a> {
        Scope { name: self.child(name), build: self.build }
    }
}
