//! The noise ceiling: how well any model can do, given how much subjects differ (Nili et al. 2014).
//!
//! As rsatoolbox's `boot_noise_ceiling` and `cv_noise_ceiling`; there whitened measures are pooled in units of the plain
//! length, here in units of the whitened one, which makes the pooled RDM the best one.

use super::Comparison;
use super::comparison::Scoring;
use super::form::{Pairs, Product};
use crate::ranks::ranks;
use crate::rdm::in_units_of_largest;
use serde::Serialize;

/// Bounds on the score of the best possible model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ceiling {
    /// The mean over subjects of the comparison with the pooled RDM of the others.
    pub lower: f64,
    /// The mean over subjects of the comparison with the pooled RDM of all.
    pub upper: f64,
}

/// The ceiling of `subjects`, each the same pairs of `n` stimuli; `None` with fewer than two.
pub fn ceiling(measure: Comparison, n: usize, subjects: &[Vec<f64>]) -> Option<Ceiling> {
    if subjects.len() < 2 {
        return None;
    }
    let scaled: Vec<Vec<f64>> = subjects.iter().map(|subject| scaled(measure, n, subject)).collect();
    let mut sum = vec![0.0; subjects[0].len()];
    scaled.iter().for_each(|one| sum.iter_mut().zip(one).for_each(|(sum, value)| *sum += value));
    let compare = |subject: &Vec<f64>, pooled: &[f64]| measure.compare(n, subject, pooled);
    let mean = |scores: &mut dyn Iterator<Item = f64>| scores.sum::<f64>() / subjects.len() as f64;
    let upper = mean(&mut subjects.iter().map(|subject| compare(subject, &sum)));
    let others = |own: &Vec<f64>| -> Vec<f64> { sum.iter().zip(own).map(|(sum, own)| sum - own).collect() };
    let lower = mean(&mut subjects.iter().zip(&scaled).map(|(subject, own)| compare(subject, &others(own))));
    Some(Ceiling { lower, upper })
}

/// A subject's RDM in the units in which the mean over subjects is the best RDM for `measure`: of unit length as the
/// measure sees it, or ranks (of which the mean is near the best, and is what rsatoolbox takes).
fn scaled(measure: Comparison, n: usize, pairs: &[f64]) -> Vec<f64> {
    match measure.scoring() {
        Scoring::Tau(_) | Scoring::Product(Product::Pairs(Pairs::Ranks { .. })) => ranks(pairs),
        Scoring::Product(product @ (Product::Pairs(Pairs::Values { .. }) | Product::Kernels(_))) => {
            let values = in_units_of_largest(product.values(pairs));
            let form = product.unscaled(n, values.clone());
            let length = form.product(&form).sqrt();
            values.into_iter().map(|value| value / length).collect()
        }
    }
}
