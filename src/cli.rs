//! The command line: flags and their help, nothing else.

mod rdm;

pub use rdm::{Rdm, RdmCommand};

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use thingsvision::encode;
use thingsvision::extract::{AlignRequest, Overrides, ReduceRequest, Request};
use thingsvision::plot::{MdsRequest, RdmRequest, ScoresRequest, VarianceRequest};
use thingsvision::rsa::{self, cka, triplets};

/// The heading of the flags that every command has.
const COMMON: &str = "Common options";

/// Activations of vision networks for your images, their RDMs, and how these relate to behaviour and fMRI
///
/// A first analysis in three lines:
///
///   thingsvision layers --model alexnet
///   thingsvision extract --model alexnet --weights random --images my-images/
///   thingsvision rsa --behavior my-rdm.npy
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, max_term_width = 80)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,

    /// Print errors only
    #[arg(short, long, global = true, help_heading = COMMON)]
    pub quiet: bool,

    /// A file that adds models of your own: other sizes, classes, weights. Written like models.toml, see docs/models.md
    #[arg(long, global = true, help_heading = COMMON, value_name = "FILE.toml")]
    pub registry: Option<PathBuf>,

    /// Where fetched weights are kept [default: THINGSVISION_CACHE, else the platform's cache folder]
    #[arg(long, global = true, help_heading = COMMON, value_name = "DIR")]
    pub cache: Option<PathBuf>,

    /// Never use the network (also: THINGSVISION_OFFLINE=1)
    #[arg(long, global = true, help_heading = COMMON)]
    pub offline: bool,
}

