//! The comparison of a dataset's runs with its targets, and what figures and the report need of it.

use super::plan::{Plan, Set};
use crate::observer::Observer;
use crate::plot::{Groups, Panel, categories, what_target};
use crate::rdm::{Pooling, Rdms, average};
use crate::rsa::{self, Analysed, TargetRdm, analyse, of_run};
use anyhow::{Context, Result};
use std::collections::HashMap;

/// What was found of a dataset: RDMs of the same stimuli in the same order, and scores.
pub(super) struct Scene<'a> {
    pub(super) name: &'a str,
    pub(super) stimuli: usize,
    /// Of subjects their mean.
    pub(super) targets: Vec<Panel>,
    /// `run`, `layer`, pairs.
    pub(super) models: Vec<Panel>,
    pub(super) categories: Option<Groups>,
    pub(super) found: Analysed,
}

/// Compares the runs of a dataset with its targets, and writes the tables of `rsa`.
pub(super) fn compare(set: &Set, plan: &Plan, observer: &dyn Observer) -> Result<Analysed> {
    let of_set = plan.passes.iter().filter(|pass| std::ptr::eq(&plan.datasets[pass.set], set));
    let request = rsa::Request { models: of_set.map(|pass| pass.folder.clone()).collect(), ..set.comparison.clone() };
    let found = analyse(&request, observer).with_context(|| format!("dataset `{}`", set.dataset.name))?;
    found.write()?;
    let (scores, stimuli) = (found.analysis.tests(), found.analysis.stimuli);
    observer.fact("compare", &format!("{}: {scores} scores of {stimuli} stimuli", set.dataset.name));
    found.few.iter().for_each(|text| observer.fact("few", &format!("{text}.")));
    Ok(found)
}

impl<'a> Scene<'a> {
    pub(super) fn new(set: &'a Set, found: Analysed, observer: &dyn Observer) -> Result<Scene<'a>> {
        let analysis = &found.analysis;
        let stimuli = analysis.stimuli;
        let categories = match (&set.dataset.categories, &found.ids) {
            (Some(named), Some(ids)) => Some(groups(named, set.stimuli.row_ids(), ids, observer)?),
            _ => None,
        };
        let targets = analysis.targets.iter().map(|target| panel(stimuli, target)).collect::<Result<_>>()?;
        let models = analysis.models.iter();
        let models =
            models.map(|rdm| Panel { title: rdm.model.clone(), subtitle: rdm.layer.clone(), pairs: rdm.pairs.clone() }).collect();
        Ok(Scene { name: &set.dataset.name, stimuli, targets, models, categories, found })
    }
}

/// A network with weights of a kind, whatever their seed.
pub(super) fn network(run: &str) -> (&str, bool) {
    let (model, seed) = of_run(run);
    (model, seed.is_some())
}

/// The categories of the stimuli that were compared, `ids`, some of `all`.
fn groups(named: &str, all: &[String], ids: &[String], observer: &dyn Observer) -> Result<Groups> {
    let labels = categories(named, Some(all), all.len(), observer)?;
    let places: HashMap<&String, usize> = all.iter().zip(labels.of_row).collect();
    Ok(Groups { names: labels.names, of: ids.iter().map(|id| places[id]).collect(), grey: false })
}

/// A target, of several subjects their mean.
fn panel(stimuli: usize, target: &TargetRdm) -> Result<Panel> {
    let pairs = match &target.subjects[..] {
        [only] => only.clone(),
        all => average(&Rdms { stimuli, ids: None, subjects: all.to_vec() }, Pooling::Mean)?,
    };
    let subtitle = what_target(&target.name, target.kind, target.subjects.len());
    Ok(Panel { title: target.name.clone(), subtitle, pairs })
}
