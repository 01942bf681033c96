//! The units of a layer as they enter a fit, and sums over pairs of stimuli that need no array of pairs × units.

use super::triangle::Triangle;
use crate::error::advise;
use crate::gemm::{Block, multiply};
use crate::npy::Matrix;
use crate::parallel::parallel;
use crate::rdm::lanes::{dot, sum};
use crate::rdm::pairs_of;
use anyhow::Result;

/// Units that are taken at a time.
const BLOCK: usize = 512;

/// The numbers of an array of pairs × some units at a time.
const NUMBERS: usize = 1 << 22;

/// Units of the stimuli that are fitted and of those that are predicted, each less its mean over the fitted ones, in units of its
/// standard deviation (of n) over them. Without the units that do not vary over them.
pub(super) struct Units {
    /// n, of the fitted ones.
    stimuli: usize,
    /// Zᵀ, `[units, n]`.
    fitted: Vec<f64>,
    /// `[units, predicted stimuli]`.
    predicted: Vec<f64>,
    /// How many do not vary over the fitted stimuli.
    pub(super) constant: usize,
}

impl Units {
    /// Of these rows of `features`, which are finite.
    pub(super) fn new(features: &Matrix, [fitted, predicted]: [&[usize]; 2]) -> Units {
        let mut units = Units { stimuli: fitted.len(), fitted: Vec::new(), predicted: Vec::new(), constant: 0 };
        units.fitted.reserve_exact(fitted.len() * features.columns);
        units.predicted.reserve_exact(predicted.len() * features.columns);
        let mut rows = Vec::new();
        for first in (0..features.columns).step_by(BLOCK) {
            let columns = first..features.columns.min(first + BLOCK);
            rows.clear();
            fitted.iter().chain(predicted).for_each(|&row| features.append(row, columns.clone(), &mut rows));
            (0..columns.len()).for_each(|unit| units.push(rows.iter().skip(unit).step_by(columns.len()).copied().collect()));
        }
        units
    }

    /// Adds a unit, the fitted stimuli first, if it varies over these.
    fn push(&mut self, mut values: Vec<f64>) {
        // Half a difference is finite.
        let first = values[0] * 0.5;
        values.iter_mut().for_each(|value| *value = *value * 0.5 - first);
        let largest = values[..self.stimuli].iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        if largest == 0.0 {
            self.constant += 1;
            return;
        }
        values.iter_mut().for_each(|value| *value /= largest);
        for _ in 0..2 {
            let mean = values[..self.stimuli].iter().sum::<f64>() / self.stimuli as f64;
            values.iter_mut().for_each(|value| *value -= mean);
        }
        let own = &values[..self.stimuli];
        let deviation = (dot(own, own) / self.stimuli as f64).sqrt();
        values.iter_mut().for_each(|value| *value /= deviation);
        self.fitted.extend(&values[..self.stimuli]);
        self.predicted.extend(&values[self.stimuli..]);
    }

    /// How many vary.
    pub(super) fn count(&self) -> usize {
        self.fitted.len() / self.stimuli
    }

    /// The mean of xₖ = (zᵢₖ − zⱼₖ)² over the pairs of fitted stimuli, the same for all units.
    pub(super) fn mean(&self) -> f64 {
        let n = self.stimuli as f64;
        2.0 * n / (n - 1.0)
    }

    /// The covariance of all units' x over the m pairs of fitted stimuli.
    ///
    /// With columns of Z that sum to 0, `Σ_{i<j} (zᵢₖ − zⱼₖ)² (zᵢₗ − zⱼₗ)² = n (AᵀA)ₖₗ + sₖ sₗ + 2 (ZᵀZ)ₖₗ²`, A = Z∘Z and s the sums of
    /// its columns, which are all n here.
    pub(super) fn covariance(&self) -> Result<Triangle> {
        let n = self.stimuli as f64;
        let m = n * (n - 1.0) / 2.0;
        let less = n * n / m * (n + 1.0) / (n - 1.0);
        let squares: Vec<f64> = self.fitted.iter().map(|z| z * z).collect();
        Triangle::new(self.count(), &|rows| {
            let product = |of: &[f64]| -> Result<Vec<f64>> {
                let mut product = vec![0.0; rows.len() * rows.end];
                let part = |from: usize| Block::new(&of[from * self.stimuli..rows.end * self.stimuli], self.stimuli);
                multiply(part(rows.start), part(0), &mut product)?;
                Ok(product)
            };
            let (mut panel, of_squares) = (product(&self.fitted)?, product(&squares)?);
            let numbers = panel.iter_mut().zip(of_squares);
            numbers.for_each(|(zz, aa)| *zz = (n * aa + 2.0 * *zz * *zz) / m - less);
            Ok(panel)
        })
    }

