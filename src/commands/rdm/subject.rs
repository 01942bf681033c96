//! What is read for each subject: the file of features, and those that say what its rows are.

use crate::cli::Rdm;
use anyhow::Result;
use std::path::{Path, PathBuf};
use thingsvision::arrays;
use thingsvision::error::advise;
use thingsvision::outputs;

/// The files of a subject.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The features, or an fMRI image.
    pub source: &'a Path,
    /// Of an fMRI image the voxels.
    pub mask: Option<&'a Path>,
    pub ids: Option<&'a Path>,
    pub conditions: Option<&'a Path>,
    pub partitions: Option<&'a Path>,
    pub residuals: Option<&'a Path>,
}

/// The subjects in the order in which they are named.
pub fn all(arguments: &Rdm) -> Result<Vec<Subject<'_>>> {
    if !arguments.nifti.is_empty() && arguments.mask.is_empty() {
        return Err(advise(
            "it is not known which voxels of the image are wanted",
            "give a 3-D image that is 1 in the voxels of a region, or of the brain, and 0 elsewhere: --mask mask.nii.gz",
        ));
    }
    let sources = arguments.sources();
    let subject = |number: usize| {
        let file = |files, flag| one_of(files, flag, number, sources.len());
        Ok(Subject {
            source: sources[number],
            mask: file(&arguments.mask, "--mask")?,
            ids: file(&arguments.ids, "--ids")?,
            conditions: file(&arguments.conditions, "--conditions")?,
            partitions: file(&arguments.partitions, "--partitions")?,
            residuals: file(&arguments.residuals, "--residuals")?,
        })
    };
    (0..sources.len()).map(subject).collect()
}

/// The file of a subject: the only one, or that at its place.
pub fn one_of<'a>(files: &'a [PathBuf], flag: &str, number: usize, subjects: usize) -> Result<Option<&'a Path>> {
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
    pub fn images(&self) -> Vec<PathBuf> {
        [Some(self.source), self.mask].into_iter().flatten().map(|file| arrays::split(file).0).collect()
    }

    /// All files that are read.
    pub fn reads(&self) -> Vec<PathBuf> {
        let beside = [self.mask, self.ids, self.conditions, self.partitions, self.residuals];
        outputs::read_of(self.source).into_iter().chain(beside.into_iter().flatten().map(Path::to_owned)).collect()
    }
}
