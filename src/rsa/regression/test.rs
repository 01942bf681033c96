//! Tests of a regression by relabelling stimuli: of each predictor given the others, and of all together.

use super::fit::{Reduced, Whole};
use super::{Fitted, Regression};
use crate::rsa::analysis::pick;
use crate::rsa::permutation::{Permuted, test};
use crate::rsa::relabel::{Products, Relabelled, moved};
use crate::rsa::{Analysis, ControlRdm, ModelRdm, TargetRdm};
use anyhow::Result;

impl Regression {
    /// Tests the partial correlation of every target with each predictor given the others, `[targets, predictors]`, as `rsa --control`
    /// would: what the others leave of the predictor is relabelled.
    pub(super) fn test_predictors(&self, permutations: usize, seed: u64) -> Result<Permuted> {
        let parts: Vec<Analysis> = (0..self.predictors()).map(|predictor| self.given_others(predictor)).collect();
        let relabelled: Vec<Relabelled> = parts.iter().map(Relabelled::new).collect::<Result<_>>()?;
        let targets = self.analysis.targets.len();
        test(self.analysis.stimuli, permutations, seed, &|orders| {
            let by_predictor: Vec<Vec<f64>> = relabelled.iter().map(|of| of.deviations(orders)).collect::<Result<_>>()?;
            let tests = (0..orders.len() * targets).flat_map(|test| by_predictor.iter().map(move |of| of[test]));
            Ok(tests.collect())
        })
    }

    /// One predictor as the model, all others as controls.
    fn given_others(&self, predictor: usize) -> Analysis {
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

    /// Tests R² of every target: the targets are relabelled, and the fit is made anew with the penalty as it is. It is one-sided, for
    /// by chance R² is above 0.
    pub(super) fn test_all(&self, fitted: &[Fitted], permutations: usize, seed: u64) -> Result<Permuted> {
        let complete = self.analysis.is_complete();
        let wholes: Vec<Products> =
            if complete { self.analysis.targets.iter().map(|target| self.products(target)).collect::<Result<_>>()? } else { Vec::new() };
        test(self.analysis.stimuli, permutations, seed, &|orders| {
            let by_target: Vec<Vec<f64>> = match complete {
                true => fitted.iter().zip(&wholes).map(|(of, products)| of.explained(products, orders)).collect::<Result<_>>()?,
                false => {
                    let targets = self.analysis.targets.iter().zip(fitted);
                    targets.map(|(target, of)| orders.iter().map(|order| self.anew(target, of, order)).collect()).collect()
                }
            };
            Ok((0..orders.len()).flat_map(|order| by_target.iter().map(move |of| of[order])).collect())
        })
    }

    fn products(&self, target: &TargetRdm) -> Result<Products> {
        let [predictors, subjects] = self.values(target)?;
        let (_, Whole { basis, targets }) = Reduced::with_whole(predictors, subjects);
        Ok(Products::of_pairs(self.analysis.stimuli, basis, targets))
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
}

impl Fitted {
    /// R², the mean over subjects, under each order.
    fn explained(&self, products: &Products, orders: &[Vec<u32>]) -> Result<Vec<f64>> {
        let count = self.reduced.predictors();
        let all: Vec<usize> = (0..count).collect();
        let by_subject = products.of_targets(orders)?;
        let mut sums = vec![0.0; orders.len()];
        for subject in &by_subject {
            for (sum, along) in sums.iter_mut().zip(subject.chunks_exact(count)) {
                *sum += self.reduced.explained_of(along, &self.reduced.weights_of(self.how, along, &all));
            }
        }
        Ok(sums.into_iter().map(|sum| sum / by_subject.len() as f64).collect())
    }
}
