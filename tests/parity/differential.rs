//! Hundreds of generated inputs, of all types, scales and faults, against SciPy, rsatoolbox and the formulas in higher precision:
//! `fixtures/differential/golden.json`, made by `make_differential_fixtures.py`, which says how the values are checked.
//!
//! Inputs are made of their seed, here as there. A tolerance is what rounding may do to a value, and each says why.

mod features;
mod files;
mod inputs;
mod pairs;
mod readouts;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The cases of one kind.
fn cases<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let text = std::fs::read_to_string(crate::fixtures().join("differential/golden.json")).unwrap();
    let mut golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(golden[kind].take()).unwrap()
}

/// What is to be.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Expected {
    Values(Summary),
    Score(Option<f64>),
    Word(Word),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Refused,
}

/// Of many values some by their places, and sums over those that are not NaN.
#[derive(Debug, Deserialize)]
struct Summary {
    missing: usize,
    /// Of values, of values times 1, 2, … 7, 1, …, and of their sizes.
    sums: [f64; 3],
    some: Vec<(usize, Option<f64>)>,
}

/// How far a value may be from what is expected.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    /// As a share of the value.
    relative: f64,
    absolute: f64,
}

impl Tolerance {
    fn allows(self, value: f64, expected: Option<f64>) -> bool {
        match expected {
            None => value.is_nan(),
            // Two digits more, for numbers in JSON are read with an error of that size.
            Some(expected) => (value - expected).abs() <= (self.relative + 2.0 * f64::EPSILON) * expected.abs() + self.absolute,
        }
    }
}

impl Expected {
    /// What is wrong with a result.
    fn problem<E>(&self, values: Result<&[f64], &E>, tolerance: Tolerance) -> Option<String>
    where
        E: std::fmt::Display,
    {
        match (self, values) {
            (Expected::Word(Word::Refused) | Expected::Score(None), Err(_)) => None,
            (Expected::Word(Word::Refused), Ok(values)) => Some(format!("not refused but {:?}", &values[..values.len().min(3)])),
            (_, Err(error)) => Some(format!("refused: {error}")),
            (Expected::Score(score), Ok(values)) => {
                let all = values.iter().all(|&value| tolerance.allows(value, *score));
                (!all).then(|| format!("{values:?} not {score:?}"))
            }
            (Expected::Values(summary), Ok(values)) => summary.problem(values, tolerance),
        }
    }
}

impl Summary {
    fn problem(&self, values: &[f64], tolerance: Tolerance) -> Option<String> {
        let missing = values.iter().filter(|value| value.is_nan()).count();
        if missing != self.missing {
            return Some(format!("{missing} missing, not {}", self.missing));
        }
        let wrong = self.some.iter().find(|&&(place, expected)| !tolerance.allows(values[place], expected));
        if let Some(&(place, expected)) = wrong {
            return Some(format!("{:e} at {place}, not {expected:?}", values[place]));
        }
        let sum = |of: fn(usize, f64) -> f64| -> f64 {
            (0..).zip(values).filter(|(_, value)| !value.is_nan()).map(|(place, &value)| of(place, value)).sum()
        };
        let sums = [sum(|_, value| value), sum(|place, value| (1 + place % 7) as f64 * value), sum(|_, value| value.abs())];
        // What the values may differ by and what each addition rounds, added up with the largest weight.
        let relative = tolerance.relative + f64::EPSILON * values.len() as f64;
        let most = 7.0 * (relative * self.sums[2] + tolerance.absolute * values.len() as f64);
        let wrong = sums.iter().zip(&self.sums).any(|(sum, expected)| (sum - expected).abs() > most);
        wrong.then(|| format!("sums {sums:?} not {:?}", self.sums))
    }
}

/// Fails with all problems that were found, each with the case it is of.
fn assert_none(problems: &[String], checked: usize) {
    assert!(checked > 0);
    assert!(problems.is_empty(), "{} of {checked}:\n{}", problems.len(), problems.join("\n"));
}
