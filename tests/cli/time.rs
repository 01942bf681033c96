//! `thingsvision rsa --meg` and `--eeg`; `thingsvision plot time`.

use crate::assert_output;
use crate::inference::{N, json, lab, noise, words};
use crate::lab::Lab;
use ndarray::{Array1, Array3, Array4};
use serde_json::Value;
use std::fs;
use std::path::Path;
use thingsvision::npy;

const TIMES: usize = 12;

/// How strongly a frame shows the two groups of stimuli that `near.npy` has.
fn strength(time: usize) -> f64 {
    if (4..9).contains(&time) { 1.5 } else { 0.0 }
}

fn value(subject: usize, time: usize, i: usize, j: usize) -> f64 {
    let (i, j) = (i.min(j), i.max(j));
    let groups = f64::from(u8::from(i % 2 != j % 2));
    if i == j { 0.0 } else { 0.2 + strength(time) * groups + noise(i, j, 20 + subject + 7 * time) }
}

/// The lab of `inference` with `movie.npy`, of four subjects, at −20, 0, … ms.
fn lab_of_movie() -> Lab {
    let lab = lab();
    let movie = Array4::from_shape_fn((4, TIMES, N, N), |(s, t, i, j)| value(s, t, i, j));
    npy::write(&lab.path("movie.npy"), &movie.into_dyn()).unwrap();
    fs::write(lab.path("movie.times.txt"), (0..TIMES).map(|time| format!("{}\n", time as i64 * 20 - 20)).collect::<String>())
        .unwrap();
    lab
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(|of| if of.is_array() { numbers(of) } else { vec![of.as_f64().unwrap()] }).collect()
}

