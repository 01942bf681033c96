//! Responses `[rows, targets]`: of voxels, channels or neurons to images, which may come several times.

use super::Request;
use crate::arrays::{self, nifti};
use crate::atomic_file;
use crate::error::advise;
use crate::npy::Matrix;
use crate::numbers::count_of;
use crate::rdm::{Rows, ids};
use crate::rsa::Named;
use anyhow::Result;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A file of responses.
pub(super) struct Responses {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) values: Matrix,
    /// The images that were seen, in the order in which they come first; none if rows have no names.
    pub(super) images: Option<Vec<String>>,
    /// The rows of each image.
    pub(super) rows_of: Vec<Vec<usize>>,
    /// Where the voxels lie, of a NIfTI image.
    pub(super) voxels: Option<nifti::Voxels>,
}

impl Responses {
    pub(super) fn read_all(request: &Request) -> Result<Vec<Responses>> {
        let named: Vec<Named> = request.targets.iter().map(|text| Named::parse(text, "targets")).collect::<Result<_>>()?;
        let files: Vec<(Option<String>, PathBuf)> = named
            .into_iter()
            .flat_map(|named| {
                let alone = named.files.len() == 1;
                named.files.into_iter().map(move |file| (named.name.clone().filter(|_| alone), file))
            })
            .collect();
        let masks = &request.mask;
        if masks.len() > 1 && masks.len() != files.len() {
            return Err(advise(
                format!("there are {} masks for {}", masks.len(), count_of(files.len(), "file of responses")),
                "give one mask for all, or one for each in the same order",
            ));
        }
        let mut all: Vec<Responses> = Vec::new();
        for (number, (name, path)) in files.into_iter().enumerate() {
            let mask = masks.get(number).or(masks.first().filter(|_| masks.len() == 1));
            let responses = Responses::read(name, &path, mask.map(PathBuf::as_path))?;
            if let Some(other) = all.iter().find(|other| other.name == responses.name) {
                return Err(advise(
                    format!("`{}` and `{}` are both called `{}`", other.path.display(), path.display(), other.name),
                    "give each a name of its own: --targets sub-1=FILE --targets sub-2=FILE",
                ));
            }
            all.push(responses);
        }
        Ok(all)
    }

    fn read(name: Option<String>, path: &Path, mask: Option<&Path>) -> Result<Responses> {
        let is_image = nifti::is_called_nifti(path);
        let (values, own, voxels) = match (is_image, mask) {
            (true, Some(mask)) => {
                let (values, voxels) = nifti::responses(path, mask)?;
                (values, None, Some(voxels))
            }
            (true, None) => {
                return Err(advise(
                    format!("`{}` is an image of the whole brain", path.display()),
                    "say which voxels are meant: --mask MASK.nii.gz",
                ));
            }
            (false, _) => {
                let (values, own) = array(path)?;
                (values, own, None)
            }
        };
        if values.columns == 0 {
            return Err(advise(format!("`{}` has no targets", path.display()), "give responses [images, targets]"));
        }
        let beside = ids::beside(path);
        let other = atomic_file::with_ending(path, ".ids.txt");
        if !beside.is_file() && other.is_file() {
            return Err(advise(
                format!("`{}` is not read: the names of `{}` lie in `{}`", other.display(), path.display(), beside.display()),
                format!("rename it: mv {} {}", other.display(), beside.display()),
            ));
        }
        let own = match own {
            None if beside.is_file() => Some(ids::read(&beside)?),
            None => ids::of(path, values.rows)?,
            own => own,
        };
        if let Some(own) = own.as_ref().filter(|own| own.len() != values.rows) {
            return Err(advise(
                format!("`{}` names {} rows, but `{}` has {}", beside.display(), own.len(), path.display(), values.rows),
                "give the image of each row, one a line; of an image that was shown several times as often",
            ));
        }
        let (images, rows_of) = match own {
            Some(own) => {
                let (images, rows_of) = by_image(own);
                (Some(images), rows_of)
            }
            None => (None, (0..values.rows).map(|row| vec![row]).collect()),
        };
        let name = name.unwrap_or_else(|| stem(path));
        Ok(Responses { name, path: path.to_owned(), values, images, rows_of, voxels })
    }

