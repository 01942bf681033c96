//! The first page of a TIFF, through the `tiff` crate: gray, palette, RGB and CMYK of 8 bits, and of 16 as Pillow has them.

use crate::images::formats::{Contents, LookedAt, Opened, Reading, Unreadable};
use crate::images::orientation;
use crate::images::rgb::{Pixel, Rgb, of_cmyk, of_gray, of_rgb};
use anyhow::{Context, Result, bail, ensure};
use image::metadata::Orientation;
use std::borrow::Cow;
use std::io::Cursor;
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

pub fn open<'a>(Contents { bytes, .. }: Contents<'a>, reading: &Reading) -> Result<Box<dyn Opened + 'a>> {
    check_texts(bytes)?;
    let indices = as_gray(bytes);
    let has_palette = indices.is_some();
    let bytes = indices.map_or(Cow::Borrowed(bytes), Cow::Owned);
    let mut limits = Limits::default();
    // Eight bytes a pixel are the most; all may be in one strip.
    limits.decoding_buffer_size = reading.max_pixels.saturating_mul(8);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    let mut decoder = Decoder::new(Cursor::new(bytes))?.with_limits(limits);
    let (width, height) = decoder.dimensions()?;
    let (width, height) = (width as usize, height as usize);
    reading.check_size((width, height))?;
    let palette = has_palette.then(|| decoder.get_tag_u16_vec(Tag::ColorMap)).transpose()?;
    Ok(Box::new(Tiff { color: decoder.colortype()?, decoder, width, height, palette }))
}

struct Tiff<'a> {
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
    color: ColorType,
    width: usize,
    height: usize,
    /// Red, green and blue of each index, if that is what the samples are.
    palette: Option<Vec<u16>>,
}

/// How the samples of a pixel become one.
#[derive(Clone, Copy)]
enum Kind {
    Gray,
    Rgb,
    /// Colours are stored multiplied by alpha.
    Premultiplied,
    Cmyk,
}

/// The order of bits in a byte, if not the usual one.
const REVERSED_BITS: u16 = 2;
const ASSOCIATED_ALPHA: u16 = 1;
const UINT: u16 = 1;

impl Tiff<'_> {
    /// What the samples are, how many a pixel has, and of how many bits.
    fn kind(&mut self) -> Result<(Kind, usize, u8)> {
        let formats = self.decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?.unwrap_or_default();
        let fill_order = self.decoder.find_tag_unsigned::<u16>(Tag::FillOrder)?.unwrap_or(1);
        let extra = self.decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?.unwrap_or_default();
        let alpha = if extra.first() == Some(&ASSOCIATED_ALPHA) { Kind::Premultiplied } else { Kind::Rgb };
        let found = match self.color {
            _ if formats.iter().any(|format| *format != UINT) => None,
            ColorType::Gray(bits @ (1 | 2 | 4)) if fill_order != REVERSED_BITS => Some((Kind::Gray, 1, bits)),
            ColorType::Gray(bits @ (8 | 16)) => Some((Kind::Gray, 1, bits)),
            ColorType::GrayA(8) | ColorType::Multiband { bit_depth: 8, num_samples: 2 }
                if extra.first() != Some(&ASSOCIATED_ALPHA) =>
            {
                Some((Kind::Gray, 2, 8))
            }
            ColorType::RGB(bits @ (8 | 16)) => Some((Kind::Rgb, 3, bits)),
            ColorType::RGBA(bits @ (8 | 16)) => Some((alpha, 4, bits)),
            ColorType::CMYK(bits @ (8 | 16)) => Some((Kind::Cmyk, 4, bits)),
            _ => None,
        };
        found.with_context(|| Unreadable::unsupported(format_args!("a TIFF of the kind {:?}", self.color)))
    }

    /// Of 8 bits each, `[height, width, count]`.
    fn samples(&mut self, count: usize, bits: u8) -> Result<Vec<u8>> {
        let mut result = DecodingResult::U8(Vec::new());
        let layout = self.decoder.read_image_to_buffer(&mut result)?;
        let clipped = self.is_clipped();
        let samples: Vec<u8> = match result {
            DecodingResult::U8(samples) if bits < 8 => self.unpack(&samples, bits),
            DecodingResult::U8(samples) => samples,
            DecodingResult::U16(samples) if clipped => samples.iter().map(|&sample| sample.min(255) as u8).collect(),
            DecodingResult::U16(samples) => samples.iter().map(|&sample| (sample >> 8) as u8).collect(),
            _ => bail!(Unreadable::unsupported("a TIFF of other numbers than bytes")),
        };
        if layout.planes == 1 {
            return Ok(samples);
        }
        // One plane after the other, of which only those of the picture are looked at.
        let area = self.width * self.height;
        ensure!(samples.len() >= area * count, "a plane is missing");
        Ok((0..area).flat_map(|i| (0..count).map(move |plane| plane * area + i)).map(|at| samples[at]).collect())
    }

    /// Samples of less than 8 bits lie side by side, rows begin with a byte.
    fn unpack(&self, rows: &[u8], bits: u8) -> Vec<u8> {
        let (each, stride) = (8 / usize::from(bits), (self.width * usize::from(bits)).div_ceil(8));
        let largest = (1u8 << bits) - 1;
        let step = if self.palette.is_some() { 1 } else { 255 / largest };
        let sample = move |row: &[u8], x: usize| {
            let shift = 8 - bits * (x % each + 1) as u8;
            ((row[x / each] >> shift) & largest) * step
        };
        rows.chunks_exact(stride).flat_map(|row| (0..self.width).map(move |x| sample(row, x))).collect()
    }
}

