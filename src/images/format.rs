//! What an image format is to whoever reads images: a name, a signature, and a file that is opened once.

use super::rgb::{Rgb, Window};
use anyhow::{Result, bail, ensure};
use image::metadata::Orientation;

/// A kind of image file. A new one is a file and an entry in [`FORMATS`](super::decode::FORMATS).
pub(super) struct Format {
    pub(super) name: &'static str,
    /// Whether a file that begins so is of it, whatever its name.
    pub(super) begins: fn(&[u8]) -> bool,
    /// Reads as much as is needed to know the size, which is checked.
    pub(super) open: for<'a> fn(Source<'a>, &Reading) -> Result<Box<dyn Picture + 'a>>,
    /// Whether the orientation may stand behind the pixels.
    pub(super) late_orientation: bool,
    /// Whether pictures are always turned upright: of all formats Pillow turns only TIFF by itself.
    pub(super) upright: bool,
}

/// An opened file.
pub(super) trait Picture {
    /// Width and height as stored.
    fn size(&self) -> (usize, usize);

    /// How it is to be turned.
    fn orientation(&mut self) -> Orientation {
        Orientation::NoTransforms
    }

    /// Whether it has 16 bits of gray, of which Pillow shows all but the darkest 256 levels as white.
    fn is_clipped(&self) -> bool {
        false
    }

    /// What `looked_at` names, given width and height, or more.
    fn decode(self: Box<Self>, looked_at: LookedAt) -> Result<Rgb>;
}

/// The part of a picture of this width and height that matters.
pub(super) type LookedAt<'a> = &'a dyn Fn(usize, usize) -> Window;

/// How image files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Larger pictures are refused.
    pub max_pixels: usize,
    /// Whether pictures are turned upright as their EXIF orientation says, which Pillow and torchvision do not by themselves.
    pub upright: bool,
}

impl Default for Reading {
    /// As Pillow, which takes larger pictures for a "decompression bomb".
    fn default() -> Self {
        Reading { max_pixels: 178_956_970, upright: false }
    }
}

impl Reading {
    /// Fails for pictures that are too large.
    pub(super) fn check_size(&self, width: usize, height: usize) -> Result<()> {
        if width.saturating_mul(height) > self.max_pixels {
            bail!(Unreadable::TooLarge(format!("{width} × {height} pixels are more than {}", self.max_pixels)));
        }
        ensure!(width > 0 && height > 0, "it has no pixels");
        Ok(())
    }
}

/// The bytes of a file, or its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_whole: bool,
}

/// Why a sound file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// What it is.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// It is larger than wanted.
    #[error("{0}")]
    TooLarge(String),
}
