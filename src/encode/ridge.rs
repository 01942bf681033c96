//! Ridge regression of any number of targets: an eigendecomposition of what is fitted, after which each penalty costs one product.

use super::design::Design;
use crate::gemm::{Block, multiply};
use anyhow::Result;
use tch::Tensor;

/// Conditions that are fitted and others that are predicted, along the axes in which a penalty shrinks each by itself: of
/// `Xᵀ X = V S Vᵀ`, with X the fitted rows less their mean, `ŷ = P (S + α)⁻¹ Q y` with `P = X' V` and `Q = Vᵀ Xᵀ`.
pub(super) struct Decomposed {
    /// S, of each axis.
    pub(super) lengths: Vec<f64>,
    /// Q, `[axes, fitted]`.
    fitted: Vec<f64>,
    /// P, `[predicted, axes]`.
    predicted: Vec<f64>,
    pub(super) fitted_rows: usize,
    /// V of units, `[units, axes]`; of products none.
    directions: Vec<f64>,
}

impl Decomposed {
    /// Of a design whose spaces have these weights: conditions may come more than once.
    pub(super) fn new(design: &Design, weights: &[f64], fitted: &[usize], predicted: &[usize]) -> Result<Decomposed> {
        match design {
            Design::Units { values, widths } => {
                let mut rows = Design::units(values, widths, weights, fitted);
                let mut others = Design::units(values, widths, weights, predicted);
                centre([&mut rows, &mut others], widths.iter().sum());
                Decomposed::of_units(&rows, &others, widths.iter().sum(), fitted.len())
            }
            Design::Products(spaces) => Decomposed::of_products(spaces, weights, fitted, predicted),
        }
    }

    fn of_units(rows: &[f64], others: &[f64], units: usize, fitted_rows: usize) -> Result<Decomposed> {
        let x = matrix(rows, units)?;
        let (lengths, axes) = eigen(&x.f_tr()?.f_matmul(&x)?)?;
        let (mut fitted, mut predicted) = (vec![0.0; rows.len()], vec![0.0; others.len()]);
        multiply(Block::new(&axes, units), Block::new(rows, units), &mut fitted)?;
        multiply(Block::new(others, units), Block::new(&axes, units), &mut predicted)?;
        let lengths = lengths.into_iter().map(|length| length.max(0.0)).collect();
        let directions = (0..units).flat_map(|unit| axes[unit..].iter().step_by(units).copied()).collect();
        Ok(Decomposed { lengths, fitted, predicted, fitted_rows, directions })
    }

    /// From `X Xᵀ = U S Uᵀ`: `P = X' Xᵀ U S^-½` and `Q = S^½ Uᵀ`, without the axes that rounding made.
    fn of_products(spaces: &[Vec<f64>], weights: &[f64], fitted: &[usize], predicted: &[usize]) -> Result<Decomposed> {
        let n = fitted.len();
        let all = (spaces[0].len() as f64).sqrt() as usize;
        let product = |row: usize, column: usize| -> f64 {
            spaces.iter().zip(weights).map(|(space, weight)| weight * space[row * all + column]).sum()
        };
        let of = |rows: &[usize]| -> Vec<f64> {
            rows.iter()
                .flat_map(|&row| fitted.iter().map(move |&column| (row, column)))
                .map(|(row, column)| product(row, column))
                .collect()
        };
        let (mut rows, mut others) = (of(fitted), of(predicted));
        // Of units less their means: products less their means over fitted rows, on both sides.
        centre([&mut rows, &mut others], n);
        for values in [&mut rows, &mut others] {
            for row in values.chunks_exact_mut(n) {
                let mean = row.iter().sum::<f64>() / n as f64;
                row.iter_mut().for_each(|value| *value -= mean);
            }
        }
        let (lengths, axes) = eigen(&matrix(&rows, n)?)?;
        let least = lengths.last().copied().unwrap_or(0.0) * n as f64 * f64::EPSILON;
        let first = lengths.iter().position(|&length| length > least).unwrap_or(lengths.len());
        let (lengths, axes) = (lengths[first..].to_vec(), &axes[first * n..]);
        let mut predicted = vec![0.0; others.len() / n * lengths.len()];
        if lengths.is_empty() {
            return Ok(Decomposed { lengths, fitted: Vec::new(), predicted, fitted_rows: n, directions: Vec::new() });
        }
        multiply(Block::new(&others, n), Block::new(axes, n), &mut predicted)?;
        for row in predicted.chunks_exact_mut(lengths.len()) {
            row.iter_mut().zip(&lengths).for_each(|(value, length)| *value /= length.sqrt());
        }
        let fitted = axes.chunks_exact(n).zip(&lengths).flat_map(|(axis, length)| axis.iter().map(|value| value * length.sqrt()));
        Ok(Decomposed { fitted: fitted.collect(), lengths, predicted, fitted_rows: n, directions: Vec::new() })
    }

