//! The Gaussian (RBF) kernel of features for CKA, its width in units of the median distance (Kornblith et al. 2019).

use crate::error::advise;
use crate::rdm::power_of_two;
use anyhow::Result;
use tch::{Kind, Tensor};

/// The share of the squared lengths below which a difference of them has lost digits that matter.
const NEAR: f64 = 1e-6;

/// Below this share of what there is a difference is one of rounding.
const ROUNDING: f64 = 1e-13;

/// Which kernel `exp(−‖x − y‖² / (2 σ²))` is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rbf {
    /// σ² is its square times the median squared distance.
    pub(super) width: f64,
    /// Whether it is to be U-centred, with a diagonal of 0, so that products of two are unbiased HSICs.
    pub(super) unbiased: bool,
}

impl Rbf {
    /// The centred kernel, in units of its own, of points whose products are `gram` `[N, N]`; `distance` computes one squared distance
    /// from the points.
    pub(super) fn centred(self, gram: &Tensor, distance: &dyn Fn(usize, usize) -> f64) -> Result<Tensor> {
        let n = gram.size()[0];
        let exponents = exponents(&squared_distances(gram, distance)?, n as usize, self.width)?;
        let exponents = Tensor::f_from_slice(&exponents)?.f_view([n, n])?;
        if self.unbiased { u_centred(&exponents, self.width) } else { centred(&exponents) }
    }
}

/// Of all entries, the diagonal included, less the means of rows and columns.
fn centred(exponents: &Tensor) -> Result<Tensor> {
    // Less 1 everywhere, which centring takes away: of wide kernels nothing would be left of small differences.
    let kernel = exponents.f_neg()?.f_expm1()?;
    let largest = kernel.f_abs()?.f_max()?.double_value(&[]);
    if largest < 1e-290 {
        return Err(advise("the bandwidth is so large that all stimuli are alike", "give a smaller --bandwidth"));
    }
    let less_means = |k: &Tensor| -> Result<Tensor> {
        let means = k.f_mean_dim(0, false, Kind::Double)?;
        less(k, &means, &means.f_mean(Kind::Double)?)
    };
    less_means(&less_means(&kernel.f_div_scalar(power_of_two(largest))?)?)
}

/// Of the entries off the diagonal alone (Székely & Rizzo 2014): all 0 if they do not differ.
fn u_centred(exponents: &Tensor, width: f64) -> Result<Tensor> {
    let n = exponents.size()[0];
    let infinite = Tensor::f_eye(n, (Kind::Double, exponents.device()))?.f_mul_scalar(f64::MAX)?;
    let nearest = exponents.f_add(&infinite)?.f_min()?;
    // In units of the largest entry and less 1: of narrow kernels all are small, of wide ones all nearly 1.
    let mut kernel = nearest.f_sub(exponents)?.f_expm1()?.f_fill_diagonal_(0.0, false)?;
    let largest = kernel.f_abs()?.f_max()?.double_value(&[]);
    if largest <= ROUNDING / width / width {
        return Ok(kernel.f_zeros_like()?);
    }
    kernel = kernel.f_div_scalar(power_of_two(largest))?;
    for _ in 0..2 {
        let sums = kernel.f_sum_dim_intlist(0, false, Kind::Double)?.f_div_scalar((n - 2) as f64)?;
        let overall = sums.f_sum(Kind::Double)?.f_div_scalar((n - 1) as f64)?;
        kernel = less(&kernel, &sums, &overall)?.f_fill_diagonal_(0.0, false)?;
    }
    let left = kernel.f_abs()?.f_max()?.double_value(&[]);
    if left > ROUNDING { Ok(kernel) } else { Ok(kernel.f_zeros_like()?) }
}

/// `kᵢⱼ − rowᵢ − rowⱼ + overall`.
fn less(k: &Tensor, rows: &Tensor, overall: &Tensor) -> Result<Tensor> {
    Ok(k.f_sub(&rows.f_unsqueeze(0)?)?.f_sub(&rows.f_unsqueeze(1)?)?.f_add(overall)?)
}

/// `‖x‖² + ‖y‖² − 2 x·y` of all points, row by row; of those that are near each other `distance`.
fn squared_distances(gram: &Tensor, distance: &dyn Fn(usize, usize) -> f64) -> Result<Vec<f64>> {
    let n = gram.size()[0] as usize;
    let mut squared = Vec::<f64>::try_from(gram.f_reshape([-1])?)?;
    let lengths: Vec<f64> = (0..n).map(|i| squared[i * n + i]).collect();
    for i in 0..n {
        squared[i * n + i] = 0.0;
        for j in i + 1..n {
            let both = lengths[i] + lengths[j];
            let apart = both - 2.0 * squared[i * n + j];
            let apart = if apart < NEAR * both { distance(i, j) } else { apart };
            squared[i * n + j] = apart;
            squared[j * n + i] = apart;
        }
    }
    Ok(squared)
}

/// `‖x − y‖² / (2 σ²)`.
fn exponents(squared: &[f64], n: usize, width: f64) -> Result<Vec<f64>> {
    let median = median(squared, n);
    if median == 0.0 {
        return Err(advise(
            "so many stimuli have the same values that the median distance is 0",
            "leave out repeated stimuli, or take the linear kernel",
        ));
    }
    // Not width², which may be more than there is.
    let exponents: Vec<f64> = squared.iter().map(|squared| squared / median / 2.0 / width / width).collect();
    let nearest = (0..n * n).filter(|k| k / n != k % n).map(|k| exponents[k]).fold(f64::INFINITY, f64::min);
    if nearest > -f64::EPSILON.ln() {
        return Err(advise("the bandwidth is so small that no stimulus is like another", "give a larger --bandwidth"));
    }
    Ok(exponents)
}

/// The median of a symmetric matrix, as NumPy has it, of which the diagonal is 0 and nothing is less.
fn median(squared: &[f64], n: usize) -> f64 {
    let mut pairs: Vec<f64> = (0..n).flat_map(|i| squared[i * n + i + 1..(i + 1) * n].iter().copied()).collect();
    // In order there are n zeros, and then each pair twice.
    let [below, above] = [(n * n - 1) / 2, n * n / 2].map(|place| place.saturating_sub(n) / 2);
    let (smaller, &mut upper, _) = pairs.select_nth_unstable_by(above, f64::total_cmp);
    let lower = if below < above { smaller.iter().copied().fold(0.0, f64::max) } else { upper };
    (lower + upper) / 2.0
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_that_of_the_whole_matrix() {
        for n in [4usize, 5, 6, 7, 8, 9] {
            let at = |i: usize, j: usize| if i == j { 0.0 } else { ((i * j * 7 + (i + j) * 3) % 23) as f64 };
            let matrix: Vec<f64> = (0..n * n).map(|k| at(k / n, k % n)).collect();
            let mut sorted = matrix.clone();
            sorted.sort_by(f64::total_cmp);
            let expected = (sorted[(n * n - 1) / 2] + sorted[n * n / 2]) / 2.0;
            assert_eq!(median(&matrix, n), expected, "{n}");
        }
    }
}
