//! Classical multidimensional scaling (Torgerson 1952): points in the plane whose distances are near the dissimilarities.

use super::centring::Means;
use super::{Rdms, pair};
use crate::error::advise;
use anyhow::Result;
use tch::{Device, Tensor};

/// Where the stimuli lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Of each stimulus.
    pub points: Vec<[f64; 2]>,
    /// Each axis' share of the variance: its eigenvalue by the sum of all that are positive.
    pub shares: [f64; 2],
}

impl Plane {
    /// The same points turned, and mirrored if need be, so that those of `other` are as near as can be (orthogonal Procrustes,
    /// Schönemann 1966); the shares are those of the new axes. In the plane the matrix is known in closed form.
    pub fn aligned(self, other: &Plane) -> Plane {
        let sum = |k: usize, l: usize| self.points.iter().zip(&other.points).map(|(own, other)| own[k] * other[l]).sum::<f64>();
        let [[a, b], [c, d]] = [[sum(0, 0), sum(0, 1)], [sum(1, 0), sum(1, 1)]];
        let (turned, mirrored) = ((a + d, b - c), (a - d, b + c));
        let sign = if turned.0.hypot(turned.1) < mirrored.0.hypot(mirrored.1) { -1.0 } else { 1.0 };
        let (cos, sin) = if sign < 0.0 { mirrored } else { turned };
        let length = cos.hypot(sin);
        if length == 0.0 {
            return self;
        }
        let (cos, sin) = (cos / length, sin / length);
        let squares = |points: &[[f64; 2]]| [0, 1].map(|k| points.iter().map(|point| point[k] * point[k]).sum::<f64>());
        let points: Vec<[f64; 2]> =
            self.points.iter().map(|[x, y]| [x * cos - sign * y * sin, x * sin + sign * y * cos]).collect();
        let whole = squares(&self.points).iter().sum::<f64>() / self.shares.iter().sum::<f64>();
        Plane { shares: squares(&points).map(|square| square / whole), points }
    }
}

/// More stimuli take too long, for all eigenvectors are computed.
const MOST: usize = 6000;

/// The first two coordinates of the first RDM in `rdms`, `√λ v` of the two largest eigenvalues λ and eigenvectors v of
/// `−½ C D² C`. Of each axis the value farthest from 0 is positive. Fails if a pair is missing.
pub fn plane(rdms: &Rdms) -> Result<Plane> {
    let (n, pairs) = (rdms.stimuli, &rdms.subjects[0]);
    if n > MOST {
        return Err(advise(format!("a map of {n} stimuli would take too long"), "take some of them: --max-conditions 2000"));
    }
    if pairs.iter().any(|pair| pair.is_nan()) {
        return Err(advise(
            "a map needs the dissimilarity of every pair, and some are missing",
            "leave out the stimuli without data; `thingsvision rdm check` says which",
        ));
    }
    let (values, vectors) = product(n, pairs)?.f_linalg_eigh("L")?;
    let values = Vec::<f64>::try_from(&values)?;
    let positive: f64 = values.iter().filter(|value| **value > 0.0).sum();
    // From the smallest to the largest.
    let axis = |number: usize| -> Result<(Vec<f64>, f64)> {
        let value = values[n - 1 - number].max(0.0);
        let vector = Vec::<f64>::try_from(vectors.f_select(1, (n - 1 - number) as i64)?.f_contiguous()?)?;
        let farthest = vector.iter().copied().fold(0.0, |far: f64, x| if x.abs() > far.abs() + 1e-12 { x } else { far });
        let scale = value.sqrt() * if farthest < 0.0 { -1.0 } else { 1.0 };
        Ok((vector.iter().map(|x| x * scale).collect(), value / positive))
    };
    let ((x, first), (y, second)) = (axis(0)?, axis(1)?);
    Ok(Plane { points: x.into_iter().zip(y).map(|(x, y)| [x, y]).collect(), shares: [first, second] })
}

/// `−½ C D² C`, `[n, n]`.
fn product(n: usize, pairs: &[f64]) -> Result<Tensor> {
    let means = Means::of(n, pairs.iter().map(|distance| distance.powi(2)));
    let square = |i: usize, j: usize| if i == j { 0.0 } else { pairs[pair(n, i, j)].powi(2) };
    let values: Vec<f64> = (0..n * n).map(|k| (k / n, k % n)).map(|(i, j)| means.centred(square(i, j), i, j)).collect();
    Ok(Tensor::from_slice(&values).f_view([n as i64, n as i64])?.to_device(Device::Cpu))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_that_is_turned_and_mirrored_lies_on_the_other() {
        let points = vec![[3.0, 0.5], [-2.0, 1.0], [0.5, -1.5], [-1.5, 0.0]];
        let first = Plane { points: points.clone(), shares: [0.7, 0.2] };
        for (angle, sign) in [(0.3f64, 1.0), (2.5, 1.0), (-1.2, -1.0), (0.0, -1.0)] {
            let (sin, cos) = angle.sin_cos();
            let turn = |[x, y]: &[f64; 2]| [cos * x - sin * y * sign, sin * x + cos * y * sign];
            let squares = |points: &[[f64; 2]]| [0, 1].map(|k| points.iter().map(|point| point[k] * point[k]).sum::<f64>());
            let turned: Vec<[f64; 2]> = points.iter().map(turn).collect();
            // 0.9 of the variance is shown, as much of each axis as its squares say.
            let shares = squares(&turned).map(|square| 0.9 * square / squares(&points).iter().sum::<f64>());
            let aligned = Plane { points: turned, shares }.aligned(&first);
            for (point, other) in aligned.points.iter().zip(&points) {
                assert!((0..2).all(|k| (point[k] - other[k]).abs() < 1e-12), "{angle} {sign}: {point:?} {other:?}");
            }
            assert!((aligned.shares.iter().sum::<f64>() - 0.9).abs() < 1e-12);
        }
    }
}
