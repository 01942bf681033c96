//! Windows and OS/2 bitmaps, as Pillow reads them: which headers, palettes and layouts of colours it knows, and where it looks for
//! the pixels. What it refuses, or takes for another picture than the header says, is refused.

mod runs;

use crate::images::formats::{Contents, LookedAt, Opened, Reading, Unreadable};
use crate::images::rgb::{Pixel, Rgb, of_gray};
use anyhow::{Context, Result, bail, ensure};

const BITFIELDS: u32 = 3;
const RLE8: u32 = 1;
const RLE4: u32 = 2;

pub fn open<'a>(Contents { bytes, .. }: Contents<'a>, _: &Reading) -> Result<Box<dyn Opened + 'a>> {
    Ok(Box::new(Bmp::new(bytes)?))
}

struct Bmp<'a> {
    bytes: &'a [u8],
    width: usize,
    height: usize,
    is_top_down: bool,
    bits: usize,
    compression: u32,
    /// Where the pixels begin.
    start: usize,
    colours: Colours,
}

/// What the bits of a pixel are.
enum Colours {
    /// Numbers of colours; those that the palette lacks are black.
    Palette(Vec<Pixel>),
    /// Levels of gray.
    Gray,
    /// Black or white.
    Bilevel,
    /// So many bits of blue, green and red, from the lowest, in two bytes.
    Words([u32; 3]),
    /// The bytes of red, green and blue, and of alpha, if it has some.
    Bytes([usize; 3], Option<usize>),
}

impl<'a> Bmp<'a> {
    fn new(bytes: &'a [u8]) -> Result<Bmp<'a>> {
        let (number, short) = (|at| number(bytes, at, 4), |at| number(bytes, at, 2));
        let size = number(14)? as usize;
        let is_old = size == 12;
        if !is_old && ![40, 52, 56, 64, 108, 124].contains(&size) {
            bail!(Unreadable::unsupported(format_args!("a BMP with a header of {size} bytes")));
        }
        ensure!(bytes.len() >= 14 + size, "the file ends in its header");
        // A height of which the highest byte says that it is negative.
        let is_top_down = !is_old && bytes[25] == 0xff;
        let (width, height) = if is_old { (short(18)?, short(20)?) } else { (number(18)?, number(22)?) };
        let height = if is_top_down { height.wrapping_neg() } else { height };
        let bits = if is_old { short(24)? } else { short(28)? } as usize;
        let compression = if is_old { 0 } else { number(30)? };
        if !matches!(bits, 1 | 4 | 8 | 16 | 24 | 32) || compression > BITFIELDS {
            bail!(Unreadable::unsupported(format_args!("a BMP of {bits} bits a pixel and compression {compression}")));
        }
        let masks = if compression == BITFIELDS { 12 } else { 0 };
        let mut end = 14 + size + if size == 40 { masks } else { 0 };
        let (mut start, each) = (number(10)? as usize, if is_old { 3 } else { 4 });
        let colours = if bits <= 8 {
            let count = if is_old { 0 } else { number(46)? as usize };
            let count = if count == 0 { 1 << bits } else { count };
            // That is before the palette, which some programs forget.
            if start == 14 + size {
                start += each * count;
            }
            let palette = bytes.get(end..).unwrap_or_default();
            let palette = &palette[..palette.len().min(each * count)];
            end += palette.len();
            of_palette(bits, compression, count, palette, each)?
        } else {
            of_layout(bits, compression, (compression == BITFIELDS).then(|| mask(bytes, size)).transpose()?)?
        };
        let start = if start == 0 { end } else { start };
        Ok(Bmp { bytes, width: width as usize, height: height as usize, is_top_down, bits, compression, start, colours })
    }

    /// The rows of the picture as they stand in the file, each of whole bytes.
    fn rows(&self) -> Result<impl Iterator<Item = &'a [u8]>> {
        let (row, stride) = ((self.width * self.bits).div_ceil(8), (self.width * self.bits).div_ceil(32) * 4);
        let pixels = self.bytes.get(self.start..).unwrap_or_default();
        let needed = (self.height - 1) * stride + row;
        ensure!(pixels.len() >= needed, "the file ends in the middle of the picture");
        Ok((0..self.height).map(move |y| &pixels[y * stride..][..row]))
    }

    /// As they stand in the file.
    fn pixels(&self) -> Result<Vec<Pixel>> {
        let by_number = |number: u8| match &self.colours {
            Colours::Palette(palette) => palette.get(usize::from(number)).copied().unwrap_or_default(),
            Colours::Bilevel => of_gray(if number == 0 { 0 } else { 255 }),
            _ => of_gray(number),
        };
        if matches!(self.compression, RLE8 | RLE4) {
            let numbers = runs::decode(self.bytes, self.start, (self.width, self.height), self.compression == RLE4);
            ensure!(numbers.len() >= self.width * self.height, "its runs end before the picture does");
            return Ok(numbers[..self.width * self.height].iter().map(|number| by_number(*number)).collect());
        }
        let rows = self.rows()?;
        Ok(match &self.colours {
            Colours::Words(bits) => rows.flat_map(|row| row.as_chunks().0.iter().map(|word| of_word(*word, *bits))).collect(),
            Colours::Bytes([r, g, b], _) => {
                rows.flat_map(|row| row.chunks_exact(self.bits / 8).map(|bytes| [bytes[*r], bytes[*g], bytes[*b], 0])).collect()
            }
            _ => {
                let (bits, each) = (self.bits, 8 / self.bits);
                let number = move |row: &[u8], x: usize| (row[x / each] >> (8 - bits * (x % each + 1))) & (0xff >> (8 - bits));
                rows.flat_map(|row| (0..self.width).map(move |x| number(row, x))).map(by_number).collect()
            }
        })
    }
}

