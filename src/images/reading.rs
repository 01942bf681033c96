//! The contract between `decode.rs` and the image formats: what each gives, and why it refuses a file.

use super::rgb::{Rgb, Window};
use anyhow::{Result, bail, ensure};
use image::ImageError;
use image::metadata::Orientation;
use tiff::TiffError;

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
    pub(super) fn check_size(&self, (width, height): (usize, usize)) -> Result<()> {
        if width.saturating_mul(height) > self.max_pixels {
            bail!(Unreadable::TooLarge(format!("{width} × {height} pixels are more than {}", self.max_pixels)));
        }
        ensure!(width > 0 && height > 0, "it has no pixels");
        Ok(())
    }
}

/// What is looked at of a picture of a width and a height.
pub(super) type LookedAt<'a> = &'a dyn Fn(usize, usize) -> Window;

/// A kind of image file, told by its first bytes, not by its name.
pub(super) struct Format {
    pub name: &'static str,
    /// Whether a file with these bytes begins as one.
    pub begins: fn(&[u8]) -> bool,
    pub open: for<'a> fn(Contents<'a>, &Reading) -> Result<Box<dyn Opened + 'a>>,
}

/// The bytes of a file, or its beginning.
#[derive(Clone, Copy)]
pub(super) struct Contents<'a> {
    pub bytes: &'a [u8],
    pub is_whole: bool,
}

/// An image file whose header was read.
pub(super) trait Opened {
    /// Width and height as stored.
    fn size(&self) -> (usize, usize);

    /// How the stored picture is to be turned.
    fn orientation(&mut self) -> Orientation {
        Orientation::NoTransforms
    }

    /// Whether the orientation always stands before the pixels.
    fn is_orientation_first(&self) -> bool {
        false
    }

    /// Whether Pillow turns the picture by itself.
    fn is_turned_by_pillow(&self) -> bool {
        false
    }

    /// Whether it has 16 bits of gray, of which Pillow shows all but the darkest 256 levels as white.
    fn is_clipped(&self) -> bool {
        false
    }

    /// The pixels as stored, at least those that are `looked_at`.
    fn decode(self: Box<Self>, looked_at: LookedAt) -> Result<Rgb>;
}

/// Why an image file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    Unsupported(String),
    #[error(transparent)]
    Damaged(anyhow::Error),
}

impl Unreadable {
    pub fn unsupported(what: impl std::fmt::Display) -> Unreadable {
        Unreadable::Unsupported(format!("{what} is not supported"))
    }
}

impl From<anyhow::Error> for Unreadable {
    fn from(error: anyhow::Error) -> Unreadable {
        let by_image = matches!(error.downcast_ref(), Some(ImageError::Unsupported(_)));
        let by_tiff = matches!(error.downcast_ref(), Some(TiffError::UnsupportedError(_)));
        if by_image || by_tiff {
            return Unreadable::Unsupported(crate::error::text_of(&error));
        }
        error.downcast().unwrap_or_else(Unreadable::Damaged)
    }
}
