//! The RGB bytes of Pillow, and to the bit the tensors that torchvision makes of them; and the colours of matplotlib.

use crate::{fixtures, table};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::PathBuf;
use thingsvision::images::{Pillow, Preprocessing, Reading, Rgb, Size, Window, decode, decode_bytes};
use thingsvision::plot::Scale;

fn digest(bytes: impl AsRef<[u8]>) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn path(file: &str) -> PathBuf {
    fixtures().join("images").join(file)
}

fn all(width: usize, height: usize) -> Window {
    Window::whole(width, height)
}

/// What is found where `pixels.tsv` has `[_, size, digest]`.
fn rgb(file: &str, reading: &Reading) -> [String; 2] {
    match decode(&path(file), reading, &all) {
        Ok(image) => [format!("{}x{}", image.width, image.height), digest(image.bytes())],
        Err(error) => ["-".into(), format!("{error:#}")],
    }
}

/// Files that Pillow reads and the program refuses: what they are, and how the names of the files begin.
const NOT_READ: &[(&str, &[&str])] = &[
    ("lossless JPEG", &["jpeg-lossless"]),
    (
        "PNG with a palette of no colours, or with whole rows missing",
        &["png-damaged-palette-empty", "png-damaged-palette-missing", "png-damaged-data-rows-missing"],
    ),
    ("GIF without palette, or with unknown blocks", &["gif-no-pal", "gif-first-frame-small-no-pal", "gif-damaged-unknown-block"]),
    ("PNM of floating-point numbers", &["pnm-float"]),
    ("TIFF of Lab, or of YCbCr that is not JPEG", &["tiff-ycbcr.tif", "tiff-lab"]),
    ("TIFF compressed as fax group 3 or by zstandard", &["tiff-bilevel-ccitt", "tiff-bilevel-group3", "tiff-rgb-zstd"]),
    ("TIFF without a strip", &["tiff-damaged-missing-strip"]),
];

/// Files that are not read to the bit, and the largest difference.
const NEARLY: &[(&str, u8)] = &[("webp-animated-first-frame-small-alpha.webp", 1), ("webp-animated-first-frame-small.webp", 1)];