impl Opened for Bmp<'_> {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    fn is_transparent(&mut self) -> Result<bool> {
        let Colours::Bytes(_, Some(alpha)) = self.colours else { return Ok(false) };
        Ok(self.rows()?.any(|row| row.chunks_exact(self.bits / 8).any(|bytes| bytes[alpha] < 255)))
    }

    fn decode(self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        let pixels = self.pixels()?;
        let pixels = match self.is_top_down {
            true => pixels,
            false => pixels.chunks_exact(self.width).rev().flatten().copied().collect(),
        };
        Ok(Rgb::new(self.width, self.height, pixels))
    }
}

/// The little-endian number of so many bytes at `at`.
fn number(bytes: &[u8], at: usize, length: usize) -> Result<u32> {
    let found = bytes.get(at..at + length).context("the file ends in its header")?;
    Ok(found.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// Red, green, blue and alpha: after a header of 40 bytes, or at the end of longer ones, of which the shortest have no alpha.
fn mask(bytes: &[u8], size: usize) -> Result<[u32; 4]> {
    let of = |i: usize| if i < 3 || size >= 56 { number(bytes, 54 + 4 * i, 4) } else { Ok(0) };
    Ok([of(0)?, of(1)?, of(2)?, of(3)?])
}

/// A palette, or where all its colours are gray in order, that.
fn of_palette(bits: usize, compression: u32, count: usize, palette: &[u8], each: usize) -> Result<Colours> {
    if compression == BITFIELDS || count > 256 {
        bail!(Unreadable::unsupported(format_args!("a BMP of {bits} bits a pixel with {count} colours")));
    }
    let level = |i: usize| if count == 2 { i * 255 } else { i } as u8;
    let is_gray = (0..count).all(|i| palette.get(i * each..i * each + 3) == Some(&[level(i); 3][..]));
    let colours = match (is_gray, count) {
        (false, _) => {
            let colours = palette.chunks_exact(each).map(|colour| [colour[2], colour[1], colour[0], 0]);
            return Ok(Colours::Palette(colours.collect()));
        }
        (true, ..=2) => (Colours::Bilevel, 1),
        (true, _) => (Colours::Gray, 8),
    };
    // Pillow then forgets how many bits a pixel has.
    if bits != colours.1 && compression == 0 {
        bail!(Unreadable::unsupported(format_args!("a BMP of {bits} bits a pixel with {count} grays in order")));
    }
    Ok(colours.0)
}

fn of_layout(bits: usize, compression: u32, mask: Option<[u32; 4]>) -> Result<Colours> {
    Ok(match (bits, mask) {
        _ if matches!(compression, RLE8 | RLE4) => {
            bail!(Unreadable::unsupported(format_args!("a BMP of {bits} bits a pixel in runs")))
        }
        (16, None | Some([0x7c00, 0x3e0, 0x1f, _])) => Colours::Words([5, 5, 5]),
        (16, Some([0xf800, 0x7e0, 0x1f, _])) => Colours::Words([5, 6, 5]),
        (24, None | Some([0xff_0000, 0xff00, 0xff, _])) => Colours::Bytes([2, 1, 0], None),
        (32, None | Some([0xff_0000, 0xff00, 0xff, 0])) => Colours::Bytes([2, 1, 0], None),
        (32, Some([0xff00_0000, 0xff_0000, 0xff00, 0])) => Colours::Bytes([3, 2, 1], None),
        (32, Some([0xff00_0000, 0xff00, 0xff, 0])) => Colours::Bytes([3, 1, 0], None),
        (32, Some([0xff00_0000, 0xff_0000, 0xff00, 0xff])) => Colours::Bytes([3, 2, 1], Some(0)),
        (32, Some([0xff, 0xff00, 0xff_0000, 0xff00_0000])) => Colours::Bytes([0, 1, 2], Some(3)),
        (32, Some([0xff_0000, 0xff00, 0xff, 0xff00_0000] | [0, 0, 0, 0])) => Colours::Bytes([2, 1, 0], Some(3)),
        (32, Some([0xff00_0000, 0xff00, 0xff, 0xff_0000])) => Colours::Bytes([3, 1, 0], Some(2)),
        (_, masks) => bail!(Unreadable::unsupported(format_args!("a BMP with colours at the bits {masks:x?}"))),
    })
}

/// Pillow widens 5 and 6 bits as `v · 255 / 31`, rounded down.
fn of_word(word: [u8; 2], [blue, green, red]: [u32; 3]) -> Pixel {
    let word = u32::from(u16::from_le_bytes(word));
    let wide = |shift: u32, bits: u32| (((word >> shift) & ((1 << bits) - 1)) * 255 / ((1 << bits) - 1)) as u8;
    [wide(blue + green, red), wide(blue, green), wide(0, blue), 0]
}
