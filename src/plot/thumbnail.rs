//! Small pictures of stimuli.

use super::picture::Raster;
use super::png;
use crate::error::advise;
use crate::images::{Interpolation, Preprocessing, Reading, Size, decode};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Pixels a side.
const SIDE: usize = 64;

/// The square in the middle of the picture of stimulus `id`: the file of that name in `folder`, or the first one in the
/// folder of that name.
pub fn thumbnail(folder: &Path, id: &str) -> Result<Arc<Raster>> {
    let path = find(folder, id)?;
    let square = Preprocessing {
        resize: Size::Shorter(SIDE),
        interpolation: Interpolation::Lanczos,
        crop: Some(SIDE),
        mean: [0.0; 3],
        std: [1.0; 3],
        pillow: Default::default(),
    };
    let image = decode(&path, &Reading::default(), &|width, height| square.looks_at(width, height))?;
    let mut planes = vec![0.0; 3 * SIDE * SIDE];
    square.apply(&image, &mut planes);
    let byte = |i: usize| (planes[i % 3 * SIDE * SIDE + i / 3] * 255.0).round() as u8;
    let pixels: Vec<u8> = (0..planes.len()).map(byte).collect();
    Ok(Raster { png: png::rgb(SIDE, SIDE, &pixels)?, width: SIDE, height: SIDE, sharp: false }.into())
}

fn find(folder: &Path, id: &str) -> Result<PathBuf> {
    let path = folder.join(id);
    if path.is_file() {
        return Ok(path);
    }
    let files = std::fs::read_dir(&path).map_err(|_| {
        advise(
            format!("there is no picture `{}`", path.display()),
            "name the folder in which the stimuli lie under the names that the RDM gives them: the --images of the run",
        )
    })?;
    let files: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
    let shown = |path: &PathBuf| path.is_file() && !path.file_name().unwrap_or_default().to_string_lossy().starts_with('.');
    files.into_iter().filter(shown).min().with_context(|| format!("no picture in `{}`", path.display()))
}
