//! RDM files that are made of other files: the mean of several, another format, categories.

use super::{Categories, Pooling, Rdms, align_files, aligned, ids, outputs, times};
use crate::arrays::{self, Labelled};
use crate::error::advise;
use crate::numbers::count;
use crate::observer::Observer;
use anyhow::Result;
use ndarray::{Array, ArrayD, IxDyn};
use std::path::{Path, PathBuf};

/// Writes the mean RDM of all subjects in all files, which may be globs.
pub fn average(files: &[PathBuf], pool: Pooling, out: &Path, observer: &dyn Observer) -> Result<()> {
    let files = &arrays::all_matching(files)?[..];
    outputs::check_rdm(out, files.iter().flat_map(|file| outputs::read_of(file)))?;
    let (rdms, assumed) = of_all_subjects(files, observer)?;
    let order = if assumed && files.len() > 1 { ", taken to be in the same order" } else { "" };
    observer.note(&format!("the mean of {} of {} stimuli{order}", number_of_rdms(rdms.subjects.len()), count(rdms.stimuli)));
    let pairs = super::average(&rdms, pool)?;
    let lost = pairs.iter().filter(|pair| pair.is_nan()).count();
    if lost > 0 {
        observer.note(&format!("{} of {} pairs are missing in some RDM and in the mean", count(lost), count(pairs.len())));
    }
    write(out, &Rdms { subjects: vec![pairs], ..rdms }, false, observer)
}

/// The RDMs of all subjects in all files, and whether one without IDs was taken to be in the order of the others; says which IDs
/// were taken for others.
pub(crate) fn of_all_subjects(files: &[PathBuf], observer: &dyn Observer) -> Result<(Rdms, bool)> {
    let all: Vec<Rdms> = files.iter().map(|file| Rdms::read(file)).collect::<Result<_>>()?;
    let alignment = align_files(files.iter().map(PathBuf::as_path).zip(&all), [], false)?;
    alignment.renamed.iter().for_each(|sentence| observer.note(sentence));
    let mut subjects = Vec::new();
    for (rdms, rows) in all.iter().zip(&alignment.rows) {
        subjects.extend(rdms.subjects.iter().map(|pairs| aligned(rdms.stimuli, pairs, rows)));
    }
    Ok((Rdms { stimuli: all[0].stimuli, ids: alignment.ids, subjects }, alignment.assumed))
}

fn number_of_rdms(rdms: usize) -> String {
    if rdms == 1 { "1 RDM".into() } else { format!("{} RDMs", count(rdms)) }
}

/// Writes an RDM, or those of all subjects, in another format.
pub fn convert(file: &Path, out: &Path, condensed: bool, observer: &dyn Observer) -> Result<()> {
    outputs::check_folder(out)?;
    // What lies beside both may be the same file.
    let own = |path: &PathBuf| ![ids::beside(file), times::beside(file)].contains(path);
    let outputs: Vec<PathBuf> = outputs::with_beside(out).into_iter().filter(own).collect();
    outputs::check(&outputs, outputs::read_of(file))?;
    write(out, &Rdms::read(file)?, condensed, observer)
}

/// Writes the RDM of categories.
pub fn categories(labels: &Path, out: &Path, observer: &dyn Observer) -> Result<()> {
    outputs::check_rdm(out, [labels.to_owned()])?;
    let categories = Categories::read(labels)?;
    if let Some(header) = &categories.header {
        observer.note(&format!("took the first line for a header: `{header}`"));
    }
    let stimuli = categories.labels.of_row.len();
    observer.note(&format!("{} stimuli in {} categories", count(stimuli), categories.labels.names.len()));
    write(out, &Rdms { stimuli, subjects: vec![categories.rdm()], ids: categories.ids }, false, observer)
}

/// Writes the file and, where the format has no place for them, the IDs beside it.
pub(super) fn write(out: &Path, rdms: &Rdms, condensed: bool, observer: &dyn Observer) -> Result<()> {
    let condensed = condensed || matches!(arrays::kind(out).as_str(), "h5" | "hdf5");
    let values = if condensed { pairs(rdms) } else { squares(rdms) };
    if values.ndim() > 2 && arrays::kind(out) != "npy" {
        return Err(advise("this format holds no RDM of each subject as squares", "add --condensed, or write .npy"));
    }
    outputs::check_beside(out, rdms.ids.as_deref(), None)?;
    arrays::write(out, &Labelled { values, ids: rdms.ids.clone(), are_rdms: true })?;
    outputs::write_beside(out, rdms.ids.as_deref(), None, observer)
}

/// `[pairs]`, or `[subjects, pairs]`.
fn pairs(rdms: &Rdms) -> ArrayD<f64> {
    let count = rdms.subjects[0].len();
    let shape = if rdms.subjects.len() == 1 { vec![count] } else { vec![rdms.subjects.len(), count] };
    Array::from_shape_vec(IxDyn(&shape), rdms.subjects.concat()).expect("as many pairs for every subject")
}

/// `[N, N]`, or `[subjects, N, N]`.
fn squares(rdms: &Rdms) -> ArrayD<f64> {
    let n = rdms.stimuli;
    let squares = Array::from_shape_fn((rdms.subjects.len(), n, n), |(s, i, j)| match i == j {
        true => 0.0,
        false => rdms.subjects[s][super::pair(n, i, j)],
    });
    match rdms.subjects.len() {
        1 => squares.index_axis_move(ndarray::Axis(0), 0).into_dyn(),
        _ => squares.into_dyn(),
    }
}
