//! NumPy's `.npy` files, on top of `ndarray-npy`: rows written in place as they come, any numeric array read.
#![allow(unsafe_code)] // memory maps, reasoned at the one place

use crate::advice::{Advice, advise};
use anyhow::{Context, Result};
use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;
use ndarray::{ArrayD, ArrayViewD, IxDyn};
use ndarray_npy::{
    ReadDataError, ReadNpyError, ReadNpyExt, ReadableElement, ViewDataError, ViewElement, ViewNpyExt, WritableElement,
    WriteDataError, WriteNpyExt, write_zeroed_npy,
};
use py_literal::Value;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The element type of files that the program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, clap::ValueEnum)]
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
    /// Creates the file with a header for `[rows, shape…]` and room for all rows.
    pub fn create(path: &Path, rows: usize, shape: &[usize], dtype: Dtype) -> Result<Self> {
        let row_bytes = shape.iter().product::<usize>() * dtype.bytes();
        let all: Vec<_> = [rows].iter().chain(shape).copied().collect();
        let partial = partial(path);
        let create = || -> Result<File> {
            let file = File::create(&partial)?;
            match dtype {
                Dtype::F16 => write_zeroed_npy::<F16, _>(&file, IxDyn(&all))?,
                Dtype::F32 => write_zeroed_npy::<f32, _>(&file, IxDyn(&all))?,
            }
            Ok(file)
        };
        let file = create().with_context(|| format!("cannot write `{}`", partial.display()))?;
        let start = file.metadata()?.len() - (rows * row_bytes) as u64;
        Ok(Self { file, path: path.to_owned(), start, row_bytes })
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
        self.file.sync_data().with_context(|| format!("cannot write `{}`", self.path.display()))?;
        std::fs::rename(partial(&self.path), &self.path).with_context(|| format!("cannot write `{}`", self.path.display()))
    }
}

/// What a file is called while it is being written.
pub fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Writes `array` so that its name never stands for half of it.
pub fn write<A: WritableElement>(path: &Path, array: &ArrayD<A>) -> Result<()> {
    let write = || -> Result<()> {
        let mut file = BufWriter::new(File::create(partial(path))?);
        array.write_npy(&mut file)?;
        file.into_inner()?.sync_data()?;
        Ok(std::fs::rename(partial(path), path)?)
    };
    write().with_context(|| format!("cannot write `{}`", path.display()))
}

type ReadAs = fn(&Path) -> Result<ArrayD<f64>, ReadNpyError>;

/// Reads an array of any numeric or boolean type as float64. Fortran order is refused.
pub fn read(path: &Path) -> Result<ArrayD<f64>> {
    let types: [ReadAs; 12] = [
        read_as::<f64>,
        read_as::<f32>,
        read_as::<F16>,
        read_as::<bool>,
        read_as::<i64>,
        read_as::<i32>,
        read_as::<i16>,
        read_as::<i8>,
        read_as::<u64>,
        read_as::<u32>,
        read_as::<u16>,
        read_as::<u8>,
    ];
    let mut descriptor = None;
    for read in types {
        match read(path) {
            Ok(array) if array.is_standard_layout() => return Ok(array),
            Ok(_) => return Err(fortran(path)),
            Err(ReadNpyError::WrongDescriptor(found)) => descriptor = Some(found),
            Err(ReadNpyError::Io(error)) => return Err(cannot_open(path, error)),
            Err(error) => return Err(not_npy(path, &error)),
        }
    }
    Err(not_numeric(path, descriptor.as_ref()))
}

fn read_as<A: ReadableElement + Copy + ToF64>(path: &Path) -> Result<ArrayD<f64>, ReadNpyError> {
    let file = BufReader::new(File::open(path).map_err(ReadNpyError::Io)?);
    Ok(ArrayD::<A>::read_npy(file)?.mapv(ToF64::to_f64))
}

fn cannot_open(path: &Path, error: std::io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("cannot read `{}`", path.display()))
}

fn not_npy(path: &Path, error: &dyn std::error::Error) -> anyhow::Error {
    advise(format!("`{}` is not a whole .npy file: {error}", path.display()), "write it with `np.save`, or copy it again")
}

fn fortran(path: &Path) -> anyhow::Error {
    advise(
        format!("`{}` is in Fortran order (column by column)", path.display()),
        "save it row by row: `np.save(path, np.ascontiguousarray(array))`",
    )
}

fn not_numeric(path: &Path, descriptor: Option<&Value>) -> anyhow::Error {
    let found = descriptor.map_or_else(String::new, ToString::to_string);
    let what = if found.contains('O') { "Python objects".to_owned() } else { format!("values of type {found}") };
    advise(
        format!("`{}` holds {what}, not numbers", path.display()),
        "save an array of numbers: `np.save(path, np.asarray(array, dtype=np.float32))`",
    )
}

/// A matrix `[N, D]` in a file, memory-mapped; further axes are flattened into `D`.
#[derive(Debug)]
pub struct Matrix {
    /// N.
    pub rows: usize,
    /// D.
    pub columns: usize,
    values: Values,
}

#[derive(Debug)]
enum Values {
    F16(Mmap),
    F32(Mmap),
    Read(Vec<f64>),
}

