//! `thingsvision rsa`

use crate::assert_output;
use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use thingsvision::npy;

const EXTRACT: &str = "extract --model alexnet --weights random --images images --layer features.2 --layer classifier.5";

/// An RDM of `n` stimuli with some structure.
fn rdm(n: usize) -> Array2<f64> {
    Array2::from_shape_fn((n, n), |(i, j)| if i == j { 0.0 } else { ((i * j + i + j) % 5 + 1) as f64 })
}

fn lab_with_targets() -> Lab {
    let lab = Lab::new();
    npy::write(&lab.path("behavior.npy"), &rdm(5).into_dyn()).unwrap();
    let pairs: Vec<f64> = (0..5).flat_map(|i| (i + 1..5).map(move |j| (i * 3 + j * j % 4) as f64)).collect();
    npy::write(&lab.path("it.npy"), &ndarray::Array1::from(pairs).into_dyn()).unwrap();
    lab
}

#[test]
fn every_run_is_compared_with_every_target() {
    let lab = lab_with_targets();
    lab.succeed(EXTRACT);
    lab.succeed(&format!("{EXTRACT} --seed 1"));
    assert_output!(lab.succeed("rsa --behavior behavior.npy --fmri it.npy"), @r#"
    exit Some(0)
    --- stdout
    target     kind       model              layer          pearson
    behavior   behavior   alexnet.random-0   features.2      -0.399
                                             classifier.5    -0.395
                          alexnet.random-1   features.2      -0.395
                                             classifier.5    -0.394
    it         fmri       alexnet.random-0   features.2       0.261
                                             classifier.5     0.283
                          alexnet.random-1   features.2       0.273
                                             classifier.5     0.284
    --- stderr

      Pearson correlation of RDMs: 5 stimuli, 10 pairs each, without names on one side, so taken to be in the same order.
      wrote rsa.npy (2 × 4 scores), rsa.csv, rsa.json
      next: thingsvision plot bars rsa.json
    "#);
    let scores = npy::read(&lab.path("rsa.npy")).unwrap();
    assert_eq!(scores.shape(), [2, 4]);
    let csv = fs::read_to_string(lab.path("rsa.csv")).unwrap();
    assert_eq!(csv.lines().count(), 9);
    assert_eq!(
        csv.lines().next(),
        Some(
            "target,kind,model,layer,compare,stimuli,pairs,subjects,score,low,high,over,draws,draws_left_out,p,p_family,p_holm,q,ceiling_lower,ceiling_upper,controls,uncontrolled,time,p_cluster"
        )
    );
    let json: serde_json::Value = serde_json::from_slice(&lab.bytes("rsa.json")).unwrap();
    assert_eq!(json[5]["model"], "alexnet.random-0");
    assert_eq!(json[5]["score"].as_f64(), Some(scores[[1, 1]]));
}

#[test]
fn scores_are_the_correlations_of_the_upper_triangles() {
    let lab = lab_with_targets();
    lab.succeed(EXTRACT);
    lab.succeed("rsa --behavior behavior.npy --out scores/of-mine");
    let upper = |rdm: &ndarray::ArrayD<f64>| -> Vec<f64> {
        (0..5).flat_map(|i| (i + 1..5).map(move |j| (i, j))).map(|(i, j)| rdm[[i, j]]).collect()
    };
    let layer = npy::read(&lab.path("activations/alexnet.random-0/features.2.rdm.npy")).unwrap();
    let expected = thingsvision::rsa::pearson(&upper(&layer), &upper(&rdm(5).into_dyn()));
    assert_eq!(npy::read(&lab.path("scores/of-mine.npy")).unwrap()[[0, 0]], expected);
}

#[test]
fn an_rdm_file_and_a_run_can_be_named() {
    let lab = lab_with_targets();
    lab.succeed(EXTRACT);
    let run = "activations/alexnet.random-0";
    assert_output!(lab.succeed(&format!("rsa --behavior behavior.npy {run} {run}/features.2.rdm.npy behavior.npy")), @r#"
    exit Some(0)
    --- stdout
    target     kind       model              layer          pearson
    behavior   behavior   alexnet.random-0   features.2      -0.399
                                             classifier.5    -0.395
                                             features.2      -0.399
                          behavior                            1.000
    --- stderr

      Pearson correlation of RDMs: 5 stimuli, 10 pairs each, without names on one side, so taken to be in the same order.
      wrote rsa.npy (1 × 4 scores), rsa.csv, rsa.json
      next: thingsvision plot bars rsa.json
    "#);
    let json = lab.succeed("rsa --json -q --behavior behavior.npy behavior.npy").stdout;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()[0]["score"], 1.0);
}

#[test]
fn what_does_not_fit_is_said_in_words() {
    let lab = lab_with_targets();
    assert_output!(lab.fail("rsa --behavior behavior.npy"), @"
    error: there are no finished runs in `activations/`

    hint: make one with `thingsvision extract --model … --images …`, or name a run's folder or an RDM file
    ");
    assert_output!(lab.fail("rsa --behavior behavior.npy images"), @"
    error: `images` is not the folder of a run: it has no run.json

    hint: name a folder that `thingsvision extract` printed
    ");
    lab.succeed(&format!("{EXTRACT} --rdm none"));
    assert_output!(lab.fail("rsa --behavior behavior.npy"), @"
    error: the run in `activations/alexnet.random-0` has no RDM of `features.2`

    hint: make it: thingsvision rdm activations/alexnet.random-0/features.2.npy
    ");
    lab.succeed(&format!("{EXTRACT} --force"));
    npy::write(&lab.path("six.npy"), &rdm(6).into_dyn()).unwrap();
    assert_output!(lab.fail("rsa --behavior six.npy"), @"
    error: `six.npy` has 6 stimuli, but `activations/alexnet.random-0/features.2.rdm.npy` has 5

    hint: rows must stand for the same stimuli in the same order: give the RDM of the same images, or name the runs to compare
    ");
    npy::write(&lab.path("similarity.npy"), &rdm(5).mapv(|d| 1.0 - d / 10.0).into_dyn()).unwrap();
    assert_output!(lab.fail("rsa --behavior similarity.npy"), @"
    error: `similarity.npy` looks like a similarity matrix: its diagonal is 1

    hint: an RDM holds dissimilarities, 0 for equal stimuli; of correlations or cosines make one by `1 - matrix`
    ");
    fs::rename(lab.path("images/b/five.jpg"), lab.path("images/b/eleven.jpg")).unwrap();
    lab.succeed(&format!("{EXTRACT} --seed 1"));
    assert_output!(lab.fail("rsa --behavior behavior.npy"), @"
    error: `activations/alexnet.random-0/features.2.rdm.npy` and `activations/alexnet.random-1/features.2.rdm.npy` are not of the same stimuli: `activations/alexnet.random-1/features.2.rdm.npy` has no `b/five.jpg`; `activations/alexnet.random-0/features.2.rdm.npy` has no `b/eleven.jpg`

    hint: compare the same stimuli, or only those that all have: --intersect
    ");
    let mut asymmetric = rdm(5);
    asymmetric[[1, 3]] += 0.5;
    npy::write(&lab.path("asymmetric.npy"), &asymmetric.into_dyn()).unwrap();
    assert_output!(lab.fail("rsa --behavior asymmetric.npy"), @"
    error: `asymmetric.npy` is not symmetric: 3.5 at row 1, column 3 but 3 at row 3, column 1

    hint: the dissimilarity of two stimuli has no direction; average the two halves if that is what you want
    ");
    assert!(!lab.path("rsa.npy").exists());
}
