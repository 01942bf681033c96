//! The mean over the images of each condition, as they come.

use super::turns::Turns;
use crate::images::Conditions;
use anyhow::Result;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

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
            sum.values.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            sum.images += 1;
            if sum.images == self.conditions.sizes[condition]
                && let Some(Sum { values, images }) = open.remove(&condition)
            {
                finish(condition, values.iter().map(|sum| (sum / images as f64) as f32).collect())?;
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
