//! What is written replaces nothing that is read, and is what its name says.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use thingsvision::npy;

const IDS: &str = "a\nb\nc\nd\ne\nf\n";

fn features() -> Array2<f64> {
    Array2::from_shape_fn((6, 5), |(i, j)| ((i * 7 + j * 3 + i * j * 5) % 11) as f64)
}

/// Features with names, and an RDM of others without.
fn lab() -> Lab {
    let lab = Lab::new();
    npy::write(&lab.path("named.npy"), &features().into_dyn()).unwrap();
    fs::write(lab.path("named.ids.txt"), IDS).unwrap();
    npy::write(&lab.path("bare.npy"), &features().mapv(|value| value * value).into_dyn()).unwrap();
    lab.succeed("rdm bare.npy");
    lab
}

#[test]
fn names_of_what_was_there_before_do_not_stay() {
    let lab = lab();
    let stale = |name: &str| {
        lab.succeed(&format!("rdm named.npy --out {name}.npy"));
        assert_eq!(lab.bytes(&format!("{name}.ids.txt")), IDS.as_bytes());
    };
    fs::write(lab.path("labels.csv"), "x\ny\nx\ny\nx\ny\n").unwrap();
    for command in [
        "rdm bare.npy --out old.npy",
        "rdm convert bare.rdm.npy old.npy",
        "rdm average bare.rdm.npy bare.rdm.npy --out old.npy",
        "rdm categories labels.csv --out old.npy",
    ] {
        stale("old");
        let said = lab.succeed(command).stderr;
        assert!(said.contains("removed `old.ids.txt`, which named the stimuli of what was there before"), "{command}: {said}");
        assert!(!lab.path("old.ids.txt").exists(), "{command}");
    }
}

#[test]
fn no_command_overwrites_what_it_reads() {
    let lab = lab();
    lab.succeed("rdm named.npy");
    fs::write(lab.path("conditions.npy"), "a\na\nb\nb\nc\nc\n").unwrap();
    fs::write(lab.path("t.ids.txt"), "f\ne\nd\nc\nb\na\n").unwrap();
    fs::copy(lab.path("bare.rdm.npy"), lab.path("t.npy")).unwrap();
    lab.succeed("extract --model cornet-z --weights random --images images");
    let run = "activations/cornet-z.random-0";
    let before: Vec<Vec<u8>> = ["named.npy", "conditions.npy", "t.ids.txt", "bare.rdm.npy"].map(|file| lab.bytes(file)).into();
    for command in [
        "cka named.npy bare.npy --out named.npy",
        "rdm bare.npy --conditions conditions.npy --out conditions.npy",
        "rdm bare.npy --ids t.ids.txt --out t.npy",
        "rdm named.npy --out ./named.npy",
        "rdm average named.rdm.npy t.npy --out t.npy",
        "rdm average named.rdm.npy t.npy --out t.csv",
        "rdm convert bare.rdm.npy ./bare.rdm.npy",
        "rdm categories t.ids.txt --out t.npy",
        "rsa --behavior t.npy named.rdm.npy --out t",
    ] {
        let said = lab.fail(command);
        assert!(said.contains("would be overwritten, and it is one of the files that are read"), "{command}: {said}");
    }
    let after: Vec<Vec<u8>> = ["named.npy", "conditions.npy", "t.ids.txt", "bare.rdm.npy"].map(|file| lab.bytes(file)).into();
    assert!(before == after);
    lab.succeed(&format!("rdm convert {run}/decoder.avgpool.rdm.npy five.npy"));
    let said = lab.fail(&format!("rsa --behavior five.npy {run} --out {run}/run"));
    assert!(said.contains(&format!("`{run}/run.json` would be overwritten")), "{said}");
}

#[test]
fn numpy_files_are_not_written_under_other_names() {
    let lab = lab();
    for out in ["rdm.csv", "rdm.mat", "rdm.h5", "rdm", "rdm.txt"] {
        assert!(lab.fail(&format!("rdm bare.npy --out {out}")).contains("would be a NumPy file under another name"), "{out}");
        assert!(lab.fail(&format!("cka bare.npy named.npy --out {out}")).contains("under another name"), "{out}");
        assert!(!lab.path(out).exists());
    }
    assert_output!(lab.fail("rdm bare.npy --out rdm.csv"), @"
    error: `rdm.csv` would be a NumPy file under another name

    hint: end the name in .npy; `thingsvision rdm convert` makes .csv, .tsv, .mat, .h5 and .pt of it
    ");
    assert_output!(lab.fail("rsa --behavior bare.rdm.npy bare.rdm.npy --out scores.csv"), @"
    error: `scores.csv` is no prefix: .npy, .csv and .json will be added to it

    hint: leave the ending out: --out scores
    ");
    assert_output!(lab.fail("rdm bare.npy --out nowhere/rdm.npy"), @"
    error: there is no folder `nowhere`

    hint: make it: mkdir -p nowhere
    ");
}

#[test]
fn labels_that_an_rdm_was_made_of_do_not_keep_it_from_being_made_again() {
    let lab = lab();
    fs::write(lab.path("kinds.csv"), "a,x\nb,x\nc,y\nd,y\n").unwrap();
    lab.succeed("rdm categories kinds.csv --out kinds.npy");
    // Beside it now lie the IDs, which are others the next time.
    fs::write(lab.path("kinds.csv"), "e,x\nb,x\nc,y\nd,y\nf,z\n").unwrap();
    lab.succeed("rdm categories kinds.csv --out kinds.npy");
    assert_eq!(fs::read_to_string(lab.path("kinds.ids.txt")).unwrap(), "e\nb\nc\nd\nf\n");
}

#[test]
fn files_that_are_not_there_are_told_alike() {
    let lab = lab();
    for arguments in ["rdm none", "rdm categories none --out x.npy", "rdm average none --out x.npy", "rdm bare.npy --ids none"] {
        let said = lab.fail(arguments);
        let wanted = "error: cannot read `none`: No such file or directory (os error 2)\n\nhint: relative paths begin at the current folder\n";
        assert_eq!(said, wanted, "{arguments}");
    }
}
