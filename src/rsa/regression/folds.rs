//! Cross-validation: how well weights predict what they were not fitted to. Stimuli are left out, so that no pair of the ones that
//! are predicted has a stimulus in common with those that were fitted; or subjects, one after the other; or both.

use super::Regression;
use super::fit::{Fit, Penalised, Reduced};
use crate::error::advise;
use crate::rdm::Centre;
use crate::rdm::lanes::{dot, sum};
use crate::rdm::pairs_of;
use crate::rsa::analysis::pick;
use crate::rsa::random::{Purpose, generator, shuffled};
use crate::rsa::{Over, TargetRdm, pearson};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// What is predicted of a target, the mean over its subjects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// `1 − Σ(y − ŷ)² / Σ(y − ȳ)²` over all that was left out, ȳ the mean of what was fitted; below 0 if worse than that mean.
    pub explained: f64,
    /// Pearson's r of prediction and data, the mean over folds.
    pub correlation: f64,
    /// By how much `explained` is less without each predictor.
    pub unique: Vec<f64>,
}

impl Predicted {
    /// Whether there is a prediction; over some fold something may not vary.
    pub(super) fn is_number(&self) -> bool {
        !(self.explained.is_nan() || self.correlation.is_nan() || self.unique.iter().any(|unique| unique.is_nan()))
    }
}

/// The fewest stimuli of a fold, which make six pairs.
const FEWEST: usize = 4;

/// The penalties that ridge chooses from: 1e-4 to 100, four a power of ten.
fn penalties() -> impl Iterator<Item = f64> {
    (-16..=8).map(|power| 10f64.powf(f64::from(power) / 4.0))
}

/// The two stimuli, of `n`, of each pair that is compared.
struct Pairs {
    n: usize,
    of: Vec<(usize, usize)>,
}

/// Some pairs to fit and others to predict, by their places among those that are compared.
struct Split {
    fitted: Vec<u32>,
    predicted: Vec<u32>,
}

/// Pairs of RDMs in the units of those that are fitted: less their mean, over their length.
struct Scaled {
    fitted: Vec<Vec<f64>>,
    predicted: Vec<Vec<f64>>,
}

/// The stimuli that are fitted, and those that are predicted.
pub(crate) type Turn = [Vec<usize>; 2];

/// The λ of ridge, or how it is chosen within what is fitted.
pub(super) enum Penalty {
    Is(f64),
    Chosen { folds: usize, seed: u64 },
}

/// Divides `stimuli` at random into `folds` of nearly the same size, another way each `round`; of each, what is left and what is in it.
pub(crate) fn divided(stimuli: &[usize], folds: usize, seed: u64, round: usize) -> Vec<Turn> {
    let order = shuffled(stimuli.len(), &mut generator(seed, Purpose::Folds, round));
    let fold_of = |place: usize| order[place] as usize % folds;
    let part = |fold: usize, inside: bool| -> Vec<usize> {
        (0..stimuli.len()).filter(|&place| (fold_of(place) == fold) == inside).map(|place| stimuli[place]).collect()
    };
    (0..folds).map(|fold| [part(fold, false), part(fold, true)]).collect()
}

/// Fails if there are too few stimuli for so many folds, or too few subjects to leave one out.
pub(super) fn check(regression: &Regression, over: Over, folds: usize, nested: bool) -> Result<()> {
    let n = regression.analysis.stimuli;
    if over == Over::Subjects {
        check_nested(n, folds, nested)?;
    } else {
        check_stimuli(n, folds, nested, "leave out --cross-validate: these stimuli are too few")?;
    }
    let single = regression.analysis.targets.iter().find(|target| target.subjects.len() < 2);
    match single.filter(|_| over != Over::Stimuli) {
        Some(target) => Err(advise(
            format!("`{}` has one subject, so none can be left out", target.name),
            "take --cross-validate stimuli, or give the RDM of each subject",
        )),
        None => Ok(()),
    }
}

/// Fails if `n` stimuli are too few for so many folds, `nested` ones within those that are fitted among them; `hint` if for any.
pub(in crate::rsa) fn check_stimuli(n: usize, folds: usize, nested: bool, hint: &str) -> Result<()> {
    let smallest = n / folds;
    if smallest < FEWEST {
        return Err(advise(
            format!("{folds} folds of {n} stimuli leave {smallest} in one, and {FEWEST} are needed to predict their pairs"),
            match n / FEWEST {
                0..2 => hint.to_owned(),
                most => format!("take at most --folds {most}"),
            },
        ));
    }
    check_nested(n - n.div_ceil(folds), folds, nested)
}

