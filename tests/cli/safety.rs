//! Nothing that exists is lost, and nothing half-done looks whole.

use crate::lab::Lab;
use ndarray::Array2;
use std::fs::{self, File};
use std::process::{Command, Stdio};
use thingsvision::npy;

pub const EXTRACT: &str = "extract --model cornet-z --weights random --images images";
pub fn save(lab: &Lab, path: &str) {
    let rdm = Array2::from_shape_fn((5, 5), |(i, j)| if i == j { 0.0 } else { (i * j + i + j) as f64 });
    npy::write(&lab.path(path), &rdm.into_dyn()).unwrap();
}

#[test]
fn a_reader_that_goes_away_loses_no_run() {
    let lab = Lab::new();
    let status = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(format!("{EXTRACT} --model cornet-r --model cornet-rt").split_whitespace())
        .current_dir(lab.path(""))
        .stdout(Stdio::from(File::options().write(true).open("/dev/full").unwrap()))
        .stderr(Stdio::from(File::options().write(true).open("/dev/full").unwrap()))
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    for model in ["cornet-z", "cornet-r", "cornet-rt"] {
        assert!(lab.path(&format!("activations/{model}.random-0/run.json")).exists(), "{model}");
    }
}

#[test]
fn of_two_processes_that_make_one_run_one_succeeds() {
    let lab = Lab::new();
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| lab.run(&format!("{EXTRACT} --layer V1 --batch-size 1")))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let succeeded = outcomes.iter().filter(|outcome| outcome.code == Some(0)).count();
    let said = outcomes.iter().map(ToString::to_string).collect::<String>();
    // Who comes last may find it done, before or after it has begun.
    const REFUSALS: [&str; 2] = ["another process is making the run", "there is already a run in"];
    let refused = outcomes.iter().filter(|outcome| REFUSALS.iter().any(|text| outcome.stderr.contains(text))).count();
    let made = outcomes.iter().filter(|outcome| outcome.stderr.contains("took")).count();
    assert!(succeeded >= 1 && succeeded + refused == 4 && made == 1, "{said}");
    assert_eq!(lab.names("activations"), ["cornet-z.random-0"]);
    assert_eq!(lab.names("activations/cornet-z.random-0"), ["V1.npy", "V1.rdm.npy", "images.sha256", "images.txt", "run.json"]);
}

#[test]
fn a_failed_replacement_leaves_what_was_there() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    let file = "activations/cornet-z.random-0/decoder.avgpool.npy";
    let before = lab.bytes(file);
    let png = lab.bytes("images/b/three.png");
    fs::write(lab.path("images/b/three.png"), &png[..png.len() / 2]).unwrap();
    lab.fail(&format!("{EXTRACT} --force --layer V1"));
    assert_eq!(lab.bytes(file), before);
    // The batches before the damaged image are kept, and the same command goes on when it is replaced.
    assert_eq!(lab.names("activations"), ["cornet-z.random-0", "cornet-z.random-0.partial"]);
    fs::write(lab.path("images/b/three.png"), png).unwrap();
    assert!(
        lab.succeed(&format!("{EXTRACT} --force --layer V1")).stderr.contains("goes on   4 rows from before; 1 of 3 batches")
    );
    assert_eq!(lab.names("activations"), ["cornet-z.random-0"]);
}

#[test]
fn what_a_killed_process_left_is_no_run_and_in_nobodys_way() {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("activations/cornet-z.random-0.partial")).unwrap();
    fs::write(lab.path("activations/cornet-z.random-0.partial/V4.npy.partial"), "half").unwrap();
    lab.succeed(EXTRACT);
    assert_eq!(lab.names("activations"), ["cornet-z.random-0"]);
    assert!(!lab.names("activations/cornet-z.random-0").contains(&"V4.npy.partial".to_owned()));
}

#[test]
fn results_do_not_overwrite_what_they_come_from() {
    let lab = Lab::new();
    save(&lab, "rsa.npy");
    save(&lab, "model.npy");
    let before = lab.bytes("rsa.npy");
    assert!(lab.fail("rsa --behavior rsa.npy model.npy").contains("`rsa.npy` would be overwritten"));
    assert!(lab.fail("rdm rsa.npy --out ./rsa.npy").contains("npy` would be overwritten"));
    std::os::unix::fs::symlink("rsa.npy", lab.path("link.npy")).unwrap();
    assert!(lab.fail("rdm link.npy --out rsa.npy").contains("npy` would be overwritten"));
    assert_eq!(lab.bytes("rsa.npy"), before);
}

#[test]
fn what_is_no_file_stops_the_run_and_does_not_hang_it() {
    let lab = Lab::new();
    assert!(Command::new("mkfifo").arg(lab.path("images/pipe.png")).status().unwrap().success());
    assert!(lab.fail(EXTRACT).contains("`images/pipe.png` is no file that can be read"));
    fs::remove_file(lab.path("images/pipe.png")).unwrap();
    std::os::unix::fs::symlink("..", lab.path("images/a/up")).unwrap();
    assert!(lab.fail(EXTRACT).contains("is a link back to `images`"));
}

#[test]
fn files_of_one_name_are_told_apart_by_their_paths() {
    let lab = Lab::new();
    for folder in ["one", "two"] {
        fs::create_dir(lab.path(folder)).unwrap();
        save(&lab, &format!("{folder}/m.rdm.npy"));
    }
    save(&lab, "behavior.npy");
    let rsa = "rsa --json -q --behavior behavior.npy --fmri behavior.npy one/m.rdm.npy two/m.rdm.npy";
    let table: serde_json::Value = serde_json::from_str(&lab.succeed(rsa).stdout).unwrap();
    let names: Vec<_> = table.as_array().unwrap().iter().map(|row| row["model"].as_str().unwrap()).collect();
    assert_eq!(names, ["one/m.rdm.npy", "two/m.rdm.npy", "one/m.rdm.npy", "two/m.rdm.npy"]);
}

#[test]
fn a_layer_without_rdm_does_not_stop_the_comparison_of_others() {
    let lab = Lab::new();
    // The last batch norms of a random CLIP-RN begin at zero: all images give the same.
    let extract = "extract --model clip-rn --weights random --images images --layer visual --layer visual.layer4.2.bn3";
    assert_eq!(lab.run(extract).code, Some(1));
    let again = lab.run(extract);
    assert!(again.code == Some(1) && again.stderr.contains("there is no RDM of `visual.layer4.2.bn3`"), "{again}");
    save(&lab, "behavior.npy");
    let outcome = lab.succeed("rsa --behavior behavior.npy");
    assert!(outcome.stderr.contains("left out `visual.layer4.2.bn3`"), "{outcome}");
    assert_eq!(npy::read(&lab.path("rsa.npy")).unwrap().shape(), [1, 1]);
    assert_eq!(lab.run(&format!("{extract} --force --on-constant nan")).code, Some(0));
    assert!(lab.succeed("rsa --behavior behavior.npy").stderr.contains("left out `visual.layer4.2.bn3`"));
}

#[test]
fn seeds_are_those_that_pytorch_takes() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --seed -1"));
    lab.succeed(&format!("{EXTRACT} --seed 18446744073709551615 --out same --rdm none"));
    let folder = "cornet-z.random-18446744073709551615/decoder.avgpool.npy";
    assert_eq!(lab.bytes(&format!("activations/{folder}")), lab.bytes(&format!("same/{folder}")));
}
