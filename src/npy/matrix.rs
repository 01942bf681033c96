//! Features where they lie, in a file or in memory: a matrix of any size, of which a part is looked at at a time.
#![allow(unsafe_code)] // memory maps, reasoned at the one place

use super::{F16, ToF64, cannot_open, header, not_npy, read};
use crate::error::advise;
use crate::plain_file;
use anyhow::{Result, ensure};
use bytemuck::Pod;
use memmap2::Mmap;
use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::{ViewElement, ViewNpyExt};
use std::path::Path;

/// A matrix `[N, D]`, in a file (memory-mapped) or in memory; further axes are flattened into `D`.
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
    F16(Mapped),
    F32(Mapped),
    F64(Mapped),
    Read(Vec<f64>),
    Single(Vec<f32>),
}

/// Files of fewer bytes stay in memory.
const LARGE: usize = 256 << 20;

/// Numbers in a file, from this byte on.
#[derive(Debug)]
struct Mapped {
    map: Mmap,
    start: usize,
}

impl Matrix {
    /// Opens the array `[N, …]` at `path`.
    pub fn open(path: &Path) -> Result<Matrix> {
        Ok(Matrix::open_with_sizes(path)?.1)
    }

    /// The same, and the sizes of all axes.
    pub(crate) fn open_with_sizes(path: &Path) -> Result<(Vec<usize>, Matrix)> {
        let map = map(path)?;
        header::check(&map[..], map.len() as u64).map_err(|error| not_npy(path, &error))?;
        let single = shape_of::<f32>(&map);
        let half = shape_of::<F16>(&map);
        let double = shape_of::<f64>(&map);
        let (shape, values) = match (single, half, double) {
            (Some(shape), ..) => (shape.clone(), Values::F32(at_the_end(map, &shape, size_of::<f32>()))),
            (_, Some(shape), _) => (shape.clone(), Values::F16(at_the_end(map, &shape, size_of::<F16>()))),
            (.., Some(shape)) => (shape.clone(), Values::F64(at_the_end(map, &shape, size_of::<f64>()))),
            // Another type, another order, or a fault, which `read` puts into words.
            _ => {
                let array = read(path)?;
                (array.shape().to_vec(), Values::Read(array.into_raw_vec_and_offset().0))
            }
        };
        Matrix::of(&shape, values, path).map(|matrix| (shape, matrix))
    }

    /// The numbers `[rows, columns]` in the file at `path` from the byte `start` on, row by row: float32, or float16 if they are
    /// `half`. None if they do not lie there as in memory.
    pub(crate) fn map(path: &Path, start: u64, [rows, columns]: [usize; 2], half: bool) -> Result<Option<Matrix>> {
        let map = map(path)?;
        let width = if half { size_of::<F16>() } else { size_of::<f32>() };
        let size = rows.checked_mul(columns).and_then(|count| count.checked_mul(width));
        let start = usize::try_from(start).ok().filter(|start| start.is_multiple_of(width));
        let Some((start, _)) =
            start.zip(size).filter(|(start, size)| start.checked_add(*size).is_some_and(|end| end <= map.len()))
        else {
            return Ok(None);
        };
        let values = Mapped { map, start };
        let values = if half { Values::F16(values) } else { Values::F32(values) };
        Ok(Some(Matrix { rows, columns, values }))
    }

    /// Reads the array `[D]` at `path`.
    pub(crate) fn open_vector(path: &Path) -> Result<Vec<f64>> {
        let array = read(path)?;
        ensure!(array.ndim() == 1, "`{}` has the shape {:?}, and a vector is needed", path.display(), array.shape());
        Ok(array.into_raw_vec_and_offset().0)
    }

    /// An array `[N, …]` that was read from `path`.
    pub fn from_array(array: ArrayD<f64>, path: &Path) -> Result<Matrix> {
        let shape = array.shape().to_vec();
        Matrix::of(&shape, Values::Read(array.as_standard_layout().into_owned().into_raw_vec_and_offset().0), path)
    }

