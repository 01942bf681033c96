//! The RDMs that are drawn.

use super::Shown;
use crate::arrays;
use crate::numbers::count;
use crate::observer::Observer;
use crate::plot::Panel;
use crate::rdm::{Pooling, Rdms, align_files, aligned, average, outputs, stored};
use crate::rsa::{Candidate, Named, candidates, layers_of_run, run_and_layer};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// RDMs that were read, of subjects their mean, and brought to the same stimuli.
pub(super) struct Sources {
    pub(super) panels: Vec<Panel>,
    pub(super) stimuli: usize,
    pub(super) ids: Option<Vec<String>>,
    /// The RDM by which stimuli are ordered.
    pub(super) reference: Option<Rdms>,
    /// Where the first RDM has the stimuli.
    pub(super) first_rows: Vec<usize>,
    /// What was left out or assumed, in sentences.
    pub(super) notes: Vec<String>,
    pub(super) files: Vec<PathBuf>,
}

impl Sources {
    pub(super) fn read(shown: &Shown, observer: &dyn Observer) -> Result<Sources> {
        let mut sources = if shown.rdms.is_empty() { candidates(&[], observer)? } else { Vec::new() };
        for named in &shown.rdms {
            sources.extend(candidates_of(named, observer)?);
        }
        if let Some(path) = &shown.cluster {
            sources.push(mean(None, vec![path.clone()], observer)?);
        }
        let alignment = align_files(sources.iter().map(|source| (&*source.path, &source.rdm)), [], shown.intersect)?;
        let mut notes: Vec<String> = alignment.renamed.iter().map(|sentence| format!("{sentence}.")).collect();
        if alignment.left_out > 0 {
            notes.push(format!("{} stimuli that are not in all RDMs are left out.", count(alignment.left_out)));
        }
        if alignment.assumed && alignment.ids.is_some() {
            notes.push("RDMs without names are taken to be in the order of the others.".into());
        }
        notes.iter().for_each(|note| observer.note(note));
        let first_rows = alignment.rows[0].clone();
        let stimuli = alignment.rows[0].len();
        // Of names that mean the same, the longest: they tell folders and files.
        let named = sources.iter().zip(&alignment.rows).filter_map(|(source, rows)| Some((source.rdm.ids.as_ref()?, rows)));
        let of_each = named.map(|(ids, rows)| rows.iter().map(|&row| ids[row].clone()).collect::<Vec<_>>());
        let ids = of_each.max_by_key(|ids| ids.iter().map(String::len).sum::<usize>());
        let files = sources.iter().flat_map(|source| outputs::read_of(&source.path)).collect();
        let mut panels: Vec<Panel> = Vec::new();
        for (source, rows) in sources.into_iter().zip(&alignment.rows) {
            let pairs = aligned(source.rdm.stimuli, &source.rdm.subjects[0], rows);
            panels.push(Panel { title: source.model, subtitle: source.layer, pairs });
        }
        let reference = shown.cluster.as_ref().and_then(|_| panels.pop());
        let reference = reference.map(|panel| Rdms { stimuli, ids: None, subjects: vec![panel.pairs] });
        Ok(Sources { panels, stimuli, ids, reference, first_rows, notes, files })
    }
}

/// What `[NAME=]RDM` or `RUN_DIR` names.
fn candidates_of(text: &str, observer: &dyn Observer) -> Result<Vec<Candidate>> {
    if Path::new(text).is_dir() {
        return layers_of_run(Path::new(text), observer);
    }
    let named = Named::parse(text, "")?;
    Ok(vec![mean(named.name, named.files, observer)?])
}

fn mean(name: Option<String>, files: Vec<PathBuf>, observer: &dyn Observer) -> Result<Candidate> {
    let (all, _) = stored::of_all_subjects(&files, observer)?;
    let number = all.subjects.len();
    let mean = if number > 1 { average(&all, Pooling::Mean)? } else { all.subjects[0].clone() };
    let (run, layer) = run_and_layer(&files[0])?;
    let layer = if number > 1 { format!("mean of {number} subjects") } else { layer };
    let rdm = Rdms { subjects: vec![mean], ..all };
    Ok(Candidate { model: name.unwrap_or(run), layer, path: arrays::split(&files[0]).0, rdm })
}
