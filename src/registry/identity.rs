//! Which of the models and files that are known something is: by the hash of a file, by the name of a tag, by how a name is written.

use super::{Choice, Entry, KnownFile, PublishedWeights, Registry, same_name};
use crate::error::advise;
use anyhow::Result;

impl Registry {
    /// The published weights whose file has this SHA-256; of several those of `wanted`, and none of others if the file is known to fit
    /// further networks.
    pub fn published(&self, sha256: &str, wanted: &Entry) -> Option<Choice<'_>> {
        let is_it = |weights: &&PublishedWeights| weights.sha256.as_deref().is_some_and(|own| is_of(own, sha256));
        let entries = if wanted.architecture.context().is_some() { &self.texts } else { &self.models };
        let found = || entries.iter().filter_map(|entry| Some((entry, entry.weights.iter().find(is_it)?)));
        let own = found().find(|(entry, _)| entry.name == wanted.name);
        own.or_else(|| found().next().filter(|_| self.known_file(sha256).is_none()))
            .map(|(entry, weights)| Choice { identified: true, ..self.with_weights(entry, weights, true) })
    }

    /// Another file that is known by its SHA-256.
    pub fn known_file(&self, sha256: &str) -> Option<&KnownFile> {
        self.files.iter().find(|file| is_of(&file.sha256, sha256))
    }

    /// The tag of `entry` that `text`, given for a file of weights, is the name of.
    pub fn tag_called<'a>(&self, entry: &'a Entry, text: &str) -> Option<&'a str> {
        entry.weights.iter().map(|weights| weights.tag.as_str()).find(|tag| same_name(tag, text))
    }

    /// Fails for a name that is written as one library does and to the letter no other's: open_clip's `ViT-B-32` is CLIP's network,
    /// and but for its capitals the name of torchvision's.
    pub(super) fn check_schools(&self, name: &str) -> Result<()> {
        let is_written_so = |known: &str| known == name || known == name.replace('_', "-");
        if name.contains(['/', '_']) || self.models.iter().any(|entry| entry.names().any(is_written_so)) {
            return Ok(());
        }
        let is_openclips = name.starts_with("ViT-");
        let is_alike = |entry: &&Entry| {
            let is_known = entry.names().any(|known| same_name(known, name));
            is_known || is_openclips && same_name(&entry.name, &format!("{OPENCLIP}{name}"))
        };
        let alike: Vec<&Entry> = self.models.iter().filter(is_alike).collect();
        match alike[..] {
            [one] if one.source == "torchvision" && is_openclips => Err(advise(
                format!("`{name}` is how OpenCLIP writes a network of its own, which is not here"),
                format!("of {} there is --model {}; examples/export_model.py exports OpenCLIP's", one.source, one.name),
            )),
            // Of OpenCLIP's names that are nobody else's it is clear what they mean.
            [] | [_] => Ok(()),
            _ => {
                let of = |entry: &&Entry| format!("`{}` ({})", entry.name, entry.source);
                Err(advise(
                    format!("`{name}` may be {}", alternatives(alike.iter().map(of))),
                    format!("say which: {}", alternatives(alike.iter().map(|entry| format!("--model {}", entry.name)))),
                ))
            }
        }
    }
}

/// What the names of OpenCLIP's networks begin with here.
pub(super) const OPENCLIP: &str = "openclip-";

/// `a, b or c`.
fn alternatives(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    let (last, others) = all.split_last().expect("at least one");
    if others.is_empty() { last.clone() } else { format!("{} or {last}", others.join(", ")) }
}

/// Whether a SHA-256 begins with `known`, which is long enough to tell files apart.
fn is_of(known: &str, sha256: &str) -> bool {
    known.len() >= 8 && sha256.starts_with(&known.to_lowercase())
}
