//! The flags of `thingsvision plot`.

use clap::Subcommand;
use std::path::PathBuf;
use thingsvision::plot::{Request, Scale};

/// `thingsvision plot`
#[derive(Debug, clap::Args)]
pub struct Plot {
    /// What to draw
    #[command(subcommand)]
    pub command: PlotCommand,
}

/// The subcommands of `thingsvision plot`.
#[derive(Debug, Subcommand)]
pub enum PlotCommand {
    /// Draw RDMs as heat maps side by side, the same stimuli in the same order
    ///
    ///   thingsvision plot rdm behavior.npy activations/clip-vit --cluster behavior.npy --clusters 5
    #[command(verbatim_doc_comment)]
    Rdm(PlotRdm),
    /// Draw a map of the stimuli by classical multidimensional scaling: near each other if they are alike
    Mds(PlotMds),
    /// Draw the scores of `thingsvision rsa` as bars: networks and targets, pretrained beside random
    ///
    /// Runs that differ in the random seed alone are drawn as one bar, their mean, with a dot for each seed.
    Bars(PlotScores),
    /// Draw the scores of `thingsvision rsa` along the layers of each network
    Layers(PlotScores),
}

/// `thingsvision plot rdm`
#[derive(Debug, clap::Args)]
pub struct PlotRdm {
    /// What is drawn
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
    #[arg(long, value_name = "PREFIX|FILE", default_value = "rdms")]
    pub out: PathBuf,
}

impl PlotRdm {
    /// What the flags ask for.
    pub fn request(&self) -> Request {
        let PlotRdm { shown, raw, unit, colours, out } = self;
        Request { raw: *raw, unit: unit.clone(), colours: *colours, out: Some(out.clone()), ..shown.request() }
    }
}

/// `thingsvision plot mds`
#[derive(Debug, clap::Args)]
pub struct PlotMds {
    /// What is drawn
    #[command(flatten)]
    pub shown: Shown,

    /// Where the pictures go: PREFIX.png and PREFIX.svg, and PREFIX.points.csv; or one file, FILE.png or FILE.svg
    #[arg(long, value_name = "PREFIX|FILE", default_value = "mds")]
    pub out: PathBuf,
}

impl PlotMds {
    /// What the flags ask for.
    pub fn request(&self) -> Request {
        Request { out: Some(self.out.clone()), ..self.shown.request() }
    }
}

/// `thingsvision plot bars` and `layers`
#[derive(Debug, clap::Args)]
pub struct PlotScores {
    /// The .json that `thingsvision rsa` wrote
    #[arg(default_value = "rsa.json", value_name = "SCORES.json")]
    pub scores: PathBuf,

    /// Where the pictures go: PREFIX.png and PREFIX.svg, or one file, FILE.png or FILE.svg [default: bars, layers]
    #[arg(long, value_name = "PREFIX|FILE")]
    pub out: Option<PathBuf>,
}

/// Which RDMs, of which stimuli, in which order.
#[derive(Debug, clap::Args)]
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

    /// Mark so many clusters
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

    /// Draw at most so many stimuli, drawn at random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(4..))]
    pub max_conditions: Option<u32>,

    /// For --max-conditions
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Panels in a row [default: all, at most 9]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub columns: Option<u32>,
}

impl Shown {
    fn request(&self) -> Request {
        Request {
            rdms: self.rdms.clone(),
            intersect: self.intersect,
            cluster: self.cluster.clone(),
            clusters: self.clusters,
            categories: self.categories.clone(),
            keep_order: self.keep_order,
            thumbnails: self.thumbnails.clone(),
            no_names: self.no_names,
            max_conditions: self.max_conditions,
            seed: self.seed,
            columns: self.columns,
            ..Request::default()
        }
    }
}
