//! The comparison of a dataset's runs with its targets, and what figures need of it.

use super::plan::{Plan, Set};
use crate::cli::Rsa;
use crate::commands::plot::stimuli::categories;
use crate::commands::rsa::{Analysed, analyse, explained};
use crate::printer::Printer;
use anyhow::{Context, Result};
use std::collections::HashMap;
use thingsvision::plot::{Groups, Panel};
use thingsvision::rdm::{Pooling, Rdms, average};
use thingsvision::rsa::Target;
use thingsvision::study::Scene;

/// A dataset and what was found of it.
pub struct Compared<'a> {
    pub set: &'a Set,
    pub found: Analysed,
    /// How it was compared, in sentences.
    pub explained: String,
}

/// Compares the runs of a dataset with its targets, and writes the tables of `rsa`.
pub fn compare<'a>(set: &'a Set, plan: &Plan, printer: Printer) -> Result<Compared<'a>> {
    let of_set = plan.passes.iter().filter(|pass| std::ptr::eq(&plan.datasets[pass.set], set));
    let models = of_set.map(|pass| pass.planned.folder.clone()).collect();
    let rsa = &set.rsa;
    let arguments = Rsa { models, behavior: rsa.behavior.clone(), fmri: rsa.fmri.clone(), out: rsa.out.clone(), ..*rsa };
    let found = analyse(&arguments, printer).with_context(|| format!("dataset `{}`", set.dataset.name))?;
    found.table.write(&arguments.out)?;
    let explained = explained(&arguments, &found.analysis, found.permuted.as_ref(), found.bootstrap.as_ref());
    printer.fact(
        "compare",
        &format!("{}: {} scores of {} stimuli", set.dataset.name, found.analysis.tests(), found.analysis.stimuli),
    );
    found.few.iter().for_each(|text| printer.fact("few", &format!("{text}.")));
    Ok(Compared { set, found, explained })
}

/// What figures show of a dataset.
pub fn scene(compared: &Compared, printer: Printer) -> Result<Scene> {
    let Compared { set, found, .. } = compared;
    let analysis = &found.analysis;
    let stimuli = analysis.stimuli;
    let categories = match (&set.dataset.categories, &found.ids) {
        (Some(named), Some(ids)) => Some(groups(named, set.stimuli.row_ids(), ids, printer)?),
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
fn groups(named: &str, all: &[String], ids: &[String], printer: Printer) -> Result<Groups> {
    let labels = categories(named, Some(all), all.len(), printer)?;
    let places: HashMap<&String, usize> = all.iter().zip(labels.of_row).collect();
    Ok(Groups { names: labels.names, of: ids.iter().map(|id| places[id]).collect(), grey: false })
}

/// A target, of several subjects their mean.
fn panel(stimuli: usize, target: &Target) -> Result<Panel> {
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
