//! `study.json`: from what the figures and the report were made, so that they are made again only if that has changed.

use super::plan::Plan;
use crate::atomic_file;
use crate::plain_file;
use crate::rsa::read_targets;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

const FILE: &str = "study.json";

/// A hash of all that figures and tables are made from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Inputs {
    program: String,
    /// Of the study's file, the records of its runs, and its targets.
    sha256: String,
    /// What was made of them, in the folder of the study.
    #[serde(default)]
    files: Vec<PathBuf>,
}

impl Inputs {
    /// As they are now.
    pub(super) fn of(file: &Path, plan: &Plan) -> Result<Inputs> {
        let mut hash = Sha256::new();
        update(&mut hash, file)?;
        for pass in &plan.passes {
            update(&mut hash, &pass.folder.join("run.json"))?;
        }
        for set in &plan.datasets {
            // As they are read, so with the IDs beside them.
            for target in read_targets(&set.comparison)? {
                hash.update(format!("{} {} {}\n", target.name, target.kind, target.files.len()));
                for (_, rdms) in target.files {
                    hash.update(format!("{} {:?}\n", rdms.stimuli, rdms.ids));
                    let values = rdms.subjects.iter().flatten();
                    values.for_each(|value| hash.update(value.to_bits().to_le_bytes()));
                }
            }
            if let Some(path) = set.dataset.categories.as_ref().filter(|named| *named != "folder") {
                update(&mut hash, Path::new(path))?;
            }
        }
        let program = concat!("thingsvision ", env!("CARGO_PKG_VERSION")).to_owned();
        Ok(Inputs { program, sha256: format!("{:x}", hash.finalize()), files: Vec::new() })
    }

    /// Whether all in the folder `out` was made from them.
    pub(super) fn are_those_of(&self, out: &Path) -> bool {
        read(out).is_some_and(|there| {
            let whole = !there.files.is_empty() && there.files.iter().all(|file| out.join(file).is_file());
            whole && (&there.program, &there.sha256) == (&self.program, &self.sha256)
        })
    }

    /// Writes that `files` were made from them, and removes what was made before and is not among them, such as figures of a
    /// dataset that has another name now.
    pub(super) fn write(self, out: &Path, files: &[PathBuf]) -> Result<()> {
        for old in read(out).map(|before| before.files).unwrap_or_default() {
            if lies_in(&out.join(&old), out) && !files.contains(&out.join(&old)) {
                std::fs::remove_file(out.join(old)).ok();
            }
        }
        let files = files.iter().map(|file| file.strip_prefix(out).unwrap_or(file).to_owned()).collect();
        let text = serde_json::to_string_pretty(&Inputs { files, ..self })? + "\n";
        atomic_file::write(&out.join(FILE), text.as_bytes())
    }
}

/// Whether the file lies in the folder, not behind a link: the list of files is anybody's word.
fn lies_in(file: &Path, folder: &Path) -> bool {
    let place = file.parent().and_then(|parent| parent.canonicalize().ok());
    place.is_some_and(|place| folder.canonicalize().is_ok_and(|folder| place.starts_with(folder)))
}

fn read(out: &Path) -> Option<Inputs> {
    serde_json::from_slice(&plain_file::read(&out.join(FILE)).ok()?).ok()
}

fn update(hash: &mut Sha256, path: &Path) -> Result<()> {
    let bytes = plain_file::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
    Ok(())
}
