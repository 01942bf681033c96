//! The noise of measured patterns: its covariance over units, and patterns in units of it (Walther et al. 2016).
//!
//! The estimates equal rsatoolbox's `cov_from_residuals` (`diag`, `full`, `shrinkage_eye`) with the same degrees of freedom;
//! those from repeats its `cov_from_unbalanced`.

use super::design::{Labels, deviations};
use super::errors;
use crate::error::advise;
use crate::npy::Matrix;
use anyhow::{Context, Result};
use tch::{Kind, Tensor};

/// How the covariance of the noise is estimated from residuals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseModel {
    /// Ledoit & Wolf 2004: the sample covariance, shrunk towards a multiple of the identity as far as it is uncertain
    #[default]
    Shrinkage,
    /// The variance of each unit alone
    Diagonal,
    /// The sample covariance; it needs more residuals than units
    Full,
    /// None: the identity, so that Mahalanobis is Euclidean
    Identity,
}

/// The noise covariance, as what divides patterns by it, and the partitions of the rows.
#[derive(Debug)]
pub struct Noise {
    whitener: Whitener,
    /// Which condition and which partition each row belongs to; for crossnobis.
    pub(super) design: Option<(Labels, Labels)>,
}

#[derive(Debug)]
enum Whitener {
    Identity,
    /// The standard deviation of each unit.
    Diagonal(Vec<f64>),
    /// The lower Cholesky factor L of Σ = L Lᵀ.
    Cholesky(Tensor),
}

impl Noise {
    /// Estimates the covariance from `residuals` `[T, P]`, whose columns are centred first, with `freedom` degrees of
    /// freedom.
    pub fn new(model: NoiseModel, residuals: &Matrix, freedom: usize, design: Option<(Labels, Labels)>) -> Result<Noise> {
        let too_few =
            || advise("there are no residuals to estimate the noise from", "give repeats or --residuals, or --noise identity");
        if model != NoiseModel::Identity && freedom == 0 {
            return Err(too_few());
        }
        let whitener = match model {
            NoiseModel::Identity => Whitener::Identity,
            NoiseModel::Diagonal => Whitener::Diagonal(deviation(&centred(residuals)?, freedom)?),
            NoiseModel::Full => Whitener::Cholesky(factor(&covariance(&centred(residuals)?, freedom)?)?),
            NoiseModel::Shrinkage => Whitener::Cholesky(factor(&shrunk(&centred(residuals)?, freedom)?)?),
        };
        Ok(Noise { whitener, design })
    }

    /// From repeats: the deviations of the rows from the mean of their condition; as many degrees of freedom as there
    /// are rows beyond the conditions.
    pub fn from_repeats(
        model: NoiseModel,
        features: &Matrix,
        conditions: &Labels,
        design: Option<(Labels, Labels)>,
    ) -> Result<Noise> {
        let bad: Vec<usize> =
            (0..features.rows).filter(|&row| features.row(row).iter().any(|value| !value.is_finite())).collect();
        if !bad.is_empty() {
            return Err(errors::not_finite(&bad, &|row| format!("row {row}")));
        }
        let freedom = features.rows - conditions.names.len();
        Noise::new(model, &deviations(features, &conditions.groups()), freedom, design)
    }

    pub(super) fn required(noise: Option<&Noise>) -> Result<&Noise> {
        noise.ok_or_else(|| {
            advise(
                "this metric is in units of the noise, of which nothing is known",
                "give --residuals, or repeats by --conditions",
            )
        })
    }

    /// Each row of `features` as `L⁻¹ x`, so that squared distances are `(x − y) Σ⁻¹ (x − y)ᵀ`.
    pub(super) fn whiten(&self, features: &Matrix, name: &dyn Fn(usize) -> String) -> Result<Matrix> {
        let (rows, columns) = (features.rows, features.columns);
        let mut values = features.values();
        let bad: Vec<usize> = (0..rows).filter(|row| values[row * columns..][..columns].iter().any(|v| !v.is_finite())).collect();
        if !bad.is_empty() {
            return Err(errors::not_finite(&bad, name));
        }
        match &self.whitener {
            Whitener::Identity => {}
            Whitener::Diagonal(deviation) => {
                check_units(deviation.len(), columns)?;
                values.chunks_exact_mut(columns).for_each(|row| row.iter_mut().zip(deviation).for_each(|(v, sd)| *v /= sd));
            }
            Whitener::Cholesky(factor) => {
                check_units(factor.size()[0] as usize, columns)?;
                let x = Tensor::f_from_slice(&values)?.f_view([rows as i64, columns as i64])?;
                let z = factor.f_linalg_solve_triangular(&x.f_tr()?, false, true, false)?.f_tr()?.f_contiguous()?;
                z.f_copy_data(&mut values, rows * columns)?;
            }
        }
        Ok(Matrix::from_rows(rows, columns, values))
    }
}

