//! The command line: flags and their help, nothing else.

mod plot;
mod rdm;
mod rsa;

pub use plot::{Plot, PlotCommand, PlotMds, PlotRdm, PlotScores, Shown};
pub use rdm::{Rdm, RdmCommand};
pub use rsa::{Cka, Rsa};

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use thingsvision::advice::advise;
use thingsvision::device::{Precision, Request};
use thingsvision::extract::Shard;
use thingsvision::images::{Interpolation, MOST_SHOWN, Pillow, Preprocessing, Reading, Size};
use thingsvision::npy::Dtype;
use thingsvision::rdm::OnConstant;
use thingsvision::readout::{Readout, Tokens};
use thingsvision::registry::{Choice, Registry};
use thingsvision::weights;

/// Activations of vision networks for your images, their RDMs, and how these relate to behaviour and fMRI
///
/// A first analysis in three lines:
///
///   thingsvision layers --model alexnet
///   thingsvision extract --model alexnet --weights random --layer 'features.*' --images my-images/
///   thingsvision rsa --behavior my-rdm.npy
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, max_term_width = 110)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,

    /// Print errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// A file that adds models of your own: other sizes, classes, weights. Written like models.toml, see the README
    #[arg(long, global = true, value_name = "FILE.toml")]
    pub registry: Option<PathBuf>,

    /// Where fetched weights are kept [default: THINGSVISION_CACHE, else the platform's cache folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub cache: Option<PathBuf>,

    /// Never use the network (also: THINGSVISION_OFFLINE=1)
    #[arg(long, global = true)]
    pub offline: bool,
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
    /// Makes a folder, such as activations/alexnet.random-0, and prints its path. In it are
    ///   LAYER.npy        the activations, one row an image
    ///   LAYER.rdm.npy    the RDM, images × images
    ///   images.txt       the images in the order of the rows
    ///   run.json         how all this was made
    #[command(
        verbatim_doc_comment,
        override_usage = "thingsvision extract [OPTIONS] --model <MODEL> --images <DIR|STACK>\n       \
                          thingsvision extract [OPTIONS] --model <MODEL> --image-list <FILE>"
    )]
    Extract(Box<Extract>),
    /// Go on with an extraction that was stopped: the command that began it, where it was given
    Resume(Resume),
    /// Join the shards of an extraction to one run
    ///
    /// The same bytes as if one process had made it, RDMs included.
    Merge(Merge),
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
    /// Of two rows x and y of P units:
    ///   correlation              1 − r, r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²)
    ///   cosine                   1 − Σxy / √(Σx² Σy²)
    ///   euclidean                √Σ(x−y)²
    ///   sqeuclidean              Σ(x−y)²
    ///   sqeuclidean-per-feature  Σ(x−y)² / P             (what rsatoolbox calls euclidean)
    ///   cityblock                Σ|x−y|
    ///   spearman                 1 − r of the ranks of the units
    ///   gaussian                 1 − exp(−Σ(x−y)² / m), m the mean of Σ(x−y)² over all N² pairs
    ///   mahalanobis              √((x−y) Σ⁻¹ (x−y)ᵀ)     (rsatoolbox gives its square / P)
    ///   crossnobis               (x−y)ₐ Σ⁻¹ (x−y)ᵦᵀ / P, the mean over all partitions a ≠ b; signed
    ///   odd-one-out              1 − p, p the mean of exp(s_xy) / (exp(s_xy) + exp(s_xk) + exp(s_yk)) over all other
    ///                            rows k, s the products of rows; for embeddings such as SPoSE and VICE
    ///
    /// An RDM is written as .npy (float32), with the IDs of its stimuli, if they are known, in .ids.txt beside it.
    #[command(verbatim_doc_comment)]
    Rdm(Box<Rdm>),
    /// Compare RDMs of layers with RDMs of behaviour or fMRI
    ///
    /// RDMs with IDs (runs, .ids.txt beside a file, row names of a .csv) are aligned by them; one without is taken to be
    /// in the order of the others. The table goes to the terminal and, with all digits, to files.
    ///
    /// Over the m pairs x and y of the upper triangles:
    ///   pearson               r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²)
    ///   spearman              r of the ranks
    ///   kendall-tau-a         (concordant − discordant) / (m(m−1)/2)
    ///   kendall-tau-b         (concordant − discordant) / √((T−Tx)(T−Ty)), T = m(m−1)/2
    ///   rho-a                 12 Σ(Rx−R̄)(Ry−R̄) / (m³−m) of the ranks; for models with ties, such as categories
    ///   cosine                Σxy / √(Σx² Σy²)
    ///   whitened-cosine       xᵀV⁻¹y / √(xᵀV⁻¹x · yᵀV⁻¹y), V the covariance of the distances of unrelated stimuli
    ///   whitened-correlation  the same of x−x̄ and y−ȳ
    ///   cka, cka-unbiased     linear CKA of the kernels behind the RDMs (squared Euclidean distances)
    ///
    /// A full analysis:
    ///   thingsvision rsa --behavior judgements.npy --fmri 'IT=sub-*.npy' --permutations 10000 --bootstrap 1000 --explain
    #[command(verbatim_doc_comment)]
    Rsa(Rsa),
    /// Compare the features of layers with each other by linear CKA
    ///
    /// ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of the centred features X and Y of the same stimuli (Kornblith et al. 2019)
    Cka(Cka),
    /// Draw RDMs, maps of stimuli, and scores, as PNG and SVG
    Plot(Box<Plot>),
    /// Run a whole comparison that a file describes: networks, image sets, targets; figures and a report
    ///
    /// Everything goes to the folder that the file names. What is there already and has not changed is not computed again, so
    /// the same command continues a study that was interrupted. A file for a first study (paths begin where it lies):
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
    /// Show everything about one model: weights, preprocessing, licence, citation
    pub model: Option<String>,

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

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    // Last, for what follows would get their heading.
    /// What the network is shown of an image
    #[command(flatten)]
    pub pixels: Pixels,
}

