//! The image formats: each is a file and an entry of the table; what each gives, and why it refuses a file.

mod bmp;
mod gif;
mod jpeg;
mod png;
mod pnm;
mod tiff;
mod webp;

use super::rgb::{Rgb, Window};
use ::tiff::TiffError;
use anyhow::{Result, bail, ensure};
use image::ImageError;
use image::metadata::Orientation;
use std::fmt;

/// In the order in which they are counted and named.
pub static FORMATS: Formats = Formats(&[
    Format { name: "JPEG", begins: |b| b.starts_with(b"\xff\xd8\xff"), open: jpeg::open },
    Format { name: "PNG", begins: |b| b.starts_with(png::SIGNATURE), open: png::open },
    Format { name: "WebP", begins: |b| b.starts_with(b"RIFF") && b.get(8..12) == Some(b"WEBP"), open: webp::open },
    Format { name: "BMP", begins: |b| b.starts_with(b"BM"), open: bmp::open },
    Format { name: "GIF", begins: |b| b.starts_with(b"GIF87a") || b.starts_with(b"GIF89a"), open: gif::open },
    Format { name: "TIFF", begins: |b| matches!(b, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42, ..]), open: tiff::open },
    Format {
        name: "PNM",
        begins: |b| matches!(b, [b'P', b'1'..=b'6', b'#' | b' ' | b'\t' | b'\n' | b'\r' | 0x0c, ..]),
        open: pnm::open,
    },
]);

pub struct Formats(&'static [Format]);

impl Formats {
    /// The format of a file that begins with `bytes`.
    pub fn of(&self, bytes: &[u8]) -> Option<&'static Format> {
        self.0.iter().find(|format| (format.begins)(bytes))
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|format| format.name)
    }
}

/// "JPEG, PNG or GIF".
impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        let (last, others) = names.split_last().expect("there are formats");
        write!(f, "{} or {last}", others.join(", "))
    }
}

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

    /// Whether it has more than 8 bits of gray, of which Pillow shows all from 255 on as white, and all below 0 as black.
    fn is_clipped(&self) -> bool {
        false
    }

    /// Whether there are further pages or frames.
    fn is_continued(&mut self) -> bool {
        false
    }

    /// Whether pixels are transparent, wholly or in part; they are decoded only where there may be such.
    fn is_transparent(&mut self) -> Result<bool> {
        Ok(false)
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
