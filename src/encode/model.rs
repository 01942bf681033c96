//! A layer, or several as feature spaces, fitted to responses and scored.

use super::bands::weightings;
use super::ceiling;
use super::design::{Design, Space};
use super::files::Unit;
use super::fit::{BLOCK, Chosen, Fitting};
use super::folds::grouped;
use super::inference::{Exceeded, bootstrapped, deviation, inflation, permuted, units};
use super::matched::Matched;
use super::predictions::Predictions;
use super::report::Row;
use super::request::{Method, Repeats, Request};
use super::score::{Score, score};
use crate::error::advise;
use crate::memory;
use crate::numbers::bytes;
use crate::observer::{Observer, Progress};
use crate::parallel::parallel;
use crate::rdm::errors::not_finite;
use crate::rdm::ids;
use crate::rsa::{Layer, model_name};
use anyhow::{Context, Result};
use std::path::Path;

/// What predicts.
pub(super) struct Model {
    pub(super) model: String,
    pub(super) layer: String,
    /// The layers that it is made of.
    pub(super) spaces: Vec<usize>,
}

/// The scores of the targets that were fitted, in their order.
pub(super) struct Scores {
    pub(super) correlation: Vec<f64>,
    pub(super) explained: Vec<f64>,
    pub(super) intervals: Option<Vec<Option<[f64; 2]>>>,
    /// Of the mean correlation of all targets.
    pub(super) interval: Option<[f64; 2]>,
    /// One by one, and corrected by the largest score of each permutation.
    pub(super) p: Option<[Vec<f64>; 2]>,
}

/// All that a model was found to do.
pub(super) struct Fit {
    pub(super) predictions: Predictions,
    /// In each fold.
    pub(super) chosen: Vec<Chosen>,
    pub(super) scores: Scores,
    /// Of all targets, also those that were left out.
    pub(super) ceilings: Option<Vec<f64>>,
    pub(super) shares: Shares,
    /// Of all targets, beside the weights, if these were written.
    pub(super) intercepts: Option<Vec<f64>>,
}

impl Model {
    /// Each layer by itself, or all as the spaces of one model.
    pub(super) fn all(request: &Request, layers: &[Layer]) -> Result<Vec<Model>> {
        let named = |layer: &Layer| layer.model_and_layer.clone().unwrap_or_default();
        if !request.banded {
            let of = |(place, layer): (usize, &Layer)| {
                let (model, layer) = named(layer);
                Model { model, layer, spaces: vec![place] }
            };
            return Ok(layers.iter().enumerate().map(of).collect());
        }
        let most = if request.partition { 3 } else { MOST_SPACES };
        if !(2..=most).contains(&layers.len()) {
            return Err(advise(
                format!("{} feature spaces are named", layers.len()),
                format!("name 2 to {most} layers, as files: activations/alexnet/features.2.npy activations/clip-vit/visual.npy"),
            ));
        }
        let names: Vec<String> = layers.iter().map(named).map(|(model, layer)| model_name(&model, &layer)).collect();
        Ok(vec![Model { model: "banded".into(), layer: names.join(" + "), spaces: (0..layers.len()).collect() }])
    }

    pub(super) fn name(&self) -> String {
        model_name(&self.model, &self.layer)
    }

    /// How many fits there are of it and, of a partition, of its parts: a weighting of its spaces in a fold each.
    pub(super) fn steps(&self, request: &Request) -> usize {
        let of = |spaces: &Vec<usize>| if spaces.len() == 1 { 1 } else { request.draws };
        let parts = self.parts(request);
        let weights = if request.weights { of(&parts[0]) } else { 0 };
        let null = if request.permutations > 0 && request.turns() > 1 { request.turns() } else { 0 };
        parts.iter().map(of).sum::<usize>() * request.turns() + weights + null
    }

    /// All spaces, then, of a partition, some of them: every subset.
    fn parts(&self, request: &Request) -> Vec<Vec<usize>> {
        let count = self.spaces.len();
        let subset = |bits: usize| (0..count).filter(|place| bits >> place & 1 == 1).map(|place| self.spaces[place]).collect();
        let all = (1 << count) - 1;
        let others = if request.partition { all - 1 } else { 0 };
        [all].into_iter().chain(1..=others).map(subset).collect()
    }

