//! Weights that worker threads share.
#![allow(unsafe_code)] // one `unsafe impl`, reasoned below

use std::ops::Deref;
use tch::Tensor;

/// A tensor of a network. It is never written after the network is built.
#[derive(Debug)]
pub(crate) struct Parameter(Tensor);

impl Parameter {
    /// Takes `tensor` as a weight; the caller keeps no handle through which it would be written.
    pub(crate) fn new(tensor: Tensor) -> Self {
        Self(tensor)
    }
}

// SAFETY: nothing outside of this crate can get at one. `tch::Tensor` is a counted pointer to an `at::Tensor` and not `Sync`
// because some of its methods write. A `Parameter` hands out shared references only, and by the rule of `nn` (no in-place operation, held by clippy's
// `disallowed-methods`) they are only read. libtorch's reference counts are atomic, and reading one tensor from
// several threads is what its own data-parallel inference does.
unsafe impl Sync for Parameter {}

impl Deref for Parameter {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.0
    }
}
