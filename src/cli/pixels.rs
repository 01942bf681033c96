//! What a network is shown of an image: the flags of `extract` and `layers` that override a model's preprocessing.

use anyhow::Result;
use thingsvision::error::advise;
use thingsvision::images::{Interpolation, MOST_SHOWN, Pillow, Preprocessing, Size};
use thingsvision::registry::{Choice, Registry};

/// What overrides the preprocessing that belongs to the weights.
#[derive(Debug, clap::Args)]
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
    /// What is left of the preprocessing of `choice`, or of the one that is named.
    pub fn preprocessing(&self, registry: &Registry, choice: &Choice) -> Result<Preprocessing> {
        let named = self.preprocess.as_ref().map(|name| registry.preprocessing(name)).transpose()?;
        let own = match named.or(choice.preprocessing) {
            Some(own) => own.clone(),
            None => self.whole().ok_or_else(|| {
                advise(
                    format!("`{}` does not say what its network is to be shown of an image", choice.name()),
                    "say it: --preprocess imagenet, clip or half, or all of --resize, --crop, --mean and --std",
                )
            })?,
        };
        let preprocessing = self.change(&own);
        preprocessing.check()?;
        Ok(preprocessing)
    }

    /// One that these flags say all about.
    fn whole(&self) -> Option<Preprocessing> {
        let resize = if self.squash { self.crop? } else { self.resize? };
        if !self.no_crop {
            self.crop?;
        }
        let (mean, std) = (self.mean.clone()?.0, self.std.clone()?.0);
        let interpolation = Interpolation::Bilinear;
        Some(Preprocessing { resize: Size::Shorter(resize), interpolation, crop: self.crop, mean, std, pillow: Pillow::From13 })
    }

    fn change(&self, own: &Preprocessing) -> Preprocessing {
        let mut preprocessing = own.clone();
        preprocessing.mean = self.mean.as_ref().map_or(own.mean, |mean| mean.0);
        preprocessing.std = self.std.as_ref().map_or(own.std, |std| std.0);
        if let Some(side) = self.resize {
            preprocessing.resize = Size::Shorter(side);
        }
        preprocessing.crop = if self.no_crop { None } else { self.crop.or(own.crop) };
        if self.squash
            && let Some(side) = preprocessing.crop.take()
        {
            preprocessing.resize = Size::Exactly([side, side]);
        }
        preprocessing.interpolation = self.interpolation.unwrap_or(own.interpolation);
        preprocessing.pillow = if self.pillow_12 { Pillow::UpTo12 } else { own.pillow };
        preprocessing
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
