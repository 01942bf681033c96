//! The trait of everything that has a name in the network, and `torch.nn.Sequential`.

use super::{ModuleId, Part, Pass, Scope, run};
use anyhow::Result;
use std::fmt::Display;
use tch::{TchError, Tensor};

/// A named part of a network. Implement [`compute`](Self::compute), call [`forward`](Self::forward).
pub trait Module: Send + Sync {
    /// This module's row in the [`Manifest`](super::Manifest).
    fn id(&self) -> ModuleId;

    /// The computation alone. Must not modify `x`: it may have been kept.
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor>;

    /// Computes, then shows the output to `pass`, which may end the pass here.
    fn forward(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let keeps_shape = matches!(self.part(), Part::BatchNorm(_) | Part::Activation(_));
        let y = if keeps_shape && pass.is_tracing() { x.shallow_clone() } else { self.compute(pass, x)? };
        pass.visit(self.id(), &y)?;
        Ok(y)
    }

    fn part(&self) -> Part<'_> {
        Part::Other
    }
}

impl Module for Box<dyn Module> {
    fn id(&self) -> ModuleId {
        (**self).id()
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        (**self).compute(pass, x)
    }

    fn part(&self) -> Part<'_> {
        (**self).part()
    }
}

/// What a module of the Python class that `Self` is called after computes of its input.
pub trait Forward: Send + Sync {
    /// Python's `forward`. Must not modify `x`: it may have been kept.
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor>;
}

/// Such a class with its row in the manifest.
pub struct Named<T> {
    id: ModuleId,
    class: T,
}

impl ModuleId {
    /// The module that was registered so, `class` built after it.
    pub(crate) fn of<T>(self, class: T) -> Named<T> {
        Named { id: self, class }
    }
}

impl<T: Forward> Module for Named<T> {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        self.class.compute(pass, x)
    }
}

/// A value, or the reason why the pass ends here.
pub type Flow<T> = Result<T, Halt>;

/// Why a pass ended before the network did.
#[derive(Debug)]
pub enum Halt {
    /// The last planned output was kept; nothing later is needed.
    Done,
    /// libtorch failed, or what was kept could not be taken.
    Failed(anyhow::Error),
}

impl From<TchError> for Halt {
    fn from(error: TchError) -> Self {
        Halt::Failed(error.into())
    }
}

/// Modules called one after the other, named by their position from 0 or by names of their own.
pub struct Sequential {
    id: ModuleId,
    children: Vec<Box<dyn Module>>,
}

impl Sequential {
    /// An empty one at `s`.
    pub fn new(s: &Scope) -> Self {
        Self::of_class(s, "Sequential")
    }

    /// An empty one of a class that only inherits from `torch.nn.Sequential`.
    pub fn of_class(s: &Scope, class: &'static str) -> Self {
        Self { id: s.register(class), children: Vec::new() }
    }

    /// Appends what `child` builds at the next position; `s` is the scope of this `Sequential`.
    pub fn push<M: Module + 'static>(&mut self, s: &Scope, child: impl FnOnce(Scope) -> Result<M>) -> Result<()> {
        self.push_named(s, self.children.len(), child)
    }

    /// Appends what `child` builds under a name of its own, as in Python's `Sequential(OrderedDict(…))`.
    pub fn push_named<M: Module + 'static>(
        &mut self,
        s: &Scope,
        name: impl Display,
        child: impl FnOnce(Scope) -> Result<M>,
    ) -> Result<()> {
        let child = child(s / name)?;
        self.children.push(Box::new(child));
        Ok(())
    }
}

impl Module for Sequential {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let children: Vec<&dyn Module> = self.children.iter().map(|child| &**child).collect();
        run(pass, x, &children)
    }
}
