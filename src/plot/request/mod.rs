//! Pictures of files: what is to be drawn, of which stimuli, in which order; the same value whether flags or a caller in Rust says it.

mod rdms;
mod sources;
mod stimuli;

pub use rdms::{draw_maps, draw_rdms};

use super::font::lacks_letters;
use super::{Files, Picture, Scale, bars, courses, profiles, variance};
use crate::encode;
use crate::error::advise;
use crate::numbers::count;
use crate::observer::Observer;
use crate::plain_file;
use crate::rsa::{Comparison, Score, Table, regression};
use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// RDMs as heat maps ([`draw_rdms`]).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct RdmRequest {
    /// Of which RDMs
    #[command(flatten)]
    pub shown: Shown,

    /// Show the dissimilarities themselves instead of their ranks, with a scale for each RDM
    #[arg(long)]
    pub raw: bool,

    /// What raw dissimilarities are, below the scale: '1 − r'
    #[arg(long, value_name = "TEXT", requires = "raw")]
    pub unit: Option<String>,

    /// The colours of dissimilarities
    #[arg(long, value_enum, default_value_t)]
    pub colours: Scale,

    /// Where the pictures go: PREFIX.png and PREFIX.svg, and PREFIX.order.csv; or one file, FILE.png or FILE.svg
    /// [default: rdms]
    #[arg(long, value_name = "PREFIX|FILE")]
    pub out: Option<PathBuf>,
}

/// Maps of stimuli ([`draw_maps`]).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct MdsRequest {
    /// Of which RDMs
    #[command(flatten)]
    pub shown: Shown,

    /// Where the pictures go: PREFIX.png and PREFIX.svg, and PREFIX.points.csv; or one file, FILE.png or FILE.svg
    /// [default: mds]
    #[arg(long, value_name = "PREFIX|FILE")]
    pub out: Option<PathBuf>,
}

/// Which RDMs, of which stimuli, in which order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Shown {
    /// RDM files, and runs of `thingsvision extract` with all their layers; of subjects the mean is drawn. NAME= before a
    /// file is its title [default: every finished run in activations/]
    #[arg(value_name = "[NAME=]RDM|RUN_DIR")]
    pub rdms: Vec<String>,

    /// Draw the stimuli that all RDMs have, by their IDs, instead of failing when they differ
    #[arg(long)]
    pub intersect: bool,

    /// Order the stimuli by clusters of this RDM (hierarchical, average linkage), the same order in all panels
    #[arg(long, value_name = "RDM")]
    pub cluster: Option<PathBuf>,

    /// Mark this many clusters
    #[arg(long, value_name = "K", requires = "cluster", value_parser = clap::value_parser!(u32).range(1..))]
    pub clusters: Option<u32>,

    /// Mark the categories of the stimuli, and order by them if there are no clusters: `folder`, the folder of each image,
    /// or a table of stimulus ID and category
    #[arg(long, value_name = "folder|FILE")]
    pub categories: Option<String>,

    /// Keep the given order
    #[arg(long)]
    pub keep_order: bool,

    /// Show a small picture of each stimulus: the folder in which they lie under their IDs
    #[arg(long, value_name = "DIR")]
    pub thumbnails: Option<PathBuf>,

    /// Do not write the names of stimuli, which is done where they fit
    #[arg(long)]
    pub no_names: bool,

    /// Draw at most this many stimuli, drawn at random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..))]
    pub max_conditions: Option<u32>,

    /// For --max-conditions
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Panels in a row [default: all, at most 9]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub columns: Option<u32>,
}

/// A picture of scores.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct ScoresRequest {
    /// The .json that `thingsvision rsa` or `thingsvision triplets` wrote
    #[arg(default_value = "rsa.json", value_name = "SCORES.json")]
    pub scores: PathBuf,

    /// Where the pictures go: PREFIX.png and PREFIX.svg, or one file, FILE.png or FILE.svg [default: bars,
    /// layers, time]
    #[arg(long, value_name = "PREFIX|FILE")]
    pub out: Option<PathBuf>,
}

/// A picture of the parts of R².
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct VarianceRequest {
    /// The .regression.json that `thingsvision rsa --regress` wrote
    #[arg(default_value = "rsa.regression.json", value_name = "REGRESSION.json")]
    pub regression: PathBuf,

    /// Where the pictures go: PREFIX.png and PREFIX.svg, or one file, FILE.png or FILE.svg [default: variance]
    #[arg(long, value_name = "PREFIX|FILE")]
    pub out: Option<PathBuf>,
}

