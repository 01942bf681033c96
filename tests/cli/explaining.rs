//! `thingsvision rsa --control` and `--regress`; `thingsvision plot variance`.

use crate::assert_output;
use crate::inference::{N, ids, json, lab, noise, rdm, words};
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
    assert_output!(lab.succeed("rsa --fmri area.npy --control two=groups.npy near.npy far.npy --permutations 999 --bootstrap 200"), @"
    exit Some(0)
    --- stdout
    target   kind   model   layer   pearson   partial    95 % interval        p   p family   p Holm        q          ceiling
    area     fmri   near              0.313     0.003   -0.123 … 0.131   0.9490     0.9960   0.9490   0.9490   -0.291 … 0.309
                    far               0.046     0.050   -0.105 … 0.178   0.1960     0.3560   0.3920   0.3920
    --- stderr

      Pearson correlation of RDMs: 12 stimuli, 66 pairs each, taken to be in the same order on both sides.
      partial: held constant two; intervals, p, ceiling: of the partial correlation.
      p: 999 permutations of the stimuli, two-sided; null hypothesis: their labels are exchangeable; smallest possible 0.0010.
      p family: maximum over 2 tests, each in units of its spread; p Holm, q (Benjamini-Hochberg): over the same.
      p of partial correlations: where model and target are both made of a control's features, 0.05 may be 0.10.
      intervals: 200 bootstraps over stimuli.
      few: with fewer than 20 stimuli tests find little, and intervals are unsure.
      wrote rsa.npy (1 × 2 scores), rsa.csv, rsa.json
      next: thingsvision plot bars rsa.json
    ");
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
    assert_output!(lab.run("rsa --fmri area.npy --control groups.npy near.npy --compare rho-a"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: there is no partial ρ-a: controls need a correlation

    hint: compare by --compare pearson or --compare spearman
    ");
    assert_output!(lab.run("rsa --fmri area.npy --control near.npy --control far.npy --control sum.npy third.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: the control `sum` is a linear combination of the controls before it

    hint: it controls for nothing more: leave it out
    ");
    assert_output!(lab.run("rsa --fmri area.npy --control area.npy near.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `area.npy` holds 5 RDMs, and --control takes one

    hint: average them: thingsvision rdm average
    ");
    assert_output!(lab.run("rsa --fmri area.npy --control sub-*.npy near.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `sub-*.npy` is 5 files, and --control takes one RDM

    hint: repeat --control for each, or average them: thingsvision rdm average
    ");
    assert_output!(lab.run("rsa --behavior near.npy --control near.npy far.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: the controls explain `near` entirely, so nothing is left to compare

    hint: leave it out, or the control that is the same
    ");
    assert_output!(lab.run("rsa --fmri area.npy --control near.npy near.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: the controls explain every model entirely

    hint: compare models that are not among the controls
    ");
    let left = lab.succeed("rsa --fmri area.npy --control near.npy near.npy far.npy");
    assert!(left.stderr.contains("left out `near`: the controls explain it entirely"), "{}", left.stderr);
    assert!(!left.stdout.contains("near"), "{}", left.stdout);
}

#[test]
fn a_regression_says_what_each_predictor_explains() {
    let lab = lab_of_three();
    let all = "rsa --fmri IT=area.npy --behavior sub-1.npy --regress groups.npy --regress noisy=near.npy --regress far.npy \
               --permutations 999 --bootstrap 200 --cross-validate stimuli --folds 3";
    assert_output!(lab.succeed(all), @"
    exit Some(0)
    --- stdout
    target   kind          R²   95 % interval        p   p family   R² left out   r left out    ceiling of r
    sub-1    behavior   0.173   0.069 … 0.519   0.0020     0.0030        -0.170        0.147             n/a
    IT       fmri       0.243   0.209 … 0.524   0.0010     0.0010         0.056        0.356   0.132 … 0.500

    target   predictor    weight   standardised    95 % interval   unique   95 % interval   left out   partial r        p   p family
    sub-1    groups       0.3266          0.594    0.092 … 0.994    0.154   0.007 … 0.452     -0.219       0.397   0.0010     0.0010
             noisy       -0.3545         -0.333   -0.799 … 0.307    0.049   0.001 … 0.256     -0.239      -0.236   0.0370     0.1800
             far         -0.0811         -0.085   -0.347 … 0.289    0.007   0.000 … 0.110     -0.009      -0.094   0.3930     0.9380
    IT       groups       0.2096          0.412    0.281 … 0.603    0.090   0.056 … 0.198      0.037       0.292   0.0010     0.0010
             noisy       -0.0131          0.004   -0.157 … 0.177    0.029   0.007 … 0.167     -0.094       0.003   0.9510     1.0000
             far          0.0354          0.044   -0.083 … 0.153    0.039   0.010 … 0.188     -0.042       0.050   0.2100     0.7330

    target   shared by              variance    95 % interval
    sub-1    groups + noisy           -0.036   -0.221 … 0.160
             groups + far             -0.001   -0.040 … 0.050
             noisy + far              -0.001   -0.028 … 0.034
             groups + noisy + far      0.001   -0.047 … 0.045
    IT       groups + noisy            0.084   -0.019 … 0.174
             groups + far              0.000   -0.013 … 0.034
             noisy + far              -0.000   -0.013 … 0.030
             groups + noisy + far     -0.000   -0.026 … 0.045
    --- stderr

      Ordinary regression: 12 stimuli, 66 pairs, taken to be in the same order on both sides.
      left out: 3 parts of the stimuli in turn (seed 0), no pair of which has a stimulus in common with the fit.
      p: 999 permutations of the stimuli, two-sided; null hypothesis: their labels are exchangeable; smallest possible 0.0010.
      p family: maximum over 6 tests, each in units of its spread; p Holm, q (Benjamini-Hochberg): over the same. p Holm and q are in the files.
      p of partial correlations: where model and target are both made of a control's features, 0.05 may be 0.10.
      p of R²: one-sided, of relabelled targets; p family over 2 targets.
      intervals: 200 bootstraps over stimuli.
      R² and unique variance are never below 0, nor are their intervals; p tells them from 0.
      few: with fewer than 20 stimuli tests find little, and intervals are unsure.
      wrote rsa.regression.csv, rsa.regression.json, rsa.regression.variance.csv
      next: thingsvision plot variance rsa.regression.json
    ");
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
    assert_output!(lab.succeed("plot variance"), @"
    exit Some(0)
    --- stdout
    variance.png
    variance.svg
    --- stderr
    ");
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
    assert_output!(lab.run("rsa --behavior behavior.npy --regress-layers feature"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: no layer of the runs is called `feature`

    hint: name some of theirs: `features.2`, `features.5`, `classifier.5`
    ");
    assert_output!(lab.run("rsa --behavior behavior.npy --regress-layers features.* --regress activations/alexnet.random-0/features.2.rdm.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: two predictors are called `alexnet.random-0 features.2`

    hint: give each a name: --regress NAME=FILE; or leave the one out that is named twice
    ");
    assert_output!(lab.run("rsa --behavior behavior.npy --regress-layers features.* behavior.npy"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `behavior.npy` is no folder of a run, of which --regress-layers takes layers

    hint: make it a predictor: --regress behavior.npy
    ");
}

#[test]
fn what_a_regression_cannot_do_is_said() {
    let lab = lab_of_three();
    let of_two = "rsa --fmri area.npy --regress near.npy --regress far.npy";
    assert_output!(lab.run(&format!("{of_two} --regress third.npy --regress sum.npy")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: each of `near`, `far`, `sum` is a linear combination of the others, so none has weights of its own

    hint: leave one of them out
    ");
    assert_output!(lab.run(&format!("{of_two} third.npy")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: with --regress models are not compared one by one, and `third.npy` is one

    hint: make it a predictor: --regress RDM, or --regress-layers GLOB with the folders of runs; or leave it out
    ");
    assert_output!(lab.run(&format!("{of_two} --control third.npy")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: in a regression all predictors control for each other

    hint: give the controls as predictors: --regress instead of --control
    ");
    assert_output!(lab.run(&format!("{of_two} --compare cosine")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: there is no regression by cosine: it is of values or of ranks

    hint: compare by --compare pearson or --compare spearman
    ");
    assert_output!(lab.run(&format!("{of_two} --compare spearman --cross-validate stimuli")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: ranks of pairs that are left out hang on those that are fitted, so they cannot be predicted from them

    hint: cross-validate with --compare pearson
    ");
    assert_output!(lab.run(&format!("{of_two} --cross-validate stimuli")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: 5 folds of 12 stimuli leave 2 in one, and 4 are needed to predict their pairs

    hint: take at most --folds 3
    ");
    assert_output!(lab.run(&format!("{of_two} --cross-validate stimuli --folds 1")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: stimuli cannot be divided into 1 folds

    hint: take 2 or more
    ");
    assert_output!(lab.run("rsa --behavior sub-1.npy --regress near.npy --regress far.npy --cross-validate subjects"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `sub-1` has one subject, so none can be left out

    hint: take --cross-validate stimuli, or give the RDM of each subject
    ");
    assert_output!(lab.run(&format!("{of_two} --fit ridge --cross-validate stimuli --folds 3")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: ridge chooses its penalty by 3 folds of the 8 stimuli that are fitted, which are too few

    hint: give the penalty: --penalty 0.1; or take fewer folds
    ");
    assert_output!(lab.run(&format!("{of_two} --penalty 0.1")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: the ordinary fit has no penalty

    hint: add --fit ridge
    ");
    assert_output!(lab.run(&format!("{of_two} --fit ridge --penalty 0")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: the penalty is 0

    hint: give a number above 0, such as 0.1
    ");
    assert_output!(lab.run(&format!("{of_two} --folds 3")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: --folds divide stimuli, and none are left out

    hint: add --cross-validate stimuli
    ");
    assert_output!(lab.run("rsa --fmri area.npy near.npy --cross-validate stimuli"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: --cross-validate is of a regression, and there is none

    hint: name its predictors: --regress RDM
    ");
    assert_output!(lab.run(&format!("{of_two} --bootstrap 100 --differences")), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: --differences compare models, and a regression has predictors

    hint: leave it out
    ");
    assert_output!(lab.run("plot variance rsa.json"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: cannot read `rsa.json`: No such file or directory (os error 2)

    hint: name the .regression.json that `thingsvision rsa --regress` writes
    ");
    lab.succeed("rsa --fmri area.npy near.npy");
    assert_output!(lab.run("plot variance rsa.json"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `rsa.json` is no regression: missing field `fit` at line 27 column 3

    hint: name the .regression.json that `thingsvision rsa --regress` writes
    ");
}

/// A draw of three of six stimuli has three pairs.
#[test]
fn draws_that_any_predictors_or_controls_explain_are_left_out() {
    let lab = Lab::new();
    for seed in 0..4 {
        let rdm = Array2::from_shape_fn((6, 6), |(i, j)| if i == j { 0.0 } else { noise(i.min(j), i.max(j), seed) });
        npy::write(&lab.path(&format!("{seed}.npy")), &rdm.into_dyn()).unwrap();
    }
    let found = json(&lab, "--behavior 0.npy --regress 1.npy --regress 2.npy --bootstrap 1000");
    assert!(found[0]["draws_left_out"].as_u64().unwrap() > 50, "{found}");
    assert!(found[0]["explained_high"].is_null() && found[0]["predictors"][0]["standardised_low"].is_null(), "{found}");
    let found = json(&lab, "--behavior 0.npy --control 1.npy --control 2.npy 3.npy --bootstrap 1000");
    assert!(found[0]["draws_left_out"].as_u64().unwrap() > 50 && found[0]["low"].is_null(), "{found}");
}

#[test]
fn numbers_of_any_size_give_the_same_intervals() {
    let lab = lab_of_three();
    let near = npy::read(&lab.path("near.npy")).unwrap();
    let of = |target: &str| {
        let scores = json(&lab, &format!("--behavior {target} --control groups.npy far.npy third.npy --bootstrap 100"));
        let regression = json(&lab, &format!("--behavior {target} --regress groups.npy --regress far.npy --bootstrap 100"));
        [
            &scores[0]["low"],
            &scores[1]["high"],
            &regression[0]["explained_low"],
            &regression[0]["predictors"][1]["standardised_high"],
        ]
        .map(|number| number.as_f64().unwrap())
    };
    let expected = of("near.npy");
    for scale in [1e200, 1e-200] {
        npy::write(&lab.path("scaled.npy"), &(&near * scale)).unwrap();
        let found = of("scaled.npy");
        assert!(
            found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9),
            "{scale}: {found:?} {expected:?}"
        );
    }
}

/// Of what another predictor explains entirely there is no partial correlation, in tables and pictures.
#[test]
fn a_target_that_is_a_predictor_is_explained() {
    let lab = lab_of_three();
    let table = lab.succeed("rsa --behavior near.npy --regress near.npy --regress far.npy --permutations 50").stdout;
    assert!(table.contains("n/a") && !table.contains("NaN"), "{table}");
    lab.succeed("plot variance");
}

#[test]
fn numbers_that_nothing_measures_are_not_drawn() {
    let lab = lab_of_three();
    lab.succeed("rsa --fmri area.npy --regress near.npy --regress far.npy");
    let text = String::from_utf8(lab.bytes("rsa.regression.json")).unwrap();
    let start = text.find("\"explained\": ").unwrap() + 13;
    let end = start + text[start..].find(',').unwrap();
    fs::write(lab.path("edited.json"), format!("{}1e308{}", &text[..start], &text[end..])).unwrap();
    assert_output!(lab.run("plot variance edited.json"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `edited.json` has the number 1e308, which no score and no time is

    hint: name the .json that `thingsvision rsa` wrote, as it was written
    ");
}
