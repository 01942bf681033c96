//! Where the rows of a layer go: to a file, one for each image or one for each condition.

use super::turns::Turns;

use crate::error::advise;
use crate::images::Conditions;
use crate::output::{Dtype, RowFile};
use crate::reduce::Projection;
use crate::values;
use anyhow::Result;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tch::{Device, Kind, Tensor};

/// The file of a layer that is being written.
#[derive(Debug)]
pub struct Sink<'a> {
    file: RowFile,
    /// The first row of the file.
    first: usize,
    dtype: Dtype,
    projection: Option<Arc<Projection>>,
    means: Option<Means<'a>>,
}

impl<'a> Sink<'a> {
    /// Rows of type `dtype` go to `file`, of which the first is row `rows.start`: those of the images, or their means over
    /// `conditions`. Of other images and conditions than those that `rows` wants nothing is kept.
    pub fn new(file: RowFile, dtype: Dtype, conditions: Option<&'a Conditions>, rows: Range<usize>) -> Self {
        let means = conditions.map(|conditions| Means::new(conditions, rows.clone()));
        Self { file, first: rows.start, dtype, projection: None, means }
    }

    /// The same with rows that are made shorter, before any are averaged.
    pub(super) fn projected(self, projection: Option<Arc<Projection>>) -> Self {
        Self { projection, ..self }
    }

    /// Takes the features `[N, …]` of the batch whose turn is number `turn`; those beyond `images` are padding and dropped.
    /// `room` is used again and again.
    pub(super) fn write(&self, turn: usize, images: Range<usize>, features: &Tensor, room: &mut Vec<f32>) -> Result<()> {
        let features = features.f_narrow(0, 0, images.len() as i64)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
        let features = match &self.projection {
            Some(projection) => projection.apply(&features, room)?,
            None => features,
        };
        let Some(means) = &self.means else { return self.store(images.start, &features, room) };
        let mut rows = vec![0.0; features.numel()];
        features.f_contiguous()?.f_copy_data(&mut rows, features.numel())?;
        means.add(turn, images, &rows, &mut |condition, mean| self.store(condition, &Tensor::f_from_slice(&mean)?, room))
    }

    /// Stores whole rows from row `first` on.
    fn store(&self, first: usize, rows: &Tensor, room: &mut Vec<f32>) -> Result<()> {
        store(&self.file, self.dtype, first - self.first, rows, room)
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

/// Stores whole float32 rows in `file`, of type `dtype`, from row `first` on. `room` is used again and again.
pub(super) fn store(file: &RowFile, dtype: Dtype, first: usize, rows: &Tensor, room: &mut Vec<f32>) -> Result<()> {
    let rows = match dtype {
        Dtype::F32 => rows.shallow_clone(),
        Dtype::F16 => half(rows)?,
    };
    values::each_part(&rows, room, &mut |row, bytes| file.write(first + row, bytes))
}

fn half(features: &Tensor) -> Result<Tensor> {
    let half = features.f_to_kind(Kind::Half)?;
    let lost = half.f_isfinite()?.f_logical_not()?.f_logical_and(&features.f_isfinite()?)?;
    if lost.f_any()?.f_int64_value(&[])? != 0 {
        return Err(advise("a value is too large for float16 (more than 65,504)", "store float32: --dtype f32"));
    }
    Ok(half)
}

/// Sums the rows `[D]` of a layer over the images of each condition, in float64 and in the order of the images, whichever
/// batch is done first. Memory is held for the conditions of which some images are still to come.
#[derive(Debug)]
pub struct Means<'a> {
    conditions: &'a Conditions,
    /// The conditions that are wanted.
    rows: Range<usize>,
    turns: Turns,
    open: Mutex<HashMap<usize, Sum>>,
}

#[derive(Debug)]
struct Sum {
    values: Vec<f64>,
    images: usize,
}

impl<'a> Means<'a> {
    /// Of no image yet, for some of the conditions.
    pub fn new(conditions: &'a Conditions, rows: Range<usize>) -> Self {
        Self { conditions, rows, turns: Turns::default(), open: Mutex::default() }
    }

    /// Adds the rows of `images`, `[images, D]`, when turn number `turn` has come. `finish` gets the number and the mean of
    /// each condition that is complete; one that lacks images of batches before the first turn never is.
    pub fn add(
        &self,
        turn: usize,
        images: Range<usize>,
        rows: &[f32],
        finish: &mut dyn FnMut(usize, Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        self.turns.wait_for(turn)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (image, row) in images.clone().zip(rows.chunks_exact(rows.len() / images.len())) {
            let condition = self.conditions.of_image[image];
            if !self.rows.contains(&condition) {
                continue;
            }
            let sum = open.entry(condition).or_insert_with(|| Sum { values: vec![0.0; row.len()], images: 0 });
            let values = row.iter().map(|value| f64::from(*value));
            if self.conditions.unit {
                let length = length(values.clone());
                sum.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += value / length);
            } else {
                sum.values.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            }
            sum.images += 1;
            if sum.images == self.conditions.sizes[condition]
                && let Some(Sum { values, images }) = open.remove(&condition)
            {
                let divisor = if self.conditions.unit { length(values.iter().copied()) } else { images as f64 };
                finish(condition, values.iter().map(|sum| (sum / divisor) as f32).collect())?;
            }
        }
        self.turns.pass_to(turn + 1);
        Ok(())
    }

    /// Wakes those that wait for their turn, after an error.
    pub fn abandon(&self) {
        self.turns.abandon();
    }
}

/// The Euclidean length of a row; 1 of one that has none.
fn length(row: impl Iterator<Item = f64>) -> f64 {
    let squares: f64 = row.map(|value| value * value).sum();
    if squares > 0.0 { squares.sqrt() } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_those_of_the_images_in_order() {
        let ids = ["a/1", "b/1", "a/2", "a/3", "b/2"].map(str::to_owned);
        let conditions = Conditions::by_folder(&ids).unwrap();
        let means = Means::new(&conditions, 0..2);
        let found = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for (turn, images, rows) in [(2, 3..5, [0.5, 1e8, 9.0, 0.0]), (0, 0..2, [1.0, 1.0, 2.0, 4.0])] {
                let (means, found) = (&means, &found);
                scope.spawn(move || {
                    means.add(turn, images, &rows, &mut |condition, mean| {
                        found.lock().unwrap().push((condition, mean));
                        Ok(())
                    })
                });
            }
            means.add(1, 2..3, &[2.0, -1e8], &mut |_, _| unreachable!("no condition is complete")).unwrap();
        });
        let mean = |sum: f64, count: f64| (sum / count) as f32;
        assert_eq!(*found.lock().unwrap(), [(0, vec![mean(3.5, 3.0), mean(1.0, 3.0)]), (1, vec![5.5, 2.0])]);
    }
}
