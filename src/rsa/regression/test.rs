//! Tests of a regression by relabelling stimuli: of each predictor given the others, and of all together.

use super::fit::{Reduced, Whole};
use super::{Fitted, Regression};
use crate::rdm::lanes::dot;
use crate::rsa::analysis::pick;
use crate::rsa::controls::NOTHING;
use crate::rsa::permutation::{Family, Permuted, test};
use crate::rsa::relabel::{Relabelled, moved};
use crate::rsa::side_by_side::SideBySide;
use crate::rsa::{Analysis, ControlRdm, ModelRdm, TargetRdm};
use anyhow::{Result, anyhow};

impl Regression {
    /// Tests the partial correlation of every target with each predictor given the others, `[targets, predictors]`, as `rsa --control`
    /// does: what the others leave of the predictor is relabelled. Then R² of every target: the targets are relabelled, and the fit is
    /// made anew with the penalty as it is; one-sided, for by chance R² is above 0.
    pub(super) fn test(&self, fitted: &[Fitted], permutations: usize, seed: u64) -> Result<[Permuted; 2]> {
        let targets = self.analysis.targets.len();
        let families = [targets * self.predictors(), targets].map(|tests| Family { tests, ..Family::default() });
        let tested = match self.all_pairs()? {
            Some(all) => test(self.analysis.stimuli, permutations, seed, &families, &|orders| Ok(all.scores(fitted, orders)))?,
            None => {
                let parts: Vec<Analysis> = (0..self.predictors()).map(|predictor| self.given_others(predictor)).collect();
                let relabelled: Vec<Relabelled> = parts.iter().map(Relabelled::new).collect::<Result<_>>()?;
                test(self.analysis.stimuli, permutations, seed, &families, &|orders| self.scores(&relabelled, fitted, orders))?
            }
        };
        tested.try_into().map_err(|_| anyhow!("there are two families"))
    }

    /// The partial correlation of each target and predictor, and R² of each target, under each order; of which pairs are missing.
    fn scores(&self, relabelled: &[Relabelled], fitted: &[Fitted], orders: &[Vec<u32>]) -> Result<Vec<f64>> {
        let by_predictor: Vec<Vec<f64>> = relabelled.iter().map(|of| of.deviations(orders)).collect::<Result<_>>()?;
        let targets = self.analysis.targets.len();
        let mut scores = Vec::new();
        for (number, order) in orders.iter().enumerate() {
            let of_order = number * targets..(number + 1) * targets;
            scores.extend(of_order.flat_map(|test| by_predictor.iter().map(move |of| of[test])));
            scores.extend(self.analysis.targets.iter().zip(fitted).map(|(target, of)| self.anew(target, of, order)));
        }
        Ok(scores)
    }

    /// One predictor as the model, all others as controls.
    pub(super) fn given_others(&self, predictor: usize) -> Analysis {
        let others = self.analysis.models.iter().enumerate().filter(|(other, _)| *other != predictor);
        let control = |(_, model): (usize, &ModelRdm)| ControlRdm { name: model.name(), pairs: model.pairs.clone() };
        Analysis {
            comparison: self.analysis.comparison,
            stimuli: self.analysis.stimuli,
            controls: others.map(control).collect(),
            models: vec![self.analysis.models[predictor].clone()],
            targets: self.analysis.targets.clone(),
        }
    }

    /// R² of a relabelled target of which pairs are missing; NaN if over the pairs that are left there is no fit.
    fn anew(&self, target: &TargetRdm, of: &Fitted, order: &[u32]) -> f64 {
        let moved = moved(order);
        let subjects = target.subjects.iter().map(|subject| pick(subject, &moved)).collect();
        let relabelled = TargetRdm { subjects, ..target.clone() };
        let Ok([predictors, subjects]) = self.values(&relabelled) else { return f64::NAN };
        let reduced = Reduced::new(predictors, subjects);
        let all: Vec<usize> = (0..self.predictors()).collect();
        let explained = |subject: usize| reduced.explained(subject, &reduced.weights(of.how, subject, &all));
        (0..reduced.targets()).map(explained).sum::<f64>() / reduced.targets() as f64
    }

