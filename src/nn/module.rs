//! The trait of everything that has a name in the network.

use super::{ModuleId, Part, Pass};
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
