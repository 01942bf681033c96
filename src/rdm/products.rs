//! Inner products of a tile of points, fast and close to float64.
//!
//! Blocks of units are multiplied in float32 and their sums added in float64: the rounding of a block does not grow
//! with the number of units. For unit vectors a product is then within 1e-7 of float64 or little more, tested to 1e-6.

use super::points::{Points, blocks};
use crate::gemm::{Block, multiply};
use anyhow::Result;
use std::ops::Range;
use tch::kind::Element;

/// The products `[a, b]` of two ranges of points of unit length, row by row, in float32 blocks.
pub(super) fn single(points: &Points, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f64>> {
    let Some(values) = points.single() else {
        return sum(points, a, b, |rows, columns, to: &mut Vec<f32>| points.append_single(rows, columns, to));
    };
    let stride = points.features.columns;
    let mut sums = Sums::new(a.len() * b.len());
    for columns in blocks(stride) {
        let of = |rows| Block::of(values, stride, rows, &columns);
        sums.add(of(a), of(b))?;
    }
    Ok(sums.sums)
}

/// The products `[a, b]` of two ranges of points, row by row, in float64.
pub(super) fn double(points: &Points, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f64>> {
    sum(points, a, b, |rows, columns, to: &mut Vec<f64>| points.append(rows, columns, to))
}

fn sum<T: Element + Copy + From<f32> + Into<f64>>(
    points: &Points,
    a: &Range<usize>,
    b: &Range<usize>,
    append: impl Fn(Range<usize>, Range<usize>, &mut Vec<T>),
) -> Result<Vec<f64>> {
    let mut sums = Sums::new(a.len() * b.len());
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for columns in blocks(points.features.columns) {
        left.clear();
        append(a.clone(), columns.clone(), &mut left);
        if a != b {
            right.clear();
            append(b.clone(), columns.clone(), &mut right);
        }
        let right = if a == b { &left } else { &right };
        sums.add(Block::new(&left, columns.len()), Block::new(right, columns.len()))?;
    }
    Ok(sums.sums)
}

/// Products of blocks, added up in float64.
struct Sums<T> {
    sums: Vec<f64>,
    product: Vec<T>,
}

impl<T: Element + Copy + From<f32> + Into<f64>> Sums<T> {
    fn new(count: usize) -> Sums<T> {
        // Not 0: jemalloc gets large blocks of zeros from the kernel, whose page faults cost more than filling them.
        Sums { sums: Vec::with_capacity(count), product: vec![T::from(f32::NAN); count] }
    }

    fn add(&mut self, a: Block<T>, b: Block<T>) -> Result<()> {
        multiply(a, b, &mut self.product)?;
        if self.sums.is_empty() {
            self.sums.extend(self.product.iter().map(|&value| value.into()));
        } else {
            self.sums.iter_mut().zip(&self.product).for_each(|(sum, &value)| *sum += value.into());
        }
        Ok(())
    }
}
