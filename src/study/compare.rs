//! The comparison of the datasets' runs with their targets, and its scores: one a run, and over the seeds of random networks
//! their mean and spread.

use super::plan::{Plan, Set};
use crate::atomic_file;
use crate::observer::Observer;
use crate::plot::{Groups, Panel, categories, what_target};
use crate::rdm::{Pooling, Rdms, average};
use crate::rsa::{self, Analysed, Over, Score, TargetRdm, analyse, csv, csv_of_objects, mean_and_deviation, of_run};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

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
    if found.assumed {
        observer.fact("order", "targets without names of stimuli are taken to be in the order of the images.");
    }
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

#[derive(Serialize)]
struct Row<'a> {
    dataset: &'a str,
    weights: &'a str,
    seed: Option<u64>,
    #[serde(flatten)]
    score: &'a Score,
}

/// A layer of a network against a target, over all its seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) dataset: String,
    pub(super) target: String,
    /// `behavior` or `fmri`.
    pub(super) kind: String,
    pub(super) model: String,
    pub(super) layer: String,
    /// `trained` or `random`.
    pub(super) weights: &'static str,
    /// How many networks were drawn; 1 if none was.
    pub(super) seeds: usize,
    pub(super) mean: f64,
    /// The standard deviation over seeds.
    pub(super) deviation: Option<f64>,
    /// The 95 % interval of a single network.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    /// What was drawn for it, and how often.
    pub(super) over: Option<Over>,
    pub(super) draws: Option<usize>,
    /// The largest p of its seeds, corrected by the maximum over all tests of the dataset.
    pub(super) p_family: Option<f64>,
    pub(super) ceiling_lower: Option<f64>,
    pub(super) ceiling_upper: Option<f64>,
}

/// Writes all scores and their summaries, and says where.
pub(super) fn write_tables(out: &Path, scenes: &[Scene], summaries: &[Summary]) -> Result<Vec<PathBuf>> {
    let files = ["results.csv", "summary.csv", "summary.json"].map(|name| out.join(name));
    atomic_file::write(&files[0], &results_csv(scenes)?)?;
    atomic_file::write(&files[1], &csv(summaries)?)?;
    atomic_file::write(&files[2], (serde_json::to_string_pretty(summaries)? + "\n").as_bytes())?;
    Ok(files.to_vec())
}

fn results_csv(scenes: &[Scene]) -> Result<Vec<u8>> {
    let row = |(dataset, score): (_, &Score)| {
        let (_, seed) = of_run(&score.model);
        // The csv crate cannot flatten; JSON can.
        Ok(serde_json::to_value(Row { dataset, weights: weights(seed.is_some()), seed, score })?)
    };
    csv_of_objects(&scores(scenes).map(row).collect::<Result<Vec<_>>>()?)
}

fn scores<'a>(scenes: &'a [Scene]) -> impl Iterator<Item = (&'a str, &'a Score)> {
    scenes.iter().flat_map(|scene| scene.found.table.scores.iter().map(|score| (scene.name, score)))
}

fn weights(random: bool) -> &'static str {
    if random { "random" } else { "trained" }
}

impl Summary {
    /// Of all scores, in their order.
    pub(super) fn of(scenes: &[Scene]) -> Vec<Summary> {
        let mut groups: Vec<(&str, Vec<&Score>)> = Vec::new();
        for (dataset, score) in scores(scenes) {
            let network = network(&score.model);
            let same = |group: &&mut (&str, Vec<&Score>)| {
                let first = group.1[0];
                (group.0, self::network(&first.model)) == (dataset, network)
                    && (&first.target, &first.kind, &first.layer) == (&score.target, &score.kind, &score.layer)
            };
            match groups.iter_mut().find(same).filter(|_| network.1) {
                Some(group) => group.1.push(score),
                None => groups.push((dataset, vec![score])),
            }
        }
        groups.into_iter().map(|(dataset, scores)| Summary::new(dataset, &scores)).collect()
    }

    fn new(dataset: &str, scores: &[&Score]) -> Summary {
        let first = scores[0];
        let (model, random) = network(&first.model);
        let (mean, deviation) = mean_and_deviation(scores);
        let single = scores.len() == 1;
        let p: Option<Vec<f64>> = scores.iter().map(|score| score.p_family).collect();
        Summary {
            dataset: dataset.to_owned(),
            target: first.target.clone(),
            kind: first.kind.clone(),
            model: model.to_owned(),
            layer: first.layer.clone(),
            weights: weights(random),
            seeds: scores.len(),
            mean,
            deviation,
            low: first.low.filter(|_| single),
            high: first.high.filter(|_| single),
            over: first.over.filter(|_| single),
            draws: first.draws.filter(|_| single),
            p_family: p.map(|p| p.into_iter().fold(0.0, f64::max)),
            ceiling_lower: first.ceiling_lower,
            ceiling_upper: first.ceiling_upper,
        }
    }
}
