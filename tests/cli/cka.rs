//! `thingsvision cka`: which rows are compared, and what has no CKA.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use thingsvision::npy;

fn features(seed: usize) -> Array2<f64> {
    Array2::from_shape_fn((8, 3), |(i, j)| ((i * 7 + j * 3 + i * i * j * seed) % 11) as f64)
}

fn table(order: &[usize], name: impl Fn(usize) -> String) -> String {
    let features = features(5);
    order.iter().map(|&i| format!("{},{},{},{}\n", name(i), features[[i, 0]], features[[i, 1]], features[[i, 2]])).collect()
}

fn lab() -> Lab {
    let lab = Lab::new();
    npy::write(&lab.path("x.npy"), &features(2).into_dyn()).unwrap();
    fs::write(lab.path("x.ids.txt"), (0..8).map(|i| format!("s{i}\n")).collect::<String>()).unwrap();
    npy::write(&lab.path("y.npy"), &features(5).into_dyn()).unwrap();
    lab
}

fn cka(lab: &Lab, arguments: &str) -> f64 {
    let json: serde_json::Value = serde_json::from_str(&lab.succeed(&format!("cka -q --json {arguments}")).stdout).unwrap();
    json["cka"][0][1].as_f64().unwrap()
}

#[test]
fn rows_of_tables_are_matched_by_name() {
    let lab = lab();
    let in_order = cka(&lab, "x.npy y.npy");
    fs::write(lab.path("turned.csv"), table(&[3, 7, 0, 1, 6, 2, 5, 4], |i| format!("s{i}"))).unwrap();
    assert!((cka(&lab, "x.npy turned.csv") - in_order).abs() < 1e-12);
    let said = lab.succeed("cka x.npy turned.csv").stderr;
    assert!(said.contains("8 stimuli, matched by name"), "{said}");
    let said = lab.succeed("cka x.npy y.npy").stderr;
    assert!(said.contains("8 stimuli, without names on one side, so taken to be in the same order"), "{said}");
    fs::write(lab.path("others.csv"), table(&[0, 1, 2, 3, 4, 5, 6, 7], |i| format!("s{}", i + 2))).unwrap();
    assert_output!(lab.fail("cka x.npy others.csv"), @"
    error: `x.npy` and `others.csv` are not of the same stimuli: `others.csv` has no `s0`, `s1`; `x.npy` has no `s8`, `s9`

    hint: compare the same stimuli, or only those that all have: --intersect
    ");
    let said = lab.succeed("cka x.npy others.csv --intersect").stderr;
    assert!(said.contains("left out 4 stimuli that not all have") && said.contains("6 stimuli, matched by name"), "{said}");
    fs::write(lab.path("twice.csv"), table(&[0, 1, 2, 3, 4, 5, 6, 7], |i| format!("s{}", i / 2))).unwrap();
    assert!(lab.fail("cka x.npy twice.csv").contains("names `s0` twice"));
}

#[test]
fn few_stimuli_are_pointed_out() {
    let lab = lab();
    let said = |arguments: &str| lab.succeed(&format!("cka {arguments}")).stderr;
    let few = "few: with 8 stimuli and up to 3 units CKA is high even of layers that have nothing in common: take --unbiased.";
    assert!(said("x.npy y.npy").contains(few));
    assert!(said("x.npy y.npy --unbiased").contains("few: with fewer than 20 stimuli the unbiased CKA is unsure."));
    let noise = |rows: usize, columns: usize, seed: usize| {
        let value = |(i, j): (usize, usize)| ((i * 7919 + j * 104_729 + i * j * (seed + 3)) % 1009) as f64;
        npy::write(&lab.path(&format!("{seed}.npy")), &Array2::from_shape_fn((rows, columns), value).into_dyn()).unwrap();
    };
    // More units than stimuli.
    noise(24, 60, 1);
    noise(24, 4, 2);
    noise(24, 4, 3);
    assert!(said("1.npy 2.npy").contains("few: with 24 stimuli and up to 60 units"));
    assert!(!said("1.npy 2.npy --unbiased").contains("few:") && !said("2.npy 3.npy").contains("few:"));
}

#[test]
fn features_without_a_cka_are_refused_by_name() {
    let lab = lab();
    for (file, value) in [("nan.npy", f64::NAN), ("infinite.npy", f64::INFINITY)] {
        let mut broken = features(3);
        broken[[2, 1]] = value;
        npy::write(&lab.path(file), &broken.into_dyn()).unwrap();
        assert!(lab.fail(&format!("cka y.npy {file}")).contains(&format!("no CKA of `{file}`: values that are not finite")));
    }
    npy::write(&lab.path("flat.npy"), &Array2::from_elem((8, 3), 0.1).into_dyn()).unwrap();
    assert_output!(lab.fail("cka y.npy flat.npy"), @"
    error: no CKA of `flat.npy`: all stimuli have the same values, so nothing is like them

    hint: leave this layer or file out
    ");
}

#[test]
fn no_cka_is_above_one() {
    let lab = lab();
    npy::write(&lab.path("scaled.npy"), &features(5).mapv(|value| value * 0.3).into_dyn()).unwrap();
    for (one, other) in [("y.npy", "y.npy"), ("y.npy", "scaled.npy"), ("x.npy", "x.npy"), ("scaled.npy", "scaled.npy")] {
        for unbiased in ["", "--unbiased"] {
            assert!(cka(&lab, &format!("{one} {other} {unbiased}")) <= 1.0, "{one} {other}");
        }
    }
}
