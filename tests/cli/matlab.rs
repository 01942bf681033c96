//! MATLAB files with structures and cells: what in them is meant, how it is named, and what is refused.

use crate::assert_output;
use crate::lab::Lab;
use std::fs;
use std::path::Path;
use thingsvision::npy;

fn lab(names: &[&str]) -> Lab {
    let lab = Lab::new();
    for name in names {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/matlab").join(name);
        fs::copy(from, lab.path(name)).unwrap();
    }
    lab
}

#[test]
fn a_structure_of_the_rsa_toolbox_is_one_rdm_of_each_subject() {
    let lab = lab(&["rdms.mat", "rdms-73.mat"]);
    for file in ["rdms.mat", "rdms-73.mat"] {
        let convert = |name: &str| {
            lab.succeed(&format!("rdm convert {file}{name} x.npy --condensed"));
            npy::read(&lab.path("x.npy")).unwrap()
        };
        let all = convert("");
        assert_eq!(all.shape(), [3, 10], "{file}");
        for name in [":RDMs", ":RDMs.RDM", ":RDMs/RDM"] {
            assert_eq!(convert(name), all, "{file}{name}");
        }
        for name in [":RDMs(2)", ":RDMs(2).RDM", ":RDMs.RDM{2}"] {
            assert_eq!(convert(name), all.index_axis(ndarray::Axis(0), 1), "{file}{name}");
        }
        let said = lab.fail(&format!("rdm convert {file}:RDMs(4) x.npy"));
        assert!(said.contains(&format!("`{file}` holds no array `RDMs(4)`")) && said.contains("it holds `RDMs`"), "{said}");
        let said = lab.fail(&format!("rdm convert {file}:RDMs.name x.npy"));
        assert!(said.contains(&format!("`RDMs.name` in `{file}` is a cell array, not an array of real numbers")), "{said}");
    }
    assert_output!(lab.fail("rdm rdms.mat --out x.npy"), @"
    error: `rdms.mat` holds RDMs, or several arrays, and not one matrix of features

    hint: name one array, `FILE:NAME(2)` the second of several; RDMs are compared with `thingsvision rsa`
    ");
}

#[test]
fn what_in_a_structure_is_meant_is_not_guessed() {
    let lab = lab(&["fields.mat", "nested.mat", "grid.mat", "sizes.mat", "broken.mat"]);
    // The colours beside it are no RDMs.
    assert_output!(lab.fail("rdm check broken.mat"), @"
    error: `RDMs(2).RDM` in `broken.mat` is text, not an array of real numbers

    hint: save RDMs of numbers, `full(rdm)` of sparse ones; or name one that is: 'FILE:RDMs(1)'
    ");
    assert_output!(lab.fail("rdm check fields.mat"), @"
    error: `fields.mat` holds several arrays: `results.it`, `results.v1`

    hint: name the one you mean: fields.mat:results.it
    ");
    assert_output!(lab.fail("rdm check fields.mat:results"), @"
    error: `results` in `fields.mat` is a structure, not an array of real numbers

    hint: name what is meant in it: 'fields.mat:results.it'
    ");
    lab.succeed("rdm convert fields.mat:results.v1 v1.npy");
    lab.succeed("rdm convert nested.mat:results.behav nested.npy");
    assert_eq!(lab.bytes("v1.npy"), lab.bytes("nested.npy"));
    assert_output!(lab.fail("rdm check grid.mat"), @"
    error: `RDMs` in `grid.mat` are 2 × 3 arrays, and it is not known along which axis the subjects are

    hint: name one by its number down the columns, 'FILE:RDMs(2)', or save one row or column: `rdms = RDMs(1, :); save('rdms.mat', 'rdms', '-v7')`
    ");
    // The fourth in the order of rows is the second down the columns.
    lab.succeed("rdm convert grid.mat:RDMs(3) third.npy");
    assert_eq!(lab.bytes("third.npy"), lab.bytes("v1.npy"));
    assert_output!(lab.fail("rdm check sizes.mat"), @"
    error: `RDMs` in `sizes.mat` are arrays of several shapes: 1 is [5, 5], 2 is [4, 4]

    hint: RDMs of subjects have the same stimuli; name one by its number: 'FILE:RDMs(2)'
    ");
}

#[test]
fn the_stimuli_of_meadows_are_those_of_its_pairs() {
    let lab = lab(&["meadows-few.mat", "meadows-order.mat", "meadows-numbers.mat"]);
    assert_output!(lab.fail("rdm check meadows-numbers.mat"), @"
    error: `stimuli` in `meadows-numbers.mat` does not hold a name of each stimulus

    hint: save it as a cell array of texts: `stimuli = cellstr(string(stimuli))`
    ");
    assert_output!(lab.fail("rdm check meadows-few.mat"), @"
    error: `meadows-few.mat` names 4 stimuli, but its RDMs are of 5

    hint: check how the file was made; of an RDM without names give the numbers alone
    ");
    assert_output!(lab.fail("rdm check meadows-order.mat"), @"
    error: the stimuli of `rdmutv_keen_ox` in `meadows-order.mat` are not those of `rdmutv_able_fly` in the same order

    hint: name each, then they are aligned: meadows-order.mat:rdmutv_able_fly,meadows-order.mat:rdmutv_keen_ox
    ");
    for name in ["able_fly", "keen_ox"] {
        lab.succeed(&format!("rdm convert meadows-order.mat:rdmutv_{name} {name}.npy"));
    }
    assert_eq!(fs::read_to_string(lab.path("able_fly.ids.txt")).unwrap().lines().next(), Some("stim03.png"));
    assert_eq!(fs::read_to_string(lab.path("keen_ox.ids.txt")).unwrap().lines().next(), Some("stim09.png"));
    lab.succeed("rdm average meadows-order.mat:rdmutv_able_fly meadows-order.mat:rdmutv_keen_ox --out mean.npy");
    let [one, other, mean] = ["able_fly", "keen_ox", "mean"].map(|name| npy::read(&lab.path(&format!("{name}.npy"))).unwrap());
    assert_eq!(mean[[0, 1]], (one[[0, 1]] + other[[4, 3]]) / 2.0);
}

/// An element of level 5: a kind, a size, and bytes up to a multiple of eight.
fn element(kind: u32, bytes: &[u8]) -> Vec<u8> {
    let padding = vec![0; bytes.len().wrapping_neg() % 8];
    [&kind.to_le_bytes()[..], &(bytes.len() as u32).to_le_bytes(), bytes, &padding].concat()
}

/// A variable, cell or field of a class and sizes.
fn matrix(name: &str, class: u32, sizes: [u32; 2], content: &[u8]) -> Vec<u8> {
    let words = |words: [u32; 2]| words.map(u32::to_le_bytes).concat();
    let parts = [element(6, &words([class, 0])), element(5, &words(sizes)), element(1, name.as_bytes()), content.to_vec()];
    element(14, &parts.concat())
}

#[test]
fn what_promises_cells_or_structures_without_end_is_not_looked_at() {
    const CELL: u32 = 1;
    const STRUCTURE: u32 = 2;
    let lab = lab(&["plain.mat", "endless-73.mat"]);
    let nested = (0..10_000).fold(Vec::new(), |inner, _| matrix("", CELL, [1, 1], &inner));
    let of_none = [element(5, &4u32.to_le_bytes()), element(1, b"")].concat();
    let variables = [
        matrix("deep", CELL, [1, 1], &nested),
        matrix("many", CELL, [u32::MAX, u32::MAX], b""),
        matrix("short", CELL, [1, 90_000], b""),
        matrix("structures", STRUCTURE, [u32::MAX, 7], &of_none),
    ];
    let whole = lab.bytes("plain.mat");
    fs::write(lab.path("plain.mat"), [&whole[..], &variables.concat()].concat()).unwrap();
    lab.succeed("rdm check plain.mat");
    for (name, what) in [
        ("deep", "a cell array"),
        ("many", "a cell array of very many cells"),
        ("short", "stored in a way that is not read"),
        ("structures", "an array of very many structures"),
    ] {
        let said = lab.fail(&format!("rdm check plain.mat:{name}"));
        assert!(said.contains(&format!("`{name}` in `plain.mat` is {what}, not an array of real numbers")), "{said}");
    }
    // A cell that lies in itself.
    assert_output!(lab.fail("rdm check endless-73.mat"), @"
    error: `endless-73.mat` holds no array of numbers

    hint: save an array of numbers
    ");
}
