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
        .args(format!("extract --model nets/{name}.pt --images images --batch-size 3").split(' '))
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

/// Of the threads of process `id`: whether each gave up rights.
fn confined(id: u32) -> Vec<bool> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap().flatten();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    statuses.map(|status| status.contains("NoNewPrivs:\t1")).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn threads_that_run_code_of_others_gave_up_rights_and_the_run_says_so() {
    let lab = lab(&["small", "endless", "waits"]);
    lab.succeed("extract --model nets/small.pt --images images");
    let record: serde_json::Value = serde_json::from_slice(&lab.bytes("activations/small/run.json")).unwrap();
    if record["landlock"] == "missing" {
        // Then no rights can be given up, and that it says so is all there is to see.
        return;
    }
    assert!(["enforced", "partly-enforced"].map(serde_json::Value::from).contains(&record["landlock"]), "{record}");
    lab.succeed("extract --model alexnet --weights random --images images");
    let built_in: serde_json::Value = serde_json::from_slice(&lab.bytes("activations/alexnet.random-0/run.json")).unwrap();
    assert!(built_in.get("landlock").is_none());
    // While layers are looked at, and in the workers.
    for name in ["endless", "waits"] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
            .args(format!("extract --model nets/{name}.pt --images images --workers 2 --batch-size 3").split(' '))
            .current_dir(lab.path("."))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let wanted = if name == "endless" { 1 } else { 2 };
        let begin = Instant::now();
        while confined(process.id()).iter().filter(|is| **is).count() < wanted {
            assert!(begin.elapsed() < Duration::from_secs(60), "{name}: {:?}", confined(process.id()));
            std::thread::sleep(Duration::from_millis(20));
        }
        // The one that writes records and RDMs kept its own.
        assert!(confined(process.id()).contains(&false));
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

#[test]
fn images_behind_links_and_in_many_folders_are_read_by_code_of_others() {
    let lab = lab(&["small"]);
    lab.succeed("extract --model nets/small.pt --images images --out plain");
    fs::create_dir_all(lab.path("elsewhere/deep")).unwrap();
    fs::rename(lab.path("images/b/three.png"), lab.path("elsewhere/deep/x.png")).unwrap();
    std::os::unix::fs::symlink(lab.path("elsewhere/deep/x.png"), lab.path("images/b/three.png")).unwrap();
    fs::rename(lab.path("images/a"), lab.path("elsewhere/a")).unwrap();
    std::os::unix::fs::symlink("../elsewhere/a", lab.path("images/a")).unwrap();
    lab.succeed("extract --model nets/small.pt --images images --out linked");
    let ids = fs::read_to_string(lab.path("plain/small/images.txt")).unwrap();
    fs::write(lab.path("images/list.txt"), ids).unwrap();
    lab.succeed("extract --model nets/small.pt --image-list images/list.txt --out listed");
    let file = |out: &str| {
        lab.bytes(&format!("{out}/small/{}", lab.names("plain/small").iter().find(|name| name.ends_with(".npy")).unwrap()))
    };
    assert_eq!(file("plain"), file("linked"));
    assert_eq!(file("plain"), file("listed"));
}

#[test]
fn values_that_are_not_what_they_say_are_refused() {
    assert_output!(said(&["longer", "before", "confused", "itself", "deep", "overlapping", "elifs_in_brackets"]), @r#"
    error: the network in `nets/longer.pt` has `Tensor longer than its data`, in `an attribute`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/before.pt` has `Tensor longer than its data`, in `an attribute`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/confused.pt` has `training of another type than its class says`, in `an attribute`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/itself.pt` has `a value that holds itself`, in `an attribute`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/deep.pt` has `values in values in values, without an end`, in `an attribute`, which is none of the operators and values that networks may have

    hint: export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why

    error: the network in `nets/overlapping.pt` cannot be run: files in it lie in one another

    hint: PyTorch writes no such file: take files of networks from where you would take software

    error: the network in `nets/elifs_in_brackets.pt` cannot be run: the code in `small/code/__torch__.py` is more involved than that of any network

    hint: PyTorch writes no such file: take files of networks from where you would take software
    "#);
    // Weights are read from such files, too.
    let lab = lab(&["longer", "before"]);
    for name in ["longer", "before"] {
        let said = lab.fail(&format!("extract --model alexnet --weights nets/{name}.pt --images images"));
        assert!(said.contains("is longer than its data"), "{said}");
    }
}

#[test]
fn what_libtorch_would_end_the_process_for_is_told_in_words() {
    let lab = lab(&["divides", "typed"]);
    let said = lab.fail("extract --model nets/divides.pt --images images");
    assert!(said.contains("divides a whole number by 0"), "{said}");
    let layers = lab.succeed("layers --model nets/typed.pt");
    assert!(layers.stdout.lines().any(|line| line.contains("output") && line.contains("not to be extracted")), "{layers}");
}

#[test]
fn hooks_of_the_network_as_a_whole_are_run() {
    let lab = lab(&["small", "hooked"]);
    let rows = |name: &str| {
        lab.succeed(&format!("extract --model nets/{name}.pt --layer conv --images images"));
        lab.bytes(&format!("activations/{name}/conv.npy"))
    };
    // The same weights, shown the images from left to right.
    assert_ne!(rows("small"), rows("hooked"));
}

#[test]
fn dtypes_that_do_not_exist_are_refused_before_or_while_the_network_runs() {
    let lab = lab(&["dtype", "perhaps", "beyond", "computed"]);
    let said = |name: &str| lab.fail(&format!("layers --model nets/{name}.pt"));
    assert!(said("dtype").contains("has `dtype -1`, in `Dtype.forward`"));
    assert!(said("perhaps").contains("has `dtype chosen as it runs`, in `Perhaps.forward`"));
    assert!(said("beyond").contains("KeyError: -994"));
    lab.succeed("extract --model nets/computed.pt --images images");
}
