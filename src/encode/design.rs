//! Features as ridge regression needs them: standardised by the rows that are fitted, as units or, if there are more of these than rows,
//! as products of rows, so that no more than `[rows, rows]` is kept of them.

use crate::error::advise;
use crate::gemm::{Block, multiply};
use crate::npy::Matrix;
use crate::parallel::parallel;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What is done to each unit before it is fitted, by the rows that are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Standardise {
    /// Less its mean, over its standard deviation (of n); a unit that does not vary becomes 0
    #[default]
    Zscore,
    /// Less its mean
    Centre,
}

/// Features of a layer, and which of their rows are the conditions, in order.
#[derive(Clone, Copy)]
pub(super) struct Space<'a> {
    pub(super) features: &'a Matrix,
    pub(super) rows: &'a [usize],
}

/// Feature spaces beside each other, of the same conditions.
pub(super) enum Design {
    /// Row by row `[conditions, units]` of all spaces, and how many units each has.
    Units { values: Vec<f64>, widths: Vec<usize> },
    /// Of each space the products of rows, `[conditions, conditions]`.
    Products(Vec<Vec<f64>>),
}

/// Units less their means, times their factors, `[conditions, units]`.
pub(super) struct Standardised {
    pub(super) values: Vec<f64>,
    pub(super) means: Vec<f64>,
    pub(super) factors: Vec<f64>,
}

/// Units that are looked at at once.
pub(super) const UNITS: usize = 512;

/// Rows of products that a core makes at once.
const ROWS: usize = 256;

impl Design {
    /// Whether rows are kept as their products.
    pub(super) fn is_of_products(spaces: &[Space]) -> bool {
        spaces.iter().map(|space| space.features.columns).sum::<usize>() > spaces[0].rows.len()
    }

    /// The bytes that a design takes, and what is decomposed of it at a time.
    pub(super) fn bytes(spaces: &[Space]) -> [u64; 2] {
        let n = spaces[0].rows.len() as u64;
        let units: u64 = spaces.iter().map(|space| space.features.columns as u64).sum();
        match Design::is_of_products(spaces) {
            true => [8 * n * n * spaces.len() as u64, 8 * 5 * n * n],
            false => [8 * n * units, 8 * (4 * n * units + 3 * units * units)],
        }
    }

    /// The spaces, standardised by the conditions `fitted`.
    pub(super) fn new(spaces: &[Space], how: Standardise, fitted: &[usize]) -> Result<Design> {
        let all_are_flat = |values: &[f64]| values.iter().all(|value| *value == 0.0);
        let flat = || advise("no unit varies over the images that are fitted", "take another layer");
        if Design::is_of_products(spaces) {
            let products = spaces.iter().map(|space| space.products(how, fitted)).collect::<Result<Vec<_>>>()?;
            return if products.iter().all(|own| all_are_flat(own)) { Err(flat()) } else { Ok(Design::Products(products)) };
        }
        let widths: Vec<usize> = spaces.iter().map(|space| space.features.columns).collect();
        let parts: Vec<Vec<f64>> = spaces.iter().map(|space| space.units(0..space.features.columns, how, fitted)).collect();
        let row = |row: usize| parts.iter().zip(&widths).flat_map(move |(part, width)| &part[row * width..(row + 1) * width]);
        let values: Vec<f64> = (0..spaces[0].rows.len()).flat_map(row).copied().collect();
        if all_are_flat(&values) { Err(flat()) } else { Ok(Design::Units { values, widths }) }
    }

    /// The units of the conditions `rows`, each space times the root of its weight.
    pub(super) fn units(values: &[f64], widths: &[usize], weights: &[f64], rows: &[usize]) -> Vec<f64> {
        let units: usize = widths.iter().sum();
        let factors: Vec<f64> =
            widths.iter().zip(weights).flat_map(|(width, weight)| std::iter::repeat_n(weight.sqrt(), *width)).collect();
        let row =
            |&row: &usize| values[row * units..(row + 1) * units].iter().zip(&factors).map(|(value, factor)| value * factor);
        rows.iter().flat_map(row).collect()
    }
}

