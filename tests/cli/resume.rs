//! Nothing lost: runs that are killed, stopped, split into shards, or run out of room give the bytes of one that was not.

use crate::assert_output;
use crate::lab::{Lab, Outcome};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const EXTRACT: &str =
    "extract --model alexnet --weights random --layer features.* --layer classifier.5 --images images --batch-size 2";

/// A lab with 24 pictures in four folders.
pub fn lab() -> Lab {
    lab_of(24)
}

/// A lab with pictures in folders of seven.
pub fn lab_of(count: usize) -> Lab {
    let lab = Lab::new();
    fs::remove_dir_all(lab.path("images")).unwrap();
    for (number, name) in
        ["rgb-97x61.png", "rgb-40x131.png", "rgb-300x260.png", "jpeg-420.jpg"].iter().cycle().take(count).enumerate()
    {
        let ending = name.rsplit('.').next().unwrap();
        lab.copy_image(
            name,
            &format!("images/{}/{number:02}.{ending}", ["a", "b", "c", "d", "e", "f", "g", "h", "i"][number / 7]),
        );
    }
    lab
}

/// Starts `thingsvision` and leaves it alone.
pub fn start(lab: &Lab, arguments: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(arguments.split_whitespace())
        .current_dir(lab.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Sends a signal.
pub fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// Asserts that all files of two runs have the same bytes, but for the record's times, places and words.
pub fn assert_same(lab: &Lab, one: &str, other: &str) {
    assert_eq!(lab.names(one), lab.names(other));
    for name in lab.names(one) {
        let (a, b) = (lab.bytes(&format!("{one}/{name}")), lab.bytes(&format!("{other}/{name}")));
        if name == "run.json" {
            let record = |bytes: &[u8]| {
                let mut record: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                for part in ["seconds", "command", "request", "directory", "image_origin"] {
                    record[part].take();
                }
                record
            };
            assert_eq!(record(&a), record(&b));
        } else {
            assert!(a == b, "{name} differs");
        }
    }
}

/// Kills a run again and again at the given moments, goes on, and compares.
fn kill_and_go_on(arguments: &str, moments: impl Iterator<Item = Duration>, rounds: usize) {
    let lab = lab();
    lab.succeed(&format!("{arguments} --out whole"));
    let mut moments = moments;
    for _ in 0..rounds {
        let mut kept = 0;
        for _ in 0..3 {
            let mut run = start(&lab, &format!("{arguments} --out killed"));
            std::thread::sleep(moments.next().unwrap());
            run.kill().unwrap();
            let killed = run.wait().unwrap().signal() == Some(9);
            let journal = fs::read_to_string(lab.path("killed/alexnet.random-0.partial/done.txt")).unwrap_or_default();
            let done = journal.lines().filter(|line| line.starts_with("rows")).count();
            assert!(!killed || done >= kept || lab.path("killed/alexnet.random-0").exists(), "what was done is lost");
            kept = done;
        }
        lab.succeed(&format!("{arguments} --out killed"));
        assert_same(&lab, "whole/alexnet.random-0", "killed/alexnet.random-0");
        assert_eq!(lab.names("killed"), ["alexnet.random-0"]);
        fs::remove_dir_all(lab.path("killed")).unwrap();
    }
}

/// Moments between start and end of a run, spread evenly but in no order.
fn moments() -> impl Iterator<Item = Duration> {
    (0..).map(|k: u64| Duration::from_millis(k * 617 % 1900))
}

#[test]
fn a_run_that_is_killed_goes_on_and_gives_the_same_bytes() {
    kill_and_go_on(EXTRACT, moments(), 2);
}

#[test]
fn means_over_folders_that_are_killed_go_on() {
    kill_and_go_on(&format!("{EXTRACT} --average-by folder"), moments().skip(4), 2);
}

/// Longer: `cargo test --release --test cli -- --ignored killed_a_hundred_times`.
#[test]
#[ignore = "takes minutes"]
fn killed_a_hundred_times() {
    kill_and_go_on(EXTRACT, moments(), 34);
    kill_and_go_on(&format!("{EXTRACT} --average-by folder --exact"), moments(), 10);
}

#[test]
fn a_signal_stops_after_the_batches_in_progress_and_resume_goes_on() {
    let lab = lab();
    lab.succeed(&format!("{EXTRACT} --out whole"));
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let journal = lab.path("stopped/alexnet.random-0.partial/done.txt");
        for _ in 0..20 {
            let mut run = start(&lab, &format!("{EXTRACT} --layer input --workers 1 --out stopped"));
            while !journal.exists() && run.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(2));
            }
            signal(&run, name);
            let status = run.wait().unwrap();
            assert_eq!(status.code(), Some(code), "{status}");
            // Of a signal before the first batch nothing is left.
            if journal.exists() {
                break;
            }
        }
        assert!(fs::read_to_string(&journal).unwrap().contains("rows 0 2\n"));
        let outcome = lab.succeed("resume stopped/alexnet.random-0");
        assert!(outcome.stderr.contains("goes on") && outcome.stdout.ends_with("stopped/alexnet.random-0\n"), "{outcome}");
        fs::remove_dir_all(lab.path("stopped")).unwrap();
    }
    assert!(lab.fail("resume nothing").contains("there is no run in `nothing`"));
}

