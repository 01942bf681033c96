//! The files of features: forms that others read, whose rows come in any order.
//!
//! A form says where the rows lie among its other bytes, or makes a file of rows that are all there. A new one is a file here, and a
//! variant of [`Format`].

mod csv;
mod hdf5;
mod hdf5_file;
mod mat;
mod npy;
mod pt;
mod rows;

pub(crate) use self::pt::write as write_pt;
pub(crate) use self::rows::{RowFile, StoredRows};

use crate::arrays::matlab;
use crate::error::{advise, hint_of, text_of};
use crate::npy::Matrix;
use crate::plain_file;
use anyhow::{Context, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

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

/// The form of the files of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// NumPy, LAYER.npy
    #[default]
    Npy,
    /// HDF5, LAYER.h5: `features` [images, …] and `images`, their names
    #[value(alias = "h5")]
    #[serde(alias = "h5")]
    Hdf5,
    /// MATLAB, LAYER.mat: the same; version 7.3 from 2 GB on
    Mat,
    /// PyTorch, LAYER.pt: a dictionary of `features`, `images` and `layer`
    Pt,
    /// Text, LAYER.csv: a row for each image, its name first
    Csv,
}

/// How a form is written.
enum Way {
    /// The place of each row is known beforehand.
    InPlace(&'static dyn InPlace),
    /// The file is made when all rows are there.
    AtTheEnd(&'static dyn AtTheEnd),
}

impl Format {
    /// All of them.
    const ALL: [Format; 5] = [Format::Npy, Format::Hdf5, Format::Mat, Format::Pt, Format::Csv];

    /// What the names of its files end in.
    pub fn ending(self) -> &'static str {
        match self {
            Format::Npy => "npy",
            Format::Hdf5 => "h5",
            Format::Mat => "mat",
            Format::Pt => "pt",
            Format::Csv => "csv",
        }
    }

    fn way(self) -> Way {
        match self {
            Format::Npy => Way::InPlace(&npy::Npy),
            Format::Hdf5 => Way::InPlace(&hdf5::Hdf5),
            Format::Mat => Way::AtTheEnd(&mat::Mat),
            Format::Pt => Way::InPlace(&pt::Pt),
            Format::Csv => Way::AtTheEnd(&csv::Csv),
        }
    }

    /// That of the file at `path`, by its ending.
    fn of(path: &Path) -> Result<Format> {
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let found = Format::ALL.into_iter().find(|format| format.ending() == ending);
        found.with_context(|| format!("`{}` has no ending of a form of features", path.display()))
    }

    /// Whether a file is made of rows that are in NumPy's form until all are there.
    pub(crate) fn is_made_at_the_end(self) -> bool {
        matches!(self.way(), Way::AtTheEnd(_))
    }

    /// Whether it is this one, as records are written: it goes without saying.
    pub(crate) fn is_npy(&self) -> bool {
        *self == Format::Npy
    }

    /// Fails if it has no place for rows of the shape `row`, or for numbers of this type.
    pub(crate) fn check(self, layer: &str, row: &[usize], dtype: Dtype) -> Result<()> {
        match self.way() {
            Way::AtTheEnd(form) => form.check(layer, row, dtype),
            Way::InPlace(_) => Ok(()),
        }
    }

    /// About how many bytes `values` numbers of this type take in it.
    pub(crate) fn size(self, values: usize, dtype: Dtype) -> usize {
        match self {
            Format::Csv => values * csv::A_NUMBER,
            _ => values * dtype.bytes(),
        }
    }
}

/// What is to be in a file.
#[derive(Debug, Clone)]
pub(crate) struct Contents<'a> {
    /// The name of each row.
    pub(crate) images: &'a [String],
    /// How many rows there are; in forms that name them as many as `images`.
    pub(crate) rows: usize,
    /// Of each array its name, and the shape of a row.
    pub(crate) arrays: Vec<(&'a str, &'a [usize])>,
    pub(crate) dtype: Dtype,
    /// Whether the arrays are in a group, by their names.
    pub(crate) in_group: bool,
}

