//! `thingsvision triplets`

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{Array2, arr2};
use serde_json::Value;
use std::fs;
use std::path::Path;
use thingsvision::npy;

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/odd_one_out.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

/// The layers of the golden file as `NAME.npy`, its judgements as `t.txt`.
fn golden_lab() -> (Lab, Value) {
    let (lab, golden) = (Lab::new(), golden());
    for (name, layer) in golden["layers"].as_object().unwrap() {
        npy::write(&lab.path(&format!("{name}.npy")), &matrix(layer).into_dyn()).unwrap();
    }
    let triplets = matrix(&golden["triplets"]);
    fs::write(lab.path("t.txt"), triplets.outer_iter().map(|of| format!("{} {} {}\n", of[0], of[1], of[2])).collect::<String>())
        .unwrap();
    (lab, golden)
}

fn rows(lab: &Lab, arguments: &str) -> Vec<Value> {
    serde_json::from_str(&lab.succeed(&format!("triplets -q --json {arguments}")).stdout).unwrap()
}

fn near(value: &Value, expected: &Value, share: f64) -> bool {
    let (value, expected) = (value.as_f64().unwrap(), expected.as_f64().unwrap());
    (value - expected).abs() <= share * expected.abs()
}

#[test]
fn scores_equal_numpy() {
    let (lab, golden) = golden_lab();
    let cases = golden["cases"].as_array().unwrap();
    let triplets = golden["triplets"].as_array().unwrap().len() as f64;
    for similarity in ["cosine", "dot"] {
        let at = |temperature: &str| {
            rows(&lab, &format!("good.npy wide.npy tied.npy noise.npy --choices t.txt --similarity {similarity} {temperature}"))
        };
        let (plain, sharp, fitted) = (at(""), at("--temperature 0.07"), at("--fit-temperature"));
        for (k, plain) in plain.iter().enumerate() {
            let case = cases.iter().find(|case| case["layer"] == plain["model"] && case["similarity"] == similarity).unwrap();
            let accuracy = case["sixths"].as_f64().unwrap() / (6.0 * triplets);
            assert!(near(&plain["accuracy"], &accuracy.into(), 2e-16), "{case}");
            assert_eq!(plain["ties"], case["ties"]);
            for (row, temperature) in [(plain, "at 1.0"), (&sharp[k], "at 0.07")] {
                assert!(near(&row["log_likelihood"], &case[temperature][0], 1e-12), "{case}");
                assert!(near(&row["probability"], &case[temperature][1], 1e-12), "{case}");
            }
            if !case["fitted"].is_null() {
                assert!(near(&fitted[k]["temperature"], &case["fitted"], 1e-5), "{} {case}", fitted[k]);
            }
            assert!(
                fitted[k]["temperature"].is_null() || fitted[k]["log_likelihood"].as_f64() >= plain["log_likelihood"].as_f64()
            );
            let ceiling = &golden["ceiling"];
            assert_eq!([&plain["repeated"], &plain["repeated_judgements"]], [&ceiling["repeated"], &ceiling["judgements"]]);
            assert!(
                near(&plain["ceiling_lower"], &ceiling["lower"], 1e-14)
                    && near(&plain["ceiling_upper"], &ceiling["upper"], 1e-14)
            );
        }
    }
}

