//! Draws the 48 stimuli of the example and writes their behavioural RDM: `cargo run --release --example make_example`.
#![allow(clippy::print_stdout)]

mod looks;
mod scene;
mod things;
mod vectors;

use anyhow::{Result, anyhow};
use jpeg_encoder::{ColorType, Encoder};
use looks::{Colour, FLOORS, GROUNDS, Look, WALLS, rgb};
use ndarray::{Array1, Array2, Axis};
use scene::Scene;
use std::path::Path;
use things::{KINDS, Kind, Part, balls, blocks, bottles, houses, rings, trees};
use vectors::{Vector, along, direction, random, scramble};

/// The sizes of the pictures, in turn.
const SIZES: [(u16, u16); 7] = [(320, 240), (320, 240), (256, 256), (320, 240), (240, 320), (320, 240), (301, 227)];

/// Where the eye looks: the middle of all things, which are about 2 high.
const CENTRE: Vector = [0.0, 1.0, 0.0];

/// One picture: its path below the folder of images, the index of its kind, and its look.
struct Stimulus {
    path: String,
    kind: usize,
    look: Look,
}

/// All stimuli, in the bytewise order of their paths.
fn stimuli() -> Vec<Stimulus> {
    let of_kind = |(kind, &Kind(folder, noun, _, _, looks)): (usize, &Kind)| {
        looks.iter().map(move |&look| {
            let Look(Colour(colour, ..), _, texture) = look;
            Stimulus { path: format!("{folder}/{colour}-{texture:?}-{noun}.jpg").to_lowercase(), kind, look }
        })
    };
    let mut stimuli: Vec<_> = KINDS.iter().enumerate().flat_map(of_kind).collect();
    stimuli.sort_by(|a, b| a.path.cmp(&b.path));
    stimuli
}

impl Stimulus {
    /// The parts of the thing, with the look's colours swapped on some.
    fn parts(&self) -> Vec<Part> {
        let Look(first, second, texture) = self.look;
        let (main, other) = (self.look, Look(second, first, texture));
        let makers = [balls, blocks, bottles, rings, trees, houses];
        makers[self.kind / 3](main, other)[self.kind % 3].clone()
    }

    /// Whether the thing stands outdoors.
    fn outdoor(&self) -> bool {
        ["trees", "houses"].contains(&KINDS[self.kind].0)
    }

    /// The picture's scene, whose surroundings, light and point of view follow from the path.
    fn scene(&self) -> Scene {
        let mut state = self.path.bytes().fold(0, |state, byte| scramble(state ^ u64::from(byte)));
        let mut between = |from: f32, to: f32| {
            state = scramble(state);
            from + (to - from) * random(state)
        };
        let (outdoor, azimuth, distance) = (self.outdoor(), between(-40.0, 40.0), between(4.7, 5.7));
        let elevation = if outdoor { between(4.0, 14.0) } else { between(15.0, 36.0) };
        let ground = if outdoor { GROUNDS[between(0.0, 2.99) as usize] } else { FLOORS[between(0.0, 3.99) as usize] };
        let wall = rgb(WALLS[between(0.0, 3.99) as usize]);
        let sun = direction(azimuth + between(25.0, 70.0) * between(-1.0, 1.0).signum(), between(32.0, 55.0));
        let axes = [direction(azimuth + 90.0, 0.0), direction(azimuth, elevation + 90.0), direction(azimuth, elevation)];
        Scene { parts: self.parts(), outdoor, ground, wall, sun, eye: along(CENTRE, axes[2], distance), axes }
    }

    /// The attributes of the picture, each a (value, weight).
    fn attributes(&self) -> Vec<(f64, f64)> {
        let Kind(folder, _, roundness, elongation, _) = KINDS[self.kind];
        let Look(Colour(_, hue, saturation, lightness), _, texture) = self.look;
        let [hue, saturation, lightness] = [hue.to_radians(), saturation, lightness].map(f64::from);
        let categories = (0..6).map(|n| (f64::from(KINDS[3 * n].0 == folder), 4.0 / 6.0));
        let textures = (0..8).map(|n| (f64::from(texture as u8 == n), 0.7 / 8.0));
        let shape = [(f64::from(self.outdoor()), 3.0), (roundness, 0.75), (elongation.ln(), 0.75)];
        let colour = [(saturation * hue.cos(), 0.4), (saturation * hue.sin(), 0.4), (lightness, 0.4)];
        categories.chain(textures).chain(shape).chain(colour).collect()
    }
}

/// The RDM of the stimuli as if people had judged how dissimilar they are.
///
/// d(i, j) = sqrt(sum over attributes a of w(a) (z(i, a) - z(j, a))^2), where z are the attributes, standardised over the
/// stimuli. The weights w: 4 for the category and 0.7 for the texture, each shared evenly by the indicators of its values;
/// 3 for indoors or outdoors; 0.75 each for roundness and log elongation; and, of the first colour, 0.4 each for lightness
/// and the two coordinates on the colour circle (angle: hue, radius: saturation).
fn behavior(stimuli: &[Stimulus]) -> Array2<f64> {
    let rows: Vec<_> = stimuli.iter().map(Stimulus::attributes).collect();
    let values = Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, a)| rows[i][a].0);
    let weights: Array1<f64> = rows[0].iter().map(|(_, weight)| *weight).collect();
    let mean = values.sum_axis(Axis(0)) / rows.len() as f64;
    let points = (&values - mean) / values.std_axis(Axis(0), 0.0) * weights.sqrt();
    Array2::from_shape_fn((rows.len(), rows.len()), |(i, j)| (&points.row(i) - &points.row(j)).pow2().sum().sqrt())
}

/// Draws every `step`th stimulus from `first` on into its file.
fn draw(stimuli: &[Stimulus], images: &Path, first: usize, step: usize) -> Result<()> {
    for (stimulus, &(width, height)) in stimuli.iter().zip(SIZES.iter().cycle()).skip(first).step_by(step) {
        std::fs::create_dir_all(images.join(KINDS[stimulus.kind].0))?;
        let pixels = stimulus.scene().render(width, height);
        Encoder::new_file(images.join(&stimulus.path), 85)?.encode(&pixels, width, height, ColorType::Rgb)?;
    }
    Ok(())
}

fn main() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let (stimuli, images, threads) = (&stimuli(), &folder.join("images"), std::thread::available_parallelism()?.get());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|first| scope.spawn(move || draw(stimuli, images, first, threads))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    ndarray_npy::write_npy(folder.join("behavior.npy"), &behavior(stimuli))?;
    println!("{} images and behavior.npy in {}", stimuli.len(), folder.display());
    Ok(())
}
