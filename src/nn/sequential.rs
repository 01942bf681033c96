//! `torch.nn.Sequential`.

use super::{Flow, Module, ModuleId, Pass, Scope, run};
use anyhow::Result;
use tch::Tensor;

/// Modules called one after the other, named by their position from 0.
pub struct Sequential {
    id: ModuleId,
    children: Vec<Box<dyn Module>>,
}

impl Sequential {
    /// An empty one at `s`.
    pub fn new(s: &Scope) -> Self {
        Self { id: s.register("Sequential"), children: Vec::new() }
    }

    /// Appends what `child` builds at the next position; `s` is the scope of this `Sequential`.
    pub fn push<M: Module + 'static>(&mut self, s: &Scope, child: impl FnOnce(Scope) -> Result<M>) -> Result<()> {
        let child = child(s / self.children.len())?;
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
