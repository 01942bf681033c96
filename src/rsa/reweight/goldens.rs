//! Reweighted layers against NumPy and scikit-learn with arrays of pairs × units: `tests/fixtures/make_reweight_fixtures.py`.

use super::fit::Fit;
use super::units::Units;
use super::validate::{PENALTIES, Reweighting, Scheme};
use crate::npy::Matrix;
use crate::observer::{Observer, Silent, Stage};
use crate::rdm::aligned;
use crate::rsa::regression::Turn;
use crate::rsa::{Analysis, Comparison, TargetRdm};
use clap::ValueEnum;
use serde_json::Value;

const STIMULI: usize = 15;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/rsa/reweight.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn rows<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<Vec<T>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn is_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 1e-10 * largest, "{what}: number {place} is {found}, not {expected}");
    }
}

/// The features of a layer, and all its subjects as a target.
fn layer(of: &Value, comparison: &str) -> (Matrix, Analysis) {
    let (features, subjects): (Vec<Vec<f64>>, _) = (rows(&of["features"]), rows(&of["subjects"]));
    let target = TargetRdm { name: "y".into(), kind: "fmri", time: None, subjects };
    let comparison = Comparison::from_str(comparison, false).unwrap();
    let analysis = Analysis { comparison, stimuli: STIMULI, controls: Vec::new(), models: Vec::new(), targets: vec![target] };
    (Matrix::from_rows(STIMULI, features[0].len(), features.concat()), analysis)
}

/// Each fold left out of these stimuli.
fn turns(folds: &[Vec<usize>], of: &[usize]) -> Vec<Turn> {
    folds.iter().map(|fold| [of.iter().copied().filter(|one| !fold.contains(one)).collect(), fold.clone()]).collect()
}

#[test]
fn weights_equal_scikit_learn() {
    let golden = golden();
    let folds: Vec<Vec<usize>> = rows(&golden["folds"]);
    let [fitted, left_out] = &turns(&folds, &(0..STIMULI).collect::<Vec<_>>())[0];
    for of in golden["layers"].as_array().unwrap() {
        let (features, analysis) = layer(of, "pearson");
        let units = Units::new(&features, [fitted, left_out]);
        assert_eq!(units.constant, 1);
        let subjects: Vec<Vec<f64>> = analysis.targets[0].subjects.iter().map(|pairs| aligned(STIMULI, pairs, fitted)).collect();
        let fit = Fit::new(units, &subjects).unwrap();
        for (lambda, expected) in numbers(&golden["lambdas"]).into_iter().zip(of["weights"].as_array().unwrap()) {
            let weights = fit.weights(lambda).unwrap();
            for (subject, expected) in rows::<f64>(expected).into_iter().enumerate() {
                is_near(&weights[subject], &expected, &format!("{} units, {lambda}", features.columns));
            }
        }
    }
}

#[test]
fn scores_of_stimuli_that_were_left_out_equal_scikit_learn() {
    let golden = golden();
    let (folds, all): (Vec<Vec<usize>>, Vec<usize>) = (rows(&golden["folds"]), (0..STIMULI).collect());
    for of in golden["layers"].as_array().unwrap() {
        for (lambda, expected) in numbers(&golden["lambdas"]).into_iter().zip(of["scores"].as_array().unwrap()) {
            for (name, expected) in expected.as_object().unwrap() {
                let (features, analysis) = layer(of, name);
                let reweighting = Reweighting { analysis: &analysis, name: "x", features: &features, rows: &all };
                let scheme = Scheme { folds: 3, repeats: 1, penalty: Some(lambda), seed: 0 };
                let progress = Silent.begin(Stage::Reweight, None);
                let found = reweighting.predicted(&scheme, &[turns(&folds, &all)], &*progress).unwrap();
                let what = format!("{} units, {lambda}, {name}", features.columns);
                is_near(&found[0].reweighted, &numbers(&expected["reweighted"]), &what);
                is_near(&found[0].plain, &numbers(&expected["plain"]), &what);
                assert!((found[0].penalty.exp() / lambda - 1.0).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn the_penalty_is_the_one_that_predicts_best_within_the_fitted_stimuli() {
    let golden = golden();
    let (folds, inner): (Vec<Vec<usize>>, Vec<Vec<usize>>) = (rows(&golden["folds"]), rows(&golden["inner"]));
    let (all, fitted): (Vec<usize>, Vec<usize>) = ((0..STIMULI).collect(), inner.concat());
    assert!(fitted.iter().all(|stimulus| !folds[0].contains(stimulus)));
    for of in golden["layers"].as_array().unwrap() {
        let (features, mut analysis) = layer(of, "pearson");
        // A second target in other units: the first subject alone, upside down.
        let first = analysis.targets[0].subjects[0].iter().map(|pair| 7.0 - 1e-5 * pair).collect();
        analysis.targets.push(TargetRdm { name: "first".into(), kind: "fmri", time: None, subjects: vec![first] });
        let reweighting = Reweighting { analysis: &analysis, name: "x", features: &features, rows: &all };
        let errors = reweighting.errors(&turns(&inner, &fitted), &*Silent.begin(Stage::Reweight, None)).unwrap();
        is_near(&errors[0], &numbers(&of["errors"]), &format!("{} units", features.columns));
        let chosen = reweighting.chosen(&turns(&inner, &fitted), &*Silent.begin(Stage::Reweight, None)).unwrap();
        let best = (0..PENALTIES.len()).min_by(|&a, &b| errors[0][a].total_cmp(&errors[0][b])).unwrap();
        assert_eq!(chosen[0], PENALTIES[best]);
        assert!(errors[1].iter().all(|error| *error < errors[0].iter().copied().fold(0.0, f64::max)));
    }
}
