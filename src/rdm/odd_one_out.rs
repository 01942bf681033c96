//! The odd-one-out dissimilarity of an embedding: how rarely two stimuli are kept together when a third is beside them, as
//! SPoSE and VICE model the choices of people (Hebart, Zheng, Pereira & Baker 2020, Nature Human Behaviour).
//!
//! With `s` the products of the rows it is `1 − p(i, j)`, and `p(i, j)` the mean over all others k of
//! `exp(s_ij) / (exp(s_ij) + exp(s_ik) + exp(s_jk))`, in float64. All exponents of a pair are taken less one number that is
//! near `s_ij`, so that none matters and is lost: what overflows stands for a third that is never the odd one.

use super::lanes;
use super::noise::Noise;
use super::points::Points;
use super::products;
use super::tiles::Compute;
use crate::error::advise;
use crate::npy::Matrix;
use anyhow::Result;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// The side of the bands of the RDM, for a tile needs the products of its rows with all others.
pub(super) const SIDE: usize = 256;

/// Pairs whose products lie within so much of each other share a shift: e³⁰⁰ is far from what float64 cannot hold.
const SPAN: f64 = 600.0;

/// The features; fails if no pair has a third beside it.
pub(super) fn checked(features: Matrix, _: Option<&Noise>, _: &dyn Fn(usize) -> String) -> Result<Matrix> {
    match features.rows {
        0..3 => Err(advise(
            format!("odd-one-out needs a third stimulus beside each pair, and there are {}", features.rows),
            "give three stimuli or more, or measure by another metric, such as euclidean",
        )),
        _ => Ok(features),
    }
}

pub(super) fn of(points: &Points) -> Box<Compute<'_>> {
    Box::new(|a, b| tile(points, a, b))
}

/// `1 − p` of all rows `a` and `b` above the diagonal, 0 to 1.
fn tile(points: &Points, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f32>> {
    let (left, right) = (Products::of(points, a)?, Products::of(points, b)?);
    let thirds = (points.rows.len() - 2) as f64;
    let mut tile = vec![0.0; a.len() * b.len()];
    for (shift, pairs) in by_shift(&left, a, b) {
        let shift = f64::from_bits(shift);
        let mut of_columns = HashMap::new();
        for of_row in pairs.chunk_by(|one, next| one.0 == next.0) {
            let x = left.exponentials(of_row[0].0, shift);
            for &(i, j) in of_row {
                let y = of_columns.entry(j).or_insert_with(|| right.exponentials(j, shift));
                let e = x[j];
                let kept = e * lanes::sum(&x, y, |x, y| 1.0 / (e + x + y)) / thirds;
                tile[(i - a.start) * b.len() + j - b.start] = (1.0 - kept).max(0.0) as f32;
            }
        }
    }
    Ok(tile)
}

/// The pairs `i < j` of a tile, row by row, by the bits of the shift that is near their product.
fn by_shift(left: &Products, a: &Range<usize>, b: &Range<usize>) -> BTreeMap<u64, Vec<(usize, usize)>> {
    let mut pairs: BTreeMap<u64, Vec<(usize, usize)>> = BTreeMap::new();
    for i in a.clone() {
        for j in b.clone().filter(|&j| i < j) {
            pairs.entry(shift(left.row(i)[j]).to_bits()).or_default().push((i, j));
        }
    }
    pairs
}

/// A multiple of [`SPAN`] near `product`; of products so large that they lie further apart than that, the product itself.
fn shift(product: f64) -> f64 {
    let near = (product / SPAN).round() * SPAN;
    // Without the sign of −0, which is the same shift.
    if (product - near).abs() <= SPAN { near + 0.0 } else { product }
}

/// The products of some rows with all, `[rows, N]`.
struct Products {
    values: Vec<f64>,
    first: usize,
    stimuli: usize,
}

impl Products {
    fn of(points: &Points, rows: &Range<usize>) -> Result<Products> {
        let stimuli = points.rows.len();
        Ok(Products { values: products::double(points, rows, &(0..stimuli))?, first: rows.start, stimuli })
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.values[(i - self.first) * self.stimuli..][..self.stimuli]
    }

    /// `exp(s − shift)` of row `i`; infinite for `i` itself, which so adds nothing as a third.
    fn exponentials(&self, i: usize, shift: f64) -> Vec<f64> {
        let mut exponentials: Vec<f64> = self.row(i).iter().map(|product| (product - shift).exp()).collect();
        exponentials[i] = f64::INFINITY;
        exponentials
    }
}
