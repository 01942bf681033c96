//! Records, names, links and pipes that others may have left.

use crate::lab::Lab;
use crate::safety::{EXTRACT, save};
use std::fs;
use std::process::Command;

#[test]
fn names_do_not_steer_the_terminal() {
    let lab = Lab::new();
    lab.copy_image("palette.png", "images/a/\u{1b}[31mred\u{202e}.png");
    fs::write(lab.path("images/a/\u{9b}2J.png"), "no image").unwrap();
    let refused = lab.fail(EXTRACT);
    assert!(refused.contains("\\u{9b}2J.png"), "{refused}");
    fs::remove_file(lab.path("images/a/\u{9b}2J.png")).unwrap();
    lab.succeed(EXTRACT);
    // Files have names as they are.
    let ids = fs::read_to_string(lab.path("activations/cornet-z.random-0/images.txt")).unwrap();
    assert_eq!(ids.lines().next(), Some("a/\u{1b}[31mred\u{202e}.png"));
    fs::write(lab.path("twice.csv"), "\u{1b}[2J,x\n\u{1b}[2J,y\na,x\nb,y\n").unwrap();
    let twice = lab.fail("rdm categories twice.csv --out rdm.npy");
    assert!(twice.contains("`\\u{1b}[2J`"), "{twice}");
    let steers = |text: &str| text.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}');
    assert!(!steers(&refused) && !steers(&twice));
}

/// Changes the record of a run.
fn edit(lab: &Lab, run: &str, change: impl FnOnce(&mut serde_json::Value)) {
    let path = lab.path(run).join("run.json");
    let mut record = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut record);
    fs::write(path, record.to_string()).unwrap();
}

#[test]
fn a_record_is_data_and_no_command() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --layer V1"));
    let (whole, run) = ("activations/cornet-z.random-0", "other/cornet-z.random-0");
    let recorded = |change: &dyn Fn(&mut serde_json::Value)| {
        fs::create_dir_all(lab.path(run)).unwrap();
        for name in lab.names(whole) {
            fs::copy(lab.path(whole).join(&name), lab.path(run).join(&name)).unwrap();
        }
        edit(&lab, run, change);
        lab.fail(&format!("resume {run}"))
    };
    assert!(recorded(&|_| ()).contains("belongs in another place"));
    let cache = recorded(&|record| record["request"]["cache"] = "elsewhere".into());
    assert!(cache.contains("the run was begun with --cache") && !lab.path("elsewhere").exists(), "{cache}");
    for words in ["rdm x.npy --out victim.npy", "resume other/cornet-z.random-0", "weights fetch alexnet"] {
        let said = recorded(&|record| {
            let words: Vec<&str> = std::iter::once("thingsvision").chain(words.split(' ')).collect();
            record["command"] = serde_json::json!(words);
            record.as_object_mut().unwrap().remove("request");
        });
        assert!(said.contains("the recorded command is no `extract`"), "{said}");
    }
    assert!(!lab.path("victim.npy").exists());
    // Of several models each goes on into its own folder.
    lab.succeed(&format!("{EXTRACT} --layer V1 --model cornet-r --out two"));
    fs::remove_dir_all(lab.path("two/cornet-r.random-0")).unwrap();
    lab.succeed("resume two/cornet-z.random-0");
    assert_eq!(lab.names("two"), ["cornet-z.random-0"]);
}

#[test]
fn a_record_is_believed_only_as_far_as_the_files_go() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --layer V1"));
    let run = "activations/cornet-z.random-0";
    edit(&lab, run, |record| record["images"] = 1_000_000_000_000_000_000_u64.into());
    let outcome = lab.run(&format!("verify {run}"));
    assert_eq!(outcome.code, Some(1), "{outcome}");
    edit(&lab, run, |record| record["layers"][0]["file"] = "../../images/a/one.png".into());
    assert!(lab.fail("plot rdm").contains("it names a file outside of the folder"));
    edit(&lab, run, |record| record["layers"] = serde_json::json!([]));
    save(&lab, "rdm.npy");
    for command in ["plot rdm", "rsa --behavior rdm.npy", "cka activations/cornet-z.random-0"] {
        assert!(lab.fail(command).contains("it names no layer"), "{command}");
    }
    fs::remove_dir_all(lab.path(run)).unwrap();
    // A journal may name rows and images that there are not.
    lab.succeed(&format!("{EXTRACT} --layer V1 --out whole"));
    lab.succeed(&format!("{EXTRACT} --layer V1"));
    fs::rename(lab.path(run), lab.path(&format!("{run}.partial"))).unwrap();
    edit(&lab, &format!("{run}.partial"), |record| record["complete"] = false.into());
    fs::write(lab.path(&format!("{run}.partial/done.txt")), "rows 0 2\ndamaged 99999999\nrows 4 99999999999999\n").unwrap();
    lab.succeed(&format!("resume {run}"));
    assert_eq!(lab.bytes(&format!("{run}/V1.npy")), lab.bytes("whole/cornet-z.random-0/V1.npy"));
}

