//! `thingsvision rsa` with names, subjects, tests and intervals.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{Array2, Array3};
use std::fs;
use thingsvision::npy;

pub const N: usize = 12;
/// A closed form that looks like noise.
pub fn noise(i: usize, j: usize, seed: usize) -> f64 {
    ((i * 7919 + j * 104_729 + seed * 15_485_863 + i * j * (seed + 3)) % 1009) as f64 / 1009.0
}

/// An RDM of two groups of stimuli and noise.
pub fn rdm(seed: usize, share: f64) -> Array2<f64> {
    Array2::from_shape_fn((N, N), |(i, j)| {
        let (i, j) = (i.min(j), i.max(j));
        if i == j { 0.0 } else { f64::from(u8::from(i % 2 != j % 2)) * (1.0 - share) + noise(i, j, seed) * share + 0.1 }
    })
}

pub fn ids(order: impl Iterator<Item = usize>) -> String {
    order.map(|i| format!("stimulus-{i}\n")).collect()
}

/// `near.npy` and `far.npy`, models; `area.npy`, an RDM of each of five subjects; the same in five files.
pub fn lab() -> Lab {
    let lab = Lab::new();
    npy::write(&lab.path("near.npy"), &rdm(1, 0.6).into_dyn()).unwrap();
    npy::write(&lab.path("far.npy"), &rdm(2, 1.0).into_dyn()).unwrap();
    let subjects: Vec<Array2<f64>> = (0..5).map(|s| rdm(10 + s, 0.8)).collect();
    for (s, subject) in subjects.iter().enumerate() {
        npy::write(&lab.path(&format!("sub-{s}.npy")), &subject.clone().into_dyn()).unwrap();
    }
    npy::write(&lab.path("area.npy"), &Array3::from_shape_fn((5, N, N), |(s, i, j)| subjects[s][[i, j]]).into_dyn()).unwrap();
    lab
}

pub fn json(lab: &Lab, arguments: &str) -> serde_json::Value {
    serde_json::from_str(&lab.succeed(&format!("rsa -q --json {arguments}")).stdout).unwrap()
}

/// All texts of a picture, whatever the lines that they are broken into.
pub fn words(lab: &Lab, svg: &str) -> String {
    let svg = String::from_utf8(lab.bytes(svg)).unwrap();
    svg.split("aria-label=\"").skip(1).filter_map(|text| text.split('"').next()).collect::<Vec<_>>().join(" ")
}

