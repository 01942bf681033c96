//! Symmetric matrices by their lower triangle, half the memory of the whole, and equations with them. Work is shared by all cores, each
//! number as one core would make it.

use crate::error::advise;
use crate::gemm::{Block, multiply};
use crate::parallel::parallel;
use crate::rdm::lanes::dot;
use anyhow::Result;
use std::ops::Range;
use tch::Tensor;

/// Rows of a panel.
const ROWS: usize = 256;

/// Panels of some rows each, all columns from the first to the last row of the panel: numbers beyond the diagonal say nothing.
pub(super) struct Triangle {
    size: usize,
    panels: Vec<Vec<f64>>,
}

impl Triangle {
    /// Of panels that are made of their rows and the number of their columns.
    pub(super) fn new(size: usize, panel: &(dyn Fn(Range<usize>) -> Result<Vec<f64>> + Sync)) -> Result<Triangle> {
        let count = size.div_ceil(ROWS);
        // The largest first, so that all cores have work to the end.
        let mut panels = parallel(count, &|place| panel(rows(size, count - 1 - place)))?;
        panels.reverse();
        Ok(Triangle { size, panels })
    }

    /// Adds another of the same size.
    pub(super) fn add(&mut self, other: &Triangle) {
        let numbers = self.panels.iter_mut().flatten().zip(other.panels.iter().flatten());
        numbers.for_each(|(own, other)| *own += other);
    }

    pub(super) fn trace(&self) -> f64 {
        (0..self.size).map(|row| self.row(row)[row]).sum()
    }

    /// A row up to the diagonal.
    fn row(&self, row: usize) -> &[f64] {
        let panel = row / ROWS;
        let stride = rows(self.size, panel).end;
        &self.panels[panel][row % ROWS * stride..][..=row]
    }

    /// L of `matrix + ridge = LLᵀ` (Cholesky), column of panels by column.
    pub(super) fn factor(&self, ridge: f64) -> Result<Factor> {
        let mut panels: Vec<Vec<f64>> = self.panels.iter().map(|panel| vec![0.0; panel.len()]).collect();
        for column in 0..panels.len() {
            let count = panels.len() - column;
            let mut tiles = parallel(count, &|place| self.less_products(&panels, column + place, column))?;
            let width = rows(self.size, column).len();
            (0..width).for_each(|place| tiles[0][place * width + place] += ridge);
            factor_in_place(&mut tiles[0], width)?;
            let (own, below) = tiles.split_at(1);
            let solved = parallel(count - 1, &|place| divided(&below[place], &own[0], width))?;
            for (place, tile) in own.iter().chain(&solved).enumerate() {
                write(&mut panels[column + place], rows(self.size, column + place).end, column * ROWS, tile, width);
            }
        }
        Ok(Factor(Triangle { size: self.size, panels }))
    }

    /// A tile of the matrix less what the finished columns of the factor make of it.
    fn less_products(&self, finished: &[Vec<f64>], panel: usize, column: usize) -> Result<Vec<f64>> {
        let [own, across] = [panel, column].map(|place| rows(self.size, place));
        let mut products = vec![0.0; own.len() * across.len()];
        if column > 0 {
            let block = |place: usize, of: &Range<usize>| Block::of(&finished[place], of.end, &(0..of.len()), &(0..across.start));
            multiply(block(panel, &own), block(column, &across), &mut products)?;
        }
        for (row, products) in products.chunks_exact_mut(across.len()).enumerate() {
            let values = &self.panels[panel][row * own.end + across.start..][..across.len()];
            products.iter_mut().zip(values).for_each(|(product, value)| *product = value - *product);
        }
        Ok(products)
    }
}

/// L.
pub(super) struct Factor(Triangle);

impl Factor {
    /// `(LLᵀ)⁻¹ right`.
    pub(super) fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut x = right.to_vec();
        for row in 0..x.len() {
            let (own, diagonal) = self.parts(row);
            x[row] = (x[row] - dot(own, &x[..row])) / diagonal;
        }
        for row in (0..x.len()).rev() {
            let (own, diagonal) = self.parts(row);
            x[row] /= diagonal;
            let value = x[row];
            x[..row].iter_mut().zip(own).for_each(|(x, number)| *x -= value * number);
        }
        x
    }

    fn parts(&self, row: usize) -> (&[f64], f64) {
        let all = self.0.row(row);
        (&all[..row], all[row])
    }
}

/// The rows of a panel.
fn rows(size: usize, panel: usize) -> Range<usize> {
    panel * ROWS..size.min((panel + 1) * ROWS)
}

/// The factor of a tile on the diagonal, `[width, width]`.
fn factor_in_place(tile: &mut [f64], width: usize) -> Result<()> {
    for row in 0..width {
        let (above, own) = tile.split_at_mut(row * width);
        for column in 0..row {
            let other = &above[column * width..][..=column];
            own[column] = (own[column] - dot(&own[..column], &other[..column])) / other[column];
        }
        let left = own[row] - dot(&own[..row], &own[..row]);
        if left.is_nan() || left <= 0.0 {
            return Err(advise(
                "the penalty is so small that rounding makes up the weights",
                "take a larger one: --penalty 1e-6",
            ));
        }
        own[row] = left.sqrt();
        own[row + 1..width].fill(0.0);
    }
    Ok(())
}

/// `tile L⁻ᵀ`.
fn divided(tile: &[f64], factor: &[f64], width: usize) -> Result<Vec<f64>> {
    let matrix = |values: &[f64]| Tensor::f_from_slice(values)?.f_view([-1, width as i64]);
    let found = matrix(factor)?.f_tr()?.f_linalg_solve_triangular(&matrix(tile)?, true, false, false)?;
    Ok(Vec::try_from(found.f_contiguous()?.f_view(-1)?)?)
}

/// Puts a tile into a panel of `stride` columns.
fn write(panel: &mut [f64], stride: usize, first: usize, tile: &[f64], width: usize) {
    for (row, values) in panel.chunks_exact_mut(stride).zip(tile.chunks_exact(width)) {
        row[first..first + width].copy_from_slice(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of three panels: `M x` is what was to be.
    #[test]
    fn solutions_solve_the_equations() {
        let size = 2 * ROWS + 37;
        let number = |i: usize, j: usize| ((i * 31 + j * 17) % 101) as f64 / 101.0;
        let values: Vec<f64> = (0..size * size).map(|place| number(place / size, place % size)).collect();
        let panel = |rows: Range<usize>| {
            let mut panel = vec![0.0; rows.len() * rows.end];
            multiply(
                Block::of(&values, size, &rows, &(0..size)),
                Block::of(&values, size, &(0..rows.end), &(0..size)),
                &mut panel,
            )?;
            Ok(panel)
        };
        let triangle = Triangle::new(size, &panel).unwrap();
        let right: Vec<f64> = (0..size).map(|place| number(place, 3)).collect();
        let x = triangle.factor(5.0).unwrap().solve(&right);
        let element = |i: usize, j: usize| if i >= j { triangle.row(i)[j] } else { triangle.row(j)[i] };
        for i in 0..size {
            let product: f64 = (0..size).map(|j| element(i, j) * x[j]).sum::<f64>() + 5.0 * x[i];
            assert!((product - right[i]).abs() < 1e-9, "{i}: {product}, not {}", right[i]);
        }
        assert!(triangle.factor(-1e9).is_err());
    }
}
