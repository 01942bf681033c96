//! What a network is to extraction, whoever has built it.

use crate::nn::{Keep, Manifest, Plan, Trace};
use anyhow::Result;
use tch::Tensor;

/// What differs between a network that is built here and one that PyTorch exported.
pub(super) trait Network: Send + Sync {
    /// Its modules and tensors.
    fn manifest(&self) -> &Manifest;

    /// The calls of a pass of images of this height and width, each with the shape for one image.
    fn trace(&self, size: [usize; 2]) -> Result<Trace>;

    /// Runs `images` `[N, 3, H, W]` until the last planned call and hands the planned outputs to `keep`, batch first. If
    /// `fused`, modules may be computed together.
    fn run(&self, plan: &Plan, images: &Tensor, fused: bool, keep: &mut Keep) -> Result<()>;

    /// Whether modules can be computed together.
    fn can_fuse(&self) -> bool;

    /// Fails if the file that it was read from is not the same any more.
    fn check_file(&self) -> Result<()> {
        Ok(())
    }
}
