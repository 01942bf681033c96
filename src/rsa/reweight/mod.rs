//! Feature-reweighted RSA: how well a layer agrees with a target when each of its units has a weight of its own, found in other stimuli
//! than those that are compared (Kaniuth & Hebart 2022).
//!
//! The equations of the weights are made of features, not of pairs × units: a matrix `[units, units]`, or `[pairs, pairs]` if there are
//! fewer pairs than units.

mod explain;
mod fit;
#[cfg(test)]
mod goldens;
mod report;
mod triangle;
mod units;
mod validate;

pub use report::{Reweighted, Row};

use super::analyse::{Aligned, FEW, Read};
use super::bootstrap::{self, Bootstrap, Draws, draw};
use super::ceiling::ceiling;
use super::features::{Layer, named_layers};
use super::regression::{Turn, check_stimuli};
use super::targets::read_targets;
use super::{Analysis, Ceiling, Over, Request, TargetRdm};
use crate::error::advise;
use crate::observer::{Observer, Stage};
use crate::rdm::errors::not_finite;
use crate::rdm::{Rows, align, aligned, ids};
use anyhow::{Context, Result};
use report::Numbers;
use std::path::PathBuf;
use validate::{Predicted, Reweighting, Scheme};

/// Reads, aligns and reweights all layers for all targets; nothing is written.
pub fn reweight(request: &Request, observer: &dyn Observer) -> Result<Reweighted> {
    request.check()?;
    let targets = read_targets(request)?;
    let layers = named_layers(&request.models, "--reweight", observer)?;
    let read = Read { targets, controls: Vec::new(), candidates: Vec::new() };
    let paths: Vec<PathBuf> = layers.iter().map(|layer| layer.path.clone()).chain(request.models.clone()).collect();
    read.check_outputs(&Reweighted::files(&request.out), &paths)?;
    let alignment = align(&rows(&read, &layers), request.intersect)?;
    let of_layers = alignment.rows[alignment.rows.len() - layers.len()..].to_vec();
    let Aligned { analysis, ids, places, assumed, .. } = read.aligned_as(request, alignment, observer)?;
    let of_layers: Vec<Vec<usize>> = of_layers.iter().map(|rows| places.iter().map(|&place| rows[place]).collect()).collect();
    let scheme = request.regression.scheme(request.seed);
    check(request, &analysis, &scheme)?;
    let turns = scheme.turns(analysis.stimuli);
    let progress = observer.begin(Stage::Reweight, Some(layers.len() * scheme.fits()));
    let of_layer = |(layer, rows): (&Layer, &Vec<usize>)| {
        check_finite(layer, rows)?;
        let reweighting = Reweighting { analysis: &analysis, name: &layer.name, features: &layer.features, rows };
        reweighting.predicted(&scheme, &turns, &*progress)
    };
    let predicted: Vec<Vec<Predicted>> = layers.iter().zip(&of_layers).map(of_layer).collect::<Result<_>>()?;
    drop(progress);
    let numbers = Numbers {
        bootstrap: bootstrapped(request, &analysis, &predicted)?,
        ceilings: analysis.targets.iter().map(|target| mean_ceiling(&analysis, target, &turns)).collect(),
        predicted,
    };
    let rows = numbers.rows(request, &analysis, &layers);
    Ok(Reweighted { request: request.clone(), rows, ids, assumed, few: few(request, &analysis), analysis })
}

/// Those of the files of targets, then those of layers.
fn rows<'a>(read: &'a Read, layers: &'a [Layer]) -> Vec<Rows<'a>> {
    let files = read.targets.iter().flat_map(|target| target.files.iter().map(move |(_, rdms)| (&target.name, rdms)));
    let of_targets = files.map(|(name, rdms)| Rows { name, stimuli: rdms.stimuli, ids: rdms.ids.as_deref(), leads: false });
    of_targets.chain(layers.iter().map(|layer| layer.rows(true))).collect()
}

