//! PBM, PGM and PPM, text and binary, by Pillow's rules.

use crate::images::formats::{Contents, LookedAt, Opened, Reading};
use crate::images::rgb::{Rgb, of_gray, of_rgb};
use anyhow::{Context, Result, bail, ensure};

pub fn open<'a>(Contents { bytes, .. }: Contents<'a>, _: &Reading) -> Result<Box<dyn Opened + 'a>> {
    let (encoding, channels) = match bytes[1] {
        b'1' => (Encoding::TextBits, 1),
        b'2' => (Encoding::Text, 1),
        b'3' => (Encoding::Text, 3),
        b'4' => (Encoding::Bits, 1),
        b'5' => (Encoding::Bytes, 1),
        _ => (Encoding::Bytes, 3),
    };
    let mut words = Words { rest: &bytes[2..] };
    let (width, height) = (words.number()? as usize, words.number()? as usize);
    let has_maximum = matches!(encoding, Encoding::Text | Encoding::Bytes);
    let maximum = if has_maximum { words.number()? } else { 1 };
    ensure!((1..65_536).contains(&maximum), "its largest value is {maximum} and not one of 1 to 65,535");
    Ok(Box::new(Pnm { width, height, channels, maximum, encoding, data: words.rest }))
}

struct Pnm<'a> {
    width: usize,
    height: usize,
    channels: usize,
    /// The largest sample; of bits 1.
    maximum: u32,
    encoding: Encoding,
    data: &'a [u8],
}

enum Encoding {
    TextBits,
    Text,
    Bits,
    Bytes,
}

impl Pnm<'_> {
    /// A 1 is black; they need not stand apart.
    fn text_bits(&self, count: usize) -> Result<Vec<u8>> {
        let mut words = Words { rest: self.data };
        let mut samples = Vec::new();
        while samples.len() < count {
            for bit in words.word()? {
                samples.push(match bit {
                    b'0' => 255,
                    b'1' => 0,
                    _ => bail!("there is something else in it than 0 and 1"),
                });
            }
        }
        samples.truncate(count);
        Ok(samples)
    }

    fn text(&self, count: usize) -> Result<Vec<u8>> {
        let mut words = Words { rest: self.data };
        let samples = (0..count).map(|_| {
            let value = words.number()?;
            ensure!(value <= self.maximum, "{value} is more than its largest value, {}", self.maximum);
            Ok(self.to_8_bits(value))
        });
        samples.collect()
    }

    fn bits(&self) -> Result<Vec<u8>> {
        let stride = self.width.div_ceil(8);
        let rows = self.data.get(..stride * self.height).context(ENDS)?;
        let bit = |row: &[u8], x: usize| if row[x / 8] << (x % 8) & 0x80 == 0 { 255 } else { 0 };
        Ok(rows.chunks_exact(stride).flat_map(|row| (0..self.width).map(move |x| bit(row, x))).collect())
    }

    fn bytes(&self, count: usize) -> Result<Vec<u8>> {
        if self.maximum < 256 {
            let samples = self.data.get(..count).context(ENDS)?;
            return Ok(samples.iter().map(|&sample| self.to_8_bits(sample.into())).collect());
        }
        let samples = self.data.get(..2 * count).context(ENDS)?;
        Ok(samples.as_chunks().0.iter().map(|&sample| self.to_8_bits(u16::from_be_bytes(sample).into())).collect())
    }

    /// Rounded, half to even; more than the largest value is the largest.
    fn to_8_bits(&self, value: u32) -> u8 {
        let largest = if self.is_clipped() { 65_535.0 } else { 255.0 };
        let scaled = (f64::from(value) / f64::from(self.maximum) * largest).round_ties_even();
        scaled.min(255.0) as u8
    }
}

impl Opened for Pnm<'_> {
    fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Pillow widens gray of more than 8 bits to 16.
    fn is_clipped(&self) -> bool {
        self.channels == 1 && self.maximum > 255
    }

    fn decode(self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        let count = self.width * self.height * self.channels;
        let samples = match self.encoding {
            Encoding::TextBits => self.text_bits(count)?,
            Encoding::Text => self.text(count)?,
            Encoding::Bits => self.bits()?,
            Encoding::Bytes => self.bytes(count)?,
        };
        let pixels = match self.channels {
            1 => samples.into_iter().map(of_gray).collect(),
            _ => samples.chunks_exact(3).map(of_rgb).collect(),
        };
        Ok(Rgb::new(self.width, self.height, pixels))
    }
}

const ENDS: &str = "the file ends in the middle of the picture";

/// Words apart by white space and comments.
struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// The next word, and one white space after it is gone.
    fn word(&mut self) -> Result<Vec<u8>> {
        let mut word = Vec::new();
        loop {
            let (&byte, rest) = self.rest.split_first().unwrap_or((&b' ', &[]));
            let is_end = self.rest.is_empty();
            self.rest = rest;
            match byte {
                b'#' => {
                    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
                    self.rest = rest.get(end + 1..).unwrap_or_default();
                }
                _ if !byte.is_ascii_whitespace() && byte != 0x0b => word.push(byte),
                _ if !word.is_empty() => return Ok(word),
                _ => ensure!(!is_end, ENDS),
            }
        }
    }

    fn number(&mut self) -> Result<u32> {
        let word = self.word()?;
        let number = std::str::from_utf8(&word).ok().filter(|word| word.len() <= 10).and_then(|word| word.parse().ok());
        number.with_context(|| format!("`{}` stands where a number should", String::from_utf8_lossy(&word)))
    }
}