#[test]
fn pixels_equal_pillow() {
    let mut wrong = Vec::new();
    let mut not_read = BTreeSet::<&str>::new();
    for row in table("pixels.tsv") {
        let [file, what, size, digest] = &row[..] else { panic!("{row:?}") };
        if NEARLY.iter().any(|(name, _)| name == file) {
            continue;
        }
        let upright = Reading { upright: what == "upright", ..Reading::default() };
        let [found_size, found] = match what.as_str() {
            "rgb" | "upright" | "refused" => rgb(file, &upright),
            _ => continue,
        };
        let is_refused = found_size == "-";
        let known = NOT_READ.iter().flat_map(|(_, names)| *names).find(|name| file.starts_with(**name));
        if is_refused && known.is_some() {
            not_read.extend(known);
        } else if if what == "refused" { !is_refused } else { found != *digest || found_size != *size } {
            wrong.push(format!("{file} {what} {size}: {found_size} {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ: {wrong:#?}", wrong.len());
    assert_eq!(not_read.len(), NOT_READ.iter().map(|(_, names)| names.len()).sum::<usize>(), "all known refusals happen");
}

#[test]
fn what_is_not_exact_is_nearly_so() {
    for (file, bound) in NEARLY {
        let found = decode(&path(file), &Reading::default(), &all).unwrap();
        let expected = decode(&fixtures().join(format!("nearly/{file}.png")), &Reading::default(), &all).unwrap();
        assert_eq!((found.width, found.height), (expected.width, expected.height), "{file}");
        let largest = found.bytes().iter().zip(expected.bytes()).map(|(a, b)| a.abs_diff(b)).max();
        assert_eq!(largest, Some(*bound), "{file}");
    }
}

#[test]
fn formats_beyond_the_common_ones_are_named_as_such() {
    for row in table("pixels.tsv").iter().filter(|row| row[1] == "other") {
        assert!(
            rgb(&row[0], &Reading::default())[1].contains("is not a JPEG, PNG, WebP, BMP, GIF, TIFF or PNM image"),
            "{row:?}"
        );
    }
}

#[test]
fn tensors_equal_torchvision() {
    let mut wrong = Vec::new();
    for row in table("pixels.tsv").iter().filter(|row| row[1].starts_with("tensor")) {
        let [file, what, how, expected] = &row[..] else { panic!("{row:?}") };
        let pillow = if what == "tensor12" { Pillow::UpTo12 } else { Pillow::From13 };
        let whole = picture(file, &all);
        let recipe = recipe(how, &whole, pillow);
        let part = picture(file, &|width, height| recipe.looks_at(width, height));
        for image in [whole, part] {
            let [height, width] = recipe.shown(image.width, image.height);
            let mut tensor = vec![f32::NAN; 3 * height * width];
            recipe.apply(&image, &mut tensor);
            if digest(bytemuck::cast_slice(&tensor)) != *expected {
                wrong.push(format!("{file} {what} {how} from {:?}", image.window));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ: {wrong:#?}", wrong.len());
}

/// Some copies of each file with wrong bytes, or without an end: an error or a picture, and nothing else. As many more as
/// THINGSVISION_FUZZ says.
#[test]
fn damaged_images_are_errors_and_not_crashes() {
    let copies: u64 = std::env::var("THINGSVISION_FUZZ").map_or(2, |copies| copies.parse().unwrap());
    let reading = Reading { max_pixels: 1 << 20, upright: true };
    let mut files: Vec<_> = std::fs::read_dir(path("")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for (number, file) in files.iter().enumerate() {
        let sound = std::fs::read(file).unwrap();
        for copy in 0..copies {
            let mut state = (number as u64) << 32 | (copy + 1);
            let mut random = |below: usize| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize % below.max(1)
            };
            let mut bytes = sound.clone();
            for _ in 0..1 + random(4) {
                let at = if random(2) == 0 { random(bytes.len()) } else { random(bytes.len().min(200)) };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if random(2) == 0 { random(256) as u8 } else { *byte ^ (1 << random(8)) };
                }
            }
            if random(4) == 0 {
                bytes.truncate(random(bytes.len()));
            }
            let looked_at =
                |width: usize, height: usize| Window { columns: width / 3..width, rows: height / 4..height.div_ceil(2) };
            if let Ok(image) = decode_bytes(&bytes, &reading, &looked_at) {
                assert_eq!(image.pixels.len(), image.window.area(), "{}", file.display());
            }
        }
    }
}

/// A file, or the closed form that `make_images` calls `formula`.
fn picture(name: &str, looked_at: &dyn Fn(usize, usize) -> Window) -> Rgb {
    let Some((width, height)) = name.strip_prefix("formula:").and_then(|size| size.split_once('x')) else {
        return decode(&path(name), &Reading::default(), looked_at).unwrap();
    };
    let (width, height): (usize, usize) = (width.parse().unwrap(), height.parse().unwrap());
    let value = |x: usize, y: usize, c: usize| (x * 7 + y * 13 + c * 29 + (x * y) % 17 * 5 + (x * x + y * y) % 23 * 11) % 256;
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| [0, 1, 2, 3].map(|c| value(x, y, c) as u8)));
    Rgb::new(width, height, pixels.collect())
}

/// From "resize crop interpolation", for `image`.
fn recipe(text: &str, image: &Rgb, pillow: Pillow) -> Preprocessing {
    let [resize, crop, interpolation] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    let resize = match resize.split_once('x') {
        _ if resize == "none" => Size::Exactly([image.height, image.width]),
        Some((width, height)) => Size::Exactly([height.parse().unwrap(), width.parse().unwrap()]),
        None => Size::Shorter(resize.parse().unwrap()),
    };
    Preprocessing {
        resize,
        crop: (crop != "none").then(|| crop.parse().unwrap()),
        interpolation: serde_json::from_value(interpolation.into()).unwrap(),
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        pillow,
    }
}

/// matplotlib 3.11: `cm.viridis(0)`, `(127)`, `(255)`; ours is a spline through some of its colours.
#[test]
fn viridis_is_near_that_of_matplotlib() {
    for (share, expected) in [(0.0, [68, 1, 84]), (0.5, [33, 144, 141]), (1.0, [253, 231, 37])] {
        let colour: [u8; 3] = Scale::Viridis.at(share);
        assert!(colour.iter().zip(expected).all(|(ours, theirs): (&u8, u8)| ours.abs_diff(theirs) <= 2), "{colour:?}");
    }
}
