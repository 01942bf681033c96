//! What is different between a run that is there and one that is asked for.

use super::record::Record;
use crate::hash::blake3_of_file;
use crate::images::Preprocessing;
use crate::numbers::count_of;
use crate::plain_file;
use crate::run::{self, LayerRecord};
use crate::weights::Provenance;
use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Why files that are there are not those that a run would write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// Another program, which is to give the same rows.
    #[error("{0}")]
    Program(Change),
    /// Images have other contents.
    #[error("{0}")]
    Contents(Change),
    /// Another part of the record decides what is in the files.
    #[error("{0}")]
    Setting(Change),
    /// The file of a layer's activations.
    #[error("`{0}`: not there any more")]
    Gone(String),
    /// The file of an RDM.
    #[error("`{0}`: not there, or not as it was written")]
    Changed(String),
}

impl Difference {
    /// Whether it is of which images there are, or of their contents.
    pub(super) fn is_of_images(&self) -> bool {
        match self {
            Difference::Contents(_) => true,
            Difference::Setting(change) => ["images", "images sha256"].contains(&&*change.part),
            _ => false,
        }
    }

    /// Whether it is of which layers there are.
    pub(super) fn is_of_layers(&self) -> bool {
        matches!(self, Difference::Setting(change) if change.part == "layers")
    }
}

/// A part of a record as it is now and as it was, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {now}, was {was}")]
pub struct Change {
    part: String,
    now: String,
    was: String,
}

