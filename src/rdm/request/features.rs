//! What is read for each subject: the file of features, and those that say what its rows are.

use super::Request;
use crate::arrays::{self, nifti};
use crate::error::advise;
use crate::images::Conditions;
use crate::npy::Matrix;
use crate::rdm::design::means;
use crate::rdm::metric::Method;
use crate::rdm::{Labels, Noise, ids, outputs};
use anyhow::Result;
use std::path::{Path, PathBuf};

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

/// The subjects in the order in which they are named, whose features are these.
pub(super) fn subjects<'a>(request: &'a Request, sources: &[&'a Path]) -> Result<Vec<Subject<'a>>> {
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

/// What was read, before repeats are averaged.
pub(super) struct Features {
    matrix: Matrix,
    rows: Rows,
}

impl Features {
    pub(super) fn read(request: &Request, subject: &Subject) -> Result<Features> {
        let path = subject.source;
        let (matrix, own) = matrix(subject)?;
        let rows = matrix.rows;
        if is_rdm(&matrix) {
            return Err(advise(
                format!("`{}` is an RDM, and no features: it is symmetric, with zeros on the diagonal", path.display()),
                "compare it with `thingsvision rsa`, average several with `thingsvision rdm average`; a glob may have matched it",
            ));
        }
        Ok(Features { rows: Rows::read(request, subject, rows, own)?, matrix })
    }

    pub(super) fn noise(&self, request: &Request, subject: &Subject) -> Result<Option<Noise>> {
        self.rows.noise(&self.matrix, request, subject)
    }

    /// The features with a row for each condition, and the IDs of the rows. (They may have to be averaged within partitions later.)
    pub(super) fn of_stimuli(self, request: &Request) -> (Matrix, Option<Vec<String>>) {
        (self.rows.of_stimuli(self.matrix, request), self.rows.into_ids())
    }
}

/// What the rows of a matrix are.
pub(super) struct Rows {
    ids: Option<Vec<String>>,
    conditions: Option<Labels>,
    partitions: Option<Labels>,
}

impl Rows {
    /// Reads what is said of so many rows; `own` are the names that the file of features has.
    pub(super) fn read(request: &Request, subject: &Subject, rows: usize, own: Option<Vec<String>>) -> Result<Rows> {
        let path = subject.source;
        let labels = |path: Option<&Path>| path.map(|path| Labels::read(path, rows)).transpose();
        let ids = match subject.ids {
            Some(path) => Some(ids::read_for(path, rows)?),
            None => own.map_or_else(|| ids::of(path, rows), |own| Ok(Some(own)))?,
        };
        let conditions = match request.average_by {
            // A column was refused.
            Some(_) => Some(folders(path, ids.as_deref())?),
            None => labels(subject.conditions)?,
        };
        Ok(Rows { ids, conditions, partitions: labels(subject.partitions)? })
    }

    /// The noise covariance, for the metrics that are in units of it.
    pub(super) fn noise(&self, features: &Matrix, request: &Request, subject: &Subject) -> Result<Option<Noise>> {
        if !request.metric().entry().noise {
            return Ok(None);
        }
        let design = self.conditions.clone().zip(self.partitions.clone());
        if let Some(path) = subject.residuals {
            let residuals = match subject.mask {
                Some(mask) if nifti::is_called_nifti(path) => of_voxels(path, mask)?,
                _ => arrays::features(path)?.0,
            };
            return Noise::new(request.noise, &residuals, residuals.rows.saturating_sub(1), design).map(Some);
        }
        let of_repeats = |conditions| Noise::from_repeats(request.noise, features, conditions, design);
        self.conditions.as_ref().map(of_repeats).transpose()
    }

    /// The features with a row for each condition, but for metrics that average within partitions.
    pub(super) fn of_stimuli(&self, features: Matrix, request: &Request) -> Matrix {
        match (&self.conditions, request.metric().entry().method) {
            (Some(conditions), Method::Tiles(_)) => means(&features, &conditions.groups()),
            _ => features,
        }
    }

    /// The names of the stimuli, which are conditions if there are some.
    pub(super) fn into_ids(self) -> Option<Vec<String>> {
        self.conditions.map(|conditions| conditions.names).or(self.ids)
    }

    /// The same.
    pub(super) fn ids(&self) -> Option<&[String]> {
        self.conditions.as_ref().map(|conditions| &conditions.names).or(self.ids.as_ref()).map(Vec::as_slice)
    }
}

/// Whether features are dissimilarities: that they are as many as rows, 0 of a row with itself, and symmetric.
fn is_rdm(matrix: &Matrix) -> bool {
    let n = matrix.rows;
    let part = |row, columns| {
        let mut values: Vec<f64> = Vec::new();
        matrix.append(row, columns, &mut values);
        values
    };
    // Of a large one a corner is enough.
    let corner: Vec<_> =
        if n == matrix.columns && n > 2 { (0..n.min(64)).map(|i| part(i, 0..n.min(64))).collect() } else { Vec::new() };
    let is_symmetric = || (0..corner.len()).all(|i| (0..i).all(|j| corner[i][j] == corner[j][i]));
    !corner.is_empty() && is_symmetric() && (0..n).all(|i| part(i, i..i + 1) == [0.0])
}

/// The rows, and their names if the file has some.
fn matrix(subject: &Subject) -> Result<(Matrix, Option<Vec<String>>)> {
    let path = subject.source;
    if let Some(mask) = subject.mask {
        return Ok((of_voxels(path, mask)?, None));
    }
    if nifti::is_called_nifti(path) {
        return Err(advise(
            format!("`{}` is an fMRI image, not a matrix of features", path.display()),
            format!("say which voxels are wanted: --nifti {} --mask mask.nii.gz", path.display()),
        ));
    }
    arrays::features(path)
}

fn of_voxels(image: &Path, mask: &Path) -> Result<Matrix> {
    Matrix::from_array(nifti::patterns(image, mask)?, image)
}

/// The folder of each row.
fn folders(features: &Path, ids: Option<&[String]>) -> Result<Labels> {
    let ids = ids.ok_or_else(|| {
        advise(
            format!("it is not known which images the rows of `{}` are", features.display()),
            "name a file of their paths, one a line, with --ids; rows of a run have them",
        )
    })?;
    let Conditions { ids: names, of_image: of_row, .. } = Conditions::by_folder(ids)?;
    Ok(Labels { names, of_row })
}
