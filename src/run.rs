//! The folder of a run as later commands read it: its record `run.json`, the layers that it holds, and which part of a run it is.

use crate::error::advise;
use crate::plain_file;
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

/// The name of the file in the run's folder.
pub const FILE: &str = "run.json";

/// The other files of a run that are no layer's: the IDs of the rows, the hashes of the images, the images of each condition,
/// what was left out.
pub const FILES: [&str; 4] = ["images.txt", "images.sha256", "conditions.csv", "skipped.txt"];

/// The part of a record that later commands read.
#[derive(Debug, Deserialize)]
pub struct FinishedRecord {
    /// Whether every file of the run is whole.
    pub complete: bool,
    /// The number of rows.
    pub images: usize,
    /// Of images.txt: runs with the same hash have the same images in the same order.
    pub images_sha256: String,
    /// Which part of a run this is, if it is a part.
    #[serde(default)]
    pub shard: Option<Shard>,
    /// The layers.
    pub layers: Vec<LayerRecord>,
}

/// Whether `folder` holds a run, finished or not.
pub fn is_run(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// Reads the record of the run in `folder`, or a part of it.
pub fn read<T: DeserializeOwned>(folder: &Path) -> Result<T> {
    let path = folder.join(FILE);
    let text = plain_file::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        advise(
            format!("`{}` is damaged: {error}", path.display()),
            "without it nobody knows what the other files are: remove the folder, and make the run again",
        )
    })
}

/// Reads what later commands need of the record of the run in `folder`.
pub fn read_record(folder: &Path) -> Result<FinishedRecord> {
    let record: FinishedRecord = read(folder)?;
    check_layers(folder, &record.layers)?;
    Ok(record)
}

/// Fails if the record in `folder`, which anybody may have written, names no layer, or a file that is not in the folder.
pub(crate) fn check_layers(folder: &Path, layers: &[LayerRecord]) -> Result<()> {
    // Files are called after layers, too.
    let mut files = layers.iter().flat_map(|layer| layer.files().chain([&layer.name]));
    let is_outside = |file: &&String| Path::new(file).file_name().is_none_or(|name| name != file.as_str());
    let problem = match files.find(is_outside) {
        Some(file) => format!("it names a file outside of the folder, `{file}`"),
        None if layers.is_empty() => "it names no layer".to_owned(),
        None => return Ok(()),
    };
    let path = folder.join(FILE);
    Err(advise(format!("`{}` is no record of a run: {problem}", path.display()), "make the run again, or ask who made it"))
}

/// The names of all rows of the run in `folder`, exactly as they are.
pub(crate) fn row_names(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join(FILES[0]);
    let text = plain_file::read_to_string(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).split('\n').map(str::to_owned).collect())
}

/// How many rows the run in `folder` has, as many as images.txt has lines.
pub(crate) fn row_count(folder: &Path) -> Result<usize> {
    let path = folder.join(FILES[0]);
    let text = plain_file::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    Ok(text.iter().filter(|byte| **byte == b'\n').count())
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
    /// At which byte of it the numbers begin, where they lie as in memory and it is not NumPy's: row by row, in MATLAB's by columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The file of the RDM, `[N, N]`, if there is one.
    pub rdm: Option<String>,
    /// The BLAKE3 hash of the file of the rows, when it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// That of the file of the RDM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rdm_blake3: Option<String>,
    /// Why there is none though it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_rdm: Option<String>,
    /// How many values of the rows are infinite or NaN, if some are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonfinite: Option<u64>,
    /// What the rows were before they were reduced, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced: Option<ReducedLayer>,
}

/// What the rows of a layer were before they were reduced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReducedLayer {
    /// The shape of a row.
    pub shape: Vec<usize>,
    /// The file where full rows are kept until they are reduced, `[N, …]`.
    pub file: String,
    /// The files that say how they were reduced, and the BLAKE3 hash of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beside: BTreeMap<String, String>,
}

impl LayerRecord {
    /// A layer whose features are to be in `file`, perhaps with its RDM.
    pub(crate) fn new(name: &str, shape: &[usize], file: String, with_rdm: bool) -> LayerRecord {
        LayerRecord {
            name: name.to_owned(),
            shape: shape.to_vec(),
            file,
            offset: None,
            rdm: with_rdm.then(|| rdm_file(name)),
            blake3: None,
            rdm_blake3: None,
            without_rdm: None,
            nonfinite: None,
            reduced: None,
        }
    }

    /// The same, reduced from rows of the shape `full`.
    pub(crate) fn reduced_from(mut self, full: Vec<usize>) -> LayerRecord {
        self.reduced = Some(ReducedLayer { shape: full, file: format!("{}.unreduced.npy", self.name), beside: BTreeMap::new() });
        self
    }

    /// The names of all files of the layer.
    pub(crate) fn files(&self) -> impl Iterator<Item = &String> {
        let reduced = self.reduced.iter().flat_map(|reduced| [&reduced.file].into_iter().chain(reduced.beside.keys()));
        [Some(&self.file), self.rdm.as_ref()].into_iter().flatten().chain(reduced)
    }
}

/// The name of the file of a layer's RDM.
pub fn rdm_file(layer: &str) -> String {
    format!("{layer}.rdm.npy")
}

/// The name of the file of the IDs of its stimuli, if it has not all.
pub(crate) fn rdm_ids_file(layer: &str) -> String {
    format!("{layer}.rdm.ids.txt")
}

/// One of several parts of a run, that different processes make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// From 1 on.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl Shard {
    /// What the name of its folder ends in.
    pub fn ending(self) -> String {
        format!(".shard-{}-of-{}", self.number, self.of)
    }

    /// Its part of `count` rows, whole units of `unit` rows; fails if there are more shards than units.
    pub fn rows(self, count: usize, unit: usize) -> Result<Range<usize>> {
        let (Shard { number, of }, units) = (self, count.div_ceil(unit));
        if !(1..=of).contains(&number) {
            return Err(advise(format!("there is no shard {number} of {of}"), "write 1/8 to 8/8 for eight shards"));
        }
        if of > units {
            let what = if unit == 1 { "rows" } else { "batches" };
            return Err(advise(format!("{units} {what} cannot be split into {of} shards"), format!("make at most {units}")));
        }
        let bound = |number: usize| (units * number / of * unit).min(count);
        Ok(bound(number - 1)..bound(number))
    }
}

impl FromStr for Shard {
    type Err = String;

    /// `2/8` is the second of eight.
    fn from_str(text: &str) -> Result<Shard, String> {
        let parsed = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Shard { number, of }),
            _ => Err("write 1/8 to 8/8 for eight shards".into()),
        }
    }
}
