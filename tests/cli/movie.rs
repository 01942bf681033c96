//! `thingsvision rdm --times`

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use serde_json::Value;
use std::fs;
use std::path::Path;
use thingsvision::npy;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn golden() -> Value {
    serde_json::from_str(&fs::read_to_string(fixture("movie.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().unwrap()],
    }
}

fn lines(values: &Value) -> String {
    values.as_array().unwrap().iter().map(|name| format!("{}\n", name.as_str().unwrap())).collect()
}

/// The measurements `[subjects, trials, channels, times]`.
fn measured(golden: &Value) -> ArrayD<f32> {
    let shape: Vec<usize> = numbers(&golden["shape"]).into_iter().map(|size| size as usize).collect();
    let values = numbers(&golden["data"]).into_iter().map(|value| value as f32).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), values).unwrap()
}

/// With the measurements of two subjects in one file, `eeg.npy`, and in one each, `sub-0.npy` and `sub-1.npy`.
fn lab(golden: &Value) -> Lab {
    let (lab, eeg) = (Lab::new(), measured(golden));
    npy::write(&lab.path("eeg.npy"), &eeg).unwrap();
    for subject in [0, 1] {
        let own = eeg.index_axis(Axis(0), subject).to_owned();
        npy::write(&lab.path(&format!("sub-{subject}.npy")), &own).unwrap();
    }
    fs::write(lab.path("c.txt"), lines(&golden["conditions"])).unwrap();
    fs::write(lab.path("p.txt"), lines(&golden["partitions"])).unwrap();
    lab
}

/// The upper triangles of squares along the last two axes.
fn triangles(squares: &ArrayD<f64>) -> Vec<f64> {
    let n = *squares.shape().last().unwrap();
    let at = |k: usize| (k / n % n, k % n);
    squares.iter().enumerate().filter(|(k, _)| at(*k).0 < at(*k).1).map(|(_, value)| *value).collect()
}

/// Fails unless all values are within the rounding of float32.
fn assert_close(values: &[f64], expected: &[f64], what: &str) {
    assert_eq!(values.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0, |scale: f64, value| scale.max(value.abs()));
    let worst = values.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 2e-7 * scale, "{what}: {worst} of {scale}");
}

#[test]
fn movies_equal_scipy_and_rsatoolbox_in_every_form() {
    let golden = golden();
    let lab = lab(&golden);
    for (form, expected) in golden["forms"].as_object().unwrap() {
        let flags = match form.as_str() {
            "samples" => String::new(),
            "windows" => format!("--window {}", expected["window"]),
            "every third" => format!("--step {}", expected["step"]),
            _ => format!("--window {} --step {}", expected["window"], expected["step"]),
        };
        let times: String = numbers(&expected["times"]).iter().map(|time| format!("{time}\n")).collect();
        let names = expected["subjects"][0].as_object().unwrap().keys();
        for metric in names {
            let rows = match metric.as_str() {
                "trials" => "--metric correlation".into(),
                _ if metric.starts_with("crossnobis") => format!("--metric {metric} --conditions c.txt --partitions p.txt"),
                _ => format!("--metric {metric} --conditions c.txt"),
            };
            let flags = format!("--times -20:4 {flags} {rows}");
            lab.succeed(&format!("rdm eeg.npy {flags} --out all.npy"));
            let all = npy::read(&lab.path("all.npy")).unwrap();
            let expected = [0, 1].map(|subject| numbers(&expected["subjects"][subject][metric]));
            assert_close(&triangles(&all), &expected.concat(), &format!("{form}, {metric}"));
            assert_eq!(fs::read_to_string(lab.path("all.times.txt")).unwrap(), times, "{form}");
            assert_eq!(lab.path("all.ids.txt").exists(), metric != "trials");
            lab.succeed(&format!("rdm sub-1.npy {flags} --condensed"));
            let one = npy::read(&lab.path("sub-1.rdm.npy")).unwrap();
            assert_eq!(one.iter().copied().collect::<Vec<_>>(), triangles(&all)[expected[0].len()..], "{form}, {metric}");
            assert_eq!((one.ndim(), one.shape()[0], all.ndim()), (2, all.shape()[1], 4));
        }
    }
}

