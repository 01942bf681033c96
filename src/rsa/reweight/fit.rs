//! Ridge regression of RDMs on the distances of each unit: `Σ (y − b − Σₖ wₖ xₖ)² / m + λ V Σ wₖ²` over the m pairs of the stimuli that
//! are fitted, with xₖ = (zᵢₖ − zⱼₖ)² and V the sum over units of the variance of xₖ. So λ has no unit, means the same for few units as for
//! many, and with λ = 1 even the direction in which the x vary most is shrunk to half or less.

use super::triangle::Triangle;
use super::units::Units;
use crate::error::advise;
use crate::memory;
use crate::parallel::parallel;
use crate::rdm::Centre;
use crate::rdm::lanes::dot;
use anyhow::Result;

/// Units and subjects of one set of fitted stimuli, and the equations of the weights.
pub(super) struct Fit {
    pub(super) units: Units,
    pub(super) aims: Aims,
    equations: Equations,
    /// Of each subject.
    right: Vec<Vec<f64>>,
    /// V.
    variance: f64,
}

/// By what weights are found, whichever of the two is smaller.
enum Equations {
    /// `(C + λ V) w = Xᵀy / m` of centred x and y, C = XᵀX / m.
    Units(Triangle),
    /// `w = Xᵀα`, `(XXᵀ / m + λ V) α = y / m`.
    Pairs(Triangle),
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
        let (equations, mut right) = if units.count() <= pairs {
            let products = aims.values.iter().map(|y| units.products(y)).collect::<Result<_>>()?;
            (Equations::Units(units.covariance()?), products)
        } else {
            (Equations::Pairs(units.kernel()?), aims.values.clone())
        };
        right.iter_mut().flatten().for_each(|number| *number /= pairs as f64);
        // Both have the same trace.
        let variance = equations.matrix().trace();
        Ok(Fit { units, aims, right, equations, variance })
    }

    /// The weights for each subject.
    pub(super) fn weights(&self, lambda: f64) -> Result<Vec<Vec<f64>>> {
        let factor = self.equations.matrix().factor(lambda * self.variance)?;
        let found = parallel(self.right.len(), &|subject| Ok(factor.solve(&self.right[subject])))?;
        match &self.equations {
            Equations::Units(_) => Ok(found),
            Equations::Pairs(_) => found.iter().map(|alpha| self.units.products(alpha)).collect(),
        }
    }

    /// The pairs of the predicted stimuli with a subject's weights, less the mean of that subject's fitted pairs.
    pub(super) fn predicted(&self, weights: &[f64]) -> Result<Vec<f64>> {
        let mean = weights.iter().sum::<f64>() * self.units.mean();
        Ok(self.units.distances(weights)?.into_iter().map(|distance| distance - mean).collect())
    }
}

impl Equations {
    fn matrix(&self) -> &Triangle {
        match self {
            Equations::Units(matrix) | Equations::Pairs(matrix) => matrix,
        }
    }
}

/// Fails if the equations of this many units and fitted stimuli take more memory than there is.
pub(super) fn check_memory(layer: &str, units: usize, fitted: usize, stimuli: usize) -> Result<()> {
    let equations = units.min(fitted * (fitted - 1) / 2);
    let bytes = size_of::<f64>() * (equations * equations + 3 * stimuli * units);
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
