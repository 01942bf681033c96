//! Which of two models fits a target better: the difference of their scores, against its bootstrapped uncertainty.

use super::{Analysis, Bootstrap, holm};
use serde::Serialize;

/// Two models, compared on one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The target.
    pub target: String,
    /// The one model, and its layer.
    pub model: String,
    /// The layer of the one.
    pub layer: String,
    /// The other model.
    pub other_model: String,
    /// The layer of the other.
    pub other_layer: String,
    /// The score of the one less that of the other.
    pub difference: f64,
    /// Two-sided, of no difference; `None` if the draws do not tell.
    pub p: Option<f64>,
    /// Corrected for the number of differences of all targets.
    pub p_holm: Option<f64>,
}

/// All pairs of models on every target, whose scores are `scores`.
pub fn differences(analysis: &Analysis, scores: &[f64], bootstrap: &Bootstrap) -> Vec<Difference> {
    let models = analysis.models.len();
    let mut differences = Vec::new();
    for (t, target) in analysis.targets.iter().enumerate() {
        for (a, one) in analysis.models.iter().enumerate() {
            for (b, other) in analysis.models.iter().enumerate().skip(a + 1) {
                let difference = scores[t * models + a] - scores[t * models + b];
                differences.push(Difference {
                    target: target.name.clone(),
                    model: one.model.clone(),
                    layer: one.layer.clone(),
                    other_model: other.model.clone(),
                    other_layer: other.layer.clone(),
                    difference,
                    p: bootstrap.p_of_difference(t * models + a, t * models + b, difference),
                    p_holm: None,
                });
            }
        }
    }
    let corrected = holm(&differences.iter().map(|difference| difference.p.unwrap_or(f64::NAN)).collect::<Vec<_>>());
    differences.iter_mut().zip(corrected).for_each(|(difference, p)| difference.p_holm = difference.p.map(|_| p));
    differences
}
