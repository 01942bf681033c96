//! WebP, lossy or lossless, through the `image` crate.

use crate::images::formats::{Contents, LookedAt, Opened, Reading};
use crate::images::orientation;
use crate::images::rgb::Rgb;
use anyhow::{Result, ensure};
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Rgba};
use std::io::Cursor;

pub fn open<'a>(Contents { bytes, is_whole }: Contents<'a>, _: &Reading) -> Result<Box<dyn Opened + 'a>> {
    // What follows is no part of it.
    let end = (u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize).saturating_add(8);
    ensure!(!is_whole || bytes.len() >= end, "the file ends in the middle of the picture");
    let mut decoder = WebPDecoder::new(Cursor::new(&bytes[..end.min(bytes.len())]))?;
    if decoder.has_animation() {
        // Around a first picture that does not fill the canvas.
        decoder.set_background_color(Rgba([0; 4]))?;
    }
    Ok(Box::new(decoder))
}

impl Opened for WebPDecoder<Cursor<&[u8]>> {
    fn size(&self) -> (usize, usize) {
        let (width, height) = self.dimensions();
        (width as usize, height as usize)
    }

    fn orientation(&mut self) -> Orientation {
        let (exif, xmp) = (self.exif_metadata().ok().flatten(), self.xmp_metadata().ok().flatten());
        orientation::of(exif.as_deref(), xmp.as_deref())
    }

    fn decode(self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        Ok(DynamicImage::from_decoder(*self)?.into_rgb8().into())
    }
}