/// `thingsvision extract`
#[derive(Debug, clap::Args)]
pub struct Extract {
    /// The model, as `thingsvision models` lists it; `resnet50.imagenet1k_v2` selects weights by their tag. Or a file: a
    /// network that PyTorch exported (examples/export_model.py). Repeat for more: images are then decoded once for all
    #[arg(long = "model", value_name = "MODEL|FILE.pt", required = true)]
    pub models: Vec<String>,

    /// A layer by its PyTorch name, or several by a glob in quotes: 'layer4.*'. Repeat for more. A module that is
    /// called more than once gives its last output, NAME@0 the first; of one that gives several tensors, NAME:1 is the
    /// second. `input` is the preprocessed image, `output` the end of the network [default: the model's penultimate layer]
    #[arg(long = "layer", value_name = "NAME|GLOB")]
    pub layers: Vec<String>,

    /// `pretrained`, `random` (untrained, as PyTorch initialises it), or a file: a PyTorch state dict or safetensors
    #[arg(long, value_name = "pretrained|random|FILE", default_value = "pretrained")]
    pub weights: weights::Weights,

    /// For random weights: the same as torch.manual_seed(N) before the model is made in PyTorch
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_seed, allow_negative_numbers = true)]
    pub seed: u64,

    /// Where the run's folder, named after model and weights, is made
    #[arg(long, value_name = "DIR", default_value = "activations")]
    pub out: PathBuf,

    /// What is kept of each activation [default: none; for the default layer of a model, the readout that goes with it]
    #[arg(long, value_enum)]
    pub readout: Option<Readout>,

    /// Which tokens of a layer stand for no part of the picture, for the readouts cls and patches: `cls` (the first is the
    /// class token), `cls+4` (then 4 registers), `4` (4 registers, no class token), `none` [default: as the model says]
    #[arg(long, value_name = "cls|cls+N|N|none")]
    pub tokens: Option<Tokens>,

    /// The type of the stored numbers
    #[arg(long, value_enum, default_value_t)]
    pub dtype: Dtype,

    /// Store one row for each folder of images, the mean over the images in it, instead of one for each image
    #[arg(long, value_enum, value_name = "folder")]
    pub average_by: Option<AverageBy>,

    /// The RDM stored beside each layer: 1 − Pearson's r between the images' activations, or none
    #[arg(long, value_enum, default_value_t = RdmOption::Correlation)]
    pub rdm: RdmOption,

    /// What to do about images for which a layer gives the same value everywhere, so that no correlation is defined
    #[arg(long, value_enum, default_value_t)]
    pub on_constant: OnConstant,

    /// Where the network runs: auto (CUDA if it works, else the CPU), cpu, cuda, cuda:1
    #[arg(long, value_name = "auto|cpu|cuda|cuda:N", default_value = "auto")]
    pub device: Request,

    /// How the network computes. On the CPU fp32 only; the others are faster on a GPU, and rougher
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,

    /// Images in one pass [default: 16, of fewer than 256 images less]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: Option<u32>,

    /// Threads that decode images and run the network [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub workers: Option<u32>,

    /// Compute each module by itself and in PyTorch's order of operations, for the same last digits; slower. Without it
    /// modules are computed together where no output in between is wanted, which agrees to 1e-5 of a layer's largest value
    #[arg(long)]
    pub exact: bool,

    /// Replace a run that is already there, or start anew one that was not finished and differs
    #[arg(long)]
    pub force: bool,

    /// Compute one of several parts, 1/8 to 8/8, into a folder of its own; `thingsvision merge` joins them. In a Slurm job
    /// array: --shard $SLURM_ARRAY_TASK_ID/8
    #[arg(long, value_name = "I/K")]
    pub shard: Option<Shard>,

    /// Share the work with other processes that are given the same command, now or later, in other terminals, jobs, or on
    /// machines that see the same files. What one that dies had begun is taken over by the others
    #[arg(long, conflicts_with_all = ["force", "shard"])]
    pub join: bool,

    /// The words of the command, for the record.
    #[arg(skip)]
    pub command: Vec<String>,

    // Last, for what follows would get their headings.
    /// Which images, in which order
    #[command(flatten)]
    pub images: Images,

    /// What the network is shown of an image
    #[command(flatten)]
    pub pixels: Pixels,
}