impl Shown {
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

/// Draws scores as bars, and says where the pictures are.
pub fn draw_bars(request: &ScoresRequest, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    draw(request, "bars", bars, observer)
}

/// Draws them along the layers of each network.
pub fn draw_layers(request: &ScoresRequest, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    draw(request, "layers", profiles, observer)
}

/// Draws those of movies over time.
pub fn draw_courses(request: &ScoresRequest, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let (files, scores) = read(request, "time")?;
    let numbers = scores.iter().flat_map(|of| [Some(of.score), of.low, of.high, of.time, of.ceiling_lower, of.ceiling_upper]);
    check_numbers(numbers.flatten(), &request.scores)?;
    let mut lines: Vec<_> = scores.iter().map(|of| (&of.target, &of.kind, &of.model, &of.layer)).collect();
    lines.sort_unstable();
    lines.dedup();
    if lines.len() > MOST_LINES {
        return Err(advise(
            format!("the picture has no room for {} lines", lines.len()),
            format!("compare at most {MOST_LINES} layers and targets in one command"),
        ));
    }
    let (measure, stimuli) = said(&scores);
    let title = format!("{measure} over time");
    let Some(picture) = courses(&scores, &measure, &[stimuli]) else {
        return Err(advise(
            format!("`{}` has no scores over time", request.scores.display()),
            "compare models with a movie of RDMs: thingsvision rsa --meg MOVIE; or draw `plot bars`, `plot layers`",
        ));
    };
    write(&files, &picture, &title, observer)
}

type Plot = fn(&[Score], &str, &str, &[String]) -> Picture;

fn draw(request: &ScoresRequest, out: &str, plot: Plot, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let (files, scores) = read(request, out)?;
    if let Some(score) = scores.iter().find(|score| score.time.is_some()) {
        return Err(advise(
            format!("`{}` has a score for every time of `{}`", request.scores.display(), score.target),
            format!("draw them over time: thingsvision plot time {}", request.scores.display()),
        ));
    }
    let (measure, stimuli) = said(&scores);
    let title = format!("{measure} of {} targets and their models", scores.len());
    let family = format!("{} tests", count(scores.len()));
    write(&files, &plot(&scores, &measure, &family, &[stimuli]), &title, observer)
}

/// Where the pictures go, and the scores.
fn read(request: &ScoresRequest, out: &str) -> Result<(Files, Vec<Score>)> {
    let files = Files::new(request.out.as_deref().unwrap_or(Path::new(out)))?;
    files.check(&[], [request.scores.clone()])?;
    let encoded = plain_file::read_to_string(&request.scores).ok().and_then(|text| encode::read(&text));
    Ok((files, encoded.map_or_else(|| Table::read(&request.scores), Ok)?))
}

/// The measure in words, and of how many stimuli.
fn said(scores: &[Score]) -> (String, String) {
    let name = &scores[0].compare;
    let measure = Comparison::from_str(name, false).map_or_else(|_| name.clone(), |known| known.title().to_owned());
    let (partial, held) = match &scores[0].controls {
        Some(controls) => ("partial ", format!(", {controls} held constant")),
        None => ("", String::new()),
    };
    (format!("{partial}{measure}"), format!("{} stimuli{held}.", count(scores[0].stimuli)))
}

/// What fits side by side; and the parts of six predictors.
const MOST_PREDICTORS: usize = 40;
const MOST_PARTS: usize = 63;
const MOST_PANELS: usize = 60;
const MOST_LINES: usize = 200;

/// No score, no share of variance and no time in ms is larger.
const LARGEST: f64 = 1e9;

/// Fails for numbers that nothing measures.
fn check_numbers(mut numbers: impl Iterator<Item = f64>, path: &Path) -> Result<()> {
    match numbers.find(|number| number.abs() > LARGEST) {
        Some(number) => Err(advise(
            format!("`{}` has the number {number:e}, which no score and no time is", path.display()),
            "name the .json that `thingsvision rsa` wrote, as it was written",
        )),
        None => Ok(()),
    }
}

/// Draws what predictors explain of targets alone and together, and says where the pictures are.
pub fn draw_variance(request: &VarianceRequest, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let files = Files::new(request.out.as_deref().unwrap_or(Path::new("variance")))?;
    files.check(&[], [request.regression.clone()])?;
    let rows = regression::read(&request.regression)?;
    if let Some(row) = rows.iter().find(|row| row.predictors.len() > MOST_PREDICTORS || row.parts.len() > MOST_PARTS) {
        return Err(advise(
            format!("the picture has no room for the {} predictors of `{}`", row.predictors.len(), row.target),
            format!("draw regressions on at most {MOST_PREDICTORS} predictors"),
        ));
    }
    if rows.len() > MOST_PANELS {
        return Err(advise(
            format!("the picture has no room for {} targets", rows.len()),
            format!("draw regressions of at most {MOST_PANELS} targets"),
        ));
    }
    let numbers = rows.iter().flat_map(|row| {
        let own = [Some(row.explained), row.explained_low, row.explained_high];
        let of_predictors = row.predictors.iter().flat_map(|one| [Some(one.unique), one.unique_low, one.unique_high]);
        let of_parts = row.parts.iter().flat_map(|part| [Some(part.variance), part.low, part.high]);
        own.into_iter().chain(of_predictors).chain(of_parts)
    });
    check_numbers(numbers.flatten(), &request.regression)?;
    let ranks = if rows[0].compare == "spearman" { " of ranks" } else { "" };
    let about = format!("{} regression{ranks}, {} stimuli.", rows[0].fit.title(), count(rows[0].stimuli));
    let title = format!("Variance explained of {} targets", rows.len());
    write(&files, &variance(&rows, &[about]), &title, observer)
}

/// Writes a picture, which programs call by `title`, and says where it is.
fn write(files: &Files, picture: &Picture, title: &str, observer: &dyn Observer) -> Result<Vec<PathBuf>> {
    let paths = files.write(picture, title)?;
    if let Some(text) = picture.texts().find(|text| lacks_letters(&text.text)) {
        observer.note(&format!("some letters are not in the font of pictures and are shown as boxes, as in `{}`", text.text));
    }
    Ok(paths.to_vec())
}
