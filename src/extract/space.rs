//! Whether the disk has room for what a plan writes.

use super::plan::{Plan, PlannedRun};
use crate::atomic_file::{free_space, partial};
use crate::error::advise;
use crate::numbers::bytes;
use anyhow::Result;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// In bytes.
pub(super) struct Space {
    pub(super) needed: u64,
    pub(super) free: u64,
}

impl Space {
    /// Fails if the disk has no room for all runs.
    pub(super) fn check(plan: &Plan, runs: &[PlannedRun]) -> Result<Space> {
        let out = &plan.request.out;
        let free = free_space(out)?;
        // What an unfinished run takes already is not needed again.
        let of_run = |run: &PlannedRun| plan.size(run).saturating_sub(occupied(&partial(&run.folder)));
        let needed = runs.iter().map(of_run).sum();
        if needed > free {
            return Err(advise(
                format!("{} are to be written, and the disk of `{}` has {} free", bytes(needed), out.display(), bytes(free)),
                "take fewer layers, --readout mean, --dtype f16, --rdm none, or another disk with --out",
            ));
        }
        Ok(Space { needed, free })
    }
}

/// What the files in a folder take of the disk.
fn occupied(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}
