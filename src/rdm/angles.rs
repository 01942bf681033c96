//! The correlation and the cosine distance: 1 less the product of unit vectors, as in SciPy's `pdist` and Kriegeskorte,
//! Mur & Bandettini 2008.
//!
//! Between nearly equal stimuli `1 − r` cancels; there it is computed as `½ Σ (uᵢ − vᵢ)²` of the unit vectors u and v,
//! which is the same number. Less than rounding can tell from 0 is 0, so that ranks do not depend on it.

use super::points::Points;
use super::products;
use super::tiles::Compute;
use anyhow::Result;
use std::ops::Range;

/// Below this distance a product in float32 has lost digits that matter.
const NEAR: f64 = 1e-4;

/// Below this one a product in float64 has.
const VERY_NEAR: f64 = 1e-9;

/// What rounding makes of 0 at most.
const ZERO: f64 = 64.0 * f64::EPSILON;

/// If more than one in this many of a tile is near, all of it is multiplied in float64: layers of untrained networks may
/// tell images hardly apart.
const MANY: usize = 256;

/// So many multiplications are done in float64 from the start, for it takes no time that one would notice.
const FEW: u128 = 1 << 31;

pub(super) fn of(points: &Points) -> Box<Compute<'_>> {
    let precision = precision(points);
    Box::new(move |a, b| tile(points, precision, a, b))
}

/// How the products of all pairs are computed: in float64 where there are few.
fn precision(points: &Points) -> Precision {
    let (n, d) = (points.rows.len() as u128, points.features.columns as u128);
    if n * n * d / 2 <= FEW { Precision::Double } else { Precision::Single }
}

/// Of the factors; sums over blocks are in float64 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Single,
    Double,
}

/// `1 − u·v` of all points `a` and `b`, 0 to 2.
fn tile(points: &Points, precision: Precision, a: &Range<usize>, b: &Range<usize>) -> Result<Vec<f32>> {
    if precision == Precision::Double {
        return Ok(refine(points, subtract(products::double(points, a, b)?), VERY_NEAR, a, b));
    }
    let distances = subtract(products::single(points, a, b)?);
    let near = distances.iter().filter(|&&distance| distance < NEAR).count();
    // Every stimulus is near to itself, which says nothing.
    let itself = if a == b { a.len() } else { 0 };
    if near.saturating_sub(itself) * MANY > distances.len() {
        return tile(points, Precision::Double, a, b);
    }
    Ok(refine(points, distances, NEAR, a, b))
}

fn subtract(mut products: Vec<f64>) -> Vec<f64> {
    products.iter_mut().for_each(|product| *product = 1.0 - product.clamp(-1.0, 1.0));
    products
}

fn refine(points: &Points, mut distances: Vec<f64>, near: f64, a: &Range<usize>, b: &Range<usize>) -> Vec<f32> {
    let of = |squared: f64| if squared / 2.0 < ZERO { 0.0 } else { squared / 2.0 };
    points.refine([a, b], &mut distances, |distance, _| distance < near, of);
    distances.into_iter().map(|distance| distance as f32).collect()
}
