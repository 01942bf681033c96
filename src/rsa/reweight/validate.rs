//! Nested cross-validation over stimuli: weights and their penalty are found in some, and the pairs of the others are predicted.

use super::fit::{Fit, check_memory};
use super::units::Units;
use crate::npy::Matrix;
use crate::observer::Progress;
use crate::parallel::parallel;
use crate::rdm::aligned;
use crate::rdm::lanes::dot;
use crate::rsa::regression::{Turn, divided};
use crate::rsa::{Analysis, TargetRdm};
use anyhow::Result;

/// The penalties λ that are chosen from: powers of ten from 1e-6 to 10.
pub(super) const PENALTIES: [f64; 8] = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0];

/// How stimuli are divided, and the penalty; without one it is chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scheme {
    pub(super) folds: usize,
    pub(super) repeats: usize,
    pub(super) penalty: Option<f64>,
    pub(super) seed: u64,
}

impl Scheme {
    /// How many fits it takes.
    pub(super) fn fits(&self) -> usize {
        self.repeats * self.folds * (1 + if self.penalty.is_none() { self.folds } else { 0 })
    }

    /// The turns of each repeat.
    pub(super) fn turns(&self, stimuli: usize) -> Vec<Vec<Turn>> {
        let all: Vec<usize> = (0..stimuli).collect();
        (0..self.repeats).map(|round| divided(&all, self.folds, self.seed, round)).collect()
    }
}

/// A layer's rows of the stimuli of an analysis.
pub(super) struct Reweighting<'a> {
    pub(super) analysis: &'a Analysis,
    pub(super) name: &'a str,
    pub(super) features: &'a Matrix,
    pub(super) rows: &'a [usize],
}

/// How well pairs were predicted, the means over folds; NaN if in some fold something does not vary.
#[derive(Debug, Clone)]
pub(super) struct Predicted {
    /// Of each subject with its own weights.
    pub(super) reweighted: Vec<f64>,
    /// Of each subject with all weights 1.
    pub(super) plain: Vec<f64>,
    /// The mean of ln λ.
    pub(super) penalty: f64,
    /// The most units that did not vary in a fit.
    pub(super) constant: usize,
}

