//! Clusters and maps of stimuli against SciPy and scikit-learn.

use crate::fixtures;
use crate::golden::vector;
use serde_json::Value;
use thingsvision::rdm::{Clusters, Rdms, plane};

fn golden(part: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixtures().join("order.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all[part].as_array().unwrap().clone()
}

fn rdms(golden: &Value) -> Rdms {
    let pairs = vector(&golden["pairs"]);
    let stimuli = (1 + 8 * pairs.len()).isqrt().div_ceil(2);
    Rdms { stimuli, ids: None, subjects: vec![pairs] }
}

fn numbers(values: &Value) -> Vec<usize> {
    vector(values).into_iter().map(|value| value as usize).collect()
}

/// Whether both say alike which two stimuli are together.
fn assert_same_partition(ours: &[usize], theirs: &[usize]) {
    assert_eq!(ours.len(), theirs.len());
    for i in 0..ours.len() {
        for j in 0..i {
            assert_eq!(ours[i] == ours[j], theirs[i] == theirs[j], "stimuli {j} and {i}: {ours:?}, not {theirs:?}");
        }
    }
}

#[test]
fn the_leaves_and_cuts_of_average_linkage_are_those_of_scipy() {
    let all = golden("hierarchies");
    assert_eq!(all.len(), 4);
    let mut compared = 0;
    for golden in all {
        let rdms = rdms(&golden);
        for (count, expected) in golden["clusters"].as_object().unwrap() {
            let (count, expected) = (count.parse().unwrap(), numbers(expected));
            let found = Clusters::find(&rdms, count).unwrap();
            assert_eq!(found.order, numbers(&golden["leaves"]));
            assert_eq!(found.count(), count);
            // Where merges are tied SciPy undoes all or none of them, and we as many as are needed.
            if expected.iter().max() == Some(&count) {
                assert_same_partition(&found.of, &expected);
                compared += 1;
            }
            let in_order: Vec<usize> = found.order.iter().map(|&stimulus| found.of[stimulus]).collect();
            assert!(in_order.is_sorted(), "{in_order:?}");
        }
    }
    assert_eq!(compared, 19);
}

#[test]
fn maps_are_those_of_scikit_learn() {
    for golden in golden("planes") {
        let found = plane(&rdms(&golden)).unwrap();
        let expected: Vec<Vec<f64>> = golden["points"].as_array().unwrap().iter().map(vector).collect();
        for (found, expected) in found.points.iter().zip(&expected) {
            assert!((found[0] - expected[0]).abs() < 1e-9 && (found[1] - expected[1]).abs() < 1e-9, "{found:?} {expected:?}");
        }
        for (found, expected) in found.shares.iter().zip(vector(&golden["shares"])) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
