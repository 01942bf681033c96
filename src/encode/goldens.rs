//! Fits against scikit-learn and himalaya, by `tests/fixtures/encode/make.py`.

use super::bands::weightings;
use super::design::{Space, Standardise};
use super::fit::{Chosen, Fitting};
use super::folds::{Split, grouped};
use super::predictions::Predictions;
use super::responses::Table;
use super::score::score;
use super::{Choice, ceiling};
use crate::npy::Matrix;
use crate::observer::{Observer, Silent, Stage};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/fixtures/encode/golden.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value.as_array() {
        Some(values) => values.iter().flat_map(numbers).collect(),
        None => vec![value.as_f64().unwrap()],
    }
}

fn matrix(value: &Value) -> Matrix {
    let rows = value.as_array().unwrap().len();
    let values = numbers(value);
    Matrix::from_rows(rows, values.len() / rows, values)
}

/// The predictions `[targets, predicted]` of a case, and what was chosen.
fn fitted(golden: &Value, case: &Value, choice: Choice, draws: &[Vec<f64>]) -> (Vec<f64>, Chosen) {
    fitted_as(golden, case, choice, draws, None)
}

fn fitted_as(golden: &Value, case: &Value, choice: Choice, draws: &[Vec<f64>], components: Option<usize>) -> (Vec<f64>, Chosen) {
    let xs: Vec<Matrix> = case["x"].as_array().unwrap().iter().map(matrix).collect();
    let y = matrix(&case["y"]);
    let (n, fitted) = (y.rows, golden["fitted"].as_u64().unwrap() as usize);
    let all: Vec<usize> = (0..n).collect();
    let rows: Vec<Vec<usize>> = all.iter().map(|&row| vec![row]).collect();
    let mut labels: Vec<usize> = numbers(&golden["folds"]).into_iter().map(|fold| fold as usize).collect();
    labels.resize(n, usize::MAX);
    let spaces: Vec<Space> = xs.iter().map(|features| Space { features, rows: &all }).collect();
    let targets: Vec<usize> = (0..y.columns).collect();
    let penalties = numbers(&golden["penalties"]);
    let fitting = Fitting {
        table: Table { values: &y, rows: &rows },
        condition_of: &all,
        targets: &targets,
        groups: &grouped(&labels),
        standardise: Standardise::Zscore,
        choice,
        penalties: &penalties,
        draws,
        folds: 4,
        seed: 5,
        components,
        at_once: 2,
    };
    let split = Split { fitted: (0..fitted).collect(), predicted: (fitted..n).collect() };
    let folder = tempfile::tempdir().unwrap();
    let predictions = Predictions::new(&folder.path().join("predicted"), std::slice::from_ref(&split), y.columns).unwrap();
    let progress = Silent.begin(Stage::Encode, None);
    let chosen = fitting.run(&spaces, &[split], &predictions, &Silent, &*progress).unwrap();
    (predictions.read(0..y.columns).unwrap(), chosen.into_iter().next().unwrap())
}

/// `expected` is `[predicted, targets]`.
fn check(name: &str, own: &[f64], expected: &Value) {
    let (rows, expected) = (expected.as_array().unwrap().len(), numbers(expected));
    let targets = expected.len() / rows;
    for target in 0..targets {
        for row in 0..rows {
            let (own, expected) = (own[target * rows + row], expected[row * targets + target]);
            assert!((own - expected).abs() <= 1e-8 * expected.abs().max(1.0), "{name}, {target}, {row}: {own} {expected}");
        }
    }
}

#[test]
fn penalties_and_predictions_are_those_of_himalaya_and_scikit_learn() {
    let golden = golden();
    let penalties = numbers(&golden["penalties"]);
    let mut tried = 0;
    for case in golden["cases"].as_array().unwrap() {
        for (key, choice) in [("folds", Choice::Folds), ("leave_one_out", Choice::LeaveOneOut)] {
            let Some(expected) = case.get(key) else { continue };
            let (own, chosen) = fitted(&golden, case, choice, &[vec![1.0]]);
            for (own, expected) in chosen.penalty.iter().zip(numbers(&expected["penalty"])) {
                assert!((penalties[usize::from(*own)] / expected - 1.0).abs() < 1e-9, "{} {key}", case["name"]);
            }
            check(&format!("{} {key}", case["name"]), &own, &expected["predicted"]);
            tried += 1;
        }
    }
    assert_eq!(tried, 4);
}

