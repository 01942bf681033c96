//! `run.json`: what is needed to trust a run and to repeat it.

use super::align_run::Aligned;
use super::request::Request;
use super::shown::Texts;
use super::sources::Sources;
use crate::atomic_file::{self, partial};
use crate::confine::Landlock;
use crate::device::Precision;
use crate::error::advise;
use crate::images::{Origin, Preprocessing, Skipped};
use crate::models::Activation;
use crate::nn::Interpolation;
use crate::numbers::count;
use crate::output::{Dtype, Format};
use crate::rdm::OnConstant;
use crate::readout::{Readout, Tokens};
use crate::reduce::{Method, RdmOf};
use crate::run::{self, FILE, LayerRecord, Shard, is_run};
use crate::weights::{Provenance, Weights};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The record of a run, written when it starts and again when it is whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// `thingsvision` and its version.
    pub program: String,
    /// The version of libtorch.
    pub libtorch: String,
    /// Whether every file of the run is whole.
    pub complete: bool,
    /// The command line that asked for it; empty if none did.
    pub command: Vec<String>,
    /// What was asked for, the fields of a [`Request`]; none in records of version 0.1, which have the command line alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
    /// Where relative paths in it begin.
    pub directory: PathBuf,
    /// Which part of a run this is, if it is a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The model's name, with the weights tag if one was given.
    pub model: String,
    /// Which weights.
    pub weights: Provenance,
    /// The network that is built, some of whose numbers no checkpoint tells: its family and numbers as a text to compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The activation function, where no checkpoint tells it; before it was recorded, `quickgelu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// What the network was shown of each image; pixels as Pillow 13 and torchvision make them. None of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
    /// What it was shown of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<Texts>,
    /// How learnt positions of patches were interpolated to images of another size than they were learnt for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positions: Option<Interpolation>,
    /// What was kept of each activation.
    pub readout: Readout,
    /// Which tokens were taken for special, if that was known.
    #[serde(default)]
    pub tokens: Option<Tokens>,
    /// The element type of the files.
    pub dtype: Dtype,
    /// The form of the files of features.
    #[serde(default, skip_serializing_if = "Format::is_npy")]
    pub format: Format,
    /// Whether all features are in one file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_file: bool,
    /// How rows were made shorter, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduction: Option<Reduced>,
    /// How rows were transformed, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<Aligned>,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// How the network computed.
    pub precision: Precision,
    /// Images per pass; it changes the last digits.
    pub batch_size: usize,
    /// Whether each module was computed by itself, in PyTorch's order of operations.
    pub exact: bool,
    /// The modules whose convolutions were computed with fewer multiplications (Winograd's F(4 × 4, 3 × 3)).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub winograd: Vec<String>,
    /// How far the kernel confined the code of an exported network; none of one that is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock: Option<Landlock>,
    /// Where the images come from.
    pub image_origin: Origin,
    /// Whether pictures were turned upright as their EXIF orientation says.
    pub exif_orientation: bool,
    /// Larger pictures were refused.
    pub max_pixels: usize,
    /// Whether files that cannot be read were to be left out.
    pub skip_unreadable: bool,
    /// The number of rows of each file: of images, or of conditions.
    pub images: usize,
    /// Of images.txt.
    pub images_sha256: String,
    /// Of images.sha256: the same if every image is the same.
    pub contents_sha256: String,
    /// If a row is the mean of several images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averaged: Option<Averaged>,
    /// Of conditions.csv, if a column of a list says them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions_sha256: Option<String>,
    /// Images that were left out because they cannot be read.
    pub skipped_images: Vec<Skipped>,
    /// Files in the folders of images that neither are images nor claim to be by their ending, and were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_files: Vec<String>,
    /// Images that are damaged, but not so that Pillow would refuse them.
    pub damaged_images: Vec<String>,
    /// What was done about rows of which no correlation is defined.
    pub on_constant: OnConstant,
    /// In the order in which the network computes them.
    pub layers: Vec<LayerRecord>,
    /// Where the time went.
    pub seconds: Option<Seconds>,
}

/// The text of images.sha256: hashes and IDs as `sha256sum` writes and checks them.
pub fn checksums(ids: &[String], hashes: &[String]) -> String {
    let line = |(id, hash): (&String, &String)| {
        let escaped = id.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        let mark = if escaped == *id { "" } else { "\\" };
        format!("{mark}{hash}  {escaped}\n")
    };
    ids.iter().zip(hashes).map(line).collect()
}

/// How rows were averaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Averaged {
    /// `folder`: over the images in it. Or the column of the list, `column:folder` if it is called so.
    pub by: String,
    /// How many images there were in all.
    pub images: usize,
}

/// How rows were made shorter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reduced {
    /// The method.
    pub method: Method,
    /// How many numbers were wanted of a row; none if all that the components of another run give.
    pub components: Option<usize>,
    /// Of the matrix of a random projection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Whether components were divided by their standard deviations.
    #[serde(default)]
    pub whiten: bool,
    /// What the RDMs are of.
    pub rdm_of: RdmOf,
    /// The type of the numbers that were reduced.
    pub from: Dtype,
    /// If the components are those of another run: the SHA-256 of a line of layer and BLAKE3 hash for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit_on: Option<String>,
    /// Where that run is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
}

impl Reduced {
    /// Whether rows are reduced when all are there.
    pub(super) fn is_last(&self) -> bool {
        self.method == Method::Pca && self.fit_on.is_none() || self.rdm_of == RdmOf::Full
    }
}