    /// Fails for features that cannot be fitted, ceilings of other targets, and more memory than there is.
    pub(super) fn check(&self, request: &Request, matched: &Matched, layers: &[Layer]) -> Result<()> {
        for &space in &self.spaces {
            check_finite(&layers[space], &matched.of_layers[space])?;
        }
        if let Some(path) = &request.ceiling {
            ceiling::read(path, matched.responses)?;
        }
        at_once(request, matched, &spaces(&self.spaces, matched, layers)).map(drop)
    }

    /// Fits and scores it; writes the scores of each target.
    pub(super) fn fit(
        &self,
        request: &Request,
        matched: &Matched,
        layers: &[Layer],
        unit: &Unit,
        observer: &dyn Observer,
        progress: &dyn Progress,
    ) -> Result<Row> {
        let ceilings = match &request.ceiling {
            Some(path) => Some(ceiling::read(path, matched.responses)?),
            None => ceiling::of_repeats(matched.responses, &matched.predicted_images(), request.repeats == Repeats::Average)?,
        };
        unit.make_folder()?;
        let room = |path: &Path| Predictions::new(path, &matched.outer, matched.targets.len());
        // Nobody else fits the same as long as it is there.
        let predictions = room(unit.record())?;
        unit.clear();
        let parts = self.parts(request);
        let of_weights = request.weights.then(|| unit.file("weights.npy"));
        let run = Run { request, matched, layers, observer, progress };
        let Fitted { predictions, chosen, intercepts, null } =
            run.fitted(&parts[0], predictions, of_weights.as_deref(), request.permutations as usize)?;
        let scores = scored(request, matched, &predictions, null.as_deref())?;
        let mut explained = Vec::new();
        for part in &parts[1..] {
            let Fitted { predictions, .. } = run.fitted(part, room(&unit.file("part"))?, None, 0)?;
            explained.push(scored_only(matched, &predictions)?.into_iter().map(|score| score.explained).collect::<Vec<f64>>());
        }
        let shares = shares(self.spaces.len(), &scores.explained, &explained);
        let fit = Fit { predictions, chosen, scores, ceilings, shares, intercepts };
        unit.write(request, matched, &fit)
    }
}

/// More are no search any more.
const MOST_SPACES: usize = 16;

/// What each space explains by itself beside the others, and what is left, of all targets; by name.
pub(super) type Shares = Vec<(String, Vec<f64>)>;

/// Of the explained variance of all spaces, and of every subset but that: by inclusion and exclusion. Places are bits.
fn shares(spaces: usize, all: &[f64], parts: &[Vec<f64>]) -> Shares {
    if parts.is_empty() {
        return Vec::new();
    }
    let whole = (1usize << spaces) - 1;
    let of = |bits: usize, target: usize| match bits {
        0 => 0.0,
        bits if bits == whole => all[target],
        bits => parts[bits - 1][target],
    };
    // What exactly these spaces share: Σ over subsets s of them of (−1)^(|s| + 1) R²(the others and s), s none being −R²(the others).
    let share = |bits: usize, target: usize| -> f64 {
        let subsets = (0..=bits).filter(|subset| subset & bits == *subset);
        let sign = |subset: usize| if subset.count_ones() % 2 == 1 { 1.0 } else { -1.0 };
        subsets.map(|subset| sign(subset) * of(whole & !bits | subset, target)).sum()
    };
    let name = |bits: usize| {
        let letters: Vec<String> =
            (0..spaces).filter(|place| bits >> place & 1 == 1).map(|place| (place + 1).to_string()).collect();
        format!("{}_{}", if letters.len() == 1 { "unique" } else { "shared" }, letters.join("_"))
    };
    let of_bits = |bits: usize| (name(bits), (0..all.len()).map(|target| share(bits, target)).collect());
    (1..=whole).map(of_bits).collect()
}

/// Larger features and responses are taken for infinite.
pub(super) const LARGEST: f64 = 1e100;

