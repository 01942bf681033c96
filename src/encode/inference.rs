//! How sure scores are: permutations of what is predicted within its fold, and bootstraps of it.

use super::predictions::Predictions;
use super::score::unit;
use crate::gemm::{Block, multiply};
use crate::rsa::{Purpose, generator, shuffled};
use anyhow::Result;
use rand::RngExt;
use std::collections::BTreeMap;
use std::ops::Range;

/// Rows that are exchanged as one, by their places among the predicted rows of each fold.
pub(super) type Units = Vec<Vec<Vec<usize>>>;

/// The units of each fold: the groups that rows are in, by label.
pub(super) fn units(predictions: &Predictions, label_of: &[usize]) -> Units {
    let of_fold = |fold: &Range<usize>| {
        let mut units: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        fold.clone().for_each(|place| units.entry(label_of[predictions.rows[place]]).or_default().push(place));
        units.into_values().collect()
    };
    predictions.folds.iter().map(of_fold).collect()
}

/// Where each place takes its row from in a permutation: units of the same size change places within their fold.
pub(super) fn order(units: &Units, rows: usize, seed: u64, number: usize) -> Vec<u32> {
    let mut random = generator(seed, Purpose::Permutation, number);
    let mut order: Vec<u32> = (0..rows as u32).collect();
    for fold in units {
        let mut by_size: BTreeMap<usize, Vec<&Vec<usize>>> = BTreeMap::new();
        fold.iter().for_each(|unit| by_size.entry(unit.len()).or_default().push(unit));
        for same in by_size.values() {
            for (unit, other) in same.iter().zip(shuffled(same.len(), &mut random)) {
                unit.iter().zip(same[other as usize]).for_each(|(&place, &from)| order[place] = from as u32);
            }
        }
    }
    order
}

/// What permutations say of some targets.
pub(super) struct Exceeded {
    /// Of each target, how many permutations score as high as the data.
    pub(super) counts: Vec<u32>,
    /// Of each permutation the largest score of all targets.
    pub(super) largest: Vec<f64>,
}

impl Exceeded {
    pub(super) fn none(permutations: usize) -> Exceeded {
        Exceeded { counts: Vec::new(), largest: vec![f64::NEG_INFINITY; permutations] }
    }

    /// Of all scores, `[permutations, targets]`.
    pub(super) fn of(null: &[f64], correlations: &[f64]) -> Exceeded {
        let mut counts = vec![0; correlations.len()];
        for scores in null.chunks_exact(correlations.len()) {
            counts
                .iter_mut()
                .zip(scores)
                .zip(correlations)
                .for_each(|((count, score), own)| *count += u32::from(*score >= own - TIED));
        }
        let largest = |scores: &[f64]| scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Exceeded { counts, largest: null.chunks_exact(correlations.len()).map(largest).collect() }
    }

    /// And of more targets.
    pub(super) fn with(mut self, others: &Exceeded) -> Exceeded {
        self.counts.extend(&others.counts);
        self.largest.iter_mut().zip(&others.largest).for_each(|(largest, other)| *largest = largest.max(*other));
        self
    }

    /// One-sided, the data counted among the permutations: of each target, and corrected for all.
    pub(super) fn p(mut self, correlations: &[f64]) -> [Vec<f64>; 2] {
        let permutations = self.largest.len();
        self.largest.sort_by(f64::total_cmp);
        let share = |count: usize| (count + 1) as f64 / (permutations + 1) as f64;
        let family = |own: &f64| share(permutations - self.largest.partition_point(|largest| *largest < own - TIED));
        [self.counts.iter().map(|&count| share(count as usize)).collect(), correlations.iter().map(family).collect()]
    }
}

/// Scores that differ by less are tied.
const TIED: f64 = 1e-12;

/// Permutes `truth`, `[targets, rows]` as `predicted`, of which the scores are `correlations`.
pub(super) fn permuted(
    [truth, predicted]: [&[f64]; 2],
    correlations: &[f64],
    predictions: &Predictions,
    units: &Units,
    permutations: usize,
    seed: u64,
) -> Exceeded {
    let rows = predictions.rows.len();
    let by_fold = |values: &[f64]| -> Vec<f64> {
        let of_target = |target| predictions.folds.iter().flat_map(move |fold: &Range<usize>| unit(slice(target, fold)));
        values.chunks_exact(rows).flat_map(of_target).collect()
    };
    let (truth, predicted) = (by_fold(truth), by_fold(predicted));
    let mut exceeded = Exceeded { counts: vec![0; correlations.len()], largest: Vec::with_capacity(permutations) };
    for number in 0..permutations {
        let order = order(units, rows, seed, number);
        let mut largest = f64::NEG_INFINITY;
        let pairs = truth.chunks_exact(rows).zip(predicted.chunks_exact(rows));
        for ((truth, predicted), (count, &correlation)) in pairs.zip(exceeded.counts.iter_mut().zip(correlations)) {
            let mut sums = [0.0; 4];
            for (order, predicted) in order.chunks(4).zip(predicted.chunks(4)) {
                sums.iter_mut()
                    .zip(order)
                    .zip(predicted)
                    .for_each(|((sum, &from), predicted)| *sum += truth[from as usize] * predicted);
            }
            let score = sums.iter().sum::<f64>() / predictions.folds.len() as f64;
            *count += u32::from(score >= correlation - TIED);
            largest = largest.max(score);
        }
        exceeded.largest.push(largest);
    }
    exceeded
}

