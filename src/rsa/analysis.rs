//! Models and targets on the same stimuli: what is compared with what, on which pairs.

use super::Comparison;
use super::ceiling::{Ceiling, ceiling};
use crate::error::advise;
use crate::parallel::parallel;
use anyhow::Result;

/// An RDM that is to explain others.
#[derive(Debug, Clone)]
pub struct ModelRdm {
    /// The run, as its folder is called.
    pub model: String,
    /// PyTorch's name of the layer; empty for a file.
    pub layer: String,
    /// Its pairs, NaN where there is no data.
    pub pairs: Vec<f64>,
}

/// What is to be explained: the RDM of behaviour or of a brain area, of one subject or of several.
#[derive(Debug, Clone)]
pub struct TargetRdm {
    /// The name in tables.
    pub name: String,
    /// `behavior` or `fmri`.
    pub kind: &'static str,
    /// The pairs of each subject, NaN where there is no data.
    pub subjects: Vec<Vec<f64>>,
}

/// Models and targets of the same n stimuli in the same order. Test number `t · models + m` is of target t and model m.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The measure.
    pub comparison: Comparison,
    /// n.
    pub stimuli: usize,
    /// What explains.
    pub models: Vec<ModelRdm>,
    /// What is explained.
    pub targets: Vec<TargetRdm>,
}

impl Analysis {
    /// The number of scores: targets × models.
    pub fn tests(&self) -> usize {
        self.targets.len() * self.models.len()
    }

    /// The pairs on which a target is compared with every model: those of which all models and all its subjects have
    /// data, so that no model is judged on other pairs than the rest.
    pub fn kept(&self, target: &TargetRdm) -> Vec<u32> {
        let all = self.models.iter().map(|model| &model.pairs).chain(&target.subjects);
        let mut kept = vec![true; self.stimuli * (self.stimuli - 1) / 2];
        for pairs in all {
            kept.iter_mut().zip(pairs).for_each(|(kept, pair)| *kept &= pair.is_finite());
        }
        (0..).zip(kept).filter(|(_, kept)| *kept).map(|(pair, _)| pair).collect()
    }

    /// Whether no pair is missing anywhere.
    pub(super) fn is_complete(&self) -> bool {
        let complete = |pairs: &Vec<f64>| pairs.iter().all(|pair| pair.is_finite());
        self.models.iter().all(|model| complete(&model.pairs)) && self.targets.iter().all(|t| t.subjects.iter().all(complete))
    }

    /// The score of every test: the mean over subjects of the comparison with each. That there is none is an error.
    pub fn scores(&self) -> Result<Vec<f64>> {
        let by_subject = self.scores_by_subject()?;
        let scores: Vec<f64> = by_subject.iter().map(|scores| scores.iter().sum::<f64>() / scores.len() as f64).collect();
        match scores.iter().position(|score| score.is_nan()) {
            Some(test) => Err(self.no_score(test)),
            None => Ok(scores),
        }
    }

    fn no_score(&self, test: usize) -> anyhow::Error {
        let (target, model) = (&self.targets[test / self.models.len()], &self.models[test % self.models.len()]);
        advise(
            format!("there is no {} of `{}` with `{}`", self.comparison.title(), model.name(), target.name),
            "one of them does not vary in the way that this measure sees: take another with --compare, or leave it out",
        )
    }

    /// The score of every test in each subject.
    pub(super) fn scores_by_subject(&self) -> Result<Vec<Vec<f64>>> {
        let kept: Vec<Vec<u32>> = self.targets.iter().map(|target| self.kept(target)).collect();
        parallel(self.tests(), &|test| {
            let (t, m) = (test / self.models.len(), test % self.models.len());
            let x = pick(&self.models[m].pairs, &kept[t]);
            let compare = |subject: &Vec<f64>| self.comparison.compare(self.stimuli, &x, &pick(subject, &kept[t]));
            Ok(self.targets[t].subjects.iter().map(compare).collect())
        })
    }

    /// The noise ceiling of every target; `None` with one subject, or if the subjects cancel out.
    pub(super) fn ceilings(&self) -> Result<Vec<Option<Ceiling>>> {
        parallel(self.targets.len(), &|t| {
            let kept = self.kept(&self.targets[t]);
            let subjects: Vec<Vec<f64>> = self.targets[t].subjects.iter().map(|subject| pick(subject, &kept)).collect();
            let ceiling = ceiling(self.comparison, self.stimuli, &subjects);
            // Subjects that are each other's opposites have a mean that does not vary.
            Ok(ceiling.filter(|ceiling| ceiling.lower.is_finite() && ceiling.upper.is_finite()))
        })
    }
}

/// The numbers of `values` at these places.
pub(super) fn pick(values: &[f64], places: &[u32]) -> Vec<f64> {
    places.iter().map(|&place| values[place as usize]).collect()
}
