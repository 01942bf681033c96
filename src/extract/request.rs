//! What is to be extracted, and how: the same value whether flags, a study, a run's record or a caller in Rust says it.

use super::overrides::Overrides;
use crate::device::{Precision, Preference};
use crate::error::advise;
use crate::images::{AverageBy, Reading, Selection};
use crate::models::Activation;
use crate::output::{Dtype, Format};
use crate::rdm::OnConstant;
use crate::readout::{Readout, Tokens};
use crate::reduce::{Method, RdmOf, Reduction};
use crate::run::Shard;
use crate::texts;
use crate::weights::Weights;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An extraction. `Request { models: vec!["alexnet".into()], images: vec!["things/".into()], ..Request::default() }` is a whole one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The model, as `thingsvision models` lists it; `resnet50.imagenet1k_v2` selects weights by their tag. Or a file: a
    /// network that PyTorch exported (examples/export_model.py). Repeat for more: images are then decoded once for all
    #[arg(long = "model", value_name = "MODEL|FILE.pt", required = true)]
    pub models: Vec<String>,

    /// A layer by its PyTorch name, or several by a glob in quotes: 'layer4.*' is all below layer4, for * crosses dots;
    /// 'layer4.?' is one level (a ? for each letter). Repeat for more. A module that is
    /// called more than once gives its last output, NAME@0 the first; of one that gives several tensors, NAME:1 is the
    /// second. `input` is the preprocessed image, `output` the end of the network [default: the model's penultimate layer]
    #[arg(long = "layer", value_name = "NAME|GLOB")]
    pub layers: Vec<String>,

    /// `pretrained`, `random` (untrained, as PyTorch initialises it), or a file: a PyTorch checkpoint or safetensors; FILE#KEY is
    /// one of several sets of weights in it, as checkpoint.pth#teacher
    #[arg(long, value_name = "pretrained|random|FILE[#KEY]", default_value = "pretrained")]
    pub weights: Weights,

    /// The activation function that the weights in a file were trained with, for vision transformers of CLIP, whose checkpoints do not
    /// tell it [default: known for OpenAI's files and some of OpenCLIP's]
    #[arg(long, value_enum)]
    pub activation: Option<Activation>,

    /// For random weights: the same as torch.manual_seed(N) before the model is made in PyTorch; and for --reduce srp
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

    /// The form of the files of features: a file for each layer, with the names of the images in it
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,

    /// With --format hdf5: all layers in one file, features.h5, as `features/LAYER`
    #[arg(long)]
    pub one_file: bool,

    /// Store one row for each folder of images, the mean over the images in it, instead of one for each image; or one for
    /// each value in a column of the table that --image-list names, as `concept` (`column:folder` if it is called `folder`)
    #[arg(long, value_name = "folder|COLUMN")]
    pub average_by: Option<AverageBy>,

    /// The RDM stored beside each layer: 1 − Pearson's r between the images' activations, or none
    #[arg(long, value_enum, default_value_t)]
    pub rdm: RunRdm,

    /// What to do about images for which a layer gives the same value everywhere, so that no correlation is defined
    #[arg(long, value_enum, default_value_t)]
    pub on_constant: OnConstant,

    /// Take infinities and NaN among the activations as they are, instead of failing when all are written; run.json counts them
    #[arg(long)]
    pub allow_nonfinite: bool,

    /// Where the network runs: auto (CUDA if it works, else the CPU), cpu, cuda, cuda:1
    #[arg(long, value_name = "auto|cpu|cuda|cuda:N", default_value = "auto")]
    pub device: Preference,

    /// How the network computes. Others than fp32 are faster and rougher: on a GPU, of bf16 on some processors, too
    #[arg(long, value_enum, default_value_t)]
    pub precision: Precision,

    /// Images in one pass [default: 16, of fewer than 256 images less]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: Option<u32>,

    /// Threads that decode images and run the network [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub workers: Option<u32>,

    /// Compute each module by itself and in PyTorch's order of operations, for the same last digits; slower. Without it
    /// modules are computed together where no output in between is wanted, and convolutions of 3 × 3 with fewer multiplications,
    /// which agrees to 1e-5 of a layer's largest value
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

    /// The folder of images: JPEG, PNG, WebP, BMP, GIF, TIFF and PNM, sub-folders included, ordered by path (other
    /// files are left out and counted). Repeat for more; or one such file; or one with a stack of images, [images, rows, columns, 3] (or gray, [images, rows, columns])
    /// of bytes, in NumPy's .npy or in HDF5
    #[arg(help_heading = "Images", long, value_name = "DIR|STACK", required_unless_present_any = ["image_list", "texts"])]
    pub images: Vec<PathBuf>,

    /// Take the images that a file lists, in its order: a path a line, or a .csv or .tsv with a column `path` (or `image`,
    /// `file`, …), BIDS's events and stimuli and the lists of THINGS among them. Relative paths begin at the folder of the
    /// list, or at the one that --images names
    #[arg(help_heading = "Images", long, value_name = "FILE")]
    pub image_list: Option<PathBuf>,

    /// The data set in an HDF5 stack, such as imgBrick [default: the only one that can hold images]
    #[arg(help_heading = "Images", long, value_name = "NAME")]
    pub dataset: Option<String>,

    /// The stack is [images, 3, rows, columns]
    #[arg(help_heading = "Images", long)]
    pub channels_first: bool,

    /// The images of a stack that are wanted, counted from 0: 0-99,205, or a file of such numbers
    #[arg(help_heading = "Images", long, value_name = "LIST|FILE")]
    pub indices: Option<String>,

    /// Leave out files that claim to be images and cannot be read, and list them in skipped.txt; all images are decoded once
    /// before the run to find them. Without it the first such file stops the run before it begins
    #[arg(help_heading = "Images", long)]
    pub skip_unreadable: bool,

    /// Turn pictures upright as their EXIF orientation says; Pillow and torchvision do not
    #[arg(help_heading = "Images", long)]
    pub exif_orientation: bool,

    /// Refuse larger pictures, as Pillow does
    #[arg(help_heading = "Images", long, value_name = "N", default_value_t = Reading::default().max_pixels, value_parser = parse_max_pixels)]
    pub max_pixels: usize,

    /// Texts instead of images, for models of CLIP, OpenCLIP and SigLIP: a text a line, or a .csv or .tsv with the columns `id` and
    /// `text`. The layers are those of the text tower
    #[arg(help_heading = "Texts", long, value_name = "FILE", conflicts_with_all = ["images", "image_list"])]
    pub texts: Option<PathBuf>,

    /// A sentence that each text is put in, in the place of {}: 'a photo of a {}'. Repeat for more: a row is then the mean over the
    /// sentences, of rows of length 1, brought to length 1
    #[arg(help_heading = "Texts", long = "template", value_name = "TEXT", requires = "texts")]
    pub templates: Vec<String>,

    /// Cut off the end of texts that have more tokens than the network is shown; run.json lists them
    #[arg(help_heading = "Texts", long, requires = "texts")]
    pub truncate: bool,

    /// The tokenizer of SigLIP, a tokenizer.json [default: the one that is published with the model, which is fetched]
    #[arg(help_heading = "Texts", long, value_name = "FILE", requires = "texts")]
    pub tokenizer: Option<PathBuf>,

    // Last, for what follows would get their heading.
    /// How rows become shorter
    #[command(flatten)]
    #[serde(skip_serializing_if = "Reduction::is_none")]
    pub reduction: Reduction,

    /// What the network is shown of an image, instead of what its weights were trained with
    #[command(flatten)]
    pub pixels: Overrides,

    /// A file that adds models
    #[arg(skip)]
    pub registry: Option<PathBuf>,

    /// Where fetched weights are kept; `THINGSVISION_CACHE`, else the platform's cache folder
    #[arg(skip)]
    pub cache: Option<PathBuf>,

    /// Whether the network is never used
    #[arg(skip)]
    pub offline: bool,

    /// The words of the command line that said this, for the record
    #[arg(skip)]
    #[serde(skip)]
    pub command: Vec<String>,

    /// Where it was said, if not here
    #[arg(skip)]
    #[serde(skip)]
    pub directory: Option<PathBuf>,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            models: Vec::new(),
            layers: Vec::new(),
            weights: Weights::Pretrained,
            activation: None,
            seed: 0,
            out: "activations".into(),
            readout: None,
            tokens: None,
            dtype: Dtype::default(),
            format: Format::default(),
            one_file: false,
            average_by: None,
            rdm: RunRdm::default(),
            on_constant: OnConstant::default(),
            allow_nonfinite: false,
            device: Preference::Auto,
            precision: Precision::default(),
            batch_size: None,
            workers: None,
            exact: false,
            force: false,
            shard: None,
            join: false,
            images: Vec::new(),
            image_list: None,
            dataset: None,
            channels_first: false,
            indices: None,
            skip_unreadable: false,
            exif_orientation: false,
            max_pixels: Reading::default().max_pixels,
            texts: None,
            templates: Vec::new(),
            truncate: false,
            tokenizer: None,
            reduction: Reduction::default(),
            pixels: Overrides::default(),
            registry: None,
            cache: None,
            offline: false,
            command: Vec::new(),
            directory: None,
        }
    }
}

