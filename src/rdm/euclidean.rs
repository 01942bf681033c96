//! The Euclidean family, as SciPy's `pdist` has it: `‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y`, of points centred over the stimuli
//! and multiplied in float64; where that cancels, summed directly.

use super::points::Points;
use super::products;
use super::tiles::Compute;
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

/// The squared distances of all points `a` and `b`, as `f` turns them into dissimilarities.
fn tile(points: &Points, f: impl Fn(f64) -> f64, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f32>> {
    let products = products::double(points, a, b)?;
    let distance = |(k, product): (usize, f64)| {
        let (i, j) = (a.start + k / b.len(), b.start + k % b.len());
        let lengths = points.rows[i].squared + points.rows[j].squared;
        let squared = lengths - 2.0 * product;
        let squared = if squared < NEAR * lengths && i < j { points.squared_distance(i, j) } else { squared.max(0.0) };
        f(squared) as f32
    };
    Ok(products.into_iter().enumerate().map(distance).collect())
}

/// The mean of the squared distances over all ordered pairs, the diagonal included: twice the mean squared length of
/// the centred points.
fn mean_squared(points: &Points) -> f64 {
    2.0 * points.rows.iter().map(|row| row.squared).sum::<f64>() / points.rows.len() as f64
}