/// Which images, in which order.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Images")]
pub struct Images {
    /// The folder of images: JPEG, PNG, WebP, BMP, GIF, TIFF and PNM, sub-folders included, ordered by path. Repeat for
    /// more; or one file with a stack of images, [images, rows, columns, 3] of bytes, in NumPy's .npy or in HDF5
    #[arg(long, value_name = "DIR|STACK", required_unless_present = "image_list")]
    pub images: Vec<PathBuf>,

    /// Take the images that a file lists, in its order: a path a line, or a .csv with a column `path`. Relative paths begin
    /// at the folder of the list, or at the one that --images names
    #[arg(long, value_name = "FILE")]
    pub image_list: Option<PathBuf>,

    /// The data set in an HDF5 stack, such as imgBrick [default: the only one that can hold images]
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,

    /// The images of a stack that are wanted, counted from 0: 0-99,205, or a file of such numbers
    #[arg(long, value_name = "LIST|FILE")]
    pub indices: Option<String>,

    /// Leave out files that are no images or cannot be read, and list them in skipped.txt; all images are decoded once
    /// before the run to find them. Without it the first such file stops the run before it begins
    #[arg(long)]
    pub skip_unreadable: bool,

    /// Turn pictures upright as their EXIF orientation says; Pillow and torchvision do not
    #[arg(long)]
    pub exif_orientation: bool,

    /// Refuse larger pictures, as Pillow does
    #[arg(long, value_name = "N", default_value_t = Reading::default().max_pixels, value_parser = parse_max_pixels)]
    pub max_pixels: usize,
}

/// What overrides the preprocessing that belongs to the weights.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Pixels, where they are to differ from what the weights were trained with")]
pub struct Pixels {
    /// The length in pixels that the shorter side is resized to
    #[arg(long, value_name = "N", value_parser = parse_side)]
    pub resize: Option<usize>,

    /// The side of the square cut out of the middle; around smaller pictures it is black
    #[arg(long, value_name = "N", value_parser = parse_side)]
    pub crop: Option<usize>,

    /// How pictures are resized
    #[arg(long, value_enum)]
    pub interpolation: Option<Interpolation>,

    /// Show the whole resized picture; all must come to the same size
    #[arg(long, conflicts_with = "crop")]
    pub no_crop: bool,