    /// A matrix in memory, row by row.
    pub fn from_rows(rows: usize, columns: usize, values: Vec<f64>) -> Matrix {
        assert_eq!(values.len(), rows * columns, "values for every unit of every row");
        Matrix { rows, columns, values: Values::Read(values) }
    }

    /// A matrix of float32 in memory, row by row.
    pub(crate) fn from_singles(rows: usize, columns: usize, values: Vec<f32>) -> Matrix {
        assert_eq!(values.len(), rows * columns, "values for every unit of every row");
        Matrix { rows, columns, values: Values::Single(values) }
    }

    fn of(shape: &[usize], values: Values, path: &Path) -> Result<Matrix> {
        match shape.split_first() {
            Some((&rows, columns)) if !columns.is_empty() => Ok(Matrix { rows, columns: columns.iter().product(), values }),
            _ => Err(advise(
                format!("`{}` has the shape {shape:?}; features have at least two axes, stimuli × units", path.display()),
                "give an array of shape [stimuli, units] or [stimuli, channels, rows, columns]",
            )),
        }
    }

    /// Takes a large file out of this process's memory, into which it comes again when it is looked at.
    pub(crate) fn forget(&self) {
        if let Values::F16(file) | Values::F32(file) | Values::F64(file) = &self.values
            && file.map.len() > LARGE
        {
            // SAFETY: of a file that is only read the same bytes come back.
            #[cfg(unix)]
            let _ = unsafe { file.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }

    /// A row as float64.
    pub(crate) fn row(&self, row: usize) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.columns);
        self.append(row, 0..self.columns, &mut values);
        values
    }

    /// All values as float64, row by row.
    pub(crate) fn values(&self) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.rows * self.columns);
        (0..self.rows).for_each(|row| self.append(row, 0..self.columns, &mut values));
        values
    }

    /// Copies `row[columns]` as float64 to the end of `to`.
    pub fn append(&self, row: usize, columns: std::ops::Range<usize>, to: &mut Vec<f64>) {
        self.append_mapped(row, columns, &|value| value, to);
    }

    /// Puts `f` of each value of `row[columns]` at the end of `to`.
    pub fn append_mapped<T>(&self, row: usize, columns: std::ops::Range<usize>, f: &impl Fn(f64) -> T, to: &mut Vec<T>) {
        let range = row * self.columns + columns.start..row * self.columns + columns.end;
        let count = self.rows * self.columns;
        match &self.values {
            Values::F16(file) => to.extend(elements::<F16>(file, count)[range].iter().map(|value| f(value.to_f64()))),
            Values::F32(file) => to.extend(elements::<f32>(file, count)[range].iter().map(|value| f(value.to_f64()))),
            Values::F64(file) => to.extend(elements::<f64>(file, count)[range].iter().map(|&value| f(value))),
            Values::Read(values) => to.extend(values[range].iter().map(|&value| f(value))),
            Values::Single(values) => to.extend(values[range].iter().map(|value| f(value.to_f64()))),
        }
    }
}

/// The shape, if the file holds elements of this type in C order, aligned for use where they lie.
fn shape_of<A: ViewElement>(map: &Mmap) -> Option<Vec<usize>> {
    let view = ArrayViewD::<A>::view_npy(map).ok()?;
    view.is_standard_layout().then(|| view.shape().to_vec())
}

/// The elements of an array of this shape, which are the last in the file.
fn at_the_end(map: Mmap, shape: &[usize], width: usize) -> Mapped {
    let start = map.len() - shape.iter().product::<usize>() * width;
    Mapped { map, start }
}

/// Who made `file` has checked the type of the elements, their number and alignment.
fn elements<A: Pod>(file: &Mapped, count: usize) -> &[A] {
    bytemuck::cast_slice(&file.map[file.start..file.start + count * size_of::<A>()])
}

fn map(path: &Path) -> Result<Mmap> {
    let file = plain_file::open(path).map_err(|error| cannot_open(path, error))?;
    // SAFETY: the map is only read. Were the file truncated by another process meanwhile, the read would end this
    // process by a signal, as any program that maps files; it is not changed by this one.
    unsafe { Mmap::map(&file) }.map_err(|error| cannot_open(path, error))
}