#[test]
fn the_table_has_a_row_for_each_layer_and_is_drawn() {
    let (lab, _) = golden_lab();
    let command = "triplets good.npy tied.npy --choices t.txt --similarity dot --bootstrap 200 --fit-temperature";
    assert_output!(lab.succeed(command), @"
    exit Some(0)
    --- stdout
    triplets   model   layer   accuracy   95 % interval      T       p    log p         ceiling
    t          good               0.652   0.521 … 0.794   1.33   0.533   -0.798   0.570 … 0.742
               tied               0.370   0.292 … 0.495   5.79   0.339   -1.090
    --- stderr

      odd one out by dot product: 672 triplets of 24 stimuli, numbers taken for rows; chance is 0.333.
      p: mean probability of the odd one that people chose; log p: of its logarithm, by chance -1.099.
      T: the temperature of the highest likelihood of these same triplets.
      intervals: 200 bootstraps over stimuli.
      ties: of 205 triplets `tied` has pairs tied with that of people; these count as 1/2 or 1/3.
      ceiling: of 89 triplets that were judged more than once, 314 judgements.
      wrote triplets.csv, triplets.json
      next: thingsvision plot bars triplets.json
    ");
    let json = lab.bytes("triplets.json");
    lab.succeed(&format!("{command} -q --out again"));
    assert_eq!(lab.bytes("again.json"), json);
    lab.succeed(&format!("{command} -q --out again --seed 1"));
    assert_ne!(lab.bytes("again.json"), json);
    assert_eq!(fs::read_to_string(lab.path("triplets.csv")).unwrap().lines().count(), 3);
    lab.succeed("plot bars triplets.json");
    let svg = fs::read_to_string(lab.path("bars.svg")).unwrap();
    for text in [
        "accuracy",
        "Line at 0.333: chance.",
        "noise ceiling",
        "other features",
        "Lines: 95 % intervals over stimuli (200 bootstraps).",
    ] {
        assert!(svg.contains(&format!("aria-label=\"{text}\"")), "{text}");
    }
    lab.succeed("plot layers triplets.json");
}

/// Six stimuli with names, in one order and in another, and judgements of them.
fn named_lab() -> Lab {
    let lab = Lab::new();
    let features = arr2(&[[1.0, 0.0], [0.9, 0.2], [0.0, 1.0], [0.1, 0.8], [0.5, 0.5], [0.7, 0.3]]);
    npy::write(&lab.path("x.npy"), &features.clone().into_dyn()).unwrap();
    fs::write(lab.path("x.ids.txt"), "a/1.jpg\nb/2.jpg\nc/3.jpg\nd/4.jpg\ne/5.jpg\nf/6.jpg\n").unwrap();
    let line = |row: usize, name: &str| format!("{name},{},{}\n", features[[row, 0]], features[[row, 1]]);
    let turned = [(2, "c/3.jpg"), (0, "a/1.jpg"), (5, "f/6.jpg"), (4, "e/5.jpg"), (1, "b/2.jpg"), (3, "d/4.jpg")];
    let lines = turned.map(|(row, name)| line(row, name)).concat();
    fs::write(lab.path("turned.csv"), format!("image,x,y\n{lines}")).unwrap();
    fs::write(lab.path("names.txt"), "a/1.jpg b/2.jpg c/3.jpg\nc/3.jpg d/4.jpg a/1.jpg\na/1.jpg c/3.jpg f/6.jpg\n").unwrap();
    fs::write(lab.path("numbers.txt"), "0 1 2\n2 3 0\n0 2 5\n").unwrap();
    fs::write(lab.path("short.txt"), "a b c\nc d a\na c f\n").unwrap();
    lab
}

fn accuracies(lab: &Lab, arguments: &str) -> Vec<f64> {
    rows(lab, arguments).iter().map(|row| row["accuracy"].as_f64().unwrap()).collect()
}

#[test]
fn stimuli_are_found_by_name_and_by_row() {
    let lab = named_lab();
    let two_of_three = [2.0 / 3.0, 2.0 / 3.0];
    assert_eq!(accuracies(&lab, "x.npy turned.csv --choices names.txt"), two_of_three);
    assert_eq!(accuracies(&lab, "x.npy --choices numbers.txt"), two_of_three[1..]);
    fs::write(lab.path("ids.txt"), "a/1.jpg\nb/2.jpg\nc/3.jpg\nd/4.jpg\nunseen\nf/6.jpg\n").unwrap();
    assert_eq!(accuracies(&lab, "x.npy turned.csv --choices numbers.txt --ids ids.txt"), two_of_three);
    // Without the ending, in another order.
    fs::write(lab.path("ids.txt"), "f/6\na/1\nc/3\nb/2\nd/4\n").unwrap();
    fs::write(lab.path("others.txt"), "1 3 2\n2 4 1\n1 2 0\n").unwrap();
    assert_eq!(accuracies(&lab, "x.npy turned.csv --choices others.txt --ids ids.txt"), two_of_three);
    let said = lab.succeed("triplets x.npy --choices others.txt --ids ids.txt").stderr;
    assert!(said.contains("`f/6` of `others.txt` is taken for `f/6.jpg`, and 4 more likewise"), "{said}");
    // Of others a layer knows nothing.
    fs::write(lab.path("more.txt"), "a/1.jpg b/2.jpg c/3.jpg\na/1.jpg g/7.jpg c/3.jpg\n").unwrap();
    assert_output!(lab.fail("triplets x.npy --choices more.txt"), @"
    error: line 2 of `more.txt` has `g/7.jpg`, which is no stimulus of `x.npy`

    hint: names must be written as in images.txt or .ids.txt; --intersect leaves out the judgements of other stimuli
    ");
    assert_output!(lab.succeed("triplets x.npy turned.csv --choices more.txt --intersect"), @"
    exit Some(0)
    --- stdout
    triplets   model    layer   accuracy       p    log p
    more       x                   1.000   0.542   -0.612
               turned              1.000   0.542   -0.612
    --- stderr
    left out 1 triplets with stimuli that not all have

      odd one out by cosine: 1 triplets of 3 stimuli, matched by name; chance is 0.333.
      p: mean probability of the odd one that people chose; log p: of its logarithm, by chance -1.099.
      wrote triplets.csv, triplets.json
      next: thingsvision plot bars triplets.json
    ");
    fs::write(lab.path("none.txt"), "h g i\n").unwrap();
    assert_output!(lab.fail("triplets x.npy --choices none.txt --intersect"), @"
    left out 1 triplets with stimuli that not all have
    error: no triplet is left to compare

    hint: compare layers of the stimuli that were judged
    ");
}

#[test]
fn numbers_that_may_stand_for_two_stimuli_are_refused() {
    let lab = named_lab();
    assert_output!(lab.fail("triplets x.npy turned.csv --choices numbers.txt"), @"
    error: `numbers.txt` has numbers of rows, and `x.npy` and `turned.csv` do not have the same stimuli in the same order

    hint: name the stimuli that the numbers count, one a line: --ids FILE; or write their names instead of numbers
    ");
    fs::write(lab.path("large.txt"), "1 2 3\n\n4 5 6\n").unwrap();
    assert_output!(lab.fail("triplets x.npy --choices large.txt"), @"
    error: line 3 of `large.txt` has the number 6, but `x.npy` has 6 stimuli, counted from 0

    hint: no triplet has stimulus 0: if they are numbered from 1, all rows are one too far down; name the stimuli that the numbers count, one a line: --ids FILE; or write their names instead of numbers
    ");
    // Images that are called by numbers from 1.
    fs::write(lab.path("x.ids.txt"), "001.jpg\n002.jpg\n003.jpg\n004.jpg\n005.jpg\n006.jpg\n").unwrap();
    fs::write(lab.path("small.txt"), "1 2 3\n2 3 4\n").unwrap();
    assert_output!(lab.fail("triplets x.npy --choices small.txt"), @"
    error: `small.txt` has the number 1, which may be row 1, `002.jpg`, or the stimulus `001.jpg`

    hint: name the stimuli that the numbers count, one a line: --ids FILE; or write their names instead of numbers
    ");
    fs::copy(lab.path("x.ids.txt"), lab.path("ids.txt")).unwrap();
    assert_eq!(accuracies(&lab, "x.npy --choices small.txt --ids ids.txt"), [0.5]);
    // 0 is no name, so all are rows.
    assert_eq!(accuracies(&lab, "x.npy --choices numbers.txt"), [2.0 / 3.0]);
    fs::remove_file(lab.path("x.ids.txt")).unwrap();
    assert_output!(lab.fail("triplets x.npy --choices names.txt"), @"
    error: `names.txt` has names, and the rows of `x.npy` have none

    hint: put them, one a line, into a file beside it that ends in .ids.txt
    ");
}

#[test]
fn layers_that_choose_nothing_are_refused_by_name() {
    let lab = named_lab();
    let mut broken = arr2(&[[1.0, 0.0], [0.9, 0.2], [0.0, 1.0], [0.1, 0.8], [0.0, 0.0], [f64::NAN, 0.3]]);
    npy::write(&lab.path("nan.npy"), &broken.clone().into_dyn()).unwrap();
    assert_output!(lab.fail("triplets x.npy nan.npy --choices numbers.txt"), @"
    error: no choices of `nan.npy`: values that are not finite (NaN or infinite) in row 5

    hint: find out where they come from before comparing anything
    ");
    broken[[5, 0]] = 0.0;
    broken[[5, 1]] = 0.0;
    npy::write(&lab.path("zero.npy"), &broken.into_dyn()).unwrap();
    assert_output!(lab.fail("triplets zero.npy --choices numbers.txt"), @"
    error: no choices of `zero.npy`: all units are 0, so a cosine is not defined, in row 5

    hint: take --similarity dot, or another layer
    ");
    lab.succeed("triplets zero.npy --choices numbers.txt --similarity dot");
    // Rows that were not judged may be anything.
    fs::write(lab.path("few.txt"), "0 1 2\n2 3 0\n").unwrap();
    assert_eq!(accuracies(&lab, "nan.npy --choices few.txt"), [1.0]);
    assert!(!lab.path("triplets.rdm.npy").exists());
    assert_eq!(lab.run("triplets x.npy --choices few.txt --temperature 0").code, Some(2));
    assert_eq!(lab.run("triplets x.npy --choices few.txt --temperature 1 --fit-temperature").code, Some(2));
    assert_eq!(lab.run("triplets x.npy").code, Some(2));
    assert!(lab.fail("triplets x.npy --choices few.txt --bootstrap 5").contains("5 bootstraps are too few for an interval"));
    assert!(
        lab.fail("triplets x.npy --choices few.txt --out a.json").contains("`a.json` is no prefix: .csv and .json will be added")
    );
    fs::write(lab.path("y.csv"), "0,1,2\n2,3,0\n").unwrap();
    assert!(lab.fail("triplets x.npy --choices y.csv --out y").contains("`y.csv` would be overwritten"));
    fs::write(lab.path("x.rdm.npy"), "").unwrap();
    assert!(lab.fail("triplets x.rdm.npy --choices few.txt").contains("is an RDM, and the odd one out needs the features"));
}

#[test]
fn few_triplets_are_left_out_of_many_draws() {
    let lab = named_lab();
    fs::write(lab.path("few.txt"), "0 1 2\n2 3 0\n").unwrap();
    assert_output!(lab.succeed("triplets x.npy --choices few.txt --bootstrap 100"), @"
    exit Some(0)
    --- stdout
    triplets   model   layer   accuracy   95 % interval       p    log p
    few        x                  1.000             n/a   0.550   -0.597
    --- stderr

      odd one out by cosine: 2 triplets of 4 stimuli, numbers taken for rows; chance is 0.333.
      p: mean probability of the odd one that people chose; log p: of its logarithm, by chance -1.099.
      intervals: 100 bootstraps over stimuli.
      45 of 100 bootstraps have no triplet whose stimuli were all drawn; too many for an interval.
      few: with fewer than 20 stimuli intervals are unsure.
      wrote triplets.csv, triplets.json
      next: thingsvision plot bars triplets.json
    ");
}

#[test]
fn all_layers_of_runs_are_scored() {
    let lab = Lab::new();
    lab.succeed("extract --model cornet-z --weights random --layer V1 --layer decoder --images images --rdm none -q");
    lab.succeed(
        "extract --model cornet-z --weights random --seed 1 --layer V1 --images images --rdm none -q --readout mean --format csv",
    );
    fs::write(lab.path("t.csv"), "one,two,five\none,two,three\nfour,five,one\nthree,four,two\n").unwrap();
    let found = rows(&lab, "--choices t.csv");
    let names: Vec<String> = found.iter().map(|row| format!("{} {}", row["model"], row["layer"])).collect();
    assert_eq!(names, [r#""cornet-z.random-0" "V1""#, r#""cornet-z.random-0" "decoder""#, r#""cornet-z.random-1" "V1""#]);
    let one = rows(&lab, "activations/cornet-z.random-0 --choices t.csv");
    assert_eq!(one, found[..2]);
}