fn check_finite(layer: &Layer, rows: &[usize]) -> Result<()> {
    // Squares of larger ones are no numbers.
    let is_finite = |&row: &usize| layer.features.row(row).iter().all(|value| value.abs() < LARGEST);
    match rows.iter().find(|row| !is_finite(row)) {
        Some(&row) => {
            Err(not_finite(&[row], &|row| ids::name(layer.ids.as_deref(), row))).with_context(|| format!("`{}`", layer.name))
        }
        None => Ok(()),
    }
}

fn spaces<'a>(part: &[usize], matched: &'a Matched, layers: &'a [Layer]) -> Vec<Space<'a>> {
    part.iter().map(|&space| Space { features: &layers[space].features, rows: &matched.of_layers[space] }).collect()
}

/// What some layers were found to predict.
struct Fitted {
    predictions: Predictions,
    chosen: Vec<Chosen>,
    intercepts: Option<Vec<f64>>,
    /// See [`Fitting::null`].
    null: Option<Vec<f64>>,
}

/// What all fits of a model share.
struct Run<'a> {
    request: &'a Request,
    matched: &'a Matched<'a>,
    layers: &'a [Layer],
    observer: &'a dyn Observer,
    progress: &'a dyn Progress,
}

impl Run<'_> {
    /// Predicts all folds by some layers; writes the weights of a fit to all images, if wanted; and fits what permutations make of
    /// responses, where folds predict each other.
    fn fitted(&self, part: &[usize], predictions: Predictions, of_weights: Option<&Path>, permutations: usize) -> Result<Fitted> {
        let Run { request, matched, layers, observer, progress } = *self;
        let spaces = spaces(part, matched, layers);
        let penalties = request.penalties();
        let draws = weightings(spaces.len(), request.draws, request.seed);
        let fitting = Fitting {
            table: matched.table(),
            condition_of: &matched.image_of,
            targets: &matched.targets,
            groups: &matched.groups,
            standardise: request.standardise,
            choice: request.choose,
            penalties: &penalties,
            draws: &draws,
            folds: request.inner_folds,
            seed: request.seed,
            components: (request.method == Method::Pls).then_some(request.components),
            at_once: at_once(request, matched, &spaces)?,
        };
        let chosen = fitting.run(&spaces, &matched.outer, &predictions, observer, progress)?;
        let rows = if request.train.is_some() { matched.outer[0].fitted.clone() } else { (0..matched.rows.len()).collect() };
        let all = matched.responses.values.columns;
        let write = |path| super::weights::write(&fitting, &spaces, rows, all, path, observer, progress);
        let intercepts = of_weights.map(write).transpose()?;
        let null = || fitting.null(&spaces, &matched.outer, &grouped(&matched.exchanged), permutations, observer, progress);
        let null = (permutations > 0 && request.turns() > 1).then(null).transpose()?;
        Ok(Fitted { predictions, chosen, intercepts, null })
    }
}

/// How many decompositions fit into memory; fails if none does.
fn at_once(request: &Request, matched: &Matched, spaces: &[Space]) -> Result<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let (rows, targets) = (matched.rows.len() as u64, matched.targets.len() as u64);
    let blocks = 8 * (4 * cores * BLOCK as u64 * rows + targets * request.penalties().len() as u64);
    let [design, each] = Design::bytes(spaces);
    // Of responses that are exchanged all scores are kept, and all decompositions of a fold.
    let exchanged = request.permutations > 0 && request.turns() > 1;
    let null = if exchanged { 8 * u64::from(request.permutations) * targets + each * request.inner_folds as u64 } else { 0 };
    let blocks = blocks + null;
    let needed = design + each + blocks;
    let available = memory::available().map(|available| available as u64 / 2);
    match request.memory.or(available).filter(|memory| *memory < needed) {
        Some(memory) => Err(advise(
            format!("a fit needs about {} of memory, and {} may be taken", bytes(needed), bytes(memory)),
            match request.memory {
                Some(_) => "give more: --memory; or reduce the features first: thingsvision reduce RUN --reduce srp",
                None => {
                    "take a machine with more memory, or say how much may be taken: --memory 16G; or reduce the features first"
                }
            },
        )),
        None => {
            let memory = request.memory.or(available).unwrap_or(needed);
            Ok(((memory - design - blocks) / each).clamp(1, request.inner_folds as u64 + 1) as usize)
        }
    }
}

