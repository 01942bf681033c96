//! The units of a layer as they enter a fit, and sums over pairs of stimuli that need no array of pairs × units.

use crate::error::advise;
use crate::npy::Matrix;
use crate::rdm::pairs_of;
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Units that are taken at a time.
const BLOCK: usize = 1024;

/// The numbers of an array of pairs × some units at a time.
const NUMBERS: usize = 1 << 23;

/// Units of the stimuli that are fitted and of those that are predicted, each less its mean over the fitted ones, in units of its
/// standard deviation (of n) over them. Without the units that do not vary over them.
pub(super) struct Units {
    /// Z, `[n, units]`.
    fitted: Tensor,
    /// `[stimuli, units]`.
    predicted: Tensor,
    /// How many do not vary over the fitted stimuli.
    pub(super) constant: usize,
}

impl Units {
    /// Of these rows of `features`, which are finite.
    pub(super) fn new(features: &Matrix, [fitted, predicted]: [&[usize]; 2]) -> Result<Units> {
        let mut values = Vec::with_capacity((fitted.len() + predicted.len()) * features.columns);
        fitted.iter().chain(predicted).for_each(|&row| features.append(row, 0..features.columns, &mut values));
        let first = values[..features.columns].to_vec();
        // Half the difference from the first is finite.
        let rows = values.chunks_exact_mut(features.columns);
        rows.for_each(|row| row.iter_mut().zip(&first).for_each(|(value, first)| *value = *value * 0.5 - first * 0.5));
        let all = Tensor::f_from_slice(&values)?.f_view([-1, features.columns as i64])?;
        drop(values);
        let n = fitted.len() as i64;
        let largest = all.f_narrow(0, 0, n)?.f_abs()?.f_amax(0, false)?;
        let varies = largest.f_gt(0.0)?.f_nonzero()?.f_flatten(0, -1)?;
        let constant = features.columns - varies.size()[0] as usize;
        let mut all = if constant > 0 { all.f_index_select(1, &varies)? } else { all };
        let _ = all.f_div_(&largest.f_index_select(0, &varies)?)?;
        let (mean, deviation) = moments(&all.f_narrow(0, 0, n)?)?;
        let _ = all.f_sub_(&mean)?.f_div_(&deviation)?;
        let part = |from: i64, count: i64| all.f_narrow(0, from, count);
        Ok(Units { fitted: part(0, n)?, predicted: part(n, predicted.len() as i64)?, constant })
    }

    /// How many vary.
    pub(super) fn count(&self) -> usize {
        self.fitted.size()[1] as usize
    }

    /// n, of the fitted stimuli.
    pub(super) fn stimuli(&self) -> usize {
        self.fitted.size()[0] as usize
    }

    /// The mean of xₖ = (zᵢₖ − zⱼₖ)² over the pairs of fitted stimuli, the same for all units.
    pub(super) fn mean(&self) -> f64 {
        let n = self.stimuli() as f64;
        2.0 * n / (n - 1.0)
    }

    /// The covariance of all units' x over the m pairs of fitted stimuli, in the lower triangle of `[units, units]`.
    ///
    /// With columns of Z that sum to 0, `Σ_{i<j} (zᵢₖ − zⱼₖ)² (zᵢₗ − zⱼₗ)² = n (AᵀA)ₖₗ + sₖ sₗ + 2 (ZᵀZ)ₖₗ²`, A = Z∘Z and s the sums of
    /// its columns, which are all n here.
    pub(super) fn covariance(&self) -> Result<Tensor> {
        let (units, n) = (self.count(), self.stimuli() as f64);
        let m = n * (n - 1.0) / 2.0;
        let (z, a) = (self.fitted.f_mul_scalar((2.0 / m).powf(0.25))?, self.fitted.f_square()?.f_mul_scalar((n / m).sqrt())?);
        let all = Tensor::f_zeros([units as i64, units as i64], (Kind::Double, Device::Cpu))?;
        for first in (0..units).step_by(BLOCK) {
            let (from, count) = (first as i64, BLOCK.min(units - first) as i64);
            let product = |of: &Tensor| -> Result<Tensor> {
                Ok(of.f_narrow(1, from, count)?.f_tr()?.f_matmul(&of.f_narrow(1, 0, from + count)?)?)
            };
            let mut rows = product(&z)?;
            let _ = rows.f_square_()?.f_add_(&product(&a)?)?.f_sub_scalar_(n * n / m * (n + 1.0) / (n - 1.0))?;
            all.f_narrow(0, from, count)?.f_narrow(1, 0, from + count)?.f_copy_(&rows)?;
        }
        Ok(all)
    }

