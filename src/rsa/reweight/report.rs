//! The scores of reweighted layers, as files for people and programs.

use super::{NUMBERS, Predicted};
use crate::rdm::outputs;
use crate::rsa::bootstrap::Bootstrap;
use crate::rsa::features::Layer;
use crate::rsa::table::{json, write_rows};
use crate::rsa::{Analysis, Ceiling, Request};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A layer's scores against a target over the pairs of stimuli that were left out. What was not asked for is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The name of the behavioural or fMRI RDM.
    pub target: String,
    /// `behavior` or `fmri`.
    pub kind: String,
    /// The run, as its folder is called.
    pub model: String,
    /// PyTorch's name of the layer.
    pub layer: String,
    /// How predicted and real pairs were compared.
    pub compare: String,
    /// How many stimuli both have.
    pub stimuli: usize,
    /// How many units the layer has.
    pub units: usize,
    /// How many of them at most do not vary over the stimuli of a fit, and have weight 0.
    pub units_constant: usize,
    /// How many subjects the target has.
    pub subjects: usize,
    /// Into how many parts the stimuli were divided.
    pub folds: usize,
    /// How often.
    pub repeats: usize,
    /// The geometric mean over folds and repeats of the penalty λ.
    pub penalty: f64,
    /// The score with all weights 1, the mean over folds, repeats and subjects; empty if something does not vary in some fold.
    pub unweighted: Option<f64>,
    /// The score with the weights that were found in the other stimuli.
    pub reweighted: Option<f64>,
    /// Its 95 % interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// `reweighted` less `unweighted`.
    pub gained: Option<f64>,
    /// Its 95 % interval.
    pub gained_low: Option<f64>,
    /// The upper end.
    pub gained_high: Option<f64>,
    /// How many bootstraps over subjects the intervals are from.
    pub draws: Option<usize>,
    /// The lower bound of what the best model could reach over the same pairs, the mean over folds.
    pub ceiling_lower: Option<f64>,
    /// The upper bound.
    pub ceiling_upper: Option<f64>,
}

/// What was computed.
pub(super) struct Numbers {
    /// `[layers, targets]`.
    pub(super) predicted: Vec<Vec<Predicted>>,
    pub(super) ceilings: Vec<Option<Ceiling>>,
    pub(super) bootstrap: Option<Bootstrap>,
}

/// All that was computed.
pub struct Reweighted {
    /// What was asked for.
    pub request: Request,
    /// The targets.
    pub analysis: Analysis,
    /// `targets × layers` scores.
    pub rows: Vec<Row>,
    /// Of the stimuli, if they have names.
    pub ids: Option<Vec<String>>,
    /// Whether something without IDs was taken to be in the order of the others.
    pub assumed: bool,
    /// Of what there are too few, in sentences.
    pub few: Vec<String>,
}

impl Reweighted {
    /// The files that [`Reweighted::write`] writes.
    pub(super) fn files(prefix: &Path) -> [PathBuf; 2] {
        outputs::with_endings(prefix, ["reweight.csv", "reweight.json"])
    }

    /// Writes `<prefix>.reweight.csv` and `<prefix>.reweight.json`; returns their paths.
    pub fn write(&self) -> Result<[PathBuf; 2]> {
        let paths = Self::files(&self.request.out);
        outputs::make_folder(&self.request.out)?;
        write_rows(&paths, &self.rows)?;
        Ok(paths)
    }

    /// The scores as a JSON array of objects.
    pub fn json(&self) -> Result<String> {
        json(&self.rows)
    }
}

impl Numbers {
    /// `targets × layers`.
    pub(super) fn rows(&self, request: &Request, analysis: &Analysis, layers: &[Layer]) -> Vec<Row> {
        let of_target = |t: usize| layers.iter().enumerate().map(move |(l, layer)| (t, l, layer));
        let row = |(t, l, layer)| self.row(request, analysis, layer, [t, l]);
        (0..analysis.targets.len()).flat_map(of_target).map(row).collect()
    }

    fn row(&self, request: &Request, analysis: &Analysis, layer: &Layer, [t, l]: [usize; 2]) -> Row {
        let (target, of) = (&analysis.targets[t], &self.predicted[l][t]);
        let (model, name) = layer.model_and_layer.clone().unwrap_or_default();
        let gained = of.reweighted.iter().zip(&of.plain).map(|(reweighted, plain)| reweighted - plain).collect();
        let first = (t * self.predicted.len() + l) * NUMBERS;
        let numbers = [&of.plain, &of.reweighted, &gained].map(|scores: &Vec<f64>| mean(scores));
        let interval = |number: usize| {
            let interval = self.bootstrap.as_ref().and_then(|of| of.interval(first + number, numbers[number]?));
            interval.map_or([None; 2], |ends| ends.map(Some))
        };
        let ([low, high], [gained_low, gained_high]) = (interval(1), interval(2));
        Row {
            target: target.title(),
            kind: target.kind.to_owned(),
            model,
            layer: name,
            compare: analysis.comparison.name().to_owned(),
            stimuli: analysis.stimuli,
            units: layer.features.columns,
            units_constant: of.constant,
            subjects: target.subjects.len(),
            folds: request.regression.folds(),
            repeats: request.regression.repeats.unwrap_or(1) as usize,
            penalty: of.penalty.exp(),
            unweighted: numbers[0],
            reweighted: numbers[1],
            low,
            high,
            gained: numbers[2],
            gained_low,
            gained_high,
            draws: self.bootstrap.as_ref().map(|bootstrap| bootstrap.draws),
            ceiling_lower: self.ceilings[t].map(|ceiling| ceiling.lower),
            ceiling_upper: self.ceilings[t].map(|ceiling| ceiling.upper),
        }
    }
}

/// The mean over subjects, if all have a score.
fn mean(scores: &[f64]) -> Option<f64> {
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    (!mean.is_nan()).then_some(mean)
}
