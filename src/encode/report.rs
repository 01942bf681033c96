//! The scores of models on responses, as files for people and programs.

use super::matched::Matched;
use super::model::{Scores, Shares};
use super::request::Request;
use crate::rdm::outputs;
use crate::rsa::{Over, Score, json, write_rows};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// How well a model predicts a file of responses. What was not asked for is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The name of the responses.
    pub target: String,
    /// The run, as its folder is called; `banded` of several spaces.
    pub model: String,
    /// PyTorch's name of the layer.
    pub layer: String,
    /// How many images were fitted and predicted in turn.
    pub images: usize,
    /// How many rows these have.
    pub rows: usize,
    /// How many targets were fitted.
    pub targets: usize,
    /// How many were left out, for they have NaN or infinite values.
    pub not_finite: usize,
    /// How many were left out, for they do not vary in a fold.
    pub constant: usize,
    /// Pearson's r, the mean over targets, each the mean over folds.
    pub r: f64,
    /// Its median over targets.
    pub r_median: f64,
    /// Its 95 % interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// How many bootstraps it is from.
    pub draws: Option<usize>,
    /// R², the mean over targets.
    pub r2: f64,
    /// Its median.
    pub r2_median: f64,
    /// The share of variance that can be explained, the median over targets.
    pub ceiling: Option<f64>,
    /// Of how many targets it is above 0.
    pub with_ceiling: Option<usize>,
    /// r over the root of the ceiling, the median over these.
    pub r_normalised: Option<f64>,
    /// R² over the ceiling, the median over these.
    pub r2_normalised: Option<f64>,
    /// How many permutations there were.
    pub permutations: Option<usize>,
    /// The targets with q ≤ 0.05, the false discovery rate of Benjamini and Hochberg.
    pub significant: Option<usize>,
    /// The targets with p ≤ 0.05, corrected by the largest score of each permutation.
    pub significant_family: Option<usize>,
    /// The median of all penalties that were chosen, of ridge.
    pub penalty: Option<f64>,
    /// Which share of them is the smallest that was tried, of several.
    pub smallest: Option<f64>,
    /// Which share is the largest.
    pub largest: Option<f64>,
    /// What the first feature space explains beside all others, the mean over targets.
    pub unique_1: Option<f64>,
    /// The second.
    pub unique_2: Option<f64>,
    /// The third.
    pub unique_3: Option<f64>,
    /// What exactly two share.
    pub shared_1_2: Option<f64>,
    /// What exactly two share.
    pub shared_1_3: Option<f64>,
    /// What exactly two share.
    pub shared_2_3: Option<f64>,
    /// What all three share.
    pub shared_1_2_3: Option<f64>,
}

/// All that was fitted, now or before.
pub struct Encoded {
    /// What was asked for.
    pub request: Request,
    /// Of all responses each model; of a shard a part.
    pub rows: Vec<Row>,
    /// How many of them were there already.
    pub kept: usize,
    /// How many there are of all shards.
    pub all: usize,
    /// What must be known to read them, in sentences.
    pub notes: Vec<String>,
}

/// The kind of target that responses are.
const KIND: &str = "encode";

/// Where the table of a folder lies.
pub(super) fn tables(folder: &Path) -> [PathBuf; 2] {
    outputs::with_endings(&folder.join("encode"), ["csv", "json"])
}

impl Encoded {
    /// Writes `encode.csv` and `encode.json`; returns their paths. None of a shard, which has a part of the rows.
    pub fn write(&self) -> Result<Option<[PathBuf; 2]>> {
        if self.request.shard.is_some() {
            return Ok(None);
        }
        let paths = tables(&self.request.out);
        write_rows(&paths, &self.rows)?;
        Ok(Some(paths))
    }

    /// The rows as a JSON array of objects.
    pub fn json(&self) -> Result<String> {
        json(&self.rows)
    }
}

