//! Activations of deep vision networks for a folder of images, their representational dissimilarity matrices (RDMs),
//! and the correlation of these with RDMs from behaviour or fMRI.
//!
//! ```text
//! images ─► preprocess ─► model (taps) ─► readout ─► .npy
//!                                                     │
//!               behaviour / fMRI RDM ─► rsa ◄─ rdm ◄──┘
//!                        encode ◄────────┤
//!                                        │
//!                                       plot, study
//! ```
//!
//! A module uses only what stands before it in this flow: `nn` and `models` know no files, `extract` no flags, `rdm` and
//! `rsa` no network. The program around the library is `src/main.rs`, `cli.rs` and `commands`.

mod align;
pub mod arrays;
pub mod atomic_file;
mod confine;
pub mod device;
pub mod encode;
pub mod error;
pub mod extract;
mod gemm;
mod hash;
pub mod images;
pub mod libtorch;
pub mod memory;
pub mod models;
pub mod names;
pub mod nn;
pub mod npy;
pub mod numbers;
pub mod observer;
pub mod output;
pub mod parallel;
mod plain_file;
pub mod plot;
pub mod ranks;
pub mod rdm;
pub mod readout;
pub mod reduce;
pub mod registry;
pub mod rsa;
pub mod run;
pub mod study;
pub mod text;
pub mod texts;
mod torchscript;
mod values;
pub mod weights;
