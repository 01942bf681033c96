//! Ridge regression of RDMs on the distances of each unit: `Σ (y − b − Σₖ wₖ xₖ)² / m + λ v̄ Σ wₖ²` over the m pairs of the stimuli that
//! are fitted, with xₖ = (zᵢₖ − zⱼₖ)² and v̄ the mean over units of the variance of xₖ, so that λ has no unit.

use super::units::Units;
use crate::error::advise;
use crate::memory;
use crate::rdm::Centre;
use crate::rdm::lanes::dot;
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Units and subjects of one set of fitted stimuli, and the equations of the weights.
pub(super) struct Fit {
    pub(super) units: Units,
    pub(super) aims: Aims,
    equations: Equations,
    /// Of all subjects, side by side.
    right: Tensor,
    /// v̄.
    variance: f64,
}

/// By what weights are found, whichever of the two is smaller.
enum Equations {
    /// `(C + λ v̄) w = Xᵀy / m` of centred x and y, C = XᵀX / m.
    Units(Tensor),
    /// `w = Xᵀα`, `(XXᵀ / m + λ v̄) α = y / m`.
    Pairs(Tensor),
}

/// The pairs of subjects over the fitted stimuli, less their means.
pub(super) struct Aims {
    centres: Vec<Centre>,
    values: Vec<Vec<f64>>,
    /// Σ y² / m of each.
    pub(super) variances: Vec<f64>,
}

impl Aims {
    pub(super) fn new(subjects: &[Vec<f64>]) -> Aims {
        let centres: Vec<Centre> = subjects.iter().map(|pairs| Centre::of(pairs)).collect();
        let deviations = |(pairs, centre): (&Vec<f64>, &Centre)| pairs.iter().map(|&pair| centre.deviation(pair)).collect();
        let values: Vec<Vec<f64>> = subjects.iter().zip(&centres).map(deviations).collect();
        let variances = values.iter().map(|values| dot(values, values) / values.len() as f64).collect();
        Aims { centres, values, variances }
    }

    /// Pairs of other stimuli less the mean of a subject's fitted ones.
    pub(super) fn deviations(&self, subject: usize, pairs: &[f64]) -> Vec<f64> {
        pairs.iter().map(|&pair| self.centres[subject].deviation(pair)).collect()
    }

    /// The mean of a subject's fitted pairs.
    pub(super) fn mean(&self, subject: usize) -> f64 {
        self.centres[subject].mean()
    }
}

impl Fit {
    /// Of the units of stimuli and the subjects' pairs of the fitted ones.
    pub(super) fn new(units: Units, subjects: &[Vec<f64>]) -> Result<Fit> {
        let (aims, pairs) = (Aims::new(subjects), subjects[0].len());
        let (equations, right) = if units.count() <= pairs {
            (Equations::Units(units.covariance()?), units.products(&aims.values)?)
        } else {
            let y = Tensor::f_from_slice(&aims.values.concat())?.f_view([-1, pairs as i64])?.f_tr()?;
            (Equations::Pairs(units.kernel()?), y)
        };
        // Both have the same trace.
        let variance = equations.matrix().f_trace()?.double_value(&[]) / units.count() as f64;
        Ok(Fit { units, aims, right: right.f_div_scalar(pairs as f64)?, equations, variance })
    }

    /// The weights for each subject, `[units, subjects]`.
    pub(super) fn weights(&self, lambda: f64) -> Result<Tensor> {
        let found = solved(self.equations.matrix(), lambda * self.variance, &self.right)?;
        match &self.equations {
            Equations::Units(_) => Ok(found),
            Equations::Pairs(_) => {
                let of = |subject| Ok(Vec::<f64>::try_from(found.f_select(1, subject)?.f_contiguous()?)?);
                let all: Vec<Vec<f64>> = (0..self.aims.values.len() as i64).map(of).collect::<Result<_>>()?;
                self.units.products(&all)
            }
        }
    }

    /// The pairs of the predicted stimuli with a subject's weights, less the mean of that subject's fitted pairs.
    pub(super) fn predicted(&self, weights: &Tensor, subject: usize) -> Result<Vec<f64>> {
        let own = weights.f_select(1, subject as i64)?.f_contiguous()?;
        let mean = own.f_sum(Kind::Double)?.double_value(&[]) * self.units.mean();
        Ok(self.units.distances(&own)?.into_iter().map(|distance| distance - mean).collect())
    }
}

impl Equations {
    fn matrix(&self) -> &Tensor {
        match self {
            Equations::Units(matrix) | Equations::Pairs(matrix) => matrix,
        }
    }
}

/// `(matrix + ridge)⁻¹ right`, of the lower triangle of `matrix`, by its Cholesky factor; beside the matrix there is one of its size.
fn solved(matrix: &Tensor, ridge: f64, right: &Tensor) -> Result<Tensor> {
    let size = matrix.size()[0];
    // Columns lie side by side, as LAPACK has them, which takes it as it is.
    let mut factor = Tensor::f_empty([size, size], (Kind::Double, Device::Cpu))?.f_tr()?;
    factor.f_copy_(matrix)?;
    let _ = factor.f_diagonal(0, 0, 1)?.f_add_scalar_(ridge)?;
    let fault = Tensor::f_zeros([0i64; 0], (Kind::Int, Device::Cpu))?;
    let _ = factor.f_linalg_cholesky_ex_l(&factor, &fault, false, false)?;
    if fault.int64_value(&[]) != 0 {
        return Err(advise("the penalty is so small that rounding makes up the weights", "take a larger one: --penalty 0.001"));
    }
    let half = factor.f_linalg_solve_triangular(right, false, true, false)?;
    Ok(factor.f_tr()?.f_linalg_solve_triangular(&half, true, true, false)?)
}

/// Fails if the equations of this many units and fitted stimuli take more memory than there is.
pub(super) fn check_memory(layer: &str, units: usize, fitted: usize, stimuli: usize) -> Result<()> {
    let equations = units.min(fitted * (fitted - 1) / 2);
    let bytes = size_of::<f64>() * (2 * equations * equations + 4 * stimuli * units);
    let Some(available) = memory::available().filter(|available| bytes > *available) else { return Ok(()) };
    let text = |bytes: usize| indicatif::DecimalBytes(bytes as u64).to_string();
    Err(advise(
        format!(
            "to reweight the {units} units of `{layer}` takes about {} of memory, and {} are available",
            text(bytes),
            text(available)
        ),
        "take fewer units: thingsvision reduce RUN_DIR --reduce pca --components 500; or a layer with fewer",
    ))
}
