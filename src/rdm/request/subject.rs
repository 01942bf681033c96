//! What is read for each subject: the file of features, and those that say what its rows are.

use super::Request;
use crate::arrays;
use crate::error::advise;
use crate::rdm::outputs;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// The files of a subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// The features, or an fMRI image.
    pub(super) source: &'a Path,
    /// Of an fMRI image the voxels.
    pub(super) mask: Option<&'a Path>,
    pub(super) ids: Option<&'a Path>,
    pub(super) conditions: Option<&'a Path>,
    pub(super) partitions: Option<&'a Path>,
    pub(super) residuals: Option<&'a Path>,
}

/// The subjects in the order in which they are named.
pub(super) fn all(request: &Request) -> Result<Vec<Subject<'_>>> {
    let sources = request.sources();
    let subject = |number: usize| {
        let file = |files, flag| one_of(files, flag, number, sources.len());
        Ok(Subject {
            source: sources[number],
            mask: file(&request.mask, "--mask")?,
            ids: file(&request.ids, "--ids")?,
            conditions: file(&request.conditions, "--conditions")?,
            partitions: file(&request.partitions, "--partitions")?,
            residuals: file(&request.residuals, "--residuals")?,
        })
    };
    (0..sources.len()).map(subject).collect()
}

/// The file of a subject: the only one, or that at its place.
pub(super) fn one_of<'a>(files: &'a [PathBuf], flag: &str, number: usize, subjects: usize) -> Result<Option<&'a Path>> {
    match files {
        [] => Ok(None),
        [for_all] => Ok(Some(for_all)),
        _ if files.len() == subjects => Ok(Some(&files[number])),
        _ => Err(advise(
            format!("{flag} is given {} times, but the subjects are {subjects}", files.len()),
            "give it once for all, or once for each in the order of the subjects",
        )),
    }
}

impl Subject<'_> {
    /// The files of numbers, without which nothing begins.
    pub(super) fn images(&self) -> Vec<PathBuf> {
        [Some(self.source), self.mask].into_iter().flatten().map(|file| arrays::split(file).0).collect()
    }

    /// All files that are read.
    pub(super) fn reads(&self) -> Vec<PathBuf> {
        let beside = [self.mask, self.ids, self.conditions, self.partitions, self.residuals];
        outputs::read_of(self.source).into_iter().chain(beside.into_iter().flatten().map(Path::to_owned)).collect()
    }
}
