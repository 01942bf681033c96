//! Correlation distances and their comparison against SciPy in float64.

use crate::fixtures;
use thingsvision::npy::{self, Matrix};
use thingsvision::rdm::{Metric, OnConstant};
use thingsvision::rsa::pearson;

#[test]
fn correlation_distances_equal_scipy() {
    for name in ["plain", "offset", "maps"] {
        let features = Matrix::open(&fixtures().join(format!("rdm/{name}.npy"))).unwrap();
        let rdm = Metric::Correlation.rdm(&features, OnConstant::Error, &|row| row.to_string()).unwrap();
        let mut expected = npy::read(&fixtures().join(format!("rdm/{name}.scipy.npy"))).unwrap().into_iter();
        for i in 0..features.rows {
            assert_eq!(rdm[[i, i]], 0.0);
            for j in i + 1..features.rows {
                let distance = expected.next().unwrap();
                assert!((f64::from(rdm[[i, j]]) - distance).abs() < 1e-7, "{name} {i} {j}: {} not {distance}", rdm[[i, j]]);
                assert_eq!(rdm[[i, j]], rdm[[j, i]], "{name} {i} {j}");
            }
        }
    }
}

#[test]
fn an_rdm_of_several_tiles_equals_its_definition() {
    // 600 rows are three tiles and a bit, 5,000 columns two blocks; whole numbers, so that the sums below are exact.
    let value = |row: usize, column: usize| ((row * 31 + column * 17 + row * column % 13) % 23) as f32;
    let (rows, columns) = (600, 5000);
    let features = ndarray::Array2::from_shape_fn((rows, columns), |(row, column)| value(row, column));
    let folder = tempfile::tempdir().unwrap();
    npy::write(&folder.path().join("features.npy"), &features.clone().into_dyn()).unwrap();
    let features_file = Matrix::open(&folder.path().join("features.npy")).unwrap();
    let rdm = Metric::Correlation.rdm(&features_file, OnConstant::Error, &|row| row.to_string()).unwrap();
    for (i, j) in [(0, 1), (5, 599), (255, 256), (300, 599), (511, 512), (599, 0)] {
        let row = |i: usize| features.row(i).iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let expected = 1.0 - pearson(&row(i), &row(j));
        assert!((f64::from(rdm[[i, j]]) - expected).abs() < 1e-7, "{i} {j}: {} not {expected}", rdm[[i, j]]);
    }
}

#[test]
fn pearson_equals_scipy() {
    let text = std::fs::read_to_string(fixtures().join("rsa.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vector = |name: &str| golden[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
    let r = pearson(&vector("a"), &vector("b"));
    assert!((r - golden["pearson"].as_f64().unwrap()).abs() < 1e-14, "{r}");
}
