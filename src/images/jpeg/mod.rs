//! JPEG: the bytes of Pillow, for any file that it accepts.
//!
//! libjpeg decodes the entropy coding, the part that differs most between files. What costs most is done here, and only
//! where it is looked at: the inverse cosine transform, the smooth upsampling of the colours, and their conversion.

mod idct;
mod libjpeg;
mod ycc;

use super::decode::Reading;
use super::orientation;
use super::rgb::{Pixel, Rgb, Window, of_cmyk};
use anyhow::{Result, bail};
use image::metadata::Orientation;
use libjpeg::Header;

/// Width and height of the JPEG in `bytes`, in pixels.
pub fn size(bytes: &[u8], reading: &Reading) -> Result<(usize, usize)> {
    let header = header(bytes, reading)?;
    Ok((header.width as usize, header.height as usize))
}

/// Decodes what `looked_at` names, given width and height; of unusual files all.
pub fn decode(bytes: &[u8], reading: &Reading, looked_at: &dyn Fn(usize, usize) -> Window) -> Result<Rgb> {
    let header = header(bytes, reading)?;
    let (width, height) = (header.width as usize, header.height as usize);
    if let Some(sampling) = ycc::Sampling::of(&header) {
        let window = looked_at(width, height);
        let (planes, damaged) = libjpeg::planes(bytes, &header, &sampling.regions(&window))?;
        let pixels = sampling.pixels(&planes, &window);
        return Ok(Rgb { width, height, window, pixels, damaged });
    }
    let (pixels, damaged) = unusual(bytes, &header)?;
    Ok(Rgb { damaged, ..Rgb::new(width, height, pixels) })
}

fn header(bytes: &[u8], reading: &Reading) -> Result<Header> {
    let header = libjpeg::header(bytes)?;
    reading.check_size(header.width as usize, header.height as usize)?;
    Ok(header)
}

/// As its EXIF block or XMP packet says.
pub fn orientation(bytes: &[u8]) -> Orientation {
    orientation::of(segment(bytes, b"Exif\0\0"), segment(bytes, b"http://ns.adobe.com/xap/1.0/\0"))
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
