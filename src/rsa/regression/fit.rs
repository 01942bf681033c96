//! Least squares in as many dimensions as there are predictors: what a regression of m pairs on P predictors comes to after an
//! orthonormal basis of the predictors is found, for all ways to fit and all subsets of the predictors.

use crate::rdm::in_units_of_largest;
use crate::rdm::lanes::dot;
use crate::rsa::controls::{orthonormal, remove};
use serde::{Deserialize, Serialize};

/// How weights are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Ordinary least squares: Σ (y - Σ wx)² is smallest
    #[default]
    Ordinary,
    /// The same with no weight below 0 (exact: Lawson & Hanson 1974)
    NonNegative,
    /// Σ (y - Σ wx)² / m + λ Σ w² is smallest, of predictors in units of their spread
    Ridge,
}

impl Fit {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Fit::Ordinary => "ordinary",
            Fit::NonNegative => "non-negative",
            Fit::Ridge => "ridge",
        }
    }

    /// The name at the beginning of a sentence.
    pub fn title(self) -> &'static str {
        match self {
            Fit::Ordinary => "Ordinary",
            Fit::NonNegative => "Non-negative",
            Fit::Ridge => "Ridge",
        }
    }
}

/// How weights are found, with the penalty of ridge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Penalised {
    pub(super) fit: Fit,
    /// λ; 0 of the others.
    pub(super) lambda: f64,
}

/// Targets on predictors over the same pairs, all centred and of length 1, in the space of the predictors.
pub(super) struct Reduced {
    /// The predictors, `[P, P]`: a column of the triangle each.
    predictors: Vec<Vec<f64>>,
    /// The part of each target in that space, `[targets, P]`.
    targets: Vec<Vec<f64>>,
    /// The lengths before scaling.
    pub(super) predictor_lengths: Vec<f64>,
    pub(super) target_lengths: Vec<f64>,
}

/// What a [`Reduced`] was made of, all of length 1.
pub(super) struct Whole {
    /// An orthonormal basis of the predictors.
    pub(super) basis: Vec<Vec<f64>>,
    pub(super) targets: Vec<Vec<f64>>,
}

impl Reduced {
    /// Of centred values. NaN where a predictor is a linear combination of those before it, or where something does not vary.
    pub(super) fn new(predictors: Vec<Vec<f64>>, targets: Vec<Vec<f64>>) -> Reduced {
        Reduced::with_whole(predictors, targets).0
    }

    /// The same, and what it was made of.
    pub(super) fn with_whole(mut predictors: Vec<Vec<f64>>, mut targets: Vec<Vec<f64>>) -> (Reduced, Whole) {
        let (predictor_lengths, target_lengths) = (unit(&mut predictors), unit(&mut targets));
        let basis = orthonormal(predictors.clone());
        let along = |values: &[Vec<f64>]| -> Vec<Vec<f64>> {
            values.iter().map(|one| basis.iter().map(|axis| dot(axis, one)).collect()).collect()
        };
        let reduced = Reduced { predictors: along(&predictors), targets: along(&targets), predictor_lengths, target_lengths };
        (reduced, Whole { basis, targets })
    }

    pub(super) fn predictors(&self) -> usize {
        self.predictors.len()
    }

    /// The part of a target in the space of the predictors.
    pub(super) fn target(&self, target: usize) -> &[f64] {
        &self.targets[target]
    }

    pub(super) fn targets(&self) -> usize {
        self.targets.len()
    }

    /// The standardised weights of a target on the predictors of a subset; the others have 0.
    pub(super) fn weights(&self, how: Penalised, target: usize, subset: &[usize]) -> Vec<f64> {
        self.weights_of(how, &self.targets[target], subset)
    }

