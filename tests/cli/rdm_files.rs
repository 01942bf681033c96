//! `thingsvision rdm` with other formats, and `check`, `average`, `convert`, `categories`; `thingsvision cka`.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{Array2, arr2};
use std::fs;
use std::path::Path;
use thingsvision::npy;

pub fn fixture(lab: &Lab, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rsa").join(name);
    fs::copy(from, lab.path(name)).unwrap();
}

fn features() -> Array2<f64> {
    Array2::from_shape_fn((6, 5), |(i, j)| ((i * 7 + j * 3 + i * j * 5) % 11) as f64)
}

/// What SciPy, NumPy and rsatoolbox have written.
#[test]
fn rdms_of_all_formats_are_the_same() {
    let lab = Lab::new();
    for name in ["rdm.mat", "compressed.mat", "rdm.npz", "two.npz", "rdm.h5"] {
        fixture(&lab, name);
    }
    lab.succeed("rdm convert rdm.npz npz.npy --condensed");
    for name in ["rdm.mat", "compressed.mat", "two.npz:first", "rdm.h5"] {
        lab.succeed(&format!("rdm convert {name} other.npy --condensed"));
        assert_eq!(lab.bytes("other.npy"), lab.bytes("npz.npy"), "{name}");
    }
    // rsatoolbox's file has the names.
    assert_eq!(fs::read_to_string(lab.path("other.ids.txt")).unwrap().lines().nth(3), Some("s03"));
    assert_output!(lab.fail("rdm convert two.npz other.npy"), @"
    error: `two.npz` holds several arrays: `first`, `second`

    hint: name the one you mean: two.npz:first
    ");
}

#[test]
fn converting_there_and_back_changes_nothing() {
    let lab = Lab::new();
    npy::write(&lab.path("features.npy"), &features().into_dyn()).unwrap();
    fs::write(lab.path("features.ids.txt"), "a\nb\nc\nd\ne\nf é\n").unwrap();
    lab.succeed("rdm features.npy");
    // Thirds, of which float32 would lose digits.
    let thirds = npy::read(&lab.path("features.rdm.npy")).unwrap() / 3.0;
    npy::write(&lab.path("thirds.npy"), &thirds).unwrap();
    fs::copy(lab.path("features.ids.txt"), lab.path("thirds.ids.txt")).unwrap();
    for ending in ["csv", "tsv", "mat", "h5"] {
        lab.succeed(&format!("rdm convert thirds.npy there.{ending}"));
        lab.succeed(&format!("rdm convert there.{ending} back.npy"));
        assert_eq!(lab.bytes("back.npy"), lab.bytes("thirds.npy"), "{ending}");
        assert_eq!(lab.bytes("back.ids.txt"), lab.bytes("features.ids.txt"), "{ending}");
        fs::remove_file(lab.path("there.ids.txt")).unwrap();
        // The names are in the file itself.
        lab.succeed(&format!("rdm convert there.{ending} alone.npy"));
        assert_eq!(lab.bytes("alone.ids.txt"), lab.bytes("features.ids.txt"), "{ending}");
    }
}

#[test]
fn features_are_read_from_tables() {
    let lab = Lab::new();
    npy::write(&lab.path("features.npy"), &features().into_dyn()).unwrap();
    let line = |(row, values): (usize, ndarray::ArrayView1<f64>)| {
        let numbers: Vec<_> = values.iter().map(f64::to_string).collect();
        format!("picture {row},{}\n", numbers.join(","))
    };
    let lines: String = features().outer_iter().enumerate().map(line).collect();
    fs::write(lab.path("table.csv"), format!("stimulus,v1,v2,v3,v4,v5\n{lines}")).unwrap();
    lab.succeed("rdm features.npy --metric euclidean");
    lab.succeed("rdm table.csv --metric euclidean");
    assert_eq!(lab.bytes("table.rdm.npy"), lab.bytes("features.rdm.npy"));
    assert!(fs::read_to_string(lab.path("table.rdm.ids.txt")).unwrap().starts_with("picture 0\npicture 1\n"));
    fs::write(lab.path("table.csv"), format!("stimulus,v1,v2,v3,v4,v5\n{}", lines.replacen(",0", ",zero", 1))).unwrap();
    assert!(lab.fail("rdm table.csv").contains("has `zero` where a number is expected"));
}

#[test]
fn constant_stimuli_can_be_dropped() {
    let lab = Lab::new();
    let mut features = features();
    features.row_mut(2).fill(3.0);
    npy::write(&lab.path("features.npy"), &features.into_dyn()).unwrap();
    assert_output!(lab.succeed("rdm features.npy --on-constant drop"), @"
    exit Some(0)
    --- stdout
    features.rdm.npy
    --- stderr
    RDM of 6 stimuli from 5 units each
    left out 1 without variance
    ");
    assert_eq!(npy::read(&lab.path("features.rdm.npy")).unwrap().shape(), [5, 5]);
    assert_eq!(fs::read_to_string(lab.path("features.rdm.ids.txt")).unwrap(), "row 0\nrow 1\nrow 3\nrow 4\nrow 5\n");
}

/// The IDs of an RDM with dropped stimuli must not be taken for those of the next.
#[test]
fn a_replaced_run_leaves_no_ids_behind() {
    let lab = Lab::new();
    let run = "extract --model alexnet --weights random --images images --layer classifier.5";
    lab.succeed(run);
    fs::write(lab.path("activations/alexnet.random-0/classifier.5.rdm.ids.txt"), "a/one.png\n").unwrap();
    lab.succeed(&format!("{run} --force"));
    assert!(!lab.path("activations/alexnet.random-0/classifier.5.rdm.ids.txt").exists());
}

#[test]
fn repeats_are_averaged_and_cross_validated() {
    let lab = Lab::new();
    let rows = Array2::from_shape_fn((12, 3), |(i, j)| ((i % 4) * (j + 2) + i * i * (j + 1) % 5) as f64);
    npy::write(&lab.path("betas.npy"), &rows.clone().into_dyn()).unwrap();
    fs::write(lab.path("conditions.txt"), "a\nb\nc\nd\n".repeat(3)).unwrap();
    fs::write(lab.path("runs.txt"), (0..12).map(|row| format!("run-{}\n", row / 4)).collect::<String>()).unwrap();
    lab.succeed("rdm betas.npy --conditions conditions.txt --metric sqeuclidean");
    let mean = |condition: usize, unit: usize| (0..3).map(|run| rows[[run * 4 + condition, unit]]).sum::<f64>() / 3.0;
    let expected: f64 = (0..3).map(|unit| (mean(0, unit) - mean(1, unit)).powi(2)).sum();
    let rdm = npy::read(&lab.path("betas.rdm.npy")).unwrap();
    assert!((rdm[[0, 1]] - expected).abs() < 1e-6, "{} {expected}", rdm[[0, 1]]);
    assert_eq!(lab.bytes("betas.rdm.ids.txt"), b"a\nb\nc\nd\n");

    lab.succeed("rdm betas.npy --conditions conditions.txt --partitions runs.txt --metric crossnobis --noise identity");
    let pairs = [(0, 1), (0, 2), (1, 2)];
    let product = |(a, b): (usize, usize)| -> f64 {
        let difference = |run: usize, unit: usize| rows[[run * 4, unit]] - rows[[run * 4 + 1, unit]];
        (0..3).map(|unit| difference(a, unit) * difference(b, unit)).sum::<f64>() / 3.0
    };
    let expected = pairs.into_iter().map(product).sum::<f64>() / 3.0;
    let rdm = npy::read(&lab.path("betas.rdm.npy")).unwrap();
    assert!((rdm[[0, 1]] - expected).abs() < 1e-6, "{} {expected}", rdm[[0, 1]]);

    npy::write(&lab.path("large.npy"), &rows.mapv(|value| value * 1e25).into_dyn()).unwrap();
    let crossnobis = "--conditions conditions.txt --partitions runs.txt --metric crossnobis --noise identity";
    assert!(
        lab.fail(&format!("rdm large.npy {crossnobis}")).contains("dissimilarities of `d` are too large for float32, up to ")
    );

    let nan = Array2::from_shape_fn((12, 3), |(i, j)| if (i, j) == (5, 1) { f64::NAN } else { rows[[i, j]] });
    npy::write(&lab.path("nan.npy"), &nan.into_dyn()).unwrap();
    for noise in ["identity", "diagonal", "shrinkage"] {
        let said = lab.fail(&format!("rdm nan.npy {} {noise}", crossnobis.trim_end_matches(" identity")));
        assert!(said.contains("values that are not finite (NaN or infinite) in row 5") && !said.contains("residuals"), "{said}");
    }
    assert_output!(lab.fail("rdm betas.npy --metric mahalanobis"), @"
    RDM of 12 stimuli from 3 units each
    error: no RDM of `betas.npy`: this metric is in units of the noise, of which nothing is known

    hint: give --residuals, or repeats by --conditions
    ");
    fs::write(lab.path("runs.txt"), "run-0\n".repeat(11) + "run-1\n").unwrap();
    assert_output!(lab.fail("rdm betas.npy --conditions conditions.txt --partitions runs.txt --metric crossnobis"), @"
    RDM of 4 stimuli from 3 units each
    error: no RDM of `betas.npy`: `a` is not in partition `run-1`

    hint: every condition must have been measured in every partition; leave out the others
    ");
}

#[test]
fn a_file_is_checked() {
    let lab = Lab::new();
    let mut rdm = Array2::from_shape_fn((6, 6), |(i, j)| if i == j { 0.0 } else { (i * j + i + j) as f64 });
    (rdm[[1, 4]], rdm[[4, 1]], rdm[[2, 3]], rdm[[3, 2]]) = (0.0, 0.0, f64::NAN, f64::NAN);
    npy::write(&lab.path("rdm.npy"), &rdm.clone().into_dyn()).unwrap();
    fs::write(lab.path("rdm.ids.txt"), "a\nb\nc\nd\ne\nf\n").unwrap();
    assert_output!(lab.succeed("rdm check rdm.npy"), @"
    exit Some(0)
    --- stdout
    look   stimuli      6, 15 pairs
    fine   order        named, from `a` to `f`
    fine   values       0.0000 to 29.0000
    look   missing      NaN in 1 of 15 pairs
    look   duplicates   a dissimilarity of 0 in 1 of 15 pairs, the first `b` and `e`
    look   ties         14.3 % of the pairs share their value with another; compare by rho-a or kendall-tau-a, which do not favour ties
    --- stderr
    ");
    fs::write(lab.path("rdm.ids.txt"), "a\nb\nc\nd\nb\nf\n").unwrap();
    assert_output!(lab.fail("rdm check rdm.npy"), @"
    error: `rdm.ids.txt` names `b` twice, in rows 1 and 4, counting from 0

    hint: stimuli are aligned by their IDs, which must differ: average repeats with `rdm --conditions`, or rename them
    ");
}

#[test]
fn subjects_are_averaged_by_name() {
    let lab = Lab::new();
    npy::write(&lab.path("one.npy"), &arr2(&[[0., 1., 2., 3.], [1., 0., 4., 5.], [2., 4., 0., 6.], [3., 5., 6., 0.]]).into_dyn())
        .unwrap();
    npy::write(&lab.path("two.npy"), &arr2(&[[0., 6., 5., 4.], [6., 0., 3., 2.], [5., 3., 0., 1.], [4., 2., 1., 0.]]).into_dyn())
        .unwrap();
    fs::write(lab.path("one.ids.txt"), "a\nb\nc\nd\n").unwrap();
    fs::write(lab.path("two.ids.txt"), "d\nc\nb\na\n").unwrap();
    lab.succeed("rdm average one.npy two.npy --out mean.npy");
    let mean = npy::read(&lab.path("mean.npy")).unwrap();
    // ab: 1 and 1, ac: 2 and 2, ad: 3 and 4, bc: 4 and 3, bd: 5 and 5, cd: 6 and 6.
    assert_eq!([mean[[0, 1]], mean[[0, 2]], mean[[0, 3]], mean[[1, 2]]], [1.0, 2.0, 3.5, 3.5]);
    assert_eq!(lab.bytes("mean.ids.txt"), lab.bytes("one.ids.txt"));
    lab.succeed("rdm average one.npy two.npy --pool rank --out ranks.npy");
    assert_eq!(npy::read(&lab.path("ranks.npy")).unwrap()[[0, 3]], 3.5);
}

#[test]
fn layers_are_compared_by_cka() {
    let lab = Lab::new();
    npy::write(&lab.path("x.npy"), &arr2(&[[1., 2., 4.], [2., 1., 0.], [0., 3., 1.], [5., 5., 2.]]).into_dyn()).unwrap();
    npy::write(&lab.path("y.npy"), &arr2(&[[1., 0.], [0., 1.], [2., 1.], [1., 3.]]).into_dyn()).unwrap();
    assert_output!(lab.succeed("cka x.npy y.npy --out cka.npy"), @"
    exit Some(0)
    --- stdout
                  1       2
    1 x.npy   1.000   0.808
    2 y.npy   0.808   1.000
    --- stderr

      linear CKA of 2 layers, 4 stimuli, taken to be in the same order
      few: with 4 stimuli and up to 3 units CKA is high even of layers that have nothing in common: take --unbiased.
    ");
    assert!((npy::read(&lab.path("cka.npy")).unwrap()[[0, 1]] - 0.8077051799795573).abs() < 1e-14);
    assert_output!(lab.fail("cka x.npy"), @"
    error: one layer has nothing to be compared with

    hint: name two runs or files, or a run of several layers
    ");
}

/// What pandas writes of a data frame without names: numbers above and before the numbers.
#[test]
fn numbers_that_name_rows_and_columns_are_no_stimulus() {
    let lab = Lab::new();
    let square = "0,0.5,1,2\n0.5,0,3,4\n1,3,0,5\n2,4,5,0\n";
    let named: String = square.lines().enumerate().map(|(row, line)| format!("{row},{line}\n")).collect();
    fs::write(lab.path("plain.csv"), square).unwrap();
    fs::write(lab.path("pandas.csv"), format!(",0,1,2,3\n{named}")).unwrap();
    for file in ["plain", "pandas"] {
        lab.succeed(&format!("rdm convert {file}.csv {file}.npy"));
    }
    assert_eq!(lab.bytes("pandas.npy"), lab.bytes("plain.npy"));
    assert_eq!(fs::read_to_string(lab.path("pandas.ids.txt")).unwrap(), "0\n1\n2\n3\n");
}

#[test]
fn of_half_a_square_the_other_half_is_asked_for() {
    let lab = Lab::new();
    let at = |i: usize, j: usize| if i == j { 0.0 } else { (1 + i * j % 5) as f64 };
    let write = |name: &str, value: &dyn Fn(usize, usize) -> f64| {
        npy::write(&lab.path(name), &Array2::from_shape_fn((6, 6), |(i, j)| value(i, j)).into_dyn()).unwrap();
    };
    write("upper.npy", &|i, j| if i < j { at(i, j) } else { 0.0 });
    write("lower.npy", &|i, j| if i > j { at(i, j) } else { f64::NAN });
    for (name, half) in [("upper.npy", "below"), ("lower.npy", "above")] {
        let said = lab.fail(&format!("rdm check {name}"));
        assert!(said.contains(&format!("only half of `{name}` is filled: there is nothing {half} the diagonal")), "{said}");
    }
    // Without a diagonal, as tables have it.
    let line = |i: usize| (0..6).map(|j| if i > j { at(i, j).to_string() } else { String::new() }).collect::<Vec<_>>().join(",");
    fs::write(lab.path("lower.csv"), (0..6).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let said = lab.fail("rdm check lower.csv");
    assert!(said.contains("only half of `lower.csv` is filled") && said.contains("`rdm.T[numpy.triu_indices"), "{said}");
}
