//! The scores of a study: one a run, and over the seeds of random networks their mean and spread.

use crate::rsa::{Score, mean_and_deviation, of_run};
use anyhow::Result;
use serde::Serialize;

/// A score with the dataset that it belongs to.
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
    /// Over seeds.
    pub(super) mean: f64,
    /// The standard deviation over seeds.
    pub(super) deviation: Option<f64>,
    /// The 95 % interval of a single network.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    /// The largest p of its seeds, corrected by the maximum over all tests of the dataset.
    pub(super) p_family: Option<f64>,
    pub(super) ceiling_lower: Option<f64>,
    pub(super) ceiling_upper: Option<f64>,
}

/// `(dataset, its scores)` as a table with a line a score.
pub(super) fn results_csv(results: &[(String, Vec<Score>)]) -> Result<Vec<u8>> {
    let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let mut headed = false;
    for (dataset, scores) in results {
        for score in scores {
            let (_, seed) = of_run(&score.model);
            let row = Row { dataset, weights: weights(seed), seed, score };
            // The csv crate cannot flatten; JSON can.
            let value = serde_json::to_value(&row)?;
            let cells = value.as_object().into_iter().flatten();
            let (names, cells): (Vec<&String>, Vec<String>) = cells.map(|(name, value)| (name, cell(value))).unzip();
            if !std::mem::replace(&mut headed, true) {
                csv.write_record(names)?;
            }
            csv.write_record(cells)?;
        }
    }
    Ok(csv.into_inner()?)
}

fn cell(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn weights(seed: Option<u64>) -> &'static str {
    if seed.is_some() { "random" } else { "trained" }
}

impl Summary {
    /// Of all scores, in their order.
    pub(super) fn of(results: &[(String, Vec<Score>)]) -> Vec<Summary> {
        let mut groups: Vec<(&str, &str, Option<u64>, Vec<&Score>)> = Vec::new();
        for (dataset, scores) in results {
            for score in scores {
                let (model, seed) = of_run(&score.model);
                let same = |group: &&mut (&str, &str, Option<u64>, Vec<&Score>)| {
                    let first = group.3[0];
                    let named = (group.0, group.1, group.2.is_some()) == (dataset.as_str(), model, seed.is_some());
                    named && (&first.target, &first.kind, &first.layer) == (&score.target, &score.kind, &score.layer)
                };
                match groups.iter_mut().find(same).filter(|_| seed.is_some()) {
                    Some(group) => group.3.push(score),
                    None => groups.push((dataset, model, seed, vec![score])),
                }
            }
        }
        groups.into_iter().map(|(dataset, model, seed, scores)| Summary::new(dataset, model, seed, &scores)).collect()
    }

    fn new(dataset: &str, model: &str, seed: Option<u64>, scores: &[&Score]) -> Summary {
        let first = scores[0];
        let (mean, deviation) = mean_and_deviation(scores);
        let single = scores.len() == 1;
        let p: Option<Vec<f64>> = scores.iter().map(|score| score.p_family).collect();
        Summary {
            dataset: dataset.to_owned(),
            target: first.target.clone(),
            kind: first.kind.clone(),
            model: model.to_owned(),
            layer: first.layer.clone(),
            weights: weights(seed),
            seeds: scores.len(),
            mean,
            deviation,
            low: first.low.filter(|_| single),
            high: first.high.filter(|_| single),
            p_family: p.map(|p| p.into_iter().fold(0.0, f64::max)),
            ceiling_lower: first.ceiling_lower,
            ceiling_upper: first.ceiling_upper,
        }
    }
}

/// The summaries as a table.
pub(super) fn summary_csv(summaries: &[Summary]) -> Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    summaries.iter().try_for_each(|summary| csv.serialize(summary))?;
    Ok(csv.into_inner()?)
}
