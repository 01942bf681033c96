//! `thingsvision cka --kernel rbf`, by what NumPy makes of the same features.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use std::path::Path;
use thingsvision::npy;

fn cka(lab: &Lab, arguments: &str) -> f64 {
    let json: serde_json::Value =
        serde_json::from_str(&lab.succeed(&format!("cka -q --json --kernel rbf {arguments}")).stdout).unwrap();
    json["cka"][0][1].as_f64().unwrap()
}

fn golden() -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cka.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn array(rows: &serde_json::Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(rows.clone()).unwrap();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

/// The layers of the golden file; `single.npy` in float32.
fn lab() -> Lab {
    let lab = Lab::new();
    for (name, rows) in golden()["layers"].as_object().unwrap() {
        let (path, values) = (lab.path(&format!("{name}.npy")), array(rows).into_dyn());
        if name == "single" {
            npy::write(&path, &values.mapv(|value| value as f32)).unwrap();
        } else {
            npy::write(&path, &values).unwrap();
        }
    }
    lab
}

#[test]
fn rbf_kernels_equal_numpy() {
    let lab = lab();
    for case in golden()["cases"].as_array().unwrap() {
        let name = |i: usize| case["layers"][i].as_str().unwrap();
        let arguments = format!("{}.npy {}.npy --bandwidth {}", name(0), name(1), case["bandwidth"]);
        for (flag, value) in [("", "cka"), (" --unbiased", "unbiased")] {
            let (ours, expected) = (cka(&lab, &format!("{arguments}{flag}")), case[value].as_f64().unwrap());
            assert!((ours - expected).abs() < 1e-12, "{arguments}{flag}: {ours}, not {expected}");
        }
    }
    let [plain, one] = ["", "--bandwidth 1"].map(|flag| cka(&lab, &format!("tall.npy wide.npy {flag}")));
    assert_eq!(plain, one);
}

/// The width is one of the median distance, and wide kernels are as good as linear.
#[test]
fn neither_scale_nor_offset_matters_and_wide_kernels_are_linear() {
    let lab = lab();
    let tall = array(&golden()["layers"]["tall"]);
    let write = |name: &str, f: &dyn Fn(f64) -> f64| npy::write(&lab.path(name), &tall.mapv(f).into_dyn()).unwrap();
    write("tiny.npy", &|x| x * 1e-300);
    write("huge.npy", &|x| x * 1e306);
    write("offset.npy", &|x| x + 1024.0);
    for flag in ["", "--unbiased"] {
        let plain = cka(&lab, &format!("tall.npy wide.npy {flag}"));
        for (file, near) in [("tiny.npy", 1e-13), ("huge.npy", 1e-13), ("offset.npy", 1e-9)] {
            let other = cka(&lab, &format!("{file} wide.npy {flag}"));
            assert!((other - plain).abs() < near, "{file} {flag}: {other}, not {plain}");
        }
        let linear = lab.succeed(&format!("cka -q --json tall.npy wide.npy {flag}")).stdout;
        let linear = serde_json::from_str::<serde_json::Value>(&linear).unwrap()["cka"][0][1].as_f64().unwrap();
        for bandwidth in ["1e6", "1e100"] {
            let wide = cka(&lab, &format!("tall.npy wide.npy --bandwidth {bandwidth} {flag}"));
            assert!((wide - linear).abs() < 1e-10, "{bandwidth} {flag}: {wide}, not {linear}");
        }
    }
}

/// Of points one of which is far away the others keep their distances.
#[test]
fn a_stimulus_far_away_leaves_the_others_as_they_are() {
    let lab = lab();
    let mut far = array(&golden()["layers"]["tall"]);
    far[[0, 0]] = 1e5;
    npy::write(&lab.path("far.npy"), &far.clone().into_dyn()).unwrap();
    far[[0, 0]] = 1e14;
    npy::write(&lab.path("farther.npy"), &far.into_dyn()).unwrap();
    for flag in ["", "--unbiased"] {
        let [far, farther] = ["far", "farther"].map(|file| cka(&lab, &format!("{file}.npy wide.npy {flag}")));
        assert!((far - farther).abs() < 1e-12, "{flag}: {far}, {farther}");
    }
}

#[test]
fn what_is_said_of_rbf_kernels() {
    let lab = lab();
    assert_output!(lab.succeed("cka tall.npy wide.npy --kernel rbf --bandwidth 0.5"), @"
    exit Some(0)
    --- stdout
                     1       2
    1 tall.npy   1.000   0.963
    2 wide.npy   0.963   1.000
    --- stderr

      rbf CKA (bandwidth 0.5 × the median distance) of 2 layers, 13 stimuli, taken to be in the same order
      few: with these stimuli and this bandwidth CKA is up to 0.74 on average of layers that have nothing in common: take --unbiased.
    ");
    let said = lab.succeed("cka tall.npy wide.npy --kernel rbf --unbiased").stderr;
    assert!(said.contains("unbiased rbf CKA (bandwidth 1 × the median distance) of 2 layers, 13 stimuli"), "{said}");
    assert!(said.contains("few: with fewer than 20 stimuli the unbiased CKA is unsure."), "{said}");
}

#[test]
fn kernels_that_say_nothing_are_refused() {
    let lab = lab();
    assert_output!(lab.fail("cka tall.npy wide.npy --bandwidth 0.5"), @"
    error: a linear kernel has no bandwidth

    hint: add --kernel rbf, or leave out --bandwidth
    ");
    assert_output!(lab.fail("cka tall.npy wide.npy --kernel rbf --bandwidth 0.001"), @"
    error: no CKA of `tall.npy`: the bandwidth is so small that no stimulus is like another

    hint: give a larger --bandwidth
    ");
    assert_output!(lab.fail("cka tall.npy wide.npy --kernel rbf --bandwidth 1e200"), @"
    error: no CKA of `tall.npy`: the bandwidth is so large that all stimuli are alike

    hint: give a smaller --bandwidth
    ");
    for bandwidth in ["0", "-1", "nan", "inf", "wide"] {
        let outcome = lab.run(&format!("cka tall.npy wide.npy --kernel rbf --bandwidth {bandwidth}"));
        assert_eq!(outcome.code, Some(2), "{bandwidth}");
        assert!(outcome.stderr.contains("a number above 0 is needed"), "{outcome}");
    }
    npy::write(&lab.path("flat.npy"), &Array2::from_elem((13, 3), 0.1).into_dyn()).unwrap();
    assert_output!(lab.fail("cka tall.npy flat.npy --kernel rbf"), @"
    error: no CKA of `flat.npy`: all stimuli have the same values, so nothing is like them

    hint: leave this layer or file out
    ");
    let two = Array2::from_shape_fn((13, 3), |(i, _)| if i == 5 { 1.0 } else { 0.1 });
    npy::write(&lab.path("two.npy"), &two.into_dyn()).unwrap();
    assert_output!(lab.fail("cka tall.npy two.npy --kernel rbf"), @"
    error: no CKA of `two.npy`: so many stimuli have the same values that the median distance is 0

    hint: leave out repeated stimuli, or take the linear kernel
    ");
    // As far from each other as from all others.
    npy::write(&lab.path("simplex.npy"), &Array2::<f64>::eye(13).into_dyn()).unwrap();
    assert_output!(lab.fail("cka tall.npy simplex.npy --kernel rbf --unbiased"), @"
    error: `tall.npy` and `simplex.npy` have no unbiased CKA: the HSIC of one with itself is not positive

    hint: compare more stimuli, or stimuli that differ more; of few leave out --unbiased
    ");
    assert!(cka(&lab, "tall.npy simplex.npy") > 0.0);
}
