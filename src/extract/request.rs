//! What is to be extracted, and how: the same value whether flags, a study, a run's record or a caller in Rust says it.

use super::overrides::Overrides;
use crate::device::{Precision, Preference};
use crate::error::advise;
use crate::images::{AverageBy, Reading, Selection};
use crate::output::Dtype;
use crate::rdm::OnConstant;
use crate::readout::{Readout, Tokens};
use crate::run::Shard;
use crate::weights::Weights;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An extraction. `Request { models: vec!["alexnet".into()], images: vec!["things/".into()], ..Request::default() }` is a whole one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Names of the registry, with or without a weights tag, or files of networks that PyTorch exported. Images are decoded once for all.
    pub models: Vec<String>,
    /// PyTorch's names, with `@k` for a call, `:element` for one of several tensors, or globs; empty for each model's default layer.
    pub layers: Vec<String>,
    /// Whose weights.
    pub weights: Weights,
    /// Of random weights, as `torch.manual_seed`.
    pub seed: u64,
    /// The folder in which a folder for each run is made.
    pub out: PathBuf,
    /// What is kept of each activation; that of the default layer, or all.
    pub readout: Option<Readout>,
    /// Which tokens are special; as the model says.
    pub tokens: Option<Tokens>,
    /// The type of the stored numbers.
    pub dtype: Dtype,
    /// Over which images the rows are means.
    pub average_by: Option<AverageBy>,
    /// The RDM stored beside each layer.
    pub rdm: RunRdm,
    /// What is done about images of which no correlation is defined.
    pub on_constant: OnConstant,
    /// Where the network runs.
    pub device: Preference,
    /// How it computes.
    pub precision: Precision,
    /// Images in one pass; 16, of fewer than 256 images less.
    pub batch_size: Option<usize>,
    /// Threads that decode images and run the network; one a core.
    pub workers: Option<usize>,
    /// Whether each module is computed by itself, in PyTorch's order of operations.
    pub exact: bool,
    /// Whether a run that is there is replaced.
    pub force: bool,
    /// The part of the rows that is made.
    pub shard: Option<Shard>,
    /// Whether the work is shared with other processes that are given the same request.
    pub join: bool,
    /// Folders of images, or one stack of them; with a list, where its paths begin.
    pub images: Vec<PathBuf>,
    /// A list of images: a path a line, or a table with a column `path`.
    pub image_list: Option<PathBuf>,
    /// The data set of an HDF5 stack.
    pub dataset: Option<String>,
    /// Which images of a stack, counted from 0: `0-99,205`, or a file of numbers.
    pub indices: Option<String>,
    /// Whether files that cannot be read are left out.
    pub skip_unreadable: bool,
    /// Whether pictures are turned upright as their EXIF orientation says.
    pub exif_orientation: bool,
    /// Larger pictures are refused.
    pub max_pixels: usize,
    /// What the network is shown instead of what its weights were trained with.
    pub pixels: Overrides,
    /// A file that adds models.
    pub registry: Option<PathBuf>,
    /// Where fetched weights are kept; `THINGSVISION_CACHE`, else the platform's cache folder.
    pub cache: Option<PathBuf>,
    /// Whether the network is never used.
    pub offline: bool,
    /// The words of the command line that said this, for the record.
    #[serde(skip)]
    pub command: Vec<String>,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            models: Vec::new(),
            layers: Vec::new(),
            weights: Weights::Pretrained,
            seed: 0,
            out: "activations".into(),
            readout: None,
            tokens: None,
            dtype: Dtype::default(),
            average_by: None,
            rdm: RunRdm::default(),
            on_constant: OnConstant::default(),
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
            indices: None,
            skip_unreadable: false,
            exif_orientation: false,
            max_pixels: Reading::default().max_pixels,
            pixels: Overrides::default(),
            registry: None,
            cache: None,
            offline: false,
            command: Vec::new(),
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

impl Request {
    /// Fails for what contradicts itself, whatever there is on this machine.
    pub fn check(&self) -> Result<()> {
        if self.models.is_empty() {
            return Err(advise("no model is named", "name one: `thingsvision models` lists all"));
        }
        if self.images.is_empty() && self.image_list.is_none() {
            return Err(advise("no images are named", "name a folder or a stack with --images, or a list with --image-list"));
        }
        if self.join && self.models.len() > 1 {
            return Err(advise("--join takes one --model", "give each model a command of its own"));
        }
        if self.join && (self.force || self.shard.is_some()) {
            return Err(advise("--join goes with neither --force nor --shard", "leave out one of them"));
        }
        if [self.batch_size, self.workers, Some(self.max_pixels)].contains(&Some(0)) {
            return Err(advise("--batch-size, --workers and --max-pixels must be at least 1", "leave them out for the defaults"));
        }
        self.pixels.check()
    }

    /// The same for a process that runs in another folder than `folder`, where relative paths begin.
    pub fn below(mut self, folder: &Path) -> Request {
        let lists = [&mut self.registry, &mut self.cache, &mut self.image_list].into_iter().flatten();
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
            indices: self.indices.as_deref(),
            reading: Reading { max_pixels: self.max_pixels, upright: self.exif_orientation },
            skip_unreadable: self.skip_unreadable,
        }
    }
}
