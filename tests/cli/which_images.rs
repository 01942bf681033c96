//! `thingsvision extract`: which images, and in which order.

use crate::assert_output;
use crate::images::{RUN, SHOW, ids, record, shown};
use crate::lab::Lab;
use ndarray::{ArrayD, Axis};
use std::fs;
use thingsvision::npy;

#[test]
fn several_folders_are_told_apart_by_their_names() {
    let lab = Lab::new();
    lab.succeed(&format!("{SHOW} --images images/b --images images/a"));
    assert_eq!(ids(&lab), ["a/one.png", "a/two.png", "b/five.jpg", "b/four.png", "b/three.png"]);
    assert_output!(lab.fail(&format!("{SHOW} --images images --images images/a")), @"
    error: of the folders `images` and `images/a` one lies in the other

    hint: its images would be taken twice: name one of them
    ");
    fs::create_dir(lab.path("other")).unwrap();
    fs::rename(lab.path("images/b"), lab.path("other/a")).unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --images images/a --images other/a")), @"
    error: the folders `images/a` and `other/a` have the same name

    hint: images of several folders are told apart by the names of the folders: rename one, or write an --image-list
    ");
}

#[test]
fn a_list_keeps_its_order_and_what_it_names_twice() {
    let lab = Lab::new();
    lab.succeed(&format!("{SHOW} --images images"));
    let all = shown(&lab);
    fs::write(lab.path("images/some.txt"), "b/four.png\n\na/one.png\nb/four.png\n").unwrap();
    let said = lab.succeed(&format!("{SHOW} --image-list images/some.txt --force"));
    assert!(said.stderr.contains("images    3 named by some.txt: 3 PNG"), "{said}");
    assert_eq!(ids(&lab), ["b/four.png", "a/one.png", "b/four.png"]);
    assert_eq!(shown(&lab), all.select(Axis(0), &[3, 0, 3]));

    fs::write(lab.path("some.csv"), "subject,Image\n1,a/two.png\n2,\"b/five.jpg\"\n").unwrap();
    lab.succeed(&format!("{SHOW} --image-list some.csv --images images --force"));
    assert_eq!(shown(&lab), all.select(Axis(0), &[1, 2]));
    assert_eq!(record(&lab)["image_origin"]["list"]["root"], lab.path("images").display().to_string());

    fs::write(lab.path("some.csv"), "subject,pictures\n1,a/two.png\n").unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --image-list some.csv --force")), @"
    error: `some.csv` has no column of paths; its columns are subject, pictures

    hint: call the column `path` in the first line
    ");
    assert_output!(lab.fail(&format!("{SHOW} --image-list images/some.txt --images . --force")), @"
    error: `./b/four.png`, which `images/some.txt` names, is not there (the first of 3 files that cannot be read)

    hint: relative paths begin at the folder of the list, or at the folder that --images names
    ");
    assert!(lab.fail(&format!("{SHOW} --images images --indices 0")).contains("are for a stack of images"));
}

#[test]
fn rows_are_in_the_order_of_sorted_folders() {
    let lab = Lab::new();
    for folder in ["dog house", "dog-sled", "dog.2", "dog", "cat"] {
        lab.copy_image("rgb-97x61.png", &format!("classes/{folder}/1.png"));
    }
    lab.succeed(&format!("{SHOW} --images classes"));
    assert_eq!(ids(&lab), ["cat/1.png", "dog/1.png", "dog house/1.png", "dog-sled/1.png", "dog.2/1.png"]);
    let said = lab.succeed(&format!("{SHOW} --images classes --average-by folder --force"));
    assert_eq!(ids(&lab), ["cat", "dog", "dog house", "dog-sled", "dog.2"]);
    assert!(!said.stderr.contains("numbers"), "{said}");
    fs::write(lab.path("classes/dog-sled/no.png"), "").unwrap();
    fs::write(lab.path("classes/dog/no.png"), "").unwrap();
    lab.succeed(&format!("{SHOW} --images classes --skip-unreadable --force"));
    assert_eq!(record(&lab)["skipped_images"][0]["id"], "dog/no.png");
}

#[test]
fn an_order_that_is_not_that_of_numbers_is_said_where_it_matters() {
    let lab = Lab::new();
    let show = SHOW.replace(" --rdm none", "");
    for number in [1, 2, 10, 11] {
        lab.copy_image(["rgb-97x61.png", "jpeg-420.jpg", "gray.png"][number % 3], &format!("numbers/{number}.png"));
    }
    let order = "ordered by the bytes of names and not by numbers: `11.png` comes before `2.png`";
    let said = lab.succeed(&format!("{show} --images numbers"));
    assert_eq!(said.stderr.matches(order).count(), 1, "{said}");
    assert_eq!(ids(&lab), ["1.png", "10.png", "11.png", "2.png"]);
    fs::write(lab.path("behavior.csv"), "0,1,2,3\n1,0,3,5\n2,3,0,4\n3,5,4,0\n").unwrap();
    let doubt = "not of numbers: `11.png` before `2.png`. Is what has no names in it?";
    let said = lab.succeed(&format!("rsa --behavior behavior.csv {RUN}"));
    assert_eq!(said.stderr.matches(doubt).count(), 1, "{said}");
    npy::write(&lab.path("features.npy"), &ArrayD::from_shape_fn(vec![4, 3], |at| (at[0] * at[1]) as f32)).unwrap();
    assert!(lab.succeed(&format!("cka {RUN} features.npy")).stderr.contains(doubt));
    fs::write(lab.path("numbers/list.txt"), "1.png\n10.png\n11.png\n2.png\n").unwrap();
    let said = lab.succeed(&format!("{SHOW} --image-list numbers/list.txt --out listed"));
    assert!(!said.stderr.contains(order), "a list is in the order that somebody chose\n{said}");
}

#[test]
fn files_that_are_no_images_are_left_out_counted_and_listed() {
    let lab = Lab::new();
    lab.succeed(&format!("{SHOW} --images images"));
    let all = shown(&lab);
    for (file, content) in [("README.md", "Pictures."), ("b/labels.csv", ""), ("a/Thumbs.db", "\u{1}"), ("a/model", "JPEG")] {
        fs::write(lab.path(&format!("images/{file}")), content).unwrap();
    }
    let said = lab.succeed(&format!("{SHOW} --images images"));
    assert!(said.stderr.contains("is there already"), "the run is the same\n{said}");
    let said = lab.succeed(&format!("{SHOW} --images images --force"));
    let note = "4 files that are no images left out, among them `README.md`; run.json lists them";
    assert!(said.stderr.contains(note), "{said}");
    assert_eq!(shown(&lab), all);
    assert_eq!(record(&lab)["other_files"], serde_json::json!(["README.md", "a/Thumbs.db", "a/model", "b/labels.csv"]));
    // An image by its content, whatever it is called, and what claims to be one.
    lab.copy_image("jpeg-damaged-header-00.jpg", "images/notes.txt");
    assert!(lab.fail(&format!("{SHOW} --images images --force")).contains("`images/notes.txt` "));
    fs::rename(lab.path("images/notes.txt"), lab.path("images/notes.HEIC")).unwrap();
    assert!(lab.fail(&format!("{SHOW} --images images --force")).contains("`images/notes.HEIC` "));
    fs::write(lab.path("images/notes.HEIC"), "").unwrap();
    assert!(lab.fail(&format!("{SHOW} --images images --force")).contains("`images/notes.HEIC` is empty"));
    // A list means what it names.
    fs::write(lab.path("images/list.txt"), "a/one.png\nREADME.md\n").unwrap();
    assert!(lab.fail(&format!("{SHOW} --image-list images/list.txt --force")).contains("`images/README.md` is not a"));
    fs::create_dir(lab.path("texts")).unwrap();
    fs::write(lab.path("texts/a.txt"), "a").unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --images texts --force")), @"
    error: there are no images, but 1 other file, such as `a.txt`

    hint: give JPEG, PNG, WebP, BMP, GIF, TIFF or PNM files
    ");
}

#[test]
fn one_image_is_a_list_of_one() {
    let lab = Lab::new();
    lab.succeed(&format!("{SHOW} --images images"));
    let all = shown(&lab);
    let said = lab.succeed(&format!("{SHOW} --images images/a/two.png --force"));
    assert!(said.stderr.contains("images    1, the file two.png: 1 PNG\n"), "{said}");
    assert_eq!((ids(&lab), shown(&lab)), (vec!["two.png".to_owned()], all.select(Axis(0), &[1])));
    assert_eq!(record(&lab)["image_origin"]["file"], lab.path("images/a/two.png").display().to_string());
    fs::write(lab.path("images/a/no.png"), "no image").unwrap();
    assert!(lab.fail(&format!("{SHOW} --images images/a/no.png --force")).contains("`images/a/no.png` is not a"));
    assert_output!(lab.fail(&format!("{SHOW} --images images/a/*.png --force")), @"
    error: `images/a/*.png` does not exist

    hint: `--images` takes folders of JPEG, PNG, WebP, BMP, GIF, TIFF or PNM files, one such file, or one stack of images (.npy, .hdf5); several files are named in a list: ls images/a/*.png > list.txt, and --image-list list.txt
    ");
    let said = lab.fail(&format!("{SHOW} --images images/a/one.png --images images/a/two.png --force"));
    assert!(said.contains("ls images/a/* > list.txt"), "{said}");
}

#[test]
fn the_column_of_paths_goes_by_its_name_and_not_by_its_place() {
    let lab = Lab::new();
    lab.succeed(&format!("{SHOW} --images images"));
    let all = shown(&lab);
    let listed = |table: &str| {
        fs::write(lab.path("images/list.csv"), table).unwrap();
        lab.succeed(&format!("{SHOW} --image-list images/list.csv --force")).stderr
    };
    let said = listed("image,n,path\nb/four.png,1,a/one.png\nb/five.jpg,2,a/two.png\n");
    assert!(said.contains("paths are those in the column `path`, and not in `image`\n"), "{said}");
    assert_eq!(shown(&lab), all.select(Axis(0), &[0, 1]));
    for name in ["image_path", "Image Path", "filepath", "img", "FileName", "file-path"] {
        let said = listed(&format!("n,{name}\n1,b/four.png\n"));
        assert!(!said.contains("paths are those in the column"), "{said}");
        assert_eq!(ids(&lab), ["b/four.png"]);
    }
    fs::write(lab.path("images/list.csv"), "path,Path\na/one.png,a/two.png\n").unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --image-list images/list.csv --force")), @"
    error: `images/list.csv` has two columns of one name, `path` and `Path`

    hint: call the one of the paths `path`, and the other something else
    ");
}

#[test]
fn an_image_that_a_list_names_again_is_said() {
    let lab = Lab::new();
    fs::write(lab.path("images/list.txt"), "a/one.png\na/two.png\n./a/one.png\n").unwrap();
    let said = lab.succeed(&format!("{SHOW} --image-list images/list.txt"));
    assert!(said.stderr.contains("1 line names an image that was named before: `./a/one.png` as `a/one.png`\n"), "{said}");
    fs::write(lab.path("images/list.txt"), "a/one.png\na/one.png\na/one.png\n").unwrap();
    let said = lab.succeed(&format!("{SHOW} --image-list images/list.txt --force"));
    assert!(said.stderr.contains("2 lines name images that were named before: `a/one.png`\n"), "{said}");
    assert!(!lab.succeed(&format!("{SHOW} --images images --force")).stderr.contains("named before"));
}

#[test]
fn a_list_that_is_not_utf_8_and_names_written_otherwise_are_explained() {
    let lab = Lab::new();
    let listed = |list: &[u8]| {
        fs::write(lab.path("images/list.txt"), list).unwrap();
        lab.fail(&format!("{SHOW} --image-list images/list.txt"))
    };
    assert_output!(listed(b"a/one.png\nb/caf\xe9.png\n"), @r#"
    error: the list `images/list.txt` is not UTF-8, from line 2 on

    hint: save it as UTF-8 (Excel: "CSV UTF-8"; `iconv -f WINDOWS-1252 -t UTF-8`, or -f UTF-16)
    "#);
    assert!(listed(b"\xff\xfea\0/\0").contains("is not UTF-8, but UTF-16"));
    lab.copy_image("gray.png", "images/b/cafe\u{301}.png");
    let otherwise = [
        (
            "b/caf\u{e9}.png",
            "there is `b/cafe\u{301}.png`: an accent is written as one character in one and as two in the other (Unicode NFC and NFD)",
        ),
        ("b\\four.png", "there is `b/four.png`: `/` stands between folders, and not `\\`"),
        ("b/four.png ", "there is `b/four.png`: blanks at the ends of names count"),
        ("B/Four.PNG", "there is `b/four.png`: capitals and small letters differ"),
        ("b\\Four.png", "there is `b/four.png`: `/` stands between folders, and not `\\`, capitals and small letters differ"),
        ("b/fore.png", "relative paths begin at the folder of the list"),
    ];
    for (name, hint) in otherwise {
        let said = listed(name.as_bytes());
        assert!(said.contains("is not there\n") && said.contains(&format!("hint: {hint}")), "{name}: {said}");
    }
}

#[test]
fn other_images_are_named_and_told_to_take_their_own_place() {
    let lab = Lab::new();
    lab.succeed(&format!("{SHOW} --images images"));
    lab.copy_image("gray.png", "images/a/new.png");
    lab.copy_image("gray.png", "images/b/four.png");
    fs::remove_file(lab.path("images/b/three.png")).unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --images images")), @"
    error: there is another run in `activations/alexnet.random-0`: 1 image added (`a/new.png`), 1 image removed (`b/three.png`), 1 image changed (`b/four.png`)

    hint: give these images a place of their own with --out, or replace the run with --force
    ");
}