#[test]
fn subjects_are_in_one_file_or_in_one_each() {
    let golden = golden();
    let lab = lab(&golden);
    assert_output!(lab.succeed("rdm eeg.npy --times -20:4 --window 12 --conditions c.txt"), @"
    exit Some(0)
    --- stdout
    eeg.rdm.npy
    --- stderr
    2 subjects, 24 trials, 5 channels, 11 times from -20 to 20 ms
    left out the last 2 samples, too few for a window of 3
    RDMs of 2 subjects, 4 stimuli each, at 3 windows of 3 samples from -16 to 8 ms
    ");
    assert_output!(lab.succeed("rdm sub-*.npy --times -20:4 --window 12 --conditions c.txt --out files.npy"), @"
    exit Some(0)
    --- stdout
    files.npy
    --- stderr
    `sub-0.npy`: 24 trials, 5 channels, 11 times from -20 to 20 ms
    left out the last 2 samples, too few for a window of 3
    `sub-1.npy`: 24 trials, 5 channels, 11 times from -20 to 20 ms
    RDMs of 2 subjects, 4 stimuli each, at 3 windows of 3 samples from -16 to 8 ms
    ");
    for ending in ["npy", "times.txt", "ids.txt"] {
        assert_eq!(lab.bytes(&format!("files.{ending}")), lab.bytes(&format!("eeg.rdm.{ending}")));
    }
    assert_output!(lab.succeed("rdm sub-0.npy --times -20:4 --conditions c.txt --out one.npy --condensed"), @"
    exit Some(0)
    --- stdout
    one.npy
    --- stderr
    1 subject, 24 trials, 5 channels, 11 times from -20 to 20 ms
    RDMs of 1 subject, 4 stimuli each, at 11 times from -20 to 20 ms
    ");
    lab.succeed("rdm sub-*.npy --times -20:4 --conditions c.txt --out pairs.npy --condensed");
    let [one, pairs] = ["one.npy", "pairs.npy"].map(|file| npy::read(&lab.path(file)).unwrap());
    assert_eq!((one.shape(), pairs.shape()), (&[11, 6][..], &[2, 11, 6][..]));
    assert_eq!(one, pairs.index_axis(Axis(0), 0));
}

/// Each subject with trials in another order, and of one a trial more.
#[test]
fn subjects_are_aligned_by_their_conditions() {
    let golden = golden();
    let lab = lab(&golden);
    let eeg = measured(&golden);
    let turned = eeg.index_axis(Axis(0), 1).slice_axis(Axis(0), Slice::new(0, None, -1)).to_owned();
    npy::write(&lab.path("turned.npy"), &turned).unwrap();
    let names: Vec<String> = lines(&golden["conditions"]).lines().rev().map(|line| format!("{line}\n")).collect();
    fs::write(lab.path("turned.txt"), names.concat()).unwrap();
    let flags = "--times -20:4 --metric euclidean";
    lab.succeed(&format!("rdm eeg.npy {flags} --conditions c.txt --out plain.npy"));
    lab.succeed(&format!("rdm sub-0.npy turned.npy {flags} --conditions c.txt --conditions turned.txt --out turned.rdm.npy"));
    let [plain, turned] = ["plain.npy", "turned.rdm.npy"].map(|file| npy::read(&lab.path(file)).unwrap());
    assert!(plain.iter().zip(&turned).all(|(a, b)| (a - b).abs() < 1e-6));
    assert_eq!(lab.bytes("plain.ids.txt"), lab.bytes("turned.rdm.ids.txt"));
    fs::write(lab.path("turned.txt"), names.concat().replace("c2", "c5")).unwrap();
    assert_output!(lab.fail(&format!("rdm eeg.npy {flags} --conditions c.txt --conditions turned.txt --out x.npy")), @"
    2 subjects, 24 trials, 5 channels, 11 times from -20 to 20 ms
    error: `eeg.npy, subject 0` and `eeg.npy, subject 1` are not of the same stimuli: the latter has no `c2`

    hint: IDs must be written alike, and every subject must have the same: leave out what one lacks
    ");
    assert!(!lab.path("x.npy").exists() && !lab.path("x.npy.partial").exists());
}

#[test]
fn measurements_are_read_from_matlab_and_hdf5() {
    let golden = golden();
    let lab = lab(&golden);
    let flags = "--times -20:4 --conditions c.txt";
    lab.succeed(&format!("rdm sub-0.npy {flags} --out npy.npy"));
    for ending in ["mat", "h5"] {
        fs::copy(fixture(&format!("movie.{ending}")), lab.path(&format!("movie.{ending}"))).unwrap();
    }
    for file in ["movie.mat:EEG.data", "movie.h5"] {
        let said = lab.succeed(&format!("rdm {file} {flags} --out other.npy")).stderr;
        assert!(said.starts_with("1 subject, 24 trials, 5 channels, 11 times from -20 to 20 ms\n"), "{said}");
        assert_eq!(lab.bytes("other.npy"), lab.bytes("npy.npy"), "{file}");
    }
    // As MNE has them: float64, used where they lie.
    npy::write(&lab.path("double.npy"), &measured(&golden).mapv(f64::from)).unwrap();
    lab.succeed(&format!("rdm double.npy {flags}"));
    lab.succeed(&format!("rdm eeg.npy {flags}"));
    assert_eq!(lab.bytes("double.rdm.npy"), lab.bytes("eeg.rdm.npy"));
    // Of one channel the axis stays.
    let one = measured(&golden).slice_axis(Axis(2), Slice::from(0..1)).to_owned();
    npy::write(&lab.path("channel.npy"), &one).unwrap();
    let said = lab.succeed(&format!("rdm channel.npy {flags} --metric euclidean")).stderr;
    assert!(said.starts_with("2 subjects, 24 trials, 1 channel, 11 times"), "{said}");
}

#[test]
fn times_come_from_a_file() {
    let golden = golden();
    let lab = lab(&golden);
    let write = |times: &[f64]| {
        fs::write(lab.path("t.txt"), times.iter().map(|time| format!("{time}\n")).collect::<String>()).unwrap();
    };
    let run = |flags: &str| lab.fail(&format!("rdm sub-0.npy --times t.txt {flags}"));
    write(&[-20.0, -16.1, -12.2, -8.3, -4.4, -0.5, 3.4, 7.3, 11.3, 15.2, 19.1]);
    lab.succeed("rdm sub-0.npy --times t.txt --window 7.82");
    assert_eq!(fs::read_to_string(lab.path("sub-0.rdm.times.txt")).unwrap(), "-18.05\n-10.25\n-2.45\n5.35\n13.25\n");
    write(&[1.0, 2.0, 3.0]);
    assert_output!(run(""), @"
    error: `t.txt` has 3 times, but there are 11

    hint: give one time in ms a line, one for each along the last axis
    ");
    write(&[0.0, 1.0, 2.0, 3.0, 4.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    assert_output!(run(""), @"
    error: line 6 of `t.txt` has the time 4, after 4

    hint: each time must be later than the one before, as the samples are
    ");
    write(&[0.0, 1.0, 2.0, 3.0, 4.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0]);
    lab.succeed("rdm sub-0.npy --times t.txt");
    assert_output!(run("--window 2"), @"
    error: the times are not evenly spaced: sample 5, counting from 0, is at 9 ms

    hint: leave out --window and --step, for an RDM of each time
    ");
    fs::write(lab.path("t.txt"), "time\n0\n1\n").unwrap();
    assert_output!(run(""), @"
    error: line 1 of `t.txt` has `time` where a time is expected

    hint: give one time in ms a line, with a point in decimals, and nothing else
    ");
    assert_output!(lab.fail("rdm sub-0.npy --times none.txt"), @"
    error: cannot read `none.txt`: No such file or directory (os error 2)

    hint: relative paths begin at the current folder
    ");
    fs::write(lab.path("x.times.txt"), "0\n1\n").unwrap();
    assert_output!(lab.fail("rdm sub-0.npy --times x.times.txt --out x.npy"), @"
    error: `x.times.txt` would be overwritten, and it is one of the files that are read

    hint: give what is written another name
    ");
    for times in ["0:0", "0:-4", "0:4:8", "4:"] {
        assert_eq!(lab.run(&format!("rdm sub-0.npy --times {times}")).code, Some(2), "{times}");
    }
}

#[test]
fn what_is_no_movie_is_refused() {
    let golden = golden();
    let lab = lab(&golden);
    let fail = |flags: &str| lab.fail(&format!("rdm eeg.npy --times -20:4 {flags}"));
    assert_output!(fail("--window 10"), @"
    error: a window of 10 ms is no whole number of samples, which are 4 ms apart

    hint: give a multiple, such as --window 8 or 12
    ");
    assert_output!(fail("--window 8 --step 1"), @"
    error: a step of 1 ms is no whole number of samples, which are 4 ms apart

    hint: give a multiple, such as --step 4
    ");
    assert_output!(fail("--window 400"), @"
    error: a window of 400 ms is longer than the data, 11 times 4 ms apart

    hint: give a shorter one, in ms; look whether the times are in ms, and whether the last axis is that of times
    ");
    assert_output!(fail("--window 0"), @"
    error: a window of 0 ms has no samples

    hint: give a number of ms above 0
    ");
    assert_output!(fail("--residuals eeg.npy --metric mahalanobis"), @"
    error: the noise is estimated at each time, and --residuals have none

    hint: leave them out: with --conditions the deviations of trials from their condition's mean are taken, at each time
    ");
    assert_output!(fail("--on-constant drop"), @"
    error: --on-constant drop would leave out other stimuli at each time

    hint: store NaN for their pairs instead: --on-constant nan
    ");
    assert_output!(fail("--metric crossnobis --conditions c.txt"), @"
    2 subjects, 24 trials, 5 channels, 11 times from -20 to 20 ms
    error: no RDM of `eeg.npy, subject 0` at -20 ms: crossnobis needs to know which row is of which partition

    hint: give --conditions and --partitions
    ");
    assert_output!(fail("--conditions c.txt --conditions c.txt --conditions c.txt"), @"
    error: --conditions is given 3 times, but the subjects are 2

    hint: give it once for all, or once for each in the order of the subjects
    ");
    assert_output!(lab.fail("rdm eeg.npy sub-0.npy --times -20:4 --out x.npy"), @"
    error: `eeg.npy` is of 2 subjects, and there are several files

    hint: give one file of all subjects, or a file [trials, channels, times] of each
    ");
    assert_output!(lab.fail("rdm sub-0.npy sub-1.npy --times -20:4"), @"
    error: the RDMs of 2 subjects need a name

    hint: give the one file that is made of all: --out NAME.npy; each by itself is a command of its own
    ");
    let short = measured(&golden).index_axis(Axis(0), 0).slice_axis(Axis(2), Slice::from(0..9)).to_owned();
    npy::write(&lab.path("short.npy"), &short).unwrap();
    assert_output!(lab.fail("rdm sub-0.npy short.npy --times -20:4 --out x.npy"), @"
    `sub-0.npy`: 24 trials, 5 channels, 11 times from -20 to 20 ms
    error: `short.npy` has 9 times, but `sub-0.npy` has 11

    hint: every subject must have the same times, along the last axis
    ");
    fs::write(lab.path("flat.csv"), "1,2\n2,3\n").unwrap();
    assert_output!(lab.fail("rdm flat.csv --times -20:4"), @"
    error: `flat.csv` has 2 axes, [2, 2]; with --times it has three or four

    hint: give [trials, channels, times] of one subject, or [subjects, trials, channels, times]
    ");
    assert_output!(lab.fail("rdm --from-embedding flat.csv --times -20:4"), @"
    error: of what is given there are no times

    hint: leave out --times, or give measurements with times as their last axis
    ");
    for flags in ["--window 8", "--step 8"] {
        assert_eq!(lab.run(&format!("rdm eeg.npy {flags}")).code, Some(2), "{flags}");
    }
    assert!(!lab.path("x.npy").exists() && !lab.path("x.npy.partial").exists());
}

#[test]
fn errors_say_the_time_and_the_subject() {
    let golden = golden();
    let lab = lab(&golden);
    let mut eeg = measured(&golden);
    eeg.index_axis_mut(Axis(0), 1).index_axis_mut(Axis(0), 3).index_axis_mut(Axis(1), 6).fill(0.5);
    npy::write(&lab.path("flat.npy"), &eeg).unwrap();
    assert_output!(lab.fail("rdm flat.npy --times -20:4"), @"
    2 subjects, 24 trials, 5 channels, 11 times from -20 to 20 ms
    error: no RDM of `flat.npy, subject 1` at 4 ms: all units have the same value, so a correlation is not defined, in row 3

    hint: take another layer for an RDM, store NaN for these stimuli (--on-constant nan), or leave them out (--on-constant drop)
    ");
    assert!(!lab.path("flat.rdm.npy").exists() && !lab.path("flat.rdm.npy.partial").exists());
    lab.succeed("rdm flat.npy --times -20:4 --on-constant nan");
    let movie = npy::read(&lab.path("flat.rdm.npy")).unwrap();
    assert!(movie.indexed_iter().all(|(at, value)| value.is_nan() == (at[0] == 1 && at[1] == 6 && (at[2] == 3) != (at[3] == 3))));
    eeg[[0, 5, 2, 1]] = f32::NAN;
    npy::write(&lab.path("sub-0.npy"), &eeg.index_axis(Axis(0), 0).to_owned()).unwrap();
    assert_output!(lab.fail("rdm sub-0.npy --times -20:4 --window 8 --metric euclidean --conditions c.txt"), @"
    1 subject, 24 trials, 5 channels, 11 times from -20 to 20 ms
    left out the last 1 sample, too few for a window of 2
    error: no RDM of `sub-0.npy` at -18 ms: values that are not finite (NaN or infinite) in `c1`, `c3`, `c0`, `c2`

    hint: find out where they come from before comparing anything
    ");
    let crossnobis = "--metric crossnobis --conditions c.txt --partitions p.txt";
    assert_output!(lab.fail(&format!("rdm sub-1.npy sub-0.npy --times -20:4 {crossnobis} --out x.npy")), @"
    `sub-1.npy`: 24 trials, 5 channels, 11 times from -20 to 20 ms
    `sub-0.npy`: 24 trials, 5 channels, 11 times from -20 to 20 ms
    error: no RDM of `sub-0.npy` at -16 ms: values that are not finite (NaN or infinite) in row 5

    hint: find out where they come from before comparing anything
    ");
}

/// Else a movie would be taken for RDMs of subjects, and an RDM for one with times.
#[test]
fn a_movie_is_known_by_its_times() {
    let golden = golden();
    let lab = lab(&golden);
    lab.succeed("rdm sub-0.npy --times -20:4 --out x.npy --conditions c.txt");
    assert_output!(lab.fail("rdm average x.npy --out mean.npy"), @"
    error: `x.npy` is a movie, of RDMs at 11 times, which are no subjects

    hint: compare models with it by `rsa --meg` or `--eeg`; of one window of times make an RDM with `thingsvision rdm --times --window`; in NumPy `movie[k]` is the RDM at line k of its .times.txt, from 0
    ");
    assert_output!(lab.fail("rdm x.npy x.npy --times 0:1 --out movies.npy"), @"
    error: `x.npy` has RDMs, and no measurements: they are symmetric, with zeros on the diagonal

    hint: a glob may have matched what was written before
    ");
    fs::write(lab.path("f.csv"), "a,1,2,3\nb,4,5,7\nc,7,8,1\n").unwrap();
    assert_output!(lab.succeed("rdm f.csv --out x.npy"), @"
    exit Some(0)
    --- stdout
    x.npy
    --- stderr
    RDM of 2 stimuli from 3 units each
    removed `x.times.txt`, the times of what was there before
    ");
    assert!(!lab.path("x.times.txt").exists());
}