#[test]
fn scores_over_time() {
    let lab = lab_of_movie();
    assert_output!(lab.succeed("rsa --meg OT=movie.npy near.npy far.npy --permutations 499 --bootstrap 200"), @"
    exit Some(0)
    --- stdout
    target   kind   model   layer   peak   95 % interval   pearson   onset   95 % interval   clusters
    OT       meg    near             100        60 … 100     0.716      60       59.5 … 60   60 … 140: p 0.0040; 0 … 0: p 0.2100
                    far              180       -20 … 200     0.046    none                   40 … 40: p 0.4080, below chance
    --- stderr

      Pearson correlation of RDMs: 12 stimuli, 66 pairs each, taken to be in the same order on both sides.
      p: 499 permutations of the stimuli, two-sided; null hypothesis: their labels are exchangeable; smallest possible 0.0020.
      p family: maximum over 24 tests, each in units of its spread; p Holm, q (Benjamini-Hochberg): over the same.
      times: in ms.
      clusters: times side by side that deviate by more than 1.96 spreads; p: of the largest mass of any cluster in each permutation, over all times, models and targets; onset: where the first with p ≤ 0.05 begins.
      intervals of peak and onset: of those of the draws; the scores of all times are in the .csv.
      intervals: 200 bootstraps over stimuli.
      few: with fewer than 20 stimuli tests find little, and intervals are unsure.
      wrote rsa.npy (12 × 2 scores), rsa.csv, rsa.json, rsa.times.csv, rsa.clusters.csv
      next: thingsvision plot time rsa.json
    ");
    let scores = npy::read(&lab.path("rsa.npy")).unwrap();
    assert_eq!(scores.shape(), [TIMES, 2]);
    let rows: Value = serde_json::from_slice(&lab.bytes("rsa.json")).unwrap();
    assert_eq!((rows[10]["time"].as_f64(), &rows[10]["model"]), (Some(80.0), &"near".into()));
    // Each frame is a target as any other.
    let frame = Array3::from_shape_fn((4, N, N), |(s, i, j)| value(s, 5, i, j));
    npy::write(&lab.path("frame.npy"), &frame.into_dyn()).unwrap();
    let alone = json(&lab, "--fmri frame.npy near.npy far.npy --permutations 499 --out alone");
    assert_eq!((&alone[0]["score"], &alone[0]["p"]), (&rows[10]["score"], &rows[10]["p"]));
    assert_output!(lab.succeed("plot time"), @"
    exit Some(0)
    --- stdout
    time.png
    time.svg
    --- stderr
    ");
    let words = words(&lab, "time.svg");
    for said in [
        "OT",
        "near",
        "far",
        "noise ceiling",
        "clusters with p ≤ 0.05",
        "95 % intervals of each time over stimuli (200 bootstraps)",
    ] {
        assert!(words.contains(said), "{words}");
    }
    let table = fs::read_to_string(lab.path("rsa.times.csv")).unwrap();
    assert_eq!(
        (table.lines().count(), table.lines().next().unwrap().starts_with("target,kind,model,layer,score,peak,")),
        (3, true)
    );
    // Beside a target without time there are two tables.
    let both = lab.succeed("rsa --eeg OT=movie.npy --fmri area.npy near.npy far.npy").stdout;
    assert!(both.contains("ceiling") && both.contains("peak"), "{both}");
}

/// By all 120 orders of five stimuli, as NumPy has it.
#[test]
fn clusters_equal_numpy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rsa/clusters.json");
    let golden: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let lab = Lab::new();
    let movie = Array3::from_shape_vec((2, 9, 10), numbers(&golden["movie"])).unwrap();
    npy::write(&lab.path("movie.npy"), &movie.into_dyn()).unwrap();
    for model in 0..2 {
        npy::write(&lab.path(&format!("m{model}.npy")), &Array1::from(numbers(&golden["models"][model])).into_dyn()).unwrap();
    }
    let found = json(&lab, "--meg movie.npy m0.npy m1.npy --permutations 1000");
    for model in 0..2 {
        let course = &found["courses"][model];
        let expected: Vec<&Value> = golden["clusters"].as_array().unwrap().iter().filter(|one| one["model"] == model).collect();
        let own = course["clusters"].as_array().unwrap();
        assert_eq!(own.len(), expected.len(), "{own:?} {expected:?}");
        for (own, expected) in own.iter().zip(expected) {
            for name in ["from", "to", "mass", "p"] {
                let (own, expected) = (own[name].as_f64().unwrap(), expected[name].as_f64().unwrap());
                assert!((own - expected).abs() < 1e-9, "{name} of model {model}: {own} {expected}");
            }
        }
    }
}

#[test]
fn a_movie_is_read_in_every_form() {
    let lab = lab_of_movie();
    let expected = json(&lab, "--meg movie.npy near.npy");
    let same = |form: &str| {
        let found = json(&lab, &format!("--meg {form} near.npy"));
        for (found, expected) in found["scores"].as_array().unwrap().iter().zip(expected["scores"].as_array().unwrap()) {
            let apart = found["score"].as_f64().unwrap() - expected["score"].as_f64().unwrap();
            assert!(apart.abs() < 1e-12, "{form}: {found} {expected}");
        }
    };
    let pairs: Vec<(usize, usize)> = (0..N).flat_map(|i| (i + 1..N).map(move |j| (i, j))).collect();
    let condensed = Array3::from_shape_fn((4, TIMES, pairs.len()), |(s, t, pair)| value(s, t, pairs[pair].0, pairs[pair].1));
    npy::write(&lab.path("condensed.npy"), &condensed.into_dyn()).unwrap();
    same("condensed.npy");
    let matlab = Array4::from_shape_fn((N, N, TIMES, 4), |(i, j, t, s)| value(s, t, i, j));
    npy::write(&lab.path("matlab.npy"), &matlab.into_dyn()).unwrap();
    same("matlab.npy");
    for subject in 0..4 {
        let one = Array3::from_shape_fn((TIMES, N, N), |(t, i, j)| value(subject, t, i, j));
        npy::write(&lab.path(&format!("meg-{subject}.npy")), &one.into_dyn()).unwrap();
    }
    same("'meg-*.npy'".trim_matches('\''));
    same("meg-0.npy,meg-1.npy,meg-2.npy,meg-3.npy");
}

#[test]
fn what_is_no_movie_is_said() {
    let lab = lab_of_movie();
    assert_output!(lab.run("rsa --meg near.npy far.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `near.npy` is one RDM of 12 stimuli, and a movie has one for each time

    hint: a movie is [times, N, N], of several subjects [subjects, times, N, N]; or with the pairs of each RDM in SciPy's order [times, pairs], [subjects, times, pairs]
    ");
    fs::write(lab.path("movie.times.txt"), "0\n20\n").unwrap();
    assert_output!(lab.run("rsa --meg movie.npy far.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `movie.times.txt` has 2 times, but there are 12

    hint: give one time in ms a line, one for each along the last axis
    ");
    fs::write(lab.path("movie.times.txt"), (0..TIMES).map(|time| format!("{}\n", time % 6)).collect::<String>()).unwrap();
    assert_output!(lab.run("rsa --meg movie.npy far.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: line 7 of `movie.times.txt` has the time 0, after 5

    hint: each time must be later than the one before, as the samples are
    ");
    fs::remove_file(lab.path("movie.times.txt")).unwrap();
    let still =
        Array3::from_shape_fn((TIMES, N, N), |(t, i, j)| if t == 3 { f64::from(u8::from(i != j)) } else { value(0, t, i, j) });
    npy::write(&lab.path("still.npy"), &still.into_dyn()).unwrap();
    assert_output!(lab.run("rsa --meg still.npy far.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: all pairs in `still.npy` at `time 3, counting from 0` are equally dissimilar (1), so nothing correlates with it

    hint: check how the file was made
    ");
    let short = Array3::from_shape_fn((5, N, N), |(t, i, j)| value(0, t, i, j));
    npy::write(&lab.path("short.npy"), &short.into_dyn()).unwrap();
    assert_output!(lab.run("rsa --meg movie.npy,short.npy far.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `short.npy` has other times than `movie.npy`

    hint: subjects need RDMs at the same times; those beside a file are in its .times.txt
    ");
    assert_output!(lab.run("rsa --meg movie.npy --meg movie.npy far.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: the movie `movie.npy` is given twice

    hint: leave one out, or name it: NAME=MOVIE
    ");
    lab.succeed("rsa --meg movie.npy far.npy");
    assert_output!(lab.run("plot bars"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `rsa.json` has a score for every time of `movie`

    hint: draw them over time: thingsvision plot time rsa.json
    ");
    lab.succeed("rsa --fmri area.npy far.npy");
    assert_output!(lab.run("plot time"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `rsa.json` has no scores over time

    hint: compare models with a movie of RDMs: thingsvision rsa --meg MOVIE; or draw `plot bars`, `plot layers`
    ");
}
