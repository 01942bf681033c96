//! `thingsvision rsa --control` and `--regress`; `thingsvision plot variance`.

use crate::assert_output;
use crate::inference::{N, ids, json, lab, rdm, words};
use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use thingsvision::npy;

/// The lab of `inference`, with `third.npy`, `sum.npy`, a linear combination of two others, and `groups.npy`, categories.
fn lab_of_three() -> Lab {
    let lab = lab();
    let write = |name: &str, rdm: Array2<f64>| npy::write(&lab.path(name), &rdm.into_dyn()).unwrap();
    write("third.npy", rdm(3, 0.9));
    let sum = rdm(1, 0.6) * 2.0 + rdm(2, 1.0) + 0.5;
    write("sum.npy", Array2::from_shape_fn((N, N), |(i, j)| if i == j { 0.0 } else { sum[[i, j]] }));
    write("groups.npy", Array2::from_shape_fn((N, N), |(i, j)| f64::from(u8::from(i % 2 != j % 2))));
    lab
}

#[test]
fn a_control_is_held_constant() {
    let lab = lab_of_three();
    assert_output!(lab.succeed("rsa --fmri area.npy --control two=groups.npy near.npy far.npy --permutations 999 --bootstrap 200"), @"");
    let all = json(&lab, "--fmri area.npy --control two=groups.npy near.npy far.npy");
    let plain = json(&lab, "--fmri area.npy near.npy far.npy");
    for (partial, plain) in all.as_array().unwrap().iter().zip(plain.as_array().unwrap()) {
        assert_eq!((&partial["controls"], &plain["controls"]), (&"two".into(), &serde_json::Value::Null));
        let (under, over) = (partial["uncontrolled"].as_f64().unwrap(), plain["score"].as_f64().unwrap());
        assert!((under - over).abs() < 1e-12 && plain["uncontrolled"].is_null());
    }
    lab.succeed("rsa --fmri area.npy --control two=groups.npy near.npy far.npy");
    lab.succeed("plot bars rsa.json");
    assert!(words(&lab, "bars.svg").contains("partial Pearson correlation"));
    assert!(words(&lab, "bars.svg").contains("12 stimuli, two held constant."));
    let explained =
        lab.succeed("rsa --fmri area.npy --control groups.npy near.npy --compare spearman --permutations 99 --explain").stdout;
    for said in ["Held constant: `groups`.", "All RDMs were ranked before.", "the residuals of the models"] {
        assert!(explained.contains(said), "{explained}");
    }
}

/// In any order, by their names; and what a control lacks is left out for all.
#[test]
fn controls_are_aligned_by_names() {
    let lab = lab_of_three();
    let names = |file: &str, order: &mut dyn Iterator<Item = usize>| fs::write(lab.path(file), ids(order)).unwrap();
    for file in ["near.ids.txt", "area.ids.txt", "groups.ids.txt"] {
        names(file, &mut (0..N));
    }
    let before = json(&lab, "--fmri area.npy --control groups.npy near.npy");
    let groups = npy::read(&lab.path("groups.npy")).unwrap();
    let turned = Array2::from_shape_fn((N, N), |(i, j)| groups[[N - 1 - i, N - 1 - j]]);
    npy::write(&lab.path("groups.npy"), &turned.into_dyn()).unwrap();
    names("groups.ids.txt", &mut (0..N).rev());
    let after = json(&lab, "--fmri area.npy --control groups.npy near.npy");
    let score = |json: &serde_json::Value| json[0]["score"].as_f64().unwrap();
    assert!((score(&before) - score(&after)).abs() < 1e-12);

    let mut holes = Array2::from_shape_fn((N, N), |(i, j)| groups[[i, j]]);
    [(2, 5), (5, 2)].into_iter().for_each(|at| holes[at] = f64::NAN);
    npy::write(&lab.path("holes.npy"), &holes.into_dyn()).unwrap();
    let found = json(&lab, "--fmri area.npy --control holes.npy near.npy far.npy --permutations 50");
    assert_eq!(found[0]["pairs"], N * (N - 1) / 2 - 1);
}

#[test]
fn what_controls_cannot_do_is_said() {
    let lab = lab_of_three();
    assert_output!(lab.run("rsa --fmri area.npy --control groups.npy near.npy --compare rho-a"), @"");
    assert_output!(lab.run("rsa --fmri area.npy --control near.npy --control far.npy --control sum.npy third.npy"), @"");
    assert_output!(lab.run("rsa --fmri area.npy --control area.npy near.npy"), @"");
    assert_output!(lab.run("rsa --fmri area.npy --control sub-*.npy near.npy"), @"");
    assert_output!(lab.run("rsa --behavior near.npy --control near.npy far.npy"), @"");
    assert_output!(lab.run("rsa --fmri area.npy --control near.npy near.npy"), @"");
    let left = lab.succeed("rsa --fmri area.npy --control near.npy near.npy far.npy");
    assert!(left.stderr.contains("left out `near`: the controls explain it entirely"), "{}", left.stderr);
    assert!(!left.stdout.contains("near"), "{}", left.stdout);
}

