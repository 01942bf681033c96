//! WebP and BMP through the `image` crate, and where its pixels differ from Pillow's, by Pillow's rules.

use super::decode::{Reading, Source, Unsupported};
use super::rgb::Rgb;
use anyhow::{Result, bail, ensure};
use image::codecs::bmp::BmpDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, Rgba};
use std::io::Cursor;

/// A WebP whose header has been read.
pub fn webp<'a>(source: Source<'a>, reading: &Reading) -> Result<WebPDecoder<Cursor<&'a [u8]>>> {
    // What follows is no part of it.
    let end = (number(source.bytes, 4) as usize).saturating_add(8);
    ensure!(!source.is_whole || source.bytes.len() >= end, "the file ends in the middle of the picture");
    let mut decoder = WebPDecoder::new(Cursor::new(&source.bytes[..end.min(source.bytes.len())]))?;
    if decoder.has_animation() {
        // Around a first picture that does not fill the canvas.
        decoder.set_background_color(Rgba([0; 4]))?;
    }
    let (width, height) = decoder.dimensions();
    reading.check_size(width as usize, height as usize)?;
    Ok(decoder)
}

/// The little-endian number of four bytes at `at`; 0 after the end.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

/// A BMP whose header has been read.
pub fn bmp<'a>(source: Source<'a>, reading: &Reading) -> Result<BmpDecoder<Cursor<&'a [u8]>>> {
    bmp_steps(source.bytes)?;
    if number(source.bytes, 10) == 0 {
        bail!(Unsupported("a BMP that does not say where its pixels begin".to_owned()));
    }
    let decoder = BmpDecoder::new(Cursor::new(source.bytes))?;
    let (width, height) = decoder.dimensions();
    reading.check_size(width as usize, height as usize)?;
    Ok(decoder)
}

/// The pixels of a BMP.
pub fn decode_bmp(source: Source, reading: &Reading) -> Result<Rgb> {
    let decoder = bmp(source, reading)?;
    check_runs(source.bytes, decoder.dimensions())?;
    let mut rgb = decode(decoder)?;
    if let Some(bits) = bmp_steps(source.bytes)? {
        // Pillow widens 5 and 6 bits as `v · 255 / 31`, rounded down.
        let widen = |value: u8, bits: u32| {
            let largest = (1u32 << bits) - 1;
            ((u32::from(value) >> (8 - bits)) * 255 / largest) as u8
        };
        for pixel in &mut rgb.pixels {
            *pixel = [widen(pixel[0], bits[0]), widen(pixel[1], bits[1]), widen(pixel[2], bits[2]), 0];
        }
    }
    Ok(rgb)
}

/// How many bits red, green and blue have in a BMP of 16 bits a pixel; `None` for others. Fails for arrangements that
/// Pillow refuses.
fn bmp_steps(bytes: &[u8]) -> Result<Option<[u32; 3]>> {
    const BITFIELDS: u32 = 3;
    let number = |at| number(bytes, at);
    let (header, bits, compression) = (number(14), number(26) >> 16, number(30));
    if header < 40 || compression != BITFIELDS && bits != 16 {
        return Ok(None);
    }
    let masks = if compression == BITFIELDS { [number(54), number(58), number(62)] } else { [0x7c00, 0x3e0, 0x1f] };
    match (bits, masks) {
        (16, [0xf800, 0x7e0, 0x1f]) => Ok(Some([5, 6, 5])),
        (16, [0x7c00, 0x3e0, 0x1f]) => Ok(Some([5, 5, 5])),
        (24 | 32, masks) if masks.iter().all(|mask| matches!(mask, 0xff | 0xff00 | 0xff_0000 | 0xff00_0000)) => Ok(None),
        _ => bail!(Unsupported(format!("a BMP with colours at the bits {masks:x?}"))),
    }
}

/// Fails if the runs of a run-length encoded BMP leave gaps, which every program fills in its own way.
fn check_runs(bytes: &[u8], (width, height): (u32, u32)) -> Result<()> {
    let per_byte = match (number(bytes, 14), number(bytes, 30)) {
        (40.., 1) => 1,
        (40.., 2) => 2,
        _ => return Ok(()),
    };
    let gap = || Unsupported("a BMP whose runs leave gaps".to_owned());
    let mut runs = bytes.get(number(bytes, 10) as usize..).unwrap_or_default();
    let (mut x, mut rows) = (0, 0);
    while let [count, value, rest @ ..] = runs {
        runs = rest;
        match (*count, *value) {
            (0, 0 | 1) if x < width && rows < height && !(x == 0 && rows > 0 && *value == 0) => bail!(gap()),
            (0, 0) => (x, rows) = (0, rows + 1),
            (0, 1) => break,
            (0, 2) => bail!(gap()),
            (0, literals) => {
                x += u32::from(literals);
                let bytes = usize::from(literals).div_ceil(per_byte);
                runs = runs.get(bytes + bytes % 2..).unwrap_or_default();
            }
            (count, _) => x += u32::from(count),
        }
    }
    Ok(())
}

/// All pixels; alpha is dropped.
pub fn decode(decoder: impl ImageDecoder) -> Result<Rgb> {
    let image = DynamicImage::from_decoder(decoder)?.into_rgb8();
    Ok(Rgb::from_bytes(image.width() as usize, image.height() as usize, image.as_raw()))
}
