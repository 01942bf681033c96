//! An image file to RGB bytes, equal to `PIL.Image.open(path).convert("RGB")`.

use super::jpeg;
use super::rgb::{Rgb, check_size};
use crate::advice::advise;
use anyhow::{Context, Result};
use image::{DynamicImage, ImageFormat, ImageReader};
use std::fmt;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// A kind of image file that can be read, told by its first bytes, not by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Through libjpeg.
    Jpeg,
    /// Through the `image` crate.
    Png,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
        })
    }
}

/// How many bytes are read for a header at first.
const HEADER: u64 = 64 * 1024;

/// Reads the size of the image at `path` and fails where decoding would fail for sure.
pub fn check_header(path: &Path) -> Result<Format> {
    let mut file = File::open(path).with_context(|| cannot_read(path))?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEADER).read_to_end(&mut bytes).with_context(|| cannot_read(path))?;
    let format = format(path, &bytes)?;
    let mut size = header_size(format, &bytes);
    if size.is_err() {
        // A long preamble, such as an embedded preview, may put the size later.
        file.read_to_end(&mut bytes).with_context(|| cannot_read(path))?;
        size = header_size(format, &bytes);
    }
    let (width, height) = size.map_err(|error| damaged(path, &error))?;
    check_size(width, height).map_err(|error| damaged(path, &error))?;
    Ok(format)
}

/// Decodes the image at `path`.
pub fn decode(path: &Path) -> Result<Rgb> {
    let bytes = std::fs::read(path).with_context(|| cannot_read(path))?;
    let image = match format(path, &bytes)? {
        Format::Jpeg => jpeg::decode(&bytes),
        Format::Png => decode_png(&bytes),
    };
    image.map_err(|error| damaged(path, &error))
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read `{}`", path.display())
}

fn damaged(path: &Path, error: &anyhow::Error) -> anyhow::Error {
    advise(
        format!("`{}` is damaged: {error:#}", path.display()),
        "replace the file, or take it out of the folder; no image is left out by itself",
    )
}

fn format(path: &Path, bytes: &[u8]) -> Result<Format> {
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(Format::Jpeg);
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    let what = if bytes.is_empty() { "is empty" } else { "is not a JPEG or PNG image" };
    Err(advise(
        format!("`{}` {what}", path.display()),
        "take it out of the folder (or convert it); nothing is left out by itself",
    ))
}

fn header_size(format: Format, bytes: &[u8]) -> Result<(usize, usize)> {
    match format {
        Format::Jpeg => jpeg::size(bytes).map(|size| (size.width, size.height)),
        Format::Png => {
            let (width, height) = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png).into_dimensions()?;
            Ok((width as usize, height as usize))
        }
    }
}

fn decode_png(bytes: &[u8]) -> Result<Rgb> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    // The size is checked here as Pillow does it.
    reader.no_limits();
    let (width, height) = header_size(Format::Png, bytes)?;
    check_size(width, height)?;
    Ok(Rgb { width, height, damaged: false, pixels: as_pillow(reader.decode()?, bytes.get(COLOUR_TYPE) == Some(&0)) })
}

/// Where a PNG says whether it has colour, a palette, alpha.
const COLOUR_TYPE: usize = 25;

/// The RGB bytes that Pillow makes of a decoded PNG: alpha is dropped, 16 bits become 8 as it has them. A file of gray
/// values may have one that is transparent; it is decoded with alpha, but gray to Pillow.
fn as_pillow(image: DynamicImage, gray: bool) -> Vec<u8> {
    let high_byte = |value: &u16| (value >> 8) as u8;
    match image {
        // Pillow's modes `I;16` and `I` are clipped, so that most of a 16-bit picture turns white.
        DynamicImage::ImageLuma16(gray) => gray.iter().flat_map(|&value| [value.min(255) as u8; 3]).collect(),
        DynamicImage::ImageLumaA16(image) if gray => image.pixels().flat_map(|pixel| [pixel.0[0].min(255) as u8; 3]).collect(),
        DynamicImage::ImageLumaA16(gray) => gray.pixels().flat_map(|pixel| [high_byte(&pixel.0[0]); 3]).collect(),
        DynamicImage::ImageRgb16(rgb) => rgb.iter().map(high_byte).collect(),
        DynamicImage::ImageRgba16(rgba) => {
            rgba.pixels().flat_map(|pixel| pixel.0[..3].iter().map(high_byte).collect::<Vec<_>>()).collect()
        }
        image => image.into_rgb8().into_raw(),
    }
}