#[test]
fn a_record_that_contradicts_itself_or_is_of_another_version_is_told_so() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --layer V1 --force"));
    let run = "activations/cornet-z.random-0";
    let before = lab.bytes(&format!("{run}/V1.npy"));
    // What replaced a run once does not replace it again.
    fs::remove_file(lab.path("images/b/four.png")).unwrap();
    assert!(lab.fail(&format!("resume {run}")).contains("there is another run in"));
    lab.copy_image("rgb-300x260.png", "images/b/four.png");
    assert!(lab.succeed(&format!("resume {run}")).stderr.contains("is there already"));
    assert_eq!(lab.bytes(&format!("{run}/V1.npy")), before);
    let verified = |change: &dyn Fn(&mut serde_json::Value)| {
        let kept = lab.bytes(&format!("{run}/run.json"));
        edit(&lab, run, change);
        let outcome = lab.run(&format!("verify {run}"));
        fs::write(lab.path(&format!("{run}/run.json")), kept).unwrap();
        assert_eq!(outcome.code, Some(1), "{outcome}");
        outcome.stdout
    };
    assert!(verified(&|record| record["request"]["batch_size"] = 0.into()).contains("must be at least 1"));
    let newer = verified(&|record| record["request"]["newer"] = 1.into());
    assert!(newer.contains("what was asked for cannot be read in the record") && newer.contains("fine    files"), "{newer}");
    let shard = serde_json::json!({ "number": 1, "of": 0 });
    assert!(verified(&|record| record["request"]["shard"] = shard.clone()).contains("there is no shard 1 of 0"));
    edit(&lab, run, |record| record["shard"] = shard);
    assert!(lab.fail(&format!("merge {run}")).contains("there is no shard 1 of 0"));
}

#[test]
fn what_is_not_utf8_is_made_or_refused_by_name() {
    use std::os::unix::ffi::OsStrExt;
    let lab = Lab::new();
    let odd = std::ffi::OsStr::from_bytes(b"o\xff");
    let extract = |flag: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thingsvision"));
        command
            .args(format!("{EXTRACT} --layer V1").split_whitespace())
            .arg(flag)
            .arg(odd)
            .current_dir(lab.path(""))
            .output()
            .unwrap()
    };
    assert!(extract("--out").status.success());
    assert!(lab.path("").join(odd).join("cornet-z.random-0/V1.rdm.npy").is_file());
    assert!(String::from_utf8_lossy(&extract("--image-list").stderr).contains("is not UTF-8, and cannot be recorded"));
}

/// Puts a link to `target`, or a pipe, in the place of `file`.
fn replace(lab: &Lab, file: &str, target: Option<&str>) {
    fs::remove_file(lab.path(file)).ok();
    match target {
        Some(target) => std::os::unix::fs::symlink(target, lab.path(file)).unwrap(),
        None => assert!(Command::new("mkfifo").arg(lab.path(file)).status().unwrap().success()),
    }
}

