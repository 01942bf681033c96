//! How many images per second are prepared, on one thread: `cargo bench --bench pixels -- FOLDER [REPEATS]`.
//!
//! A line of JSON for each stage. The time of an image is the least over the repeats (10, unless told), that of a stage
//! the sum over the images; files are read into memory before. `benches/pixels.py` does the same with Pillow and
//! torchvision, `benches/make_photos.py` writes photographs to try.

#![allow(clippy::print_stdout)]

// The one of the program.
#[path = "../src/allocator.rs"]
mod allocator;

use anyhow::Result;
use serde_json::json;
use std::time::{Duration, Instant};
use thingsvision::images::{Interpolation, Pillow, Preprocessing, Reading, Resize, Rgb, Size, Window, decode_bytes};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (folder, repeats) = match &arguments[..] {
        [folder] => (folder, 10),
        [folder, repeats] => (folder, repeats.parse()?),
        _ => {
            println!("not run: it needs a folder of images");
            return Ok(());
        }
    };
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<Result<_>>()?;
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(std::fs::read).collect::<Result<_, _>>()?;
    let images: Vec<Rgb> =
        files.iter().map(|file| decode_bytes(file, &Reading::default(), &Window::whole)).collect::<Result<_>>()?;

    let (bilinear, bicubic) = (recipe(256, Interpolation::Bilinear), recipe(224, Interpolation::Bicubic));
    report("decode", repeats, &files, |file| drop(decode_bytes(file, &Reading::default(), &Window::whole)));
    report("resize 256 bilinear", repeats, &images, |image| drop(resize(image, &bilinear)));
    report("resize 224 bicubic", repeats, &images, |image| drop(resize(image, &bicubic)));
    let mut tensor = vec![0.0; 3 * 224 * 224];
    report("all 256 224 bilinear", repeats, &files, |file| all(file, &bilinear, &mut tensor));
    report("all 224 224 bicubic", repeats, &files, |file| all(file, &bicubic, &mut tensor));
    Ok(())
}

fn recipe(side: usize, interpolation: Interpolation) -> Preprocessing {
    Preprocessing {
        resize: Size::Shorter(side),
        interpolation,
        crop: Some(224),
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        pillow: Pillow::From13,
    }
}

/// The whole picture, as torchvision's `Resize` does it.
fn resize(image: &Rgb, recipe: &Preprocessing) -> Rgb {
    let [height, width] = Preprocessing { crop: None, ..recipe.clone() }.shown(image.width, image.height);
    let resize = Resize {
        from: (image.width, image.height),
        to: (width, height),
        interpolation: recipe.interpolation,
        pillow: recipe.pillow,
    };
    resize.apply(image, &Window::whole(width, height))
}

fn all(file: &[u8], recipe: &Preprocessing, tensor: &mut [f32]) {
    let looked_at = |width, height| recipe.looks_at(width, height);
    if let Ok(image) = decode_bytes(file, &Reading::default(), &looked_at) {
        recipe.apply(&image, tensor);
    }
}

fn report<T>(stage: &str, repeats: usize, arguments: &[T], mut function: impl FnMut(&T)) {
    let mut least = vec![Duration::MAX; arguments.len()];
    for _ in 0..repeats {
        for (least, argument) in least.iter_mut().zip(arguments) {
            let start = Instant::now();
            function(argument);
            *least = start.elapsed().min(*least);
        }
    }
    let seconds: f64 = least.iter().map(Duration::as_secs_f64).sum();
    let images_per_s = (arguments.len() as f64 / seconds * 10.0).round() / 10.0;
    println!("{}", json!({ "stage": stage, "images_per_s": images_per_s }));
}