pub(super) fn check_nested(fitted: usize, folds: usize, nested: bool) -> Result<()> {
    if nested && fitted / folds < FEWEST {
        return Err(advise(
            format!("ridge chooses its penalty by {folds} folds of the {fitted} stimuli that are fitted, which are too few"),
            "give the penalty: --penalty 0.1; or take fewer folds",
        ));
    }
    Ok(())
}

impl Regression {
    /// The penalty for a target that predicts best the stimuli that are left out, of all subjects together.
    pub(super) fn penalty(&self, target: &TargetRdm, folds: usize, seed: u64) -> f64 {
        let kept = self.analysis.kept(target);
        let columns = self.columns(&kept);
        let subjects: Vec<Vec<f64>> = target.subjects.iter().map(|subject| pick(subject, &kept)).collect();
        let stimuli: Vec<usize> = (0..self.analysis.stimuli).collect();
        chosen([&columns, &subjects], &self.pairs(&kept), &stimuli, folds, seed)
    }

    /// What is left of the stimuli to be fitted, and what is to be predicted, in turn: all of them if only subjects are left out.
    pub(super) fn turns(&self, over: Over, folds: usize, seed: u64) -> Vec<Turn> {
        let all: Vec<usize> = (0..self.analysis.stimuli).collect();
        if over == Over::Subjects { vec![[all.clone(), all]] } else { divided(&all, folds, seed, 0) }
    }

    /// How well a target is predicted: of all turns, with the penalty that is given for what is fitted in each.
    pub(super) fn predicted(&self, target: &TargetRdm, over: Over, turns: &[Turn], penalty: &Penalty) -> Predicted {
        let kept = self.analysis.kept(target);
        let (columns, pairs) = (self.columns(&kept), self.pairs(&kept));
        let subjects: Vec<Vec<f64>> = target.subjects.iter().map(|subject| pick(subject, &kept)).collect();
        let mut sums = vec![Sums::new(self.predictors()); subjects.len()];
        for [fitted, predicted] in turns {
            let split = pairs.split(fitted, predicted);
            let (x, y) = (Scaled::new(&columns, &split), Scaled::new(&subjects, &split));
            let lambda = match *penalty {
                Penalty::Is(lambda) => lambda,
                Penalty::Chosen { folds, seed } => chosen([&columns, &subjects], &pairs, fitted, folds, seed),
            };
            let aims = if over == Over::Stimuli { y.fitted.clone() } else { others(&y.fitted) };
            let reduced = Reduced::new(x.fitted.clone(), aims);
            for (subject, sums) in sums.iter_mut().enumerate() {
                sums.add(&reduced, Penalised { fit: self.fit, lambda }, subject, &x.predicted, &y.predicted[subject]);
            }
        }
        mean(&sums, turns.len())
    }

    /// The predictors over these pairs.
    fn columns(&self, kept: &[u32]) -> Vec<Vec<f64>> {
        self.analysis.models.iter().map(|model| pick(&model.pairs, kept)).collect()
    }

    fn pairs(&self, kept: &[u32]) -> Pairs {
        let n = self.analysis.stimuli;
        let all: Vec<(usize, usize)> = pairs_of(n).collect();
        Pairs { n, of: kept.iter().map(|&pair| all[pair as usize]).collect() }
    }
}

impl Pairs {
    fn split(&self, fitted: &[usize], predicted: &[usize]) -> Split {
        Split { fitted: self.within(fitted), predicted: self.within(predicted) }
    }

    /// The places of the pairs of two of these stimuli.
    fn within(&self, stimuli: &[usize]) -> Vec<u32> {
        let mut among = vec![false; self.n];
        stimuli.iter().for_each(|&stimulus| among[stimulus] = true);
        (0..).zip(&self.of).filter(|(_, (i, j))| among[*i] && among[*j]).map(|(place, _)| place).collect()
    }
}

impl Scaled {
    fn new(rdms: &[Vec<f64>], split: &Split) -> Scaled {
        let (mut fitted, mut predicted) = (Vec::new(), Vec::new());
        for pairs in rdms {
            let own = pick(pairs, &split.fitted);
            let centre = Centre::of(&own);
            let own: Vec<f64> = own.into_iter().map(|value| centre.deviation(value)).collect();
            let length = dot(&own, &own).sqrt();
            predicted.push(pick(pairs, &split.predicted).into_iter().map(|value| centre.deviation(value) / length).collect());
            fitted.push(own.into_iter().map(|value| value / length).collect());
        }
        Scaled { fitted, predicted }
    }
}

