//! Networks that try what no network needs, and archives that are not what they seem: `tests/exported/foreign`.

use crate::assert_output;
use crate::lab::Lab;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// With the networks `names` in the folder `nets`.
fn lab(names: &[&str]) -> Lab {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("nets")).unwrap();
    for name in names {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/exported/foreign/{name}.pt"));
        fs::copy(from, lab.path(&format!("nets/{name}.pt"))).unwrap();
    }
    lab
}

/// What is said of each network; none of them writes a file.
fn said(names: &[&str]) -> String {
    let lab = lab(names);
    let of = |name: &&str| {
        let error = lab.fail(&format!("layers --model nets/{name}.pt"));
        assert!(!lab.path("written").exists(), "{name}: {error}");
        error
    };
    names.iter().map(of).collect::<Vec<_>>().join("\n")
}

#[test]
fn operators_that_reach_outside_are_refused_by_name_wherever_they_stand() {
    let names = ["saves", "maps", "unused", "function", "branch", "traced", "profiles", "seeds", "classes"];
    assert_output!(said(&names), @r#"
    error: the network in `nets/saves.pt` has `aten::save`, in `Saves.forward`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/maps.pt` has `aten::from_file`, in `Maps.forward`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/unused.pt` has `aten::save`, in `Unused.never`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/function.pt` has `aten::save`, in `save`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/branch.pt` has `aten::save`, in `Branch.forward`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/traced.pt` has `aten::save`, in `save`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/profiles.pt` has `profiler::_record_function_enter`, in `Profiles.forward`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/seeds.pt` has `aten::manual_seed`, in `Seeds.forward`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/classes.pt` has `torch.classes._nnapi.Compilation`, in `Classes.forward`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why
    "#);
}

#[test]
fn code_that_would_run_while_the_file_is_opened_is_refused() {
    assert_output!(said(&["opened", "default", "constant", "quantised"]), @r#"
    error: the network in `nets/opened.pt` cannot be run: `State` has a `__setstate__`, which would run while the file is opened

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/default.pt` cannot be run: `Default` has a value that would be computed while the file is opened

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/constant.pt` cannot be run: `Constant` has a value that would be computed while the file is opened

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/quantised.pt` cannot be run: `quantised/data.pkl` has an object of a class in C++, which would run while the file is opened

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why
    "#);
}

#[test]
fn archives_in_which_libtorch_finds_something_else_are_refused() {
    assert_output!(said(&["twice", "capitals", "code_unused", "old", "short"]), @r#"
    error: the network in `nets/twice.pt` cannot be run: its directory lists other files than it holds

    hint: PyTorch writes no such file: take files of networks from where you would take software

    error: the network in `nets/capitals.pt` cannot be run: `small/DATA.PKL` stands in it twice, perhaps with other capitals

    hint: PyTorch writes no such file: take files of networks from where you would take software

    error: the network in `nets/code_unused.pt` holds code that it does not use: `__torch__.never`

    hint: PyTorch writes no such file: take files of networks from where you would take software

    error: the network in `nets/old.pt` cannot be run: it was written by PyTorch 1.1 or an older one

    hint: export it again, with a newer PyTorch

    error: the network in `nets/short.pt` has `Tensor longer than its data`, in `an attribute`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why
    "#);
}

#[test]
fn archives_that_take_memory_or_hours_are_refused_at_once() {
    let begin = Instant::now();
    assert_output!(said(&["elifs", "indented", "lines", "storage"]), @r#"
    error: the network in `nets/elifs.pt` cannot be run: the code in `small/code/__torch__.py` is more involved than that of any network

    hint: PyTorch writes no such file: take files of networks from where you would take software

    error: the network in `nets/indented.pt` cannot be run: the code in `small/code/__torch__.py` is more involved than that of any network

    hint: PyTorch writes no such file: take files of networks from where you would take software

    error: the network in `nets/lines.pt` cannot be run: `small/code/__torch__.py` is larger than that of any network

    hint: PyTorch writes no such file: take files of networks from where you would take software

    error: the network in `nets/storage.pt` cannot be run: `small/data/99` is larger than that of any network

    hint: PyTorch writes no such file: take files of networks from where you would take software
    "#);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn what_libtorch_says_of_itself_is_left_out() {
    assert_output!(said(&["allocates"]), @r#"
    error: the network in `nets/allocates.pt` cannot be run: DefaultCPUAllocator: can't allocate memory: you tried to allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)

    hint: it asks for more memory than there is: take smaller batches (--batch-size N) or pictures, or another network
    "#);
}

#[test]
fn a_network_that_prints_prints_nothing() {
    let lab = lab(&["floods", "small"]);
    let of = |name: &str| lab.succeed(&format!("layers --model nets/{name}.pt"));
    assert_eq!(of("floods").stdout.replace("Floods", "Small "), of("small").stdout);
    assert!(!of("floods").stderr.contains("a line"));
}

/// Begins an extraction with a network that has no end, sends it signals, and returns whether it has ended.
fn ends_after(name: &str, signals: usize) -> bool {
    let lab = lab(&[name]);
    let mut process = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(format!("extract --model nets/{name}.pt --images images").split(' '))
        .current_dir(lab.path("."))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(4));
    assert!(process.try_wait().unwrap().is_none());
    for _ in 0..signals {
        // Like Ctrl-C, which is ignored where tests run in the background.
        Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        std::thread::sleep(Duration::from_secs(1));
    }
    let has_ended = process.try_wait().unwrap().is_some();
    process.kill().ok();
    process.wait().unwrap();
    has_ended
}

#[test]
fn a_network_without_an_end_ends_at_a_signal_and_in_the_middle_of_a_batch_at_the_second() {
    assert!(ends_after("endless", 1));
    assert!(!ends_after("waits", 1));
    assert!(ends_after("waits", 2));
}
