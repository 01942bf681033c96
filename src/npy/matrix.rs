//! Features where they lie: a matrix of any size, of which a part is looked at at a time.
#![allow(unsafe_code)] // memory maps, reasoned at the one place

use super::element::{F16, ToF64};
use super::{cannot_open, read};
use crate::advice::advise;
use anyhow::Result;
use bytemuck::Pod;
use memmap2::Mmap;
use ndarray::ArrayViewD;
use ndarray_npy::{ViewElement, ViewNpyExt};
use std::fs::File;
use std::path::Path;

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
            _ => Err(advise(
                format!("`{}` has the shape {shape:?}; features have at least two axes, stimuli × units", path.display()),
                "give an array of shape [stimuli, units] or [stimuli, channels, rows, columns]",
            )),
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
