//! The city-block distance `Σ |xᵢ − yᵢ|`, as SciPy's `pdist(…, "cityblock")`.

use super::lanes;
use super::points::Points;
use super::tiles::Compute;
use anyhow::Result;
use std::ops::Range;

/// Units that are looked at a time: two rows of them stay in the cache.
const BLOCK: usize = 1024;

pub(super) fn of(points: &Points) -> Box<Compute<'_>> {
    Box::new(|a, b| tile(points, a, b))
}

/// The distances of all rows `a` and `b`.
fn tile(points: &Points, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f32>> {
    let mut sums = vec![0.0; a.len() * b.len()];
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for first in (0..points.features.columns).step_by(BLOCK) {
        let columns = first..points.features.columns.min(first + BLOCK);
        rows(points, a, &columns, &mut left);
        rows(points, b, &columns, &mut right);
        for (x, sums) in left.chunks_exact(columns.len()).zip(sums.chunks_exact_mut(b.len())) {
            for (y, sum) in right.chunks_exact(columns.len()).zip(sums) {
                *sum += lanes::sum(x, y, |x, y| (x - y).abs());
            }
        }
    }
    Ok(sums.into_iter().map(|sum| sum as f32).collect())
}

fn rows(points: &Points, rows: &Range<usize>, columns: &Range<usize>, to: &mut Vec<f64>) {
    to.clear();
    points.append(rows.clone(), columns.clone(), to);
}
