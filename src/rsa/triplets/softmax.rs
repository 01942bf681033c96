//! Choices by chance: of three pairs each is kept together with a probability that rises with its similarity.
//!
//! `exp(s / T) / Σ exp(s / T)` of the similarities s of the three pairs, as SPoSE, VICE and Muttenthaler et al. (2023) have it; these
//! write the temperature T as its inverse.

use super::judgements::Judgement;
use super::score::{alike, by_block};
use crate::rdm::Similarities;
use anyhow::Result;

/// How well probabilities of choices agree with judgements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Agreement {
    /// The mean over the judgements of the logarithm of the probability.
    pub(super) log_likelihood: f64,
    /// Its mean.
    pub(super) probability: f64,
}

impl Agreement {
    pub(super) fn of(similarities: &Similarities, judgements: &[Judgement], temperature: f64) -> Result<Agreement> {
        let logarithm = |&judgement: &Judgement| {
            let less = differences(similarities, judgement).map(|less| less / temperature);
            // The largest of all three is 0, so that no exponent overflows.
            let largest = less[0].max(less[1]).max(0.0);
            let sum = (-largest).exp() + (less[0] - largest).exp() + (less[1] - largest).exp();
            -largest - sum.ln()
        };
        let both = |(sum, probability): (f64, f64), logarithm: f64| (sum + logarithm, probability + logarithm.exp());
        let blocks = by_block(judgements, &|block| block.iter().map(logarithm).fold((0.0, 0.0), both))?;
        let mean = |of: fn(&(f64, f64)) -> f64| blocks.iter().map(of).sum::<f64>() / judgements.len() as f64;
        Ok(Agreement { log_likelihood: mean(|of| of.0), probability: mean(|of| of.1) })
    }
}

/// The other two similarities less that of the pair that was kept.
fn differences(similarities: &Similarities, judgement: Judgement) -> [f64; 2] {
    let [kept, one, other] = alike(similarities, judgement);
    [one - kept, other - kept]
}

/// Steps to the root at most.
const STEPS: usize = 100;

/// The root is found when the next step is no larger than this share of it.
const NEAR: f64 = 1e-9;

/// Judgements that tell where the root is nearly.
const SOME: usize = 1 << 16;

/// The temperature of the highest likelihood; `None` if the likelihood rises without end, of a layer that is always or never right.
///
/// It is the root of the slope over `β = 1 / T`, which falls: the log-likelihood is concave in β.
pub(super) fn fitted(similarities: &Similarities, judgements: &[Judgement]) -> Result<Option<f64>> {
    let some: Vec<Judgement> = judgements.iter().step_by(judgements.len().div_ceil(SOME)).copied().collect();
    let differences = some.iter().flat_map(|&judgement| differences(similarities, judgement));
    let spread = differences.fold(0.0, |most: f64, one| most.max(one.abs()));
    if spread == 0.0 || slope(similarities, judgements, 0.0)?[0] <= 0.0 {
        return Ok(None);
    }
    let nearly = root(similarities, &some, 1.0 / spread)?;
    Ok(root(similarities, judgements, nearly.unwrap_or(1.0 / spread))?.map(|beta| 1.0 / beta))
}

/// The β at which the slope is 0, if there is one, by Newton's method within what is known to hold it.
fn root(similarities: &Similarities, judgements: &[Judgement], start: f64) -> Result<Option<f64>> {
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, start);
    for _ in 0..STEPS {
        let [first, second] = slope(similarities, judgements, beta)?;
        let step = first / second;
        if step.abs() <= NEAR * beta {
            return Ok(Some(beta));
        }
        if first > 0.0 {
            low = beta
        } else {
            high = beta
        }
        let far = if high.is_finite() { 0.5 * (low + high) } else { 4.0 * beta };
        let newton = beta - step;
        beta = if newton > low && newton < high.min(4.0 * beta) { newton } else { far };
    }
    Ok(None)
}

/// The first and second derivative of the summed log-likelihood over β.
fn slope(similarities: &Similarities, judgements: &[Judgement], beta: f64) -> Result<[f64; 2]> {
    let derivatives = |&judgement: &Judgement| {
        let less = differences(similarities, judgement);
        let largest = less[0].max(less[1]).max(0.0);
        let [kept, one, other] = [0.0, less[0], less[1]].map(|less| (beta * (less - largest)).exp());
        let sum = kept + one + other;
        let mean = (one * less[0] + other * less[1]) / sum;
        let square = (one * less[0] * less[0] + other * less[1] * less[1]) / sum;
        [-mean, mean * mean - square]
    };
    let add = |[a, b]: [f64; 2], [first, second]: [f64; 2]| [a + first, b + second];
    let blocks = by_block(judgements, &|block| block.iter().map(derivatives).fold([0.0; 2], add))?;
    Ok(blocks.into_iter().fold([0.0; 2], add))
}