/// The RDM stored beside each layer of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RunRdm {
    /// 1 − Pearson's r
    #[default]
    Correlation,
    /// No RDM
    None,
}

impl RunRdm {
    /// Fails if `reduction` asks for RDMs, and there are to be none.
    pub(super) fn check(self, reduction: &Reduction) -> Result<()> {
        if self == RunRdm::None && reduction.rdm_of == RdmOf::Full {
            return Err(advise("--rdm-of full asks for RDMs, and --rdm none for none", "leave out one of them"));
        }
        Ok(())
    }
}

fn parse_max_pixels(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|pixels| *pixels > 0).ok_or_else(|| "a number of pixels is needed".to_owned())
}

/// Any seed that PyTorch takes: a negative one stands for the number with the same 64 bits.
fn parse_seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    text.parse().or_else(|error| text.parse::<i64>().map(|seed| seed as u64).map_err(|_| error))
}

impl Request {
    /// Fails for what contradicts itself, whatever there is on this machine.
    pub fn check(&self) -> Result<()> {
        if self.models.is_empty() {
            return Err(advise("no model is named", "name one: `thingsvision models` lists all"));
        }
        if self.texts.is_some() {
            self.check_texts()?;
        } else if self.images.is_empty() && self.image_list.is_none() {
            return Err(advise("no images are named", "name a folder or a stack with --images, or a list with --image-list"));
        } else if !self.templates.is_empty() || self.truncate || self.tokenizer.is_some() {
            return Err(advise("--template, --truncate and --tokenizer are for texts", "name a file of texts with --texts"));
        }
        if self.join && self.models.len() > 1 {
            return Err(advise("--join takes one --model", "give each model a command of its own"));
        }
        if self.join && (self.force || self.shard.is_some()) {
            return Err(advise("--join goes with neither --force nor --shard", "leave out one of them"));
        }
        if self.max_pixels == 0 || [self.batch_size, self.workers].contains(&Some(0)) {
            return Err(advise("--batch-size, --workers and --max-pixels must be at least 1", "leave them out for the defaults"));
        }
        if self.seed != 0 && self.weights != Weights::Random && self.reduction.method != Some(Method::Srp) {
            return Err(advise(
                "--seed is of random weights and of random projections, and neither was asked for",
                "add --weights random or --reduce srp, or leave it out",
            ));
        }
        if self.one_file && self.format != Format::Hdf5 {
            return Err(advise("--one-file is for --format hdf5", "add that, or leave it out for a file of each layer"));
        }
        if self.one_file && self.reduction.is_last() {
            return Err(advise(
                "--one-file does not go with rows that are reduced when all are there",
                "leave it out for a file of each layer; --reduce srp with RDMs of the reduced rows goes with it",
            ));
        }
        self.reduction.check()?;
        self.rdm.check(&self.reduction)?;
        // `run.json` is to say them.
        if let Some(path) = self
            .images
            .iter()
            .chain(&self.image_list)
            .chain(&self.texts)
            .chain(&self.tokenizer)
            .chain(&self.reduction.fit_on)
            .find(|path| path.to_str().is_none())
        {
            return Err(advise(format!("the path {path:?} is not UTF-8, and cannot be recorded"), "rename what is called so"));
        }
        self.pixels.check()
    }

