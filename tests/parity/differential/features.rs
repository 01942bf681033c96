//! Metrics and CKA, which are of features.

use super::inputs::{Features, digest};
use super::{Expected, Tolerance, assert_none, cases};
use clap::ValueEnum;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use thingsvision::npy::Matrix;
use thingsvision::observer::Silent;
use thingsvision::rdm::{Job, Labels, Metric, Noise, NoiseModel, OnConstant};
use thingsvision::rsa::cka;

#[derive(Deserialize)]
struct OfMetrics {
    #[serde(flatten)]
    features: Features,
    on_constant: OnConstant,
    digest: String,
    expected: BTreeMap<String, Expected>,
}

#[derive(Debug, Deserialize)]
struct OfNoise {
    model: NoiseModel,
    partitions: usize,
    residuals: Features,
    features: Features,
    expected: BTreeMap<String, Expected>,
}

#[derive(Debug, Deserialize)]
struct OfLayers {
    one: Features,
    other: Features,
    expected: BTreeMap<String, Expected>,
}

/// RDMs are float32, and half of it is left to sums in float64: what cancels to less than 10⁻⁸ (Euclid) or 10⁻⁹ (angles) is summed
/// anew without cancelling, so that at most 2 · 10⁻⁸ of a value are lost before it is rounded.
const FLOAT32: f64 = f32::EPSILON as f64;

fn tolerance(metric: Metric) -> Tolerance {
    let absolute = match metric {
        // Less than rounding can tell from 0 is 0.
        Metric::Correlation | Metric::Cosine | Metric::Spearman => 64.0 * f64::EPSILON,
        // 1 less a probability.
        Metric::OddOneOut => 64.0 * f64::EPSILON,
        // The last digit of numbers that are too small for all digits of float32.
        _ => f64::from(f32::from_bits(1)),
    };
    Tolerance { relative: FLOAT32, absolute }
}

/// The pairs of the RDM; both halves are the same, and the diagonal is 0.
fn pairs(metric: Metric, features: Matrix, noise: Option<&Noise>, on_constant: OnConstant) -> anyhow::Result<Vec<f64>> {
    let rdm = Job::new(metric, features, noise, on_constant, &|row| row.to_string())?.matrix()?;
    let n = rdm.nrows();
    for i in 0..n {
        assert_eq!(rdm[[i, i]], 0.0, "{metric:?}");
        assert!((0..i).all(|j| rdm[[i, j]].to_bits() == rdm[[j, i]].to_bits()), "{metric:?}");
    }
    Ok((0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).map(|at| f64::from(rdm[at])).collect())
}

#[test]
fn metrics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.npy");
    let (mut problems, mut checked) = (Vec::new(), 0);
    for OfMetrics { features, on_constant, digest: expected_digest, expected } in cases::<OfMetrics>("metrics") {
        let matrix = features.open(&path);
        let mut values = Vec::new();
        (0..matrix.rows).for_each(|row| matrix.append(row, 0..matrix.columns, &mut values));
        assert_eq!(digest(values), expected_digest, "{features:?}");
        for (name, expected) in expected {
            let metric = Metric::from_str(&name, false).unwrap();
            let found = pairs(metric, Matrix::open(&path).unwrap(), None, on_constant);
            let problem = expected.problem(found.as_deref(), tolerance(metric));
            problems.extend(problem.map(|problem| format!("{name} {on_constant:?} {features:?}: {problem}")));
            checked += 1;
        }
    }
    assert_none(&problems, checked);
}

/// Patterns of crossnobis are all conditions of a partition after another.
#[test]
fn mahalanobis_and_crossnobis() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("features.npy");
    let (mut problems, mut checked) = (Vec::new(), 0);
    for case in cases::<OfNoise>("noise") {
        let conditions = case.features.n / case.partitions;
        let labels =
            |of: &dyn Fn(usize) -> usize| Labels::new(&(0..case.features.n).map(|row| of(row).to_string()).collect::<Vec<_>>());
        let design = (labels(&|row| row % conditions), labels(&|row| row / conditions));
        let residuals = case.residuals.open(&folder.path().join("residuals.npy"));
        let noise = Noise::new(case.model, &residuals, residuals.rows - 1, Some(design));
        for (name, expected) in &case.expected {
            let metric = Metric::from_str(name, false).unwrap();
            let found = match &noise {
                Ok(noise) => pairs(metric, case.features.open(&path), Some(noise), OnConstant::Error),
                Err(error) => Err(anyhow::anyhow!("{error}")),
            };
            let problem = expected.problem(found.as_deref(), of_noise(expected));
            problems.extend(problem.map(|problem| format!("{name} {case:?}: {problem}")));
            checked += 1;
        }
    }
    assert_none(&problems, checked);
}

/// Sums of crossnobis have both signs: what rounding does to the largest it does to those that cancel.
fn of_noise(expected: &Expected) -> Tolerance {
    let largest = match expected {
        Expected::Values(summary) => summary.some.iter().filter_map(|(_, value)| *value).fold(0.0, |a: f64, b| a.max(b.abs())),
        Expected::Score(_) | Expected::Word(_) => 0.0,
    };
    Tolerance { relative: FLOAT32, absolute: 1e-10 * largest }
}

/// Products of kernels are in float64; where the unbiased one cancels, at most three digits are lost.
#[test]
fn cka_of_features() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["one.npy", "other.npy"].map(|name| folder.path().join(name));
    let compare = |unbiased: bool| -> anyhow::Result<Vec<f64>> {
        let request = cka::Request { features: paths.to_vec(), unbiased, ..cka::Request::default() };
        let cka = cka::compare(&request, &Silent)?.cka;
        assert!((cka[[0, 0]] - 1.0).abs() < 1e-14 && cka[[0, 1]] == cka[[1, 0]]);
        Ok(vec![cka[[0, 1]]])
    };
    let (mut problems, mut checked) = (Vec::new(), 0);
    for case in cases::<OfLayers>("cka") {
        write(&case, &paths);
        for (name, expected) in &case.expected {
            let found = compare(name == "cka-unbiased");
            let problem = expected.problem(found.as_deref(), Tolerance { relative: 0.0, absolute: 1e-11 });
            problems.extend(problem.map(|problem| format!("{name} {case:?}: {problem}")));
            checked += 1;
        }
    }
    assert_none(&problems, checked);
}

fn write(layers: &OfLayers, paths: &[impl AsRef<Path>; 2]) {
    layers.one.write(paths[0].as_ref());
    layers.other.write(paths[1].as_ref());
}
