//! From dissimilarities to centred kernels, as in classical scaling (Torgerson 1952).
//!
//! With the pairs of K = −½ D doubly centred, the product of two is `⟨K, K'⟩`: the cosine of D and D' in the metric
//! `V⁻¹`, V = (C Cᵀ)∘² with C the contrasts of all pairs (Diedrichsen et al. 2021), without the m × m matrix V. It is
//! also linear CKA of the features if D is sqeuclidean.

use super::pairs_of;

/// What `K = −½ (D − row mean − column mean + mean)` follows from.
pub(super) struct Means {
    rows: Vec<f64>,
    all: f64,
}

impl Means {
    /// Of the pairs of `n` stimuli and a diagonal of 0.
    pub(super) fn of(n: usize, pairs: impl Iterator<Item = f64>) -> Means {
        let rows: Vec<f64> = row_sums(n, pairs).into_iter().map(|sum| sum / n as f64).collect();
        Means { all: rows.iter().sum::<f64>() / n as f64, rows }
    }

    /// The entry of K where D has `distance`.
    pub(super) fn centred(&self, distance: f64, i: usize, j: usize) -> f64 {
        -0.5 * (distance - self.rows[i] - self.rows[j] + self.all)
    }
}

/// The pairs of K times √2, for they come twice, and its diagonal.
pub(crate) fn double_centred(n: usize, pairs: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let means = Means::of(n, pairs.iter().copied());
    let off_diagonal = pairs_of(n).zip(pairs).map(|((i, j), &distance)| means.centred(distance, i, j) * std::f64::consts::SQRT_2);
    (off_diagonal.collect(), (0..n).map(|i| means.centred(0.0, i, i)).collect())
}

/// The pairs of −½ D, U-centred (Székely & Rizzo 2014): the product of two is the unbiased HSIC of Song et al. 2012, up
/// to a factor. What is added to all entries of a row and its column leaves no trace, so D stands for any kernel of it.
pub(crate) fn u_centred(n: usize, pairs: &[f64]) -> Vec<f64> {
    let rows = row_sums(n, pairs.iter().copied());
    let size = n as f64;
    let all = rows.iter().sum::<f64>() / ((size - 1.0) * (size - 2.0));
    let rows = rows.into_iter().map(|sum| sum / (size - 2.0)).collect();
    let means = Means { rows, all };
    pairs_of(n).zip(pairs).map(|((i, j), &distance)| means.centred(distance, i, j)).collect()
}

fn row_sums(n: usize, pairs: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for ((i, j), distance) in pairs_of(n).zip(pairs) {
        sums[i] += distance;
        sums[j] += distance;
    }
    sums
}