fn slice<'a>(values: &'a [f64], range: &Range<usize>) -> &'a [f64] {
    &values[range.clone()]
}

/// 95 % intervals of some targets, and of each draw the sum of their scores and how many there are.
pub(super) struct Drawn {
    pub(super) intervals: Vec<Option<[f64; 2]>>,
    pub(super) sums: Vec<[f64; 2]>,
}

/// Draws that have no score may be this share.
const MANY_LEFT_OUT: f64 = 0.1;

/// Draws units with replacement, as many in each fold as it has.
pub(super) fn bootstrapped(
    [truth, predicted]: [&[f64]; 2],
    correlations: &[f64],
    predictions: &Predictions,
    units: &Units,
    draws: usize,
    seed: u64,
) -> Result<Drawn> {
    let rows = predictions.rows.len();
    let targets = truth.len() / rows;
    let mut scores = vec![0.0; draws * targets];
    let mut random: Vec<_> = (0..draws).map(|draw| generator(seed, Purpose::Bootstrap, draw)).collect();
    for (fold, units) in predictions.folds.iter().zip(units) {
        let weights: Vec<f64> = random
            .iter_mut()
            .flat_map(|random| {
                let mut weights = vec![0.0; fold.len()];
                for _ in units {
                    units[random.random_range(0..units.len())].iter().for_each(|place| weights[place - fold.start] += 1.0);
                }
                weights
            })
            .collect();
        let mut products = vec![1.0; fold.len()];
        for (truth, predicted) in truth.chunks_exact(rows).zip(predicted.chunks_exact(rows)) {
            let (y, p) = (unit(slice(truth, fold)), unit(slice(predicted, fold)));
            let of = |f: fn(f64, f64) -> f64| y.iter().zip(&p).map(move |(&y, &p)| f(y, p)).collect::<Vec<_>>();
            [of(|y, _| y), of(|_, p| p), of(|y, _| y * y), of(|_, p| p * p), of(|y, p| y * p)]
                .iter()
                .for_each(|one| products.extend(one));
        }
        let sums = products.len() / fold.len();
        let mut found = vec![0.0; draws * sums];
        multiply(Block::new(&weights, fold.len()), Block::new(&products, fold.len()), &mut found)?;
        for (scores, found) in scores.chunks_exact_mut(targets).zip(found.chunks_exact(sums)) {
            for (score, sums) in scores.iter_mut().zip(found[1..].chunks_exact(5)) {
                *score += correlation(found[0], sums) / predictions.folds.len() as f64;
            }
        }
    }
    let interval = |target: usize| {
        let drawn: Vec<f64> = scores[target..].iter().step_by(targets).copied().filter(|score| !score.is_nan()).collect();
        let missing = draws - drawn.len();
        (missing as f64 <= MANY_LEFT_OUT * draws as f64).then(|| around(correlations[target], drawn, units))
    };
    let sums = |scores: &[f64]| {
        let known = scores.iter().filter(|score| !score.is_nan());
        [known.clone().sum::<f64>(), known.count() as f64]
    };
    Ok(Drawn { intervals: (0..targets).map(interval).collect(), sums: scores.chunks_exact(targets).map(sums).collect() })
}

/// An interval around a correlation by Fisher's z: ± 1.96 standard errors, those of the draws of n units times √(n / (n − 1)).
fn around(correlation: f64, drawn: Vec<f64>, units: &Units) -> [f64; 2] {
    const ALMOST: f64 = 1.0 - 1e-15;
    let z = |r: f64| r.clamp(-ALMOST, ALMOST).atanh();
    let error = 1.96 * deviation(&drawn.into_iter().map(z).collect::<Vec<f64>>()) * inflation(units);
    [(z(correlation) - error).tanh(), (z(correlation) + error).tanh()]
}

/// √(n / (n − 1)) of n units.
pub(super) fn inflation(units: &Units) -> f64 {
    let n: usize = units.iter().map(Vec::len).sum();
    (n as f64 / (n - 1).max(1) as f64).sqrt()
}

/// The standard deviation, of n − 1.
pub(super) fn deviation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// Of `Σw` and the weighted sums of y, p, y², p², yp.
fn correlation(count: f64, sums: &[f64]) -> f64 {
    let [y, p, yy, pp, yp] = [sums[0], sums[1], sums[2], sums[3], sums[4]].map(|sum| sum / count);
    let (of_truth, of_predicted) = (yy - y * y, pp - p * p);
    // Of rows of length 1; less is rounding.
    match (of_truth > NOTHING, of_predicted > NOTHING) {
        (false, _) => f64::NAN,
        (true, false) => 0.0,
        (true, true) => ((yp - y * p) / (of_truth * of_predicted).sqrt()).clamp(-1.0, 1.0),
    }
}

const NOTHING: f64 = 1e-15;