/// All of them in a sentence.
pub(super) fn in_words(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The same, with what is different about the images in words: those of `checksums` now, of the run in `folder` before.
pub(super) fn in_words_with_images(differences: &[Difference], folder: &Path, checksums: &str) -> String {
    let (of_images, others): (Vec<_>, Vec<_>) = differences.iter().partition(|difference| difference.is_of_images());
    if of_images.is_empty() {
        return in_words(differences);
    }
    let was = plain_file::read_to_string(&folder.join("images.sha256")).unwrap_or_default();
    let images = images_in_words(checksums, &was);
    images.into_iter().chain(others.iter().map(ToString::to_string)).collect::<Vec<_>>().join("; ")
}

/// What is different between the texts of two images.sha256.
fn images_in_words(now: &str, was: &str) -> Option<String> {
    let read = |text| -> BTreeMap<&str, &str> {
        str::lines(text).filter_map(|line| line.split_once("  ")).map(|(hash, id)| (id, hash)).collect()
    };
    let (is, before) = (read(now), read(was));
    let added = is.keys().filter(|id| !before.contains_key(*id)).copied().collect::<Vec<_>>();
    let removed = before.keys().filter(|id| !is.contains_key(*id)).copied().collect::<Vec<_>>();
    let changed =
        is.iter().filter(|(id, hash)| before.get(*id).is_some_and(|other| other != *hash)).map(|(id, _)| *id).collect::<Vec<_>>();
    let kinds = [(added, "added"), (removed, "removed"), (changed, "changed")];
    let said = kinds.iter().filter_map(|(ids, what)| {
        Some(format!("{} {what} (`{}`)", count_of(ids.len(), "image"), ids[..ids.len().min(2)].join("`, `")))
            .filter(|_| !ids.is_empty())
    });
    let said: Vec<String> = said.collect();
    Some(if said.is_empty() { "the same images in another order, or other numbers of them".into() } else { said.join(", ") })
}

/// Parts of a record that do not decide what is in the files: where the images lie now, how they were divided, what
/// happened on the way.
const INCIDENTAL: [&str; 14] = [
    "complete",
    "command",
    "request",
    "directory",
    "image_origin",
    "batch_size",
    "max_pixels",
    "skip_unreadable",
    "damaged_images",
    "landlock",
    "winograd",
    "other_files",
    "layers",
    "seconds",
];

impl Record {
    /// What is different in the record at `folder`, which a run like this one would replace. Empty if its files hold what this
    /// run would write.
    ///
    /// The size of batches counts in an unfinished run and in a shard; RDMs do not count in an unfinished run.
    pub fn differences(&self, folder: &Path, unfinished: bool) -> Result<Vec<Difference>> {
        let (mut was, mut is): (Value, Value) = (run::read(folder)?, serde_json::to_value(self)?);
        // What goes without saying in one may be said in the other.
        for parts in [&mut was, &mut is].into_iter().filter_map(Value::as_object_mut) {
            for (part, value) in
                [("reduction", "none".into()), ("alignment", "none".into()), ("format", "npy".into()), ("one_file", false.into())]
            {
                parts.entry(part).or_insert(value);
            }
        }
        let mut differences = Vec::new();
        // Shards that are to be merged have batches of one size.
        let counts = |part: &str| !INCIDENTAL.contains(&part) || (unfinished || self.shard.is_some()) && part == "batch_size";
        for (part, value) in is.as_object().into_iter().flatten().filter(|(part, _)| counts(part)) {
            // What it was before it was recorded.
            let is_old = was[part].is_null() && (part == "activation" && value == "quickgelu" || part == "architecture");
            let old = &was[part];
            // As before it was recorded where in a file weights were.
            let has_place = old["key"].is_string();
            if !is_old && without_path(value, has_place) != without_path(old, has_place) {
                differences.push(of_part(part, described(part, value), described(part, &was[part])));
            }
        }
        let names = |layers: &Value| -> String {
            let layer = |layer: &Value| format!("{} {}", layer["name"].as_str().unwrap_or_default(), layer["shape"]);
            layers.as_array().into_iter().flatten().map(layer).collect::<Vec<_>>().join(", ")
        };
        let (new, old) = (names(&is["layers"]), names(&was["layers"]));
        if new != old {
            differences.push(of_part("layers", short(&new.into()), short(&old.into())));
        } else if !unfinished {
            let layers = Vec::<LayerRecord>::deserialize(&was["layers"]).unwrap_or_default();
            let pairs = self.layers.iter().zip(&layers);
            differences.extend(pairs.filter_map(|(wanted, there)| self.of_files(wanted, there, folder)));
        }
        Ok(differences)
    }

    /// What is different between its features and those of the run in `folder`, whatever images they are of, in words.
    pub(super) fn differences_of_network(&self, folder: &Path) -> Result<String> {
        const PARTS: [&str; 9] = [
            "model",
            "weights",
            "architecture",
            "activation",
            "preprocessing",
            "positions",
            "readout",
            "tokens",
            "exif_orientation",
        ];
        let (was, is): (Value, Value) = (run::read(folder)?, serde_json::to_value(self)?);
        let has_place = was["weights"]["key"].is_string();
        let differs = |part: &&&str| without_path(&is[**part], has_place) != without_path(&was[**part], has_place);
        let differences =
            PARTS.iter().filter(differs).map(|part| of_part(part, described(part, &is[part]), described(part, &was[part])));
        Ok(in_words(&differences.collect::<Vec<_>>()))
    }

    /// What of the files of a layer, which are to be as `wanted` says, is not as `there` says.
    fn of_files(&self, wanted: &LayerRecord, there: &LayerRecord, folder: &Path) -> Option<Difference> {
        // A shard has its rows as they were written, and no RDMs.
        let (in_shard, file) = (self.shard.is_some(), self.file_of(there));
        if !folder.join(&*file).is_file() {
            return Some(Difference::Gone(file.into_owned()));
        }
        let rdm = wanted.rdm.as_ref().filter(|_| !in_shard)?;
        match (&there.rdm, &there.rdm_blake3) {
            (None, _) if there.without_rdm.is_some() => None,
            (Some(_), Some(hash)) if blake3_of_file(&folder.join(rdm)).is_ok_and(|found| found == *hash) => None,
            _ => Some(Difference::Changed(rdm.clone())),
        }
    }
}

fn of_part(part: &str, now: String, was: String) -> Difference {
    let change = Change { part: part.replace('_', " "), now, was };
    match part {
        "program" | "libtorch" => Difference::Program(change),
        "contents_sha256" => Difference::Contents(change),
        _ => Difference::Setting(change),
    }
}

/// What matters of a part of a record: weights are the same wherever their file is, and whatever is known of it.
fn without_path(part: &Value, has_place: bool) -> Value {
    let mut part = part.clone();
    if let Some(fields) = part.as_object_mut() {
        let place = if has_place { None } else { Some("key") };
        ["path", "from", "tag", "licence", "citation", "layout", "left_aside"]
            .iter()
            .chain(&place)
            .for_each(|name| _ = fields.remove(*name));
    }
    part
}

/// A part of a record for a message.
fn described(part: &str, value: &Value) -> String {
    let words = match part {
        "weights" => Provenance::deserialize(value).map(|weights| weights.describe()).ok(),
        "preprocessing" => Preprocessing::deserialize(value).map(|preprocessing| preprocessing.describe()).ok(),
        _ => None,
    };
    words.unwrap_or_else(|| short(value))
}

/// A value of a record, cut.
fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() > 60 { text.chars().take(59).chain(['…']).collect() } else { text }
}
