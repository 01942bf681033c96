//! Kernels of layers, how alike all two stimuli are by their features, and their alignment.

use super::rbf::Rbf;
use crate::error::advise;
use crate::memory;
use crate::npy::Matrix;
use crate::numbers::count;
use crate::rdm::errors::not_finite;
use crate::rdm::noise::less_mean;
use crate::rdm::power_of_two;
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Units that are read at a time.
const BLOCK: usize = 1024;

/// A centred kernel; the linear one, `K = X Xᵀ` of centred features `X` `[N, P]`, as whichever of the two is smaller.
pub(super) struct Kernel {
    factor: Factor,
    /// Kᵢᵢ.
    diagonal: Vec<f64>,
}

enum Factor {
    /// X, with fewer units than stimuli.
    Features(Tensor),
    /// K.
    Gram(Tensor),
}

impl Kernel {
    /// Of these `rows` of `features`, which messages call by `name`. Values that are not finite are an error, and so are
    /// rows that are all the same. It is the linear kernel, or `rbf`.
    pub(super) fn new(features: &Matrix, rows: &[usize], rbf: Option<Rbf>, name: &dyn Fn(usize) -> String) -> Result<Kernel> {
        let unit = checked_unit(features, rows, name)?;
        let (n, p) = (rows.len(), features.columns);
        if p < n && rbf.is_none() {
            let x = centred(features, rows, 0..p, unit)?;
            let diagonal = Vec::<f64>::try_from(x.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?)?;
            return Ok(Kernel { factor: Factor::Features(x), diagonal });
        }
        if rbf.is_some() {
            memory::check(&format_args!("the kernel of {} stimuli", count(n)), (6 * size_of::<f64>() * n * n) as u64)?;
        }
        let mut gram = Tensor::f_zeros([n as i64, n as i64], (Kind::Double, Device::Cpu))?;
        for first in (0..p).step_by(BLOCK) {
            let x = centred(features, rows, first..p.min(first + BLOCK), unit)?;
            gram = gram.f_add(&x.f_matmul(&x.f_tr()?)?)?;
        }
        if let Some(rbf) = rbf {
            gram = rbf.centred(&gram, &|i, j| squared_distance(features, [rows[i], rows[j]], unit))?;
        }
        let diagonal = Vec::<f64>::try_from(gram.f_diag(0)?)?;
        Ok(Kernel { factor: Factor::Gram(gram), diagonal })
    }

    /// `tr K / (‖K‖ √(n − 1))`, at most 1.
    pub(super) fn share(&self) -> Result<f64> {
        let trace: f64 = self.diagonal.iter().sum();
        Ok(trace / (self.product(self)? * (self.diagonal.len() as f64 - 1.0)).sqrt())
    }

    /// `⟨K, L⟩ / (‖K‖ ‖L‖)`, 0 to 1.
    pub(super) fn cka(&self, other: &Kernel) -> Result<f64> {
        let [own, both, others] = [self.product(self)?, self.product(other)?, other.product(other)?];
        Ok((both / (own.sqrt() * others.sqrt())).clamp(0.0, 1.0))
    }

    /// The same with the unbiased `HSIC = (tr K̃L̃ + 1ᵀK̃1 1ᵀL̃1 / ((n−1)(n−2)) − 2/(n−2) 1ᵀK̃L̃1) / (n(n−3))`, the diagonals
    /// of K̃ and L̃ being 0; NaN if a denominator is not positive, or only by rounding. It needs 4 stimuli.
    pub(super) fn unbiased(&self, other: &Kernel) -> Result<f64> {
        let [own, both, others] = [self.hsic(self)?, self.hsic(other)?, other.hsic(other)?];
        Ok(if own > self.rounding() && others > other.rounding() {
            (both / (own.sqrt() * others.sqrt())).clamp(-1.0, 1.0)
        } else {
            f64::NAN
        })
    }

    /// What rounding makes of an unbiased HSIC of 0 at most: `‖K‖ ≤ tr K`.
    fn rounding(&self) -> f64 {
        let n = self.diagonal.len() as f64;
        64.0 * f64::EPSILON * self.diagonal.iter().sum::<f64>().powi(2) / (n * (n - 3.0))
    }

    fn hsic(&self, other: &Kernel) -> Result<f64> {
        let n = self.diagonal.len() as f64;
        // The rows of centred kernels sum to 0, so those of K̃ to −Kᵢᵢ.
        let diagonals: f64 = self.diagonal.iter().zip(&other.diagonal).map(|(k, l)| k * l).sum();
        let trace = self.product(other)? - diagonals;
        let sum = |diagonal: &[f64]| diagonal.iter().sum::<f64>();
        let sums = sum(&self.diagonal) * sum(&other.diagonal) / ((n - 1.0) * (n - 2.0));
        Ok((trace + sums - 2.0 / (n - 2.0) * diagonals) / (n * (n - 3.0)))
    }

    /// `Σ Kᵢⱼ Lᵢⱼ`, without making what is not there: `‖XᵀY‖²` of features.
    fn product(&self, other: &Kernel) -> Result<f64> {
        let sum = |tensor: Tensor| -> Result<f64> { Ok(tensor.f_sum(Kind::Double)?.double_value(&[])) };
        match (&self.factor, &other.factor) {
            (Factor::Features(x), Factor::Features(y)) => sum(x.f_tr()?.f_matmul(y)?.f_square()?),
            (Factor::Gram(k), Factor::Gram(l)) => sum(k.f_mul(l)?),
            (Factor::Gram(k), Factor::Features(x)) | (Factor::Features(x), Factor::Gram(k)) => sum(k.f_matmul(x)?.f_mul(x)?),
        }
    }
}

/// The power of two of the largest difference from the first row, in units of which no product of kernels overflows or vanishes.
fn checked_unit(features: &Matrix, rows: &[usize], name: &dyn Fn(usize) -> String) -> Result<f64> {
    let first = features.row(rows[0]);
    let mut largest = 0.0f64;
    for &row in rows {
        let values = features.row(row);
        if values.iter().any(|value| !value.is_finite()) {
            return Err(not_finite(&[row], name));
        }
        largest = values.iter().zip(&first).fold(largest, |largest, (&value, &first)| largest.max(apart(value, first).abs()));
    }
    match largest > 0.0 {
        true => Ok(power_of_two(largest)),
        false => Err(advise("all stimuli have the same values, so nothing is like them", "leave this layer or file out")),
    }
}

/// Half the difference of two values, which is finite.
fn apart(value: f64, first: f64) -> f64 {
    value * 0.5 - first * 0.5
}

/// Of two rows, in the units of [`centred`].
fn squared_distance(features: &Matrix, [one, other]: [usize; 2], unit: f64) -> f64 {
    let other = features.row(other);
    features.row(one).iter().zip(other).map(|(&value, other)| (apart(value, other) / unit).powi(2)).sum()
}

/// The units of `columns` divided by `unit`, each less its mean over the stimuli.
fn centred(features: &Matrix, rows: &[usize], columns: std::ops::Range<usize>, unit: f64) -> Result<Tensor> {
    let mut values: Vec<f64> = Vec::with_capacity(rows.len() * columns.len());
    rows.iter().for_each(|&row| features.append(row, columns.clone(), &mut values));
    let first = values[..columns.len()].to_vec();
    for row in values.chunks_exact_mut(columns.len()) {
        row.iter_mut().zip(&first).for_each(|(value, &first)| *value = apart(*value, first) / unit);
    }
    less_mean(&values, rows.len(), columns.len())
}
