//! The first page of a TIFF, by Pillow's rules for the fields that it has. What lies in the file as it is, or as JPEG, is read here,
//! the rest through the `tiff` crate.

mod chunks;
mod layout;

use crate::images::formats::{Contents, LookedAt, Opened, Reading, Unreadable};
use crate::images::orientation;
use crate::images::rgb::{Pixel, Rgb, of_cmyk, of_gray, of_rgb};
use anyhow::{Result, bail, ensure};
use chunks::{Chunks, clipped};
use image::metadata::Orientation;
use layout::{JPEG, Kind, Layout, NO_COMPRESSION};
use std::borrow::Cow;
use std::io::Cursor;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

const PHOTOMETRIC: u16 = 262;

pub fn open<'a>(Contents { bytes, .. }: Contents<'a>, reading: &Reading) -> Result<Box<dyn Opened + 'a>> {
    check_texts(bytes)?;
    let is_little = bytes[0] == b'I';
    let photometric = orientation::entry(bytes, PHOTOMETRIC);
    let neutral = photometric.map(|entry| as_gray(bytes, entry));
    // Eight bytes a pixel are the most; all may be in one strip.
    let most = reading.max_pixels.saturating_mul(8);
    let mut decoder = decoder(neutral.map_or(Cow::Borrowed(bytes), Cow::Owned), most)?;
    let (width, height) = decoder.dimensions()?;
    let size = (width as usize, height as usize);
    reading.check_size(size)?;
    let photometric = match photometric {
        Some(entry) => entry.value as u16,
        None => decoder.get_tag_unsigned(Tag::PhotometricInterpretation)?,
    };
    let layout = Layout::of(&mut decoder, photometric, is_little)?;
    let palette = (layout.kind == Kind::Palette).then(|| decoder.get_tag_u16_vec(Tag::ColorMap)).transpose()?;
    Ok(Box::new(Tiff { bytes, is_little, decoder, photometric, layout, size, palette, most }))
}

fn decoder(bytes: Cow<[u8]>, most: usize) -> Result<Decoder<Cursor<Cow<[u8]>>>> {
    let mut limits = Limits::default();
    limits.decoding_buffer_size = most;
    limits.intermediate_buffer_size = most;
    Ok(Decoder::new(Cursor::new(bytes))?.with_limits(limits))
}

struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
    /// Of the file with its colours declared to be gray, so that the crate hands them on as they are.
    decoder: Decoder<Cursor<Cow<'a, [u8]>>>,
    photometric: u16,
    layout: Layout,
    size: (usize, usize),
    /// Red, green and blue of each index, if that is what the samples are.
    palette: Option<Vec<u16>>,
    /// Bytes that may be decoded.
    most: usize,
}

