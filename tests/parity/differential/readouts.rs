//! Readouts, which pool an activation over its places or tokens.

use super::inputs::{Values, exact, numbers};
use super::{Expected, Tolerance, assert_none, cases};
use serde::Deserialize;
use std::collections::BTreeMap;
use tch::Tensor;
use thingsvision::nn::Channels;
use thingsvision::readout::{Places, Readout, Tokens};

#[derive(Debug, Deserialize)]
struct OfReadouts {
    seed: u64,
    shape: Vec<usize>,
    #[serde(deserialize_with = "exact")]
    scale: f64,
    #[serde(deserialize_with = "exact")]
    offset: f64,
    expected: BTreeMap<String, Expected>,
}

fn readout(name: &str) -> (Readout, Option<Channels>) {
    match name {
        "mean first" => (Readout::Mean, Some(Channels::First)),
        "mean last" => (Readout::Mean, Some(Channels::Last)),
        "max first" => (Readout::Max, Some(Channels::First)),
        "max last" => (Readout::Max, Some(Channels::Last)),
        "cls" => (Readout::Cls, None),
        "patches" => (Readout::Patches, None),
        "cls+patches" => (Readout::ClsPatches, None),
        "flatten" => (Readout::Flatten, None),
        other => panic!("{other}"),
    }
}

/// Means are sums of at most 169 numbers in float32, of which each addition loses at most half a digit of the largest.
#[test]
fn readouts() {
    let (mut problems, mut checked) = (Vec::new(), 0);
    for case in cases::<OfReadouts>("readouts") {
        let values = numbers(Values::Uniform, case.shape.iter().product(), case.seed);
        let values: Vec<f32> = values.iter().map(|value| (value * case.scale + case.offset) as f32).collect();
        let shape: Vec<i64> = case.shape.iter().map(|&size| size as i64).collect();
        let activation = Tensor::from_slice(&values).view(&shape[..]);
        for (name, expected) in &case.expected {
            let (readout, channels) = readout(name);
            let row = readout.apply(&activation, Places { channels, tokens: Some(Tokens::CLASS), of_texts: false }, None);
            let row = row.map(|row| Vec::<f64>::try_from(row.flatten(0, -1).to_kind(tch::Kind::Double)).unwrap());
            let added = if name.contains("mean") || name.contains("patches") { 169.0 } else { 0.0 };
            let absolute = added * f64::from(f32::EPSILON) / 2.0 * (case.scale + case.offset);
            let problem = expected.problem(row.as_deref(), Tolerance { relative: 0.0, absolute });
            problems.extend(problem.map(|problem| format!("{name} {case:?}: {problem}")));
            checked += 1;
        }
    }
    assert_none(&problems, checked);
}
