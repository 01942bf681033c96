//! What controls leave of an RDM: the partial correlation of two RDMs given others is Pearson's r of what a regression on those
//! leaves of each (Fisher 1924), of Spearman's measure after all are ranked.

use super::Comparison;
use super::comparison::Scoring;
use super::form::{Pairs, Product};
use crate::rdm::in_units_of_largest;
use crate::rdm::lanes::dot;

/// A share of the squared length that is no more than this is what rounding to float32 leaves of nothing.
pub(super) const NOTHING: f64 = 1e-10;

/// The fewest pairs over which so many RDMs, and an intercept, do not explain any other.
pub(super) fn fewest_pairs(rdms: usize) -> usize {
    rdms + 3
}

/// The space of all linear combinations of the controls, over the pairs that are compared; of none, that of nothing.
pub(super) struct Controls {
    product: Product,
    /// Centred, of length 1, at right angles to each other.
    basis: Vec<Vec<f64>>,
}

impl Comparison {
    /// The product that correlates what is left, of measures that can be partial.
    pub(super) fn partial(self) -> Option<Product> {
        match self.scoring() {
            Scoring::Product(product @ Product::Pairs(Pairs::Values { centred: true } | Pairs::Ranks { untied: false })) => {
                Some(product)
            }
            Scoring::Product(Product::Pairs(_) | Product::Kernels(_)) | Scoring::Tau(_) => None,
        }
    }
}

impl Controls {
    /// Of the pairs of each control. The first of them that is a linear combination of those before it, or does not vary, is the
    /// error.
    pub(super) fn new(product: Product, controls: impl Iterator<Item = Vec<f64>>) -> Result<Controls, usize> {
        let basis = orthonormal(controls.map(|pairs| in_units_of_largest(product.values(&pairs))).collect());
        match basis.iter().position(|axis| axis[0].is_nan()) {
            Some(number) => Err(number),
            None => Ok(Controls { product, basis }),
        }
    }

    /// What they leave of `pairs`, centred and of length 1; NaN if they leave nothing.
    pub(super) fn residual(&self, pairs: &[f64]) -> Vec<f64> {
        let mut values = self.values(pairs);
        remove(&self.basis, &mut values);
        values
    }

    /// These pairs centred, after ranking if the measure is of ranks.
    pub(super) fn values(&self, pairs: &[f64]) -> Vec<f64> {
        in_units_of_largest(self.product.values(pairs))
    }

    /// An orthonormal basis.
    pub(super) fn basis(&self) -> &[Vec<f64>] {
        &self.basis
    }
}

/// Takes away from `values` what lies in the space of an orthonormal `basis`, and scales the rest to length 1; NaN if nothing is
/// left but rounding.
pub(super) fn remove(basis: &[Vec<f64>], values: &mut [f64]) {
    let whole = dot(values, values);
    // Twice, for the first time leaves rounding of the size of what is taken away.
    for _ in 0..2 {
        for axis in basis {
            let along = dot(axis, values);
            values.iter_mut().zip(axis).for_each(|(value, axis)| *value -= along * axis);
        }
    }
    let left = dot(values, values);
    let scale = if left > NOTHING * whole { 1.0 / left.sqrt() } else { f64::NAN };
    values.iter_mut().for_each(|value| *value *= scale);
}

/// Makes `values` orthonormal one after the other; NaN where one is a linear combination of those before it.
pub(super) fn orthonormal(mut values: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    for number in 0..values.len() {
        let (basis, rest) = values.split_at_mut(number);
        remove(basis, &mut rest[0]);
    }
    values
}
