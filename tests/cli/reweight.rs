//! `thingsvision rsa --reweight`

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{Array2, Array3};
use std::fs;
use thingsvision::npy;

const STIMULI: usize = 24;

/// A number that looks drawn, from −0.5 to 0.5.
fn number(place: usize) -> f64 {
    let mut bits = place as u64 + 0x9e37_79b9_7f4a_7c15;
    for shift in [30, 27, 31] {
        bits = (bits ^ (bits >> shift)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (bits >> 11) as f64 / (1u64 << 53) as f64 - 0.5
}

fn features(units: usize, from: usize) -> Array2<f64> {
    Array2::from_shape_fn((STIMULI, units), |(i, k)| number(from + i * units + k))
}

/// Features of which three subjects see the first two units alone, more or less; others that have nothing to do with them; one unit
/// that does not vary.
fn lab() -> Lab {
    let lab = Lab::new();
    let mut seen = features(8, 0);
    seen.column_mut(7).fill(3.0);
    let subjects = Array3::from_shape_fn((3, STIMULI, STIMULI), |(subject, i, j)| {
        let apart = |unit: usize| (seen[[i, unit]] - seen[[j, unit]]).powi(2);
        let noise = 0.3 * number(10_000 * (subject + 1) + i.min(j) * STIMULI + i.max(j));
        if i == j { 0.0 } else { 1.0 + apart(0) + apart(1) + noise }
    });
    npy::write(&lab.path("seen.npy"), &seen.into_dyn()).unwrap();
    npy::write(&lab.path("other.npy"), &features(400, 100_000).into_dyn()).unwrap();
    npy::write(&lab.path("behavior.npy"), &subjects.into_dyn()).unwrap();
    lab
}

#[test]
fn layers_are_scored_with_and_without_weights_of_their_units() {
    let lab = lab();
    let said = lab.succeed(
        "rsa --behavior behavior.npy --reweight seen.npy other.npy --folds 4 --repeats 2 --bootstrap 100 --over subjects",
    );
    assert_output!(said, @"
    exit Some(0)
    --- stdout
    target     kind       model   layer   units        λ   unweighted   reweighted    95 % interval   gained    95 % interval         ceiling
    behavior   behavior   seen                8   7.5e-4        0.457        0.895    0.879 … 0.912    0.438    0.397 … 0.471   0.842 … 0.930
                          other             400      1.8        0.068        0.011   -0.058 … 0.058   -0.057   -0.138 … 0.028
    --- stderr

      Pearson correlation of predicted and real pairs: 24 stimuli in 4 parts, 2 times (seed 0), taken to be in the same order on both sides.
      each part in turn, with weights that were fitted to the others; both stimuli of a pair are in the part.
      unweighted: of the same pairs, all weights 1 (squared Euclidean distances of z-scored units).
      λ: chosen within the fitted stimuli, the geometric mean. Weights may be negative.
      intervals: 100 bootstraps over subjects.
      a unit of `seen` does not vary over the stimuli of a fit, and has weight 0.
      few: `behavior` has 3 subjects, over which intervals are too narrow (with 12, 91 % and not 95 % held the truth).
      few: a part has 6 stimuli, whose scores are unsure; --repeats 10 divides them anew.
      wrote rsa.reweight.csv, rsa.reweight.json
    ");
    let csv = fs::read_to_string(lab.path("rsa.reweight.csv")).unwrap();
    assert_eq!(csv.lines().count(), 3);
    assert_eq!(
        csv.lines().next(),
        Some(
            "target,kind,model,layer,compare,stimuli,units,units_constant,subjects,folds,repeats,penalty,unweighted,reweighted,low,high,gained,gained_low,gained_high,draws,ceiling_lower,ceiling_upper"
        )
    );
    let json: serde_json::Value = serde_json::from_slice(&lab.bytes("rsa.reweight.json")).unwrap();
    let score = |name: &str| json[0][name].as_f64().unwrap();
    assert!((score("reweighted") - score("unweighted") - score("gained")).abs() < 1e-12);
    let again = "rsa -q --json --behavior behavior.npy --reweight seen.npy other.npy --folds 4 --repeats 2";
    let again = lab.succeed(&format!("{again} --bootstrap 100 --over subjects"));
    assert_eq!(again.stdout.as_bytes(), lab.bytes("rsa.reweight.json"));
}

#[test]
fn layers_of_runs_are_reweighted() {
    let lab = lab();
    let pictures = (0..5).flat_map(|image| [format!("rgb-97x61.png a{image}"), format!("rgb-40x131.png b{image}")]);
    for (fixture, name) in pictures.map(|pair| pair.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap()) {
        lab.copy_image(&fixture, &format!("more/{name}.png"));
    }
    lab.succeed("extract --model cornet-z --weights random --images more --layer V1 --layer decoder.avgpool");
    let target = Array2::from_shape_fn((10, 10), |(i, j)| if i == j { 0.0 } else { 1.0 + number(i.min(j) * 10 + i.max(j)) });
    npy::write(&lab.path("ten.npy"), &target.into_dyn()).unwrap();
    let said = lab.succeed("rsa --behavior ten.npy --reweight --folds 2 --penalty 0.1 --explain");
    for word in ["cornet-z.random-0   V1", "decoder.avgpool", "Feature-reweighted RSA", "λ was 0.1."] {
        assert!(said.stdout.contains(word), "{word}: {said}");
    }
    assert_output!(lab.fail("rsa --behavior ten.npy --reweight activations/cornet-z.random-0/V1.rdm.npy"), @"
    error: `activations/cornet-z.random-0/V1.rdm.npy` is an RDM, and --reweight needs the features that it is of

    hint: name the folder of the run, or a file of features [stimuli, units]
    ");
}

#[test]
fn what_reweighting_cannot_do_is_said() {
    let lab = lab();
    let fail = |flags: &str| lab.fail(&format!("rsa --behavior behavior.npy --reweight seen.npy {flags}"));
    assert_output!(fail("--permutations 100"), @"
    error: --permutations would need all fits anew for each

    hint: leave them out; bootstrap over subjects
    ");
    assert_output!(fail("--bootstrap 100"), @"
    error: stimuli that are drawn twice would be both fitted and left out

    hint: add --over subjects, or leave out --bootstrap
    ");
    assert_output!(fail("--control behavior.npy"), @"
    error: --control is of RDMs, and --reweight fits units

    hint: leave it out, or --reweight
    ");
    assert_output!(fail("--differences --bootstrap 100 --over subjects"), @"
    error: --differences are of models as they are, and --reweight fits them

    hint: leave out --differences
    ");
    assert_output!(fail("--regress behavior.npy"), @"
    error: --reweight fits the units of a layer, and --regress RDMs

    hint: take one of the two
    ");
    assert_output!(fail("--fit ridge"), @"
    error: --reweight is by ridge and left-out stimuli always, and --fit is of --regress

    hint: leave it out
    ");
    assert_output!(fail("--repeats 0"), @"
    error: with no repeat nothing is scored

    hint: take --repeats 1, or more
    ");
    assert_output!(fail("--penalty 0"), @"
    error: the penalty is 0

    hint: give a number above 0, such as 0.1
    ");
    assert_output!(fail("--folds 7"), @"
    error: 7 folds of 24 stimuli leave 3 in one, and 4 are needed to predict their pairs

    hint: take at most --folds 6
    ");
    assert_output!(fail("--folds 5"), @"
    error: ridge chooses its penalty by 5 folds of the 19 stimuli that are fitted, which are too few

    hint: give the penalty: --penalty 0.1; or take fewer folds
    ");
    assert_output!(lab.fail("rsa --behavior behavior.npy seen.npy --repeats 2"), @"
    error: --repeats are of --reweight, and it is not wanted

    hint: add --reweight, or leave --repeats out
    ");
    let mut missing = npy::read(&lab.path("behavior.npy")).unwrap();
    missing[[1, 2, 3]] = f64::NAN;
    missing[[1, 3, 2]] = f64::NAN;
    npy::write(&lab.path("missing.npy"), &missing).unwrap();
    assert_output!(lab.fail("rsa --behavior missing.npy --reweight seen.npy"), @"
    error: `missing` has pairs without data (NaN), and --reweight fits all pairs of the stimuli of a fold

    hint: leave out the stimuli that lack pairs, or the subject that does
    ");
    npy::write(
        &lab.path("infinite.npy"),
        &features(3, 0).mapv(|value| if value > 0.49 { f64::INFINITY } else { value }).into_dyn(),
    )
    .unwrap();
    assert_output!(lab.fail("rsa --behavior behavior.npy --reweight infinite.npy --folds 4"), @"
    error: `infinite.npy`: values that are not finite (NaN or infinite) in row 6

    hint: find out where they come from before comparing anything
    ");
    npy::write(&lab.path("flat.npy"), &features(3, 0).mapv(|_| 1.0).into_dyn()).unwrap();
    assert_output!(lab.fail("rsa --behavior behavior.npy --reweight flat.npy --folds 4"), @"
    error: no unit of `flat.npy` varies over the stimuli of a fit

    hint: leave this layer out, or compare more stimuli
    ");
    assert_output!(lab.fail("rsa --behavior behavior.npy --reweight seen.npy --folds 4 --out no/rsa.csv"), @"
    error: `no/rsa.csv` is no prefix: .npy, .csv and .json will be added to it

    hint: leave the ending out: --out no/rsa
    ");
}
