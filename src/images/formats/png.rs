//! PNG: the chunks that make the picture are picked out as Pillow does it, then decoded by the `png` crate. Pillow is strict
//! about the check sums before the picture and lenient about all that follows its data.

use crate::images::formats::{Contents, LookedAt, Opened, Reading};
use crate::images::orientation;
use crate::images::rgb::{Pixel, Rgb, of_gray, of_rgb};
use anyhow::{Context, Result, bail, ensure};
use image::metadata::Orientation;
use png::{BitDepth, ColorType, DecodeOptions, Decoder, Transformations};
use std::io::Cursor;

pub const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Length, name and check sum of a chunk.
const AROUND: usize = 12;
const XMP: &[u8] = b"XML:com.adobe.xmp\0";

pub fn open<'a>(Contents { bytes, is_whole }: Contents<'a>, _: &Reading) -> Result<Box<dyn Opened + 'a>> {
    let mut png = Png::default();
    let mut rest = &bytes[SIGNATURE.len()..];
    let mut is_after_data = false;
    while let [a, b, c, d, name @ ..] = rest
        && name.len() >= 4
    {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let is_data = rest[4..8] == *b"IDAT";
        let available = rest.len().saturating_sub(8).min(length);
        let chunk = &rest[8..8 + available];
        if is_data && is_after_data {
            bail!("its data are interrupted by something else");
        }
        if !is_data && !png.data.is_empty() {
            is_after_data = true;
        }
        if available < length && !(is_data || is_after_data) {
            // The beginning of a file is enough to know the size.
            ensure!(!is_whole, "the file ends before the picture");
            break;
        }
        if !is_data && !is_after_data {
            check_sum(rest, length)?;
        }
        png.take([rest[4], rest[5], rest[6], rest[7]], chunk)?;
        rest = rest.get(length.saturating_add(AROUND)..).unwrap_or_default();
    }
    ensure!(png.header.len() >= 13, "there is no header in it");
    Ok(Box::new(png))
}

#[derive(Default)]
struct Png<'a> {
    header: &'a [u8],
    palette: Option<&'a [u8]>,
    transparency: Option<&'a [u8]>,
    data: Vec<u8>,
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
    /// How many, if it is an animation.
    frames: u32,
}

impl<'a> Png<'a> {
    fn take(&mut self, name: [u8; 4], chunk: &'a [u8]) -> Result<()> {
        match &name {
            b"IHDR" => self.header = chunk,
            b"PLTE" => self.palette = Some(chunk),
            b"tRNS" => self.transparency = Some(chunk),
            b"IDAT" => self.data.extend(chunk),
            b"eXIf" => self.exif = Some(chunk),
            b"iTXt" => self.xmp = self.xmp.or(chunk.strip_prefix(XMP)),
            b"acTL" => self.frames = chunk.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)),
            b"gAMA" => ensure!(chunk.len() >= 4, "its gamma is cut off"),
            _ => {}
        }
        Ok(())
    }

    /// A file of these parts alone.
    fn clean(&self) -> Result<Vec<u8>> {
        let mut bytes = SIGNATURE.to_vec();
        let mut add = |name: &[u8], chunk: &[u8]| {
            bytes.extend((chunk.len() as u32).to_be_bytes());
            bytes.extend(name);
            bytes.extend(chunk);
            // Nobody looks at the check sums.
            bytes.extend([0; 4]);
        };
        // Pillow does not look at the number of the compression, of which there is but one.
        let header: Vec<u8> = self.header[..13].iter().enumerate().map(|(i, &byte)| if i == 10 { 0 } else { byte }).collect();
        add(b"IHDR", &header);
        if let Some(palette) = self.palette {
            add(b"PLTE", &palette[..palette.len() / 3 * 3]);
        }
        if let Some(transparency) = self.transparency {
            let needed = match self.header[9] {
                0 => 2,
                2 => 6,
                _ => 0,
            };
            ensure!(transparency.len() >= needed, "its transparent colour is cut off");
            add(b"tRNS", transparency);
        }
        add(b"IDAT", &self.data);
        add(b"IEND", &[]);
        Ok(bytes)
    }
}

impl Opened for Png<'_> {
    fn size(&self) -> (usize, usize) {
        let number = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| self.header[at + i])) as usize;
        (number(0), number(4))
    }

    fn orientation(&mut self) -> Orientation {
        orientation::of(self.exif, self.xmp)
    }

    /// Gray with alpha is not.
    fn is_clipped(&self) -> bool {
        self.header[8..10] == [16, 0]
    }

    fn is_continued(&mut self) -> bool {
        self.frames > 1
    }

    fn is_transparent(&mut self) -> Result<bool> {
        const WITH_ALPHA: [u8; 2] = [4, 6];
        if self.transparency.is_none() && !WITH_ALPHA.contains(&self.header[9]) {
            return Ok(false);
        }
        let (bytes, color, depth) = self.samples()?;
        let sample = if depth == BitDepth::Sixteen { 2 } else { 1 };
        let alphas = bytes.chunks_exact(color.samples() * sample).map(|pixel| &pixel[pixel.len() - sample..]);
        Ok(matches!(color, ColorType::Rgba | ColorType::GrayscaleAlpha) && alphas.flatten().any(|alpha| *alpha < 255))
    }

    fn decode(self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        let (width, height) = self.size();
        let (bytes, color, depth) = self.samples()?;
        let samples = if depth == BitDepth::Sixteen { to_8_bits(&bytes, self.is_clipped()) } else { bytes };
        Ok(Rgb::new(width, height, to_rgb(&samples, color)))
    }
}

impl Png<'_> {
    /// The samples of the picture, and what they are.
    fn samples(&self) -> Result<(Vec<u8>, ColorType, BitDepth)> {
        let mut options = DecodeOptions::default();
        options.set_ignore_crc(true);
        options.set_ignore_adler32(false);
        let mut decoder = Decoder::new_with_options(Cursor::new(self.clean()?), options);
        decoder.set_transformations(Transformations::EXPAND);
        decoder.set_limits(png::Limits { bytes: usize::MAX });
        let mut reader = decoder.read_info()?;
        let mut bytes = vec![0; reader.output_buffer_size().context("it is too large")?];
        let info = reader.next_frame(&mut bytes)?;
        bytes.truncate(info.buffer_size());
        Ok((bytes, info.color_type, info.bit_depth))
    }
}

/// The check sum of the chunk at the beginning of `rest`.
fn check_sum(rest: &[u8], length: usize) -> Result<()> {
    let stored = rest.get(8 + length..AROUND + length).context("the file ends before the picture")?;
    ensure!(stored == crc32fast::hash(&rest[4..8 + length]).to_be_bytes(), "a check sum is wrong");
    Ok(())
}

/// Pillow takes the high byte, but clips gray, so that most of such a picture turns white.
fn to_8_bits(bytes: &[u8], is_clipped: bool) -> Vec<u8> {
    let to_8_bits = |&[high, low]: &[u8; 2]| match (is_clipped, high) {
        (false, _) => high,
        (true, 0) => low,
        (true, _) => 255,
    };
    bytes.as_chunks().0.iter().map(to_8_bits).collect()
}

/// Alpha is dropped.
fn to_rgb(samples: &[u8], color: ColorType) -> Vec<Pixel> {
    let pixels = samples.chunks_exact(color.samples());
    match color {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => pixels.map(|sample| of_gray(sample[0])).collect(),
        ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => pixels.map(of_rgb).collect(),
    }
}