#[test]
fn banded_ridge_is_that_of_himalaya() {
    let golden = golden();
    let penalties = numbers(&golden["penalties"]);
    let draws = weightings(2, 12, golden["seed"].as_u64().unwrap());
    let mut tried = 0;
    for case in golden["cases"].as_array().unwrap() {
        let Some(expected) = case.get("banded") else { continue };
        let (own, chosen) = fitted(&golden, case, Choice::Folds, &draws);
        let deltas = numbers(&expected["deltas"]);
        for target in 0..chosen.draw.len() {
            for space in 0..2 {
                let weight = draws[usize::from(chosen.draw[target])][space] / penalties[usize::from(chosen.penalty[target])];
                let expected = deltas[space * chosen.draw.len() + target];
                assert!((weight.ln() - expected).abs() < 1e-8, "{} {target}", case["name"]);
            }
        }
        check(&case["name"].to_string(), &own, &expected["predicted"]);
        tried += 1;
    }
    assert_eq!(tried, 2);
}

#[test]
fn partial_least_squares_are_those_of_scikit_learn() {
    let golden = golden();
    let mut tried = 0;
    for case in golden["cases"].as_array().unwrap() {
        for (components, expected) in case["components"].as_object().into_iter().flatten() {
            let count = components.parse().unwrap();
            let (own, _) = fitted_as(&golden, case, Choice::Folds, &[vec![1.0]], Some(count));
            check(&format!("{} {components}", case["name"]), &own, expected);
            tried += 1;
        }
    }
    assert_eq!(tried, 6);
}

#[test]
fn scores_are_those_of_scipy_and_scikit_learn() {
    let golden = golden();
    let case = &golden["cases"][0];
    let (y, predicted) = (matrix(&case["y"]), matrix(&case["folds"]["predicted"]));
    let first = y.rows - predicted.rows;
    for target in 0..y.columns {
        let of = |matrix: &Matrix, from: usize| (from..matrix.rows).map(|row| matrix.row(row)[target]).collect::<Vec<f64>>();
        let own = score(&of(&y, first), &of(&predicted, 0));
        assert!((own.correlation - numbers(&case["scores"]["r"])[target]).abs() < 1e-12);
        assert!((own.explained - numbers(&case["scores"]["r2"])[target]).abs() < 1e-12);
    }
}

/// Generalised cross-validation by its definition, of whole hat matrices.
#[test]
fn generalised_cross_validation_follows_its_formula() {
    let golden = golden();
    let penalties = numbers(&golden["penalties"]);
    let case = &golden["cases"][0];
    let (_, chosen) = fitted(&golden, case, Choice::Generalised, &[vec![1.0]]);
    let n = golden["fitted"].as_u64().unwrap() as usize;
    let (x, y) = (matrix(&case["x"][0]), matrix(&case["y"]));
    let columns = |matrix: &Matrix| -> Vec<Vec<f64>> {
        let column = |unit: usize| (0..n).map(|row| matrix.row(row)[unit]).collect::<Vec<f64>>();
        (0..matrix.columns).map(column).map(|column| super::score::centred(&column)).collect()
    };
    let deviation = |column: &[f64]| (column.iter().map(|value| value * value).sum::<f64>() / n as f64).sqrt();
    let scale = |column: Vec<f64>| {
        let d = deviation(&column);
        column.into_iter().map(|value| value / d).collect::<Vec<f64>>()
    };
    let x: Vec<Vec<f64>> = columns(&x).into_iter().map(scale).collect();
    let flat: Vec<f64> = (0..n).flat_map(|row| x.iter().map(move |column| column[row])).collect();
    let x = tch::Tensor::from_slice(&flat).view([n as i64, x.len() as i64]);
    for (target, y) in columns(&y).iter().enumerate() {
        let y = tch::Tensor::from_slice(y);
        let error = |penalty: &f64| -> f64 {
            let gram = x.tr().matmul(&x) + tch::Tensor::eye(x.size()[1], (tch::Kind::Double, tch::Device::Cpu)) * *penalty;
            let hat = x.matmul(&gram.inverse()).matmul(&x.tr());
            let left = (&y - hat.mv(&y)).square().sum(tch::Kind::Double).double_value(&[]);
            left / (1.0 - (1.0 + hat.trace().double_value(&[])) / n as f64).powi(2)
        };
        let errors: Vec<f64> = penalties.iter().map(error).collect();
        let best = (0..errors.len()).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap();
        assert_eq!(usize::from(chosen.penalty[target]), best, "{target} {errors:?}");
    }
}

#[test]
fn ceilings_of_repeats_follow_the_formula_of_nsd() {
    let golden = golden();
    let of = &golden["ceilings"];
    let names: Vec<String> = numbers(&of["rows"]).iter().map(|row| format!("image {row}")).collect();
    let responses = super::responses::Responses::of(matrix(&of["y"]), names);
    let images: Vec<usize> = (0..responses.rows_of.len()).collect();
    for (key, averaged) in [("averaged", true), ("kept", false)] {
        let own = ceiling::of_repeats(&responses, &images, averaged).unwrap().unwrap();
        for (own, expected) in own.iter().zip(numbers(&of[key])) {
            assert!((own - expected).abs() < 1e-12, "{key}: {own} {expected}");
        }
    }
    assert!(ceiling::of_repeats(&responses, &[1, 6], true).unwrap().is_none());
}
