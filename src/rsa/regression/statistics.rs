//! What a regression says of each target: numbers of one subject after the other, and their means.

use super::fit::{Penalised, Reduced};
use super::variance::{MOST, parts, subsets};

/// The numbers of a regression on `predictors`, in one row: R²; the weights, the standardised weights, the unique variance, the
/// partial correlation of each predictor; then the parts of the variance, of predictors that are not too many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) predictors: usize,
}

impl Layout {
    /// R².
    pub(super) const EXPLAINED: usize = 0;

    pub(super) fn weight(self, predictor: usize) -> usize {
        1 + predictor
    }

    pub(super) fn standardised(self, predictor: usize) -> usize {
        1 + self.predictors + predictor
    }

    pub(super) fn unique(self, predictor: usize) -> usize {
        1 + 2 * self.predictors + predictor
    }

    pub(super) fn partial(self, predictor: usize) -> usize {
        1 + 3 * self.predictors + predictor
    }

    /// Of subset number `part`.
    pub(super) fn part(self, part: usize) -> usize {
        1 + 4 * self.predictors + part
    }

    /// The subsets whose shared variance is told.
    pub(super) fn subsets(self) -> Vec<Vec<usize>> {
        if self.predictors <= MOST { subsets(self.predictors) } else { Vec::new() }
    }

    pub(super) fn len(self) -> usize {
        self.part(self.subsets().len())
    }
}

/// The row of a target among those of `reduced`.
pub(super) fn row(reduced: &Reduced, how: Penalised, target: usize) -> Vec<f64> {
    let count = reduced.predictors();
    let all: Vec<usize> = (0..count).collect();
    let weights = reduced.weights(how, target, &all);
    let explained = |subset: &[usize]| reduced.explained(target, &reduced.weights(how, target, subset));
    let whole = reduced.explained(target, &weights);
    let without = |predictor: usize| all.iter().copied().filter(|&other| other != predictor).collect::<Vec<_>>();
    let mut row = vec![whole];
    let raw = |predictor: usize| weights[predictor] * reduced.target_lengths[target] / reduced.predictor_lengths[predictor];
    row.extend(all.iter().map(|&predictor| raw(predictor)));
    row.extend(&weights);
    row.extend(all.iter().map(|&predictor| whole - explained(&without(predictor))));
    row.extend(all.iter().map(|&predictor| reduced.partial(target, predictor)));
    if count <= MOST {
        row.extend(parts(count, &explained));
    }
    row
}
