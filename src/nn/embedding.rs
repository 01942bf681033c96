//! `torch.nn.Embedding`.

use super::{Flow, Module, ModuleId, Parameter, Pass, Scope, fuse};
use anyhow::Result;
use tch::Tensor;

/// A row `[D]` of a table for each number: `[N, L]` to `[N, L, D]`.
#[derive(Debug)]
pub struct Embedding {
    id: ModuleId,
    weight: Parameter,
    shape: [i64; 2],
}

/// A table of `rows` of `d` features.
pub fn embedding(s: Scope, rows: i64, d: i64) -> Result<Embedding> {
    Ok(Embedding { id: s.register("Embedding"), weight: s.tensor("weight", &[rows, d])?, shape: [rows, d] })
}

impl Module for Embedding {
    fn id(&self) -> ModuleId {
        self.id
    }

    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        if pass.is_tracing() {
            let (n, l) = x.size2()?;
            return fuse::blank(&self.weight, &[n, l, self.shape[1]]);
        }
        Ok(Tensor::f_embedding(&self.weight, x, -1, false, false)?)
    }
}
