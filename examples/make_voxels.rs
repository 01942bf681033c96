//! Writes simulated responses of voxels to the example's images, `[trials, voxels]`, and the image of each trial: `cargo run --release
//! --example make_voxels`.
#![allow(clippy::print_stdout)]

use anyhow::Result;
use ndarray::Array2;
use std::path::Path;
use thingsvision::images::{Reading, Window, decode};
use thingsvision::npy;

const VOXELS: usize = 40;
/// The others are noise.
const SEEING: usize = 30;
const REPEATS: usize = 3;
/// A voxel sees the image as so many squares of grey each way.
const SIDE: usize = 3;

/// Numbers with mean 0 and variance 1, nearly normal: sums of twelve that are spread evenly (splitmix64).
struct Noise(u64);

impl Noise {
    fn even(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn next(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}

fn main() -> Result<()> {
    let folder = Path::new("examples");
    let mut names = Vec::new();
    for category in std::fs::read_dir(folder.join("images"))? {
        for file in std::fs::read_dir(category?.path())? {
            names.push(file?.path().strip_prefix(folder.join("images"))?.to_string_lossy().into_owned());
        }
    }
    names.sort();
    let mut seen: Vec<Vec<f64>> = Vec::new();
    for name in &names {
        let image = decode(&folder.join("images").join(name), &Reading::default(), &Window::whole)?;
        let mut squares = [[0.0; 2]; SIDE * SIDE];
        for (place, pixel) in image.pixels.iter().enumerate() {
            let square = place / image.width * SIDE / image.height * SIDE + place % image.width * SIDE / image.width;
            squares[square][0] += f64::from(pixel[1]);
            squares[square][1] += 1.0;
        }
        seen.push(squares.iter().map(|[sum, count]| sum / count / 64.0 - 2.0).collect());
    }
    let mut noise = Noise(2);
    let fields: Vec<Vec<f64>> = (0..SEEING).map(|_| seen[0].iter().map(|_| noise.next() / SIDE as f64).collect()).collect();
    let responses = Array2::from_shape_fn((REPEATS * names.len(), VOXELS), |(trial, voxel)| {
        let image = &seen[trial % names.len()];
        let signal = fields.get(voxel).map_or(0.0, |field| field.iter().zip(image).map(|(weight, pixel)| weight * pixel).sum());
        (2.0 * signal + noise.next()) as f32
    });
    npy::write(&folder.join("voxels.npy"), &responses.into_dyn())?;
    let ids: String = (0..REPEATS).flat_map(|_| &names).map(|name| format!("{name}\n")).collect();
    std::fs::write(folder.join("voxels.ids.txt"), ids)?;
    println!("examples/voxels.npy");
    Ok(())
}
