//! From dissimilarities to centred kernels, as in classical scaling.
//!
//! With the pairs of K = −½ D doubly centred, the product of two is `⟨K, K'⟩`: the cosine of D and D' in the metric
//! `V⁻¹`, V = (C Cᵀ)∘² with C the contrasts of all pairs (Diedrichsen et al. 2021), without the m × m matrix V. It is
//! also linear CKA of the features if D is sqeuclidean.

use super::form::Form;

/// `K = −½ (D − row mean − column mean + mean)`, off-diagonal entries times √2 for they come twice.
pub(super) fn double_centred(n: usize, pairs: &[f64]) -> Form {
    let rows = row_sums(n, pairs);
    let size = n as f64;
    let means: Vec<f64> = rows.iter().map(|sum| sum / size).collect();
    let mean = means.iter().sum::<f64>() / size;
    let entry = |distance: f64, i: usize, j: usize| -0.5 * (distance - means[i] - means[j] + mean);
    let off_diagonal = indices(n).zip(pairs).map(|((i, j), &distance)| entry(distance, i, j) * std::f64::consts::SQRT_2);
    Form { pairs: off_diagonal.collect(), diagonal: (0..n).map(|i| entry(0.0, i, i)).collect() }
}

/// The pairs of −½ D, U-centred (Székely & Rizzo 2014): the product of two is the unbiased HSIC of Song et al. 2012, up
/// to a factor. What is added to all entries of a row and its column leaves no trace, so D stands for any kernel of it.
pub(super) fn u_centred(n: usize, pairs: &[f64]) -> Vec<f64> {
    let rows = row_sums(n, pairs);
    let size = n as f64;
    let all = rows.iter().sum::<f64>() / ((size - 1.0) * (size - 2.0));
    let means: Vec<f64> = rows.iter().map(|sum| sum / (size - 2.0)).collect();
    indices(n).zip(pairs).map(|((i, j), &distance)| -0.5 * (distance - means[i] - means[j] + all)).collect()
}

fn row_sums(n: usize, pairs: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for ((i, j), distance) in indices(n).zip(pairs) {
        sums[i] += distance;
        sums[j] += distance;
    }
    sums
}

/// `(i, j)` with `i < j`, row by row.
pub(super) fn indices(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}