    /// `Σₖ xₖ xₖ' / m` of centred x for all two of the m pairs of fitted stimuli.
    pub(super) fn kernel(&self) -> Result<Triangle> {
        let pairs: Vec<(usize, usize)> = pairs_of(self.stimuli).collect();
        let block = (NUMBERS / pairs.len()).clamp(1, self.count());
        let scale = (pairs.len() as f64).sqrt();
        let mut kernel: Option<Triangle> = None;
        for units in self.fitted.chunks(block * self.stimuli) {
            let count = units.len() / self.stimuli;
            let mut x = Vec::with_capacity(pairs.len() * count);
            for &(i, j) in &pairs {
                let of = |unit: &[f64]| ((unit[i] - unit[j]).powi(2) - self.mean()) / scale;
                x.extend(units.chunks_exact(self.stimuli).map(of));
            }
            let part = Triangle::new(pairs.len(), &|rows| {
                let mut panel = vec![0.0; rows.len() * rows.end];
                multiply(
                    Block::new(&x[rows.start * count..rows.end * count], count),
                    Block::new(&x[..rows.end * count], count),
                    &mut panel,
                )?;
                Ok(panel)
            })?;
            match &mut kernel {
                Some(kernel) => kernel.add(&part),
                None => kernel = Some(part),
            }
        }
        kernel.ok_or_else(|| anyhow::anyhow!("there are no units"))
    }

    /// `Σ_{i<j} xₖ y` of each unit, `y` the pairs of fitted stimuli, which sum to 0.
    pub(super) fn products(&self, y: &[f64]) -> Result<Vec<f64>> {
        let n = self.stimuli;
        let square = square(n, y);
        let sums: Vec<f64> = square.chunks_exact(n).map(|row| row.iter().sum()).collect();
        let blocks: Vec<&[f64]> = self.fitted.chunks(BLOCK * n).collect();
        let of_block = |place: usize| {
            let mut products = vec![0.0; blocks[place].len()];
            multiply(Block::new(blocks[place], n), Block::new(&square, n), &mut products)?;
            // (zᵢ − zⱼ)² = zᵢ² + zⱼ² − 2 zᵢ zⱼ.
            let of = |(z, products): (&[f64], &[f64])| sum(z, &sums, |z, sum| z * z * sum) - dot(z, products);
            Ok(blocks[place].chunks_exact(n).zip(products.chunks_exact(n)).map(of).collect::<Vec<f64>>())
        };
        Ok(parallel(blocks.len(), &of_block)?.concat())
    }

    /// `Σₖ wₖ xₖ` of the pairs of predicted stimuli, with one weight for each unit.
    pub(super) fn distances(&self, weights: &[f64]) -> Result<Vec<f64>> {
        let n = self.predicted.len() / self.count();
        let mut products = vec![0.0; n * n];
        for (z, weights) in self.predicted.chunks(BLOCK * n).zip(weights.chunks(BLOCK)) {
            let (mut plain, mut weighted) = (Vec::with_capacity(z.len()), Vec::with_capacity(z.len()));
            for stimulus in 0..n {
                plain.extend(z.iter().skip(stimulus).step_by(n));
                weighted.extend(z.iter().skip(stimulus).step_by(n).zip(weights).map(|(z, weight)| z * weight));
            }
            let mut part = vec![0.0; n * n];
            multiply(Block::new(&weighted, weights.len()), Block::new(&plain, weights.len()), &mut part)?;
            products.iter_mut().zip(part).for_each(|(product, part)| *product += part);
        }
        let of = |(i, j): (usize, usize)| products[i * n + i] + products[j * n + j] - 2.0 * products[i * n + j];
        Ok(pairs_of(n).map(of).collect())
    }

    /// The same with all weights 1: squared Euclidean distances.
    pub(super) fn plain(&self) -> Result<Vec<f64>> {
        self.distances(&vec![1.0; self.count()])
    }

    /// Fails if none varies.
    pub(super) fn check(&self, layer: &str) -> Result<()> {
        if self.count() > 0 {
            return Ok(());
        }
        Err(advise(
            format!("no unit of `{layer}` varies over the stimuli of a fit"),
            "leave this layer out, or compare more stimuli",
        ))
    }
}

/// Pairs as a symmetric matrix with a diagonal of 0.
fn square(n: usize, pairs: &[f64]) -> Vec<f64> {
    let mut square = vec![0.0; n * n];
    for ((i, j), &value) in pairs_of(n).zip(pairs) {
        square[i * n + j] = value;
        square[j * n + i] = value;
    }
    square
}
