//! Regressions and partial correlations against SciPy and scikit-learn: `tests/fixtures/make_regression_fixtures.py`.

use super::folds::Penalty;
use super::*;
use crate::rsa::{ControlRdm, ModelRdm, permute};
use clap::ValueEnum;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../tests/fixtures/rsa/regression.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(numbers).collect()
}

fn is_near(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let apart = (found - expected).abs() / expected.abs().max(1.0);
        assert!(apart < 1e-12, "{what}: number {place} is {found}, not {expected}");
    }
}

fn regression(of: &Value, fit: Fit, comparison: &str) -> Regression {
    let (predictors, subjects) = (rows(&of["predictors"]), rows(&of["subjects"]));
    let stimuli = if predictors[0].len() == 15 { 6 } else { 12 };
    let model = |(number, pairs)| ModelRdm { model: format!("x{number}"), layer: String::new(), pairs };
    let analysis = Analysis {
        comparison: Comparison::from_str(comparison, false).unwrap(),
        stimuli,
        controls: Vec::new(),
        models: predictors.into_iter().enumerate().map(model).collect(),
        targets: vec![TargetRdm { name: "y".into(), kind: "fmri", subjects }],
    };
    Regression { analysis, fit }
}

/// The last two predictors as controls of the first two.
fn controlled(of: &Value, comparison: &str) -> Analysis {
    let mut analysis = regression(of, Fit::Ordinary, comparison).analysis;
    let controls = analysis.models.split_off(2);
    analysis.controls = controls.into_iter().map(|model| ControlRdm { name: model.name(), pairs: model.pairs }).collect();
    analysis
}

fn how(golden: &Value, name: &str) -> (Fit, Option<f64>) {
    let fit = Fit::from_str(name, false).unwrap();
    (fit, (fit == Fit::Ridge).then(|| golden["lambda"].as_f64().unwrap()))
}

#[test]
fn partial_correlations_equal_scipy() {
    let golden = golden();
    for comparison in ["pearson", "spearman"] {
        is_near(&controlled(&golden, comparison).scores().unwrap(), &numbers(&golden["partial"][comparison]), comparison);
    }
}

#[test]
fn every_fit_equals_scipy_and_scikit_learn() {
    let golden = golden();
    for (name, expected) in golden["rows"].as_object().unwrap() {
        let (fit, comparison) = name.split_once(' ').unwrap();
        let (fit, penalty) = how(&golden, fit);
        let regression = regression(&golden, fit, comparison);
        let by_subject = regression.by_subject(&regression.fitted(penalty, 5, 0).unwrap());
        let means: Vec<f64> = by_subject.iter().map(|of| of.iter().sum::<f64>() / of.len() as f64).collect();
        is_near(&means, &numbers(expected), name);
    }
}

#[test]
fn draws_of_stimuli_equal_scipy() {
    let golden = golden();
    for draw in golden["draws"].as_array().unwrap() {
        let counts: Vec<u32> = numbers(&draw["counts"]).into_iter().map(|count| count as u32).collect();
        for comparison in ["pearson", "spearman"] {
            let [scores, _] = Prepared::new(&controlled(&golden, comparison)).unwrap().scores(&counts, None);
            is_near(&scores, &numbers(&draw["partial"][comparison]), comparison);
            let analysis = regression(&golden, Fit::Ordinary, comparison).analysis;
            let [models, subjects] = Prepared::new(&analysis).unwrap().centred(&counts, 0).unwrap();
            let (reduced, how) = (Reduced::new(models, subjects), Penalised { fit: Fit::Ordinary, lambda: 0.0 });
            let rows: Vec<Vec<f64>> = (0..3).map(|subject| row(&reduced, how, subject)).collect();
            is_near(&mean(&rows, &[1, 1, 1]), &numbers(&draw["rows"][comparison]), comparison);
        }
    }
}

