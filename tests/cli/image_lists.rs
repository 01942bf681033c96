//! `--image-list` with the tables of BIDS and of THINGS as they are.

use crate::assert_output;
use crate::images::{RUN, SHOW, ids, record, shown};
use crate::lab::Lab;
use ndarray::Axis;
use std::fs;

/// A data set of BIDS with two pictures and a table of events.
fn data_set() -> Lab {
    let lab = Lab::new();
    lab.copy_image("rgb-97x61.png", "ds/stimuli/images/one.png");
    lab.copy_image("rgb-40x131.png", "ds/stimuli/stim-two_image.png");
    fs::create_dir_all(lab.path("ds/sub-01/func")).unwrap();
    fs::write(lab.path("ds/dataset_description.json"), "{}").unwrap();
    fs::write(lab.path("ds/stimuli/stim-two_image.json"), "{}").unwrap();
    let events = "onset\tduration\ttrial_type\tstim_file\n1\t1\tface\timages/one.png\n2\t1\tfixation\tn/a\n3\t1\tface\tstim-two_image.png\n";
    fs::write(lab.path("ds/sub-01/func/sub-01_events.tsv"), events).unwrap();
    lab
}

#[test]
fn events_of_bids_name_files_in_the_folder_stimuli() {
    let lab = data_set();
    let events = format!("{SHOW} --image-list ds/sub-01/func/sub-01_events.tsv");
    let said = lab.succeed(&events).stderr;
    assert!(said.contains("images    2 named by sub-01_events.tsv: 2 PNG\n"), "{said}");
    assert!(said.contains("1 row without a picture (`n/a`) left out\n"), "{said}");
    assert_eq!(ids(&lab), ["images/one.png", "stim-two_image.png"]);
    let stimuli = lab.path("ds/stimuli").canonicalize().unwrap();
    assert!(said.contains(&format!("paths begin at `{}`, as in BIDS\n", stimuli.display())), "{said}");
    assert_eq!(record(&lab)["image_origin"]["list"]["root"], stimuli.display().to_string());
    lab.succeed(&format!("{events} --average-by trial_type --force"));
    assert_eq!(ids(&lab), ["face"]);
    // What is named is meant.
    assert!(lab.fail(&format!("{events} --images ds/sub-01 --force")).contains("`ds/sub-01/images/one.png`, which"));
    fs::remove_file(lab.path("ds/dataset_description.json")).unwrap();
    assert!(lab.fail(&format!("{events} --force")).contains("`ds/sub-01/func/images/one.png`, which"));
    fs::write(lab.path("none.tsv"), "onset\tstim_file\n1\tn/a\n").unwrap();
    assert!(lab.fail(&format!("{SHOW} --image-list none.tsv --force")).contains("names no images"));
}