    #[cfg(test)]
    pub(super) fn of(values: Matrix, own: Vec<String>) -> Responses {
        let (images, rows_of) = by_image(own);
        Responses { name: "of".into(), path: "of.npy".into(), values, images: Some(images), rows_of, voxels: None }
    }

    /// What is known of its images.
    pub(super) fn as_rows(&self) -> Rows<'_> {
        Rows { name: &self.name, stimuli: self.rows_of.len(), ids: self.images.as_deref(), leads: false }
    }
}

/// Responses, of one target as a vector too, and the names of their rows if the file has them.
fn array(path: &Path) -> Result<(Matrix, Option<Vec<String>>)> {
    let failed = match arrays::features(path) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    match arrays::read(path) {
        Ok(vector) if vector.values.ndim() == 1 => {
            let rows = vector.values.len();
            Ok((Matrix::from_rows(rows, 1, vector.values.into_iter().collect()), vector.ids))
        }
        _ => Err(failed),
    }
}

/// The name of a file without its endings.
fn stem(path: &Path) -> String {
    let name = arrays::with_ending(&arrays::split(path).0, "");
    name.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn by_image(own: Vec<String>) -> (Vec<String>, Vec<Vec<usize>>) {
    let (mut images, mut rows_of): (Vec<String>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    let mut places: HashMap<String, usize> = HashMap::new();
    for (row, id) in own.into_iter().enumerate() {
        let place = *places.entry(id.clone()).or_insert(images.len());
        if place == images.len() {
            images.push(id);
            rows_of.push(Vec::new());
        }
        rows_of[place].push(row);
    }
    (images, rows_of)
}

/// Rows that are read before they are turned: what lies together in memory.
const TOGETHER: usize = 8;

/// The responses that are fitted and predicted: rows of the file, or means of them.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) values: &'a Matrix,
    /// The rows of the file whose mean each row is.
    pub(super) rows: &'a [Vec<usize>],
}

impl Table<'_> {
    /// Some targets `[targets, rows]`, one after the other.
    pub(super) fn targets(&self, rows: &[usize], targets: &[usize]) -> Vec<f64> {
        let (Some(&first), Some(&last)) = (targets.first(), targets.last()) else { return Vec::new() };
        let range: Range<usize> = first..last + 1;
        let mut values = vec![0.0; targets.len() * rows.len()];
        let (mut some, mut one) = (Vec::new(), Vec::new());
        for (number, together) in rows.chunks(TOGETHER).enumerate() {
            some.clear();
            for &row in together {
                self.append_mean(row, range.clone(), &mut some, &mut one);
            }
            for (target, column) in targets.iter().enumerate() {
                let to = &mut values[target * rows.len() + number * TOGETHER..][..together.len()];
                to.iter_mut().zip(some[column - first..].iter().step_by(range.len())).for_each(|(to, from)| *to = *from);
            }
        }
        self.values.forget();
        values
    }

    /// Puts the mean of the repeats of a row at the end of `to`.
    fn append_mean(&self, row: usize, range: Range<usize>, to: &mut Vec<f64>, one: &mut Vec<f64>) {
        let repeats = &self.rows[row];
        let start = to.len();
        self.values.append(repeats[0], range.clone(), to);
        for &repeat in &repeats[1..] {
            one.clear();
            self.values.append(repeat, range.clone(), one);
            to[start..].iter_mut().zip(one.iter()).for_each(|(sum, value)| *sum += value);
        }
        if repeats.len() > 1 {
            to[start..].iter_mut().for_each(|sum| *sum /= repeats.len() as f64);
        }
    }
}
