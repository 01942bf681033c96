//! An RDM of odd-one-out judgements.

use super::Request;
use super::features::one_of;
use crate::arrays;
use crate::numbers::count;
use crate::observer::Observer;
use crate::rdm::triplets::Triplets;
use crate::rdm::{ids, outputs, stored};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Writes the RDM of odd-one-out judgements.
pub(super) fn run(path: &Path, request: &Request, observer: &dyn Observer) -> Result<PathBuf> {
    let out = request.out.clone().unwrap_or_else(|| arrays::with_ending(path, "rdm.npy"));
    let ids = one_of(&request.ids, "--ids", 0, 1)?;
    outputs::check_rdm(&out, [path].into_iter().chain(ids).map(Path::to_owned))?;
    let ids = ids.map(ids::names).transpose()?;
    let triplets = Triplets::read(path, ids)?;
    let rdms = triplets.rdm();
    let pairs = &rdms.subjects[0];
    let missing = pairs.iter().filter(|pair| pair.is_nan()).count();
    if let Some(header) = &triplets.header {
        observer.note(&format!("took the first line for a header: `{header}`"));
    }
    let (judged, stimuli) = (count(triplets.judgements.len()), count(triplets.stimuli));
    let never = format!("{} of {} pairs were never shown in one", count(missing), count(pairs.len()));
    observer.note(&format!("RDM of {stimuli} stimuli from {judged} triplets; {never}"));
    triplets.has_no_0("rows of the RDM").iter().for_each(|sentence| observer.note(sentence));
    stored::write(&out, &rdms, request.condensed, observer)?;
    Ok(out)
}
