//! The first picture of a GIF, as Pillow shows it: laid on the canvas, what is transparent by its colour in the palette.

use super::format::{Format, LookedAt, Picture, Reading};
use super::rgb::{Pixel, Rgb};
use anyhow::{Context, Result};
use gif::{ColorOutput, DecodeOptions, Decoder, Frame, MemoryLimit};
use std::num::NonZero;

pub(super) const FORMAT: Format = Format {
    name: "GIF",
    begins: |bytes| bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
    open: |source, reading| Ok(Box::new(Gif::new(source.bytes, reading)?)),
    late_orientation: true,
    upright: false,
};

struct Gif<'a> {
    decoder: Decoder<&'a [u8]>,
    /// The first picture, without its pixels.
    frame: Frame<'static>,
    /// Of the canvas, which grows with the first picture.
    size: (usize, usize),
}

impl<'a> Gif<'a> {
    fn new(bytes: &'a [u8], reading: &Reading) -> Result<Gif<'a>> {
        let mut options = DecodeOptions::new();
        options.set_color_output(ColorOutput::Indexed);
        options.allow_unknown_blocks(true);
        // A byte a pixel.
        options.set_memory_limit(NonZero::new(reading.max_pixels as u64).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes));
        let mut decoder = options.read_info(bytes)?;
        let frame = decoder.next_frame_info()?.context("there is no picture in it")?.clone();
        let [left, top, columns, rows] = [frame.left, frame.top, frame.width, frame.height].map(usize::from);
        let size = (usize::from(decoder.width()).max(left + columns), usize::from(decoder.height()).max(top + rows));
        reading.check_size(size.0, size.1)?;
        Ok(Gif { decoder, frame, size })
    }
}

impl Picture for Gif<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn decode(mut self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        let mut indices = vec![0; self.decoder.buffer_size()];
        self.decoder.read_into_buffer(&mut indices)?;
        let palette = self.frame.palette.as_deref().or(self.decoder.global_palette());
        let pixel = |index: u8| {
            let [r, g, b] = palette.map_or([index; 3], |palette| color(palette, index));
            [r, g, b, 0]
        };
        let (width, height) = self.size;
        // Around a picture that does not fill the canvas.
        let mut pixels: Vec<Pixel> = vec![pixel(self.frame.transparent.unwrap_or(0)); width * height];
        let [left, top, columns] = [self.frame.left, self.frame.top, self.frame.width].map(usize::from);
        for (row, indices) in indices.chunks_exact(columns.max(1)).enumerate() {
            let start = (top + row) * width + left;
            pixels[start..start + columns].iter_mut().zip(indices).for_each(|(to, index)| *to = pixel(*index));
        }
        Ok(Rgb::new(width, height, pixels))
    }
}

/// Colours that the palette lacks are black.
fn color(palette: &[u8], index: u8) -> [u8; 3] {
    let start = usize::from(index) * 3;
    palette.get(start..start + 3).map_or([0; 3], |color| [color[0], color[1], color[2]])
}