    /// The same of any target by its part in the space of the predictors.
    pub(super) fn weights_of(&self, how: Penalised, target: &[f64], subset: &[usize]) -> Vec<f64> {
        let mut columns: Vec<Vec<f64>> = subset.iter().map(|&predictor| self.predictors[predictor].clone()).collect();
        let mut target = target.to_vec();
        let found = match how.fit {
            Fit::Ordinary => least_squares(&columns, &target),
            Fit::NonNegative => non_negative(&columns, &target),
            Fit::Ridge => {
                // A penalty is more rows, of which the target is 0.
                for (number, column) in columns.iter_mut().enumerate() {
                    column.extend((0..subset.len()).map(|row| if row == number { how.lambda.sqrt() } else { 0.0 }));
                }
                target.extend(subset.iter().map(|_| 0.0));
                least_squares(&columns, &target)
            }
        };
        let mut weights = vec![0.0; self.predictors()];
        subset.iter().zip(found).for_each(|(&predictor, weight)| weights[predictor] = weight);
        weights
    }

    /// The explained share `R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)²` of these weights.
    pub(super) fn explained(&self, target: usize, weights: &[f64]) -> f64 {
        self.explained_of(&self.targets[target], weights)
    }

    pub(super) fn explained_of(&self, target: &[f64], weights: &[f64]) -> f64 {
        let predicted =
            |row: usize| -> f64 { self.predictors.iter().zip(weights).map(|(column, weight)| column[row] * weight).sum() };
        let left: f64 = target.iter().enumerate().map(|(row, value)| (value - predicted(row)).powi(2)).sum();
        dot(target, target) - left
    }

    /// The correlation of a target and a predictor given the others: of what these leave of each.
    pub(super) fn partial(&self, target: usize, predictor: usize) -> f64 {
        let (basis, left) = self.left(predictor);
        let target = &self.targets[target];
        let of_others: f64 = basis.iter().map(|axis| dot(axis, target).powi(2)).sum();
        (dot(&left, target) / (1.0 - of_others).sqrt()).clamp(-1.0, 1.0)
    }

    /// By how much the others inflate the variance of each predictor's weight, `1 / (1 − R²)` of it on the others.
    pub(super) fn inflations(&self) -> Vec<f64> {
        let own = |predictor: usize| dot(&self.left(predictor).1, &self.predictors[predictor]);
        (0..self.predictors()).map(|predictor| own(predictor).powi(-2)).collect()
    }

    /// An orthonormal basis of the other predictors, and what these leave of a predictor, of length 1.
    pub(super) fn left(&self, predictor: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
        let others = (0..self.predictors()).filter(|&other| other != predictor).map(|other| self.predictors[other].clone());
        let basis = orthonormal(others.collect());
        let mut left = self.predictors[predictor].clone();
        remove(&basis, &mut left);
        (basis, left)
    }
}

/// The columns that are linear combinations of the others; none, if all are apart.
pub(super) fn collinear(columns: &[Vec<f64>]) -> Vec<usize> {
    let columns: Vec<Vec<f64>> = columns.iter().cloned().map(in_units_of_largest).collect();
    let is_none = |column: &Vec<f64>| column.iter().any(|value| value.is_nan());
    if !orthonormal(columns.to_vec()).iter().any(is_none) {
        return Vec::new();
    }
    let is_combination = |own: usize| {
        let mut basis: Vec<Vec<f64>> = Vec::new();
        for (_, column) in columns.iter().enumerate().filter(|(other, _)| *other != own) {
            let mut axis = column.clone();
            remove(&basis, &mut axis);
            basis.extend((!is_none(&axis)).then_some(axis));
        }
        let mut left = columns[own].clone();
        remove(&basis, &mut left);
        is_none(&left)
    };
    (0..columns.len()).filter(|&own| is_combination(own)).collect()
}

/// Scales to length 1; returns the lengths. NaN of what has none.
fn unit(all: &mut [Vec<f64>]) -> Vec<f64> {
    let scale = |values: &mut Vec<f64>| {
        // In units of the largest, so that squares neither overflow nor vanish.
        let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let length = values.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt();
        values.iter_mut().for_each(|value| *value = *value / largest / length);
        largest * length
    };
    all.iter_mut().map(scale).collect()
}

