//! What was predicted of all targets, on disk, so that memory holds a block of them: target by target, of each the rows of one fold
//! after the other.

use super::folds::Split;
use crate::atomic_file::{free_space, partial};
use crate::error::advise;
use crate::numbers::bytes;
use anyhow::{Context, Result};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Removed when it is dropped.
pub(super) struct Predictions {
    file: File,
    path: PathBuf,
    /// The rows that are predicted, fold after fold.
    pub(super) rows: Vec<usize>,
    /// Where each fold lies among them.
    pub(super) folds: Vec<Range<usize>>,
}

impl Predictions {
    /// Room for those of so many targets, beside `path`; fails if there is none.
    pub(super) fn new(path: &Path, splits: &[Split], targets: usize) -> Result<Predictions> {
        let path = partial(path);
        let needed = splits.iter().map(|split| split.predicted.len() as u64).sum::<u64>() * targets as u64 * 8;
        let free = free_space(&path)?;
        if free < needed {
            return Err(advise(
                format!("predictions need {} in `{}`, and {} are free", bytes(needed), path.display(), bytes(free)),
                "make room on the disk, or name another folder: --out",
            ));
        }
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot write `{}`", path.display()))?;
        // Of this process alone, as long as it is open.
        if file.try_lock().is_err() {
            return Err(advise(
                format!("another process is fitting what belongs into `{}`", path.display()),
                "wait until it is done, or name another folder: --out",
            ));
        }
        file.set_len(0)?;
        let mut folds = Vec::new();
        let mut start = 0;
        for split in splits {
            folds.push(start..start + split.predicted.len());
            start += split.predicted.len();
        }
        Ok(Predictions { file, path, rows: splits.iter().flat_map(|split| split.predicted.clone()).collect(), folds })
    }

    /// Those of a fold, `[places, rows of the fold]`, of the targets at these places.
    pub(super) fn write(&self, fold: usize, places: &[usize], predicted: &[f64]) -> Result<()> {
        let rows = self.folds[fold].clone();
        for (place, predicted) in places.iter().zip(predicted.chunks_exact(rows.len())) {
            let offset = (place * self.rows.len() + rows.start) * size_of::<f64>();
            let written = self.file.write_all_at(bytemuck::cast_slice(predicted), offset as u64);
            written.with_context(|| format!("cannot write `{}`", self.path.display()))?;
        }
        Ok(())
    }

    /// Those of the targets at `places`, `[places, rows]`.
    pub(super) fn read(&self, places: Range<usize>) -> Result<Vec<f64>> {
        let mut predicted = vec![0.0; places.len() * self.rows.len()];
        let offset = places.start * self.rows.len() * size_of::<f64>();
        let read = self.file.read_exact_at(bytemuck::cast_slice_mut(&mut predicted), offset as u64);
        read.with_context(|| format!("cannot read `{}`", self.path.display()))?;
        Ok(predicted)
    }
}

impl Drop for Predictions {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}
