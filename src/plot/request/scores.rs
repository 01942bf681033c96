//! Scores that were written by `rsa`, as bars and along layers.

use super::write;
use crate::numbers::count;
use crate::observer::Observer;
use crate::plot::{Files, Picture, bars, profiles};
use crate::rsa::{Comparison, Score, Table};
use anyhow::Result;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// Draws the scores of the file `scores.json` as bars, to `out` (a prefix or a file) or `bars`, and says where the pictures are.
pub fn draw_bars(scores: &Path, out: Option<&Path>, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    draw(scores, out.unwrap_or(Path::new("bars")), bars, observer)
}

/// Draws them along the layers of each network, to `out` or `layers`.
pub fn draw_layers(scores: &Path, out: Option<&Path>, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    draw(scores, out.unwrap_or(Path::new("layers")), profiles, observer)
}

fn draw(
    scores: &Path,
    out: &Path,
    picture: fn(&[Score], &str, &str, &[String]) -> Picture,
    observer: &dyn Observer,
) -> Result<Vec<PathBuf>> {
    let files = Files::new(out)?;
    files.check(&[], [scores.to_owned()])?;
    let scores = Table::read(scores)?;
    let name = &scores[0].compare;
    let measure = Comparison::from_str(name, false).map_or_else(|_| name.clone(), |known| known.title().to_owned());
    let stimuli = format!("{} stimuli.", count(scores[0].stimuli));
    let title = format!("{measure} of {} targets and their models", scores.len());
    let family = format!("{} tests", count(scores.len()));
    write(&files, &picture(&scores, &measure, &family, &[stimuli]), &title, observer)
}
