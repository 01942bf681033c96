//! `torch.nn.Sequential`.

use super::{Flow, Module, ModuleId, Pass, Scope, run};
use anyhow::Result;
use std::fmt::Display;
use tch::Tensor;

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