#[test]
fn a_regression_says_what_each_predictor_explains() {
    let lab = lab_of_three();
    let all = "rsa --fmri IT=area.npy --behavior sub-1.npy --regress groups.npy --regress noisy=near.npy --regress far.npy \
               --permutations 999 --bootstrap 200 --cross-validate stimuli --folds 3";
    assert_output!(lab.succeed(all), @"");
    let table = fs::read_to_string(lab.path("rsa.regression.csv")).unwrap();
    let header = "target,kind,predictor,weight,weight_low,weight_high,standardised,standardised_low,standardised_high,unique,unique_low,\
                  unique_high,unique_predicted,partial,p,p_family,p_holm,q,inflation,compare,fit,penalty,stimuli,pairs,subjects,explained,\
                  explained_low,explained_high,explained_p,explained_p_family,cross_validated,explained_predicted,\
                  correlation_predicted,ceiling_lower,ceiling_upper,over,draws,draws_left_out";
    assert_eq!((table.lines().next(), table.lines().count()), (Some(header), 7));
    let parts = fs::read_to_string(lab.path("rsa.regression.variance.csv")).unwrap();
    assert_eq!(
        (parts.lines().next().unwrap().starts_with("target,kind,predictors,variance,low,high"), parts.lines().count()),
        (true, 15)
    );
    let targets: serde_json::Value = serde_json::from_slice(&lab.bytes("rsa.regression.json")).unwrap();
    for target in targets.as_array().unwrap() {
        let sum: f64 = target["parts"].as_array().unwrap().iter().map(|part| part["variance"].as_f64().unwrap()).sum();
        assert!((sum - target["explained"].as_f64().unwrap()).abs() < 1e-12);
    }
    let explained = lab.succeed(&format!("{all} --fit ridge --penalty 0.2 --explain")).stdout;
    for said in ["by ridge regression", "commonality analysis", "were left out in turn", "from 200 bootstraps over stimuli"] {
        assert!(explained.contains(said), "{explained}");
    }
    assert_output!(lab.succeed("plot variance"), @"");
    assert!(words(&lab, "variance.svg").contains("Ridge regression, 12 stimuli."));
}

/// The same numbers as with controls, from the same permutations.
#[test]
fn a_predictor_given_the_others_is_a_model_given_controls() {
    let lab = lab_of_three();
    let files = ["near.npy", "far.npy", "groups.npy"];
    let regress: String = files.iter().map(|file| format!("--regress {file} ")).collect();
    for compare in ["pearson", "spearman"] {
        lab.succeed(&format!("rsa --fmri area.npy {regress} --permutations 300 --compare {compare}"));
        let found: serde_json::Value = serde_json::from_slice(&lab.bytes("rsa.regression.json")).unwrap();
        for (own, file) in files.iter().enumerate() {
            let controls: String =
                files.iter().filter(|other| *other != file).map(|other| format!("--control {other} ")).collect();
            let given = json(&lab, &format!("--fmri area.npy {controls} {file} --permutations 300 --compare {compare}"));
            let predictor = &found[0]["predictors"][own];
            assert_eq!(predictor["p"], given[0]["p"], "{compare} {file}");
            let apart = predictor["partial"].as_f64().unwrap() - given[0]["score"].as_f64().unwrap();
            assert!(apart.abs() < 1e-12, "{compare} {file}: {apart}");
        }
    }
}

#[test]
fn layers_of_runs_are_predictors() {
    let lab = Lab::new();
    lab.succeed(
        "extract --model alexnet --weights random --images images --layer features.2 --layer features.5 --layer classifier.5",
    );
    let target = Array2::from_shape_fn((5, 5), |(i, j)| if i == j { 0.0 } else { ((i * j + i + j) % 5 + 1) as f64 });
    npy::write(&lab.path("behavior.npy"), &target.into_dyn()).unwrap();
    let table = lab.succeed("rsa --behavior behavior.npy --regress-layers features.*").stdout;
    assert!(table.contains("alexnet.random-0 features.2") && table.contains("alexnet.random-0 features.5"), "{table}");
    assert!(!table.contains("classifier"), "{table}");
    assert_output!(lab.run("rsa --behavior behavior.npy --regress-layers feature"), @"");
    assert_output!(lab.run("rsa --behavior behavior.npy --regress-layers features.* --regress activations/alexnet.random-0/features.2.rdm.npy"), @"");
    assert_output!(lab.run("rsa --behavior behavior.npy --regress-layers features.* behavior.npy"), @"");
}

#[test]
fn what_a_regression_cannot_do_is_said() {
    let lab = lab_of_three();
    let of_two = "rsa --fmri area.npy --regress near.npy --regress far.npy";
    assert_output!(lab.run(&format!("{of_two} --regress third.npy --regress sum.npy")), @"");
    assert_output!(lab.run(&format!("{of_two} third.npy")), @"");
    assert_output!(lab.run(&format!("{of_two} --control third.npy")), @"");
    assert_output!(lab.run(&format!("{of_two} --compare cosine")), @"");
    assert_output!(lab.run(&format!("{of_two} --compare spearman --cross-validate stimuli")), @"");
    assert_output!(lab.run(&format!("{of_two} --cross-validate stimuli")), @"");
    assert_output!(lab.run(&format!("{of_two} --cross-validate stimuli --folds 1")), @"");
    assert_output!(lab.run("rsa --behavior sub-1.npy --regress near.npy --regress far.npy --cross-validate subjects"), @"");
    assert_output!(lab.run(&format!("{of_two} --fit ridge --cross-validate stimuli --folds 3")), @"");
    assert_output!(lab.run(&format!("{of_two} --penalty 0.1")), @"");
    assert_output!(lab.run(&format!("{of_two} --fit ridge --penalty -1")), @"");
    assert_output!(lab.run(&format!("{of_two} --folds 3")), @"");
    assert_output!(lab.run("rsa --fmri area.npy near.npy --cross-validate stimuli"), @"");
    assert_output!(lab.run(&format!("{of_two} --bootstrap 100 --differences")), @"");
    assert_output!(lab.run("plot variance rsa.json"), @"");
    lab.succeed("rsa --fmri area.npy near.npy");
    assert_output!(lab.run("plot variance rsa.json"), @"");
}
