//! Dissimilarities against SciPy, rsatoolbox and the formulas of Python THINGSvision, in float64.

use crate::fixtures;
use crate::golden::{golden, matrix, strings, vector};
use clap::ValueEnum;
use ndarray::Array2;
use std::path::Path;
use thingsvision::npy::{self, Matrix};
use thingsvision::observer::Silent;
use thingsvision::rdm::{Job, Labels, Metric, Noise, NoiseModel, OnConstant, Shape};
use thingsvision::rsa::pearson;

fn job(metric: Metric, features: Matrix, noise: Option<&Noise>) -> Job {
    Job::new(metric, features, noise, OnConstant::Error, &|row| row.to_string()).unwrap()
}

fn correlation(features: Matrix) -> Array2<f32> {
    job(Metric::Correlation, features, None).matrix().unwrap()
}

fn stored(folder: &Path, features: Array2<f32>) -> Matrix {
    npy::write(&folder.join("features.npy"), &features.into_dyn()).unwrap();
    Matrix::open(&folder.join("features.npy")).unwrap()
}

/// Compares the pairs, and that both halves are equal and the diagonal 0.
fn assert_pairs(name: &str, rdm: &Array2<f32>, expected: &[f64], tolerance: f64) {
    let mut expected = expected.iter();
    for i in 0..rdm.nrows() {
        assert_eq!(rdm[[i, i]], 0.0);
        for j in i + 1..rdm.nrows() {
            let distance = *expected.next().unwrap();
            let error = (f64::from(rdm[[i, j]]) - distance).abs();
            assert!(error <= tolerance * distance.abs().max(1.0), "{name} {i} {j}: {} not {distance}", rdm[[i, j]]);
            assert_eq!(rdm[[i, j]], rdm[[j, i]], "{name} {i} {j}");
        }
    }
    assert!(expected.next().is_none());
}

#[test]
fn correlation_distances_equal_scipy() {
    for name in ["plain", "offset", "maps"] {
        let features = Matrix::open(&fixtures().join(format!("rdm/{name}.npy"))).unwrap();
        let expected = npy::read(&fixtures().join(format!("rdm/{name}.scipy.npy"))).unwrap().into_raw_vec_and_offset().0;
        assert_pairs(name, &correlation(features), &expected, 1e-7);
    }
}

#[test]
fn every_metric_equals_scipy_rsatoolbox_and_python_thingsvision() {
    let golden = golden();
    let residuals = matrix(&golden["residuals"]);
    let noise = Noise::new(NoiseModel::Shrinkage, &residuals, residuals.rows - 1, None).unwrap();
    let names = golden["metrics"].as_object().unwrap();
    assert_eq!(names.len(), 9);
    for (name, expected) in names {
        let metric = Metric::from_str(name, false).unwrap();
        let rdm = job(metric, matrix(&golden["features"]), Some(&noise)).matrix().unwrap();
        assert_pairs(name, &rdm, &vector(expected), 1e-7);
    }
}

#[test]
fn odd_one_out_equals_its_formula_however_far_apart_products_are() {
    for (name, embedding) in golden()["odd_one_out"].as_object().unwrap() {
        let rdm = job(Metric::OddOneOut, matrix(&embedding["rows"]), None).matrix().unwrap();
        assert_pairs(name, &rdm, &vector(&embedding["expected"]), 1e-7);
    }
}

/// Products of some 10¹³ lie further apart than the shift that pairs share.
#[test]
fn odd_one_out_of_any_numbers_is_a_probability() {
    for power in [-600, 0, 10, 23, 500] {
        let unit = 2f64.powi(power);
        let values = (0..30 * 4).map(|k| unit * f64::from(k * 7919 % 101 - 50)).collect();
        let rdm = job(Metric::OddOneOut, Matrix::from_rows(30, 4, values), None).matrix().unwrap();
        assert!(rdm.iter().all(|probability| (0.0..=1.0).contains(probability)), "2^{power}");
        // Of each three stimuli one pair is kept together.
        let mean = rdm.iter().map(|&value| f64::from(value)).sum::<f64>() / (30.0 * 29.0);
        assert!((mean - 2.0 / 3.0).abs() < 1e-6, "2^{power}: {mean}");
    }
}

/// Three tiles and a bit.
#[test]
fn odd_one_out_of_many_tiles_equals_its_formula() {
    let value = |row: usize, column: usize| ((row * 31 + column * 17 + row * column % 1013) % 97) as f64 / 60.0;
    let rows: Vec<Vec<f64>> = (0..600).map(|row| (0..7).map(|column| value(row, column)).collect()).collect();
    let rdm = job(Metric::OddOneOut, Matrix::from_rows(600, 7, rows.concat()), None).matrix().unwrap();
    let product = |i: usize, j: usize| rows[i].iter().zip(&rows[j]).map(|(x, y)| x * y).sum::<f64>().exp();
    for (i, j) in [(0, 1), (3, 599), (255, 256), (511, 512), (300, 301), (599, 300)] {
        let kept = |k: usize| product(i, j) / (product(i, j) + product(i, k) + product(j, k));
        let expected = 1.0 - (0..600).filter(|&k| k != i && k != j).map(kept).sum::<f64>() / 598.0;
        assert!((f64::from(rdm[[i, j]]) - expected).abs() < 1e-7, "{i} {j}: {} not {expected}", rdm[[i, j]]);
    }
}

