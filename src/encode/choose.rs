//! How a penalty is chosen for each target: by the error of rows that were left out of the rows to be fitted.

use super::ridge::Decomposed;
use crate::rdm::lanes::{dot, sum};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// The error that a penalty is chosen by, within the rows that are fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// That of folds that are left out in turn
    #[default]
    Folds,
    /// That of rows that are left out one by one: Σ (e / (1 - h))² / n, of the residuals e and leverages h of all rows
    LeaveOneOut,
    /// Generalised cross-validation: Σ e² / n / (1 - Σh / n)²
    Generalised,
}

/// The errors `[penalties, targets]` of targets `left_out`, `[targets, rows]` less the mean of what was fitted, which is `along` the axes.
pub(super) fn left_out(of: &Decomposed, penalties: &[f64], along: &[f64], left_out: &[f64]) -> Result<Vec<f64>> {
    let rows = of.predicted_rows().max(1);
    let mut predicted = vec![0.0; left_out.len()];
    let mut errors = Vec::with_capacity(penalties.len() * left_out.len() / rows);
    for &penalty in penalties {
        of.predict(along, |_| penalty, &mut predicted)?;
        let pairs = predicted.chunks_exact(rows).zip(left_out.chunks_exact(rows));
        errors.extend(pairs.map(|(predicted, truth)| squares(truth, predicted) / rows as f64));
    }
    Ok(errors)
}

/// The same of the rows that are fitted themselves, which is `along` the axes; none of folds.
pub(super) fn of_fitted(
    choice: Choice,
    of: &Decomposed,
    penalties: &[f64],
    along: &[f64],
    fitted: &[f64],
) -> Result<Option<Vec<f64>>> {
    match choice {
        Choice::Folds => Ok(None),
        Choice::LeaveOneOut => one_by_one(of, penalties, along, fitted).map(Some),
        Choice::Generalised => Ok(Some(generalised(of, penalties, along, fitted))),
    }
}

/// `Σ (a − b)²`, eight sums at a time.
fn squares(a: &[f64], b: &[f64]) -> f64 {
    sum(a, b, |a, b| (a - b) * (a - b))
}

/// The errors `[penalties, targets]` of targets `[targets, fitted]`, less their means, by rows that are left out one by one.
fn one_by_one(of: &Decomposed, penalties: &[f64], along: &[f64], fitted: &[f64]) -> Result<Vec<f64>> {
    let (rows, turned, axes) = (of.fitted_rows, of.turned(), of.lengths.len());
    let mut predicted = vec![0.0; fitted.len()];
    let mut errors = Vec::with_capacity(penalties.len() * fitted.len() / rows);
    for &penalty in penalties {
        of.refit(&turned, along, penalty, &mut predicted)?;
        let share: Vec<f64> = of.lengths.iter().map(|length| 1.0 / (length + penalty)).collect();
        let leverage = |row: usize| -> f64 {
            let own = turned[row * axes..(row + 1) * axes].iter().zip(&share);
            1.0 / rows as f64 + own.map(|(value, share)| value * value * share).sum::<f64>()
        };
        let left: Vec<f64> = (0..rows).map(|row| 1.0 - leverage(row)).collect();
        let error = |truth: &[f64], predicted: &[f64]| -> f64 {
            let of =
                truth.iter().zip(predicted).zip(&left).map(|((truth, predicted), left)| ((truth - predicted) / left).powi(2));
            of.sum::<f64>() / rows as f64
        };
        // All of what a row says may be fitted to it.
        let is_defined = left.iter().all(|&left| left > LEAST);
        let pairs = fitted.chunks_exact(rows).zip(predicted.chunks_exact(rows));
        errors.extend(pairs.map(|(truth, predicted)| if is_defined { error(truth, predicted) } else { f64::INFINITY }));
    }
    Ok(errors)
}

/// The same by generalised cross-validation.
fn generalised(of: &Decomposed, penalties: &[f64], along: &[f64], fitted: &[f64]) -> Vec<f64> {
    let (rows, axes) = (of.fitted_rows, of.lengths.len());
    let least = of.lengths.last().copied().unwrap_or(0.0) * rows.max(axes) as f64 * f64::EPSILON;
    let known: Vec<usize> = (0..axes).filter(|&axis| of.lengths[axis] > least).collect();
    // Of each target the squared length along each axis, and what lies along none.
    let squares: Vec<f64> = along
        .chunks_exact(axes.max(1))
        .flat_map(|along| known.iter().map(|&axis| along[axis] * along[axis] / of.lengths[axis]))
        .collect();
    let squares_of = |target: usize| &squares[target * known.len()..(target + 1) * known.len()];
    let outside = |(target, fitted): (usize, &[f64])| match known.len() + 1 < rows {
        true => (dot(fitted, fitted) - squares_of(target).iter().sum::<f64>()).max(0.0),
        // Rows less their mean have no more axes.
        false => 0.0,
    };
    let outside: Vec<f64> = fitted.chunks_exact(rows).enumerate().map(outside).collect();
    let mut errors = Vec::with_capacity(penalties.len() * outside.len());
    for &penalty in penalties {
        let shares: Vec<f64> = known.iter().map(|&axis| penalty / (of.lengths[axis] + penalty)).collect();
        let without = (rows - 1 - known.len().min(rows - 1)) as f64;
        let left = (shares.iter().sum::<f64>() + without) / rows as f64;
        let error = |(target, outside): (usize, &f64)| {
            let along = squares_of(target).iter().zip(&shares);
            (outside + along.map(|(square, share)| square * share * share).sum::<f64>()) / rows as f64 / (left * left)
        };
        errors.extend(
            outside
                .iter()
                .enumerate()
                .map(|(target, outside)| if left > LEAST { error((target, outside)) } else { f64::INFINITY }),
        );
    }
    errors
}

/// Less is rounding: nothing is left of a row to judge by.
const LEAST: f64 = 1e-9;