impl Matrix {
    /// Opens the array `[N, …]` at `path`.
    pub fn open(path: &Path) -> Result<Matrix> {
        let file = File::open(path).map_err(|error| cannot_open(path, error))?;
        // SAFETY: the map is only read. Were the file truncated by another process meanwhile, the read would end this
        // process by a signal, as any program that maps files; it is not changed by this one.
        let map = unsafe { Mmap::map(&file) }.map_err(|error| cannot_open(path, error))?;
        let single = shape_of::<f32>(&map);
        let half = shape_of::<F16>(&map);
        let (shape, values) = match (single, half) {
            (Some(shape), _) => (shape, Values::F32(map)),
            (_, Some(shape)) => (shape, Values::F16(map)),
            // Another type, another order, or a fault, which `read` puts into words.
            _ => {
                let array = read(path)?;
                (array.shape().to_vec(), Values::Read(array.into_raw_vec_and_offset().0))
            }
        };
        match shape.split_first() {
            Some((&rows, columns)) if !columns.is_empty() => Ok(Matrix { rows, columns: columns.iter().product(), values }),
            _ => Err(Advice {
                problem: format!(
                    "`{}` has the shape {shape:?}; features have at least two axes, stimuli × units",
                    path.display()
                ),
                hint: "give an array of shape [stimuli, units] or [stimuli, channels, rows, columns]".into(),
            }
            .into()),
        }
    }

    /// Copies `row[columns]` as float64 to the end of `to`.
    pub fn append(&self, row: usize, columns: std::ops::Range<usize>, to: &mut Vec<f64>) {
        let range = row * self.columns + columns.start..row * self.columns + columns.end;
        match &self.values {
            Values::F16(map) => to.extend(elements::<F16>(map, self.rows * self.columns)[range].iter().map(|v| v.to_f64())),
            Values::F32(map) => to.extend(elements::<f32>(map, self.rows * self.columns)[range].iter().map(|v| v.to_f64())),
            Values::Read(values) => to.extend(&values[range]),
        }
    }
}

/// The shape, if the file holds elements of this type in C order, aligned for use where they lie.
fn shape_of<A: ViewElement>(map: &Mmap) -> Option<Vec<usize>> {
    let view = ArrayViewD::<A>::view_npy(map).ok()?;
    view.is_standard_layout().then(|| view.shape().to_vec())
}

/// The elements lie at the end of the file; `shape_of` has checked their type, number and alignment.
fn elements<A: Pod>(map: &Mmap, count: usize) -> &[A] {
    bytemuck::cast_slice(&map[map.len() - count * size_of::<A>()..])
}

trait ToF64 {
    fn to_f64(self) -> f64;
}

macro_rules! to_f64 {
    ($($number:ty),*) => { $(impl ToF64 for $number { fn to_f64(self) -> f64 { self as f64 } })* };
}
to_f64!(f64, f32, i64, i32, i16, i8, u64, u32, u16, u8);

impl ToF64 for bool {
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
}

/// `half::f16`, which `ndarray-npy` does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
#[repr(transparent)]
struct F16(u16);

impl ToF64 for F16 {
    fn to_f64(self) -> f64 {
        half::f16::from_bits(self.0).to_f64()
    }
}

const F16_DESCRIPTOR: &str = "<f2";

fn is_f16(descriptor: &Value) -> bool {
    descriptor.as_string().is_some_and(|descriptor| descriptor == F16_DESCRIPTOR)
}

impl WritableElement for F16 {
    fn type_descriptor() -> Value {
        Value::String(F16_DESCRIPTOR.into())
    }

    fn write<W: Write>(&self, writer: W) -> Result<(), WriteDataError> {
        Self::write_slice(&[*self], writer)
    }

    fn write_slice<W: Write>(slice: &[Self], mut writer: W) -> Result<(), WriteDataError> {
        Ok(writer.write_all(bytemuck::cast_slice(slice))?)
    }
}

impl ReadableElement for F16 {
    fn read_to_end_exact_vec<R: Read>(mut reader: R, descriptor: &Value, len: usize) -> Result<Vec<Self>, ReadDataError> {
        if !is_f16(descriptor) {
            return Err(ReadDataError::WrongDescriptor(descriptor.clone()));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        match bytes.len().cmp(&(len * 2)) {
            std::cmp::Ordering::Less => Err(ReadDataError::MissingData),
            std::cmp::Ordering::Greater => Err(ReadDataError::ExtraBytes(bytes.len() - len * 2)),
            std::cmp::Ordering::Equal => {
                Ok(bytes.chunks_exact(2).map(|pair| F16(u16::from_le_bytes([pair[0], pair[1]]))).collect())
            }
        }
    }
}

impl ViewElement for F16 {
    fn bytes_as_slice<'a>(bytes: &'a [u8], descriptor: &Value, len: usize) -> Result<&'a [Self], ViewDataError> {
        if !is_f16(descriptor) {
            return Err(ViewDataError::WrongDescriptor(descriptor.clone()));
        }
        let missing = ViewDataError::MissingBytes((len * 2).saturating_sub(bytes.len()));
        let slice: &[F16] = bytemuck::try_cast_slice(bytes).map_err(|_| ViewDataError::Misaligned)?;
        if slice.len() == len { Ok(slice) } else { Err(missing) }
    }
}
