//! What a network is shown of an image, where that is to differ from what belongs to its weights.

use crate::error::advise;
use crate::images::{Interpolation, MOST_SHOWN, Pillow, Preprocessing, Size};
use crate::registry::{Choice, Registry};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Changes to a preprocessing; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[command(next_help_heading = "Pixels, where they are to differ from what the weights were trained with")]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
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
    #[arg(long, value_name = "R,G,B", value_parser = parse_channels, allow_hyphen_values = true)]
    pub mean: Option<[f64; 3]>,

    /// Then they are divided by these
    #[arg(long, value_name = "R,G,B", value_parser = parse_channels, allow_hyphen_values = true)]
    pub std: Option<[f64; 3]>,

    /// Resize as Pillow did before version 13, which differs for pictures taller than about 2:1
    #[arg(long)]
    pub pillow_12: bool,
}

/// In pixels, of what most networks were made for.
const USUAL_SIDE: usize = 224;

fn parse_channels(text: &str) -> Result<[f64; 3], String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| "three numbers are needed: 0.5,0.5,0.5".to_owned())
}

fn parse_side(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(side @ 1..=MOST_SHOWN) => Ok(side),
        _ => Err(format!("a number of pixels from 1 to {MOST_SHOWN} is needed")),
    }
}

impl Overrides {
    /// Fails for what contradicts itself, or makes pictures of no size.
    pub fn check(&self) -> Result<()> {
        if self.no_crop && self.crop.is_some() || self.squash && (self.resize.is_some() || self.no_crop) {
            return Err(advise("--no-crop, --crop and --squash, --resize contradict each other", "leave out one of them"));
        }
        let in_bytes = |numbers: [f64; 3]| {
            let [r, g, b] = numbers.map(|number| number / 255.0);
            format!("they are of pixels from 0 to 1: {r:.3},{g:.3},{b:.3} if these are of 0 to 255")
        };
        if let Some(mean) = self.mean.filter(|mean| !mean.iter().all(|mean| (0.0..=1.0).contains(mean))) {
            return Err(advise(format!("no pixels have the mean {mean:?}"), in_bytes(mean)));
        }
        if let Some(std) = self.std.filter(|std| std.iter().any(|std| *std > 1.0)) {
            return Err(advise(format!("no pixels have the deviation {std:?}"), in_bytes(std)));
        }
        match [self.resize, self.crop].into_iter().flatten().find(|side| !(1..=MOST_SHOWN).contains(side)) {
            Some(side) => Err(advise(format!("a side of {side} pixels"), format!("1 to {MOST_SHOWN} are possible"))),
            None => Ok(()),
        }
    }

    /// Height and width of what the network is shown, for those who ask for shapes alone; and whether they are a guess, for nothing
    /// says how images are prepared.
    pub fn shown(&self, registry: &Registry, choice: &Choice) -> Result<([usize; 2], bool)> {
        let is_known = self.preprocess.is_some() || choice.preprocessing.is_some() || self.whole().is_some();
        if !is_known {
            let side = self.crop.or(self.resize).unwrap_or(USUAL_SIDE);
            return Ok(([side; 2], self.crop.or(self.resize).is_none()));
        }
        let shown = self.preprocessing(registry, choice)?.shown_always().ok_or_else(|| {
            advise("without a crop the shapes depend on the image", "name a size: --crop 224, or --squash --crop 224")
        })?;
        Ok((shown, false))
    }

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

    /// One that these say all about.
    fn whole(&self) -> Option<Preprocessing> {
        let resize = if self.squash { self.crop? } else { self.resize? };
        if !self.no_crop {
            self.crop?;
        }
        let (mean, std, interpolation) = (self.mean?, self.std?, Interpolation::Bilinear);
        Some(Preprocessing { resize: Size::Shorter(resize), interpolation, crop: self.crop, mean, std, pillow: Pillow::From13 })
    }

    fn change(&self, own: &Preprocessing) -> Preprocessing {
        let crop = if self.no_crop { None } else { self.crop.or(own.crop) };
        let squashed = crop.filter(|_| self.squash);
        Preprocessing {
            resize: match (squashed, self.resize) {
                (Some(side), _) => Size::Exactly([side, side]),
                (None, Some(side)) => Size::Shorter(side),
                (None, None) => own.resize,
            },
            crop: if squashed.is_some() { None } else { crop },
            interpolation: self.interpolation.unwrap_or(own.interpolation),
            mean: self.mean.unwrap_or(own.mean),
            std: self.std.unwrap_or(own.std),
            pillow: if self.pillow_12 { Pillow::UpTo12 } else { own.pillow },
        }
    }
}
