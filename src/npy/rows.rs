//! A file whose rows are written in any order.

use super::element::F16;
use crate::atomic_file::partial;
use anyhow::{Context, Result};
use ndarray::IxDyn;
use ndarray_npy::write_zeroed_npy;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The element type of files that the program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE half precision: half the disk, three significant digits, at most 65,504.
    F16,
    /// IEEE single precision, as computed.
    #[default]
    F32,
}

impl Dtype {
    /// The size of one value.
    pub fn bytes(self) -> usize {
        match self {
            Dtype::F16 => 2,
            Dtype::F32 => 4,
        }
    }
}

/// A file of `[rows, …]` whose rows are written in any order, by any thread.
///
/// It is called `<path>.partial` until [`RowFile::finish`]: what has its final name is whole.
#[derive(Debug)]
pub struct RowFile {
    file: File,
    path: PathBuf,
    start: u64,
    row_bytes: usize,
}

impl RowFile {
    /// Creates the file with a header for `[rows, shape…]` and room for all rows; one that is there already and has them is
    /// opened as it is if it is to be kept.
    pub fn open(path: &Path, rows: usize, shape: &[usize], dtype: Dtype, keep: bool) -> Result<Self> {
        let row_bytes = shape.iter().product::<usize>() * dtype.bytes();
        let all: Vec<_> = [rows].iter().chain(shape).copied().collect();
        let partial = partial(path);
        let open = || -> Result<File> {
            if keep {
                // It had its name already when the process was stopped.
                if !partial.exists() {
                    std::fs::rename(path, &partial)?;
                }
                return Ok(File::options().write(true).open(&partial)?);
            }
            let file = File::create(&partial)?;
            match dtype {
                Dtype::F16 => write_zeroed_npy::<F16, _>(&file, IxDyn(&all))?,
                Dtype::F32 => write_zeroed_npy::<f32, _>(&file, IxDyn(&all))?,
            }
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot write `{}`", partial.display()))?;
        let start = file.metadata()?.len() - (rows * row_bytes) as u64;
        Ok(Self { file, path: path.to_owned(), start, row_bytes })
    }

    /// Brings to the disk what was written.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().with_context(|| format!("cannot write `{}`", partial(&self.path).display()))
    }

    /// The size of a row in the file.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Writes whole rows, in the file's element type, from row `first` on.
    pub fn write(&self, first: usize, rows: &[u8]) -> Result<()> {
        let offset = self.start + (first * self.row_bytes) as u64;
        self.file.write_all_at(rows, offset).with_context(|| format!("cannot write `{}`", partial(&self.path).display()))
    }

    /// Gives the file its name, after all rows were written.
    pub fn finish(self) -> Result<()> {
        self.sync()?;
        std::fs::rename(partial(&self.path), &self.path).with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}
