//! Disks that fail, folders that change, processes that are killed while they write: one clear error, and what is done stays.

use crate::lab::Lab;
use crate::resume::{EXTRACT, assert_same, lab, start};
use ndarray::Array2;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use thingsvision::npy;

const PLACE: &str = "activations/alexnet.random-0.partial";

/// Waits for a file, and no longer than for the end of the process.
fn wait_for(file: &Path, child: &mut Child) {
    while !file.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A library that, loaded before libc, does what a broken disk does. Linux alone has this way to come between them.
#[cfg(target_os = "linux")]
fn broken_disk(lab: &Lab) -> PathBuf {
    let shim = lab.path("io_errors.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/io_errors.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).args([source, "-ldl"]).status().unwrap();
    assert!(compiled.success());
    shim
}

/// Runs `thingsvision` on a broken disk.
#[cfg(target_os = "linux")]
fn on_broken_disk(lab: &Lab, arguments: &str, errors: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(arguments.split_whitespace())
        .current_dir(lab.path(""))
        .env("LD_PRELOAD", lab.path("io_errors.so"))
        .envs(errors.iter().copied())
        .output()
        .unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn where_the_disk_fails_to_write_what_is_done_stays() {
    let lab = lab();
    broken_disk(&lab);
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let mut failed = 0;
    // Of about 170 writes of rows and 70 flushes.
    for after in [0, 1, 5, 20, 60, 120, 165, 175, 190, 210, 230] {
        let run = on_broken_disk(&lab, &format!("{EXTRACT} --out broken"), &[("IO_ERRORS_AFTER", &after.to_string())]);
        let said = String::from_utf8(run.stderr).unwrap();
        if !run.status.success() {
            failed += 1;
            assert_eq!(run.status.code(), Some(1), "{after}: {said}");
            assert!(said.contains("Input/output error"), "{after}: {said}");
            assert!(!lab.path("broken/alexnet.random-0").exists(), "{after}");
        }
    }
    assert!(failed >= 5, "{failed}");
    lab.succeed(&format!("{EXTRACT} --out broken"));
    assert_same(&lab, "whole/alexnet.random-0", "broken/alexnet.random-0");
}

#[cfg(target_os = "linux")]
#[test]
fn where_the_disk_fails_to_read_what_is_done_stays() {
    let lab = lab();
    broken_disk(&lab);
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let fails = |arguments: &str, errors: &[(&str, &str)], text: &str| {
        let run = on_broken_disk(&lab, arguments, errors);
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(1), "{said}");
        assert_eq!(said.matches("error: ").count(), 1, "{said}");
        assert!(said.contains(text), "{said}");
        assert!(run.stdout.is_empty());
    };
    // An image: when the images are looked at, and when the run has begun.
    let broken = ("IO_ERRORS_READ", "images/d/23.jpg");
    fails(EXTRACT, &[broken], "cannot read `images/d/23.jpg`: Input/output error");
    assert_eq!(lab.names("activations"), [""; 0]);
    let begun = ("IO_ERRORS_FROM", "activations/alexnet.random-0.partial/run.json");
    fails(&format!("{EXTRACT} --workers 1"), &[broken, begun], "cannot read `images/d/23.jpg`: Input/output error");
    assert!(fs::read_to_string(lab.path(&format!("{PLACE}/done.txt"))).unwrap().contains("rows 20 22\n"));
    // The activations, for an RDM and for their hash.
    let mapped = ("IO_ERRORS_MAPPED", "alexnet.random-0.partial/features.3.npy");
    fails(EXTRACT, &[mapped], "cannot be read or written: the disk returned an error");
    let read = ("IO_ERRORS_READ", "alexnet.random-0.partial/classifier.5.npy");
    fails(EXTRACT, &[read], "classifier.5.npy`: Input/output error");
    assert!(!lab.path("activations/alexnet.random-0").exists());
    let outcome = lab.succeed(EXTRACT);
    assert!(outcome.stderr.contains("goes on   24 rows from before; 0 of 12 batches are left"), "{outcome}");
    assert_same(&lab, "whole/alexnet.random-0", "activations/alexnet.random-0");

    // Weights.
    let checkpoint = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/checkpoints/zip.pth");
    fs::copy(checkpoint, lab.path("mine.pth")).unwrap();
    let extract = "extract --model alexnet --images images --weights mine.pth";
    fails(extract, &[("IO_ERRORS_READ", "mine.pth")], "mine.pth`: Input/output error");
    // Features.
    fails(
        "rdm whole/alexnet.random-0/features.3.npy --out rdm.npy",
        &[("IO_ERRORS_MAPPED", "features.3.npy")],
        "mapped into memory",
    );
    assert!(!lab.path("rdm.npy").exists());
}

/// Runs it and calls `change` when it has begun.
fn while_it_runs(lab: &Lab, arguments: &str, change: impl FnOnce()) -> (Option<i32>, String) {
    let mut run = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(arguments.split_whitespace())
        .current_dir(lab.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for(&lab.path(&format!("{PLACE}/done.txt")), &mut run);
    change();
    let output = run.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_run_whose_folder_is_removed_fails() {
    let lab = lab();
    let extract = format!("{EXTRACT} --workers 1");
    let (code, said) = while_it_runs(&lab, &extract, || fs::remove_dir_all(lab.path(PLACE)).unwrap());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: `activations/alexnet.random-0.partial` was removed during the run\n"), "{said}");
    assert_eq!(lab.names("activations"), [""; 0]);
    lab.succeed(EXTRACT);
}

#[test]
fn the_list_of_images_is_fixed_when_a_run_begins() {
    let lab = lab();
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let extract = format!("{EXTRACT} --workers 1");
    let added = || lab.copy_image("palette.png", "images/a/added.png");
    let image = lab.bytes("images/d/23.jpg");
    let removed = || fs::remove_file(lab.path("images/d/23.jpg")).unwrap();
    let (code, said) = while_it_runs(&lab, &extract, added);
    assert_eq!(code, Some(0), "{said}");
    assert_same(&lab, "whole/alexnet.random-0", "activations/alexnet.random-0");
    fs::remove_file(lab.path("images/a/added.png")).unwrap();
    fs::remove_dir_all(lab.path("activations")).unwrap();

    let (code, said) = while_it_runs(&lab, &extract, removed);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("error: cannot read `images/d/23.jpg`: No such file or directory"), "{said}");
    let other = lab.fail(EXTRACT);
    assert!(other.contains("not the same: 1 image removed (`d/23.jpg`)"), "{other}");
    fs::write(lab.path("images/d/23.jpg"), image).unwrap();
    assert!(lab.succeed(EXTRACT).stderr.contains("goes on   22 rows from before; 1 of 12 batches are left"));
    assert_same(&lab, "whole/alexnet.random-0", "activations/alexnet.random-0");
}

#[test]
fn a_run_that_is_killed_while_it_writes_rdms_goes_on() {
    let lab = lab();
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let whole = |name: &str| lab.bytes(&format!("whole/alexnet.random-0/{name}"));
    for delay in [0, 2, 5, 10, 20] {
        let mut run = start(&lab, EXTRACT);
        // Activations have their names before the first RDM is computed.
        wait_for(&lab.path(&format!("{PLACE}/classifier.5.npy")), &mut run);
        std::thread::sleep(Duration::from_millis(delay));
        run.kill().unwrap();
        run.wait().unwrap();
        for name in lab.names(PLACE).iter().filter(|name| name.ends_with(".npy")) {
            assert!(lab.bytes(&format!("{PLACE}/{name}")) == whole(name), "{name}");
        }
    }
    lab.succeed(EXTRACT);
    assert_same(&lab, "whole/alexnet.random-0", "activations/alexnet.random-0");
    assert_eq!(lab.names("activations"), ["alexnet.random-0"]);
}

#[test]
fn an_rdm_that_is_killed_while_it_is_written_has_no_name_yet() {
    let lab = Lab::new();
    for subject in 0..2 {
        let value = |(i, j): (usize, usize)| ((i * 7919 + j * 104_729 + subject * 31) % 1009) as f32;
        npy::write(&lab.path(&format!("sub-{subject}.npy")), &Array2::from_shape_fn((1200, 400), value).into_dyn()).unwrap();
        lab.succeed(&format!("rdm sub-{subject}.npy"));
    }
    for command in ["rdm sub-0.npy", "rdm average sub-0.rdm.npy sub-1.rdm.npy"] {
        lab.succeed(&format!("{command} --out whole.npy"));
        for delay in [0, 1, 2, 4, 8, 16, 32] {
            let mut child = start(&lab, &format!("{command} --out killed.npy"));
            wait_for(&lab.path("killed.npy.partial"), &mut child);
            std::thread::sleep(Duration::from_millis(delay));
            child.kill().unwrap();
            child.wait().unwrap();
            let killed = lab.path("killed.npy");
            assert!(!killed.exists() || fs::read(&killed).unwrap() == lab.bytes("whole.npy"), "{command}");
            fs::remove_file(killed).ok();
        }
        lab.succeed(&format!("{command} --out killed.npy"));
        assert!(lab.bytes("killed.npy") == lab.bytes("whole.npy"));
        assert!(lab.names("").iter().all(|name| !name.ends_with(".partial")));
        fs::remove_file(lab.path("killed.npy")).unwrap();
    }
}

#[test]
fn an_rdm_that_is_stopped_while_it_is_written_leaves_nothing() {
    let lab = Lab::new();
    let value = |(i, j): (usize, usize)| ((i * 7919 + j * 104_729) % 1009) as f32;
    npy::write(&lab.path("features.npy"), &Array2::from_shape_fn((6000, 500), value).into_dyn()).unwrap();
    let mut child = start(&lab, "rdm features.npy --metric cityblock");
    wait_for(&lab.path("features.rdm.npy.partial"), &mut child);
    // It listens when the first tile is begun.
    std::thread::sleep(Duration::from_millis(300));
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert!(lab.names("").iter().all(|name| !name.contains("rdm")), "{:?}", lab.names(""));
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_takes_nothing_is_called_so() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_thingsvision")).arg("models").stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: cannot write to stdout: ") && said.contains("look at where it goes"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_file_that_was_cut_while_a_run_was_stopped_is_called_so() {
    let lab = lab();
    // Stopped by a picture that is damaged in the middle, near the end of the run.
    let picture = lab.path("images/d/22.png");
    let whole = fs::read(&picture).unwrap();
    fs::write(&picture, &whole[..whole.len() / 2]).unwrap();
    lab.fail(EXTRACT);
    fs::write(&picture, whole).unwrap();
    let names = lab.names(PLACE);
    let file = names.iter().find(|name| name.ends_with(".npy.partial")).expect("it was stopped before its end");
    fs::File::options().write(true).open(lab.path(PLACE).join(file)).unwrap().set_len(100).unwrap();
    let said = lab.fail(EXTRACT);
    assert!(said.contains("it has 100 bytes, and had ") && said.contains("remove `activations/"), "{said}");
}

#[test]
fn too_many_open_files_are_told_what_to_do() {
    let lab = lab();
    let command = format!("ulimit -n 12; exec {} {EXTRACT}", env!("CARGO_BIN_EXE_thingsvision"));
    let output = Command::new("bash").args(["-c", &command]).current_dir(lab.path("")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Too many open files") && said.contains("hint: allow more open files (`ulimit -n 4096`)"), "{said}");
}
