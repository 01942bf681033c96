//! From a request to a regression: RDMs are read, aligned, fitted, tested.

use super::folds::Penalty;
use super::report::Numbers;
use super::{Fit, Fitted, Penalised, Reduced, Regressed, Regression, folds};
use crate::error::advise;
use crate::observer::Observer;
use crate::rsa::Request;
use crate::rsa::analyse::{Aligned, Read, few, negatives};
use crate::rsa::bootstrap::{self, Draws};
use crate::rsa::candidates::{Candidate, candidates};
use crate::rsa::targets::{NamedControl, read_targets};
use anyhow::Result;
use glob::Pattern;
use std::path::PathBuf;

/// Reads, aligns and fits all targets on all predictors; nothing is written.
pub fn regress(request: &Request, observer: &dyn Observer) -> Result<Regressed> {
    request.check()?;
    let read = Read { targets: read_targets(request)?, controls: Vec::new(), candidates: predictors(request, observer)? };
    read.check_outputs(&Regressed::files(&request.out), &request.models)?;
    let Aligned { analysis, ids, assumed, .. } = read.aligned(request, observer)?;
    let regression = Regression { analysis, fit: request.regression.fit() };
    regression.check()?;
    let numbers = regression.numbers(request)?;
    Ok(Regressed {
        request: request.clone(),
        targets: numbers.rows(request, &regression),
        permuted: numbers.tested.map(|[predictors, _]| predictors),
        ids,
        assumed,
        few: few(request, &regression.analysis),
        negative: negatives(&regression.analysis),
        regression,
    })
}

/// The files that were named as predictors, then the layers of runs.
fn predictors(request: &Request, observer: &dyn Observer) -> Result<Vec<Candidate>> {
    let wanted = &request.regression;
    let named = |text: &String| -> Result<Candidate> {
        let NamedControl { name, path, rdm } = NamedControl::read(text, "--regress")?;
        Ok(Candidate { model: name, layer: String::new(), path, rdm })
    };
    let mut predictors: Vec<Candidate> = wanted.regress.iter().map(named).collect::<Result<_>>()?;
    if !wanted.regress_layers.is_empty() {
        predictors.extend(layers(&wanted.regress_layers, &request.models, observer)?);
    }
    for (number, predictor) in predictors.iter().enumerate() {
        if predictors[..number].iter().any(|other| other.name() == predictor.name()) {
            return Err(advise(
                format!("two predictors are called `{}`", predictor.name()),
                "give each a name: --regress NAME=FILE; or leave the one out that is named twice",
            ));
        }
    }
    Ok(predictors)
}

/// The layers of the runs that one of the globs means.
fn layers(globs: &[String], models: &[PathBuf], observer: &dyn Observer) -> Result<Vec<Candidate>> {
    if let Some(file) = models.iter().find(|path| path.is_file()) {
        return Err(advise(
            format!("`{}` is no folder of a run, of which --regress-layers takes layers", file.display()),
            format!("make it a predictor: --regress {}", file.display()),
        ));
    }
    let all = candidates(models, observer)?;
    let mut is_meant = vec![false; all.len()];
    for glob in globs {
        let pattern = Pattern::new(glob).map_err(|error| {
            advise(format!("`{glob}` is no pattern: {error}"), "take names of layers with * and ?: 'layer4.*'")
        })?;
        let meant: Vec<bool> = all.iter().map(|candidate| pattern.matches(&candidate.layer)).collect();
        if !meant.contains(&true) {
            let layers: Vec<String> = all.iter().take(5).map(|candidate| format!("`{}`", candidate.layer)).collect();
            return Err(advise(
                format!("no layer of the runs is called `{glob}`"),
                format!("name some of theirs: {}{}", layers.join(", "), if all.len() > 5 { ", …" } else { "" }),
            ));
        }
        is_meant.iter_mut().zip(meant).for_each(|(is_meant, meant)| *is_meant |= meant);
    }
    Ok(all.into_iter().zip(is_meant).filter_map(|(candidate, meant)| meant.then_some(candidate)).collect())
}

impl Regression {
    /// Everything that was asked for.
    fn numbers(&self, request: &Request) -> Result<Numbers> {
        let (wanted, seed) = (&request.regression, request.seed);
        let chooses = self.fit == Fit::Ridge && wanted.penalty.is_none();
        match wanted.cross_validate {
            Some(over) => folds::check(self, over, wanted.folds(), chooses)?,
            None if chooses => folds::check_nested(self.analysis.stimuli, wanted.folds(), true)?,
            None => {}
        }
        if request.bootstrap > 0 {
            bootstrap::check(&self.analysis, request.over)?;
        }
        let fitted = self.fitted(wanted.penalty, wanted.folds(), seed)?;
        let by_subject = self.by_subject(&fitted);
        let penalty = match (chooses, wanted.penalty) {
            (true, _) => Penalty::Chosen { folds: wanted.folds(), seed },
            (false, lambda) => Penalty::Is(lambda.unwrap_or(0.0)),
        };
        let predicted = wanted.cross_validate.map(|over| {
            let turns = self.turns(over, wanted.folds(), seed);
            self.analysis.targets.iter().map(|target| self.predicted(target, over, &turns, &penalty)).collect()
        });
        let count = |number: u32| (number > 0).then_some(number as usize);
        let tested = count(request.permutations).map(|number| self.test(&fitted, number, seed)).transpose()?;
        let draws = count(request.bootstrap).map(|draws| Draws { over: request.over, draws, seed });
        Ok(Numbers {
            inflations: fitted.iter().map(|of| of.reduced.inflations()).collect(),
            penalties: fitted.iter().map(|of| (self.fit == Fit::Ridge).then_some(of.how.lambda)).collect(),
            predicted,
            ceilings: self.analysis.ceilings()?,
            tested,
            bootstrap: draws.map(|draws| self.bootstrap(&fitted, &by_subject, draws)).transpose()?,
            by_subject,
        })
    }

    pub(super) fn fitted(&self, penalty: Option<f64>, folds: usize, seed: u64) -> Result<Vec<Fitted>> {
        let of_target = |target| {
            let [predictors, subjects] = self.values(target)?;
            let lambda = match (self.fit, penalty) {
                (Fit::Ridge, Some(lambda)) => lambda,
                (Fit::Ridge, None) => self.penalty(target, folds, seed),
                (Fit::Ordinary | Fit::NonNegative, _) => 0.0,
            };
            Ok(Fitted { reduced: Reduced::new(predictors, subjects), how: Penalised { fit: self.fit, lambda } })
        };
        self.analysis.targets.iter().map(of_target).collect()
    }
}
