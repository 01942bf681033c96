//! The crossnobis dissimilarity: the squared Mahalanobis distance, cross-validated over partitions, so that its mean is 0
//! for stimuli that do not differ. It may be negative, and is never clipped (Walther et al. 2016).

use super::design::{Labels, means};
use super::noise::{Noise, less_mean};
use crate::error::advise;
use crate::npy::Matrix;
use anyhow::Result;
use ndarray::Array2;
use tch::Tensor;

/// `d(i, j) = Σ_{a ≠ b} (xᵢ − xⱼ)ₐ Σ⁻¹ (xᵢ − xⱼ)ᵦᵀ / (M (M − 1) P)` over the M partitions, of the condition means in each.
///
/// With z the patterns in units of the noise and s their sum over partitions, all pairs of partitions at once are
/// `G = s sᵀ − Σₘ zₘ zₘᵀ` and `d(i, j) = (Gᵢᵢ + Gⱼⱼ − 2 Gᵢⱼ) / (M (M − 1) P)`, as rsatoolbox's `calc_rdm_crossnobis`
/// with one noise covariance.
pub(super) fn rdm(features: &Matrix, noise: &Noise, name: &dyn Fn(usize) -> String) -> Result<Array2<f64>> {
    let Some((conditions, partitions)) = &noise.design else {
        return Err(advise("crossnobis needs to know which row is of which partition", "give --conditions and --partitions"));
    };
    let whitened = noise.whiten(features, name)?;
    let (n, m) = (conditions.names.len(), partitions.names.len());
    check(conditions, partitions)?;
    let mut sum: Option<Tensor> = None;
    let mut within: Option<Tensor> = None;
    for partition in 0..m {
        let z = pattern(&whitened, conditions, partitions, partition)?;
        let own = z.f_matmul(&z.f_tr()?)?;
        within = Some(within.map_or(Ok(own.shallow_clone()), |sum| sum.f_add(&own))?);
        sum = Some(sum.map_or(Ok(z.shallow_clone()), |sum| sum.f_add(&z))?);
    }
    let (Some(sum), Some(within)) = (sum, within) else { return Ok(Array2::zeros((0, 0))) };
    let gram = sum.f_matmul(&sum.f_tr()?)?.f_sub(&within)?;
    let mut values = vec![0.0; n * n];
    gram.f_copy_data(&mut values, n * n)?;
    let g = Array2::from_shape_vec((n, n), values)?;
    let scale = (m * (m - 1) * features.columns) as f64;
    Ok(Array2::from_shape_fn((n, n), |(i, j)| (g[[i, i]] + g[[j, j]] - g[[i, j]] - g[[j, i]]) / scale))
}

/// Fails unless every condition is in every partition, of which there are at least two.
fn check(conditions: &Labels, partitions: &Labels) -> Result<()> {
    if partitions.names.len() < 2 {
        return Err(advise("crossnobis needs at least two partitions", "name the session or run of each row in --partitions"));
    }
    for (number, partition) in partitions.names.iter().enumerate() {
        let has = |condition: usize| rows_of(conditions, partitions, condition, number).next().is_some();
        if let Some(missing) = (0..conditions.names.len()).find(|&condition| !has(condition)) {
            return Err(advise(
                format!("`{}` is not in partition `{partition}`", conditions.names[missing]),
                "every condition must have been measured in every partition; leave out the others",
            ));
        }
    }
    Ok(())
}

fn rows_of<'a>(
    conditions: &'a Labels,
    partitions: &'a Labels,
    condition: usize,
    partition: usize,
) -> impl Iterator<Item = usize> + 'a {
    let rows = 0..conditions.of_row.len();
    rows.filter(move |&row| conditions.of_row[row] == condition && partitions.of_row[row] == partition)
}

/// The mean pattern of each condition in a partition, `[N, P]`.
fn pattern(whitened: &Matrix, conditions: &Labels, partitions: &Labels, partition: usize) -> Result<Tensor> {
    let groups: Vec<Vec<usize>> =
        (0..conditions.names.len()).map(|condition| rows_of(conditions, partitions, condition, partition).collect()).collect();
    // No distance changes when the mean pattern of a partition is taken out, and a large common offset cannot cancel.
    less_mean(&means(whitened, &groups).values(), groups.len(), whitened.columns)
}
