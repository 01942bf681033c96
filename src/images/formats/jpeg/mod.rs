//! JPEG: the bytes of Pillow, for any file that it accepts.
//!
//! libjpeg decodes the entropy coding, the part that differs most between files. What costs most is done here, and only
//! where it is looked at: the inverse cosine transform, the smooth upsampling of the colours, and their conversion.
//!
//! libjpeg-turbo's own vector code does these to the same bits and in the same time (0.99 to 1.04 of ours for a whole picture;
//! 0.88 to 1.02 for what a crop of 224 sees, where it leaves the end of the file unread and so unchecked), but needs the
//! assembler NASM, which a machine with Rust and a C++ compiler lacks. `mozjpeg-sys` then falls back, with no more than a
//! warning, to code that takes 1.2 to 1.7 times as long and decodes some damaged files to other pixels.

mod idct;
mod libjpeg;
mod ycc;

use crate::images::formats::{Contents, LookedAt, Opened, Reading};
use crate::images::orientation;
use crate::images::rgb::{Pixel, Rgb, of_cmyk, of_rgb};
use anyhow::{Result, bail, ensure};
use image::metadata::Orientation;
use libjpeg::FrameHeader;

pub fn open<'a>(Contents { bytes, .. }: Contents<'a>, _: &Reading) -> Result<Box<dyn Opened + 'a>> {
    Ok(Box::new(Jpeg { bytes, header: libjpeg::header(bytes)? }))
}

/// The same of a part of a TIFF that is to have so many components.
pub(super) fn open_of(Contents { bytes, .. }: Contents, components: usize) -> Result<Box<dyn Opened + '_>> {
    let header = libjpeg::header(bytes)?;
    ensure!(header.components as usize == components, "a part has {} colour components", header.components);
    Ok(Box::new(Jpeg { bytes, header }))
}

/// Of such a part the inks `[rows, columns of the part, 4]`, as they are stored, at least `columns` and `rows` of them.
pub(super) fn inks(bytes: &[u8], (columns, rows): (usize, usize)) -> Result<Vec<u8>> {
    let header = libjpeg::header(bytes)?;
    let is_whole = header.width as usize >= columns && header.height as usize >= rows && header.components == 4;
    ensure!(is_whole, "a part is smaller than its place, or has other colours");
    let mut inks = libjpeg::pixels(bytes, &header, 4)?.0;
    inks.truncate(rows * header.width as usize * 4);
    Ok(inks)
}

struct Jpeg<'a> {
    bytes: &'a [u8],
    header: FrameHeader,
}

impl Opened for Jpeg<'_> {
    fn size(&self) -> (usize, usize) {
        (self.header.width as usize, self.header.height as usize)
    }

    fn orientation(&mut self) -> Orientation {
        orientation::of(segment(self.bytes, b"Exif\0\0"), segment(self.bytes, b"http://ns.adobe.com/xap/1.0/\0"))
    }

    fn is_orientation_first(&self) -> bool {
        true
    }

    /// Of CMYK, RGB and rare sampling factors all.
    fn decode(self: Box<Self>, looked_at: LookedAt) -> Result<Rgb> {
        let (width, height) = self.size();
        if let Some(sampling) = ycc::Sampling::of(&self.header) {
            let window = looked_at(width, height);
            let (planes, damaged) = libjpeg::planes(self.bytes, &self.header, &sampling.regions(&window))?;
            let pixels = sampling.pixels(&planes, &window);
            return Ok(Rgb { width, height, window, pixels, damaged });
        }
        let (channels, to_rgb): (_, fn(&[u8]) -> Pixel) = match self.header.components {
            1 | 3 => (3, of_rgb),
            4 => (4, rgb_of_cmyk),
            other => bail!("a JPEG of {other} colour components"),
        };
        let (bytes, damaged) = libjpeg::pixels(self.bytes, &self.header, channels)?;
        let pixels = bytes.chunks_exact(channels).map(to_rgb).collect();
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

/// Pillow takes every CMYK file as inverted, as Adobe writes them.
fn rgb_of_cmyk(cmyk: &[u8]) -> Pixel {
    of_cmyk(std::array::from_fn(|i| 255 - cmyk[i]))
}
