//! RDMs prepared for comparison: centred, ranked, scaled once, so that a comparison is a plain product.
//!
//! Permuting the stimuli moves the numbers of a form and changes none of them: the whole null distribution is made of
//! products.

use crate::ranks::ranks;
use crate::rdm::Centre;
use crate::rdm::centring::{double_centred, u_centred};
use crate::rdm::lanes::dot;

/// What two RDMs are as a product of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    /// Of their pairs, which may be some.
    Pairs(Pairs),
    /// Of whole matrices: no pair may be missing.
    Kernels(Kernels),
}

/// How pairs are prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    /// As they are, or less their mean, divided by their length.
    Values { centred: bool },
    /// As ranks less their mean, divided by their length, or by what it would be without ties.
    Ranks { untied: bool },
}

/// How the matrix −½ D is centred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernels {
    /// Its rows and columns; before that, or not, its pairs.
    Double { centred: bool },
    /// So that products are unbiased.
    U,
}

impl Product {
    /// The pairs, ranked and centred.
    pub(super) fn values(self, pairs: &[f64]) -> Vec<f64> {
        match self {
            Product::Pairs(Pairs::Ranks { .. }) => centred(&ranks(pairs)),
            // Of what is U-centred later this changes nothing but the rounding.
            Product::Pairs(Pairs::Values { centred: true })
            | Product::Kernels(Kernels::Double { centred: true } | Kernels::U) => centred(pairs),
            Product::Pairs(Pairs::Values { centred: false }) | Product::Kernels(Kernels::Double { centred: false }) => {
                pairs.to_vec()
            }
        }
    }

    /// The form of these values, not yet scaled.
    pub(super) fn unscaled(self, n: usize, values: Vec<f64>) -> Form {
        let (pairs, diagonal) = match self {
            Product::Pairs(_) => (values, Vec::new()),
            Product::Kernels(Kernels::Double { .. }) => double_centred(n, &values),
            Product::Kernels(Kernels::U) => (u_centred(n, &values), Vec::new()),
        };
        Form { pairs, diagonal }
    }
}

/// An RDM of n stimuli whose product with another of the same measure is their score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Form {
    /// One for each pair of stimuli.
    pub(super) pairs: Vec<f64>,
    /// One for each stimulus, of measures made of whole matrices; else empty.
    pub(super) diagonal: Vec<f64>,
}

impl Form {
    /// Prepares the RDM with these `pairs`. NaN everywhere if it does not vary.
    pub(super) fn new(product: Product, n: usize, pairs: &[f64]) -> Form {
        let form = product.unscaled(n, product.values(pairs));
        match product {
            Product::Pairs(Pairs::Ranks { untied: true }) => form.times(rho_a_scale(pairs.len() as f64)),
            Product::Pairs(Pairs::Ranks { untied: false } | Pairs::Values { .. }) | Product::Kernels(_) => form.unit(),
        }
    }

    /// Of pairs that are prepared already.
    pub(super) fn of_pairs(pairs: Vec<f64>) -> Form {
        Form { pairs, diagonal: Vec::new() }
    }

    /// The product: the score of two forms of the same measure.
    pub(super) fn product(&self, other: &Form) -> f64 {
        dot(&self.pairs, &other.pairs) + dot(&self.diagonal, &other.diagonal)
    }

    /// The mean of forms: its product with a form is the mean of theirs.
    pub(super) fn mean(forms: &[Form]) -> Form {
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

    /// Its product with another, averaged over all permutations of the n stimuli: 0 for centred measures.
    pub(super) fn expected_product(&self, other: &Form, n: usize) -> f64 {
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let off_diagonal = sum(&self.pairs) * sum(&other.pairs) / self.pairs.len() as f64;
        off_diagonal + sum(&self.diagonal) * sum(&other.diagonal) / n as f64
    }

    fn times(mut self, scale: f64) -> Form {
        self.pairs.iter_mut().for_each(|value| *value *= scale);
        self
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

fn centred(values: &[f64]) -> Vec<f64> {
    let centre = Centre::of(values);
    values.iter().map(|&value| centre.deviation(value)).collect()
}
