//! What `thingsvision rsa` says beside scores that say little, and where there is none.

use crate::assert_output;
use crate::inference::{N, ids, json, lab, rdm, words};
use ndarray::{Array2, Array3};
use std::fs;
use thingsvision::npy;

#[test]
fn ties_are_pointed_out_where_they_are_rewarded() {
    let lab = lab();
    fs::write(lab.path("labels.csv"), (0..N).map(|i| format!("{}\n", i % 2)).collect::<String>()).unwrap();
    lab.succeed("rdm categories labels.csv --out categories.npy");
    let hint = "100 % of the pairs of `categories` are tied, which this measure favours: better --compare rho-a.";
    assert!(lab.succeed("rsa --fmri area.npy categories.npy --compare spearman").stderr.contains(hint));
    assert!(!lab.succeed("rsa --fmri area.npy categories.npy --compare rho-a").stderr.contains("tied"));
}

#[test]
fn draws_in_which_a_model_does_not_vary_have_no_score_and_do_no_harm() {
    let lab = lab();
    // In some draws the two stimuli that it tells apart do not come.
    for (file, odd) in [("one.npy", 0), ("other.npy", 4)] {
        let flat = Array2::from_shape_fn((N, N), |(i, j)| match (i.min(j), i.max(j)) {
            (i, j) if i == j => 0.0,
            (i, j) if (i, j) == (odd, odd + 1) => 0.2,
            _ => 0.9,
        });
        npy::write(&lab.path(file), &flat.into_dyn()).unwrap();
    }
    let rsa = "rsa --behavior near.npy one.npy other.npy far.npy --bootstrap 300 --differences";
    assert_output!(lab.succeed(rsa), @r#"
    exit Some(0)
    --- stdout
    target   kind       model   layer   pearson    95 % interval
    near     behavior   one              -0.092              n/a
                        other             0.009              n/a
                        far              -0.008   -0.340 … 0.361

    target   model   other   difference     p   p Holm
    near     one     other       -0.101   n/a      n/a
    near     one     far         -0.084   n/a      n/a
    near     other   far          0.016   n/a      n/a
    --- stderr

      Pearson correlation of RDMs: 12 stimuli, 66 pairs each, taken to be in the same order on both sides.
      intervals: 300 bootstraps over stimuli.
      `one`, `near`: left out 181 of 300 draws, in which one of the two does not vary; no interval, for it would be that of the draws in which they do.
      `other`, `near`: left out 182 of 300 draws, in which one of the two does not vary; no interval, for it would be that of the draws in which they do.
      p n/a: too many draws were left out, or the difference is the same in all.
      few: with fewer than 20 stimuli tests find little, and intervals are unsure.
      wrote rsa.npy (1 × 3 scores), rsa.csv, rsa.json, rsa.differences.csv
      next: thingsvision plot bars rsa.json
    "#);
    let scores = |arguments: &str| json(&lab, arguments)["scores"].clone();
    let table = scores(&rsa["rsa ".len()..]);
    assert!(table[0]["draws_left_out"].as_u64().unwrap() > 15 && table[0]["low"].is_null());
    assert_eq!((&table[2]["draws_left_out"], table[2]["low"].is_number()), (&0.into(), true));
    // Nothing is left out of ρ-a and τ-a, for which a constant is 0.
    let table = scores(&format!("{} --compare rho-a", &rsa["rsa ".len()..]));
    assert_eq!((&table[0]["draws_left_out"], table[0]["low"].is_number()), (&0.into(), true));
}

/// Scores of 1 and −1 in every draw, but for rounding; and the same score twice.
#[test]
fn a_difference_that_does_not_vary_has_no_p() {
    let lab = lab();
    for (file, factor, shift) in [("opposite.npy", -1.0 / 3.0, 2.0), ("tripled.npy", 3.0, 1.0)] {
        let turned = Array2::from_shape_fn((N, N), |(i, j)| if i == j { 0.0 } else { rdm(1, 0.6)[[i, j]] * factor + shift });
        npy::write(&lab.path(file), &turned.into_dyn()).unwrap();
    }
    lab.succeed("rsa --behavior near.npy near.npy opposite.npy tripled.npy --bootstrap 300 --differences");
    let differences = fs::read_to_string(lab.path("rsa.differences.csv")).unwrap();
    let p = |row: usize| differences.lines().nth(row).unwrap().split(',').nth(6).unwrap().to_owned();
    assert_eq!([p(1), p(2), p(3)], ["", "1.0", ""], "{differences}");
}

/// With and without data about one stimulus, a model whose only odd pair is left out.
#[test]
fn a_model_that_does_not_vary_over_what_is_compared_is_refused_by_name() {
    let lab = lab();
    let flat =
        Array2::from_shape_fn(
            (N, N),
            |(i, j)| if i == j { 0.0 } else { 1.0 + f64::from(u8::from(i.min(j) == 0 && i.max(j) == 1)) },
        );
    npy::write(&lab.path("flat.npy"), &flat.into_dyn()).unwrap();
    fs::write(lab.path("flat.ids.txt"), ids(0..N)).unwrap();
    fs::write(lab.path("near.ids.txt"), ids((1..N).chain([50]))).unwrap();
    assert_output!(lab.fail("rsa --behavior near.npy flat.npy --intersect"), @"
    left out 2 stimuli that are not in all RDMs
    error: `flat` does not vary over the 55 pairs that are compared, so nothing correlates with it

    hint: leave it out, or compare more stimuli
    ");
    assert!(lab.fail("rsa --behavior flat.npy near.npy --intersect").contains("`flat` does not vary over the 55 pairs"));
    assert!(!lab.path("rsa.csv").exists());
}

#[test]
fn captions_say_over_what_intervals_are() {
    let lab = lab();
    lab.succeed("rsa --behavior far.npy --fmri area.npy near.npy --bootstrap 200 --over both");
    lab.succeed("plot bars rsa.json --out bars.svg");
    let svg = words(&lab, "bars.svg");
    for part in ["over stimuli (200 bootstraps) of far", "over stimuli and subjects (200 bootstraps) of area"] {
        assert!(svg.contains(part), "{part}");
    }
}

#[test]
fn intervals_beyond_one_are_said_to_be_of_too_few() {
    let lab = lab();
    let two = Array3::from_shape_fn((2, N, N), |(s, i, j)| rdm(20 + s, 0.3 + 0.4 * s as f64)[[i, j]]);
    npy::write(&lab.path("two.npy"), &two.into_dyn()).unwrap();
    let outcome = lab.succeed("rsa --fmri two.npy near.npy far.npy --bootstrap 200 --over both");
    assert!(outcome.stderr.contains("reaches beyond ±1, which no score does: too few subjects or stimuli"), "{outcome}");
    for plot in ["bars", "layers"] {
        lab.succeed(&format!("plot {plot} rsa.json --out {plot}.svg"));
        let svg = String::from_utf8(lab.bytes(&format!("{plot}.svg"))).unwrap();
        assert!(words(&lab, &format!("{plot}.svg")).contains("those that reach beyond ±1, of too few"), "{plot}");
        assert!(
            svg.contains("aria-label=\"1.0\"") && !svg.contains("aria-label=\"1.5\"") && !svg.contains("aria-label=\"2"),
            "{plot}"
        );
    }
}

/// A matrix of similarities with 0 or NaN on its diagonal, where ones would tell.
#[test]
fn rdms_that_may_be_similarities_are_pointed_out() {
    let lab = lab();
    for (file, diagonal) in [("zero.npy", 0.0), ("none.npy", f64::NAN)] {
        let similar = Array2::from_shape_fn((N, N), |(i, j)| if i == j { diagonal } else { 0.6 - rdm(1, 0.6)[[i, j]] });
        npy::write(&lab.path(file), &similar.into_dyn()).unwrap();
    }
    let said = lab.succeed("rsa --behavior zero.npy none.npy near.npy").stderr;
    let check = lab.succeed("rdm check zero.npy").stdout;
    let found = check.lines().find(|line| line.contains("these may be similarities")).unwrap();
    let found = &found[found.find("negative in").unwrap()..];
    for name in ["zero", "none"] {
        assert!(said.contains(&format!("`{name}`: {found}")), "{said}");
    }
    assert!(!said.contains("`near`:"), "{said}");
}

#[test]
fn few_stimuli_and_few_subjects_are_pointed_out() {
    let lab = lab();
    let said = |arguments: &str| lab.succeed(&format!("rsa --fmri area.npy near.npy {arguments}")).stderr;
    let over_subjects = said("--bootstrap 40 --over subjects");
    assert!(over_subjects.contains("few: with fewer than 20 stimuli"), "{over_subjects}");
    assert!(over_subjects.contains("few: `area` has 5 subjects"), "{over_subjects}");
    assert!(!said("").contains("few: "));
}
