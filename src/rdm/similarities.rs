//! How alike all pairs of some rows of features are: their inner products or cosines, in float64.

use super::points::{Points, Space};
use super::tiles::{side, tiles};
use super::{OnConstant, errors, products};
use crate::error::advise;
use crate::memory;
use crate::npy::Matrix;
use crate::numbers::count;
use crate::parallel::parallel;
use anyhow::Result;

/// A matrix `[N, N]`, symmetric.
pub(crate) struct Similarities {
    stimuli: usize,
    values: Vec<f64>,
}

impl Similarities {
    /// Of the products of `rows` in this space. Values that are not finite are an error, and so are rows of zeros that have no cosine;
    /// messages call a row by `name`.
    pub(crate) fn of(features: Matrix, rows: &[usize], space: Space, name: &dyn Fn(usize) -> String) -> Result<Similarities> {
        let n = rows.len();
        memory::check(&format_args!("the similarities of {} stimuli", count(n)), (2 * size_of::<f64>() * n * n) as u64)?;
        let points = Points::of(features, rows, space, OnConstant::Nan, name)?;
        let flat: Vec<usize> = points.rows.iter().filter(|row| row.is_flat()).map(|row| row.row).collect();
        if !flat.is_empty() {
            return Err(advise(
                format!("all units are 0, so a cosine is not defined, in {}", errors::some(&flat, name)),
                "take --similarity dot, or another layer",
            ));
        }
        let tiles = tiles(n, side(n));
        let products = parallel(tiles.len(), &|number| products::double(&points, &tiles[number].0, &tiles[number].1))?;
        let mut values = vec![0.0; n * n];
        for ((rows, columns), products) in tiles.iter().zip(&products) {
            for (i, of_row) in rows.clone().zip(products.chunks_exact(columns.len())) {
                // On the diagonal the one half alone, so that both are the same to the bit.
                for (j, &product) in columns.clone().zip(of_row).filter(|(j, _)| i <= *j) {
                    values[i * n + j] = product;
                    values[j * n + i] = product;
                }
            }
        }
        Ok(Similarities { stimuli: n, values })
    }

    /// How alike row i is to all.
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.stimuli..][..self.stimuli]
    }
}
