//! The city-block distance `Σ |xᵢ − yᵢ|`, as SciPy's `pdist(…, "cityblock")`.

use super::points::Points;
use anyhow::Result;
use std::ops::Range;

/// Units that are looked at a time: two rows of them stay in the cache.
const BLOCK: usize = 1024;

/// The distances of all rows `a` and `b`.
pub(super) fn tile(points: &Points, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f32>> {
    let mut sums = vec![0.0; a.len() * b.len()];
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for first in (0..points.features.columns).step_by(BLOCK) {
        let columns = first..points.features.columns.min(first + BLOCK);
        rows(points, a, &columns, &mut left);
        rows(points, b, &columns, &mut right);
        for (x, sums) in left.chunks_exact(columns.len()).zip(sums.chunks_exact_mut(b.len())) {
            for (y, sum) in right.chunks_exact(columns.len()).zip(sums) {
                *sum += distance(x, y);
            }
        }
    }
    Ok(sums.into_iter().map(|sum| sum as f32).collect())
}

fn rows(points: &Points, rows: &Range<usize>, columns: &Range<usize>, to: &mut Vec<f64>) {
    to.clear();
    points.append(rows.clone(), columns.clone(), to);
}

/// In eight sums, which the processor adds side by side.
fn distance(x: &[f64], y: &[f64]) -> f64 {
    let (x, y) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(|(x, y)| (x - y).abs()).sum();
    let mut sums = [0.0; 8];
    for (x, y) in x.zip(y) {
        (0..8).for_each(|k| sums[k] += (x[k] - y[k]).abs());
    }
    rest + sums.iter().sum::<f64>()
}