impl Cli {
    /// `request` with where networks and their weights are looked for.
    pub fn placed(&self, request: Request) -> Request {
        Request { registry: self.registry.clone(), cache: self.cache.clone(), offline: self.offline, ..request }
    }
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the models
    Models(Models),
    /// List the layers of a model, in the order in which they are computed
    Layers(Layers),
    /// Extract the activations of layers for a folder of images, and their RDMs
    ///
    /// Makes a folder, such as activations/alexnet.random-0, and prints its path.
    /// In it are
    ///   LAYER.npy        the activations, one row an image
    ///   LAYER.rdm.npy    the RDM, images × images
    ///   images.txt       the images in the order of the rows
    ///   run.json         how all this was made
    #[command(
        verbatim_doc_comment,
        override_usage = "thingsvision extract [OPTIONS] --model <MODEL> --images <DIR|STACK>\n       \
                          thingsvision extract [OPTIONS] --model <MODEL> --image-list <FILE>"
    )]
    Extract(Box<Request>),
    /// Go on with an extraction that was stopped: the command that began it, where it was given
    Resume(Resume),
    /// Join the shards of an extraction to one run
    ///
    /// The same bytes as if one process had made it, RDMs included.
    Merge(Merge),
    /// Make a run of another with fewer numbers a row: principal components or a random projection
    ///
    /// The same as `extract` makes with the same --reduce, without the network.
    ///
    ///   thingsvision reduce activations/resnet50 --reduce pca --components 100
    #[command(verbatim_doc_comment)]
    Reduce(Box<ReduceRequest>),
    /// Make a run of another with the rows of a layer transformed, as people judge similarity
    ///
    /// Each row x becomes ((x − mean) / std) · weights + bias. Of gLocal the transforms
    /// of 12 networks are published, each for one layer and one set of weights (models
    /// NAME shows which), and are fetched when they are needed.
    ///
    ///   thingsvision extract --model resnet18 --layer avgpool --images things/
    ///   thingsvision align activations/resnet18 --transform gLocal
    #[command(verbatim_doc_comment)]
    Align(Box<AlignRequest>),
    /// Check a finished run: its files, its images, and some rows computed anew
    ///
    /// Exit status 0 if all is as recorded, 1 if not.
    Verify(Verify),
    /// List, fetch, check and import pretrained weights
    ///
    /// `extract` fetches what it needs by itself. On a machine without network, `import` a file that was downloaded
    /// elsewhere; THINGSVISION_MIRROR names a server of your own with the same file names.
    Weights(Weights),
    /// Compute the RDM of features; check, average, convert RDMs
    ///
    /// The formulas of the metrics, of two rows x and y of P units, are under --metric.
    ///
    /// An RDM is written as .npy (float32), with the IDs of its stimuli, if they are
    /// known, in .ids.txt beside it.
    #[command(verbatim_doc_comment)]
    Rdm(Box<Rdm>),
    /// Compare RDMs of layers with RDMs of behaviour or fMRI
    ///
    /// RDMs with IDs (runs, .ids.txt beside a file, row names of a .csv) are aligned
    /// by them; one without is taken to be in the order of the others. The table goes
    /// to the terminal and, with all digits, to files.
    ///
    /// The formulas of the measures, over the m pairs x and y of the upper triangles,
    /// are under --compare.
    ///
    /// A full analysis:
    ///   thingsvision rsa --behavior judgements.npy --fmri 'IT=sub-*.npy' \
    ///     --permutations 10000 --bootstrap 1000 --explain
    #[command(
        verbatim_doc_comment,
        override_usage = "thingsvision rsa [OPTIONS] --behavior <[NAME=]RDM> [RUN_DIR|RDM]...\n       \
                          thingsvision rsa [OPTIONS] --fmri <[NAME=]RDM> [RUN_DIR|RDM]..."
    )]
    Rsa(Rsa),
    /// Compare the features of layers with each other by CKA
    ///
    /// ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of the centred features X and Y of the same stimuli; with --kernel rbf the same of Gaussian
    /// kernels K and L, ⟨K, L⟩ / (‖K‖ ‖L‖), both centred (Kornblith et al. 2019)
    Cka(Cka),
    /// Score layers by how often they choose the odd one out as people did
    ///
    /// Of three stimuli a layer keeps the two together that are most alike to it, and
    /// the third is its odd one. The accuracy is the share of judgements whose odd one
    /// is the same; chance is 1/3. Nothing is fitted.
    ///
    ///   thingsvision triplets activations/clip-vit --choices triplets.txt \
    ///     --bootstrap 1000
    #[command(verbatim_doc_comment)]
    Triplets(Triplets),
    /// Predict responses of voxels, channels or neurons from features: encoding models
    ///
    /// Ridge regression with a penalty for each target. The images are divided into
    /// folds; each is predicted by a fit to the others, in which penalties are chosen,
    /// and predictions are compared with the responses by Pearson's r and R².
    ///
    ///   thingsvision encode activations/alexnet --targets sub-1=betas.npy
    ///   thingsvision encode activations/alexnet --targets betas.nii.gz \
    ///     --mask mask.nii.gz --groups runs.csv --permutations 1000
    #[command(verbatim_doc_comment, override_usage = "thingsvision encode [OPTIONS] --targets <FILE> [RUN_DIR|FEATURES]...")]
    Encode(Box<Encode>),
    /// Draw RDMs, maps of stimuli, and scores, as PNG and SVG
    Plot(Box<Plot>),
    /// Run a whole comparison that a file describes: networks, image sets, targets;
    /// figures and a report
    ///
    /// Everything goes to the folder that the file names. What is there already and
    /// has not changed is not computed again, so the same command continues a study
    /// that was interrupted. A file for a first study (paths begin where it lies):
    ///
    ///   out = "figure2"
    ///   models = ["alexnet", "resnet50", { model = "clip-vit", layers = ["visual"] }]
    ///   weights = ["pretrained", "random:5"]      # five seeds
    ///
    ///   [[dataset]]
    ///   name = "things"
    ///   images = "things/"
    ///   average_by = "folder"
    ///   behavior = "spose.npy"
    ///   fmri = ["IT=sub-*.npy"]
    #[command(verbatim_doc_comment)]
    Study(Study),
    /// Print what a bug report needs: versions, processor, GPU, folders
    About(About),
    /// Print a script that completes commands, flags, models and layers in a shell
    ///
    /// In bash, for every terminal that is opened from now on:
    ///   echo 'source <(thingsvision completions bash)' >> ~/.bashrc
    /// zsh:
    ///   echo 'source <(thingsvision completions zsh)' >> ~/.zshrc
    /// fish:
    ///   echo 'thingsvision completions fish | source' >> ~/.config/fish/config.fish
    #[command(verbatim_doc_comment)]
    Completions(Completions),
    /// Write this help as pages for `man`
    ///
    ///   thingsvision man ~/.local/share/man/man1
    #[command(verbatim_doc_comment)]
    Man(Man),
}

/// `thingsvision about`
#[derive(Debug, clap::Args)]
pub struct About {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `thingsvision completions`
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The shells that have a script.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Shell {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
}

/// `thingsvision man`
#[derive(Debug, clap::Args)]
pub struct Man {
    /// The folder for the pages
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// `thingsvision study`
#[derive(Debug, clap::Args)]
pub struct Study {
    /// The file that describes the study
    #[arg(value_name = "STUDY.toml")]
    pub file: PathBuf,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `thingsvision models`
#[derive(Debug, clap::Args)]
pub struct Models {
    /// A model: everything about it; or a word: all models that have it in their name, family, source, weights, licence or
    /// citation [default: the names of all, by family]
    #[arg(value_name = "MODEL|WORD")]
    pub model: Option<String>,

    /// A line for each model, instead of its name
    #[arg(long)]
    pub long: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `thingsvision resume`
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// The folder of the run, with or without .partial
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,
}

/// `thingsvision merge`
#[derive(Debug, clap::Args)]
pub struct Merge {
    /// The folders of all shards of one run
    #[arg(required = true, value_name = "SHARD_DIR")]
    pub shards: Vec<PathBuf>,

