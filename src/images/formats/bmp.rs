//! Windows bitmaps through the `image` crate, and where its pixels differ from Pillow's, by Pillow's rules.

use crate::images::formats::{Contents, LookedAt, Opened, Reading, Unreadable};
use crate::images::rgb::Rgb;
use anyhow::{Result, bail};
use image::codecs::bmp::BmpDecoder;
use image::{DynamicImage, ImageDecoder};
use std::io::Cursor;

pub fn open<'a>(Contents { bytes, .. }: Contents<'a>, _: &Reading) -> Result<Box<dyn Opened + 'a>> {
    let bits = bits_of_colours(bytes)?;
    if number(bytes, 10) == 0 {
        bail!(Unreadable::unsupported("a BMP that does not say where its pixels begin"));
    }
    Ok(Box::new(Bmp { bytes, decoder: BmpDecoder::new(Cursor::new(bytes))?, bits }))
}

struct Bmp<'a> {
    bytes: &'a [u8],
    decoder: BmpDecoder<Cursor<&'a [u8]>>,
    /// Of red, green and blue in a file of 16 bits a pixel.
    bits: Option<[u32; 3]>,
}

impl Opened for Bmp<'_> {
    fn size(&self) -> (usize, usize) {
        let (width, height) = self.decoder.dimensions();
        (width as usize, height as usize)
    }

    fn decode(self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        check_runs(self.bytes, self.decoder.dimensions())?;
        let mut rgb = Rgb::from(DynamicImage::from_decoder(self.decoder)?.into_rgb8());
        if let Some(bits) = self.bits {
            // Pillow widens 5 and 6 bits as `v · 255 / 31`, rounded down.
            for (value, bits) in rgb.pixels.iter_mut().flat_map(|pixel| pixel.iter_mut().zip(bits)) {
                *value = ((u32::from(*value) >> (8 - bits)) * 255 / ((1 << bits) - 1)) as u8;
            }
        }
        Ok(rgb)
    }
}

/// The little-endian number of four bytes at `at`; 0 after the end.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |four| u32::from_le_bytes(*four))
}

/// How many bits red, green and blue have in a BMP of 16 bits a pixel; `None` for others. Fails where Pillow does.
fn bits_of_colours(bytes: &[u8]) -> Result<Option<[u32; 3]>> {
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
        _ => bail!(Unreadable::unsupported(format_args!("a BMP with colours at the bits {masks:x?}"))),
    }
}

/// Fails if the runs of a run-length encoded BMP leave gaps, which every program fills in its own way.
fn check_runs(bytes: &[u8], (width, height): (u32, u32)) -> Result<()> {
    let per_byte = match (number(bytes, 14), number(bytes, 30)) {
        (40.., 1) => 1,
        (40.., 2) => 2,
        _ => return Ok(()),
    };
    let gap = || Unreadable::unsupported("a BMP whose runs leave gaps");
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