impl Tiff<'_> {
    /// Of 8 bits each, or of as many as there are if these are fewer, `[height, width, samples]`.
    fn samples(&mut self) -> Result<Vec<u8>> {
        let Tiff { layout, size, .. } = *self;
        let samples = match layout.compression {
            NO_COMPRESSION | JPEG => Chunks::of(&mut self.decoder, size)?.samples(self.bytes, self.is_little, &layout, size)?,
            _ => self.unpacked()?,
        };
        let needed = size.0 * size.1 * layout.samples;
        ensure!(samples.len() == needed, "it has {} samples and not {needed}", samples.len());
        Ok(samples)
    }

    /// The same of a compressed file.
    fn unpacked(&mut self) -> Result<Vec<u8>> {
        let Layout { kind, bits, stored, samples, planar, reversed, .. } = self.layout;
        let is_classic = matches!(self.bytes[2..4], [42, 0] | [0, 42]);
        if !is_classic && !matches!(self.photometric, 1 | 2 | 5) {
            bail!(Unreadable::unsupported("a compressed BigTIFF of such colours"));
        }
        if reversed {
            let chunks = Chunks::of(&mut self.decoder, self.size)?;
            let turned = chunks.turned(self.decoder.inner().get_ref().to_vec());
            self.decoder = decoder(Cow::Owned(turned), self.most)?;
        }
        let mut result = DecodingResult::U8(Vec::new());
        self.decoder.read_image_to_buffer(&mut result)?;
        let of = |values: &mut dyn Iterator<Item = f64>| values.map(clipped).collect();
        let all: Vec<u8> = match result {
            DecodingResult::U8(values) if bits < 8 => self.unpack(&values, bits),
            DecodingResult::U8(values) => values,
            DecodingResult::I8(values) => values.into_iter().map(|value| value as u8).collect(),
            DecodingResult::U16(values) if kind != Kind::Clipped => values.iter().map(|value| (value >> 8) as u8).collect(),
            DecodingResult::U16(values) => of(&mut values.iter().map(|value| (*value).into())),
            DecodingResult::I16(values) => of(&mut values.iter().map(|value| (*value).into())),
            DecodingResult::U32(values) => of(&mut values.iter().map(|value| (*value as i32).into())),
            DecodingResult::I32(values) => of(&mut values.iter().map(|value| (*value).into())),
            DecodingResult::F32(values) => of(&mut values.iter().map(|value| (*value).into())),
            _ => bail!(Unreadable::unsupported("a TIFF of such numbers")),
        };
        let area = self.size.0 * self.size.1;
        ensure!(all.len() >= area * samples, "a part of the picture is missing");
        Ok(match planar {
            true => (0..area).flat_map(|i| (0..samples).map(move |plane| plane * area + i)).map(|at| all[at]).collect(),
            false => all.chunks_exact(stored).flat_map(|pixel| &pixel[..samples]).copied().collect(),
        })
    }

    /// Samples of less than 8 bits lie side by side, rows begin with a byte.
    fn unpack(&self, rows: &[u8], bits: usize) -> Vec<u8> {
        let (width, each) = (self.size.0, 8 / bits);
        let sample = move |row: &[u8], x: usize| (row[x / each] >> (8 - bits * (x % each + 1))) & (0xff >> (8 - bits));
        rows.chunks_exact((width * bits).div_ceil(8)).flat_map(|row| (0..width).map(move |x| sample(row, x))).collect()
    }

    fn pixel(&self, sample: &[u8]) -> Pixel {
        let widened = |level: u8| if self.layout.bits < 8 { level * (255 / (0xff >> (8 - self.layout.bits))) } else { level };
        match self.layout.kind {
            Kind::Gray => of_gray(widened(sample[0])),
            Kind::Inverted => of_gray(255 - widened(sample[0])),
            Kind::Clipped => of_gray(sample[0]),
            Kind::Palette => self.palette.as_deref().map_or_else(Pixel::default, |palette| color(palette, sample[0].into())),
            Kind::Rgb | Kind::YCbCr => of_rgb(sample),
            Kind::Cmyk => of_cmyk(std::array::from_fn(|i| sample[i])),
            Kind::Premultiplied => {
                let alpha = u16::from(sample[3]);
                let divided = |color: u8| (u16::from(color) * 255).checked_div(alpha).map_or(0, |color| color.min(255) as u8);
                [divided(sample[0]), divided(sample[1]), divided(sample[2]), 0]
            }
        }
    }
}

impl Opened for Tiff<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn orientation(&mut self) -> Orientation {
        let number = self.decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten();
        number.and_then(|number| Orientation::from_exif(u8::try_from(number).ok()?)).unwrap_or(Orientation::NoTransforms)
    }

    fn is_turned_by_pillow(&self) -> bool {
        true
    }

    fn is_clipped(&self) -> bool {
        self.layout.kind == Kind::Clipped
    }

    fn is_continued(&mut self) -> bool {
        self.decoder.more_images()
    }

    fn is_transparent(&mut self) -> Result<bool> {
        let Layout { kind, has_alpha, samples, .. } = self.layout;
        if !has_alpha {
            return Ok(false);
        }
        let alpha = if matches!(kind, Kind::Gray | Kind::Palette) { 1 } else { 3 };
        Ok(self.samples()?.chunks_exact(samples).any(|sample| sample[alpha] < 255))
    }

    fn decode(mut self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        let samples = self.samples()?;
        let pixels = samples.chunks_exact(self.layout.samples).map(|sample| self.pixel(sample)).collect();
        Ok(Rgb::new(self.size.0, self.size.1, pixels))
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

/// The file with its colours declared to be gray, which the crate neither converts nor inverts.
fn as_gray(bytes: &[u8], entry: orientation::DirectoryEntry) -> Vec<u8> {
    const BLACK_IS_ZERO: u16 = 1;
    let mut bytes = bytes.to_vec();
    let value = if entry.is_little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    bytes[entry.at..entry.at + 2].copy_from_slice(&value);
    bytes
}

/// A palette has all reds, all greens, all blues.
fn color(palette: &[u16], index: usize) -> Pixel {
    let colors = palette.len() / 3;
    let channel = |number: usize| if index < colors { (palette[number * colors + index] >> 8) as u8 } else { 0 };
    [channel(0), channel(1), channel(2), 0]
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