    /// What relabelling needs if no pair is missing.
    fn all_pairs(&self) -> Result<Option<AllPairs>> {
        if !self.analysis.is_complete() {
            return Ok(None);
        }
        let mut targets = Vec::new();
        let mut predictors = Vec::new();
        for target in &self.analysis.targets {
            let [of_models, subjects] = self.values(target)?;
            targets.extend(subjects);
            predictors = of_models;
        }
        let (reduced, Whole { basis, targets }) = Reduced::with_whole(predictors, targets);
        let stay: Vec<&[f64]> = basis.iter().map(Vec::as_slice).collect();
        let moved: Vec<&[f64]> = targets.iter().map(Vec::as_slice).chain(stay.iter().copied()).collect();
        let products = SideBySide::new(self.analysis.stimuli, &moved, &stay);
        let subjects = self.analysis.targets.iter().map(|target| target.subjects.len()).collect();
        let left = (0..self.predictors()).map(|own| reduced.left(own)).collect();
        Ok(Some(AllPairs { reduced, left, products, subjects }))
    }
}

/// Subjects and an orthonormal basis of the predictors, all of which are relabelled, and the same basis, which stays: their products
/// say everything.
struct AllPairs {
    reduced: Reduced,
    /// Of each predictor a basis of the others, and what they leave of it.
    left: Vec<(Vec<Vec<f64>>, Vec<f64>)>,
    products: SideBySide,
    /// How many each target has.
    subjects: Vec<usize>,
}

impl AllPairs {
    /// The partial correlation of each target and predictor, and R² of each target, under each order.
    fn scores(&self, fitted: &[Fitted], orders: &[Vec<u32>]) -> Vec<f64> {
        let of_order = |products: &Vec<Vec<f64>>| [self.partial(products), self.explained(fitted, products)].concat();
        self.products.products(orders).iter().flat_map(of_order).collect()
    }

    /// The partial correlation of each target, relabelled with the other predictors, and what these leave of each predictor.
    fn partial(&self, products: &[Vec<f64>]) -> Vec<f64> {
        let (of_subjects, of_basis) = products.split_at(self.reduced.targets());
        let mut first = 0;
        let mut scores = Vec::new();
        for &count in &self.subjects {
            let subjects = first..first + count;
            scores.extend(self.left.iter().map(|(others, left)| {
                // What is left of the predictor along each relabelled axis.
                let along: Vec<f64> = of_basis.iter().map(|axis| dot(axis, left)).collect();
                let length = 1.0 - others.iter().map(|axis| dot(axis, &along).powi(2)).sum::<f64>();
                let score = |subject: usize| {
                    let target = self.reduced.target(subject);
                    let shares: Vec<f64> = others.iter().map(|axis| dot(axis, target)).collect();
                    let of_others: f64 = others.iter().zip(&shares).map(|(axis, share)| share * dot(axis, &along)).sum();
                    let left_of_target = 1.0 - shares.iter().map(|share| share * share).sum::<f64>();
                    (dot(&of_subjects[subject], left) - of_others) / left_of_target.sqrt()
                };
                let mean = subjects.clone().map(score).sum::<f64>() / count as f64;
                mean / if length > NOTHING { length.sqrt() } else { f64::NAN }
            }));
            first += count;
        }
        scores
    }

    /// R² of each relabelled target, the mean over subjects.
    fn explained(&self, fitted: &[Fitted], products: &[Vec<f64>]) -> Vec<f64> {
        let all: Vec<usize> = (0..self.reduced.predictors()).collect();
        let mut subjects = products.iter();
        let of_target = |(of, &count): (&Fitted, &usize)| {
            let explained = |along: &Vec<f64>| self.reduced.explained_of(along, &self.reduced.weights_of(of.how, along, &all));
            subjects.by_ref().take(count).map(explained).sum::<f64>() / count as f64
        };
        fitted.iter().zip(&self.subjects).map(of_target).collect()
    }
}
