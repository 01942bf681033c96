//! What the samples of a TIFF are: the combinations of fields that Pillow knows, by its own table. All others are refused.

use crate::images::formats::Unreadable;
use anyhow::{Result, bail};
use tiff::decoder::Decoder;
use tiff::tags::Tag;

/// How the samples of a pixel become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gray,
    /// White is 0.
    Inverted,
    /// Of more than 8 bits, of which Pillow shows all from 255 on as white.
    Clipped,
    Palette,
    Rgb,
    /// Colours are stored multiplied by alpha.
    Premultiplied,
    Cmyk,
    /// As JPEG has them.
    YCbCr,
}

/// What a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    Unsigned,
    Signed,
    Float,
}

#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub kind: Kind,
    pub number: Number,
    /// Of each sample.
    pub bits: usize,
    /// Stored for each pixel, and how many of them are looked at.
    pub stored: usize,
    pub samples: usize,
    /// Whether the last of these is alpha.
    pub has_alpha: bool,
    /// Whether samples lie in planes of their own.
    pub planar: bool,
    /// Whether bytes begin with their lowest bit.
    pub reversed: bool,
    pub compression: u16,
}

pub const NO_COMPRESSION: u16 = 1;
pub const JPEG: u16 = 7;

impl Layout {
    pub fn of<R: std::io::Read + std::io::Seek>(decoder: &mut Decoder<R>, photometric: u16, is_little: bool) -> Result<Layout> {
        let mut numbers = |tag| decoder.find_tag_unsigned_vec::<u16>(tag).map(Option::unwrap_or_default);
        let (mut formats, mut bits) = (numbers(Tag::SampleFormat)?, numbers(Tag::BitsPerSample)?);
        let mut extra = numbers(Tag::ExtraSamples)?;
        let mut one = |tag, default| numbers(tag).map(|found| found.first().copied().unwrap_or(default));
        let (planar, fill) = (one(Tag::PlanarConfiguration, 1)?, one(Tag::FillOrder, 1)?);
        let (compression, stored) = (one(Tag::Compression, NO_COMPRESSION)?, usize::from(one(Tag::SamplesPerPixel, 1)?));
        if bits.is_empty() {
            bits.push(1);
        }
        if planar == 2 && !extra.is_empty() && extra.iter().all(|extra| *extra == 0) {
            // Planes that nobody looks at.
            bits.truncate(bits.len().saturating_sub(extra.len()));
            extra = Vec::new();
        }
        let samples = if planar == 2 { stored.min(bits.len().max(1)) } else { stored };
        if bits.len() == 1 {
            bits = vec![bits[0]; samples];
        }
        bits.truncate(samples);
        formats.dedup();
        let refuse = || {
            let bits: Vec<String> = bits.iter().map(u16::to_string).collect();
            Unreadable::unsupported(format_args!(
                "a TIFF of the kind: photometric {photometric}, {} bits, sample format {formats:?}, extra samples {extra:?}, \
                 compression {compression}, planes {planar}, fill order {fill}",
                bits.join("+"),
            ))
        };
        let (&[first, ..], true) = (&bits[..], bits.len() == samples) else { bail!(refuse()) };
        let format = match formats[..] {
            [] => 1,
            [one] => one,
            _ => bail!(refuse()),
        };
        if bits.iter().any(|bits| *bits != first) || !(1..=2).contains(&planar) {
            bail!(refuse());
        }
        let Some(kind) = kind(photometric, format, fill, (first, samples), &extra, is_little) else { bail!(refuse()) };
        let number = [Number::Unsigned, Number::Signed, Number::Float][usize::from(format) - 1];
        let has_alpha = matches!(extra.first(), Some(1 | 2 | 999)) || photometric == 2 && samples == 4 && extra.is_empty();
        let layout = Layout {
            kind,
            // Pillow takes no notice of the sign of bytes.
            number: if first == 8 { Number::Unsigned } else { number },
            bits: first.into(),
            stored,
            samples,
            has_alpha,
            planar: planar == 2 && stored > 1,
            reversed: fill == 2 && compression != JPEG,
            compression,
        };
        let is_alpha_untold = photometric == 2 && samples > 3 && extra.is_empty();
        let is_mixed_up = planar == 2 && (layout.is_mixed_up_in_planes() || is_alpha_untold && compression != NO_COMPRESSION);
        // Libtiff turns the bytes of these, and Pillow once more.
        let is_turned_twice = !is_little && compression != NO_COMPRESSION && layout.bits > 8 && number != Number::Unsigned;
        if is_mixed_up || is_turned_twice || layout.is_read_otherwise() { bail!(refuse()) } else { Ok(layout) }
    }

