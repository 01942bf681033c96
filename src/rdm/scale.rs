//! Whether dissimilarities fit into the float32 in which they are stored: the lengths of the points tell, before anything
//! is computed.

use super::errors;
use super::points::Points;
use crate::npy::Matrix;
use anyhow::Result;
use ndarray::Array2;

/// Below this, float32 loses digits, and soon everything.
const SMALLEST: f64 = (f32::MIN_POSITIVE / f32::EPSILON) as f64;

/// Fails if dissimilarities of `points` may be too large, or would all vanish though the stimuli differ; none exceeds `bound`
/// of the largest squared length and the number of units.
pub(super) fn check(bound: fn(f64, f64) -> f64, points: &Points, name: &dyn Fn(usize) -> String) -> Result<()> {
    let Some(farthest) = points.rows.iter().max_by(|a, b| a.squared.total_cmp(&b.squared)) else { return Ok(()) };
    let largest = bound(farthest.squared, points.features.columns as f64);
    if largest > f64::from(f32::MAX) {
        return Err(errors::too_large(largest, &name(farthest.row)));
    }
    let rows: Vec<usize> = points.rows.iter().map(|row| row.row).collect();
    if largest < SMALLEST && differ(&points.features, &rows) { Err(errors::too_small(largest)) } else { Ok(()) }
}

/// The same of an RDM.
pub(super) fn check_computed(rdm: &Array2<f64>, name: &dyn Fn(usize) -> String) -> Result<()> {
    let farthest = rdm.indexed_iter().max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
    match farthest.map(|((i, _), value)| (i, value.abs())) {
        Some((i, largest)) if largest.is_nan() || largest > f64::from(f32::MAX) => Err(errors::too_large(largest, &name(i))),
        Some((_, largest)) if largest > 0.0 && largest < SMALLEST => Err(errors::too_small(largest)),
        _ => Ok(()),
    }
}

fn differ(features: &Matrix, rows: &[usize]) -> bool {
    let values = |row: usize| {
        let mut values = Vec::with_capacity(features.columns);
        features.append(row, 0..features.columns, &mut values);
        values
    };
    let first = rows.first().map(|&row| values(row));
    rows.iter().any(|&row| Some(values(row)) != first)
}
