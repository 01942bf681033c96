//! A small `torch.nn`: modules with PyTorch's names, whose every call can be tapped.
//!
//! tch gives tensors but no forward hooks, and its closures lose the module names. Here a network is built in a
//! `Scope`, which notes each module and tensor in a [`Manifest`], and runs in a `Pass`, which is shown the output
//! of every call. A [`Trace`] of one dry run gives the sequence of calls; a [`Plan`] says which calls to keep.
//!
//! Rules: activations are batch first; no tensor is modified in place (a kept output must stay what it was), so
//! tensors are bound by plain `let`, and clippy's `disallowed-methods` names the in-place operations. Only `fuse`, by which
//! `run` computes several modules at once, writes into tensors that nobody else holds.

mod activation;
mod attention;
mod conv;
mod embedding;
mod function;
mod fuse;
mod init;
mod kernels;
mod linear;
mod manifest;
mod module;
mod norm;
mod normal;
mod parameter;
mod pass;
mod scope;
mod winograd;

pub(crate) use activation::Activation;
pub(crate) use attention::{
    MultiheadAttention, attend, attend_heads, attend_shown, causal_attention, multihead_attention, one_of_each, split_heads,
};
pub(crate) use conv::{Conv, Conv2d, NO_BIAS, Strided, conv2d, conv2d_same};
pub(crate) use embedding::{Embedding, embedding};
pub(crate) use function::{
    Function, Permute, activation, adaptive_avg_pool2d, avg_pool2d, avg_pool2d_padded, dropout, flatten, flatten_module, gelu,
    identity, max_pool2d, max_pool2d_ceil, relu, stochastic_depth, tanh, to_channels_first, to_channels_last,
};
use fuse::Folded;
pub(crate) use fuse::{Part, add, add_relu, run, run_then};
pub(crate) use init::Init;
use kernels::Epilogue;
pub(crate) use kernels::{allow_tf32, available as can_fuse};
pub use kernels::{flush_denormals, rows_stand_alone};
pub(crate) use linear::{Affine, Linear, linear, linear_no_bias};
pub use manifest::{Manifest, ModuleEntry, ModuleId, StateDict, TensorEntry};
pub(crate) use module::{Flow, Forward, Halt, Module, Named, Sequential};
pub(crate) use norm::{
    BatchNorm2d, EPS, GroupNorm, LayerNorm, batch_norm2d, batch_norm2d_eps, group_norm, layer_norm, layer_norm2d, layer_scale,
};
pub(crate) use parameter::Parameter;
pub(crate) use pass::Pass;
pub use pass::{Call, Channels, Interpolation, Keep, Plan, Trace, Way};
pub(crate) use scope::Scope;