#[test]
fn stimuli_of_bids_are_found_by_their_ids() {
    let lab = data_set();
    let list = format!("{SHOW} --image-list ds/stimuli/stimuli.tsv --force");
    for column in ["stimulus_id", "stim_id"] {
        let table =
            format!("{column}\ttype\tpresent\ntwo\timage\ttrue\nfilm\tvideo\tfalse\none\timage\ttrue\nstim-two\timage\tn/a\n");
        fs::write(lab.path("ds/stimuli/stimuli.tsv"), table).unwrap();
        let said = lab.succeed(&list).stderr;
        assert_eq!(ids(&lab), ["stim-two_image.png", "images/one.png", "stim-two_image.png"]);
        assert!(said.contains("3 images were found by their names: `two` is `stim-two_image.png`\n"), "{said}");
        assert!(said.contains("1 row without a picture (`n/a`, or not `present`) left out\n"), "{said}");
    }
    lab.copy_image("gray.png", "ds/stimuli/stim-two_part-2.png");
    assert_output!(lab.fail(&format!("{list} --images ds/stimuli --skip-unreadable")), @"
    error: `two` can be two images in `ds/stimuli`: `stim-two_image.png` or `stim-two_part-2.png`

    hint: write in the list which is meant, by its path
    ");
    fs::write(lab.path("ds/stimuli/stimuli.tsv"), "stim_id\tfilename\nx\timages/one.png\n").unwrap();
    lab.succeed(&list);
    assert_eq!(ids(&lab), ["images/one.png"]);
    fs::write(lab.path("ds/stimuli/stimuli.tsv"), "stim_id\tn\ngone\t1\n").unwrap();
    assert!(lab.fail(&list).contains("stimuli/gone`, which `ds/stimuli/stimuli.tsv` names, is not there"));
}

#[test]
fn lists_of_things_are_read_as_they_are() {
    let lab = Lab::new();
    lab.succeed(&format!("{SHOW} --images images"));
    let all = shown(&lab);
    let list = format!("{SHOW} --images images --force --image-list");
    // Without a header, and with a folder that the archive of the images has not.
    fs::write(lab.path("image-paths.csv"), "images/a/one.png\nimages/a/two.png\nimages/b/four.png\n").unwrap();
    let said = lab.succeed(&format!("{list} image-paths.csv")).stderr;
    assert_eq!(ids(&lab), ["a/one.png", "a/two.png", "b/four.png"]);
    assert_eq!(shown(&lab), all.select(Axis(0), &[0, 1, 3]));
    assert!(said.contains("the table has no header, for its first line names `images/a/one.png`\n"), "{said}");
    assert!(said.contains("3 images were found by their names: `images/a/one.png` is `a/one.png`\n"), "{said}");
    // Names of files, and columns beside them.
    fs::write(lab.path("sub-01.csv"), "trial_type,stimulus,concept\ntest,four.png,b\ntrain,two.png,a\ntest,four.png,b\n")
        .unwrap();
    let said = lab.succeed(&format!("{list} sub-01.csv")).stderr;
    assert_eq!(ids(&lab), ["b/four.png", "a/two.png", "b/four.png"]);
    assert_eq!(shown(&lab), all.select(Axis(0), &[3, 1, 3]));
    assert!(said.contains("3 images were found by their names: `four.png` is `b/four.png`\n"), "{said}");
    lab.succeed(&format!("{list} sub-01.csv --average-by folder"));
    assert_eq!(ids(&lab), ["b", "a"]);
    // THINGS-MEG's, of which some are not in the archive.
    fs::write(lab.path("P1.csv"), "image_path\nimages_meg/a/one.png\nimages_catch_meg/catch1.png\nimages_test_meg/two.png\n")
        .unwrap();
    assert!(
        lab.fail(&format!("{list} P1.csv")).contains("`images/images_catch_meg/catch1.png`, which `P1.csv` names, is not there")
    );
    lab.succeed(&format!("{list} P1.csv --skip-unreadable"));
    assert_eq!(ids(&lab), ["a/one.png", "a/two.png"]);
    fs::write(lab.path("unique_id.csv"), "a\nb\n").unwrap();
    assert_output!(lab.fail(&format!("{list} unique_id.csv")), @"
    error: `unique_id.csv` has no column of paths; its columns are a

    hint: it names a folder, as THINGS's unique_id.csv does: without a list, --average-by folder makes a row of each folder
    ");
    fs::write(lab.path("image_metadata.npy"), b"\x93NUMPY\x01\0").unwrap();
    assert!(lab.fail(&format!("{list} image_metadata.npy")).contains("is an array of NumPy"));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused_with_both() {
    let lab = Lab::new();
    let listed = |table: &str| {
        fs::write(lab.path("list.csv"), table).unwrap();
        lab.fail(&format!("{SHOW} --images images --image-list list.csv"))
    };
    lab.copy_image("gray.png", "images/b/one.png");
    assert!(listed("stimulus\none.png\n").contains("`one.png` can be two images in `images`: `a/one.png` or `b/one.png`"));
    lab.copy_image("gray.png", "images/image");
    assert_output!(listed("image\na/one.png\n"), @"
    error: `list.csv` can be read in two ways: its first line has the column `image`, and names the file `image`

    hint: write a first line that calls the column of the paths `path`, and no other column so
    ");
    assert!(listed("a/one.png,b/one.png\n").contains("its first line is no header, and names `a/one.png` and `b/one.png`"));
    assert!(listed("path;n\na/one.png;1\n").contains("apart by semicolons"));
    assert!(listed("path\tn\na/one.png\t1\n").contains("apart by tabs"));
    // A missing file is none that is called alike elsewhere.
    assert!(listed("a/one.png\nc/four.png\n").contains("`images/c/four.png`, which `list.csv` names, is not there"));
}

#[test]
fn tables_of_any_make_are_read_and_their_names_steer_no_terminal() {
    let lab = Lab::new();
    let list = format!("{SHOW} --images images --force --image-list list.csv");
    let table = "\u{feff}File Name,\"con,cept\"\ra/one.png,\"x \"\r\"b/four.png\",'=1+1\ra/two.png, x\r";
    fs::write(lab.path("list.csv"), table).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_thingsvision"));
    command.args(list.split_whitespace()).args(["--average-by", "CON,CEPT"]).current_dir(lab.path(""));
    assert!(command.output().unwrap().status.success());
    assert_eq!(ids(&lab), ["x", "=1+1"]);
    assert_eq!(
        String::from_utf8(lab.bytes(&format!("{RUN}/conditions.csv"))).unwrap(),
        "condition,image\nx,a/one.png\n'=1+1,b/four.png\nx,a/two.png\n"
    );
    for table in ["path,\u{1b}[2J\n", "\u{1b}[2J.png\n", "stimulus\n\u{1b}[2J\n"] {
        fs::write(lab.path("list.csv"), table).unwrap();
        let said = lab.fail(&format!("{list} --average-by x"));
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    // Two links to a picture are two files; one that leads back is none.
    std::os::unix::fs::symlink("..", lab.path("images/a/up")).unwrap();
    fs::write(lab.path("list.csv"), "stimulus\nfive.jpg\n").unwrap();
    lab.succeed(&list);
    std::os::unix::fs::symlink("../b/five.jpg", lab.path("images/a/five.jpg")).unwrap();
    assert!(lab.fail(&list).contains("`a/five.jpg` or `b/five.jpg`"));
}
