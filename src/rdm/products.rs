//! Inner products of a tile of points, fast and close to float64.
//!
//! Blocks of units are multiplied in float32 and their sums added in float64: the rounding of a block does not grow
//! with the number of units. For unit vectors a product is then within 1e-7 of float64 or little more, tested to 1e-6.

use super::points::Points;
use crate::gemm::multiply;
use anyhow::Result;
use std::ops::Range;
use tch::kind::Element;

/// Units that are multiplied at a time.
const BLOCK: usize = 512;

/// The products `[a, b]` of two ranges of points of unit length, row by row, in float32 blocks.
pub(super) fn single(points: &Points, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f64>> {
    sum(points, a, b, |rows, columns, to: &mut Vec<f32>| points.append_single(rows, columns, to))
}

/// The products `[a, b]` of two ranges of points, row by row, in float64.
pub(super) fn double(points: &Points, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f64>> {
    sum(points, a, b, |rows, columns, to: &mut Vec<f64>| points.append(rows, columns, to))
}

fn sum<T: Element + Copy + Default + Into<f64>>(
    points: &Points,
    a: &Range<usize>,
    b: &Range<usize>,
    append: impl Fn(Range<usize>, Range<usize>, &mut Vec<T>),
) -> Result<Vec<f64>> {
    let units = points.features.columns;
    let mut sums = vec![0.0; a.len() * b.len()];
    let mut product = vec![T::default(); sums.len()];
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for first in (0..units).step_by(BLOCK) {
        let columns = first..units.min(first + BLOCK);
        left.clear();
        append(a.clone(), columns.clone(), &mut left);
        if a != b {
            right.clear();
            append(b.clone(), columns.clone(), &mut right);
        }
        multiply(&left, if a == b { &left } else { &right }, columns.len(), &mut product)?;
        sums.iter_mut().zip(&product).for_each(|(sum, &value)| *sum += value.into());
    }
    Ok(sums)
}
