//! JPEG: the bytes of Pillow, for any file that it accepts.
//!
//! libjpeg decodes the entropy coding, the part that differs most between files. What costs most is done here, and only
//! where it is looked at: the inverse cosine transform, the smooth upsampling of the colours, and their conversion.

mod idct;
mod libjpeg;
mod ycc;

use super::format::{Format, LookedAt, Picture, Reading};
use super::orientation;
use super::rgb::{Pixel, Rgb, of_cmyk};
use anyhow::{Result, bail};
use image::metadata::Orientation;
use libjpeg::Header;

pub(super) const FORMAT: Format = Format {
    name: "JPEG",
    begins: |bytes| bytes.starts_with(b"\xff\xd8\xff"),
    open: |source, reading| Ok(Box::new(Jpeg::new(source.bytes, reading)?)),
    late_orientation: false,
    upright: false,
};

struct Jpeg<'a> {
    bytes: &'a [u8],
    header: Header,
}

impl<'a> Jpeg<'a> {
    fn new(bytes: &'a [u8], reading: &Reading) -> Result<Jpeg<'a>> {
        let header = libjpeg::header(bytes)?;
        reading.check_size(header.width as usize, header.height as usize)?;
        Ok(Jpeg { bytes, header })
    }
}

impl Picture for Jpeg<'_> {
    fn size(&self) -> (usize, usize) {
        (self.header.width as usize, self.header.height as usize)
    }

    /// As its EXIF block or XMP packet says.
    fn orientation(&mut self) -> Orientation {
        orientation::of(segment(self.bytes, b"Exif\0\0"), segment(self.bytes, b"http://ns.adobe.com/xap/1.0/\0"))
    }

    /// Of unusual files all.
    fn decode(self: Box<Self>, looked_at: LookedAt) -> Result<Rgb> {
        let (width, height) = self.size();
        if let Some(sampling) = ycc::Sampling::of(&self.header) {
            let window = looked_at(width, height);
            let (planes, damaged) = libjpeg::planes(self.bytes, &self.header, &sampling.regions(&window))?;
            let pixels = sampling.pixels(&planes, &window);
            return Ok(Rgb { width, height, window, pixels, damaged });
        }
        let (pixels, damaged) = unusual(self.bytes, &self.header)?;
        Ok(Rgb { damaged, ..Rgb::new(width, height, pixels) })
    }
}

/// The first application segment (APP1) that begins with `name`, without it. Every segment has a marker and its length.
fn segment<'a>(bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    const APP1: u8 = 0xe1;
    const START_OF_SCAN: u8 = 0xda;
    let mut rest = bytes.get(2..)?;
    loop {
        let [0xff, marker, high, low, ..] = *rest else { return None };
        if marker == 0xff {
            rest = &rest[1..];
            continue;
        }
        let segment = rest.get(4..2 + usize::from(u16::from_be_bytes([high, low])))?;
        match segment.strip_prefix(name) {
            Some(found) if marker == APP1 => return Some(found),
            _ if marker == START_OF_SCAN => return None,
            _ => rest = &rest[4 + segment.len()..],
        }
    }
}

/// Whatever else there is: CMYK, RGB, rare sampling factors.
fn unusual(bytes: &[u8], header: &Header) -> Result<(Vec<Pixel>, bool)> {
    match header.components {
        1 | 3 => {
            let (bytes, damaged) = libjpeg::pixels(bytes, header, 3)?;
            Ok((bytes.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2], 0]).collect(), damaged))
        }
        4 => {
            let (bytes, damaged) = libjpeg::pixels(bytes, header, 4)?;
            Ok((bytes.chunks_exact(4).map(rgb_of_cmyk).collect(), damaged))
        }
        other => bail!("a JPEG of {other} colour components"),
    }
}

/// Pillow takes every CMYK file as inverted, as Adobe writes them.
fn rgb_of_cmyk(cmyk: &[u8]) -> Pixel {
    of_cmyk(std::array::from_fn(|i| 255 - cmyk[i]))
}
