//! Pixels as PNG: of whole pictures, drawn from their SVG so that both agree, and of the rasters in them.

use crate::error::advise;
use anyhow::{Context, Result};
use png::{BitDepth, ColorType, Encoder};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// Draws `svg` with `scale` pixels for each of its units.
pub fn draw(svg: &str, scale: f64) -> Result<Vec<u8>> {
    let tree = Tree::from_str(svg, &Options::default()).context("the picture cannot be read again")?;
    let [width, height] = [tree.size().width(), tree.size().height()].map(|side| (f64::from(side) * scale).ceil() as u32);
    let mut pixels = Pixmap::new(width, height).ok_or_else(|| {
        advise(format!("a picture of {width} × {height} pixels cannot be made"), "take a smaller --scale, or write .svg only")
    })?;
    resvg::render(&tree, Transform::from_scale(scale as f32, scale as f32), &mut pixels.as_mut());
    let rgb: Vec<u8> = pixels.pixels().iter().flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
    encode(width as usize, height as usize, ColorType::Rgb, None, &rgb)
}

/// A file of RGB pixels `[height, width, 3]`.
pub fn rgb(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>> {
    encode(width, height, ColorType::Rgb, None, pixels)
}

/// A file of pixels `[height, width]`, each the number of one of at most 256 colours.
pub fn indexed(width: usize, height: usize, colours: &[[u8; 3]], pixels: &[u8]) -> Result<Vec<u8>> {
    encode(width, height, ColorType::Indexed, Some(colours.concat()), pixels)
}

fn encode(width: usize, height: usize, colour: ColorType, palette: Option<Vec<u8>>, pixels: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width.try_into()?, height.try_into()?);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    if let Some(palette) = palette {
        encoder.set_palette(palette);
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}