impl Space<'_> {
    fn units(&self, units: Range<usize>, how: Standardise, fitted: &[usize]) -> Vec<f64> {
        self.standardised(units, how, fitted).values
    }

    /// Some units of all conditions, by the conditions `fitted`.
    pub(super) fn standardised(&self, units: Range<usize>, how: Standardise, fitted: &[usize]) -> Standardised {
        let width = units.len();
        let mut values = Vec::with_capacity(self.rows.len() * width);
        self.rows.iter().for_each(|&row| self.features.append(row, units.clone(), &mut values));
        let of_row = |row: usize| row * width..(row + 1) * width;
        let first = values[of_row(fitted[0])].to_vec();
        let mut varies = vec![false; width];
        for &row in fitted {
            varies
                .iter_mut()
                .zip(&values[of_row(row)])
                .zip(&first)
                .for_each(|((varies, value), first)| *varies |= value != first);
        }
        let mean = |values: &[f64], of: fn(f64) -> f64| {
            let mut sums = vec![0.0; width];
            fitted.iter().for_each(|&row| sums.iter_mut().zip(&values[of_row(row)]).for_each(|(sum, value)| *sum += of(*value)));
            sums.iter_mut().for_each(|sum| *sum /= fitted.len() as f64);
            sums
        };
        // Twice, for the first mean is rounded in units of the largest sum.
        let mut all_means = vec![0.0; width];
        for _ in 0..2 {
            let means = mean(&values, |value| value);
            all_means.iter_mut().zip(&means).for_each(|(all, mean)| *all += mean);
            values.chunks_exact_mut(width).for_each(|row| row.iter_mut().zip(&means).for_each(|(value, mean)| *value -= mean));
        }
        let variances = mean(&values, |value| value * value);
        let rounding = |unit: usize| (fitted.len() as f64 * all_means[unit] * f64::EPSILON).powi(2);
        let factor = |(unit, (variance, varies)): (usize, (f64, bool))| match (varies && variance > rounding(unit), how) {
            (false, _) => 0.0,
            // Its square is no number.
            (true, _) if variance < f64::MIN_POSITIVE => 0.0,
            (true, Standardise::Zscore) => 1.0 / variance.sqrt(),
            (true, Standardise::Centre) => 1.0,
        };
        let factors: Vec<f64> = variances.into_iter().zip(varies).enumerate().map(factor).collect();
        values.chunks_exact_mut(width).for_each(|row| row.iter_mut().zip(&factors).for_each(|(value, factor)| *value *= factor));
        Standardised { values, means: all_means, factors }
    }

    /// `Σ x xᵀ` over all units, `[conditions, conditions]`.
    fn products(&self, how: Standardise, fitted: &[usize]) -> Result<Vec<f64>> {
        let (n, units) = (self.rows.len(), self.features.columns);
        let mut sums = vec![0.0; n * n];
        for first in (0..units).step_by(UNITS) {
            let width = UNITS.min(units - first);
            let values = self.units(first..first + width, how, fitted);
            let tile = |number: usize| -> Result<Vec<f64>> {
                let rows = number * ROWS..n.min((number + 1) * ROWS);
                let mut product = vec![0.0; rows.len() * rows.end];
                let before = Block::new(&values[..rows.end * width], width);
                multiply(Block::of(&values, width, &rows, &(0..width)), before, &mut product)?;
                Ok(product)
            };
            for (number, product) in parallel(n.div_ceil(ROWS), &tile)?.into_iter().enumerate() {
                let end = n.min((number + 1) * ROWS);
                for (row, product) in (number * ROWS..end).zip(product.chunks_exact(end)) {
                    sums[row * n..][..end].iter_mut().zip(product).for_each(|(sum, product)| *sum += product);
                }
            }
        }
        // Only up to the diagonal.
        for row in 0..n {
            (row + 1..n).for_each(|column| sums[row * n + column] = sums[column * n + row]);
        }
        Ok(sums)
    }
}
