//! Files of rows: written in any order by any thread, and read where they lie.

use super::{Contents, Dtype, Format, Layout, Way, find, no_such};
use crate::atomic_file::partial;
use crate::error::advise;
use crate::plain_file;
use anyhow::{Context, Result};
use half::f16;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Fails if the file of a run that was stopped has another size than it was given.
fn check_size(path: &Path, size: u64, wanted: u64) -> Result<()> {
    if size >= wanted {
        return Ok(());
    }
    Err(advise(
        format!("it has {size} bytes, and had {wanted}: it was cut, and nobody knows which rows are left"),
        format!("remove `{}`, and begin again", path.parent().unwrap_or(path).display()),
    ))
}

/// The rows of an array of a file that is whole, read where they lie, a part at a time.
#[derive(Debug)]
pub(crate) struct StoredRows {
    file: File,
    path: PathBuf,
    start: u64,
    pub(crate) rows: usize,
    /// The numbers of a row.
    pub(crate) units: usize,
    dtype: Dtype,
}

impl StoredRows {
    /// Opens the file at `path`; fails if it has no array `layer`, `[rows, shape…]`.
    pub(crate) fn open(path: &Path, layer: &str, rows: usize, shape: &[usize], dtype: Dtype) -> Result<StoredRows> {
        let whole: Vec<usize> = [rows].iter().chain(shape).copied().collect();
        let Way::InPlace(form) = Format::of(path)?.way() else { return Err(no_such(path, layer, rows, shape)) };
        let found = find(form, path, layer, &whole)?.filter(|found| found.shape == whole && found.dtype == dtype);
        let size = super::bytes_of(&whole, dtype);
        let Some((found, size)) = found.zip(size) else {
            return Err(advise(
                format!("`{}` is no array of {rows} rows of the shape {shape:?} in {dtype:?}", path.display()),
                "the record of the run or the file was changed; make the run again, or ask who made it",
            ));
        };
        let file = plain_file::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        check_size(path, file.metadata()?.len(), found.start.saturating_add(size))?;
        Ok(StoredRows { file, path: path.to_owned(), start: found.start, rows, units: shape.iter().product(), dtype })
    }

    /// Fills `bytes` with the numbers from row `row` on as they lie there.
    pub(crate) fn read(&self, row: usize, bytes: &mut [u8]) -> Result<()> {
        let place = self.start + (row * self.units * self.dtype.bytes()) as u64;
        self.file.read_exact_at(bytes, place).with_context(|| format!("cannot read `{}`", self.path.display()))
    }

    /// Copies all rows to `to`, from row `first` of it on.
    pub(crate) fn copy_to(&self, to: &RowFile, first: usize) -> Result<()> {
        /// Bytes that are copied at a time, about.
        const PIECE: usize = 8 << 20;
        let most = (PIECE / to.row_bytes.max(1)).max(1);
        let mut room = Vec::new();
        for row in (0..self.rows).step_by(most) {
            room.resize(to.row_bytes * most.min(self.rows - row), 0);
            self.read(row, &mut room)?;
            to.write(first + row, &room)?;
        }
        Ok(())
    }

    /// Adds the `units` of `row` to the end of `to`; `room` is used again and again.
    pub(crate) fn append(&self, row: usize, units: Range<usize>, room: &mut Vec<u8>, to: &mut Vec<f32>) -> Result<()> {
        room.resize(units.len() * self.dtype.bytes(), 0);
        let place = self.start + ((row * self.units + units.start) * self.dtype.bytes()) as u64;
        self.file.read_exact_at(room, place).with_context(|| format!("cannot read `{}`", self.path.display()))?;
        match self.dtype {
            Dtype::F32 => to.extend(room.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            Dtype::F16 => to.extend(room.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32())),
        }
        Ok(())
    }
}

/// An array of a file, whose rows are written in any order, by any thread.
///
/// The file is called `<path>.partial` until [`RowFile::finish`]: what has its final name is whole.
#[derive(Debug)]
pub(crate) struct RowFile {
    file: File,
    path: PathBuf,
    /// Without its header, which names all rows.
    layout: Layout,
    /// Where the rows begin.
    start: u64,
    row_bytes: usize,
}

impl RowFile {
    /// Makes the file with room for all rows, `<path>.partial`.
    pub(crate) fn create(path: &Path, layout: &Layout) -> Result<()> {
        let create = || -> Result<()> {
            let file = plain_file::create(&partial(path))?;
            file.set_len(layout.end)?;
            Ok(file.write_all_at(&layout.header, 0)?)
        };
        create().with_context(|| format!("cannot write `{}`", partial(path).display()))
    }

