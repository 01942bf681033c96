//! Measures, noise ceilings and averages, which are of RDMs.

use super::inputs::{Pairs, digest, write_numbers};
use super::{Expected, Tolerance, assert_none, cases};
use clap::ValueEnum;
use serde::Deserialize;
use std::collections::BTreeMap;
use thingsvision::npy;
use thingsvision::observer::Silent;
use thingsvision::rdm::{Pooling, stored};
use thingsvision::rsa::{Analysis, Comparison, ModelRdm, TargetRdm, ceiling};

#[derive(Debug, Deserialize)]
struct Case<T> {
    #[serde(flatten)]
    pairs: Pairs,
    digest: Option<String>,
    expected: BTreeMap<String, T>,
}

/// Sums of at most 1,770 products in float64, of values of which the mean is taken first.
const SCORE: Tolerance = Tolerance { relative: 0.0, absolute: 1e-12 };

#[test]
fn measures() {
    let (mut problems, mut checked) = (Vec::new(), 0);
    for case in cases::<Case<Expected>>("measures") {
        let rows = case.pairs.rows();
        assert_eq!(Some(digest(rows.concat())), case.digest, "{:?}", case.pairs);
        for (name, expected) in &case.expected {
            let measure = Comparison::from_str(name, false).unwrap();
            let score = match case.pairs.missing {
                0 => Ok(measure.compare(case.pairs.n, &rows[0], &rows[1])),
                _ => score(measure, case.pairs.n, &rows),
            };
            let problem = expected.problem(score.as_ref().map(std::slice::from_ref), SCORE);
            problems.extend(problem.map(|problem| format!("{name} {:?}: {problem}", case.pairs)));
            checked += 1;
        }
    }
    assert_none(&problems, checked);
}

/// Of the pairs that both have.
fn score(comparison: Comparison, stimuli: usize, rows: &[Vec<f64>]) -> anyhow::Result<f64> {
    let models = vec![ModelRdm { model: "model".into(), layer: String::new(), pairs: rows[0].clone() }];
    let targets = vec![TargetRdm { name: "target".into(), kind: "fmri", time: None, subjects: vec![rows[1].clone()] }];
    Ok(Analysis { comparison, stimuli, controls: Vec::new(), models, targets }.scores()?[0])
}

#[test]
fn ceilings() {
    let (mut problems, mut checked) = (Vec::new(), 0);
    for case in cases::<Case<[Option<f64>; 2]>>("ceilings") {
        let subjects = case.pairs.rows();
        for (name, expected) in &case.expected {
            let found = ceiling(Comparison::from_str(name, false).unwrap(), case.pairs.n, &subjects).unwrap();
            if !SCORE.allows(found.lower, expected[0]) || !SCORE.allows(found.upper, expected[1]) {
                problems.push(format!("{name} {:?}: {found:?} not {expected:?}", case.pairs));
            }
            checked += 1;
        }
        assert_eq!(ceiling(Comparison::default(), case.pairs.n, &subjects[..1]), None);
    }
    assert_none(&problems, checked);
}

/// A few operations in float64 each; in units of the deviation or root mean square subjects may cancel.
#[test]
fn averages() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("mean.npy");
    let (mut problems, mut checked) = (Vec::new(), 0);
    for case in cases::<Case<Expected>>("averages") {
        let file = |(subject, row): (usize, Vec<f64>)| {
            let path = folder.path().join(format!("{subject}.npy"));
            write_numbers(&path, &[row.len()], row);
            path
        };
        let files: Vec<_> = case.pairs.rows().into_iter().enumerate().map(file).collect();
        for (name, expected) in &case.expected {
            let pooling = Pooling::from_str(name, false).unwrap();
            let averaged = stored::average(&files, pooling, &out, &Silent).map(|()| pairs_of_square(&out));
            let absolute = if pooling == Pooling::Mean { 0.0 } else { 1e-14 };
            let problem = expected.problem(averaged.as_deref(), Tolerance { relative: 1e-14, absolute });
            problems.extend(problem.map(|problem| format!("{name} {:?}: {problem}", case.pairs)));
            checked += 1;
        }
    }
    assert_none(&problems, checked);
}

fn pairs_of_square(path: &std::path::Path) -> Vec<f64> {
    let square = npy::read(path).unwrap();
    let n = square.shape()[0];
    (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).map(|(i, j)| square[[i, j]]).collect()
}