#[test]
fn pipes_and_devices_in_the_place_of_files_are_refused_and_do_not_hang() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    let run = "activations/cornet-z.random-0";
    let kept: Vec<_> = lab.names(run).into_iter().map(|name| (lab.bytes(&format!("{run}/{name}")), name)).collect();
    let commands = [
        ("decoder.avgpool.npy", vec![format!("verify {run}"), format!("rdm {run} --out out.npy"), format!("cka {run} {run}")]),
        ("decoder.avgpool.rdm.npy", vec![format!("verify {run}"), "rsa --behavior rdm.npy".into(), "plot rdm".into()]),
        ("images.txt", vec![format!("verify {run}"), "rsa --behavior rdm.npy".into(), format!("cka {run} {run}")]),
        ("run.json", vec![format!("verify {run}"), "rsa --behavior rdm.npy".into(), format!("resume {run}")]),
    ];
    for (file, commands) in commands {
        for target in [Some("/dev/zero"), None] {
            replace(&lab, &format!("{run}/{file}"), target);
            fs::write(lab.path("rdm.npy"), &kept.iter().find(|(_, name)| name == "decoder.avgpool.rdm.npy").unwrap().0).unwrap();
            for command in &commands {
                let outcome = lab.run(command);
                assert_eq!(outcome.code, Some(1), "{file} {target:?} {command}: {outcome}");
            }
        }
        let (bytes, name) = kept.iter().find(|(_, name)| name == file).unwrap();
        fs::remove_file(lab.path(&format!("{run}/{name}"))).unwrap();
        fs::write(lab.path(&format!("{run}/{name}")), bytes).unwrap();
    }
    lab.succeed(&format!("verify {run}"));
    // What a user names is refused with the reason.
    for target in [Some("/dev/zero"), None] {
        replace(&lab, "given", target);
        let reason = if target.is_some() { "it is a device" } else { "it is a pipe" };
        for command in [
            "extract --model alexnet --weights random --image-list given",
            "extract --model alexnet --weights random --images images --registry given",
            "extract --model alexnet --weights given --images images",
            "rsa --behavior given",
            "rdm given --out out.npy",
            "rdm given --times 0:1 --out out.npy",
            "rdm --from-triplets given --out out.npy",
            "rdm --from-ratings given --scale similarity --out out.npy",
            "rdm categories given --out out.npy",
            "study given",
        ] {
            let said = lab.fail(command);
            assert!(said.contains(reason), "{command}: {said}");
        }
    }
}

#[test]
fn nothing_is_written_through_links_that_others_left() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --layer V1 --out whole"));
    let run = "activations/cornet-z.random-0";
    let begun = |link: &str, hard: bool| {
        fs::remove_dir_all(lab.path("activations")).ok();
        fs::create_dir(lab.path("activations")).unwrap();
        // As it is a moment after it was begun.
        fs::create_dir(lab.path(&format!("{run}.partial"))).unwrap();
        for name in ["V1.npy", "images.txt", "images.sha256", "run.json"] {
            let to = if name == "V1.npy" { "V1.npy.partial" } else { name };
            fs::copy(lab.path("whole/cornet-z.random-0").join(name), lab.path(&format!("{run}.partial/{to}"))).unwrap();
        }
        edit(&lab, &format!("{run}.partial"), |record| record["complete"] = false.into());
        fs::write(lab.path(&format!("{run}.partial/done.txt")), "rows 0 2\n").unwrap();
        fs::write(lab.path("victim"), "precious").unwrap();
        fs::remove_file(lab.path(link)).ok();
        match hard {
            true => fs::hard_link(lab.path("victim"), lab.path(link)).unwrap(),
            false => std::os::unix::fs::symlink(lab.path("victim"), lab.path(link)).unwrap(),
        }
    };
    for hard in [false, true] {
        for link in [
            format!("{run}.partial/V1.npy.partial"),
            format!("{run}.partial/done.txt"),
            format!("{run}.partial/run.json.partial"),
            format!("{run}.partial/V1.rdm.npy.partial"),
            format!("{run}.lock"),
            format!("{run}.gate.lock"),
        ] {
            for command in [EXTRACT.to_owned() + " --layer V1", format!("resume {run}")] {
                begun(&link, hard);
                let outcome = lab.run(&command);
                assert_eq!(fs::read_to_string(lab.path("victim")).unwrap(), "precious", "{link} {command}: {outcome}");
            }
        }
    }
    // An output takes the place of a link, too, that stands where it is written first.
    fs::write(lab.path("victim"), "precious").unwrap();
    std::os::unix::fs::symlink("victim", lab.path("out.npy.partial")).unwrap();
    lab.succeed("rdm whole/cornet-z.random-0/V1.npy --out out.npy");
    assert_eq!(fs::read_to_string(lab.path("victim")).unwrap(), "precious");
}