/// Truth and predictions of some targets, in the order of what was predicted.
fn both(matched: &Matched, predictions: &Predictions, block: usize) -> Result<[Vec<f64>; 2]> {
    let places = block * BLOCK..matched.targets.len().min((block + 1) * BLOCK);
    let truth = matched.table().targets(&predictions.rows, &matched.targets[places.clone()]);
    Ok([truth, predictions.read(places)?])
}

/// The mean over folds.
fn scores_of([truth, predicted]: [&[f64]; 2], predictions: &Predictions) -> Vec<Score> {
    let rows = predictions.rows.len();
    let of_target = |(truth, predicted): (&[f64], &[f64])| {
        let folds = predictions.folds.iter().map(|fold| score(&truth[fold.clone()], &predicted[fold.clone()]));
        let count = predictions.folds.len() as f64;
        folds.fold(Score { correlation: 0.0, explained: 0.0 }, |sum, one| Score {
            correlation: sum.correlation + one.correlation / count,
            explained: sum.explained + one.explained / count,
        })
    };
    truth.chunks_exact(rows).zip(predicted.chunks_exact(rows)).map(of_target).collect()
}

fn scored_only(matched: &Matched, predictions: &Predictions) -> Result<Vec<Score>> {
    let blocks = matched.targets.len().div_ceil(BLOCK);
    let of_block = |block: usize| {
        let [truth, predicted] = both(matched, predictions, block)?;
        Ok(scores_of([&truth, &predicted], predictions))
    };
    Ok(parallel(blocks, &of_block)?.concat())
}

/// With `null`, `[permutations, targets]`, the scores of responses that were exchanged and fitted anew.
fn scored(request: &Request, matched: &Matched, predictions: &Predictions, null: Option<&[f64]>) -> Result<Scores> {
    let blocks = matched.targets.len().div_ceil(BLOCK);
    let units = units(predictions, &matched.exchanged);
    let (permutations, draws) = (request.permutations as usize, request.bootstrap as usize);
    let exchanged = if null.is_none() { permutations } else { 0 };
    let of_block = |block: usize| {
        let [truth, predicted] = both(matched, predictions, block)?;
        let both = [&truth[..], &predicted[..]];
        let scores = scores_of(both, predictions);
        let own: Vec<f64> = scores.iter().map(|score| score.correlation).collect();
        let exceeded = permuted(both, &own, predictions, &units, exchanged, request.seed);
        let drawn = (draws > 0).then(|| bootstrapped(both, &own, predictions, &units, draws, request.seed)).transpose()?;
        Ok((scores, exceeded, drawn))
    };
    let found = parallel(blocks, &of_block)?;
    let scores: Vec<Score> = found.iter().flat_map(|(scores, ..)| scores.clone()).collect();
    let correlation: Vec<f64> = scores.iter().map(|score| score.correlation).collect();
    let exceeded = match null {
        Some(null) => Exceeded::of(null, &correlation),
        None => found.iter().fold(Exceeded::none(permutations), |all, (_, exceeded, _)| all.with(exceeded)),
    };
    let all_drawn: Vec<_> = found.iter().filter_map(|(.., drawn)| drawn.as_ref()).collect();
    let mean = |draw: usize| {
        let [sum, count] =
            all_drawn.iter().fold([0.0; 2], |[sum, count], drawn| [sum + drawn.sums[draw][0], count + drawn.sums[draw][1]]);
        sum / count
    };
    let interval = || {
        let centre = correlation.iter().sum::<f64>() / correlation.len() as f64;
        let drawn: Vec<f64> = (0..draws).map(mean).filter(|mean| !mean.is_nan()).collect();
        let error = 1.96 * deviation(&drawn) * inflation(&units);
        [(centre - error).max(-1.0), (centre + error).min(1.0)]
    };
    Ok(Scores {
        intervals: (draws > 0).then(|| all_drawn.iter().flat_map(|drawn| drawn.intervals.clone()).collect()),
        interval: (draws > 0).then(interval),
        explained: scores.iter().map(|score| score.explained).collect(),
        p: (permutations > 0).then(|| exceeded.p(&correlation)),
        correlation,
    })
}