impl Contents<'_> {
    /// The shape of array number `array`.
    fn shape(&self, array: usize) -> Vec<usize> {
        [self.rows].iter().chain(self.arrays[array].1).copied().collect()
    }

    /// How many bytes its numbers take.
    fn size(&self, array: usize) -> Result<u64> {
        bytes_of(&self.shape(array), self.dtype)
            .with_context(|| format!("`{}` would have more numbers than can be counted", self.arrays[array].0))
    }
}

/// The bytes of numbers in an array of this shape.
fn bytes_of(shape: &[usize], dtype: Dtype) -> Option<u64> {
    shape.iter().try_fold(dtype.bytes() as u64, |bytes, size| bytes.checked_mul(*size as u64))
}

/// Where everything in a file lies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    /// What stands at the beginning.
    header: Vec<u8>,
    /// Where the rows of each array begin.
    starts: Vec<u64>,
    /// Where the rows of the last end.
    end: u64,
    /// What stands behind them.
    trailer: Vec<u8>,
    /// Where the CRC-32 of all rows is to stand, when they are there.
    crcs: Vec<u64>,
}

impl Layout {
    /// That of a file in this form.
    pub(crate) fn of(format: Format, contents: &Contents) -> Result<Layout> {
        match format.way() {
            Way::InPlace(form) => form.layout(contents),
            Way::AtTheEnd(_) => npy::Npy.layout(contents),
        }
    }

    /// Whether a file has its header, but for what is known only when all rows are there.
    fn begins(&self, file: &File) -> Result<bool> {
        let mut found = vec![0; self.header.len()];
        file.read_exact_at(&mut found, 0)?;
        for place in self.crcs.iter().map(|place| *place as usize) {
            // One of them stands behind the rows.
            found.get_mut(place..place + size_of::<u32>()).into_iter().for_each(|crc| crc.fill(0));
        }
        Ok(found == self.header)
    }
}

/// Where the numbers of an array were found in a file.
#[derive(Debug, PartialEq)]
struct Found {
    start: u64,
    shape: Vec<usize>,
    dtype: Dtype,
}

/// A form in which the place of each row is known beforehand.
trait InPlace: Sync {
    fn layout(&self, contents: &Contents) -> Result<Layout>;

    /// Where the array `layer` of `shape` lies in the file at `path`, perhaps written by another program; none if it has no such.
    fn find(&self, path: &Path, layer: &str, shape: &[usize]) -> Result<Option<Found>>;
}

/// A form whose file is made when all rows are there.
trait AtTheEnd: Sync {
    /// Fails for what it cannot hold.
    fn check(&self, layer: &str, row: &[usize], dtype: Dtype) -> Result<()>;

    /// Writes one array, whose rows are in `rows`, to `path`.
    fn write(&self, path: &Path, contents: &Contents, rows: &StoredRows) -> Result<()>;

    /// Reads the array of `shape` in the file at `path`.
    fn read(&self, path: &Path, shape: &[usize]) -> Result<Matrix>;

    /// At which byte of the file its numbers begin, if they lie there as in memory.
    fn start(&self, path: &Path, shape: &[usize]) -> Result<Option<u64>>;

    /// Looks at each number of a file in which they do not.
    fn each(&self, _path: &Path, _look: &mut dyn FnMut(f32)) -> Result<()> {
        Ok(())
    }
}

/// Makes the file at `path` of `rows`; its form is one that is made at the end.
pub(crate) fn convert(path: &Path, contents: &Contents, rows: &StoredRows) -> Result<()> {
    match Format::of(path)?.way() {
        Way::AtTheEnd(form) => form.write(path, contents, rows),
        Way::InPlace(_) => Ok(()),
    }
}

/// Makes a file of NumPy's form at `to` of the array `layer` `[rows, shape…]` of the file at `path`.
pub(crate) fn unpack(path: &Path, to: &Path, layer: &str, rows: usize, shape: &[usize], dtype: Dtype) -> Result<()> {
    let file = RowFile::of_one(to, rows, shape, dtype)?;
    match Format::of(path)?.way() {
        Way::InPlace(_) => StoredRows::open(path, layer, rows, shape, dtype)?.copy_to(&file, 0)?,
        Way::AtTheEnd(_) => {
            let matrix = matrix(path, layer, rows, shape)?;
            for row in 0..rows {
                let values = matrix.row(row).into_iter();
                let bytes: Vec<u8> = match dtype {
                    Dtype::F32 => values.flat_map(|value| (value as f32).to_le_bytes()).collect(),
                    Dtype::F16 => values.flat_map(|value| half::f16::from_f64(value).to_le_bytes()).collect(),
                };
                file.write(row, &bytes)?;
            }
        }
    }
    file.finish()
}