#[test]
fn no_cell_is_a_formula_and_names_come_back() {
    let lab = Lab::new();
    for name in ["=1+1", "@home", "-x", "'=y"] {
        lab.copy_image("palette.png", &format!("images/{name}/a.png"));
    }
    lab.succeed(&format!("{EXTRACT} --average-by folder --layer V1"));
    let table = fs::read_to_string(lab.path("activations/cornet-z.random-0/conditions.csv")).unwrap();
    for line in ["'=1+1,'=1+1/a.png", "'@home,'@home/a.png", "'-x,'-x/a.png", "''=y,''=y/a.png"] {
        assert!(table.contains(line), "{table}");
    }
    lab.succeed("rdm convert activations/cornet-z.random-0/V1.rdm.npy t.csv");
    let table = fs::read_to_string(lab.path("t.csv")).unwrap();
    assert!(!table.lines().flat_map(|line| line.split(',')).any(|cell| cell.starts_with(['=', '@'])), "{table}");
    lab.succeed("rdm convert t.csv back.npy");
    let ids = fs::read_to_string(lab.path("back.ids.txt")).unwrap();
    assert_eq!(ids, fs::read_to_string(lab.path("activations/cornet-z.random-0/images.txt")).unwrap());
    // Scores name models and targets.
    fs::copy(lab.path("back.npy"), lab.path("=2*3.npy")).unwrap();
    fs::copy(lab.path("back.ids.txt"), lab.path("=2*3.ids.txt")).unwrap();
    lab.succeed("rsa --behavior =2*3.npy --permutations 10");
    let scores = fs::read_to_string(lab.path("rsa.csv")).unwrap();
    assert!(scores.contains("\n'=2*3,") && !scores.contains("\n="), "{scores}");
}

#[test]
fn names_of_rows_that_were_edited_are_not_believed() {
    let lab = Lab::new();
    for shard in ["1/2", "2/2"] {
        lab.succeed(&format!("{EXTRACT} --layer V1 --shard {shard} --batch-size 2"));
    }
    let parts = ["activations/cornet-z.random-0.shard-1-of-2", "activations/cornet-z.random-0.shard-2-of-2"];
    let merge = format!("merge {} {}", parts[0], parts[1]);
    for part in parts {
        for name in ["images.txt", "images.sha256"] {
            let file = lab.path(part).join(name);
            let kept = fs::read_to_string(&file).unwrap();
            let mut lines: Vec<&str> = kept.lines().collect();
            lines.swap(0, 1);
            for edited in [lines.join("\n") + "\n", String::new(), kept[..kept.len() / 2].to_owned()] {
                fs::write(&file, edited).unwrap();
                let said = lab.fail(&merge);
                assert!(said.contains(name) && said.contains("is not as it was written"), "{said}");
            }
            fs::write(&file, kept).unwrap();
        }
    }
    lab.succeed(&merge);
    let run = "activations/cornet-z.random-0";
    lab.succeed(&format!("verify {run}"));
    save(&lab, "rdm.npy");
    fs::copy(lab.path(run).join("images.txt"), lab.path("rdm.ids.txt")).unwrap();
    let kept = fs::read_to_string(lab.path(run).join("images.txt")).unwrap();
    let mut lines: Vec<&str> = kept.lines().collect();
    lines.swap(0, 3);
    for edited in [lines.join("\n") + "\n", lines[..3].join("\n")] {
        fs::write(lab.path(run).join("images.txt"), edited).unwrap();
        for command in [
            "rsa --behavior rdm.npy".to_owned(),
            format!("rdm {run}/V1.npy --out out.npy"),
            format!("cka {run} {run}/V1.npy"),
            format!("plot rdm {run}/V1.rdm.npy"),
        ] {
            let said = lab.fail(&command);
            assert!(said.contains("is not what the run wrote"), "{command}: {said}");
        }
    }
    // An unfinished run goes on with the files that it had.
    fs::write(lab.path(run).join("images.txt"), &kept).unwrap();
    let hashes = lab.bytes(&format!("{run}/images.sha256"));
    fs::rename(lab.path(run), lab.path(&format!("{run}.partial"))).unwrap();
    edit(&lab, &format!("{run}.partial"), |record| record["complete"] = false.into());
    fs::write(lab.path(&format!("{run}.partial/done.txt")), "rows 0 2\n").unwrap();
    fs::write(lab.path(&format!("{run}.partial/images.sha256")), "").unwrap();
    lab.succeed(&format!("{EXTRACT} --layer V1 --batch-size 2"));
    assert_eq!(lab.bytes(&format!("{run}/images.sha256")), hashes);
}
