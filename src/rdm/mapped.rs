//! A `.npy` file of float32 that is filled where it lies, so that a matrix larger than memory can be written.
#![allow(unsafe_code)] // a memory map, reasoned at the one place

use crate::atomic_file::partial;
use crate::plain_file;
use anyhow::{Context, Result};
use memmap2::MmapMut;
use ndarray::IxDyn;
use ndarray_npy::write_zeroed_npy;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A file that is called `<path>.partial` until [`MappedFile::finish`]; dropped before, it is removed.
pub(super) struct MappedFile {
    map: MmapMut,
    path: PathBuf,
    /// Where the values begin, in bytes.
    start: usize,
    finished: bool,
}

impl MappedFile {
    /// Creates the file with room for an array of this shape.
    pub(super) fn create(path: &Path, shape: &[usize]) -> Result<MappedFile> {
        let create = || -> Result<MappedFile> {
            let file = plain_file::create(&partial(path))?;
            write_zeroed_npy::<f32, _>(&file, IxDyn(shape))?;
            // A page for which the disk has no room would end the process when it is written to.
            match fs4::FileExt::allocate(&file, file.metadata()?.len()) {
                Err(error) if error.kind() != ErrorKind::Unsupported => return Err(error.into()),
                _ => {}
            }
            // SAFETY: nobody else writes to the file: it was made under a name of its own a moment ago. Were it
            // truncated by another process, this one would end by a signal, as any program that maps files.
            let map = unsafe { MmapMut::map_mut(&file)? };
            let start = map.len() - shape.iter().product::<usize>() * size_of::<f32>();
            Ok(MappedFile { map, path: path.to_owned(), start, finished: false })
        };
        create().with_context(|| format!("cannot write `{}`", path.display())).inspect_err(|_| {
            fs::remove_file(partial(path)).ok();
        })
    }

    /// The values, row by row, 0 at first.
    pub(super) fn values(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.map[self.start..])
    }

    pub(super) fn finish(mut self) -> Result<()> {
        let finish = || -> Result<()> {
            self.map.flush()?;
            Ok(fs::rename(partial(&self.path), &self.path)?)
        };
        finish().with_context(|| format!("cannot write `{}`", self.path.display()))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        if !self.finished {
            // Already on the way out with an error, which says more than one from here.
            fs::remove_file(partial(&self.path)).ok();
        }
    }
}
