//! The files of a picture: SVG, and PNG that is drawn from it so that both agree; and the PNG of rasters in pictures.

use super::picture::Picture;
use super::svg::svg;
use crate::arrays;
use crate::atomic_file::{self, with_ending};
use crate::error::advise;
use crate::rdm::outputs;
use anyhow::{Context, Result};
use png::{BitDepth, ColorType, Encoder};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};
use std::path::{Path, PathBuf};

/// Pixels of the PNG for each unit of the picture.
const SCALE: f64 = 2.0;

pub struct Files {
    prefix: PathBuf,
    pictures: Vec<PathBuf>,
}

impl Files {
    /// `PREFIX.png` and `PREFIX.svg`, or `out` itself if it is called so.
    pub fn new(out: &Path) -> Result<Files> {
        outputs::check_folder(out)?;
        let kind = arrays::kind(out);
        if ["jpg", "jpeg", "gif", "tif", "tiff", "pdf", "eps", "ps", "bmp", "webp", "html"].contains(&kind.as_str()) {
            return Err(advise(
                format!("pictures are PNG and SVG, not .{kind}"),
                "end the name in .png or .svg, or leave the ending out",
            ));
        }
        if matches!(kind.as_str(), "png" | "svg") {
            return Ok(Files { prefix: out.with_extension(""), pictures: vec![out.to_owned()] });
        }
        Ok(Files { prefix: out.to_owned(), pictures: [".png", ".svg"].map(|ending| with_ending(out, ending)).to_vec() })
    }

    pub fn beside(&self, ending: &str) -> PathBuf {
        with_ending(&self.prefix, ending)
    }

    /// Fails if one of the files, or of `others`, is one that is read.
    pub fn check(&self, others: &[PathBuf], inputs: impl IntoIterator<Item = PathBuf>) -> Result<()> {
        outputs::check(&[&self.pictures[..], others].concat(), inputs)
    }

    /// Writes the picture, which programs call by `title`, and says where.
    pub fn write(&self, picture: &Picture, title: &str) -> Result<&[PathBuf]> {
        let svg = svg(picture, title);
        for path in &self.pictures {
            let bytes = if arrays::kind(path) == "svg" { svg.clone().into_bytes() } else { draw(&svg, SCALE)? };
            atomic_file::write(path, &bytes)?;
        }
        Ok(&self.pictures)
    }
}

/// Draws `svg` with `scale` pixels for each of its units.
fn draw(svg: &str, scale: f64) -> Result<Vec<u8>> {
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
