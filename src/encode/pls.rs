//! Partial least squares of all targets together: NIPALS as scikit-learn's `PLSRegression` has it (Wegelin 2000), of the products of
//! features and targets alone, so that targets can be read in blocks.
//!
//! With C = Xᵀ Y of standardised targets, a component's weights w are the leading left singular vector of C, found by powers of
//! M = C Cᵀ from C's first column on. With t = X w and p = Xᵀ t / tᵀt, what is left of X is `X − t pᵀ`, of C `C − p (Cᵀ w)ᵀ`, and M follows.

use super::ridge::Decomposed;
use crate::error::advise;
use crate::gemm::{Block, multiply};
use crate::numbers::count_of;
use crate::rdm::lanes::dot;
use anyhow::Result;

/// Components along the axes of a decomposition.
pub(super) struct Components {
    /// Of each component the direction in X, over the squared length of its scores: what multiplies `Xᵀ y`, `[components, axes]`.
    directions: Vec<f64>,
    /// The scores of the rows that are predicted, `[predicted, components]`.
    scores: Vec<f64>,
    count: usize,
}

/// As scikit-learn's defaults.
const ITERATIONS: usize = 500;
const TOLERANCE: f64 = 1e-6;

impl Components {
    /// Of `count` components; `products` is M, `[axes, axes]`, and `first` the first column of C, of `targets` targets.
    pub(super) fn new(
        of: &Decomposed,
        count: usize,
        mut products: Vec<f64>,
        mut first: Vec<f64>,
        targets: usize,
    ) -> Result<Components> {
        let axes = of.lengths.len();
        let least = of.lengths.last().copied().unwrap_or(0.0) * of.fitted_rows.max(axes) as f64 * f64::EPSILON;
        let rank = of.lengths.iter().filter(|length| **length > least).count().min(of.fitted_rows - 1);
        if count > rank {
            return Err(advise(
                format!(
                    "the features of {} have {rank} independent dimensions, too few for {}",
                    count_of(of.fitted_rows, "row"),
                    count_of(count, "component")
                ),
                format!("take at most --components {}", rank.max(1)),
            ));
        }
        let (mut weights, mut loadings, mut squares): (Vec<Vec<f64>>, Vec<Vec<f64>>, Vec<f64>) = Default::default();
        for number in 0..count {
            let w = leading(&products, &first, targets);
            // What is left of X, `X − Σ t pᵀ`, is X times what is left of w: Xᵀ X is diagonal.
            let mut left = w.clone();
            for (weights, loadings) in weights.iter().zip(&loadings) {
                let along = dot(loadings, &left);
                left.iter_mut().zip(weights).for_each(|(left, weight)| *left -= along * weight);
            }
            let square: f64 = left.iter().zip(&of.lengths).map(|(left, length)| left * left * length).sum();
            if !(square > 0.0 && w.iter().all(|weight| weight.is_finite())) {
                return Err(advise(
                    format!("after {} nothing is left of the features that goes with the targets", count_of(number, "component")),
                    format!("take at most --components {}", number.max(1)),
                ));
            }
            let p: Vec<f64> = left.iter().zip(&of.lengths).map(|(left, length)| left * length / square).collect();
            let (of_w, along_first) = (times(&products, &w), dot(&w, &first));
            let own = dot(&w, &of_w);
            for (row, products) in products.chunks_exact_mut(axes).enumerate() {
                let (product, loading) = (of_w[row], p[row]);
                products.iter_mut().zip(&of_w).zip(&p).for_each(|((value, of_w), p)| {
                    *value += loading * p * own - product * p - loading * of_w;
                });
            }
            first.iter_mut().zip(&p).for_each(|(first, p)| *first -= p * along_first);
            weights.push(left);
            loadings.push(p);
            squares.push(square);
        }
        let directions =
            weights.iter().zip(&squares).flat_map(|(left, square)| left.iter().map(move |left| left / square)).collect();
        let flat = weights.concat();
        let mut scores = vec![0.0; of.predicted_rows() * count];
        multiply(Block::new(of.predicted(), axes), Block::new(&flat, axes), &mut scores)?;
        Ok(Components { directions, scores, count })
    }

    /// Predicts targets less their means, which are `along` the axes, `[targets, axes]`.
    pub(super) fn predict(&self, along: &[f64], predicted: &mut [f64]) -> Result<()> {
        let axes = self.directions.len() / self.count;
        let mut shares = vec![0.0; along.len() / axes * self.count];
        multiply(Block::new(along, axes), Block::new(&self.directions, axes), &mut shares)?;
        multiply(Block::new(&shares, self.count), Block::new(&self.scores, self.count), predicted)
    }
}

/// The leading eigenvector, as far as scikit-learn goes.
fn leading(products: &[f64], first: &[f64], targets: usize) -> Vec<f64> {
    let mut weights = unit(first.to_vec());
    if targets == 1 {
        return weights;
    }
    for _ in 1..ITERATIONS {
        let next = unit(times(products, &weights));
        let change: f64 = next.iter().zip(&weights).map(|(next, weight)| (next - weight).powi(2)).sum();
        weights = next;
        if change < TOLERANCE {
            break;
        }
    }
    weights
}

fn unit(mut values: Vec<f64>) -> Vec<f64> {
    let length = dot(&values, &values).sqrt() + f64::EPSILON;
    values.iter_mut().for_each(|value| *value /= length);
    values
}

/// A matrix times a vector.
fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(vector.len()).map(|row| dot(row, vector)).collect()
}
