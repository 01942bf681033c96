//! Linear CKA of features: values computed by hand, and those of RDMs of squared Euclidean distances.

use ndarray::Array2;
use thingsvision::npy;
use thingsvision::observer::Silent;
use thingsvision::rsa::{Comparison, cka};

/// The CKA of all features with each other, and the unbiased one.
fn compare(all: &[Vec<Vec<f64>>]) -> [Array2<f64>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let write = |(number, rows): (usize, &Vec<Vec<f64>>)| {
        let path = folder.path().join(format!("{number}.npy"));
        let features = Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap();
        npy::write(&path, &features.into_dyn()).unwrap();
        path
    };
    let features: Vec<_> = all.iter().enumerate().map(write).collect();
    [false, true].map(|unbiased| {
        let request = cka::Request { features: features.clone(), unbiased, ..cka::Request::default() };
        cka::compare(&request, &Silent).unwrap().cka
    })
}

/// Values by pure Python.
#[test]
fn golden_values() {
    let x = [[1., 2., 4.], [2., 1., 0.], [0., 3., 1.], [5., 5., 2.]].map(Vec::from).to_vec();
    let y = [[1., 0.], [0., 1.], [2., 1.], [1., 3.]].map(Vec::from).to_vec();
    let [cka, unbiased] = compare(&[x, y]);
    assert!((cka[[0, 1]] - 0.8077051799795573).abs() < 1e-14);
    assert!((unbiased[[0, 1]] + 0.6546536707079772).abs() < 1e-13);
    assert!((cka[[0, 0]] - 1.0).abs() < 1e-14);
}

/// Features of more units than stimuli, of fewer, and RDMs of squared Euclidean distances give the same.
#[test]
fn features_and_rdms_agree() {
    let value = |i: usize, j: usize, k: usize| ((i * i * 7 + j * 13 + i * j * k) % 17) as f64;
    let features =
        |units: usize, k: usize| -> Vec<Vec<f64>> { (0..6).map(|i| (0..units).map(|j| value(i, j, k)).collect()).collect() };
    let all = [features(1100, 3), features(1100, 5), features(3, 3), features(3, 4)];
    let rdm = |rows: &Vec<Vec<f64>>| -> Vec<f64> {
        let pairs = (0..6).flat_map(|i| (i + 1..6).map(move |j| (i, j)));
        pairs.map(|(i, j)| rows[i].iter().zip(&rows[j]).map(|(a, b)| (a - b) * (a - b)).sum()).collect()
    };
    let [cka, unbiased] = compare(&all);
    for (a, one) in all.iter().enumerate() {
        for (b, other) in all.iter().enumerate() {
            for (value, measure) in [(cka[[a, b]], Comparison::Cka), (unbiased[[a, b]], Comparison::CkaUnbiased)] {
                let expected = measure.compare(6, &rdm(one), &rdm(other));
                assert!((value - expected).abs() < 1e-10, "{a} {b} {measure:?}: {value} not {expected}");
            }
        }
    }
}
