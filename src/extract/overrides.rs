//! What a network is shown of an image, where that is to differ from what belongs to its weights.

use crate::error::advise;
use crate::images::{Interpolation, MOST_SHOWN, Pillow, Preprocessing, Size};
use crate::registry::{Choice, Registry};
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Changes to a preprocessing; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// The length in pixels that the shorter side is resized to.
    pub resize: Option<usize>,
    /// The side of the square cut out of the middle.
    pub crop: Option<usize>,
    /// How pictures are resized.
    pub interpolation: Option<Interpolation>,
    /// Whether the whole resized picture is shown.
    pub no_crop: bool,
    /// Whether the whole picture is squashed into the square that would be cut out.
    pub squash: bool,
    /// The name of another preprocessing to begin with.
    pub preprocess: Option<String>,
    /// Subtracted from red, green and blue after division by 255.
    pub mean: Option<[f64; 3]>,
    /// Then they are divided by these.
    pub std: Option<[f64; 3]>,
    /// Whether pictures are resized as by Pillow before version 13.
    pub pillow_12: bool,
}

impl Overrides {
    /// Fails for what contradicts itself, or makes pictures of no size.
    pub fn check(&self) -> Result<()> {
        if self.no_crop && self.crop.is_some() || self.squash && (self.resize.is_some() || self.no_crop) {
            return Err(advise("--no-crop, --crop and --squash, --resize contradict each other", "leave out one of them"));
        }
        match [self.resize, self.crop].into_iter().flatten().find(|side| !(1..=MOST_SHOWN).contains(side)) {
            Some(side) => Err(advise(format!("a side of {side} pixels"), format!("1 to {MOST_SHOWN} are possible"))),
            None => Ok(()),
        }
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