impl Opened for Tiff<'_> {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn orientation(&mut self) -> Orientation {
        let number = self.decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten();
        number.and_then(|number| Orientation::from_exif(u8::try_from(number).ok()?)).unwrap_or(Orientation::NoTransforms)
    }

    fn is_turned_by_pillow(&self) -> bool {
        true
    }

    fn is_clipped(&self) -> bool {
        self.color == ColorType::Gray(16)
    }

    fn decode(mut self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        let (width, height) = self.size();
        let (kind, count, bits) = self.kind()?;
        let samples = self.samples(count, bits)?;
        ensure!(samples.len() == width * height * count, "it has {} samples and not {}", samples.len(), width * height * count);
        let pixels = match &self.palette {
            None => samples.chunks_exact(count).map(|sample| pixel(kind, sample)).collect(),
            Some(palette) => samples.iter().map(|&index| color(palette, index.into())).collect(),
        };
        Ok(Rgb::new(width, height, pixels))
    }
}

/// Fails if a text in the first directory is longer than the file: the crate prints its own place in its source about some.
fn check_texts(bytes: &[u8]) -> Result<()> {
    const ASCII: usize = 2;
    let is_little = bytes.starts_with(b"II");
    let number = |at: usize, count: usize| {
        let bytes = bytes.get(at..at.checked_add(count)?)?;
        let add = |number: usize, byte: &u8| number << 8 | usize::from(*byte);
        Some(if is_little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) })
    };
    // BigTIFF has wider numbers.
    let is_big = bytes.get(2..4).is_some_and(|version| version.contains(&43));
    let (place, wide, width, entry) = if is_big { (8, 8, 8, 20) } else { (4, 4, 2, 12) };
    let Some(start) = number(place, wide) else { return Ok(()) };
    let mut at = start.saturating_add(width);
    for _ in 0..number(start, width).unwrap_or(0) {
        let (Some(kind), Some(length)) = (number(at.saturating_add(2), 2), number(at.saturating_add(4), wide)) else { break };
        ensure!(kind != ASCII || length <= bytes.len(), "a text in it is longer than the file");
        at = at.saturating_add(entry);
    }
    Ok(())
}

/// The file with its palette's indices declared to be gray, as the crate knows no palettes; `None` if it has none.
fn as_gray(bytes: &[u8]) -> Option<Vec<u8>> {
    const PHOTOMETRIC: u16 = 262;
    const PALETTE: u32 = 3;
    const BLACK_IS_ZERO: u16 = 1;
    let entry = orientation::entry(bytes, PHOTOMETRIC).filter(|entry| entry.value == PALETTE)?;
    let mut bytes = bytes.to_vec();
    let value = if entry.is_little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    bytes[entry.at..entry.at + 2].copy_from_slice(&value);
    Some(bytes)
}

/// A palette has all reds, all greens, all blues.
fn color(palette: &[u16], index: usize) -> Pixel {
    let colors = palette.len() / 3;
    let channel = |number: usize| if index < colors { (palette[number * colors + index] >> 8) as u8 } else { 0 };
    [channel(0), channel(1), channel(2), 0]
}

fn pixel(kind: Kind, sample: &[u8]) -> Pixel {
    match kind {
        Kind::Gray => of_gray(sample[0]),
        Kind::Rgb => of_rgb(sample),
        Kind::Cmyk => of_cmyk(std::array::from_fn(|i| sample[i])),
        Kind::Premultiplied => {
            let alpha = u16::from(sample[3]);
            let divided = |color: u8| (u16::from(color) * 255).checked_div(alpha).map_or(0, |color| color.min(255) as u8);
            [divided(sample[0]), divided(sample[1]), divided(sample[2]), 0]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_longer_than_the_file_are_not_left_to_the_crate() {
        // A directory of one entry: the width, which is a text of 4 GB.
        let file = b"II\x2a\0\x08\0\0\0\x01\0\0\x01\x02\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0";
        let big = b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\x01\x02\0\xff\xff\xff\xff\xff\xff\xff\xff";
        for bytes in [&file[..], &big[..]] {
            let error = open(Contents { bytes, is_whole: true }, &Reading::default()).err().unwrap();
            assert_eq!(error.to_string(), "a text in it is longer than the file");
        }
    }
}