/// Writes a small file of the form that the ending of `path` stands for: three rows of two numbers.
#[doc(hidden)] // for `fuzz/harnesses`
pub fn write_example(path: &Path) -> Result<()> {
    let (names, shape, format) = (["a.png", "ä b.png", "c"].map(str::to_owned), [2], Format::of(path)?);
    let contents = Contents { images: &names, rows: 3, arrays: vec![("layer", &shape)], dtype: Dtype::F32, in_group: false };
    let numbers: Vec<u8> = (0..6u8).flat_map(|number| f32::from(number).to_le_bytes()).collect();
    let rows = if format.is_made_at_the_end() { path.with_extension("npy") } else { path.to_owned() };
    let layout = Layout::of(format, &contents)?;
    RowFile::create(&rows, &layout)?;
    let file = RowFile::open(&rows, &layout, &contents, 0)?;
    file.write(0, &numbers)?;
    file.finish()?;
    if rows == path {
        return Ok(());
    }
    convert(path, &contents, &StoredRows::open(&rows, "layer", 3, &shape, Dtype::F32)?)
}

/// The array `layer` `[rows, shape…]` of the file at `path`, which a run has written. Fails if the file holds no such array.
pub fn matrix(path: &Path, layer: &str, rows: usize, shape: &[usize]) -> Result<Matrix> {
    read(path, layer, rows, shape).map_err(|error| of_run(path, error))
}

/// An error about a file that a run has written, with what to do if nothing is said about that.
fn of_run(path: &Path, error: anyhow::Error) -> anyhow::Error {
    // What the system could not read says nothing of the file.
    let of_system = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.raw_os_error().is_some())
    };
    if hint_of(&error).is_some() {
        return error;
    }
    if error.chain().any(of_system) {
        return error.context(format!("cannot read `{}`", path.display()));
    }
    advise(
        format!("`{}` is not as the run has written it: {}", path.display(), text_of(&error)),
        "it was cut, changed or damaged: `thingsvision verify RUN_DIR` looks at all files of a run; make the run again",
    )
}

fn read(path: &Path, layer: &str, rows: usize, shape: &[usize]) -> Result<Matrix> {
    let whole: Vec<usize> = [rows].iter().chain(shape).copied().collect();
    let columns = shape.iter().product();
    match Format::of(path)?.way() {
        // Any array of numbers, as NumPy may have written it.
        Way::InPlace(_) if Format::of(path)? == Format::Npy => Matrix::open(path),
        // As no run has.
        _ if whole.contains(&0) => Err(no_such(path, layer, rows, shape)),
        Way::InPlace(form) => {
            let found = find(form, path, layer, &whole)?.filter(|found| found.shape == whole);
            let mapped =
                found.map(|found| Matrix::map(path, found.start, [rows, columns], found.dtype == Dtype::F16)).transpose()?;
            mapped.flatten().ok_or_else(|| no_such(path, layer, rows, shape))
        }
        Way::AtTheEnd(form) => form.read(path, &whole),
    }
}

fn find(form: &dyn InPlace, path: &Path, layer: &str, shape: &[usize]) -> Result<Option<Found>> {
    form.find(path, layer, shape).map_err(|error| of_run(path, error))
}

fn no_such(path: &Path, layer: &str, rows: usize, shape: &[usize]) -> anyhow::Error {
    advise(
        format!("`{}` holds no `{layer}` of {rows} rows of the shape {shape:?}", path.display()),
        "the record of the run or the file was changed; make the run again, or ask who made it",
    )
}

/// The numbers of an array in a file that is whole.
pub(crate) struct Numbers {
    /// At which byte they begin, if they lie there as in memory.
    pub(crate) start: Option<u64>,
    /// How many are infinite or NaN.
    pub(crate) nonfinite: u64,
}