impl Row {
    pub(super) fn new(request: &Request, matched: &Matched, scores: &Scores, [target, model, layer]: [&String; 3]) -> Row {
        Row {
            target: target.clone(),
            model: model.clone(),
            layer: layer.clone(),
            images: matched.images.len(),
            rows: matched.rows.len(),
            targets: matched.targets.len(),
            not_finite: matched.left_out[0],
            constant: matched.left_out[1],
            r: mean(&scores.correlation),
            r_median: median(&scores.correlation),
            low: scores.interval.map(|[low, _]| low),
            high: scores.interval.map(|[_, high]| high),
            draws: scores.interval.map(|_| request.bootstrap as usize),
            r2: mean(&scores.explained),
            r2_median: median(&scores.explained),
            ceiling: None,
            with_ceiling: None,
            r_normalised: None,
            r2_normalised: None,
            permutations: None,
            significant: None,
            significant_family: None,
            penalty: None,
            smallest: None,
            largest: None,
            unique_1: None,
            unique_2: None,
            unique_3: None,
            shared_1_2: None,
            shared_1_3: None,
            shared_2_3: None,
            shared_1_2_3: None,
        }
    }

    pub(super) fn with_ceilings(self, ceilings: Option<&[f64]>, r: Option<&[f64]>, r2: Option<&[f64]>) -> Row {
        let known = |values: Option<&[f64]>| values.map(median).filter(|median| !median.is_nan());
        let above = |ceilings: &[f64]| ceilings.iter().filter(|ceiling| **ceiling > 0.0).count();
        let (ceiling, r_normalised, r2_normalised) = (known(ceilings), known(r), known(r2));
        Row { ceiling, with_ceiling: ceilings.map(above), r_normalised, r2_normalised, ..self }
    }

    pub(super) fn with_significant(self, request: &Request, q: Option<&[f64]>, p_family: Option<&[f64]>) -> Row {
        let below = |values: &[f64]| values.iter().filter(|value| **value <= 0.05).count();
        Row {
            permutations: q.map(|_| request.permutations as usize),
            significant: q.map(below),
            significant_family: p_family.map(below),
            ..self
        }
    }

    /// Of each fold and target the penalty that was chosen of those that were tried.
    pub(super) fn with_penalties(self, chosen: &[&[f64]], tried: &[f64]) -> Row {
        let all: Vec<f64> = chosen.concat();
        let share = |end: Option<&f64>| all.iter().filter(|penalty| Some(*penalty) == end).count() as f64 / all.len() as f64;
        let [smallest, largest] = [tried.first(), tried.last()].map(|end| (tried.len() > 1).then(|| share(end)));
        Row { penalty: Some(median(&all)), smallest, largest, ..self }
    }

    pub(super) fn with_shares(self, shares: &Shares) -> Row {
        let of = |name: &str| shares.iter().find(|(own, _)| own == name).map(|(_, share)| mean(share));
        Row {
            unique_1: of("unique_1"),
            unique_2: of("unique_2"),
            unique_3: of("unique_3"),
            shared_1_2: of("shared_1_2"),
            shared_1_3: of("shared_1_3"),
            shared_2_3: of("shared_2_3"),
            shared_1_2_3: of("shared_1_2_3"),
            ..self
        }
    }

    fn into_score(self) -> Score {
        Score {
            target: self.target,
            kind: KIND.into(),
            model: self.model,
            layer: self.layer,
            compare: "r".into(),
            stimuli: self.images,
            pairs: self.targets,
            subjects: 1,
            score: self.r,
            low: self.low,
            high: self.high,
            over: self.draws.map(|_| Over::Stimuli),
            draws: self.draws,
            draws_left_out: None,
            p: None,
            p_family: None,
            p_holm: None,
            q: None,
            ceiling_lower: None,
            ceiling_upper: None,
            controls: None,
            uncontrolled: None,
            time: None,
            p_cluster: None,
        }
    }
}

/// The rows in this JSON, if it holds such, as scores on one target.
pub(crate) fn read(json: &str) -> Option<Vec<Score>> {
    let rows: Vec<Row> = serde_json::from_str(json).ok()?;
    (!rows.is_empty()).then(|| rows.into_iter().map(Row::into_score).collect())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of what is a number.
fn median(values: &[f64]) -> f64 {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}
