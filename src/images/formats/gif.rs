//! The first picture of a GIF, as Pillow shows it: laid on the canvas, what is transparent by its colour in the palette.

use crate::images::formats::{Contents, LookedAt, Opened, Reading};
use crate::images::rgb::{Pixel, Rgb};
use anyhow::{Context, Result};
use gif::{ColorOutput, DecodeOptions, Decoder, MemoryLimit};
use std::num::NonZero;

pub fn open<'a>(Contents { bytes, .. }: Contents<'a>, reading: &Reading) -> Result<Box<dyn Opened + 'a>> {
    let size = canvas(&mut decoder(bytes, reading)?)?;
    Ok(Box::new(Gif { decoder: decoder(bytes, reading)?, size, bytes, reading: *reading }))
}

struct Gif<'a> {
    /// At its first picture.
    decoder: Decoder<&'a [u8]>,
    size: (usize, usize),
    bytes: &'a [u8],
    reading: Reading,
}

impl Opened for Gif<'_> {
    fn size(&self) -> (usize, usize) {
        self.size
    }

    fn is_continued(&mut self) -> bool {
        let second = decoder(self.bytes, &self.reading).map(|mut decoder| {
            let mut is_there = || decoder.next_frame_info().is_ok_and(|frame| frame.is_some());
            is_there() && is_there()
        });
        second.unwrap_or(false)
    }

    /// By its own indices, or around a picture that does not fill the canvas.
    fn is_transparent(&mut self) -> Result<bool> {
        let mut decoder = decoder(self.bytes, &self.reading)?;
        let frame = decoder.read_next_frame()?.context(NONE)?;
        let is_whole = (usize::from(frame.width), usize::from(frame.height)) == self.size;
        Ok(frame.transparent.is_some_and(|transparent| !is_whole || frame.buffer.contains(&transparent)))
    }

    fn decode(mut self: Box<Self>, _: LookedAt) -> Result<Rgb> {
        let (width, height) = self.size;
        let frame = self.decoder.read_next_frame()?.context(NONE)?.clone();
        let palette = frame.palette.as_deref().or(self.decoder.global_palette());
        let pixel = |index: u8| {
            let [r, g, b] = palette.map_or([index; 3], |palette| color(palette, index));
            [r, g, b, 0]
        };
        // Around a picture that does not fill the canvas.
        let mut pixels: Vec<Pixel> = vec![pixel(frame.transparent.unwrap_or(0)); width * height];
        let columns = usize::from(frame.width);
        for (row, indices) in frame.buffer.chunks_exact(columns.max(1)).enumerate() {
            let start = (usize::from(frame.top) + row) * width + usize::from(frame.left);
            pixels[start..start + columns].iter_mut().zip(indices).for_each(|(to, index)| *to = pixel(*index));
        }
        Ok(Rgb::new(width, height, pixels))
    }
}

const NONE: &str = "there is no picture in it";

/// Its size, which grows with the first picture.
fn canvas(decoder: &mut Decoder<&[u8]>) -> Result<(usize, usize)> {
    let (width, height) = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.next_frame_info()?.context(NONE)?;
    let end = |start: u16, length: u16| usize::from(start) + usize::from(length);
    Ok((width.max(end(frame.left, frame.width)), height.max(end(frame.top, frame.height))))
}

fn decoder<'a>(bytes: &'a [u8], reading: &Reading) -> Result<Decoder<&'a [u8]>> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.allow_unknown_blocks(true);
    // A byte a pixel.
    options.set_memory_limit(NonZero::new(reading.max_pixels as u64).map_or(MemoryLimit::Unlimited, MemoryLimit::Bytes));
    Ok(options.read_info(bytes)?)
}

/// Colours that the palette lacks are black.
fn color(palette: &[u8], index: u8) -> [u8; 3] {
    let start = usize::from(index) * 3;
    palette.get(start..start + 3).map_or([0; 3], |color| [color[0], color[1], color[2]])
}