impl Reduced {
    /// What is done, in words.
    pub(super) fn describe(&self) -> String {
        let number = self.components.map(|components| format!("{} ", count(components))).unwrap_or_default();
        let white = if self.whiten { ", divided by their standard deviations" } else { "" };
        let of = if self.rdm_of == RdmOf::Full { "; RDMs are of the full rows" } else { "" };
        match (self.method, &self.path) {
            (Method::Srp, _) => {
                format!("to {number}numbers a row by a sparse random projection, seed {}{of}", self.seed.unwrap_or(0))
            }
            (Method::Pca, None) => format!("to the first {number}principal components{white}, when all rows are there{of}"),
            (Method::Pca, Some(path)) => format!("to {number}principal components of `{}`{white}{of}", path.display()),
        }
    }
}

/// Time spent; the first three summed over the workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Reading, decoding and preprocessing images.
    pub decoding: f64,
    /// In the network.
    pub network: f64,
    /// Readout and writing.
    pub writing: f64,
    /// Computing RDMs.
    pub rdm: f64,
    /// By the clock, from the first batch to the last RDM.
    pub wall: f64,
}

impl Seconds {
    /// Adds the time of another run of the same kind.
    pub fn add(&mut self, other: &Seconds) {
        self.decoding += other.decoding;
        self.network += other.network;
        self.writing += other.writing;
    }
}

impl Record {
    /// Reads the record of the run in `folder`.
    pub fn read(folder: &Path) -> Result<Record> {
        let record: Record = run::read(folder)?;
        run::check_layers(folder, &record.layers)?;
        Ok(record)
    }

    /// Whether the rows of `layer` are reduced when all are there.
    pub(super) fn reduces_later(&self, layer: &LayerRecord) -> bool {
        layer.reduced.is_some() && self.reduction.as_ref().is_some_and(Reduced::is_last)
    }

    /// Writes it to `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic_file::write(&folder.join(FILE), (serde_json::to_string_pretty(self)? + "\n").as_bytes())
    }
}

/// Reads a command line, for records of version 0.1 hold nothing else.
pub type ReadCommand<'a> = &'a dyn Fn(&[String]) -> Result<Request>;

/// The request that began the run in `folder`, which may be that of an unfinished one. A record is anybody's word: what it asks for
/// goes into that folder alone, with a registry and a cache only if `places` names the same.
pub fn resume(folder: &Path, places: &Request, read_command: ReadCommand) -> Result<Request> {
    let unfinished = partial(folder);
    let Some(place) = [&unfinished, folder].into_iter().find(|place| is_run(place)) else {
        return Err(advise(
            format!("there is no run in `{}`, nor an unfinished one in `{}`", folder.display(), unfinished.display()),
            "name the folder that the run is to have, or the .partial one beside it",
        ));
    };
    let record = Record::read(place)?;
    if record.alignment.is_some() {
        return Err(advise(
            format!("the run in `{}` is one of `thingsvision align`", place.display()),
            "give the command again that began it: it makes anew what is not whole",
        ));
    }
    let request = record.request(places, read_command)?.ok_or_else(|| {
        advise(
            format!("the record in `{}` does not say by which command it was begun", place.display()),
            "give the command again that began it: it goes on by itself",
        )
    })?;
    for (flag, recorded, given) in [("registry", &request.registry, &places.registry), ("cache", &request.cache, &places.cache)] {
        if let (Some(path), None) = (recorded, given) {
            return Err(advise(
                format!("the run was begun with --{flag} {}", path.display()),
                format!("give it again, if it is yours: thingsvision resume {} --{flag} {}", folder.display(), path.display()),
            ));
        }
    }
    let force = request.force && !record.complete;
    only_into(place, Request { force, ..request })
}

/// `request` for the model alone whose run goes to `place`, which may end in `.partial`.
fn only_into(place: &Path, mut request: Request) -> Result<Request> {
    let place = place.canonicalize()?;
    let is_it = |folder: &PathBuf| {
        [folder, &partial(folder)].into_iter().any(|folder| folder.canonicalize().is_ok_and(|folder| folder == place))
    };
    let sources = Sources::open_as_they_are(&request)?;
    let folders: Vec<PathBuf> = sources.choices(&request)?.into_iter().map(|(_, folder)| folder).collect();
    match folders.iter().position(is_it) {
        Some(number) => request.models = vec![request.models.swap_remove(number)],
        None => {
            return Err(advise(
                format!("by its record the run in `{}` belongs in another place", place.display()),
                "give the command again that began it, with --out for the place where it is now",
            ));
        }
    }
    Ok(request)
}

impl Record {
    /// Whether values that are not finite were asked to be taken as they are.
    pub(super) fn allows_nonfinite(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request["allow_nonfinite"] == true)
    }

    /// The request that made the run, with networks from `places` where these say so; none if the record does not say it.
    pub(super) fn request(&self, places: &Request, read_command: ReadCommand) -> Result<Option<Request>> {
        let request: Request = match &self.request {
            Some(request) => serde_json::from_value(request.clone()).map_err(|error| {
                advise(
                    format!("what was asked for cannot be read in the record: {error}"),
                    "another version of thingsvision may have made the run: take that, or give the command again",
                )
            })?,
            None if self.command.is_empty() => return Ok(None),
            None => read_command(&self.command)?,
        };
        let is_here = std::env::current_dir().is_ok_and(|here| here == self.directory);
        let request = if is_here { request } else { request.below(&self.directory) };
        // Version 0.1 took seeds of weights that have none.
        let seed = if request.weights == Weights::Random { request.seed } else { 0 };
        let request = Request { seed, ..request };
        request.check()?;
        Ok(Some(Request {
            registry: places.registry.clone().or(request.registry),
            cache: places.cache.clone().or(request.cache),
            offline: places.offline || request.offline,
            command: self.command.clone(),
            directory: Some(self.directory.clone()),
            ..request
        }))
    }
}