fn check_units(noise: usize, features: usize) -> Result<()> {
    if noise == features {
        return Ok(());
    }
    Err(advise(
        format!("the residuals have {noise} units, the features {features}"),
        "residuals are of the same units (voxels) as the patterns, in the same order",
    ))
}

/// `[T, P]`, each column less its mean.
fn centred(residuals: &Matrix) -> Result<Tensor> {
    let values = residuals.values();
    if values.iter().any(|value| !value.is_finite()) {
        return Err(advise("the residuals have values that are not finite", "leave out the units or scans without data"));
    }
    less_mean(&values, residuals.rows, residuals.columns)
}

/// `values` as a tensor `[rows, columns]`, each column less its mean, in two passes.
pub(crate) fn less_mean(values: &[f64], rows: usize, columns: usize) -> Result<Tensor> {
    let x = Tensor::f_from_slice(values)?.f_view([rows as i64, columns as i64])?;
    let less_mean = |x: &Tensor| -> Result<Tensor> { Ok(x.f_sub(&x.f_mean_dim(0, true, Kind::Double)?)?) };
    less_mean(&less_mean(&x)?)
}

fn covariance(x: &Tensor, freedom: usize) -> Result<Tensor> {
    Ok(x.f_tr()?.f_matmul(x)?.f_div_scalar(freedom as f64)?)
}

fn deviation(x: &Tensor, freedom: usize) -> Result<Vec<f64>> {
    let variance = x.f_square()?.f_sum_dim_intlist(0, false, Kind::Double)?.f_div_scalar(freedom as f64)?;
    let deviation = Vec::<f64>::try_from(variance.f_sqrt()?)?;
    match deviation.iter().position(|&deviation| deviation == 0.0) {
        Some(unit) => Err(advise(
            format!("unit {unit} does not vary in the residuals, counting from 0"),
            "leave out units without signal (voxels outside the brain)",
        )),
        None => Ok(deviation),
    }
}

/// `(b²/d²) m I + (1 − b²/d²) S`, with S = XᵀX / T, m its mean variance, d² = ‖S − m I‖², and b² the mean squared
/// uncertainty of S's entries; then times T / freedom. Of residuals in units of √m, so that fourth powers neither overflow nor
/// vanish.
fn shrunk(x: &Tensor, freedom: usize) -> Result<Tensor> {
    let [t, p] = [x.size()[0] as f64, x.size()[1] as f64];
    let sum_of_squares = |tensor: &Tensor| -> Result<f64> { Ok(tensor.f_square()?.f_sum(Kind::Double)?.double_value(&[])) };
    let m = sum_of_squares(x)? / t / p;
    let x = x.f_div_scalar(if m > 0.0 { m.sqrt() } else { 1.0 })?;
    let s = covariance(&x, x.size()[0] as usize)?;
    let target = Tensor::f_eye(p as i64, (Kind::Double, tch::Device::Cpu))?;
    let d2 = sum_of_squares(&s.f_sub(&target)?)?;
    let lengths = x.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?;
    let b2 = ((sum_of_squares(&lengths)? / t - sum_of_squares(&s)?) / t).min(d2);
    let share = if d2 > 0.0 { b2 / d2 } else { 1.0 };
    let shrunk = target.f_mul_scalar(share)?.f_add(&s.f_mul_scalar(1.0 - share)?)?;
    Ok(shrunk.f_mul_scalar(m * t / freedom as f64)?)
}

fn factor(covariance: &Tensor) -> Result<Tensor> {
    covariance.f_linalg_cholesky(false).context("the noise covariance cannot be inverted").map_err(|error| {
        error.context(crate::error::Advice {
            problem:
                "the noise covariance cannot be inverted: too few residuals for so many units, units that repeat, or no noise"
                    .into(),
            hint: "check the residuals; with few of them --noise shrinkage or --noise diagonal, without any --noise identity"
                .into(),
        })
    })
}