/// The weights by which columns come nearest to a target: by an orthonormal basis of the columns and back substitution.
fn least_squares(columns: &[Vec<f64>], target: &[f64]) -> Vec<f64> {
    let basis = orthonormal(columns.to_vec());
    let mut weights = vec![0.0; columns.len()];
    for number in (0..columns.len()).rev() {
        let later: f64 = (number + 1..columns.len()).map(|other| dot(&basis[number], &columns[other]) * weights[other]).sum();
        weights[number] = (dot(&basis[number], target) - later) / dot(&basis[number], &columns[number]);
    }
    weights
}

/// The same with no weight below 0, by the active set of Lawson & Hanson 1974 (chapter 23).
fn non_negative(columns: &[Vec<f64>], target: &[f64]) -> Vec<f64> {
    let count = columns.len();
    let mut weights = vec![0.0; count];
    let (mut free, mut blocked): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    // Each turn lowers the squared error, so no set of free weights comes twice; the bound is for NaN.
    for _ in 0..3 * (count + 1) * (count + 1) {
        let gradient = gradient(columns, target, &weights);
        let others = (0..count).filter(|column| !free.contains(column) && !blocked.contains(column));
        let steepest = others.max_by(|&a, &b| gradient[a].total_cmp(&gradient[b]));
        let Some(steepest) = steepest.filter(|&column| gradient[column] > STEEP) else { return weights };
        free.push(steepest);
        while let Some(left) = step(columns, target, &mut weights, &free) {
            free = left;
        }
        // It would have gone below 0 at once, by rounding.
        if free.contains(&steepest) { blocked.clear() } else { blocked.push(steepest) }
    }
    vec![f64::NAN; count]
}

/// A slope that is no more than this is rounding, of columns and targets of length 1.
const STEEP: f64 = 1e-13;

/// `Xᵀ (y − X w)`.
fn gradient(columns: &[Vec<f64>], target: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut left = target.to_vec();
    for (column, weight) in columns.iter().zip(weights) {
        left.iter_mut().zip(column).for_each(|(left, value)| *left -= weight * value);
    }
    columns.iter().map(|column| dot(column, &left)).collect()
}

/// Goes from `weights` to the least squares of the free columns, or as far as all stay above 0: then it returns those that are
/// left free.
fn step(columns: &[Vec<f64>], target: &[f64], weights: &mut [f64], free: &[usize]) -> Option<Vec<usize>> {
    let of_free: Vec<Vec<f64>> = free.iter().map(|&column| columns[column].clone()).collect();
    let aim = least_squares(&of_free, target);
    let reach = |(&column, &aim): (&usize, &f64)| weights[column] / (weights[column] - aim);
    let below = free.iter().zip(&aim).filter(|(_, aim)| **aim <= 0.0);
    let share = below.map(reach).fold(1.0, f64::min);
    let bound = aim.iter().any(|&aim| aim <= 0.0);
    for (&column, &aim) in free.iter().zip(&aim) {
        weights[column] = if bound { weights[column] + share * (aim - weights[column]) } else { aim };
    }
    if !bound {
        return None;
    }
    let stays = |(column, aim): (&usize, &f64)| (*aim > 0.0 || weights[*column] > STEEP).then_some(*column);
    let left: Vec<usize> = free.iter().zip(&aim).filter_map(stays).collect();
    (0..weights.len()).filter(|column| !left.contains(column)).for_each(|column| weights[column] = 0.0);
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_would_be_negative_are_zero() {
        let columns = [vec![1.0, 0.0, 0.2], vec![0.9, 0.5, 0.0], vec![0.1, 0.3, 0.9]];
        let target = [1.0, -0.5, 0.4];
        let weights = non_negative(&columns, &target);
        let slopes = gradient(&columns, &target, &weights);
        assert!(weights.iter().zip(&slopes).all(|(&weight, &slope)| weight >= 0.0 && slope <= 1e-12), "{weights:?} {slopes:?}");
        assert!(weights.iter().zip(&slopes).all(|(&weight, &slope)| weight == 0.0 || slope.abs() < 1e-12));
        assert!(weights.contains(&0.0) && weights.iter().any(|&weight| weight > 0.0), "{weights:?}");
    }
}
