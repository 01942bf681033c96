//! What a network is shown of an image: the flags of `extract` and `layers` that override a model's preprocessing.

use thingsvision::extract::Overrides;
use thingsvision::images::{Interpolation, MOST_SHOWN};

/// What overrides the preprocessing that belongs to the weights.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Pixels, where they are to differ from what the weights were trained with")]
pub struct Pixels {
    /// The length in pixels that the shorter side is resized to
    #[arg(long, value_name = "N", value_parser = parse_side)]
    pub resize: Option<usize>,

    /// The side of the square cut out of the middle; around smaller pictures it is black
    #[arg(long, value_name = "N", value_parser = parse_side)]
    pub crop: Option<usize>,

    /// How pictures are resized
    #[arg(long, value_enum)]
    pub interpolation: Option<Interpolation>,

    /// Show the whole resized picture; all must come to the same size
    #[arg(long, conflicts_with = "crop")]
    pub no_crop: bool,

    /// Squash the whole picture into the square that would be cut out (its side: --crop)
    #[arg(long, conflicts_with_all = ["resize", "no_crop"])]
    pub squash: bool,

    /// Take the preprocessing of this name: imagenet, clip (of OpenAI), half (mean and std 0.5), or one of the registry;
    /// what follows changes it
    #[arg(long, value_name = "NAME")]
    pub preprocess: Option<String>,

    /// Subtracted from red, green and blue after division by 255: 0.485,0.456,0.406
    #[arg(long, value_name = "R,G,B", value_parser = parse_channels)]
    pub mean: Option<Channels>,

    /// Then they are divided by these
    #[arg(long, value_name = "R,G,B", value_parser = parse_channels)]
    pub std: Option<Channels>,

    /// Resize as Pillow did before version 13, which differs for pictures taller than about 2:1
    #[arg(long)]
    pub pillow_12: bool,
}

impl Pixels {
    /// What they change.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            resize: self.resize,
            crop: self.crop,
            interpolation: self.interpolation,
            no_crop: self.no_crop,
            squash: self.squash,
            preprocess: self.preprocess.clone(),
            mean: self.mean.as_ref().map(|mean| mean.0),
            std: self.std.as_ref().map(|std| std.0),
            pillow_12: self.pillow_12,
        }
    }
}

/// A number for red, green and blue.
#[derive(Debug, Clone)]
pub struct Channels(pub [f64; 3]);

fn parse_channels(text: &str) -> Result<Channels, String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .map(Channels)
        .ok_or_else(|| "three numbers are needed: 0.5,0.5,0.5".to_owned())
}

/// A side of a picture.
fn parse_side(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(side @ 1..=MOST_SHOWN) => Ok(side),
        _ => Err(format!("a number of pixels from 1 to {MOST_SHOWN} is needed")),
    }
}
