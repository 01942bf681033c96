//! `thingsvision extract`: which images, in which order, and what the network is shown of them.

use crate::assert_output;
use crate::lab::Lab;
use ndarray::{ArrayD, s};
use std::fs;
use thingsvision::images::{Reading, Window, decode};
use thingsvision::npy;

/// What the network is shown, resized so little that pictures are quickly told apart.
pub const SHOW: &str = "extract --model alexnet --weights random --layer input --rdm none --crop 64 --resize 64";

pub const RUN: &str = "activations/alexnet.random-0";
pub fn shown(lab: &Lab) -> ArrayD<f64> {
    npy::read(&lab.path(&format!("{RUN}/input.npy"))).unwrap()
}

pub fn ids(lab: &Lab) -> Vec<String> {
    fs::read_to_string(lab.path(&format!("{RUN}/images.txt"))).unwrap().lines().map(str::to_owned).collect()
}

pub fn record(lab: &Lab) -> serde_json::Value {
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