#[test]
fn crossnobis_equals_rsatoolbox() {
    let golden = &golden()["crossnobis"];
    let rows = matrix(&golden["rows"]);
    let [conditions, partitions] = ["condition", "partition"].map(|name| Labels::new(&strings(&golden[name])));
    for (name, model) in [("shrinkage", NoiseModel::Shrinkage), ("full", NoiseModel::Full), ("diagonal", NoiseModel::Diagonal)] {
        let design = Some((conditions.clone(), partitions.clone()));
        let noise = Noise::from_repeats(model, &rows, &conditions, design).unwrap();
        let rdm = job(Metric::Crossnobis, matrix(&golden["rows"]), Some(&noise)).matrix().unwrap();
        let expected = vector(&golden["expected"][name]);
        assert_pairs(name, &rdm, &expected, 1e-7);
        assert!(name != "shrinkage" || expected.iter().any(|&distance| distance < 0.0), "a signed estimate");
    }
}

/// 2,100 rows are five tiles and a bit, 1,100 columns three blocks, and so many products are done in float32.
#[test]
fn float32_tiles_are_within_a_millionth_of_float64_whatever_the_offset() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, columns) = (2100, 1100);
    for offset in [0, 4000] {
        let value = |(row, column): (usize, usize)| ((row * 31 + column * 17 + row * column % 1013) % 997 + offset) as f32;
        let mut features = Array2::from_shape_fn((rows, columns), value);
        // Two equal rows, and one that is nearly another.
        let (first, third) = (features.row(0).to_owned(), features.row(3).to_owned());
        features.row_mut(1).assign(&first);
        features.row_mut(2).assign(&third);
        features[[2, 7]] += 1.0;
        let rdm = correlation(stored(folder.path(), features.clone()));
        let row = |i: usize| features.row(i).iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        for (i, j) in [(0, 2), (5, 2099), (511, 512), (1023, 1024), (300, 1599), (2099, 0), (2048, 2050)] {
            let expected = 1.0 - pearson(&row(i), &row(j));
            assert!((f64::from(rdm[[i, j]]) - expected).abs() < 1e-6, "{offset} {i} {j}: {} not {expected}", rdm[[i, j]]);
            assert_eq!(rdm[[i, j]], rdm[[j, i]]);
        }
        assert_eq!(rdm[[0, 1]], 0.0, "equal stimuli");
        let near = 1.0 - pearson(&row(2), &row(3));
        assert!((f64::from(rdm[[2, 3]]) / near - 1.0).abs() < 1e-6, "{offset}: {} not {near}", rdm[[2, 3]]);
    }
}

#[test]
fn euclidean_distances_survive_a_large_offset_and_near_duplicates() {
    let values = [[1e6, 1e6, 1e6], [1e6 + 0.001, 1e6, 1e6], [1e6, 1e6 + 3.0, 1e6 + 4.0], [1e6, 1e6, 1e6]];
    let features = Matrix::from_rows(4, 3, values.concat());
    let rdm = job(Metric::Euclidean, features, None).matrix().unwrap();
    assert!((f64::from(rdm[[0, 1]]) - 0.001).abs() < 1e-8, "{}", rdm[[0, 1]]);
    assert_eq!(rdm[[0, 2]], 5.0);
    assert_eq!(rdm[[0, 3]], 0.0);
}

#[test]
fn the_condensed_file_is_the_upper_triangle_of_the_square_one() {
    let folder = tempfile::tempdir().unwrap();
    let features = Array2::from_shape_fn((1100, 9), |(i, j)| ((i * 7919 + j * 104729 + i * j * 31) % 1000) as f32);
    let job = job(Metric::Cosine, stored(folder.path(), features), None);
    let paths = ["square.npy", "condensed.npy"].map(|name| folder.path().join(name));
    job.write(&paths[0], Shape::Square, &Silent).unwrap();
    job.write(&paths[1], Shape::Condensed, &Silent).unwrap();
    let [square, condensed] = paths.map(|path| npy::read(&path).unwrap());
    assert_eq!(condensed.shape(), [1100 * 1099 / 2]);
    let pairs = (0..1100).flat_map(|i| (i + 1..1100).map(move |j| (i, j)));
    assert!(pairs.zip(&condensed).all(|((i, j), &pair)| square[[i, j]] == pair && square[[j, i]] == pair));
}

#[test]
fn constant_rows_are_nan_or_dropped() {
    let features = || Matrix::from_rows(4, 3, vec![1., 2., 4., 0.1, 0.1, 0.1, 3., 1., 2., 2., 2., 9.]);
    let make = |on_constant| Job::new(Metric::Correlation, features(), None, on_constant, &|row| row.to_string());
    let nan = make(OnConstant::Nan).unwrap().matrix().unwrap();
    assert!((0..4).all(|i| nan[[1, i]].is_nan() != (i == 1)) && nan[[0, 2]].is_finite());
    let dropped = make(OnConstant::Drop).unwrap();
    assert_eq!(dropped.kept(), Some(vec![0, 2, 3]));
    assert_eq!(dropped.matrix().unwrap()[[0, 1]], nan[[0, 2]]);
    assert!(make(OnConstant::Error).is_err());
}
