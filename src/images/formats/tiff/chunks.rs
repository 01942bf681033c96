//! The samples of a TIFF that lie in the file as they are, or as JPEG: strip by strip or tile by tile.

use super::layout::{JPEG, Kind, Layout, Number};
use crate::images::formats::{Contents, Opened, jpeg};
use crate::images::rgb::Window;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Seek};
use tiff::decoder::Decoder;
use tiff::tags::Tag;

/// Where the parts of a picture are, and how large each is.
pub struct Chunks {
    /// Position and number of bytes of each, row by row, plane by plane.
    places: Vec<(usize, usize)>,
    width: usize,
    height: usize,
    across: usize,
    down: usize,
    tables: Vec<u8>,
}

impl Chunks {
    pub fn of<R: Read + Seek>(decoder: &mut Decoder<R>, (width, height): (usize, usize)) -> Result<Chunks> {
        let mut list = |tag| decoder.find_tag_unsigned_vec::<u64>(tag).map(Option::unwrap_or_default);
        let tiles = list(Tag::TileOffsets)?;
        let (offsets, counts, size) = if tiles.is_empty() {
            let rows = list(Tag::RowsPerStrip)?.first().map_or(height, |rows| (*rows as usize).min(height));
            (list(Tag::StripOffsets)?, list(Tag::StripByteCounts)?, (width, rows))
        } else {
            let side = |found: Vec<u64>| found.first().map_or(0, |side| *side as usize);
            (tiles, list(Tag::TileByteCounts)?, (side(list(Tag::TileWidth)?), side(list(Tag::TileLength)?)))
        };
        let (tile_width, tile_height) = size;
        ensure!(tile_width > 0 && tile_height > 0 && tile_width < 1 << 24 && tile_height < 1 << 24, "its tiles have no size");
        ensure!(offsets.len() == counts.len(), "it has {} parts and the sizes of {}", offsets.len(), counts.len());
        let places = offsets.into_iter().zip(counts).map(|(at, length)| (at as usize, length as usize)).collect();
        let tables = decoder.find_tag(Tag::JPEGTables)?.map(|tables| tables.into_u8_vec()).transpose()?.unwrap_or_default();
        let (across, down) = (width.div_ceil(tile_width), height.div_ceil(tile_height));
        Ok(Chunks { places, width: tile_width, height: tile_height, across, down, tables })
    }

    /// `file` with the bits of these parts turned.
    pub fn turned(&self, mut file: Vec<u8>) -> Vec<u8> {
        for &(at, length) in &self.places {
            let part = at.checked_add(length).and_then(|end| file.get_mut(at..end));
            part.into_iter().flatten().for_each(|byte| *byte = byte.reverse_bits());
        }
        file
    }

    /// The samples `[height, width, samples]` as bytes; of colours of 16 bits the higher ones.
    pub fn samples(&self, file: &[u8], is_little: bool, layout: &Layout, (width, height): (usize, usize)) -> Result<Vec<u8>> {
        let planes = if layout.planar { layout.stored } else { 1 };
        let each = if layout.planar { 1 } else { layout.stored };
        ensure!(self.places.len() >= planes * self.across * self.down, "parts of the picture are missing");
        let mut samples = vec![0; width * height * layout.samples];
        for plane in 0..if layout.planar { layout.samples } else { 1 } {
            for part in 0..self.across * self.down {
                let (at, length) = self.places[plane * self.across * self.down + part];
                let (left, top) = (part % self.across * self.width, part / self.across * self.height);
                let (columns, rows) = (self.width.min(width - left), self.height.min(height - top));
                let bytes =
                    at.checked_add(length).and_then(|end| file.get(at..end)).context("a part of the picture is missing")?;
                let part = match layout.compression {
                    JPEG => self.jpeg(bytes, layout, (columns, rows))?,
                    _ => self.plain(bytes, is_little, layout, each, rows)?,
                };
                let stride = part.len() / rows;
                for y in 0..rows {
                    for x in 0..columns {
                        let to = ((top + y) * width + left + x) * layout.samples + plane;
                        let from = &part[y * stride + x * each..][..each];
                        let count = if layout.planar { 1 } else { layout.samples };
                        samples[to..to + count].copy_from_slice(&from[..count]);
                    }
                }
            }
        }
        Ok(samples)
    }