    /// Opens array number `array` of the file that [`RowFile::create`] has made, which is left as it is.
    pub(crate) fn open(path: &Path, layout: &Layout, contents: &Contents, array: usize) -> Result<Self> {
        let partial = partial(path);
        let open = || -> Result<File> {
            // It had its name already when the process was stopped.
            if !partial.exists() {
                std::fs::rename(path, &partial)?;
            }
            let file = plain_file::open_own(&partial, File::options().read(true).write(true))?;
            check_size(&partial, file.metadata()?.len(), layout.end)?;
            if !layout.begins(&file)? {
                return Err(advise(
                    "its beginning is not as it was written",
                    format!("remove `{}`, and begin again", partial.parent().unwrap_or(&partial).display()),
                ));
            }
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot write `{}`", partial.display()))?;
        let row_bytes = contents.arrays[array].1.iter().product::<usize>() * contents.dtype.bytes();
        let start = layout.starts[array];
        let layout = Layout { end: layout.end, trailer: layout.trailer.clone(), crcs: layout.crcs.clone(), ..Layout::default() };
        Ok(Self { file, path: path.to_owned(), start, layout, row_bytes })
    }

    /// A file of NumPy's form with one array `[rows, shape…]`, anew.
    pub(crate) fn of_one(path: &Path, rows: usize, shape: &[usize], dtype: Dtype) -> Result<Self> {
        let contents = Contents { images: &[], rows, arrays: vec![("", shape)], dtype, in_group: false };
        let layout = Layout::of(Format::Npy, &contents)?;
        RowFile::create(path, &layout)?;
        RowFile::open(path, &layout, &contents, 0)
    }

    /// Brings to the disk what was written.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync_data().with_context(|| format!("cannot write `{}`", partial(&self.path).display()))
    }

    /// Writes whole rows, in the file's element type, from row `first` on.
    pub(crate) fn write(&self, first: usize, rows: &[u8]) -> Result<()> {
        self.put(rows, self.start + (first * self.row_bytes) as u64)
    }

    /// Writes a part of row `row`, from the byte `offset` of it on.
    pub(crate) fn write_part(&self, row: usize, offset: usize, part: &[u8]) -> Result<()> {
        self.put(part, self.start + (row * self.row_bytes + offset) as u64)
    }

    /// Turns the signs of the values of some rows of a float32 file, which are all written: of each row in order, whether it is turned.
    pub(crate) fn negate(&self, rows: impl Iterator<Item = bool>) -> Result<()> {
        let mut values = vec![0; self.row_bytes];
        for (row, _) in rows.enumerate().filter(|(_, is_turned)| *is_turned) {
            let place = self.start + (row * self.row_bytes) as u64;
            self.file
                .read_exact_at(&mut values, place)
                .with_context(|| format!("cannot read `{}`", partial(&self.path).display()))?;
            // The sign is the highest bit.
            values.iter_mut().skip(3).step_by(4).for_each(|byte| *byte ^= 0x80);
            self.put(&values, place)?;
        }
        Ok(())
    }

    fn put(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(bytes, offset).with_context(|| format!("cannot write `{}`", partial(&self.path).display()))
    }

    /// Gives the file its name, after all rows of all its arrays were written.
    pub(crate) fn finish(self) -> Result<()> {
        let partial = partial(&self.path);
        // Done by another array of the same file.
        if !partial.exists() && self.path.is_file() {
            return Ok(());
        }
        // Whatever stood behind it.
        self.file.set_len(self.layout.end).with_context(|| format!("cannot write `{}`", partial.display()))?;
        self.put(&self.layout.trailer, self.layout.end)?;
        if !self.layout.crcs.is_empty() {
            let crc = self.crc()?.to_le_bytes();
            self.layout.crcs.iter().try_for_each(|place| self.put(&crc, *place))?;
        }
        self.sync()?;
        std::fs::rename(&partial, &self.path).with_context(|| format!("cannot write `{}`", self.path.display()))
    }
    /// The CRC-32 of all rows.
    fn crc(&self) -> Result<u32> {
        const PART: u64 = 1 << 20;
        let (mut crc, mut at, mut room) = (crc32fast::Hasher::new(), self.start, Vec::new());
        while at < self.layout.end {
            room.resize(PART.min(self.layout.end - at) as usize, 0);
            self.file.read_exact_at(&mut room, at).with_context(|| format!("cannot read `{}`", partial(&self.path).display()))?;
            crc.update(&room);
            at += room.len() as u64;
        }
        Ok(crc.finalize())
    }
}
