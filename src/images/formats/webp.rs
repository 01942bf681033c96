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
    Ok(Box::new(WebP { decoder: decoder(bytes, is_whole)?, bytes }))
}

struct WebP<'a> {
    decoder: WebPDecoder<Cursor<&'a [u8]>>,
    bytes: &'a [u8],
}

fn decoder(bytes: &[u8], is_whole: bool) -> Result<WebPDecoder<Cursor<&[u8]>>> {
    // What follows is no part of it.
    let end = (u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize).saturating_add(8);
    ensure!(!is_whole || bytes.len() >= end, "the file ends in the middle of the picture");
    let mut decoder = WebPDecoder::new(Cursor::new(&bytes[..end.min(bytes.len())]))?;
    if decoder.has_animation() {
        // Around a first picture that does not fill the canvas.
        decoder.set_background_color(Rgba([0; 4]))?;
    }
    Ok(decoder)
}

impl Opened for WebP<'_> {
    fn size(&self) -> (usize, usize) {
        let (width, height) = self.decoder.dimensions();
        (width as usize, height as usize)
    }

    fn orientation(&mut self) -> Orientation {
        let (exif, xmp) = (self.decoder.exif_metadata().ok().flatten(), self.decoder.xmp_metadata().ok().flatten());
        orientation::of(exif.as_deref(), xmp.as_deref())
    }

    fn is_continued(&mut self) -> bool {
        self.decoder.has_animation()
    }

    fn is_transparent(&mut self) -> Result<bool> {
        if !self.decoder.color_type().has_alpha() {
            return Ok(false);
        }
        let picture = DynamicImage::from_decoder(decoder(self.bytes, true)?)?.into_rgba8();
        Ok(picture.pixels().any(|pixel| pixel.0[3] < 255))
    }

    fn decode(self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        Ok(DynamicImage::from_decoder(self.decoder)?.into_rgb8().into())
    }
}
