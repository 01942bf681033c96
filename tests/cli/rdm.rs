//! `thingsvision rdm`

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{Array2, arr2};
use std::fs;
use thingsvision::npy;

#[test]
fn the_rdm_of_features_is_written_beside_them() {
    let lab = Lab::new();
    let features = arr2(&[[1f64, 2., 4.], [2., 1., 0.], [0., 3., 1.], [5., 5., 2.]]);
    npy::write(&lab.path("voxels.npy"), &features.into_dyn()).unwrap();
    assert_output!(lab.succeed("rdm voxels.npy"), @"
    exit Some(0)
    --- stdout
    voxels.rdm.npy
    --- stderr
    RDM of 4 stimuli from 3 units each
    ");
    let rdm = npy::read(&lab.path("voxels.rdm.npy")).unwrap();
    // 1 − r of rows 0 and 1, by numpy.corrcoef in float64.
    assert!((rdm[[0, 1]] - 1.9819805060619657).abs() < 1e-7);
    assert_eq!(rdm.shape(), [4, 4]);
}

#[test]
fn features_without_a_correlation_are_refused() {
    let lab = Lab::new();
    let mut features = Array2::from_shape_fn((5, 4), |(i, j)| ((i + 1) * (j + 2) % 7) as f32);
    features.row_mut(2).fill(0.1);
    npy::write(&lab.path("constant.npy"), &features.clone().into_dyn()).unwrap();
    assert_output!(lab.fail("rdm constant.npy"), @"
    RDM of 5 stimuli from 4 units each
    error: no RDM of `constant.npy`: all units have the same value, so a correlation is not defined, in row 2

    hint: take another layer for an RDM, store NaN for these stimuli (--on-constant nan), or leave them out (--on-constant drop)
    ");
    features[[1, 1]] = f32::NAN;
    features[[3, 1]] = f32::INFINITY;
    npy::write(&lab.path("nan.npy"), &features.into_dyn()).unwrap();
    assert_output!(lab.fail("rdm nan.npy"), @"
    RDM of 5 stimuli from 4 units each
    error: no RDM of `nan.npy`: values that are not finite (NaN or infinite) in row 1, row 3

    hint: find out where they come from before comparing anything
    ");
    npy::write(&lab.path("vector.npy"), &ndarray::arr1(&[1f32, 2.]).into_dyn()).unwrap();
    assert_output!(lab.fail("rdm vector.npy"), @"
    error: `vector.npy` has the shape [2]; features have at least two axes, stimuli × units

    hint: give an array of shape [stimuli, units] or [stimuli, channels, rows, columns]
    ");
    assert!(!lab.path("constant.rdm.npy").exists());
}

#[test]
fn files_that_are_no_arrays_of_numbers_are_refused() {
    let lab = Lab::new();
    let header = |header: &str| {
        let padded = format!("{header:117}\n");
        [b"\x93NUMPY\x01\x00\x76\x00", padded.as_bytes(), &[0; 32]].concat()
    };
    fs::write(lab.path("objects.npy"), header("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }")).unwrap();
    assert_output!(lab.fail("rdm objects.npy"), @"
    error: `objects.npy` holds Python objects, not numbers

    hint: save an array of numbers: `np.save(path, np.asarray(array, dtype=np.float32))`
    ");
    fs::write(lab.path("text.npy"), header("{'descr': '<U4', 'fortran_order': False, 'shape': (2,), }")).unwrap();
    assert_output!(lab.fail("rdm text.npy"), @"
    error: `text.npy` holds values of type '<U4', not numbers

    hint: save an array of numbers: `np.save(path, np.asarray(array, dtype=np.float32))`
    ");
    fs::write(lab.path("short.npy"), header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 9), }")).unwrap();
    assert_output!(lab.fail("rdm short.npy"), @"
    error: `short.npy` is not a whole .npy file: reached EOF before reading all data

    hint: write it with `np.save`, or copy it again
    ");
    fs::write(lab.path("no.npy"), "no array").unwrap();
    assert_output!(lab.fail("rdm no.npy"), @"
    error: `no.npy` is not a whole .npy file: error parsing header: start does not match magic string

    hint: write it with `np.save`, or copy it again
    ");
    assert_output!(lab.fail("rdm missing.npy"), @"
    error: cannot read `missing.npy`: No such file or directory (os error 2)

    hint: relative paths begin at the current folder
    ");
}

#[test]
fn distances_that_float32_cannot_hold_are_refused() {
    let lab = Lab::new();
    let features = Array2::from_shape_fn((5, 4), |(i, j)| ((i + 1) * (j + 2) % 7) as f64);
    let scaled = |unit: f64| npy::write(&lab.path("x.npy"), &features.mapv(|value| value * unit).into_dyn()).unwrap();
    scaled(1.0);
    lab.succeed("rdm x.npy");
    let plain = npy::read(&lab.path("x.rdm.npy")).unwrap();
    scaled(1e20);
    assert_output!(lab.fail("rdm x.npy --metric sqeuclidean"), @"
    RDM of 5 stimuli from 4 units each
    error: no RDM of `x.npy`: dissimilarities of row 2 are too large for float32, up to 8e41

    hint: divide all features by a constant: no correlation and no rank of dissimilarities changes
    ");
    lab.succeed("rdm x.npy --metric euclidean");
    scaled(1e-30);
    assert_output!(lab.fail("rdm x.npy --metric sqeuclidean"), @"
    RDM of 5 stimuli from 4 units each
    error: no RDM of `x.npy`: all dissimilarities are too small for float32, at most 8e-59, though the stimuli differ

    hint: multiply all features by a constant: no correlation and no rank of dissimilarities changes
    ");
    for unit in [1e200, 1e-200] {
        scaled(unit);
        for metric in ["euclidean", "sqeuclidean", "sqeuclidean-per-feature", "cityblock"] {
            let said = lab.fail(&format!("rdm x.npy --metric {metric}"));
            assert!(
                said.contains(if unit > 1.0 { "too large for float32" } else { "too small for float32" }),
                "{metric}: {said}"
            );
        }
        for metric in ["correlation", "cosine", "spearman"] {
            lab.succeed(&format!("rdm x.npy --metric {metric}"));
        }
        lab.succeed("rdm x.npy");
        let rdm = npy::read(&lab.path("x.rdm.npy")).unwrap();
        assert!(rdm.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-6), "{unit}");
    }
    // Stimuli that are all the same do not differ in any unit.
    npy::write(&lab.path("same.npy"), &Array2::from_elem((5, 4), 0.1).into_dyn()).unwrap();
    lab.succeed("rdm same.npy --metric sqeuclidean");
}

/// Metrics that do not depend on the unit, where squares or their roots' inverses are no numbers.
#[test]
fn no_unit_is_too_small_or_too_large_for_metrics_without_one() {
    let lab = Lab::new();
    let features = Array2::from_shape_fn((5, 4), |(i, j)| ((i + 1) * (j + 2) % 7) as f64 - 2.5);
    let rdm = |metric: &str, unit: f64| {
        npy::write(&lab.path("x.npy"), &features.mapv(|value| value * unit).into_dyn()).unwrap();
        lab.succeed(&format!("rdm x.npy --metric {metric}"));
        npy::read(&lab.path("x.rdm.npy")).unwrap()
    };
    for metric in ["correlation", "cosine", "spearman", "gaussian"] {
        let plain = rdm(metric, 1.0);
        for unit in [1e-310, 1e-200, 1e-100, 1e200, 4e307] {
            let scaled = rdm(metric, unit);
            assert!(scaled.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-6), "{metric} {unit} {scaled} {plain}");
        }
    }
    // One row among others.
    let plain = rdm("correlation", 1.0);
    let mut mixed = features.clone();
    mixed.row_mut(1).mapv_inplace(|value| value * 1e-309);
    npy::write(&lab.path("x.npy"), &mixed.into_dyn()).unwrap();
    lab.succeed("rdm x.npy");
    let scaled = npy::read(&lab.path("x.rdm.npy")).unwrap();
    assert!(scaled.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-6), "{scaled}");
}

#[test]
fn an_embedding_gives_distances_or_how_rarely_objects_are_kept_together() {
    let lab = Lab::new();
    let embedding = arr2(&[[2.0, 0.0], [1.5, 0.5], [0.0, 2.0], [0.0, 0.0]]);
    npy::write(&lab.path("x.npy"), &embedding.into_dyn()).unwrap();
    fs::write(lab.path("x.ids.txt"), "dog\ncat\nkettle\nfog\n").unwrap();
    assert_output!(lab.succeed("rdm --from-embedding x.npy"), @"
    exit Some(0)
    --- stdout
    x.rdm.npy
    --- stderr
    RDM of 4 stimuli from 2 units each
    ");
    let first = |file: &str| npy::read(&lab.path(file)).unwrap()[[0, 1]];
    assert!((first("x.rdm.npy") - 0.5f64.sqrt()).abs() < 1e-7);
    lab.succeed("rdm --from-embedding x.npy --metric odd-one-out --out odd.npy");
    // e³ of dog and cat against e⁰ and e¹ with kettle, and 1 and 1 with fog.
    let e = f64::exp;
    let kept = (e(3.0) / (e(3.0) + 1.0 + e(1.0)) + e(3.0) / (e(3.0) + 2.0)) / 2.0;
    assert!((first("odd.npy") - (1.0 - kept)).abs() < 1e-7, "{}", first("odd.npy"));
    assert_eq!(lab.bytes("odd.ids.txt"), lab.bytes("x.ids.txt"));
    lab.succeed("rdm x.npy --metric odd-one-out --condensed --out pairs.npy");
    assert_eq!(npy::read(&lab.path("pairs.npy")).unwrap()[[0]], first("odd.npy"));
    fs::write(lab.path("kinds.txt"), "animal\nanimal\nthing\nthing\n").unwrap();
    assert_output!(lab.fail("rdm x.npy --metric odd-one-out --conditions kinds.txt --out two.npy"), @"
    RDM of 2 stimuli from 2 units each
    error: no RDM of `x.npy`: odd-one-out needs a third stimulus beside each pair, and there are 2

    hint: give three stimuli or more, or measure by another metric, such as euclidean
    ");
    // As `np.savetxt` writes it, and SPoSE's is published.
    fs::write(lab.path("y.txt"), "2.0e+00 0.0e+00 \n1.5e+00 5.0e-01 \n0.0e+00 2.0e+00 \n0.0e+00 0.0e+00 \n").unwrap();
    lab.succeed("rdm --from-embedding y.txt --metric odd-one-out");
    assert_eq!(lab.bytes("y.rdm.npy"), lab.bytes("odd.npy"));
    fs::write(lab.path("commas.txt"), "2,0\n1,2\n3,4\n").unwrap();
    assert!(lab.fail("rdm commas.txt").contains("hint: give a table with commas the ending .csv"));
    for wrong in ["rdm", "rdm x.npy --from-embedding x.npy"] {
        assert_eq!(lab.run(wrong).code, Some(2), "{wrong}");
    }
}

#[test]
fn an_rdm_without_pairs_is_not_written() {
    let lab = Lab::new();
    npy::write(&lab.path("flat.npy"), &Array2::from_elem((5, 4), 3.0).into_dyn()).unwrap();
    assert_output!(lab.fail("rdm flat.npy --on-constant drop"), @"
    RDM of 5 stimuli from 4 units each
    error: no RDM of `flat.npy`: 5 of 5 stimuli have the same value everywhere, so there are no pairs of others

    hint: take another layer for an RDM
    ");
    assert!(!lab.path("flat.rdm.npy").exists());
}

#[test]
fn features_of_no_units_or_of_one_stimulus_have_no_rdm() {
    let lab = Lab::new();
    for (name, shape) in [("no-units", (5, 0)), ("no-rows", (0, 4)), ("one", (1, 4))] {
        let values = Array2::from_shape_fn(shape, |(_, j)| j as f64);
        npy::write(&lab.path(&format!("{name}.npy")), &values.into_dyn()).unwrap();
        for metric in ["correlation", "euclidean", "spearman", "cityblock"] {
            let said = lab.fail(&format!("rdm {name}.npy --metric {metric} --out rdm.npy"));
            assert!(said.contains("an RDM is of two stimuli or more"), "{name} {metric}: {said}");
        }
    }
    assert!(!lab.path("rdm.npy").exists());
}

#[test]
fn files_that_differ_in_their_ending_alone_do_not_share_an_rdm() {
    let lab = Lab::new();
    npy::write(&lab.path("x.npy"), &arr2(&[[1f64, 2., 4.], [2., 1., 0.], [0., 3., 1.]]).into_dyn()).unwrap();
    fs::write(lab.path("x.txt"), "one\ntwo\nthree\n").unwrap();
    // Labels are no features.
    lab.succeed("rdm x.npy");
    fs::write(lab.path("x.csv"), "5,2,4\n2,1,0\n0,3,1\n").unwrap();
    for name in ["x.npy", "x.csv"] {
        let said = lab.fail(&format!("rdm {name}"));
        assert!(said.contains("would have the same name"), "{said}");
        lab.succeed(&format!("rdm {name} --out {name}.rdm.npy"));
    }
}

#[test]
fn rows_that_are_equal_or_nearly_are_told_apart_as_exactly_as_others() {
    let lab = Lab::new();
    let value =
        |i: usize, j: usize| ((i / 3 * 7919 + j * 104_729) % 1009) as f64 + if i % 3 == 2 { 1e-7 * (j % 7) as f64 } else { 0.0 };
    npy::write(&lab.path("x.npy"), &ndarray::Array2::from_shape_fn((30, 1300), |(i, j)| value(i, j)).into_dyn()).unwrap();
    lab.succeed("rdm x.npy --metric euclidean");
    let rdm = npy::read(&lab.path("x.rdm.npy")).unwrap();
    for (i, j) in (0..30).flat_map(|i| (0..30).map(move |j| (i, j))) {
        let exact = (0..1300).map(|k| (value(i, k) - value(j, k)).powi(2)).sum::<f64>().sqrt();
        assert!((rdm[[i, j]] - exact).abs() <= 1e-6 * exact, "{i} {j}: {} {exact}", rdm[[i, j]]);
    }
}

#[test]
fn a_common_offset_changes_nothing_however_large() {
    let lab = Lab::new();
    // Multiples of 1/1024, which stay exact beside the offset, and a unit that is the same everywhere.
    let value = |i: usize, j: usize| ((i * 7919 + j * 104_729 + i * j) % 4099) as f64 / 1024.0;
    let write = |name: &str, offset: f64, unit: f64| {
        let values = ndarray::Array2::from_shape_fn((20, 30), |(i, j)| if j == 0 { unit } else { value(i, j) + offset });
        npy::write(&lab.path(name), &values.into_dyn()).unwrap();
    };
    write("plain.npy", 0.0, 0.0);
    write("offset.npy", 1e12, 1e100);
    for metric in ["euclidean", "sqeuclidean", "gaussian"] {
        let rdm = |name: &str| {
            lab.succeed(&format!("rdm {name}.npy --metric {metric} --out rdm.npy"));
            npy::read(&lab.path("rdm.npy")).unwrap()
        };
        let (plain, offset) = (rdm("plain"), rdm("offset"));
        let largest = plain.iter().fold(0.0f64, |largest, value| largest.max(*value));
        assert!(plain.iter().zip(&offset).all(|(a, b)| (a - b).abs() <= 1e-7 * largest), "{metric}");
    }
    for flag in ["", "--unbiased"] {
        let cka: serde_json::Value =
            serde_json::from_str(&lab.succeed(&format!("cka plain.npy offset.npy --json {flag}")).stdout).unwrap();
        assert!((cka["cka"][0][1].as_f64().unwrap() - 1.0).abs() < 1e-9, "{cka}");
    }
}
