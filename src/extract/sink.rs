//! Where the rows of a layer go: to a file, one for each image or one for each condition.

use super::means::Means;
use super::values;
use crate::error::advise;
use crate::images::Conditions;
use crate::output::{Dtype, RowFile};
use anyhow::Result;
use std::ops::Range;
use tch::{Device, Kind, Tensor};

/// The file of a layer that is being written.
#[derive(Debug)]
pub struct Sink<'a> {
    file: RowFile,
    /// The first row of the file.
    first: usize,
    dtype: Dtype,
    means: Option<Means<'a>>,
}

impl<'a> Sink<'a> {
    /// Rows of type `dtype` go to `file`, of which the first is row `rows.start`: those of the images, or their means over
    /// `conditions`. Of other images and conditions than those that `rows` wants nothing is kept.
    pub fn new(file: RowFile, dtype: Dtype, conditions: Option<&'a Conditions>, rows: Range<usize>) -> Self {
        Self { file, first: rows.start, dtype, means: conditions.map(|conditions| Means::new(conditions, rows)) }
    }

    /// Takes the features `[N, …]` of the batch whose turn is number `turn`; those beyond `images` are padding and dropped.
    /// `room` is used again and again.
    pub(super) fn write(&self, turn: usize, images: Range<usize>, features: &Tensor, room: &mut Vec<f32>) -> Result<()> {
        let features = features.f_narrow(0, 0, images.len() as i64)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
        let Some(means) = &self.means else { return self.store(images.start, &features, room) };
        let mut rows = vec![0.0; features.numel()];
        features.f_contiguous()?.f_copy_data(&mut rows, features.numel())?;
        means.add(turn, images, &rows, &mut |condition, mean| self.store(condition, &Tensor::f_from_slice(&mean)?, room))
    }

    /// Stores whole rows from row `first` on.
    fn store(&self, first: usize, rows: &Tensor, room: &mut Vec<f32>) -> Result<()> {
        let rows = match self.dtype {
            Dtype::F32 => rows.shallow_clone(),
            Dtype::F16 => half(rows)?,
        };
        values::each_part(&rows, room, &mut |row, bytes| self.file.write(first - self.first + row, bytes))
    }

    /// Brings to the disk what was written.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    /// Wakes those that wait, after an error.
    pub(super) fn abandon(&self) {
        self.means.iter().for_each(Means::abandon);
    }

    /// Gives the file its name, after all rows were written.
    pub fn finish(self) -> Result<()> {
        self.file.finish()
    }
}

fn half(features: &Tensor) -> Result<Tensor> {
    let half = features.f_to_kind(Kind::Half)?;
    let lost = half.f_isfinite()?.f_logical_not()?.f_logical_and(&features.f_isfinite()?)?;
    if lost.f_any()?.f_int64_value(&[])? != 0 {
        return Err(advise("a value is too large for float16 (more than 65,504)", "store float32: --dtype f32"));
    }
    Ok(half)
}
