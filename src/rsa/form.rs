//! RDMs prepared for comparison: centred, ranked, scaled once, so that a comparison is a plain product.
//!
//! Relabelling the stimuli moves the numbers of a form and changes none of them: the whole null distribution is made of
//! products.

use super::Comparison;
use super::centring::{double_centred, u_centred};
use crate::ranks::ranks;

/// An RDM of n stimuli whose product with another of the same measure is their score.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// One for each pair of stimuli.
    pub pairs: Vec<f64>,
    /// One for each stimulus, of measures made of whole matrices; else empty.
    pub diagonal: Vec<f64>,
}

impl Form {
    /// Prepares the RDM with these `pairs` for `measure`, which is linear. NaN everywhere if it does not vary.
    pub fn new(measure: Comparison, n: usize, pairs: &[f64]) -> Form {
        let plain = |pairs: Vec<f64>| Form { pairs, diagonal: Vec::new() };
        match measure {
            Comparison::Pearson => plain(centred(pairs)).unit(),
            Comparison::Spearman => plain(centred(&ranks(pairs))).unit(),
            Comparison::RhoA => {
                let scale = rho_a_scale(pairs.len() as f64);
                plain(centred(&ranks(pairs)).into_iter().map(|rank| rank * scale).collect())
            }
            Comparison::Cosine => plain(pairs.to_vec()).unit(),
            Comparison::WhitenedCosine | Comparison::Cka => double_centred(n, pairs).unit(),
            Comparison::WhitenedCorrelation => double_centred(n, &centred(pairs)).unit(),
            Comparison::CkaUnbiased => plain(u_centred(n, pairs)).unit(),
            Comparison::KendallTauA | Comparison::KendallTauB => unreachable!("τ is no product"),
        }
    }

    /// The product: the score of two forms of the same measure.
    pub fn product(&self, other: &Form) -> f64 {
        dot(&self.pairs, &other.pairs) + dot(&self.diagonal, &other.diagonal)
    }

    /// The mean of forms: its product with a form is the mean of theirs.
    pub fn mean(forms: &[Form]) -> Form {
        let mean = |part: fn(&Form) -> &Vec<f64>| -> Vec<f64> {
            let mut sum = part(&forms[0]).clone();
            for form in &forms[1..] {
                sum.iter_mut().zip(part(form)).for_each(|(sum, value)| *sum += value);
            }
            sum.iter_mut().for_each(|sum| *sum /= forms.len() as f64);
            sum
        };
        Form { pairs: mean(|form| &form.pairs), diagonal: mean(|form| &form.diagonal) }
    }

    /// Its product with another, averaged over all relabellings of the n stimuli: 0 for centred measures.
    pub fn expected_product(&self, other: &Form, n: usize) -> f64 {
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let off_diagonal = sum(&self.pairs) * sum(&other.pairs) / self.pairs.len() as f64;
        off_diagonal + sum(&self.diagonal) * sum(&other.diagonal) / n as f64
    }

    /// Divided by its length.
    fn unit(mut self) -> Form {
        // In units of the largest, so that squares neither overflow nor vanish.
        let largest = self.pairs.iter().chain(&self.diagonal).fold(0.0f64, |largest, value| largest.max(value.abs()));
        let squares = |values: &[f64]| values.iter().map(|value| (value / largest) * (value / largest)).sum::<f64>();
        let length = (squares(&self.pairs) + squares(&self.diagonal)).sqrt() * largest;
        self.pairs.iter_mut().chain(&mut self.diagonal).for_each(|value| *value /= length);
        self
    }
}

/// `√(12 / (m³ − m))`, by which ρ-a scales centred ranks.
pub(super) fn rho_a_scale(m: f64) -> f64 {
    (12.0 / m / (m - 1.0) / (m + 1.0)).sqrt()
}

/// In two passes.
pub(super) fn centred(values: &[f64]) -> Vec<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let first = mean(values);
    let centred: Vec<f64> = values.iter().map(|value| value - first).collect();
    let rest = mean(&centred);
    centred.into_iter().map(|value| value - rest).collect()
}

/// `Σ xᵢ yᵢ` in eight sums, which the processor adds side by side.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let (x, y) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(|(x, y)| x * y).sum();
    let mut sums = [0.0; 8];
    for (x, y) in x.zip(y) {
        (0..8).for_each(|k| sums[k] += x[k] * y[k]);
    }
    rest + sums.iter().sum::<f64>()
}