    /// Squash the whole picture into the square that would be cut out (its side: --crop)
    #[arg(long, conflicts_with_all = ["resize", "no_crop"])]
    pub squash: bool,

    /// Take the preprocessing of this name: imagenet, clip (of OpenAI), half (mean and std 0.5), or one of the registry;
    /// what follows changes it
    #[arg(long, value_name = "NAME")]
    pub preprocess: Option<String>,

    /// Subtracted from red, green and blue after division by 255: 0.485,0.456,0.406
    #[arg(long, value_name = "R,G,B", value_parser = parse_channels)]
    pub mean: Option<Channels>,

    /// Then they are divided by these
    #[arg(long, value_name = "R,G,B", value_parser = parse_channels)]
    pub std: Option<Channels>,

    /// Resize as Pillow did before version 13, which differs for pictures taller than about 2:1
    #[arg(long)]
    pub pillow_12: bool,
}

impl Pixels {
    /// What is left of the preprocessing of `choice`, or of the one that is named.
    pub fn preprocessing(&self, registry: &Registry, choice: &Choice) -> Result<Preprocessing> {
        let named = self.preprocess.as_ref().map(|name| registry.preprocessing(name)).transpose()?;
        let own = match named.or(choice.preprocessing) {
            Some(own) => own.clone(),
            None => self.whole().ok_or_else(|| {
                advise(
                    format!("`{}` does not say what its network is to be shown of an image", choice.name()),
                    "say it: --preprocess imagenet, clip or half, or all of --resize, --crop, --mean and --std",
                )
            })?,
        };
        let preprocessing = self.change(&own);
        preprocessing.check()?;
        Ok(preprocessing)
    }

    /// One that these flags say all about.
    fn whole(&self) -> Option<Preprocessing> {
        let resize = if self.squash { self.crop? } else { self.resize? };
        if !self.no_crop {
            self.crop?;
        }
        let (mean, std) = (self.mean.clone()?.0, self.std.clone()?.0);
        let interpolation = Interpolation::Bilinear;
        Some(Preprocessing { resize: Size::Shorter(resize), interpolation, crop: self.crop, mean, std, pillow: Pillow::From13 })
    }

    fn change(&self, own: &Preprocessing) -> Preprocessing {
        let mut preprocessing = own.clone();
        preprocessing.mean = self.mean.as_ref().map_or(own.mean, |mean| mean.0);
        preprocessing.std = self.std.as_ref().map_or(own.std, |std| std.0);
        if let Some(side) = self.resize {
            preprocessing.resize = Size::Shorter(side);
        }
        preprocessing.crop = if self.no_crop { None } else { self.crop.or(own.crop) };
        if self.squash
            && let Some(side) = preprocessing.crop.take()
        {
            preprocessing.resize = Size::Exactly([side, side]);
        }
        preprocessing.interpolation = self.interpolation.unwrap_or(own.interpolation);
        preprocessing.pillow = if self.pillow_12 { Pillow::UpTo12 } else { own.pillow };
        preprocessing
    }
}

/// A number for red, green and blue.
#[derive(Debug, Clone)]
pub struct Channels(pub [f64; 3]);

fn parse_channels(text: &str) -> Result<Channels, String> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|number| number.trim().parse()).collect();
    let numbers = numbers.ok().filter(|numbers| numbers.iter().all(|number| number.is_finite()));
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .map(Channels)
        .ok_or_else(|| "three numbers are needed: 0.5,0.5,0.5".to_owned())
}

/// A side of a picture.
fn parse_side(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(side @ 1..=MOST_SHOWN) => Ok(side),
        _ => Err(format!("a number of pixels from 1 to {MOST_SHOWN} is needed")),
    }
}

fn parse_max_pixels(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|pixels| *pixels > 0).ok_or_else(|| "a number of pixels is needed".to_owned())
}

/// The value of `--average-by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AverageBy {
    /// The folder that an image lies in
    Folder,
}

/// Any seed that PyTorch takes: a negative one stands for the number with the same 64 bits.
fn parse_seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse().or_else(|error| text.parse::<i64>().map(|seed| seed as u64).map_err(|_| error))
}

/// The value of `extract --rdm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RdmOption {
    /// 1 − Pearson's r
    Correlation,
    /// No RDM
    None,
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
