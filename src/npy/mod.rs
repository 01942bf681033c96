//! NumPy's `.npy` files, on top of `ndarray-npy`: any numeric array read, parts of large ones looked at where they lie.

mod header;
mod matrix;

pub use matrix::Matrix;

use crate::atomic_file;
use crate::error::advise;
use crate::plain_file;
use anyhow::Result;
use bytemuck::{Pod, Zeroable};
use ndarray::ArrayD;
use ndarray_npy::{
    ReadDataError, ReadNpyError, ReadNpyExt, ReadableElement, ViewDataError, ViewElement, WritableElement, WriteNpyExt,
};
use py_literal::Value;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

/// Writes `array` so that its name never stands for half of it.
pub fn write<A: WritableElement>(path: &Path, array: &ArrayD<A>) -> Result<()> {
    atomic_file::write_with(path, |file| {
        let mut buffer = BufWriter::new(file);
        array.write_npy(&mut buffer)?;
        Ok(buffer.flush()?)
    })
}

/// Opens the bytes of an array from their start.
type Open<'a> = &'a dyn Fn() -> std::io::Result<Box<dyn Read + 'a>>;

type ReadAs = fn(Open) -> Result<ArrayD<f64>, ReadNpyError>;

/// Reads an array of any numeric or boolean type as float64, row by row; one in Fortran order is turned.
pub fn read(path: &Path) -> Result<ArrayD<f64>> {
    let length = plain_file::open(path).and_then(|file| file.metadata()).map_err(|error| cannot_open(path, error))?.len();
    read_from(&|| Ok(Box::new(BufReader::new(plain_file::open(path)?))), length, path)
}

/// The same from memory; in messages it is called `name`.
pub fn read_bytes(bytes: &[u8], name: &Path) -> Result<ArrayD<f64>> {
    read_from(&|| Ok(Box::new(bytes)), bytes.len() as u64, name)
}

/// Fails if the header of the file at `path` promises more than the file has, or takes long to read.
pub(crate) fn check_header(path: &Path) -> Result<()> {
    let file = plain_file::open(path).map_err(|error| cannot_open(path, error))?;
    let length = file.metadata().map_err(|error| cannot_open(path, error))?.len();
    header::check(file, length).map_err(|error| not_npy(path, &error))
}

/// The same of one that begins so, and has this length.
pub(crate) fn check_start(start: impl std::io::Read, length: u64, name: &Path) -> Result<()> {
    header::check(start, length).map_err(|error| not_npy(name, &error))
}

fn read_from(open: Open, length: u64, path: &Path) -> Result<ArrayD<f64>> {
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
    let start = open().map_err(|error| cannot_open(path, error))?;
    header::check(start, length).map_err(|error| not_npy(path, &error))?;
    let mut descriptor = None;
    for read in types {
        match read(open) {
            Ok(array) if array.is_standard_layout() => return Ok(array),
            Ok(array) => return Ok(array.as_standard_layout().into_owned()),
            Err(ReadNpyError::WrongDescriptor(found)) => descriptor = Some(found),
            Err(ReadNpyError::Io(error)) => return Err(cannot_open(path, error)),
            Err(error) => return Err(not_npy(path, &error)),
        }
    }
    Err(not_numeric(path, descriptor.as_ref()))
}

fn read_as<A: ReadableElement + Copy + ToF64>(open: Open) -> Result<ArrayD<f64>, ReadNpyError> {
    let bytes = open().map_err(ReadNpyError::Io)?;
    Ok(ArrayD::<A>::read_npy(bytes)?.mapv(ToF64::to_f64))
}

fn cannot_open(path: &Path, error: std::io::Error) -> anyhow::Error {
    advise(format!("cannot read `{}`: {error}", path.display()), "name an .npy file; relative paths begin at the current folder")
}

fn not_npy(path: &Path, error: &dyn std::error::Error) -> anyhow::Error {
    let mut start = [0; 2];
    plain_file::open(path).and_then(|mut file| file.read_exact(&mut start)).ok();
    let is_called_one = path.extension().is_some_and(|ending| ending == "pkl" || ending == "pickle");
    // A mark, and the version of the protocol.
    if is_called_one || matches!(start, [0x80, 2..=5]) {
        return advise(
            format!("`{}` is a Python pickle, which may hold anything, and not an .npy file", path.display()),
            "save the array in Python: `np.save('rdm.npy', pickle.load(open('rdm.pkl', 'rb')))`",
        );
    }
    let hint = match &start {
        b"PK" => "it is an .npz archive: save the one array with `np.save`",
        _ => "write it with `np.save`, or copy it again",
    };
    advise(format!("`{}` is not a whole .npy file: {error}", path.display()), hint)
}

fn not_numeric(path: &Path, descriptor: Option<&Value>) -> anyhow::Error {
    let found = descriptor.map_or_else(String::new, ToString::to_string);
    let what = if found.contains('O') { "Python objects".to_owned() } else { format!("values of type {found}") };
    advise(
        format!("`{}` holds {what}, not numbers", path.display()),
        "save an array of numbers: `np.save(path, np.asarray(array, dtype=np.float32))`",
    )
}

/// A number that float64 can stand for.
pub(crate) trait ToF64 {
    /// The same number, rounded if need be.
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

impl ToF64 for F16 {
    fn to_f64(self) -> f64 {
        half::f16::from_bits(self.0).to_f64()
    }
}

/// IEEE half precision, by its bits.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
struct F16(u16);

/// Of whole numbers of the same size and order of bytes.
fn bits_of_f16(descriptor: &Value) -> Option<Value> {
    match descriptor.as_string().map(String::as_str) {
        Some("<f2") => Some(Value::String("<u2".into())),
        Some(">f2") => Some(Value::String(">u2".into())),
        _ => None,
    }
}

impl ReadableElement for F16 {
    fn read_to_end_exact_vec<R: Read>(reader: R, descriptor: &Value, len: usize) -> Result<Vec<Self>, ReadDataError> {
        let bits = bits_of_f16(descriptor).ok_or_else(|| ReadDataError::WrongDescriptor(descriptor.clone()))?;
        let bits = u16::read_to_end_exact_vec(reader, &bits, len)?;
        Ok(bits.into_iter().map(F16).collect())
    }
}

impl ViewElement for F16 {
    fn bytes_as_slice<'a>(bytes: &'a [u8], descriptor: &Value, len: usize) -> Result<&'a [Self], ViewDataError> {
        let bits = bits_of_f16(descriptor).ok_or_else(|| ViewDataError::WrongDescriptor(descriptor.clone()))?;
        Ok(bytemuck::cast_slice(u16::bytes_as_slice(bytes, &bits, len)?))
    }
}