/// The names of rows that the file of `layer` at `path` holds; none if it holds none, or they are too many to be looked at.
pub(crate) fn names(path: &Path, layer: &str) -> Result<Option<Vec<String>>> {
    let names = match Format::of(path)? {
        Format::Npy => Ok(None),
        Format::Hdf5 => hdf5::names(path).map(Some),
        Format::Mat => matlab::names(path),
        Format::Pt => pt::names(path, layer).map(Some),
        Format::Csv => csv::names(path).map(Some),
    };
    names.map_err(|error| of_run(path, error))
}

/// At which byte of the file at `path` the numbers of the array `layer` of `shape` begin, if they lie there as in memory.
pub(crate) fn start(path: &Path, layer: &str, shape: &[usize], dtype: Dtype) -> Result<Option<u64>> {
    match Format::of(path)?.way() {
        Way::InPlace(form) => {
            let found = find(form, path, layer, shape)?.filter(|found| found.shape == *shape && found.dtype == dtype);
            found.map(|found| Some(found.start)).ok_or_else(|| no_such(path, layer, shape[0], &shape[1..]))
        }
        Way::AtTheEnd(form) => form.start(path, shape).map_err(|error| of_run(path, error)),
    }
}

/// The BLAKE3 hash of a file that is whole, and the numbers of each of its arrays of these names and shapes.
pub(crate) fn look(path: &Path, arrays: &[(&str, Vec<usize>)], dtype: Dtype) -> Result<(String, Vec<Numbers>)> {
    let start = |(layer, shape): &(&str, Vec<usize>)| start(path, layer, shape, dtype);
    let starts: Vec<Option<u64>> = arrays.iter().map(start).collect::<Result<_>>()?;
    let size = |shape: &[usize]| bytes_of(shape, dtype).unwrap_or(0);
    let range = |((_, shape), start): (&(&str, Vec<usize>), &Option<u64>)| {
        start.unwrap_or(0)..start.map_or(0, |start| start + size(shape))
    };
    let ranges: Vec<Range<u64>> = arrays.iter().zip(&starts).map(range).collect();
    let (hash, mut counts) = hash_and_nonfinite(path, &ranges, dtype)?;
    if let Way::AtTheEnd(form) = Format::of(path)?.way()
        && starts == [None]
    {
        form.each(path, &mut |value| counts[0] += u64::from(!value.is_finite()))?;
    }
    let numbers = starts.into_iter().zip(counts).map(|(start, nonfinite)| Numbers { start, nonfinite });
    Ok((hash, numbers.collect()))
}

/// The BLAKE3 hash of the whole file at `path`, and how many of the values in each of some `ranges` of its bytes are infinite or NaN.
fn hash_and_nonfinite(path: &Path, ranges: &[Range<u64>], dtype: Dtype) -> Result<(String, Vec<u64>)> {
    const PART: usize = 1 << 20;
    let read = || -> Result<(String, Vec<u64>)> {
        let mut file = plain_file::open(path)?;
        let (mut part, mut at) = (Vec::new(), 0);
        let mut hash = blake3::Hasher::new();
        let mut counts = vec![0; ranges.len()];
        loop {
            part.clear();
            if file.by_ref().take(PART as u64).read_to_end(&mut part)? == 0 {
                return Ok((hash.finalize().to_hex().to_string(), counts));
            }
            hash.update(&part);
            let end = at + part.len() as u64;
            for (range, count) in ranges.iter().zip(&mut counts) {
                let (first, last) = (range.start.clamp(at, end), range.end.clamp(at, end));
                *count += nonfinite(&part[(first - at) as usize..(last - at) as usize], dtype);
            }
            at = end;
        }
    };
    read().with_context(|| format!("cannot read `{}`", path.display()))
}

/// How many values are infinite or NaN.
fn nonfinite(bytes: &[u8], dtype: Dtype) -> u64 {
    let count = match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().filter(|bytes| !f32::from_le_bytes(**bytes).is_finite()).count(),
        Dtype::F16 => bytes.as_chunks().0.iter().filter(|bytes| u16::from_le_bytes(**bytes) & 0x7c00 == 0x7c00).count(),
    };
    count as u64
}
