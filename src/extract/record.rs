//! `run.json`: what is needed to trust a run and to repeat it.

use super::request::Request;
use crate::atomic_file;
use crate::device::Precision;
use crate::images::{Origin, Preprocessing, Skipped};
use crate::output::Dtype;
use crate::rdm::OnConstant;
use crate::readout::{Readout, Tokens};
use crate::run::{self, FILE, LayerRecord, Shard};
use crate::weights::Provenance;
use anyhow::Result;
use serde::{Deserialize, Serialize};
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
    /// What was asked for; none in records of version 0.1, which have the command line alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
    /// Where relative paths in it begin.
    pub directory: PathBuf,
    /// Which part of a run this is, if it is a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The model's name, with the weights tag if one was given.
    pub model: String,
    /// Which weights.
    pub weights: Provenance,
    /// What the network was shown of each image; pixels as Pillow 13 and torchvision make them.
    pub preprocessing: Preprocessing,
    /// What was kept of each activation.
    pub readout: Readout,
    /// Which tokens were taken for special, if that was known.
    #[serde(default)]
    pub tokens: Option<Tokens>,
    /// The element type of the files.
    pub dtype: Dtype,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// How the network computed.
    pub precision: Precision,
    /// Images per pass; it changes the last digits.
    pub batch_size: usize,
    /// Whether each module was computed by itself, in PyTorch's order of operations.
    pub exact: bool,
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
    /// Images that were left out because they cannot be read.
    pub skipped_images: Vec<Skipped>,
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
    /// `folder`: over the images in it.
    pub by: String,
    /// How many images there were in all.
    pub images: usize,
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
        run::read(folder)
    }

    /// Writes it to `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        atomic_file::write(&folder.join(FILE), (serde_json::to_string_pretty(self)? + "\n").as_bytes())
    }
}
