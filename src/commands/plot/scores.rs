//! `thingsvision plot bars` and `plot layers`.

use super::write;
use crate::cli::PlotScores;
use crate::printer::Printer;
use anyhow::Result;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use thingsvision::numbers::count;
use thingsvision::plot::{Files, Picture, bars as bar_picture, profiles};
use thingsvision::rsa::{Comparison, Score, Table};

/// Scores as bars.
pub fn bars(wanted: &PlotScores, printer: Printer) -> Result<()> {
    draw(wanted, "bars", bar_picture, printer)
}

/// Scores along layers.
pub fn layers(wanted: &PlotScores, printer: Printer) -> Result<()> {
    draw(wanted, "layers", profiles, printer)
}

fn draw(
    wanted: &PlotScores,
    default: &str,
    picture: fn(&[Score], &str, &str, &[String]) -> Picture,
    printer: Printer,
) -> Result<()> {
    let out: PathBuf = wanted.out.clone().unwrap_or_else(|| Path::new(default).to_owned());
    let files = Files::new(&out)?;
    files.check(&[], [wanted.scores.clone()])?;
    let scores = Table::read(&wanted.scores)?;
    let name = &scores[0].compare;
    let measure = Comparison::from_str(name, false).map_or_else(|_| name.clone(), |known| known.title().to_owned());
    let stimuli = format!("{} stimuli.", count(scores[0].stimuli));
    let title = format!("{measure} of {} targets and their models", scores.len());
    let family = format!("{} tests", count(scores.len()));
    write(&files, &picture(&scores, &measure, &family, &[stimuli]), &title, printer)
}
