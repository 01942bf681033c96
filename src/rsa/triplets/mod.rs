//! Odd-one-out judgements against layers, without fitting anything: of three stimuli a layer keeps the two together that are most alike
//! to it, and people kept two together (Hebart et al. 2020; Muttenthaler et al. 2023).

mod choices;
mod draws;
mod judgements;
mod report;
mod score;
mod softmax;

pub use report::{CHANCE, Row, Scores};

pub(crate) use report::{KIND, read};

use super::analyse::FEW;
use super::features::{Layer, named_layers};
use super::request::{check_draws, check_prefix};
use crate::error::advise;
use crate::observer::{Observer, Stage, Stopped};
use crate::rdm::{Similarities, Space, ids, outputs};
use anyhow::{Context, Result};
use choices::Choices;
use draws::{Draws, TOGETHER};
use judgements::Repeats;
use report::{Numbers, intervals};
use score::Scored;
use serde::{Deserialize, Serialize};
use softmax::{Agreement, fitted};
use std::path::PathBuf;

/// How alike two stimuli are to a layer, of rows x and y.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Similarity {
    /// Σxy / √(Σx² Σy²)
    #[default]
    Cosine,
    /// Σxy
    Dot,
}

impl Similarity {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Similarity::Cosine => "cosine",
            Similarity::Dot => "dot product",
        }
    }

    fn space(self) -> Space {
        match self {
            Similarity::Cosine => Space::Cosine,
            Similarity::Dot => Space::Plain,
        }
    }
}

/// Layers and the judgements that they are scored on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Runs of `thingsvision extract` (all their layers), or files of features or of an embedding, [stimuli, units] [default:
    /// every finished run in activations/]
    #[arg(value_name = "RUN_DIR|FEATURES")]
    pub features: Vec<PathBuf>,

    /// The judgements: three stimuli a line, the odd one last, or .npy [triplets, 3]; by name, or by the numbers of rows
    /// from 0
    #[arg(long, value_name = "FILE")]
    pub choices: PathBuf,

    /// The names of the stimuli that numbers in the judgements count, one a line
    #[arg(long, value_name = "FILE")]
    pub ids: Option<PathBuf>,

    /// Leave out judgements of stimuli that a layer lacks, instead of failing
    #[arg(long)]
    pub intersect: bool,

    /// How alike two stimuli are to a layer
    #[arg(long, value_enum, default_value_t)]
    pub similarity: Similarity,

    /// Of the probabilities of choices, exp(s/T) / Σ exp(s/T) of the three similarities s [default: 1]
    #[arg(long, value_name = "T", value_parser = parse_temperature, allow_negative_numbers = true)]
    pub temperature: Option<f64>,

    /// Take for each layer the temperature of the highest likelihood
    #[arg(long, conflicts_with = "temperature")]
    pub fit_temperature: bool,

    /// Give 95 % intervals from this many bootstraps over stimuli
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub bootstrap: u32,

    /// Of all random draws; the result does not depend on the number of threads
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Write PREFIX.csv and PREFIX.json
    #[arg(long, value_name = "PREFIX", default_value = "triplets")]
    pub out: PathBuf,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            features: Vec::new(),
            choices: PathBuf::new(),
            ids: None,
            intersect: false,
            similarity: Similarity::default(),
            temperature: None,
            fit_temperature: false,
            bootstrap: 0,
            seed: 0,
            out: "triplets".into(),
        }
    }
}

fn is_temperature(temperature: &f64) -> bool {
    *temperature > 0.0 && temperature.is_finite()
}

fn parse_temperature(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(is_temperature).ok_or_else(|| "a number above 0 is needed".to_owned())
}

impl Request {
    /// Fails for what contradicts itself.
    pub fn check(&self) -> Result<()> {
        check_draws(0, self.bootstrap)?;
        if let Some(temperature) = self.temperature.filter(|temperature| !is_temperature(temperature)) {
            return Err(advise(format!("the temperature is {temperature}"), "give a number above 0"));
        }
        if self.temperature.is_some() && self.fit_temperature {
            return Err(advise("a temperature is given and to be fitted", "leave one out"));
        }
        check_prefix(&self.out, "triplets", ".csv and .json")
    }
}

/// Scores all layers on the judgements; nothing is written.
pub fn score(request: &Request, observer: &dyn Observer) -> Result<Scores> {
    request.check()?;
    let layers = named_layers(&request.features, "the odd one out", observer)?;
    let own = [&request.choices].into_iter().chain(&request.ids).cloned();
    let inputs = own.chain(layers.iter().map(|layer| layer.path.clone())).chain(request.features.clone());
    outputs::check(&Scores::files(&request.out), inputs.flat_map(|path| outputs::read_of(&path)))?;
    let choices = Choices::read(request, &layers, observer)?;
    let stimuli = choices.rows[0].len();
    let repeats = Repeats::of(&choices.judgements);
    let draws = (request.bootstrap > 0).then_some(Draws { stimuli, draws: request.bootstrap as usize, seed: request.seed });
    let progress = observer.begin(Stage::Triplets, Some(layers.len()));
    let mut rows = Vec::new();
    let mut layers = layers.into_iter().zip(&choices.rows).peekable();
    while layers.peek().is_some() {
        let mut some: Vec<(Row, Scored)> = Vec::new();
        for (layer, of_layer) in layers.by_ref().take(TOGETHER) {
            if let Some(reason) = observer.stopped() {
                return Err(Stopped(reason).into());
            }
            let (numbers, scored) = numbers(request, layer, of_layer, &choices)?;
            some.push((numbers.row(request, &choices, repeats), scored));
            progress.add(1);
        }
        if let Some(draws) = draws {
            let credits: Vec<&[u8]> = some.iter().map(|(_, scored)| &*scored.credits).collect();
            let accuracies = draws.accuracies(&choices.judgements, &credits, observer)?;
            some.iter_mut().zip(accuracies).for_each(|((row, _), accuracies)| intervals(row, accuracies));
        }
        rows.extend(some.into_iter().map(|(row, _)| row));
    }
    drop(progress);
    let few = (stimuli < FEW && request.bootstrap > 0).then(|| format!("with fewer than {FEW} stimuli intervals are unsure"));
    let Choices { alignment, are_rows, .. } = choices;
    Ok(Scores { request: request.clone(), rows, ids: alignment.ids, assumed: alignment.assumed, are_rows, few })
}

/// A layer's numbers, and its choices.
fn numbers(request: &Request, layer: Layer, rows: &[usize], choices: &Choices) -> Result<(Numbers, Scored)> {
    let Layer { name, features, ids, model_and_layer, .. } = layer;
    let (model, layer) = model_and_layer.unwrap_or_default();
    let of_row = |row: usize| ids::name(ids.as_deref(), row);
    let similarities = Similarities::of(features, rows, request.similarity.space(), &of_row);
    let similarities = similarities.with_context(|| format!("no choices of `{name}`"))?;
    let scored = Scored::of(&similarities, &choices.judgements)?;
    let temperature = match request.fit_temperature {
        true => fitted(&similarities, &choices.judgements)?,
        false => Some(request.temperature.unwrap_or(1.0)),
    };
    let agreement = temperature.map(|temperature| Agreement::of(&similarities, &choices.judgements, temperature)).transpose()?;
    Ok((Numbers { model, layer, accuracy: scored.accuracy(), ties: scored.ties, temperature, agreement }, scored))
}