#[test]
fn everything_at_once() {
    let lab = lab();
    let arguments = "rsa --fmri area.npy near.npy far.npy --permutations 999 --bootstrap 400 --differences";
    assert_output!(lab.succeed(arguments), @r#"
    exit Some(0)
    --- stdout
    target   kind   model   layer   pearson    95 % interval        p   p family   p Holm        q         ceiling
    area     fmri   near              0.313    0.206 … 0.454   0.0010     0.0010   0.0020   0.0020   0.132 … 0.500
                    far               0.046   -0.154 … 0.274   0.4850     0.7080   0.4850   0.4850

    target   model   other   difference        p   p Holm
    area     near    far          0.267   0.0606   0.0606
    --- stderr

      Pearson correlation of RDMs: 12 stimuli, 66 pairs each, taken to be in the same order on both sides.
      p: 999 permutations of the stimuli, two-sided; null hypothesis: their labels are exchangeable; smallest possible 0.0010.
      p family: maximum over 2 tests, each in units of its spread; p Holm, q (Benjamini-Hochberg): over the same.
      intervals: 400 bootstraps over stimuli.
      few: with fewer than 20 stimuli tests find little, and intervals are unsure.
      wrote rsa.npy (1 × 2 scores), rsa.csv, rsa.json, rsa.differences.csv
      next: thingsvision plot bars rsa.json
    "#);
    let again = lab.bytes("rsa.json");
    lab.succeed(arguments);
    assert_eq!(lab.bytes("rsa.json"), again);
    let differences = fs::read_to_string(lab.path("rsa.differences.csv")).unwrap();
    assert!(differences.starts_with("target,model,layer,other_model,other_layer,difference,p,p_holm\narea,near,,far,,"));
    lab.succeed(&format!("{arguments} --seed 1"));
    assert_ne!(lab.bytes("rsa.json"), again);
}

#[test]
fn json_has_the_differences_too() {
    let lab = lab();
    let both = json(&lab, "--fmri area.npy near.npy far.npy --bootstrap 100 --differences");
    assert_eq!((both["scores"].as_array().unwrap().len(), both["differences"].as_array().unwrap().len()), (2, 1));
    assert!(both["differences"][0]["p"].as_f64().is_some());
    assert!(json(&lab, "--fmri area.npy near.npy far.npy --bootstrap 100").is_array());
}

#[test]
fn subjects_in_one_file_or_in_several_give_the_same() {
    let lab = lab();
    let one = json(&lab, "--fmri area=area.npy near.npy --bootstrap 100 --over both");
    assert_eq!(one[0]["subjects"], 5);
    assert!(one[0]["low"].as_f64() < one[0]["score"].as_f64() && one[0]["ceiling_lower"].is_number());
    assert_eq!(one, json(&lab, "--fmri area=sub-*.npy near.npy --bootstrap 100 --over both"));
    let listed = "area=sub-0.npy,sub-1.npy,sub-2.npy,sub-3.npy,sub-4.npy";
    assert_eq!(one, json(&lab, &format!("--fmri {listed} near.npy --bootstrap 100 --over both")));
}

#[test]
fn stimuli_are_matched_by_name() {
    let lab = lab();
    let plain = json(&lab, "--behavior far.npy near.npy");
    // The same RDM in another order, with names.
    let order: Vec<usize> = (0..N).map(|i| i * 5 % N).collect();
    let far = rdm(2, 1.0);
    npy::write(&lab.path("turned.npy"), &Array2::from_shape_fn((N, N), |(i, j)| far[[order[i], order[j]]]).into_dyn()).unwrap();
    fs::write(lab.path("turned.ids.txt"), ids(order.iter().copied())).unwrap();
    fs::write(lab.path("near.ids.txt"), ids(0..N)).unwrap();
    let outcome = lab.succeed("rsa --behavior turned.npy near.npy");
    assert!(outcome.stderr.contains("12 stimuli, 66 pairs each, matched by name"), "{outcome}");
    let named = json(&lab, "--behavior turned.npy near.npy");
    assert!((named[0]["score"].as_f64().unwrap() - plain[0]["score"].as_f64().unwrap()).abs() < 1e-12);

    // Without names: in the order of the models, whatever other targets have.
    let both = json(&lab, "--behavior turned.npy --fmri far.npy near.npy");
    assert!((both[1]["score"].as_f64().unwrap() - plain[0]["score"].as_f64().unwrap()).abs() < 1e-12, "{both}");
    assert_output!(lab.fail("rdm average turned.npy near.npy far.npy --out mean.npy"), @r#"
    error: `far.npy` has no IDs, and `turned.npy` and `near.npy` have the stimuli in different orders

    hint: put its IDs, one a line, into a file beside it that ends in .ids.txt
    "#);
    // Names are those of one file: another of its stem would take them.
    fs::write(lab.path("other.csv"), "0,1,2,3\n1,0,3,4\n2,3,0,5\n3,4,5,0\n").unwrap();
    assert_output!(lab.fail("rdm convert other.csv turned.mat"), @r#"
    error: `turned.ids.txt` names the stimuli of `turned.npy`, and would those of `turned.mat` too

    hint: give what is written another name
    "#);
    lab.succeed("rdm convert turned.npy turned.csv");
    assert_output!(lab.fail("rdm turned.npy"), @r#"
    error: `turned.npy` is an RDM, and no features: it is symmetric, with zeros on the diagonal

    hint: compare it with `thingsvision rsa`, average several with `thingsvision rdm average`; a glob may have matched it
    "#);
    lab.succeed("rsa --behavior turned.npy near.npy far.npy --bootstrap 100 --differences --out d");
    assert!(lab.path("d.differences.csv").exists());
    lab.succeed("rsa --behavior turned.npy near.npy --out d");
    assert!(!lab.path("d.differences.csv").exists());
    assert_output!(lab.fail("rsa --behavior turned.npy near.npy --out d/"), @r#"
    error: `d/` is the name of a folder

    hint: name files in it: --out FOLDER/rsa
    "#);

    fs::write(lab.path("near.ids.txt"), ids(2..N + 2)).unwrap();
    assert_output!(lab.fail("rsa --behavior turned.npy near.npy"), @r#"
    error: `near.npy` and `turned.npy` are not of the same stimuli: `turned.npy` has no `stimulus-12`, `stimulus-13`; `near.npy` has no `stimulus-0`, `stimulus-1`

    hint: compare the same stimuli, or only those that all have: --intersect
    "#);
    assert_output!(lab.succeed("rsa --behavior turned.npy near.npy --intersect"), @r#"
    exit Some(0)
    --- stdout
    target   kind       model   layer   pearson
    turned   behavior   near              0.109
    --- stderr
    left out 4 stimuli that are not in all RDMs

      Pearson correlation of RDMs: 10 stimuli, 45 pairs each, matched by name.
      wrote rsa.npy (1 × 1 scores), rsa.csv, rsa.json
      next: thingsvision plot bars rsa.json
    "#);
}

#[test]
fn missing_pairs_are_left_out_for_all_models_alike() {
    let lab = lab();
    let mut missing = rdm(1, 0.6);
    (missing[[2, 5]], missing[[5, 2]]) = (f64::NAN, f64::NAN);
    (0..N).for_each(|i| (missing[[i, 7]], missing[[7, i]]) = (f64::NAN, f64::NAN));
    npy::write(&lab.path("missing.npy"), &missing.into_dyn()).unwrap();
    assert_output!(lab.succeed("rsa --behavior far.npy missing.npy near.npy"), @r#"
    exit Some(0)
    --- stdout
    target   kind       model     layer   pearson
    far      behavior   missing             0.086
                        near                0.086
    --- stderr
    left out row 7: `missing` has no data

      Pearson correlation of RDMs: 11 stimuli, 54 of 55 pairs each, taken to be in the same order on both sides.
      wrote rsa.npy (1 × 2 scores), rsa.csv, rsa.json
      next: thingsvision plot bars rsa.json
    "#);
    assert_output!(lab.fail("rsa --behavior far.npy missing.npy --compare whitened-cosine"), @"
    left out row 7: `missing` has no data
    error: whitened cosine needs every pair, and some are missing (NaN)

    hint: compare by pearson, spearman or rho-a
    ");
}

#[test]
fn few_stimuli_are_relabelled_in_all_ways() {
    let lab = lab();
    let five = |rdm: Array2<f64>| rdm.slice(ndarray::s![..5, ..5]).to_owned().into_dyn();
    npy::write(&lab.path("a.npy"), &five(rdm(1, 0.6))).unwrap();
    npy::write(&lab.path("b.npy"), &five(rdm(4, 0.5))).unwrap();
    let outcome = lab.succeed("rsa --behavior a.npy b.npy --permutations 1000");
    assert!(outcome.stderr.contains("p: all 120 permutations of the stimuli"), "{outcome}");
    assert!(outcome.stderr.contains("smallest possible 0.0083"), "{outcome}");
}

#[test]
fn what_cannot_be_drawn_or_compared_is_refused() {
    let lab = lab();
    assert_output!(lab.fail("rsa --behavior far.npy near.npy --bootstrap 100 --over subjects"), @"
    error: `far` has one subject, so there are none to draw from

    hint: give an array [subjects, N, N] or several files, or bootstrap over stimuli
    ");
    assert_output!(lab.fail("rsa --behavior far.npy area.npy"), @"
    error: `area.npy` holds 5 RDMs; a model is one

    hint: average them: thingsvision rdm average; or give them as a target
    ");
    assert_output!(lab.fail("rsa --fmri area.npy near.npy --bootstrap 100 --compare cka"), @"
    error: linear CKA is made of whole matrices, and the bootstrap over stimuli leaves pairs out

    hint: take --over subjects, or another comparison
    ");
    assert_output!(lab.fail("rsa --fmri nothing-*.npy near.npy"), @"
    error: no file matches `nothing-*.npy`

    hint: put globs in quotes; relative paths begin at the current folder
    ");
}

#[test]
fn every_choice_is_explained() {
    let lab = lab();
    let outcome =
        lab.succeed("rsa --fmri area.npy near.npy --permutations 99 --bootstrap 100 --over both --compare rho-a --explain");
    for part in [
        "12 Σ(Rx−R̄)(Ry−R̄) / (m³−m)",
        "99 random permutations (seed 0)",
        "smallest possible 1.00e-2",
        "Schütt et al. (2023)",
        "noise ceiling",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {outcome}");
    }
}

#[test]
fn a_target_is_judged_by_its_own_subjects_whatever_other_targets_have() {
    let lab = lab();
    let two = Array3::from_shape_fn((2, N, N), |(s, i, j)| rdm(20 + s, 0.8)[[i, j]]);
    npy::write(&lab.path("two.npy"), &two.into_dyn()).unwrap();
    for over in ["subjects", "both"] {
        let rsa = |targets: &str| json(&lab, &format!("{targets} near.npy far.npy --bootstrap 200 --over {over}"));
        let (alone, beside) = (rsa("--fmri area.npy"), rsa("--fmri area.npy --fmri two.npy"));
        for model in 0..2 {
            for end in ["low", "high"] {
                assert_eq!(alone[model][end], beside[model][end], "{over} {end}");
            }
        }
    }
}

/// RDMs whose squares vanish or are infinite.
#[test]
fn scores_do_not_depend_on_the_unit_of_an_rdm() {
    let lab = lab();
    let area = |unit: f64| {
        let subjects: Vec<Array2<f64>> = (0..5).map(|s| rdm(10 + s, 0.8)).collect();
        npy::write(&lab.path("x.npy"), &Array3::from_shape_fn((5, N, N), |(s, i, j)| unit * subjects[s][[i, j]]).into_dyn())
            .unwrap();
        npy::write(&lab.path("m.npy"), &rdm(1, 0.6).mapv(|value| unit * value).into_dyn()).unwrap();
    };
    for measure in ["pearson", "cosine", "rho-a", "whitened-cosine"] {
        let scores = |unit: f64| {
            area(unit);
            let table = json(&lab, &format!("--fmri x.npy m.npy --compare {measure} --permutations 100"));
            ["score", "ceiling_lower", "ceiling_upper", "p"].map(|number| table[0][number].as_f64().unwrap_or(f64::NAN))
        };
        let plain = scores(1.0);
        for unit in [1e-290, 1e-200, 1e-163, 1e200] {
            let scaled = scores(unit);
            assert!(scaled.iter().zip(plain).all(|(a, b)| (a - b).abs() < 1e-9), "{measure} {unit} {scaled:?} {plain:?}");
        }
    }
    for pool in ["rms", "zscore"] {
        let mean = |unit: f64| {
            area(unit);
            lab.succeed(&format!("rdm average x.npy --pool {pool} --out mean.npy"));
            npy::read(&lab.path("mean.npy")).unwrap()
        };
        let (plain, scaled) = (mean(1.0), mean(1e-200));
        assert!(plain.iter().zip(&scaled).all(|(a, b)| (a - b).abs() < 1e-6), "{pool}");
    }
}

/// The scores of one subject vary far more under relabelling than means over five.
#[test]
fn a_target_of_one_subject_takes_no_power_from_others() {
    let lab = lab();
    let p = |targets: &str| {
        let table = json(&lab, &format!("--fmri area.npy {targets} near.npy far.npy --permutations 1999"));
        let row = table.as_array().unwrap().iter().find(|row| row["target"] == "area" && row["model"] == "near").unwrap();
        (row["p"].as_f64().unwrap(), row["p_family"].as_f64().unwrap())
    };
    let (alone, _) = p("");
    let singles = "--behavior a=sub-0.npy --behavior b=sub-1.npy --behavior c=sub-2.npy --behavior d=sub-3.npy";
    let (beside, family) = p(singles);
    assert!(alone == beside && alone <= 0.002, "{alone} {beside}");
    assert!(family <= 10.0 * alone && family < 0.01, "{family}");
}

#[test]
fn each_target_is_drawn_as_it_allows() {
    let lab = lab();
    let targets = "--behavior far.npy --fmri area.npy near.npy --bootstrap 200";
    let both = json(&lab, &format!("{targets} --over both"));
    assert_eq!((&both[0]["over"], &both[1]["over"], &both[0]["draws"]), (&"stimuli".into(), &"both".into(), &200.into()));
    assert_eq!(both[1]["low"], json(&lab, "--fmri area.npy --behavior far.npy near.npy --bootstrap 200 --over both")[1]["low"]);
    assert!(both[0]["low"].as_f64() < both[0]["high"].as_f64());
    let outcome = lab.succeed(&format!("rsa {targets} --over both --explain"));
    let drawn = "intervals: 200 bootstraps over stimuli, of `far` for want of subjects; over stimuli and subjects, of `area`.";
    assert!(outcome.stderr.contains(drawn), "{outcome}");
    for (part, target) in [("200 bootstraps over stimuli (seed 0)", "`far`"), ("Schütt et al. (2023)", "`area`")] {
        let line = outcome.stdout.lines().find(|line| line.contains(part)).unwrap_or_default();
        assert!(line.ends_with(&format!("Those were of {target}.")), "{outcome}");
    }
    assert!(lab.fail("rsa --behavior far.npy near.npy --bootstrap 100 --over both").contains("`far` has one subject"));
}