impl Reweighting<'_> {
    /// The scores of each target.
    pub(super) fn predicted(&self, scheme: &Scheme, turns: &[Vec<Turn>], progress: &dyn Progress) -> Result<Vec<Predicted>> {
        let all: Vec<(usize, &Turn)> =
            turns.iter().enumerate().flat_map(|(round, turns)| turns.iter().map(move |turn| (round, turn))).collect();
        let fitted = all.iter().map(|(_, [fitted, _])| fitted.len()).max().unwrap_or(0);
        check_memory(self.name, self.features.columns, fitted, self.rows.len())?;
        let mut sums: Vec<Predicted> = self.analysis.targets.iter().map(Predicted::none).collect();
        for &(round, turn) in &all {
            let penalties = match scheme.penalty {
                Some(penalty) => vec![penalty; sums.len()],
                None => self.chosen(&divided(&turn[0], scheme.folds, scheme.seed, round), progress)?,
            };
            self.add(&mut sums, turn, &penalties)?;
            progress.add(1);
        }
        sums.iter_mut().for_each(|sums| sums.divide(all.len() as f64));
        Ok(sums)
    }

    /// For each target the penalty with which the errors of what is left out in turn are least.
    pub(super) fn chosen(&self, turns: &[Turn], progress: &dyn Progress) -> Result<Vec<f64>> {
        let best = |errors: &[f64; PENALTIES.len()]| (0..PENALTIES.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b]));
        Ok(self.errors(turns, progress)?.iter().map(|errors| PENALTIES[best(errors).unwrap_or(0)]).collect())
    }

    /// For each target the squared errors with each penalty, of all subjects together, each in units of the variance of what is fitted.
    pub(super) fn errors(&self, turns: &[Turn], progress: &dyn Progress) -> Result<Vec<[f64; PENALTIES.len()]>> {
        let mut errors = vec![[0.0; PENALTIES.len()]; self.analysis.targets.len()];
        for turn in turns {
            let fit = self.fit(turn)?;
            let left_out = self.subjects(&turn[1]);
            for (place, &lambda) in PENALTIES.iter().enumerate() {
                let weights = fit.weights(lambda)?;
                let error = |subject: usize| {
                    let actual = fit.aims.deviations(subject, &left_out[subject]);
                    let predicted = fit.predicted(&weights[subject])?;
                    let error: Vec<f64> = predicted.iter().zip(&actual).map(|(predicted, actual)| actual - predicted).collect();
                    // A subject that does not vary is predicted by any weights.
                    Ok(if fit.aims.variances[subject] > 0.0 { dot(&error, &error) / fit.aims.variances[subject] } else { 0.0 })
                };
                let found = parallel(weights.len(), &error)?;
                self.owners().into_iter().zip(found).for_each(|((target, _), error)| errors[target][place] += error);
            }
            progress.add(1);
        }
        Ok(errors)
    }

    /// Adds the scores of a fold, with a penalty for each target.
    fn add(&self, sums: &mut [Predicted], turn: &Turn, penalties: &[f64]) -> Result<()> {
        let fit = self.fit(turn)?;
        let (left_out, plain) = (self.subjects(&turn[1]), fit.units.plain()?);
        let compare = |model: &[f64], subject: usize| self.analysis.comparison.compare(turn[1].len(), model, &left_out[subject]);
        let mut different = penalties.to_vec();
        different.sort_by(f64::total_cmp);
        different.dedup();
        for lambda in different {
            let weights = fit.weights(lambda)?;
            let owners: Vec<(usize, (usize, usize))> = self.owners().into_iter().enumerate().collect();
            let meant: Vec<_> = owners.into_iter().filter(|(_, (target, _))| penalties[*target] == lambda).collect();
            let score = |place: usize| {
                let subject = meant[place].0;
                let mean = fit.aims.mean(subject);
                let model: Vec<f64> = fit.predicted(&weights[subject])?.into_iter().map(|pair| pair + mean).collect();
                Ok([compare(&model, subject), compare(&plain, subject)])
            };
            for (scores, (_, (target, own))) in parallel(meant.len(), &score)?.into_iter().zip(&meant) {
                sums[*target].reweighted[*own] += scores[0];
                sums[*target].plain[*own] += scores[1];
            }
        }
        for (sums, penalty) in sums.iter_mut().zip(penalties) {
            sums.penalty += penalty.ln();
            sums.constant = sums.constant.max(fit.units.constant);
        }
        Ok(())
    }

    /// The fit to all subjects of all targets in turn.
    fn fit(&self, turn: &Turn) -> Result<Fit> {
        let [fitted, predicted] =
            turn.each_ref().map(|stimuli| stimuli.iter().map(|&place| self.rows[place]).collect::<Vec<_>>());
        let units = Units::new(self.features, [&fitted, &predicted]);
        units.check(self.name)?;
        Fit::new(units, &self.subjects(&turn[0]))
    }

    /// The pairs of these stimuli in all subjects of all targets.
    fn subjects(&self, stimuli: &[usize]) -> Vec<Vec<f64>> {
        let all = self.analysis.targets.iter().flat_map(|target| &target.subjects);
        all.map(|subject| aligned(self.analysis.stimuli, subject, stimuli)).collect()
    }

    /// Whose subjects these are, and which of theirs.
    fn owners(&self) -> Vec<(usize, usize)> {
        let targets = self.analysis.targets.iter().enumerate();
        targets.flat_map(|(target, of)| (0..of.subjects.len()).map(move |own| (target, own))).collect()
    }
}

impl Predicted {
    fn none(target: &TargetRdm) -> Predicted {
        let zeros = vec![0.0; target.subjects.len()];
        Predicted { reweighted: zeros.clone(), plain: zeros, penalty: 0.0, constant: 0 }
    }

    /// Sums to means.
    fn divide(&mut self, folds: f64) {
        self.reweighted.iter_mut().chain(&mut self.plain).chain([&mut self.penalty]).for_each(|sum| *sum /= folds);
    }
}
