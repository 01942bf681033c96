//! `run.json`: what is needed to trust a run and to repeat it.

use crate::advice::advise;
use crate::images::Preprocessing;
use crate::npy::{self, Dtype};
use crate::readout::Readout;
use crate::weights::Provenance;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FILE: &str = "run.json";
const IMAGES: &str = "images.txt";

/// The record of a run, written when it starts and again when it is whole.
#[derive(Debug, Serialize)]
pub struct Record {
    /// `thingsvision` and its version.
    pub program: String,
    /// The version of libtorch.
    pub libtorch: &'static str,
    /// Whether every file of the run is whole.
    pub complete: bool,
    /// The model's name, with the weights tag if one was given.
    pub model: String,
    /// Which weights.
    pub weights: Provenance,
    /// What the network was shown of each image; pixels as Pillow 13 and torchvision make them.
    pub preprocessing: Preprocessing,
    /// What was kept of each activation.
    pub readout: Readout,
    /// The element type of the files.
    pub dtype: Dtype,
    /// `cpu`, or `cuda:N`.
    pub device: String,
    /// Images per pass; it changes the last digits.
    pub batch_size: usize,
    /// The folder of the images.
    pub image_root: PathBuf,
    /// Their number: the rows of each file.
    pub images: usize,
    /// Of images.txt.
    pub images_sha256: String,
    /// In the order in which the network computes them.
    pub layers: Vec<LayerRecord>,
    /// Where the time went.
    pub seconds: Option<Seconds>,
}

/// A layer's files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// PyTorch's name, with `@k` if a call was named.
    pub name: String,
    /// The shape of a row.
    pub shape: Vec<usize>,
    /// The file of the rows, `[N, …]`.
    pub file: String,
    /// The file of the RDM, `[N, N]`, if one was asked for.
    pub rdm: Option<String>,
}

/// Time spent; the first three summed over the workers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
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
    pub(super) fn add(&mut self, other: &Seconds) {
        self.decoding += other.decoding;
        self.network += other.network;
        self.writing += other.writing;
    }
}

impl Record {
    /// Writes it to `folder`.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let write = || -> Result<()> {
            std::fs::write(npy::partial(&path), serde_json::to_string_pretty(self)? + "\n")?;
            Ok(std::fs::rename(npy::partial(&path), &path)?)
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))
    }
}

/// The part of a record that later commands read.
#[derive(Debug, Deserialize)]
pub struct Run {
    /// Whether every file of the run is whole.
    pub complete: bool,
    /// The number of rows.
    pub images: usize,
    /// Of images.txt: runs with the same hash have the same images in the same order.
    pub images_sha256: String,
    /// The layers.
    pub layers: Vec<LayerRecord>,
}

/// Whether `folder` holds a run, finished or not.
pub fn is_run(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// Reads the record of the run in `folder`.
pub fn read_record(folder: &Path) -> Result<Run> {
    let path = folder.join(FILE);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}` is damaged", path.display()))
}

/// The folder of a run that is not finished. Dropped before [`RunFolder::keep`], it removes what was written, so that
/// an error leaves nothing behind that looks like a result.
#[derive(Debug)]
pub struct RunFolder {
    folder: PathBuf,
}

impl RunFolder {
    /// Fails if `folder` cannot become the folder of a run: a run is there already and may not be replaced, other
    /// files are there, or it lies among the images.
    pub fn check(folder: &Path, images: &Path, replace: bool) -> Result<()> {
        if inside(folder, images)? {
            return Err(advise(
                format!("the run's folder `{}` would lie among the images in `{}`", folder.display(), images.display()),
                "name another place with --out",
            ));
        }
        if is_run(folder) {
            if replace {
                return Ok(());
            }
            let state = if read_record(folder)?.complete { "a run" } else { "a run that was not finished" };
            return Err(advise(
                format!("there is already {state} in `{}`", folder.display()),
                "replace it with --force, or keep it and name another place with --out",
            ));
        }
        match std::fs::read_dir(folder).map(|mut files| files.next().is_some()) {
            Ok(true) => Err(advise(
                format!("`{}` holds other files and no run", folder.display()),
                "name another place with --out; --force replaces runs only",
            )),
            _ => Ok(()),
        }
    }

    /// Removes an earlier run and writes the record and the list of images of this one.
    pub fn begin(folder: &Path, record: &Record, images: &str) -> Result<RunFolder> {
        if is_run(folder) {
            remove(folder)?;
        }
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        record.write(folder)?;
        let unfinished = RunFolder { folder: folder.to_owned() };
        let list = folder.join(IMAGES);
        std::fs::write(&list, images).with_context(|| format!("cannot write `{}`", list.display()))?;
        Ok(unfinished)
    }

    /// The run is whole.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Already on the way out with an error, which says more than one from here.
        remove(&self.folder).ok();
    }
}

/// Removes the files of the run in `folder`, and the folder if nothing else is in it.
fn remove(folder: &Path) -> Result<()> {
    let run = read_record(folder)?;
    let rdms = run.layers.iter().map(|layer| format!("{}.rdm.npy", layer.name));
    let features = run.layers.iter().map(|layer| layer.file.clone());
    // The record goes last: without it nobody knows what the other files are.
    for file in features.chain(rdms).chain([IMAGES.to_owned(), FILE.to_owned()]) {
        let plain = Path::new(&file).file_name().is_some_and(|name| name == file.as_str());
        ensure!(plain, "the run in `{}` names a file outside of it: `{file}`", folder.display());
        for path in [folder.join(&file), npy::partial(&folder.join(&file))] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove `{}`", path.display()));
                }
                _ => {}
            }
        }
    }
    std::fs::remove_dir(folder).ok();
    Ok(())
}

/// Whether `folder`, which need not exist yet, lies in `images`.
fn inside(folder: &Path, images: &Path) -> Result<bool> {
    let absolute = std::path::absolute(folder)?;
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(&absolute);
    Ok(existing.canonicalize()?.starts_with(images.canonicalize()?))
}
