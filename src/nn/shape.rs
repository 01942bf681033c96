//! Functions of `torch` that change only a tensor's shape; they are no modules and have no name.

use super::Flow;
use tch::Tensor;

/// `torch.flatten(x, 1)`: `[N, …]` to `[N, D]`.
pub fn flatten(x: &Tensor) -> Flow<Tensor> {
    Ok(x.f_flatten(1, -1)?)
}
