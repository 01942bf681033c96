//! The Euclidean family, as SciPy's `pdist` has it: `‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y`, of points centred over the stimuli
//! and multiplied in float64; where that cancels, summed directly.

use super::points::Points;
use super::products;
use super::tiles::Compute;
use crate::npy::Matrix;
use crate::parallel::parallel;
use anyhow::Result;
use std::ops::Range;

/// The share of the squared lengths below which the difference has lost digits that matter in float32.
const NEAR: f64 = 1e-8;

/// How a tile of what `f` makes of squared distances is computed.
pub(super) fn of<'a>(points: &'a Points, f: impl Fn(f64) -> f64 + Sync + 'a) -> Box<Compute<'a>> {
    Box::new(move |a, b| tile(points, &f, a, b))
}

/// Of squared distances by the number of units.
pub(super) fn per_unit(points: &Points) -> Box<Compute<'_>> {
    let units = points.features.columns as f64;
    of(points, move |squared| squared / units)
}

/// Of `1 − exp(−squared / mean)`.
pub(super) fn gaussian(points: &Points) -> Box<Compute<'_>> {
    let mean = mean_squared(points);
    // −(exp(−x) − 1), without cancellation for small x; if no stimulus differs from another, 0.
    of(points, move |squared| if squared == 0.0 { 0.0 } else { -(-squared / mean).exp_m1() })
}

/// The features, or if their squared distances might overflow or vanish the same less the first row, in units of the largest
/// difference from it.
pub(super) fn within_reach(features: Matrix) -> Result<Matrix> {
    if features.rows == 0 {
        return Ok(features);
    }
    let first = features.row(0);
    let apart = |value: f64, first: f64, share: f64| value * share - first * share;
    let farthest = |share: f64| -> Result<f64> {
        let far = |row: usize| -> Result<f64> {
            let values = features.row(row);
            let far = values.iter().zip(&first).map(|(&value, &first)| apart(value, first, share).abs());
            // With NaN, which `max` would pass over.
            Ok(far.fold(0.0, |largest: f64, far| if far > largest || far.is_nan() { far } else { largest }))
        };
        Ok(parallel(features.rows, &far)?.into_iter().fold(0.0, |a: f64, b| if b > a || b.is_nan() { b } else { a }))
    };
    let whole = farthest(1.0)?;
    // Halves of values of opposite signs are not too far apart.
    let (share, unit) = if whole.is_infinite() { (0.5, farthest(0.5)?) } else { (1.0, whole) };
    if unit == 0.0 || !unit.is_finite() || (1e-100..1e100).contains(&whole) {
        return Ok(features);
    }
    let row = |row: usize| -> Result<Vec<f64>> {
        Ok(features.row(row).iter().zip(&first).map(|(&value, &first)| apart(value, first, share) / unit).collect())
    };
    let values = parallel(features.rows, &row)?.concat();
    Ok(Matrix::from_rows(features.rows, features.columns, values))
}

/// The squared distances of all points `a` and `b`, as `f` turns them into dissimilarities.
fn tile(points: &Points, f: impl Fn(f64) -> f64, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f32>> {
    let pair = |k: usize| (a.start + k / b.len(), b.start + k % b.len());
    let lengths = |(i, j): (usize, usize)| points.rows[i].squared + points.rows[j].squared;
    let products = products::double(points, a, b)?.into_iter().enumerate();
    let mut squared: Vec<f64> = products.map(|(k, product)| lengths(pair(k)) - 2.0 * product).collect();
    points.refine([a, b], &mut squared, |squared, pair| squared < NEAR * lengths(pair), |squared| squared);
    Ok(squared.into_iter().map(|squared| f(squared.max(0.0)) as f32).collect())
}

/// The mean of the squared distances over all ordered pairs, the diagonal included: twice the mean squared length of
/// the centred points.
fn mean_squared(points: &Points) -> f64 {
    2.0 * points.rows.iter().map(|row| row.squared).sum::<f64>() / points.rows.len() as f64
}