    /// Replace a run that is already there
    #[arg(long)]
    pub force: bool,
}

/// `thingsvision verify`
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The folder of the run
    #[arg(value_name = "RUN_DIR")]
    pub run: PathBuf,

    /// How many rows are computed anew from their images and compared
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub rows: usize,

    /// Which rows: the same seed draws the same
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `thingsvision layers`
#[derive(Debug, clap::Args)]
pub struct Layers {
    /// The model, as `thingsvision models` lists it, or a file: a network that PyTorch exported
    #[arg(long)]
    pub model: String,

    /// The layers of the model's text tower, which `thingsvision extract --texts` extracts
    #[arg(long)]
    pub texts: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    // Last, for what follows would get their heading.
    /// What the network is shown of an image
    #[command(flatten)]
    pub pixels: Overrides,
}

/// `thingsvision weights`
#[derive(Debug, clap::Args)]
pub struct Weights {
    /// What to do
    #[command(subcommand)]
    pub command: WeightsCommand,
}

/// The subcommands of `thingsvision weights`.
#[derive(Debug, Subcommand)]
pub enum WeightsCommand {
    /// List all published weights, and which are on this machine
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Download weights that are not here yet, and print where they are
    Fetch {
        /// Models, with or without a weights tag
        #[arg(required = true)]
        models: Vec<String>,
    },
    /// Check fetched files by their hash
    Verify {
        /// Models [default: all that were fetched]
        models: Vec<String>,
    },
    /// Print where the file of a model is
    Path {
        /// The model, with or without a weights tag
        model: String,
    },
    /// Take a file that was downloaded elsewhere, if its hash is right
    Import {
        /// The file
        file: PathBuf,
        /// Whose weights it holds, with or without a weights tag
        #[arg(long)]
        model: String,
    },
}

/// `thingsvision rsa`
#[derive(Debug, clap::Args)]
pub struct Rsa {
    /// What is to be compared
    #[command(flatten)]
    pub request: rsa::Request,

    /// Print what was done, with all formulas, ready for a methods section
    #[arg(long)]
    pub explain: bool,

    /// Print JSON instead of the table: the scores, or with --differences an object of `scores` and `differences`
    #[arg(long)]
    pub json: bool,
}

/// `thingsvision cka`
#[derive(Debug, clap::Args)]
pub struct Cka {
    /// What is to be compared
    #[command(flatten)]
    pub request: cka::Request,

    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

/// `thingsvision triplets`
#[derive(Debug, clap::Args)]
pub struct Triplets {
    /// What is to be scored
    #[command(flatten)]
    pub request: triplets::Request,

    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

/// `thingsvision encode`
#[derive(Debug, clap::Args)]
pub struct Encode {
    /// What is to be fitted
    #[command(flatten)]
    pub request: encode::Request,

    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

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
    ///   thingsvision plot rdm behavior.npy activations/clip-vit --clusters 5 \
    ///     --cluster behavior.npy
    #[command(verbatim_doc_comment)]
    Rdm(RdmRequest),
    /// Draw a map of the stimuli by classical multidimensional scaling: near each other if they are alike
    Mds(MdsRequest),
    /// Draw the scores of `thingsvision rsa`, `triplets` or `encode` as bars: networks and targets, pretrained beside random
    ///
    /// Runs that differ in the random seed alone are drawn as one bar, their mean, with a dot for each seed.
    Bars(ScoresRequest),
    /// Draw the scores of `thingsvision rsa`, `triplets` or `encode` along the layers of each network
    Layers(ScoresRequest),
    /// Draw the scores of `thingsvision rsa --meg` or `--eeg` over time, with intervals and significant clusters
    Time(ScoresRequest),
    /// Draw what predictors of `thingsvision rsa --regress` explain, each alone and together
    Variance(VarianceRequest),
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::{Command, CommandFactory};
    use unicode_width::UnicodeWidthStr;

    /// Fails for a line that is wider than a terminal of 80 columns, or that is broken there though its comment is not.
    fn check(command: &mut Command) {
        let help = command.render_long_help().to_string();
        for line in help.lines() {
            assert!(line.width() <= 80, "in the help of {}:\n{line}", command.get_name());
        }
        // Paragraphs of several lines keep them; those of one are broken where they have to be.
        let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        for line in about.split("\n\n").filter(|paragraph| paragraph.contains('\n')).flat_map(str::lines) {
            assert!(line.width() <= 80, "above {}:\n{line}", command.get_name());
        }
        command.get_subcommands_mut().for_each(check);
    }

    #[test]
    fn every_help_fits_a_terminal() {
        let mut command = Cli::command();
        command.build();
        check(&mut command);
    }
}