    /// Whether Pillow forgets in planes of their own how samples are stored: it does where they are not packed, unless they are bytes.
    fn is_mixed_up_in_planes(&self) -> bool {
        let is_plain = self.compression == NO_COMPRESSION;
        is_plain && (self.bits != 8 || self.reversed || self.kind == Kind::Inverted)
    }

    /// Whether Pillow's pixels are others than those that the fields say, or by rules that are not known here.
    fn is_read_otherwise(&self) -> bool {
        match self.kind {
            // Libtiff's own conversion, or none though colours are stored for several pixels.
            Kind::YCbCr => self.compression != JPEG || self.planar,
            Kind::Premultiplied if self.planar => true,
            _ if self.bits == 12 => self.compression != NO_COMPRESSION,
            _ if self.compression == JPEG => self.bits != 8,
            _ => false,
        }
    }
}

/// Pillow's table, by photometric interpretation, sample format, fill order, bits, number of samples, what extra ones are, and the
/// order of bytes.
fn kind(photometric: u16, format: u16, fill: u16, (bits, samples): (u16, usize), extra: &[u16], is_little: bool) -> Option<Kind> {
    const UNSIGNED: u16 = 1;
    const SIGNED: u16 = 2;
    const FLOAT: u16 = 3;
    Some(match (photometric, format, fill, bits, samples, extra) {
        (0, UNSIGNED, 1 | 2, 1 | 2 | 4 | 8, 1, []) => Kind::Inverted,
        // Not inverted.
        (0, UNSIGNED, 1, 16, 1, []) if is_little => Kind::Clipped,
        (0, FLOAT, 1, 32, 1, []) => Kind::Clipped,
        (1, UNSIGNED, 1 | 2, 1 | 2 | 4 | 8, 1, []) | (1, SIGNED, 1, 8, 1, []) | (6, UNSIGNED, 1, 8, 1, []) => Kind::Gray,
        (1, UNSIGNED, 1, 8, 2, [0 | 2]) => Kind::Gray,
        (1, UNSIGNED, 1, 12 | 32, 1, []) | (1, UNSIGNED, 2, 16, 1, []) if is_little => Kind::Clipped,
        (1, UNSIGNED, 1, 16, 1, []) | (1, SIGNED, 1, 16 | 32, 1, []) | (1, FLOAT, 1, 32, 1, []) => Kind::Clipped,
        (2, UNSIGNED, 1 | 2, 8, 3, []) | (2, UNSIGNED, 1, 16, 3, []) => Kind::Rgb,
        (2, UNSIGNED, 1, 8 | 16, 4, [] | [0 | 2]) | (2, UNSIGNED, 1, 8, 4, [999]) => Kind::Rgb,
        (2, UNSIGNED, 1, 8, 5, [0 | 2, 0]) | (2, UNSIGNED, 1, 8, 6, [0 | 2, 0, 0]) => Kind::Rgb,
        (2, UNSIGNED, 1, 8 | 16, 4, [1]) => Kind::Premultiplied,
        (2, UNSIGNED, 1, 8, 5, [1, 0]) | (2, UNSIGNED, 1, 8, 6, [1, 0, 0]) => Kind::Premultiplied,
        (3, UNSIGNED, 1 | 2, 1 | 2 | 4 | 8, 1, []) | (3, UNSIGNED, 1, 8, 2, [0 | 2]) => Kind::Palette,
        (5, UNSIGNED, 1, 8 | 16, 4, []) | (5, UNSIGNED, 1, 8, 5, [0]) | (5, UNSIGNED, 1, 8, 6, [0, 0]) => Kind::Cmyk,
        (6, UNSIGNED, 1, 8, 3, []) => Kind::YCbCr,
        _ => return None,
    })
}
