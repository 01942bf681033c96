//! Pictures of files: what is to be drawn, of which stimuli, in which order; the same value whether flags or a caller in Rust says it.

mod rdms;
mod stimuli;

pub use rdms::{draw_maps, draw_rdms};

use super::font::lacks_letters;
use super::{Files, Picture, Scale, bars, profiles};
use crate::error::advise;
use crate::numbers::count;
use crate::observer::Observer;
use crate::rsa::{Comparison, Score, Table};
use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// RDMs as heat maps ([`draw_rdms`]), or maps of their stimuli ([`draw_maps`]).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// `[NAME=]FILE[,FILE…]`, of subjects the mean, or folders of runs; empty for every finished run in `activations/`.
    pub rdms: Vec<String>,
    /// Whether the stimuli that all RDMs have are drawn, instead of failing when they differ.
    pub intersect: bool,
    /// The RDM by whose clusters stimuli are ordered.
    pub cluster: Option<PathBuf>,
    /// How many clusters are marked.
    pub clusters: Option<u32>,
    /// `folder`, or a table of stimuli and their categories.
    pub categories: Option<String>,
    /// Whether stimuli stay in the given order.
    pub keep_order: bool,
    /// The folder of small pictures of the stimuli, under their IDs.
    pub thumbnails: Option<PathBuf>,
    /// Whether stimuli are not named, which is done where names fit.
    pub no_names: bool,
    /// Of more stimuli so many are drawn at random.
    pub max_conditions: Option<u32>,
    /// Of the random choice.
    pub seed: u64,
    /// Panels in a row; all, at most 9.
    pub columns: Option<u32>,
    /// Whether heat maps show dissimilarities instead of their ranks.
    pub raw: bool,
    /// What these are.
    pub unit: Option<String>,
    /// Of heat maps.
    pub colours: Scale,
    /// A prefix of two pictures, or one file; `rdms` or `mds`.
    pub out: Option<PathBuf>,
}

impl Request {
    /// Fails for what contradicts itself.
    pub fn check(&self) -> Result<()> {
        if self.cluster.is_none() && self.clusters.is_some() {
            return Err(advise("it is not known of which RDM clusters are wanted", "name it: --cluster RDM"));
        }
        if self.clusters == Some(0) || self.columns == Some(0) || self.max_conditions.is_some_and(|most| most < 4) {
            return Err(advise(
                "--clusters and --columns must be at least 1, --max-conditions 4",
                "leave them out for the defaults",
            ));
        }
        Ok(())
    }
}

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

/// Writes a picture, which programs call by `title`, and says where it is.
fn write(files: &Files, picture: &Picture, title: &str, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let paths = files.write(picture, title)?;
    if let Some(text) = picture.texts().find(|text| lacks_letters(&text.text)) {
        observer.note(&format!("some letters are not in the font of pictures and are shown as boxes, as in `{}`", text.text));
    }
    Ok(paths.to_vec())
}
