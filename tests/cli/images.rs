//! `thingsvision extract`: which images, in which order, and what the network is shown of them.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{Array4, ArrayD, Axis, s};
use std::fs;
use thingsvision::images::{Reading, Window, decode};
use thingsvision::npy;

/// What the network is shown, resized so little that pictures are quickly told apart.
const SHOW: &str = "extract --model alexnet --weights random --layer input --rdm none --crop 64 --resize 64";
const RUN: &str = "activations/alexnet.random-0";

fn shown(lab: &Lab) -> ArrayD<f64> {
    npy::read(&lab.path(&format!("{RUN}/input.npy"))).unwrap()
}

fn ids(lab: &Lab) -> Vec<String> {
    fs::read_to_string(lab.path(&format!("{RUN}/images.txt"))).unwrap().lines().map(str::to_owned).collect()
}

fn record(lab: &Lab) -> serde_json::Value {
    serde_json::from_slice(&lab.bytes(&format!("{RUN}/run.json"))).unwrap()
}

#[test]
fn every_format_is_read_and_counted() {
    let lab = Lab::new();
    for (file, to) in [
        ("webp-quality-60.webp", "c/w"),
        ("bmp-24.bmp", "c/b"),
        ("gif-first-frame-small-transparent.gif", "c/g"),
        ("tiff-rgb.tif", "d/t"),
        ("pnm-p6-255.ppm", "d/p"),
        ("png-gray-16.png", "d/16"),
    ] {
        lab.copy_image(file, &format!("images/{to}"));
    }
    let said = lab.succeed(&format!("{SHOW} --images images")).stderr;
    let lines: Vec<_> = said.lines().skip_while(|line| !line.contains("images  ")).take(6).collect();
    assert_output!(lines.join("\n"), @"
      images    11 in 4 folders of 2 to 3: 1 JPEG, 5 PNG, 1 WebP, 1 BMP, 1 GIF, 1 TIFF, 1 PNM
                5 images are smaller than 32 pixels, among them `c/b`
                1 image is transparent in parts, where Pillow shows the colours that were hidden: `c/g`
                1 image has further pages or frames, and the first is taken: `c/g`
                1 image has more than 8 bits of gray, which Pillow clips, so most of it may be white or black: `d/16`; convert to 8 bits
      writes    540.67 kB to activations ([space] free)
    ");
}

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

/// Three pictures of 50 × 40 pixels.
fn stack() -> Array4<u8> {
    Array4::from_shape_fn((3, 40, 50, 3), |(n, y, x, c)| (n * 50 + y * 3 + x * 2 + c * 40) as u8)
}

#[test]
fn a_stack_gives_what_its_pictures_give_as_files() {
    let lab = Lab::new();
    let stack = stack();
    for (i, picture) in stack.outer_iter().enumerate() {
        let header = b"P6 50 40 255\n".to_vec();
        let path = lab.path(&format!("pictures/{i}.ppm"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [header, picture.iter().copied().collect()].concat()).unwrap();
    }
    lab.succeed(&format!("{SHOW} --images pictures"));
    let as_files = shown(&lab);

    npy::write(&lab.path("stack.npy"), &stack.clone().into_dyn()).unwrap();
    let said = lab.succeed(&format!("{SHOW} --images stack.npy --force"));
    assert!(said.stderr.contains("images    3 of 50 × 40 pixels in stack.npy\n"), "{said}");
    assert_eq!(ids(&lab), ["0", "1", "2"]);
    assert_eq!(shown(&lab), as_files);

    write_hdf5(&lab, "stack.hdf5", &["other", "imgBrick"], &stack);
    let said = lab.succeed(&format!("{SHOW} --images stack.hdf5 --dataset imgBrick --indices 2,0-1,2 --force"));
    assert!(said.stderr.contains("images    4 of 50 × 40 pixels in stack.hdf5 (imgBrick), chosen from 3\n"), "{said}");
    assert_eq!(ids(&lab), ["2", "0", "1", "2"]);
    assert_eq!(shown(&lab), as_files.select(Axis(0), &[2, 0, 1, 2]));
    assert_output!(lab.fail(&format!("{SHOW} --images stack.hdf5 --force")), @"
    error: `stack.hdf5` has 2 data sets of four axes and 0 of three, and one is needed

    hint: name it with --dataset; at the top there are: other, imgBrick (in a group: GROUP/NAME)
    ");
    write_hdf5(&lab, "one.h5", &["imgBrick"], &stack);
    fs::write(lab.path("numbers.txt"), "1\n0\n").unwrap();
    lab.succeed(&format!("{SHOW} --images one.h5 --indices numbers.txt --force"));
    assert_eq!(shown(&lab), as_files.select(Axis(0), &[1, 0]));
}

fn write_hdf5(lab: &Lab, file: &str, names: &[&str], stack: &Array4<u8>) {
    let mut builder = hdf5_pure::FileBuilder::new();
    let shape: Vec<u64> = stack.shape().iter().map(|&size| size as u64).collect();
    let bytes: Vec<u8> = stack.iter().copied().collect();
    for name in names {
        builder.create_dataset(name).with_u8_data(&bytes).with_shape(&shape);
    }
    fs::write(lab.path(file), builder.finish().unwrap()).unwrap();
}

#[test]
fn what_is_no_stack_is_refused() {
    let lab = Lab::new();
    npy::write(&lab.path("float.npy"), &ArrayD::<f32>::zeros(vec![2, 8, 8, 3])).unwrap();
    assert!(lab.fail(&format!("{SHOW} --images float.npy")).contains("`float.npy` is no stack of images: "));
    let said = lab.fail(&format!("{SHOW} --images float.npy"));
    assert!(said.contains("save `(a * 255).round().astype('uint8')` if its values are 0 to 1"), "{said}");
    npy::write(&lab.path("one.npy"), &ArrayD::<u8>::zeros(vec![8, 8, 3])).unwrap();
    let said = lab.fail(&format!("{SHOW} --images one.npy"));
    assert!(said.contains("hint: one picture is a stack of one, `a[None]`"), "{said}");
    npy::write(&lab.path("first.npy"), &ArrayD::<u8>::zeros(vec![2, 3, 8, 8])).unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --images first.npy")), @"
    error: `first.npy` is no stack of images: its shape is [2, 3, 8, 8]

    hint: its channels stand first: say so with --channels-first, or save `a.transpose(0, 2, 3, 1)`
    ");
    npy::write(&lab.path("stack.npy"), &stack().into_dyn()).unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --images stack.npy --indices 0-3")), @"
    error: --indices 0-3: there is no image 3: 3 images have the numbers 0 to 2

    hint: write numbers and ranges from 0, 0-99,205, or name a file of numbers
    ");
}

#[test]
fn unreadable_files_are_left_out_on_request_and_listed() {
    let lab = Lab::new();
    lab.succeed(&format!("{SHOW} --images images"));
    let all = shown(&lab);
    fs::write(lab.path("images/notes.png"), "no image").unwrap();
    let whole = lab.bytes("images/b/five.jpg");
    fs::write(lab.path("images/b/half.jpg"), &whole[..whole.len() / 2]).unwrap();
    assert!(lab.fail(&format!("{SHOW} --images images --force")).contains("`images/notes.png` is not a"));
    let said = lab.succeed(&format!("{SHOW} --images images --skip-unreadable --force"));
    assert!(said.stderr.ends_with("left out 2 files that cannot be read; skipped.txt lists them\n"), "{said}");
    assert_eq!(shown(&lab), all);
    assert_eq!(ids(&lab).len(), 5);
    assert_output!(fs::read_to_string(lab.path(&format!("{RUN}/skipped.txt"))).unwrap(), @"
    b/half.jpg	`images/b/half.jpg` is damaged: the file ends in the middle of the picture
    notes.png	`images/notes.png` is not a JPEG, PNG, WebP, BMP, GIF, TIFF or PNM image
    ");
    assert_eq!(record(&lab)["skipped_images"][0]["id"], "b/half.jpg");
    lab.succeed(&format!("{SHOW} --images images/a --force"));
    assert!(!lab.path(&format!("{RUN}/skipped.txt")).exists());
}

#[test]
fn whatever_cannot_be_read_is_left_out_on_request() {
    let lab = Lab::new();
    std::os::unix::fs::symlink("nowhere", lab.path("images/a/link.jpg")).unwrap();
    std::os::unix::fs::symlink("..", lab.path("images/b/up")).unwrap();
    fs::create_dir_all(lab.path("images/c")).unwrap();
    fs::write(lab.path("images/c/only.jpg"), "no image").unwrap();
    assert!(lab.fail(&format!("{SHOW} --images images")).contains("cannot read `images/a/link.jpg`: "));
    let said = lab.succeed(&format!("{SHOW} --images images --skip-unreadable --average-by folder"));
    assert!(said.stderr.contains("no image can be read of 1 condition, among them `c`"), "{said}");
    assert_eq!(record(&lab)["skipped_images"].as_array().unwrap().len(), 3);
    fs::remove_dir_all(lab.path("images/c")).unwrap();
    fs::remove_file(lab.path("images/b/up")).unwrap();
    fs::rename(lab.path("images/a/link.jpg"), lab.path("images/a/.#link.jpg")).unwrap();
    let said = lab.succeed(&format!("{SHOW} --images images --force"));
    assert!(said.stderr.contains("1 hidden file or folder left out"), "{said}");

    fs::write(lab.path("images/some.csv"), "path\n\"a/n\nl.png\"\na/one.png\nb/gone.png\n\"\"\n").unwrap();
    assert!(lab.fail(&format!("{SHOW} --image-list images/some.csv --force")).contains("cannot stand in a list of images"));
    lab.succeed(&format!("{SHOW} --image-list images/some.csv --force --skip-unreadable"));
    assert_eq!(ids(&lab), ["a/one.png"]);
    assert_eq!(record(&lab)["skipped_images"].as_array().unwrap().len(), 3);
}

#[test]
fn the_first_of_several_bad_files_is_named() {
    let lab = Lab::new();
    fs::write(lab.path("images/a/empty.jpg"), "").unwrap();
    fs::write(lab.path("images/z.png"), "no image").unwrap();
    assert_output!(lab.fail(&format!("{SHOW} --images images")), @"
    error: `images/a/empty.jpg` is empty (the first of 2 files that cannot be read)

    hint: take it out of the folder (or convert it), or leave such files out with --skip-unreadable
    ");
    fs::create_dir(lab.path("bad")).unwrap();
    fs::rename(lab.path("images/z.png"), lab.path("bad/z.png")).unwrap();
    assert!(lab.fail(&format!("{SHOW} --images bad --skip-unreadable")).contains("none of the 1 files can be read"));
}

#[test]
fn large_pictures_are_refused_as_pillow_does() {
    let lab = Lab::new();
    fs::write(lab.path("images/bomb.pgm"), "P5 20000 9000 255\n").unwrap();
    let said = lab.fail(&format!("{SHOW} --images images"));
    assert!(
        said.contains("is too large: 20000 × 9000 pixels are more than 178956970\n\nhint: accept it with --max-pixels"),
        "{said}"
    );
    assert!(lab.fail(&format!("{SHOW} --images images/a --max-pixels 5000")).contains("97 × 61 pixels are more than 5000"));
}

#[test]
fn flags_override_the_preprocessing_of_the_weights() {
    let lab = Lab::new();
    let show = "extract --model alexnet --weights random --layer input --rdm none --images images --force";
    let height_and_width = |flags: &str| {
        lab.succeed(&format!("{show} {flags}"));
        shown(&lab).shape()[2..].to_vec()
    };
    assert_eq!(height_and_width(""), [224, 224]);
    assert_eq!(height_and_width("--squash"), [224, 224]);
    assert_eq!(record(&lab)["preprocessing"]["resize"], serde_json::json!([224, 224]));
    assert_eq!(height_and_width("--squash --crop 100 --interpolation lanczos --pillow-12"), [100, 100]);
    let preprocessing = &record(&lab)["preprocessing"];
    assert_eq!((&preprocessing["interpolation"], &preprocessing["pillow"]), (&"lanczos".into(), &12.into()));
    assert_output!(lab.fail(&format!("{show} --no-crop")), @"
    error: without a crop the images differ in size: `a/one.png` becomes 407 × 256, `a/two.png` becomes 256 × 838

    hint: images go through the network together: crop them, or bring them to one size with --squash
    ");
    fs::remove_dir_all(lab.path("images/b")).unwrap();
    fs::remove_file(lab.path("images/a/two.png")).unwrap();
    assert_eq!(height_and_width("--no-crop --resize 70"), [70, 111]);
    assert_output!(lab.fail(&format!("{show} --model clip-vit --crop 100")), @"
    error: `clip-vit` cannot take images of 100 × 100 pixels

    hint: its own preprocessing is: resize 224 (bicubic), crop 224, mean 0.48145466 0.4578275 0.40821073, std 0.26862954 0.26130258 0.27577711; many networks take this size only
    ");
}

#[test]
fn pictures_are_turned_upright_only_on_request() {
    let lab = Lab::new();
    lab.copy_image("jpeg-orientation-6.jpg", "turned/6.jpg");
    let show = "extract --model alexnet --weights random --layer input --rdm none --images turned --no-crop --resize 80 --force";
    lab.succeed(show);
    assert_eq!(shown(&lab).shape()[2..], [80, 128]);
    lab.succeed(&format!("{show} --exif-orientation"));
    assert_eq!(shown(&lab).shape()[2..], [128, 80]);
    assert_eq!(record(&lab)["exif_orientation"], true);

    // An orientation that stands behind many bytes of picture.
    let mut png =
        fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images/rgb-300x260.png")).unwrap();
    assert!(png.len() > 100_000);
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
    let chunk = [&(exif.len() as u32).to_be_bytes()[..], b"eXIf", exif, &[0; 4]].concat();
    let end = png.len() - 12;
    png.splice(end..end, chunk);
    fs::write(lab.path("turned/6.jpg"), png).unwrap();
    lab.succeed(&format!("{show} --exif-orientation"));
    assert_eq!(shown(&lab).shape()[2..], [92, 80]);
}

#[test]
fn part_of_a_picture_is_decoded_as_in_the_whole() {
    let lab = Lab::new();
    for file in
        ["jpeg-420.jpg", "jpeg-422.jpg", "jpeg-440-17x33.jpg", "jpeg-progressive.jpg", "jpeg-gray.jpg", "jpeg-damaged.jpg"]
    {
        lab.copy_image(file, file);
        let decode =
            |looked_at: &dyn Fn(usize, usize) -> Window| decode(&lab.path(file), &Reading::default(), looked_at).unwrap();
        let whole = decode(&Window::whole);
        let pixels = ndarray::Array2::from_shape_vec((whole.height, whole.width), whole.pixels).unwrap();
        for number in 0..60 {
            let range = |size: usize, seed: usize| {
                let start = seed * 7 % size;
                start..start + 1 + seed * 13 % (size - start)
            };
            let window = Window { columns: range(whole.width, number), rows: range(whole.height, number + 5) };
            let part = decode(&|_, _| window.clone());
            let expected = pixels.slice(s![window.rows.clone(), window.columns.clone()]);
            assert!(part.pixels.iter().eq(expected.iter()), "{file} {window:?}");
        }
    }
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
    error: `images/list.csv` has two columns `path`

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
fn what_is_not_shown_of_pictures_is_counted() {
    let lab = Lab::new();
    for file in [
        "jpeg-orientation-6.jpg",
        "jpeg-orientation-1.jpg",
        "png-orientation-6-after-data.png",
        "webp-orientation-6.webp",
        "tiff-orientation-6.tif",
        "rgba.png",
        "gray-alpha.png",
        "png-palette-8-trns.png",
        "png-palette-8.png",
        "webp-alpha-lossless.webp",
        "webp-lossless.webp",
        "gif-transparent.gif",
        "gif-animated.gif",
        "gif-plain.gif",
        "png-animated.png",
        "webp-animated.webp",
        "tiff-multi-page.tif",
        "tiff-rgb.tif",
        "tiff-rgba-unassociated.tif",
    ] {
        lab.copy_image(file, &format!("odd/{file}"));
    }
    let said = lab.succeed(&format!("{SHOW} --images odd")).stderr;
    let lines: Vec<_> = said.lines().skip_while(|line| !line.contains("images  ")).take(6).collect();
    assert_output!(lines[..5].join("\n"), @"
      images    19: 2 JPEG, 6 PNG, 4 WebP, 3 GIF, 4 TIFF
                13 images are smaller than 32 pixels, among them `gif-plain.gif`
                3 images have an EXIF orientation, which Pillow and torchvision do not apply (--exif-orientation does): `jpeg-orientation-6.jpg`
                5 images are transparent in parts, where Pillow shows the colours that were hidden: `gif-transparent.gif`
                4 images have further pages or frames, and the first is taken: `gif-animated.gif`
    ");
    let said = lab.succeed(&format!("{SHOW} --images odd --exif-orientation --force")).stderr;
    assert!(!said.contains("EXIF"), "{said}");
}

#[test]
fn stacks_of_other_orders_and_gray_ones_give_the_same_pixels() {
    let lab = Lab::new();
    let stack = stack();
    npy::write(&lab.path("last.npy"), &stack.clone().into_dyn()).unwrap();
    let first = stack.view().permuted_axes([0, 3, 1, 2]).as_standard_layout().into_owned();
    npy::write(&lab.path("first.npy"), &first.into_dyn()).unwrap();
    let gray = stack.index_axis(Axis(3), 1).to_owned();
    let widened = ndarray::stack(Axis(3), &[gray.view(), gray.view(), gray.view()]).unwrap().as_standard_layout().into_owned();
    npy::write(&lab.path("widened.npy"), &widened.into_dyn()).unwrap();
    let of = |arguments: &str| {
        lab.succeed(&format!("{SHOW} --images {arguments} --force"));
        shown(&lab)
    };
    let (last, three) = (of("last.npy"), of("widened.npy"));
    assert_eq!(of("first.npy --channels-first"), last);
    // Three gray pictures look like one with its channels first.
    npy::write(&lab.path("gray.npy"), &gray.clone().into_dyn()).unwrap();
    assert!(
        lab.fail(&format!("{SHOW} --images gray.npy --force")).contains("gray ones `[images, rows, columns]` are `a[..., None]`")
    );
    npy::write(&lab.path("gray.npy"), &gray.clone().insert_axis(Axis(3)).into_dyn()).unwrap();
    assert_eq!(of("gray.npy"), three);
    let two = gray.slice(s![..2, .., ..]).to_owned();
    npy::write(&lab.path("gray.npy"), &two.clone().into_dyn()).unwrap();
    assert_eq!(of("gray.npy"), three.select(Axis(0), &[0, 1]));
    let mut builder = hdf5_pure::FileBuilder::new();
    builder.create_dataset("imgs").with_u8_data(two.as_slice().unwrap()).with_shape(&[2, 40, 50]);
    fs::write(lab.path("gray.h5"), builder.finish().unwrap()).unwrap();
    assert_eq!(of("gray.h5"), three.select(Axis(0), &[0, 1]));
    assert!(lab.fail(&format!("{SHOW} --images images --channels-first")).contains("are for a stack of images"));
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