#[test]
fn predictions_of_what_was_left_out_equal_scipy_and_scikit_learn() {
    let golden = golden();
    let folds: Vec<Vec<usize>> =
        rows(&golden["folds"]).into_iter().map(|fold| fold.into_iter().map(|place| place as usize).collect()).collect();
    let turn = |fold: &Vec<usize>| [(0..12).filter(|stimulus| !fold.contains(stimulus)).collect(), fold.clone()];
    for (name, expected) in golden["predicted"].as_object().unwrap() {
        let (fit, over) = name.split_once(' ').unwrap();
        let (over, (fit, penalty)) = (Over::from_str(over, false).unwrap(), how(&golden, fit));
        let regression = regression(&golden, fit, "pearson");
        let turns = if over == Over::Subjects { regression.turns(over, 5, 0) } else { folds.iter().map(turn).collect() };
        let target = &regression.analysis.targets[0];
        let found = regression.predicted(target, over, &turns, &Penalty::Is(penalty.unwrap_or(0.0)));
        let found = [vec![found.explained, found.correlation], found.unique].concat();
        is_near(&found, &numbers(expected), name);
    }
}

/// With missing pairs the tests go another way: of a pair that is missing in a subject that is there twice nothing else changes.
#[test]
fn tests_of_all_orders_of_six_stimuli_equal_scipy() {
    let golden = &golden()["six"];
    for comparison in ["pearson", "spearman"] {
        let expected = numbers(&golden[comparison]);
        let regression = regression(golden, Fit::Ordinary, comparison);
        let fitted = regression.fitted(None, 5, 0).unwrap();
        let [predictors, all] = regression.test(&fitted, 719, 0).unwrap();
        is_near(&[predictors.p, all.p].concat(), &expected, comparison);
        for own in 0..3 {
            let given_others = permute(&regression.given_others(own), 719, 0).unwrap();
            is_near(&given_others.p, &expected[own..=own], comparison);
        }
    }
}

#[test]
fn tests_with_missing_pairs_agree_with_those_without() {
    let golden = golden();
    let mut regression = regression(&golden, Fit::Ordinary, "pearson");
    let whole = regression.test(&regression.fitted(None, 5, 0).unwrap(), 199, 3).unwrap();
    // One pair of 66.
    regression.analysis.targets[0].subjects[1][40] = f64::NAN;
    let missing = regression.test(&regression.fitted(None, 5, 0).unwrap(), 199, 3).unwrap();
    for (whole, missing) in whole.iter().zip(&missing) {
        assert!(whole.p.iter().zip(&missing.p).all(|(a, b)| (a - b).abs() < 0.1), "{:?} {:?}", whole.p, missing.p);
    }
}

#[test]
fn a_penalty_is_chosen_that_predicts_best() {
    let golden = golden();
    let regression = regression(&golden, Fit::Ridge, "pearson");
    let target = &regression.analysis.targets[0];
    let chosen = regression.penalty(target, 3, 0);
    let turns = regression.turns(Over::Stimuli, 3, 0);
    let explained = |lambda: f64| regression.predicted(target, Over::Stimuli, &turns, &Penalty::Is(lambda)).explained;
    // Each subject has one whole, so the mean over subjects of R² need not be best at the very same penalty.
    assert!([1e-4, 100.0].into_iter().all(|other| explained(chosen) > explained(other)), "{chosen}");
}

#[test]
fn predictors_that_are_combinations_of_others_are_named() {
    let mut regression = regression(&golden(), Fit::Ordinary, "pearson");
    let sum =
        regression.analysis.models[0].pairs.iter().zip(&regression.analysis.models[3].pairs).map(|(a, b)| 2.0 * a - b + 1.0);
    let pairs = sum.collect();
    regression.analysis.models.push(ModelRdm { model: "sum".into(), layer: String::new(), pairs });
    let error = regression.check().unwrap_err().to_string();
    assert!(error.starts_with("each of `x0`, `x3`, `sum` is a linear combination of the others"), "{error}");
}
