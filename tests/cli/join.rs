//! Several processes that make one run together: the bytes of one, whoever of them is killed.

use crate::lab::Lab;
use crate::resume::{assert_same, lab_of, signal, start};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const EXTRACT: &str =
    "extract --model cornet-z --weights random --layer V4 --layer IT --layer decoder.avgpool --images images --batch-size 2";

const PLACE: &str = "activations/cornet-z.random-0.partial";

/// Starts a process that joins, and returns it when it says `text`.
fn joins_and_says(lab: &Lab, text: &str) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_thingsvision"))
        .args(format!("{EXTRACT} --workers 1 --join").split_whitespace())
        .current_dir(lab.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.contains(text)).collect();
    assert!(child.try_wait().unwrap().is_none(), "{said:?}");
    child
}

/// Waits until a journal of the run names rows, or the process ends.
fn wait_for_rows(lab: &Lab, child: &mut Child) {
    let has_rows =
        |name: &String| fs::read_to_string(lab.path(&format!("{PLACE}/{name}"))).is_ok_and(|text| text.contains("rows"));
    let some_rows = || lab.names(PLACE).iter().any(|name| name.starts_with("done.") && has_rows(name));
    while !some_rows() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A picture that is damaged so that it can be read, one early and one late.
fn damage(lab: &Lab) {
    for file in ["images/a/03.jpg", "images/h/55.jpg"] {
        let mut bytes = lab.bytes(file);
        let middle = bytes.len() * 2 / 3;
        bytes[middle..middle + 2].copy_from_slice(&[0xff, 0xd3]);
        fs::write(lab.path(file), bytes).unwrap();
    }
}

#[test]
fn several_processes_give_the_bytes_of_one_also_when_one_is_killed() {
    let lab = lab_of(60);
    damage(&lab);
    for flags in ["", "--average-by folder"] {
        lab.succeed(&format!("{EXTRACT} {flags} --out whole"));
        for killed in [false, true] {
            let mut joined: Vec<Child> = (0..3).map(|_| start(&lab, &format!("{EXTRACT} {flags} --workers 1 --join"))).collect();
            if killed {
                wait_for_rows(&lab, &mut joined[0]);
                joined[0].kill().unwrap();
                joined.remove(0).wait().unwrap();
            }
            for mut child in joined {
                assert_eq!(child.wait().unwrap().code(), Some(0));
            }
            assert_same(&lab, "whole/cornet-z.random-0", "activations/cornet-z.random-0");
            assert_eq!(lab.names("activations"), ["cornet-z.random-0"]);
            let late = lab.succeed(&format!("{EXTRACT} {flags} --join"));
            assert!(late.stderr.contains("is there already") && late.stdout == "activations/cornet-z.random-0\n", "{late}");
            fs::remove_dir_all(lab.path("activations")).unwrap();
        }
        fs::remove_dir_all(lab.path("whole")).unwrap();
    }
}

#[test]
fn when_all_are_killed_the_run_goes_on_with_or_without_others() {
    let lab = lab_of(60);
    damage(&lab);
    lab.succeed(&format!("{EXTRACT} --out whole"));
    for again in [EXTRACT.to_owned(), "resume activations/cornet-z.random-0".to_owned()] {
        let mut joined: Vec<Child> = (0..2).map(|_| start(&lab, &format!("{EXTRACT} --workers 1 --join"))).collect();
        wait_for_rows(&lab, &mut joined[0]);
        for mut child in joined {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        lab.succeed(&again);
        assert_same(&lab, "whole/cornet-z.random-0", "activations/cornet-z.random-0");
        assert_eq!(lab.names("activations"), ["cornet-z.random-0"]);
        fs::remove_dir_all(lab.path("activations")).unwrap();
    }
}

#[test]
fn what_another_has_claimed_is_waited_for_and_taken_over() {
    let lab = lab_of(24);
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let image = lab.bytes("images/d/23.jpg");
    fs::write(lab.path("images/d/23.jpg"), &image[..image.len() / 2]).unwrap();
    // All but the last two rows are made.
    let said = lab.fail(&format!("{EXTRACT} --workers 1 --join"));
    assert!(said.contains("`images/d/23.jpg` is damaged"), "{said}");
    fs::write(lab.path("images/d/23.jpg"), image).unwrap();

    // As another process that is at work on them.
    let other = File::create(lab.path(&format!("{PLACE}/claims/11"))).unwrap();
    other.lock().unwrap();
    let mut joined = joins_and_says(&lab, "waits for rows that other processes make");
    let refused = lab.fail(EXTRACT);
    assert!(refused.contains("another process is making the run") && refused.contains("--join"), "{refused}");
    let differs = lab.fail(&format!("{EXTRACT} --join --resize 230"));
    assert!(differs.contains("is not the same: preprocessing: "), "{differs}");
    assert_eq!(lab.names("activations").len(), 2, "the run and its lock");
    let mut stopped = joins_and_says(&lab, "waits for rows that other processes make");
    signal(&stopped, "-TERM");
    assert_eq!(stopped.wait().unwrap().code(), Some(143));
    assert!(joined.try_wait().unwrap().is_none());
    drop(other);
    assert_eq!(joined.wait().unwrap().code(), Some(0));
    assert_same(&lab, "whole/cornet-z.random-0", "activations/cornet-z.random-0");
    assert_eq!(lab.names("activations"), ["cornet-z.random-0"]);
}

#[test]
fn what_cannot_be_shared_is_said() {
    let lab = lab_of(24);
    fs::create_dir_all(lab.path("activations")).unwrap();
    // As a process that makes the run alone.
    let alone = File::create(lab.path("activations/cornet-z.random-0.lock")).unwrap();
    alone.lock().unwrap();
    let refused = lab.fail(&format!("{EXTRACT} --join"));
    assert!(refused.contains("a process that was started without --join is making the run"), "{refused}");
    drop(alone);
    assert!(lab.fail(&format!("{EXTRACT} --join --model resnet18")).contains("--join takes one --model"));
    for flag in ["--force", "--shard 1/2"] {
        assert_eq!(lab.run(&format!("{EXTRACT} --join {flag}")).code, Some(2));
    }
}