fn check(request: &Request, analysis: &Analysis, scheme: &Scheme) -> Result<()> {
    let incomplete = |target: &&TargetRdm| target.subjects.iter().flatten().any(|pair| !pair.is_finite());
    if let Some(target) = analysis.targets.iter().find(incomplete) {
        return Err(advise(
            format!("`{}` has pairs without data (NaN), and --reweight fits all pairs of the stimuli of a fold", target.name),
            "leave out the stimuli that lack pairs, or the subject that does",
        ));
    }
    if request.bootstrap > 0 {
        bootstrap::check(analysis, request.over)?;
    }
    check_stimuli(
        analysis.stimuli,
        scheme.folds,
        scheme.penalty.is_none(),
        "compare more stimuli: these are too few to leave some out",
    )
}

fn check_finite(layer: &Layer, rows: &[usize]) -> Result<()> {
    let is_finite = |row: usize| layer.features.row(row).iter().all(|value| value.is_finite());
    match rows.iter().find(|row| !is_finite(**row)) {
        Some(&row) => {
            Err(not_finite(&[row], &|row| ids::name(layer.ids.as_deref(), row))).with_context(|| format!("`{}`", layer.name))
        }
        None => Ok(()),
    }
}

/// The numbers of a test: without weights, with them, and what they gain.
const NUMBERS: usize = 3;

/// In each subject, `[targets, layers, NUMBERS]`.
fn by_subject(predicted: &[Vec<Predicted>], targets: usize) -> Vec<Vec<f64>> {
    let of = |t: usize| predicted.iter().map(move |targets| &targets[t]);
    let gained = |one: &Predicted| one.reweighted.iter().zip(&one.plain).map(|(reweighted, plain)| reweighted - plain).collect();
    (0..targets).flat_map(of).flat_map(|one| [one.plain.clone(), one.reweighted.clone(), gained(one)]).collect()
}

fn bootstrapped(request: &Request, analysis: &Analysis, predicted: &[Vec<Predicted>]) -> Result<Option<Bootstrap>> {
    let draws = Draws { over: Over::Subjects, draws: request.bootstrap as usize, seed: request.seed };
    let by_subject = by_subject(predicted, analysis.targets.len());
    let draw = || draw(analysis, predicted.len() * NUMBERS, draws, &by_subject, &|_, _| [Vec::new(), Vec::new()]);
    (request.bootstrap > 0).then(draw).transpose()
}

/// The noise ceiling over the pairs that are predicted, the mean over folds.
fn mean_ceiling(analysis: &Analysis, target: &TargetRdm, turns: &[Vec<Turn>]) -> Option<Ceiling> {
    let of_fold = |[_, stimuli]: &Turn| {
        let subjects: Vec<Vec<f64>> = target.subjects.iter().map(|pairs| aligned(analysis.stimuli, pairs, stimuli)).collect();
        ceiling(analysis.comparison, stimuli.len(), &subjects)
    };
    let all: Vec<Ceiling> = turns.iter().flatten().map(of_fold).collect::<Option<_>>()?;
    let mean = |of: fn(&Ceiling) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
    let ceiling = Ceiling { lower: mean(|one| one.lower), upper: mean(|one| one.upper) };
    (ceiling.lower.is_finite() && ceiling.upper.is_finite()).then_some(ceiling)
}

/// Warnings of numbers that say little.
fn few(request: &Request, analysis: &Analysis) -> Vec<String> {
    let mut notes = super::analyse::few(request, analysis);
    let smallest = analysis.stimuli / request.regression.folds();
    if smallest < FEW / 2 && request.regression.repeats.unwrap_or(1) < 10 {
        notes.push(format!("a part has {smallest} stimuli, whose scores are unsure; --repeats 10 divides them anew"));
    }
    notes
}

impl super::regression::Wanted {
    fn scheme(&self, seed: u64) -> Scheme {
        Scheme { folds: self.folds(), repeats: self.repeats.unwrap_or(1) as usize, penalty: self.penalty, seed }
    }
}
