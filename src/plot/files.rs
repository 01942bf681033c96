//! The files of a picture: PNG and SVG, or the one that was named.

use super::picture::Picture;
use super::png::draw;
use super::svg::svg;
use crate::arrays;
use crate::atomic_file::{self, with_ending};
use crate::error::advise;
use crate::rdm::outputs;
use anyhow::Result;
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
