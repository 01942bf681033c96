//! Scores that were written by `rsa`, as bars and along layers.

use super::write;
use crate::numbers::count;
use crate::observer::Observer;
use crate::plot::{Files, Picture, bars, profiles};
use crate::rsa::{Comparison, Score, Table};
use anyhow::Result;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// A picture of scores.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ScoresRequest {
    /// The .json that `thingsvision rsa` wrote
    #[arg(default_value = "rsa.json", value_name = "SCORES.json")]
    pub scores: PathBuf,

    /// Where the pictures go: PREFIX.png and PREFIX.svg, or one file, FILE.png or FILE.svg [default: bars, layers]
    #[arg(long, value_name = "PREFIX|FILE")]
    pub out: Option<PathBuf>,
}

/// Draws scores as bars, and says where the pictures are.
pub fn draw_bars(request: &ScoresRequest, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    draw(request, "bars", bars, observer)
}

/// Draws them along the layers of each network.
pub fn draw_layers(request: &ScoresRequest, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    draw(request, "layers", profiles, observer)
}

type Plot = fn(&[Score], &str, &str, &[String]) -> Picture;

fn draw(request: &ScoresRequest, out: &str, plot: Plot, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let files = Files::new(request.out.as_deref().unwrap_or(Path::new(out)))?;
    files.check(&[], [request.scores.clone()])?;
    let scores = Table::read(&request.scores)?;
    let name = &scores[0].compare;
    let measure = Comparison::from_str(name, false).map_or_else(|_| name.clone(), |known| known.title().to_owned());
    let stimuli = format!("{} stimuli.", count(scores[0].stimuli));
    let title = format!("{measure} of {} targets and their models", scores.len());
    let family = format!("{} tests", count(scores.len()));
    write(&files, &plot(&scores, &measure, &family, &[stimuli]), &title, observer)
}