/// For each subject the mean of all others.
fn others(subjects: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut sum = vec![0.0; subjects[0].len()];
    subjects.iter().for_each(|subject| sum.iter_mut().zip(subject).for_each(|(sum, value)| *sum += value));
    let count = subjects.len() as f64 - 1.0;
    let without = |own: &Vec<f64>| sum.iter().zip(own).map(|(sum, own)| (sum - own) / count).collect();
    subjects.iter().map(without).collect()
}

/// What was predicted of a subject, with all predictors and without each.
#[derive(Debug, Clone)]
struct Sums {
    /// `Σ (y − ŷ)²` with all, then without each.
    left: Vec<f64>,
    /// `Σ (y − ȳ)²`.
    whole: f64,
    correlation: f64,
}

impl Sums {
    fn new(predictors: usize) -> Sums {
        Sums { left: vec![0.0; predictors + 1], whole: 0.0, correlation: 0.0 }
    }

    fn add(&mut self, reduced: &Reduced, how: Penalised, subject: usize, x: &[Vec<f64>], y: &[f64]) {
        let all: Vec<usize> = (0..reduced.predictors()).collect();
        let mut subsets = vec![all.clone()];
        subsets.extend(all.iter().map(|own| all.iter().copied().filter(|other| other != own).collect()));
        for (number, subset) in subsets.iter().enumerate() {
            let weights = reduced.weights(how, subject, subset);
            let predicted = combined(x, &weights, reduced.target_lengths[subject]);
            self.left[number] += squared_error(&predicted, y);
            if number == 0 {
                self.correlation += pearson(&predicted, y);
            }
        }
        self.whole += dot(y, y);
    }
}

/// `length · Σₖ wₖ xₖ`.
fn combined(x: &[Vec<f64>], weights: &[f64], length: f64) -> Vec<f64> {
    let mut sum = vec![0.0; x[0].len()];
    for (column, weight) in x.iter().zip(weights) {
        sum.iter_mut().zip(column).for_each(|(sum, value)| *sum += length * weight * value);
    }
    sum
}

/// `Σ (y − ŷ)²`.
fn squared_error(predicted: &[f64], y: &[f64]) -> f64 {
    sum(predicted, y, |predicted, y| (y - predicted) * (y - predicted))
}

fn mean(sums: &[Sums], folds: usize) -> Predicted {
    let over = |of: &dyn Fn(&Sums) -> f64| sums.iter().map(of).sum::<f64>() / sums.len() as f64;
    let predictors = sums[0].left.len() - 1;
    Predicted {
        explained: over(&|sums| 1.0 - sums.left[0] / sums.whole),
        correlation: over(&|sums| sums.correlation / folds as f64),
        unique: (1..=predictors).map(|own| over(&|sums| (sums.left[own] - sums.left[0]) / sums.whole)).collect(),
    }
}

/// The penalty that predicts best the stimuli that are left out of `stimuli` in turn, of all subjects together.
fn chosen([columns, subjects]: [&[Vec<f64>]; 2], pairs: &Pairs, stimuli: &[usize], folds: usize, seed: u64) -> f64 {
    let candidates: Vec<f64> = penalties().collect();
    let mut left = vec![0.0; candidates.len()];
    for [fitted, predicted] in &divided(stimuli, folds, seed, 0) {
        let split = pairs.split(fitted, predicted);
        let (x, y) = (Scaled::new(columns, &split), Scaled::new(subjects, &split));
        let reduced = Reduced::new(x.fitted, y.fitted);
        let all: Vec<usize> = (0..columns.len()).collect();
        for (left, &lambda) in left.iter_mut().zip(&candidates) {
            for (subject, y) in y.predicted.iter().enumerate() {
                let weights = reduced.weights(Penalised { fit: Fit::Ridge, lambda }, subject, &all);
                *left += squared_error(&combined(&x.predicted, &weights, reduced.target_lengths[subject]), y);
            }
        }
    }
    let best = (0..candidates.len()).min_by(|&a, &b| left[a].total_cmp(&left[b]));
    candidates[best.unwrap_or(0)]
}