    /// The samples of a part's rows, each of its whole width.
    fn plain(&self, bytes: &[u8], is_little: bool, layout: &Layout, each: usize, rows: usize) -> Result<Vec<u8>> {
        let (values, bits) = (self.width * each, layout.bits);
        let stride = (values * bits).div_ceil(8);
        ensure!(bytes.len() >= stride * rows, "a part of the picture is cut off");
        let row = |row: &[u8]| -> Vec<u8> {
            let turned: Vec<u8> = row.iter().map(|byte| if layout.reversed { byte.reverse_bits() } else { *byte }).collect();
            let join = |bytes: &[u8]| -> u64 {
                let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
                if is_little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
            };
            match bits {
                8 => turned,
                ..8 => (0..values).map(|x| (turned[x * bits / 8] >> (8 - bits - x * bits % 8)) & (0xff >> (8 - bits))).collect(),
                12 => (0..values).map(|x| byte(layout, twelve(&turned, x))).collect(),
                _ => turned.chunks_exact(bits / 8).map(|bytes| byte(layout, join(bytes))).collect(),
            }
        };
        Ok(bytes.chunks_exact(stride).take(rows).flat_map(row).collect())
    }

    /// As libjpeg decodes it, told by the kind what its colours are.
    fn jpeg(&self, bytes: &[u8], layout: &Layout, (columns, rows): (usize, usize)) -> Result<Vec<u8>> {
        const START: [u8; 2] = [0xff, 0xd8];
        // Adobe's segment says whether there are colours to convert.
        let transform = u8::from(layout.kind == Kind::YCbCr);
        let adobe = [&[0xff, 0xee, 0, 14][..], b"Adobe", &[0, 100, 0, 0, 0, 0, transform]].concat();
        let tables = self.tables.strip_prefix(&START).and_then(|tables| tables.strip_suffix(&[0xff, 0xd9])).unwrap_or_default();
        let mut picture = bytes.strip_prefix(&START).context("a part is no JPEG")?;
        // Its own segments of applications, which may say something else.
        while let [0xff, 0xe0..=0xef, high, low, ..] = *picture {
            picture = picture.get(2 + usize::from(u16::from_be_bytes([high, low]))..).context("a part is cut off")?;
        }
        let whole = [&START[..], &adobe, tables, picture].concat();
        let each = if layout.planar { 1 } else { layout.stored };
        if layout.kind == Kind::Cmyk {
            return jpeg::inks(&whole, (columns, rows));
        }
        let contents = Contents { bytes: &whole, is_whole: true };
        let picture: Box<dyn Opened> = jpeg::open_of(contents, each)?;
        let (width, height) = picture.size();
        ensure!(width >= columns && height >= rows, "a part is smaller than its place");
        let picture = picture.decode(&Window::whole)?;
        let rows = picture.pixels.chunks_exact(width).take(rows);
        Ok(rows.flat_map(|row| row.iter().flat_map(|pixel| pixel[..each].to_vec())).collect())
    }
}

/// Two numbers in three bytes.
fn twelve(row: &[u8], x: usize) -> u64 {
    let at = |i: usize| u64::from(row.get(i).copied().unwrap_or_default());
    let first = x / 2 * 3;
    if x.is_multiple_of(2) { at(first) << 4 | at(first + 1) >> 4 } else { (at(first + 1) & 15) << 8 | at(first + 2) }
}

/// A sample of more than 8 bits as Pillow shows it.
fn byte(layout: &Layout, sample: u64) -> u8 {
    match (layout.kind, layout.number, layout.bits) {
        (Kind::Clipped, Number::Float, _) => clipped(f32::from_bits(sample as u32).into()),
        (Kind::Clipped, Number::Signed, 16) => clipped(f64::from(sample as u16 as i16)),
        // Pillow takes those of 32 bits for signed.
        (Kind::Clipped, _, 32) => clipped(f64::from(sample as u32 as i32)),
        (Kind::Clipped, ..) => sample.min(255) as u8,
        _ => (sample >> 8) as u8,
    }
}

/// What is below 0 is black, what is above 255 white; the rest is cut to a whole number.
pub fn clipped(sample: f64) -> u8 {
    sample.clamp(0.0, 255.0) as u8
}
