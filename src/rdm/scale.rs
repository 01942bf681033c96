//! Whether dissimilarities fit into the float32 in which they are stored: the lengths of the points tell, before anything
//! is computed.

use super::Metric;
use super::points::Points;
use crate::error::advise;
use crate::npy::Matrix;
use anyhow::Result;
use ndarray::Array2;

/// Below this, float32 loses digits, and soon everything.
const SMALLEST: f64 = (f32::MIN_POSITIVE / f32::EPSILON) as f64;

/// Fails if dissimilarities of `points` may be too large, or would all vanish though the stimuli differ.
pub(super) fn check(metric: Metric, points: &Points, name: &dyn Fn(usize) -> String) -> Result<()> {
    let Some(farthest) = points.rows.iter().max_by(|a, b| a.squared.total_cmp(&b.squared)) else { return Ok(()) };
    let Some(largest) = bound(metric, farthest.squared, points.features.columns as f64) else { return Ok(()) };
    if largest > f64::from(f32::MAX) {
        return Err(too_large(largest, &name(farthest.row)));
    }
    let rows: Vec<usize> = points.rows.iter().map(|row| row.row).collect();
    if largest < SMALLEST && differ(&points.features, &rows) { Err(too_small(largest)) } else { Ok(()) }
}

/// The same of an RDM.
pub(super) fn check_computed(rdm: &Array2<f64>, name: &dyn Fn(usize) -> String) -> Result<()> {
    let farthest = rdm.indexed_iter().max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
    match farthest.map(|((i, _), value)| (i, value.abs())) {
        Some((i, largest)) if largest.is_nan() || largest > f64::from(f32::MAX) => Err(too_large(largest, &name(i))),
        Some((_, largest)) if largest > 0.0 && largest < SMALLEST => Err(too_small(largest)),
        _ => Ok(()),
    }
}

/// What no dissimilarity exceeds, when no point has a larger squared length than `squared`; `None` of metrics that do not
/// depend on the unit. (Of points centred over the stimuli the largest is at least half of it, or a quarter if squared.)
fn bound(metric: Metric, squared: f64, units: f64) -> Option<f64> {
    match metric {
        Metric::Euclidean | Metric::Mahalanobis => Some(2.0 * squared.sqrt()),
        Metric::Sqeuclidean => Some(4.0 * squared),
        Metric::SqeuclideanPerFeature => Some(4.0 * squared / units),
        Metric::Cityblock => Some(2.0 * (units * squared).sqrt()),
        // At most 1, of squares that must not vanish themselves.
        Metric::Gaussian => Some(if squared < f64::MIN_POSITIVE / f64::EPSILON { 0.0 } else { 1.0 }),
        Metric::Correlation | Metric::Cosine | Metric::Spearman | Metric::Crossnobis | Metric::OddOneOut => None,
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

/// The error about rows whose squares are no numbers any more.
pub(super) fn too_large(largest: f64, stimulus: &str) -> anyhow::Error {
    let up_to = if largest.is_finite() { format!(", up to {largest:.0e}") } else { String::new() };
    advise(
        format!("dissimilarities of {stimulus} are too large for float32{up_to}"),
        "divide all features by a constant: no correlation and no rank of dissimilarities changes",
    )
}

fn too_small(largest: f64) -> anyhow::Error {
    advise(
        format!("all dissimilarities are too small for float32, at most {largest:.0e}, though the stimuli differ"),
        "multiply all features by a constant: no correlation and no rank of dissimilarities changes",
    )
}