    pub(super) fn predicted_rows(&self) -> usize {
        if self.lengths.is_empty() { 0 } else { self.predicted.len() / self.lengths.len() }
    }

    /// P, `[predicted, axes]`.
    pub(super) fn predicted(&self) -> &[f64] {
        &self.predicted
    }

    /// `Q y` of targets `[targets, fitted]` less their means: `[targets, axes]`.
    pub(super) fn along(&self, targets: &[f64]) -> Result<Vec<f64>> {
        let mut along = vec![0.0; targets.len() / self.fitted_rows * self.lengths.len()];
        if !along.is_empty() {
            multiply(Block::new(targets, self.fitted_rows), Block::new(&self.fitted, self.fitted_rows), &mut along)?;
        }
        Ok(along)
    }

    /// `P (S + α)⁻¹` of `Q y`, less the mean of what was fitted, `[targets, predicted]`; each target has its penalty α.
    pub(super) fn predict(&self, along: &[f64], penalties: impl Fn(usize) -> f64, predicted: &mut [f64]) -> Result<()> {
        self.product(&self.predicted, along, penalties, predicted)
    }

    /// The same of the rows that were fitted; their `P` is `Qᵀ`, here `[fitted, axes]`.
    pub(super) fn refit(&self, turned: &[f64], along: &[f64], penalty: f64, predicted: &mut [f64]) -> Result<()> {
        self.product(turned, along, |_| penalty, predicted)
    }

    fn product(&self, rows: &[f64], along: &[f64], penalties: impl Fn(usize) -> f64, predicted: &mut [f64]) -> Result<()> {
        let axes = self.lengths.len();
        if axes == 0 {
            predicted.fill(0.0);
            return Ok(());
        }
        let mut shrunk = Vec::with_capacity(along.len());
        for (target, along) in along.chunks_exact(axes).enumerate() {
            let penalty = penalties(target);
            shrunk.extend(along.iter().zip(&self.lengths).map(|(along, length)| along / (length + penalty)));
        }
        multiply(Block::new(&shrunk, axes), Block::new(rows, axes), predicted)
    }

    /// `V (S + α)⁻¹` of `Q y`, the weights of the fit, `[targets, units]`; none of products.
    pub(super) fn coefficients(&self, along: &[f64], penalties: impl Fn(usize) -> f64) -> Result<Option<Vec<f64>>> {
        let axes = self.lengths.len().max(1);
        let mut weights = vec![0.0; along.len() / axes * (self.directions.len() / axes)];
        if weights.is_empty() {
            return Ok(None);
        }
        self.product(&self.directions, along, penalties, &mut weights)?;
        Ok(Some(weights))
    }

    /// `a = Qᵀ (S (S + α))⁻¹ Q y` of `Q y`, `[targets, fitted]`: the weights of the fit are `Xᵀ a`.
    pub(super) fn duals(&self, turned: &[f64], along: &[f64], penalties: impl Fn(usize) -> f64) -> Result<Vec<f64>> {
        let least = self.lengths.last().copied().unwrap_or(0.0) * self.fitted_rows as f64 * f64::EPSILON;
        let axes = self.lengths.len().max(1);
        let mut duals = vec![0.0; along.len() / axes * self.fitted_rows];
        let scaled: Vec<f64> = along
            .chunks_exact(axes)
            .flat_map(|along| {
                along.iter().zip(&self.lengths).map(|(along, length)| if *length > least { along / length } else { 0.0 })
            })
            .collect();
        self.product(turned, &scaled, penalties, &mut duals)?;
        Ok(duals)
    }

    /// Qᵀ, `[fitted, axes]`.
    pub(super) fn turned(&self) -> Vec<f64> {
        let n = self.fitted_rows;
        (0..n).flat_map(|row| (0..self.lengths.len()).map(move |axis| self.fitted[axis * n + row])).collect()
    }
}

/// Subtracts the means of the columns of the first from both.
fn centre(both: [&mut Vec<f64>; 2], columns: usize) {
    let [rows, others] = both;
    let mut means = vec![0.0; columns];
    rows.chunks_exact(columns).for_each(|row| means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value));
    let count = (rows.len() / columns) as f64;
    means.iter_mut().for_each(|mean| *mean /= count);
    for values in [rows, others] {
        values.chunks_exact_mut(columns).for_each(|row| row.iter_mut().zip(&means).for_each(|(value, mean)| *value -= mean));
    }
}

fn matrix(values: &[f64], columns: usize) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(values)?.f_view([(values.len() / columns) as i64, columns as i64])?)
}

/// The eigenvalues of a symmetric matrix, ascending, and its eigenvectors, one a row.
fn eigen(matrix: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
    let (values, vectors) = matrix.f_linalg_eigh("L")?;
    let numbers = |tensor: &Tensor| -> Result<Vec<f64>> { Ok(Vec::try_from(&tensor.f_contiguous()?.f_view(-1)?)?) };
    Ok((numbers(&values)?, numbers(&vectors.f_tr()?)?))
}
