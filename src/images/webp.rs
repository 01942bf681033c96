//! WebP through the `image` crate.

use super::format::{Format, LookedAt, Picture, Reading, Source};
use super::orientation;
use super::rgb::{Rgb, little_endian};
use anyhow::{Result, ensure};
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Rgba};
use std::io::Cursor;

pub(super) const FORMAT: Format = Format {
    name: "WebP",
    begins: |bytes| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
    open: |source, reading| Ok(Box::new(WebP(open(source, reading)?))),
    late_orientation: true,
    upright: false,
};

struct WebP<'a>(WebPDecoder<Cursor<&'a [u8]>>);

fn open<'a>(source: Source<'a>, reading: &Reading) -> Result<WebPDecoder<Cursor<&'a [u8]>>> {
    // What follows is no part of it.
    let end = (little_endian(source.bytes, 4) as usize).saturating_add(8);
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

impl Picture for WebP<'_> {
    fn size(&self) -> (usize, usize) {
        let (width, height) = self.0.dimensions();
        (width as usize, height as usize)
    }

    fn orientation(&mut self) -> Orientation {
        let (exif, xmp) = (self.0.exif_metadata().ok().flatten(), self.0.xmp_metadata().ok().flatten());
        orientation::of(exif.as_deref(), xmp.as_deref())
    }

    fn decode(self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        Ok(Rgb::from_image(DynamicImage::from_decoder(self.0)?))
    }
}
