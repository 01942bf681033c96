//! The comparison of a dataset's runs with its targets, and what figures need of it.

use super::figure::Scene;
use super::plan::{Plan, Set};
use crate::observer::Observer;
use crate::plot::{Groups, Panel, categories};
use crate::rdm::{Pooling, Rdms, average};
use crate::rsa::{self, Analysed, TargetRdm, analyse};
use anyhow::{Context, Result};
use std::collections::HashMap;

/// A dataset and what was found of it.
pub(super) struct Compared<'a> {
    pub(super) set: &'a Set<'a>,
    pub(super) found: Analysed,
    /// How it was compared, in sentences.
    pub(super) explained: String,
}

/// Compares the runs of a dataset with its targets, and writes the tables of `rsa`.
pub(super) fn compare<'a>(set: &'a Set, plan: &Plan, observer: &dyn Observer) -> Result<Compared<'a>> {
    let of_set = plan.passes.iter().filter(|pass| std::ptr::eq(&plan.datasets[pass.set], set));
    let request = rsa::Request { models: of_set.map(|pass| pass.folder.clone()).collect(), ..set.comparison.clone() };
    let found = analyse(&request, observer).with_context(|| format!("dataset `{}`", set.dataset.name))?;
    found.write()?;
    let explained = found.explained();
    let (scores, stimuli) = (found.analysis.tests(), found.analysis.stimuli);
    observer.fact("compare", &format!("{}: {scores} scores of {stimuli} stimuli", set.dataset.name));
    found.few.iter().for_each(|text| observer.fact("few", &format!("{text}.")));
    Ok(Compared { set, found, explained })
}

/// What figures show of a dataset.
pub(super) fn scene(compared: &Compared, observer: &dyn Observer) -> Result<Scene> {
    let Compared { set, found, .. } = compared;
    let analysis = &found.analysis;
    let stimuli = analysis.stimuli;
    let categories = match (&set.dataset.categories, &found.ids) {
        (Some(named), Some(ids)) => Some(groups(named, set.stimuli.row_ids(), ids, observer)?),
        _ => None,
    };
    Ok(Scene {
        dataset: set.dataset.name.clone(),
        stimuli,
        targets: analysis.targets.iter().map(|target| panel(stimuli, target)).collect::<Result<_>>()?,
        models: analysis
            .models
            .iter()
            .map(|model| Panel { title: model.model.clone(), subtitle: model.layer.clone(), pairs: model.pairs.clone() })
            .collect(),
        categories,
        scores: found.table.scores.clone(),
    })
}

/// The categories of the stimuli that were compared, `ids`, some of `all`.
fn groups(named: &str, all: &[String], ids: &[String], observer: &dyn Observer) -> Result<Groups> {
    let labels = categories(named, Some(all), all.len(), observer)?;
    let places: HashMap<&String, usize> = all.iter().zip(labels.of_row).collect();
    Ok(Groups { names: labels.names, of: ids.iter().map(|id| places[id]).collect(), grey: false })
}

/// A target, of several subjects their mean.
fn panel(stimuli: usize, target: &TargetRdm) -> Result<Panel> {
    let subjects = target.subjects.len();
    let pairs = match &target.subjects[..] {
        [only] => only.clone(),
        all => average(&Rdms { stimuli, ids: None, subjects: all.to_vec() }, Pooling::Mean)?,
    };
    let kind = if target.name == target.kind { "" } else { target.kind };
    let mean = if subjects > 1 { format!(", mean of {subjects} subjects") } else { String::new() };
    let subtitle = format!("{kind}{mean}").trim_start_matches(", ").to_owned();
    Ok(Panel { title: target.name.clone(), subtitle, pairs })
}