/// An unfinished run, of which some rows are done.
fn unfinished(lab: &Lab) {
    let journal = lab.path("activations/alexnet.random-0.partial/done.txt");
    for _ in 0..20 {
        let mut run = start(lab, &format!("{EXTRACT} --workers 1"));
        while !journal.exists() && run.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        signal(&run, "-INT");
        assert_eq!(run.wait().unwrap().code(), Some(130));
        if journal.exists() {
            return;
        }
    }
    panic!("every signal came before the first batch");
}

#[test]
fn an_unfinished_run_is_not_mixed_with_another() {
    let lab = lab();
    unfinished(&lab);
    assert_output!(lab.fail(&format!("{EXTRACT} --readout flatten")).lines().filter(|l| l.contains("error")).collect::<String>(), @r#"
    error: `activations/alexnet.random-0.partial` holds an unfinished run that is not the same: readout: flatten, was none; layers: features.0 [193600], features.1 [193600], features.2 [46656…, was features.0 [64,55,55], features.1 [64,55,55], features.2 [6…
    "#);
    assert_output!(lab.fail(&format!("{EXTRACT} --resize 230")).lines().filter(|l| l.contains("error")).collect::<String>(), @r#"
    error: `activations/alexnet.random-0.partial` holds an unfinished run that is not the same: preprocessing: resize 230 (bilinear), crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225, was resize 256 (bilinear), crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225
    "#);
    // An image of which a row was made.
    let first = lab.bytes("images/a/00.png");
    lab.copy_image("palette.png", "images/a/00.png");
    let error = lab.fail(EXTRACT);
    assert!(error.contains("not the same: 1 image changed (`a/00.png`)"), "{error}");
    fs::write(lab.path("images/a/00.png"), &first).unwrap();
    // And one of which none was.
    lab.copy_image("palette.png", "images/d/22.png");
    assert!(lab.succeed(EXTRACT).stderr.contains("goes on"));
    lab.succeed(&format!("{EXTRACT} --out whole"));
    assert_same(&lab, "whole/alexnet.random-0", "activations/alexnet.random-0");
}

#[test]
fn force_starts_anew_what_differs() {
    let lab = lab();
    unfinished(&lab);
    assert!(!lab.succeed(&format!("{EXTRACT} --resize 230 --force")).stderr.contains("goes on"));
    assert_eq!(lab.names("activations"), ["alexnet.random-0"]);
    let again = lab.succeed(&format!("{EXTRACT} --resize 230"));
    assert_eq!(again.stdout, "activations/alexnet.random-0\n");
    assert!(again.stderr.contains("is there already"), "{again}");
    let other = lab.fail(EXTRACT);
    assert!(other.starts_with("error: there is another run in `activations/alexnet.random-0`: preprocessing: "), "{other}");
}

#[test]
fn shards_merge_to_the_bytes_of_one_run() {
    let lab = lab();
    for (arguments, count) in [(EXTRACT.to_owned(), 5), (format!("{EXTRACT} --average-by folder"), 3)] {
        lab.succeed(&format!("{arguments} --out whole"));
        let shards: Vec<String> = (1..=count)
            .map(|k| lab.succeed(&format!("{arguments} --out parts --shard {k}/{count}")).stdout.trim().to_owned())
            .collect();
        let again = lab.succeed(&format!("{arguments} --out parts --shard 1/{count}"));
        assert!(again.stderr.contains("is there already"), "{again}");
        // Its parts could not be merged.
        let other = arguments.replace("--batch-size 2", "--batch-size 1");
        let other = lab.fail(&format!("{other} --out parts --shard 1/{count}"));
        assert!(other.contains("batch size: 1, was 2"), "{other}");
        let some = shards[1..].join(" ");
        assert!(lab.fail(&format!("merge {some}")).contains(&format!("shards are missing: 1/{count}")));
        assert!(lab.fail(&format!("merge {some} {}", shards[1])).contains("are both shard 2"));
        assert!(
            lab.fail(&format!("rsa --behavior whole/alexnet.random-0/classifier.5.rdm.npy {}", shards[0]))
                .contains("a part of a run")
        );
        let merged = lab.succeed(&format!("merge {}", shards.iter().rev().cloned().collect::<Vec<_>>().join(" ")));
        assert_eq!(merged.stdout, "parts/alexnet.random-0\n");
        assert_same(&lab, "whole/alexnet.random-0", "parts/alexnet.random-0");
        lab.succeed("verify parts/alexnet.random-0 --rows 2");
        let file = lab.path(&format!("{}/classifier.5.npy", shards[0]));
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        assert!(lab.fail(&format!("merge --force {}", shards.join(" "))).contains("is not as it was written"));
        fs::remove_dir_all(lab.path("parts")).unwrap();
        fs::remove_dir_all(lab.path("whole")).unwrap();
    }
    assert!(lab.fail(&format!("{EXTRACT} --shard 1/13")).contains("12 batches cannot be split into 13 shards"));
    let one = lab.succeed(&format!("{EXTRACT} --shard 1/2 --out parts")).stdout;
    let other = lab.succeed(&format!("{EXTRACT} --shard 2/2 --out parts --seed 1")).stdout;
    let error = lab.fail(&format!("merge {} {}", one.trim(), other.trim()));
    assert!(error.contains("are not parts of one run: weights: "), "{error}");
}

#[test]
fn a_merge_that_is_killed_is_begun_again() {
    let lab = lab();
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let shard = |k: usize| lab.succeed(&format!("{EXTRACT} --out parts --shard {k}/2")).stdout.trim().to_owned();
    let shards = [shard(1), shard(2)].join(" ");
    for moment in [0, 15, 30, 45, 60, 80, 100, 130, 160, 200, 250] {
        let mut merge = start(&lab, &format!("merge {shards}"));
        std::thread::sleep(Duration::from_millis(moment));
        merge.kill().unwrap();
        merge.wait().unwrap();
        let whole = lab.path("parts/alexnet.random-0");
        if whole.exists() {
            assert_same(&lab, "whole/alexnet.random-0", "parts/alexnet.random-0");
            fs::remove_dir_all(whole).unwrap();
        }
    }
    lab.succeed(&format!("merge {shards}"));
    assert_same(&lab, "whole/alexnet.random-0", "parts/alexnet.random-0");
    assert_eq!(lab.names("parts").len(), 3);
}

#[test]
fn a_run_is_verified() {
    let lab = lab();
    lab.succeed(EXTRACT);
    let verify = |flags: &str| lab.run(&format!("verify activations/alexnet.random-0 {flags}"));
    assert_output!(verify("").stdout, @r#"
    fine   images    24 rows, named in images.txt
    fine   files     14 layers as written
    fine   made by   the same images, weights, preprocessing and program as now
    fine   again     16 rows of every layer come out the same, to the bit
    "#);
    let said = |outcome: Outcome, text: &str| {
        assert!(outcome.code == Some(1) && outcome.stdout.contains(text), "{text}\n{outcome}");
    };
    let file = "activations/alexnet.random-0/features.3.npy";
    let whole = lab.bytes(file);
    let mut other = whole.clone();
    let middle = other.len() / 8 * 4;
    other[middle..middle + 4].copy_from_slice(&1e9f32.to_le_bytes());
    fs::write(lab.path(file), &other).unwrap();
    said(verify("--rows 24"), "wrong   files     `features.3.npy` is not as it was written");
    said(verify("--rows 24"), "wrong   again     `features.3` differs by");
    fs::write(lab.path(file), &whole[..middle]).unwrap();
    said(verify("--rows 0"), "`features.3.npy` is not as it was written");
    fs::write(lab.path(file), &whole).unwrap();
    let image = lab.bytes("images/b/08.png");
    lab.copy_image("palette.png", "images/b/08.png");
    said(verify(""), "1 changed since the run, the first is `b/08.png`");
    fs::rename(lab.path("images/b/08.png"), lab.path("images/b/80.png")).unwrap();
    said(verify(""), "1 not there any more, the first is `b/08.png`; 1 new, the first is `b/80.png`");
    fs::rename(lab.path("images/b/80.png"), lab.path("images/b/08.png")).unwrap();
    fs::remove_file(lab.path("images/b/08.png")).unwrap();
    assert_eq!(verify("").code, Some(1));
    fs::write(lab.path("images/b/08.png"), image).unwrap();
    let json: serde_json::Value = serde_json::from_str(&verify("--json").stdout).unwrap();
    assert!(json.as_array().unwrap().iter().all(|finding| finding["fault"] == false), "{json}");
    assert!(lab.fail("verify images").contains("there is no run in `images`"));
    assert_eq!(lab.names("activations"), ["alexnet.random-0"]);
}

#[test]
fn an_image_that_changes_while_the_run_goes_on_is_noticed() {
    let lab = lab();
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let before = lab.bytes("images/d/23.jpg");
    let mut run = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(format!("{EXTRACT} --workers 1").split_whitespace())
        .current_dir(lab.path(""))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = lab.path("activations/alexnet.random-0.partial/run.json");
    while !begun.exists() && run.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // Of the same size: only the pixels tell.
    let mut bytes = before.clone();
    let last = bytes.len() - 30;
    bytes[last] ^= 1;
    fs::write(lab.path("images/d/23.jpg"), bytes).unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(run.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("error: `d/23.jpg` is not the file any more that it was when the run began"), "{said}");
    fs::write(lab.path("images/d/23.jpg"), before).unwrap();
    assert!(lab.succeed(EXTRACT).stderr.contains("goes on"));
    assert_same(&lab, "whole/alexnet.random-0", "activations/alexnet.random-0");
}

#[test]
fn where_a_file_cannot_grow_what_is_done_stays() {
    let lab = lab();
    lab.succeed(&format!("{EXTRACT} --out whole"));
    for blocks in [1, 40, 200, 1000, 4000, 12000] {
        // Writes beyond the limit fail as on a full disk.
        let limited =
            format!("trap '' XFSZ; ulimit -f {blocks}; exec {} {EXTRACT} --out limited", env!("CARGO_BIN_EXE_thingsvision"))
                .replace("features.*", "'features.*'");
        let output = Command::new("bash").args(["-c", &limited]).current_dir(lab.path("")).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        if output.status.success() {
            continue;
        }
        assert_eq!(output.status.code(), Some(1), "{blocks}: {stderr}");
        assert!(stderr.contains("error: ") && stderr.contains("File too large"), "{blocks}: {stderr}");
    }
    lab.succeed(&format!("{EXTRACT} --out limited"));
    assert_same(&lab, "whole/alexnet.random-0", "limited/alexnet.random-0");
}