    /// Fails for what is said of images beside texts.
    fn check_texts(&self) -> Result<()> {
        let plain = Request::default();
        let of_images = [
            (!self.images.is_empty() || self.image_list.is_some(), "--images and --image-list"),
            (
                self.dataset.is_some() || self.channels_first || self.indices.is_some(),
                "--dataset, --channels-first and --indices",
            ),
            (self.average_by.is_some(), "--average-by"),
            (self.tokens.is_some(), "--tokens"),
            (self.skip_unreadable || self.exif_orientation, "--skip-unreadable and --exif-orientation"),
            (self.max_pixels != plain.max_pixels, "--max-pixels"),
            (self.pixels != plain.pixels, "what is said of pixels"),
        ];
        match of_images.into_iter().find(|(is_said, _)| *is_said) {
            Some((_, what)) => Err(advise(format!("--texts does not go with {what}, which is of images"), "leave it out")),
            None => texts::check_templates(&self.templates),
        }
    }

    /// The same for a process that runs in another folder than `folder`, where relative paths begin.
    pub fn below(mut self, folder: &Path) -> Request {
        let lists = [
            &mut self.registry,
            &mut self.cache,
            &mut self.image_list,
            &mut self.texts,
            &mut self.tokenizer,
            &mut self.reduction.fit_on,
        ];
        let lists = lists.into_iter().flatten();
        let weights = if let Weights::File(path) = &mut self.weights { Some(path) } else { None };
        for path in lists.chain(&mut self.images).chain([&mut self.out]).chain(weights) {
            *path = folder.join(&path);
        }
        // What is no file there is a name, or numbers.
        for text in self.models.iter_mut().chain(&mut self.indices) {
            let path = folder.join(&*text);
            if let (true, Some(path)) = (path.is_file(), path.to_str()) {
                *text = path.to_owned();
            }
        }
        self
    }

    /// Which images.
    pub(super) fn selection(&self) -> Selection<'_> {
        Selection {
            images: &self.images,
            list: self.image_list.as_deref(),
            dataset: self.dataset.as_deref(),
            channels_first: self.channels_first,
            indices: self.indices.as_deref(),
            reading: Reading { max_pixels: self.max_pixels, upright: self.exif_orientation },
            skip_unreadable: self.skip_unreadable,
            average_by: self.average_by.as_ref(),
        }
    }
}
