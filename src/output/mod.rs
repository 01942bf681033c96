//! Files that take the rows of a layer as they come, in any order.
//!
//! A form of output says what stands before and after the rows, so that the place of each is known beforehand. A new one is a file here
//! and an entry of [`FORMS`].

mod npy;

use crate::atomic_file::partial;
use crate::error::advise;
use crate::plain_file;
use anyhow::{Context, Result};
use half::f16;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
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

/// The element type of files that the program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE half precision: half the disk, three significant digits, at most 65,504.
    #[value(alias = "float16")]
    #[serde(alias = "float16")]
    F16,
    /// IEEE single precision, as computed.
    #[default]
    #[value(alias = "float32")]
    #[serde(alias = "float32")]
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

/// A form of output.
pub trait Form: Sync {
    /// What the names of its files end in.
    fn ending(&self) -> &'static str;

    /// What stands before the rows of an array `[rows, …]`.
    fn header(&self, shape: &[usize], dtype: Dtype) -> Vec<u8>;

    /// How long that is in the file that begins with `bytes`.
    fn start(&self, bytes: &[u8]) -> Option<usize>;

    /// Whether what stands before them, perhaps written by another program, is of such an array.
    fn says(&self, header: &[u8], shape: &[usize], dtype: Dtype) -> bool;

    /// What stands after them.
    fn trailer(&self, _shape: &[usize], _dtype: Dtype) -> Vec<u8> {
        Vec::new()
    }
}

/// All of them; the first is what is written unless another is asked for.
pub const FORMS: &[&dyn Form] = &[&npy::Npy];

/// The BLAKE3 hash of the whole file at `path`, and how many of its values are infinite or NaN.
pub(crate) fn hash_and_nonfinite(path: &Path, dtype: Dtype) -> Result<(String, u64)> {
    const PART: usize = 1 << 20;
    let form = form(path)?;
    let read = || -> Result<(String, u64)> {
        let mut file = plain_file::open(path)?;
        let mut part = Vec::new();
        file.by_ref().take(16).read_to_end(&mut part)?;
        let start = form.start(&part).context("it is cut off")?;
        file.by_ref().take(start.saturating_sub(part.len()) as u64).read_to_end(&mut part)?;
        let mut hash = blake3::Hasher::new();
        let mut count = 0;
        hash.update(&part);
        loop {
            part.clear();
            if file.by_ref().take(PART as u64).read_to_end(&mut part)? == 0 {
                return Ok((hash.finalize().to_hex().to_string(), count));
            }
            hash.update(&part);
            count += match dtype {
                Dtype::F32 => part.as_chunks().0.iter().filter(|bytes| !f32::from_le_bytes(**bytes).is_finite()).count(),
                Dtype::F16 => part.as_chunks().0.iter().filter(|bytes| u16::from_le_bytes(**bytes) & 0x7c00 == 0x7c00).count(),
            } as u64;
        }
    };
    read().with_context(|| format!("cannot read `{}`", path.display()))
}

/// The form of the file at `path`, by its ending.
fn form(path: &Path) -> Result<&'static dyn Form> {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let found = FORMS.iter().find(|form| form.ending() == ending).copied();
    found.with_context(|| format!("`{}` has no ending of a form of output", path.display()))
}

/// Where the rows of the file at `path` begin, which is an array `[rows, shape…]`.
pub(crate) fn start_of_rows(path: &Path, rows: usize, shape: &[usize], dtype: Dtype) -> Result<u64> {
    Ok(form(path)?.header(&whole(rows, shape), dtype).len() as u64)
}

fn whole(rows: usize, shape: &[usize]) -> Vec<usize> {
    [rows].iter().chain(shape).copied().collect()
}

/// The rows of a file `[rows, …]` that is whole, read where they lie, a part at a time.
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
    /// Opens the file at `path`; fails if it is no array `[rows, shape…]`.
    pub(crate) fn open(path: &Path, rows: usize, shape: &[usize], dtype: Dtype) -> Result<StoredRows> {
        let (form, units) = (form(path)?, shape.iter().product());
        let file = plain_file::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let first = |length: usize| -> Option<Vec<u8>> {
            let mut first = vec![0; length];
            file.read_exact_at(&mut first, 0).ok().map(|()| first)
        };
        let header = first(16).and_then(|bytes| first(form.start(&bytes)?)).unwrap_or_default();
        let start = header.len() as u64;
        if !form.says(&header, &whole(rows, shape), dtype) {
            return Err(advise(
                format!("`{}` is no array of {rows} rows of the shape {shape:?} in {dtype:?}", path.display()),
                "the record of the run or the file was changed; make the run again, or ask who made it",
            ));
        }
        check_size(path, file.metadata()?.len(), start + (rows * units * dtype.bytes()) as u64)?;
        Ok(StoredRows { file, path: path.to_owned(), start, rows, units, dtype })
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

/// A file of `[rows, …]` whose rows are written in any order, by any thread.
///
/// It is called `<path>.partial` until [`RowFile::finish`]: what has its final name is whole.
#[derive(Debug)]
pub struct RowFile {
    file: File,
    path: PathBuf,
    /// Where the rows begin and end.
    start: u64,
    end: u64,
    row_bytes: usize,
    trailer: Vec<u8>,
}

impl RowFile {
    /// Creates the file for `[rows, shape…]` with room for all rows; one that is there already and has them is opened as it is if
    /// it is to be kept.
    pub fn open(path: &Path, rows: usize, shape: &[usize], dtype: Dtype, keep: bool) -> Result<Self> {
        let form = form(path)?;
        let all = whole(rows, shape);
        let row_bytes = shape.iter().product::<usize>() * dtype.bytes();
        let (header, trailer) = (form.header(&all, dtype), form.trailer(&all, dtype));
        let start = header.len() as u64;
        let end = start + (rows * row_bytes) as u64;
        let partial = partial(path);
        let open = || -> Result<File> {
            if keep {
                // It had its name already when the process was stopped.
                if !partial.exists() {
                    std::fs::rename(path, &partial)?;
                }
                let file = plain_file::open_own(&partial, File::options().write(true))?;
                check_size(&partial, file.metadata()?.len(), end)?;
                return Ok(file);
            }
            let file = plain_file::create(&partial)?;
            file.set_len(end + trailer.len() as u64)?;
            file.write_all_at(&header, 0)?;
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot write `{}`", partial.display()))?;
        Ok(Self { file, path: path.to_owned(), start, end, row_bytes, trailer })
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
        self.put(rows, self.start + (first * self.row_bytes) as u64)
    }

    /// Writes a part of row `row`, from the byte `offset` of it on.
    pub fn write_part(&self, row: usize, offset: usize, part: &[u8]) -> Result<()> {
        self.put(part, self.start + (row * self.row_bytes + offset) as u64)
    }

    /// Turns the signs of the values of some rows of a float32 file, which are all written: of each row in order, whether it is turned.
    pub fn negate(&self, rows: impl Iterator<Item = bool>) -> Result<()> {
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

    /// Gives the file its name, after all rows were written.
    pub fn finish(self) -> Result<()> {
        self.put(&self.trailer, self.end)?;
        self.sync()?;
        std::fs::rename(partial(&self.path), &self.path).with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}