    /// `Σₖ xₖ xₖ' / m` of centred x for all two of the m pairs of fitted stimuli, `[m, m]`.
    pub(super) fn kernel(&self) -> Result<Tensor> {
        let (units, pairs) = (self.count(), pairs_of(self.stimuli()).count());
        let (one, other): (Vec<i64>, Vec<i64>) = pairs_of(self.stimuli()).map(|(i, j)| (i as i64, j as i64)).unzip();
        let [one, other] = [Tensor::f_from_slice(&one)?, Tensor::f_from_slice(&other)?];
        let block = (NUMBERS / pairs).clamp(1, units);
        let mut kernel = Tensor::f_zeros([pairs as i64; 2], (Kind::Double, Device::Cpu))?;
        for first in (0..units).step_by(block) {
            let z = self.fitted.f_narrow(1, first as i64, block.min(units - first) as i64)?;
            let mut x = z.f_index_select(0, &one)?;
            let _ = x.f_sub_(&z.f_index_select(0, &other)?)?.f_square_()?.f_sub_scalar_(self.mean())?;
            let _ = x.f_mul_scalar_((pairs as f64).sqrt().recip())?;
            let _ = kernel.f_addmm_(&x, &x.f_tr()?)?;
        }
        Ok(kernel)
    }

    /// `Σ_{i<j} xₖ y` of each unit with each `y`, `[m]` numbers of the pairs of fitted stimuli that sum to 0: `[units, ys]`.
    pub(super) fn products(&self, ys: &[Vec<f64>]) -> Result<Tensor> {
        let units = self.count();
        let products = Tensor::f_zeros([units as i64, ys.len() as i64], (Kind::Double, Device::Cpu))?;
        for (number, y) in ys.iter().enumerate() {
            let square = square(self.stimuli(), y)?;
            let sums = square.f_sum_dim_intlist(1, true, Kind::Double)?;
            for first in (0..units).step_by(BLOCK) {
                let (from, count) = (first as i64, BLOCK.min(units - first) as i64);
                let z = self.fitted.f_narrow(1, from, count)?;
                // (zᵢ − zⱼ)² = zᵢ² + zⱼ² − 2 zᵢ zⱼ.
                let own = z.f_square()?.f_mul(&sums)?.f_sub(&square.f_matmul(&z)?.f_mul(&z)?)?;
                let sum = own.f_sum_dim_intlist(0, false, Kind::Double)?;
                products.f_narrow(0, from, count)?.f_select(1, number as i64)?.f_copy_(&sum)?;
            }
        }
        Ok(products)
    }

    /// `Σₖ wₖ xₖ` of the pairs of predicted stimuli, with one weight for each unit.
    pub(super) fn distances(&self, weights: &Tensor) -> Result<Vec<f64>> {
        let z = &self.predicted;
        let products = Vec::<f64>::try_from(z.f_mul(weights)?.f_matmul(&z.f_tr()?)?.f_flatten(0, -1)?)?;
        let n = z.size()[0] as usize;
        let of = |(i, j): (usize, usize)| products[i * n + i] + products[j * n + j] - 2.0 * products[i * n + j];
        Ok(pairs_of(n).map(of).collect())
    }

    /// The same with all weights 1: squared Euclidean distances.
    pub(super) fn plain(&self) -> Result<Vec<f64>> {
        self.distances(&Tensor::f_ones([self.count() as i64], (Kind::Double, Device::Cpu))?)
    }

    /// Fails if none varies.
    pub(super) fn check(&self, layer: &str) -> Result<()> {
        if self.count() > 0 {
            return Ok(());
        }
        Err(advise(format!("no unit of `{layer}` varies over the stimuli of a fit"), "leave this layer out, or compare more stimuli"))
    }
}

/// The mean of each column, in two passes, and its standard deviation.
fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let rough = x.f_mean_dim(0, true, Kind::Double)?;
    let centred = x.f_sub(&rough)?;
    let rest = centred.f_mean_dim(0, true, Kind::Double)?;
    let variance = centred.f_sub(&rest)?.f_square_()?.f_mean_dim(0, true, Kind::Double)?;
    Ok((rough.f_add(&rest)?, variance.f_sqrt()?))
}

/// Pairs as a symmetric matrix with a diagonal of 0.
fn square(n: usize, pairs: &[f64]) -> Result<Tensor> {
    let mut square = vec![0.0; n * n];
    for ((i, j), &value) in pairs_of(n).zip(pairs) {
        square[i * n + j] = value;
        square[j * n + i] = value;
    }
    Ok(Tensor::f_from_slice(&square)?.f_view([n as i64, n as i64])?)
}
