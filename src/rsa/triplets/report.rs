//! The scores of layers on judgements, as files for people and programs.

use super::choices::Choices;
use super::judgements::Repeats;
use super::softmax::Agreement;
use super::{Request, Similarity};
use crate::rdm::outputs;
use crate::rsa::bootstrap::{MANY_LEFT_OUT, percentiles};
use crate::rsa::table::{json, write_rows};
use crate::rsa::{Over, Score};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A layer's choices against those of people. What was not asked for is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The file of the judgements, without its ending.
    pub choices: String,
    /// The run, as its folder is called.
    pub model: String,
    /// PyTorch's name of the layer.
    pub layer: String,
    /// What the layer chose by.
    pub similarity: Similarity,
    /// How many stimuli were judged.
    pub stimuli: usize,
    /// How many judgements were compared.
    pub triplets: usize,
    /// The share of judgements with the same odd one.
    pub accuracy: f64,
    /// Its 95 % interval; also empty if too many draws were left out.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// How many bootstraps over stimuli it is from.
    pub draws: Option<usize>,
    /// In how many of them no judgement was left.
    pub draws_left_out: Option<usize>,
    /// In how many judgements the pair that people kept is tied for the most similar.
    pub ties: usize,
    /// Of the probabilities; empty if none has the highest likelihood.
    pub temperature: Option<f64>,
    /// The mean probability of the odd one that people chose.
    pub probability: Option<f64>,
    /// The mean of its natural logarithm.
    pub log_likelihood: Option<f64>,
    /// How many triplets were judged more than once.
    pub repeated: usize,
    /// How many judgements these have.
    pub repeated_judgements: usize,
    /// The share of these that the most frequent judgement of the others on the triplet predicts.
    pub ceiling_lower: Option<f64>,
    /// The share that agrees with the most frequent one.
    pub ceiling_upper: Option<f64>,
}

/// All that was computed.
pub struct Scores {
    /// What was asked for.
    pub request: Request,
    /// A row for each layer.
    pub rows: Vec<Row>,
    /// Of the stimuli of the layers, if they have names.
    pub ids: Option<Vec<String>>,
    /// Whether a layer without IDs was taken to be in the order of the others.
    pub assumed: bool,
    /// Whether the judgements have numbers of rows.
    pub are_rows: bool,
    /// That stimuli are few, in a sentence.
    pub few: Option<String>,
}

/// The kind of target that judgements are.
pub(crate) const KIND: &str = "triplets";

/// The accuracy of choosing at random.
pub const CHANCE: f64 = 1.0 / 3.0;

impl Scores {
    /// The files that [`Scores::write`] writes.
    pub(super) fn files(prefix: &Path) -> [PathBuf; 2] {
        outputs::with_endings(prefix, ["csv", "json"])
    }

    /// Writes `<prefix>.csv` and `<prefix>.json`; returns their paths.
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

/// A layer's numbers, of all judgements.
pub(super) struct Numbers {
    pub(super) model: String,
    pub(super) layer: String,
    pub(super) accuracy: f64,
    pub(super) ties: usize,
    pub(super) temperature: Option<f64>,
    pub(super) agreement: Option<Agreement>,
}

impl Numbers {
    /// Without an interval.
    pub(super) fn row(self, request: &Request, choices: &Choices, repeats: Option<Repeats>) -> Row {
        Row {
            choices: request.choices.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            model: self.model,
            layer: self.layer,
            similarity: request.similarity,
            stimuli: choices.rows[0].len(),
            triplets: choices.judgements.len(),
            accuracy: self.accuracy,
            low: None,
            high: None,
            draws: None,
            draws_left_out: None,
            ties: self.ties,
            temperature: self.temperature,
            probability: self.agreement.map(|of| of.probability),
            log_likelihood: self.agreement.map(|of| of.log_likelihood),
            repeated: repeats.map_or(0, |repeats| repeats.triplets),
            repeated_judgements: repeats.map_or(0, |repeats| repeats.judgements),
            ceiling_lower: repeats.map(|repeats| repeats.lower),
            ceiling_upper: repeats.map(|repeats| repeats.upper),
        }
    }
}

/// Gives a row the interval of its accuracies in all draws.
pub(super) fn intervals(row: &mut Row, accuracies: Vec<f64>) {
    let (draws, missing) = (accuracies.len(), accuracies.iter().filter(|accuracy| accuracy.is_nan()).count());
    (row.draws, row.draws_left_out) = (Some(draws), Some(missing));
    if missing as f64 <= MANY_LEFT_OUT * draws as f64 {
        [row.low, row.high] = percentiles(accuracies).map(Some);
    }
}

/// The rows in this JSON, if it holds such, as scores on one target.
pub(crate) fn read(json: &str) -> Option<Vec<Score>> {
    let rows: Vec<Row> = serde_json::from_str(json).ok()?;
    (!rows.is_empty()).then(|| rows.into_iter().map(Row::into_score).collect())
}

impl Row {
    fn into_score(self) -> Score {
        Score {
            target: self.choices,
            kind: KIND.into(),
            model: self.model,
            layer: self.layer,
            compare: "accuracy".into(),
            stimuli: self.stimuli,
            pairs: self.triplets,
            subjects: 1,
            score: self.accuracy,
            low: self.low,
            high: self.high,
            over: self.draws.map(|_| Over::Stimuli),
            draws: self.draws,
            draws_left_out: self.draws_left_out,
            p: None,
            p_family: None,
            p_holm: None,
            q: None,
            ceiling_lower: self.ceiling_lower,
            ceiling_upper: self.ceiling_upper,
            controls: None,
            uncontrolled: None,
            time: None,
            p_cluster: None,
        }
    }
}
