//! Linear centred kernel alignment of features (Kornblith, Norouzi, Lee & Hinton 2019), and its unbiased estimate (Song
//! et al. 2012; Nguyen, Raghu & Kornblith 2021).

use crate::error::advise;
use crate::npy::Matrix;
use crate::rdm::errors::not_finite;
use crate::rdm::noise::less_mean;
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Units that are read at a time.
const BLOCK: usize = 1024;

/// The linear kernel `K = X Xᵀ` of centred features `X` `[N, P]`, as whichever of the two is smaller.
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
    /// rows that are all the same.
    pub(super) fn new(features: &Matrix, rows: &[usize], name: &dyn Fn(usize) -> String) -> Result<Kernel> {
        check(features, rows, name)?;
        let (n, p) = (rows.len(), features.columns);
        if p < n {
            let x = centred(features, rows, 0..p)?;
            let diagonal = Vec::<f64>::try_from(x.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?)?;
            return Ok(Kernel { factor: Factor::Features(x), diagonal });
        }
        let mut gram = Tensor::f_zeros([n as i64, n as i64], (Kind::Double, Device::Cpu))?;
        for first in (0..p).step_by(BLOCK) {
            let x = centred(features, rows, first..p.min(first + BLOCK))?;
            gram = gram.f_add(&x.f_matmul(&x.f_tr()?)?)?;
        }
        let diagonal = Vec::<f64>::try_from(gram.f_diag(0)?)?;
        Ok(Kernel { factor: Factor::Gram(gram), diagonal })
    }

    /// `⟨K, L⟩ / (‖K‖ ‖L‖)`, 0 to 1.
    pub(super) fn cka(&self, other: &Kernel) -> Result<f64> {
        let [own, both, others] = [self.product(self)?, self.product(other)?, other.product(other)?];
        Ok((both / (own.sqrt() * others.sqrt())).clamp(0.0, 1.0))
    }

    /// The same with the unbiased `HSIC = (tr K̃L̃ + 1ᵀK̃1 1ᵀL̃1 / ((n−1)(n−2)) − 2/(n−2) 1ᵀK̃L̃1) / (n(n−3))`, the diagonals
    /// of K̃ and L̃ being 0; NaN if a denominator is not positive. It needs 4 stimuli.
    pub(super) fn unbiased(&self, other: &Kernel) -> Result<f64> {
        let [own, both, others] = [self.hsic(self)?, self.hsic(other)?, other.hsic(other)?];
        Ok(if own > 0.0 && others > 0.0 { (both / (own.sqrt() * others.sqrt())).clamp(-1.0, 1.0) } else { f64::NAN })
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

fn check(features: &Matrix, rows: &[usize], name: &dyn Fn(usize) -> String) -> Result<()> {
    let (mut first, mut vary) = (Vec::new(), false);
    for &row in rows {
        let values = features.row(row);
        if values.iter().any(|value| !value.is_finite()) {
            return Err(not_finite(&[row], name));
        }
        if first.is_empty() {
            first.clone_from(&values);
        }
        vary |= values != first;
    }
    match vary {
        true => Ok(()),
        false => Err(advise("all stimuli have the same values, so nothing is like them", "leave this layer or file out")),
    }
}

/// The units of `columns`, each less its mean over the stimuli.
fn centred(features: &Matrix, rows: &[usize], columns: std::ops::Range<usize>) -> Result<Tensor> {
    let mut values = Vec::with_capacity(rows.len() * columns.len());
    rows.iter().for_each(|&row| features.append(row, columns.clone(), &mut values));
    less_mean(&values, rows.len(), columns.len())
}
