//! Arrays that users bring, in the formats in which labs keep them, as float64: `.npy`, `.npz`, `.csv`, `.tsv`, `.txt`,
//! `.mat`, `.h5`.

mod csv;
pub(crate) mod hdf5;
pub(crate) mod matlab;
pub mod nifti;
pub(crate) mod npz;

pub(crate) use self::csv::delimiter;

use crate::error::advise;
use crate::npy::{self, Matrix};
use crate::output;
use crate::plain_file;
use crate::run::{self, FinishedRecord, LayerRecord};
use anyhow::{Context, Result};
use ndarray::{ArrayD, IxDyn};
use std::path::{Path, PathBuf};

/// An array, and the names of its rows if the file has them.
pub(crate) struct Labelled {
    /// In C order.
    pub(crate) values: ArrayD<f64>,
    /// The name of each row; of RDMs those of the stimuli.
    pub(crate) ids: Option<Vec<String>>,
    /// Whether the file says that these are RDMs, or has them as several arrays: not as one matrix of features.
    pub(crate) are_rdms: bool,
}

impl Labelled {
    /// The features in the file `path`, and the names of their rows.
    pub(crate) fn into_features(self, path: &Path) -> Result<(Matrix, Option<Vec<String>>)> {
        if self.are_rdms {
            return Err(advise(
                format!("`{}` holds RDMs, or several arrays, and not one matrix of features", path.display()),
                "name one array, `FILE:NAME(2)` the second of several; RDMs are compared with `thingsvision rsa`",
            ));
        }
        Ok((Matrix::from_array(self.values, path)?, self.ids))
    }
}

/// Which axes of an array in MATLAB's files or HDF5 are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Axes {
    All,
    /// Those longer than 1: there a vector is a matrix.
    Long,
}

/// Reads the array at `path`; of a file with several, `FILE:NAME` is the one of that name.
pub(crate) fn read(path: &Path) -> Result<Labelled> {
    read_axes(path, Axes::Long)
}

fn read_axes(path: &Path, axes: Axes) -> Result<Labelled> {
    let (file, name) = split(path);
    if !file.exists() || file.is_dir() {
        return Err(cannot_read(&file));
    }
    match kind(&file).as_str() {
        "npz" => npz::read(&file, name.as_deref()),
        "csv" | "tsv" | "txt" => csv::read(&file),
        "mat" => matlab::read(&file, name.as_deref(), axes),
        "h5" | "hdf5" => hdf5::read(&file, name.as_deref(), axes),
        "pt" | "pth" => {
            let hint =
                "save the tensor for NumPy: np.save('features.npy', tensor.numpy()); features of a run are read in its folder";
            Err(advise(format!("`{}` is a file of PyTorch's, and these are not read as arrays", path.display()), hint))
        }
        _ => Ok(Labelled { values: npy::read(path)?, ids: None, are_rdms: false }),
    }
}

/// The features in the file `path`, `[N, …]`, where they lie if they can be used so, and the names of their rows if the file has them.
/// Fails if it holds no matrix of numbers.
pub fn features(path: &Path) -> Result<(Matrix, Option<Vec<String>>)> {
    if let Some(matrix) = of_run(path)? {
        return Ok((matrix, None));
    }
    match kind(path).as_str() {
        "npz" | "csv" | "tsv" | "txt" | "mat" | "pt" | "pth" => {}
        "h5" | "hdf5" => {
            if let Some(hdf5::InPlace { matrix, ids, .. }) = hdf5::features(path)? {
                return Ok((matrix, ids));
            }
        }
        _ if path.is_file() => return Ok((Matrix::open(path)?, None)),
        _ => {}
    }
    read(path)?.into_features(path)
}

/// The array `[N, …]` in the file `path`, where it lies if it can be used so, and the sizes of all its axes.
pub(crate) fn with_sizes(path: &Path) -> Result<(Vec<usize>, Matrix)> {
    match kind(path).as_str() {
        "npz" | "csv" | "tsv" | "txt" | "mat" | "pt" | "pth" => {}
        "h5" | "hdf5" => {
            if let Some(hdf5::InPlace { sizes, matrix, .. }) = hdf5::features(path)? {
                return Ok((sizes, matrix));
            }
        }
        _ if path.is_file() => return Matrix::open_with_sizes(path),
        _ => {}
    }
    let read = read_axes(path, Axes::All)?;
    Ok((read.values.shape().to_vec(), read.into_features(path)?.0))
}

/// The features in the file of a layer that lies in the folder of its run.
fn of_run(path: &Path) -> Result<Option<Matrix>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().unwrap_or_default();
    if kind(path) == "npy" || !path.is_file() || !run::is_run(folder) {
        return Ok(None);
    }
    let run = run::read_record(folder)?;
    let mut layers = run.layers.iter().filter(|layer| name == layer.file.as_str());
    match (layers.next(), layers.next()) {
        // Of several in one file each has a name.
        (Some(layer), None) if run.complete => layer_of_run(folder, &run, layer).map(Some),
        _ => Ok(None),
    }
}

/// The features of a layer of the run in `folder`. Fails if the file names other images than the run, or in another order.
pub(crate) fn layer_of_run(folder: &Path, run: &FinishedRecord, layer: &LayerRecord) -> Result<Matrix> {
    let path = folder.join(&layer.file);
    let names = output::names(&path, &layer.name)?;
    if names.is_some_and(|names| run::row_names(folder).is_ok_and(|rows| rows != names)) {
        return Err(advise(
            format!("`{}` names other images than images.txt of the run, or in another order", path.display()),
            "it was changed: make the run again; by itself, in another folder, it is read by its own names",
        ));
    }
    output::matrix(&path, &layer.name, run.images, &layer.shape)
}

/// Names without spaces around them, as they are compared.
fn trimmed(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| name.trim().to_owned()).collect()
}

/// Writes `values`, an RDM or several of `ids`, in the format that the name of the file stands for: `.npy` (float64),
/// `.csv` and `.tsv` (with the IDs as first row and column of a square), `.mat` (version 5), `.h5` (as rsatoolbox reads), `.pt`.
pub(crate) fn write(path: &Path, array: &Labelled) -> Result<()> {
    match kind(path).as_str() {
        "npy" => npy::write(path, &array.values),
        "csv" | "tsv" => csv::write(path, array),
        "mat" => matlab::write(path, array),
        "h5" | "hdf5" => hdf5::write(path, array),
        "pt" => output::write_pt(path, &array.values, array.ids.as_deref()),
        _ => Err(advise(
            format!("`{}` has no ending that says in which format to write", path.display()),
            "end the name in .npy, .csv, .tsv, .mat, .h5 or .pt",
        )),
    }
}

/// The ending in lower case.
pub fn kind(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// `path` with another ending; `.nii.gz` is one.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let is_compressed = kind(path) == "gz" && nifti::is_called_nifti(path);
    let path = if is_compressed { path.with_extension("") } else { path.to_owned() };
    path.with_extension(ending)
}

/// `FILE:NAME`, unless there is a file of that very name.
pub(crate) fn split(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.to_string_lossy();
    match text.rsplit_once(':') {
        Some((file, name)) if !path.exists() && Path::new(file).exists() => (file.into(), Some(name.to_owned())),
        _ => (path.to_owned(), None),
    }
}

/// The file, or those that the glob matches, in the order of their names; `GLOB:NAME` is the array of that name in each.
pub(crate) fn matching(file: &str) -> Result<Vec<PathBuf>> {
    if !file.contains(['*', '?', '[']) || split(Path::new(file)).0.exists() {
        return Ok(vec![file.into()]);
    }
    let found = |pattern: &str| -> Result<Vec<PathBuf>> {
        Ok(glob::glob(pattern).with_context(|| format!("`{file}` is no glob"))?.collect::<Result<_, _>>()?)
    };
    let mut files = found(file)?;
    if let Some((pattern, name)) = file.rsplit_once(':').filter(|_| files.is_empty()) {
        files = found(pattern)?.iter().map(|file| format!("{}:{name}", file.display()).into()).collect();
    }
    if files.is_empty() {
        return Err(advise(
            format!("no file matches `{file}`"),
            "put globs in quotes; relative paths begin at the current folder",
        ));
    }
    Ok(files)
}

/// What a list of files and globs means.
pub(crate) fn all_matching(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let of = |file: &PathBuf| file.to_str().map_or_else(|| Ok(vec![file.clone()]), matching);
    Ok(files.iter().map(of).collect::<Result<Vec<_>>>()?.concat())
}

/// The one of `names` that is wanted, or the only one.
fn choose<'a>(path: &Path, names: &'a [String], wanted: Option<&str>) -> Result<&'a str> {
    match (wanted, names) {
        (_, []) => Err(no_such(path, names, "")),
        (None, [only]) => Ok(only),
        (None, _) => Err(advise(
            format!("`{}` holds several arrays: {}", path.display(), shown(names)),
            format!("name the one you mean: {}:{}", path.display(), names[0]),
        )),
        (Some(wanted), _) => {
            names.iter().find(|name| *name == wanted).map(String::as_str).ok_or_else(|| no_such(path, names, wanted))
        }
    }
}

fn no_such(path: &Path, names: &[String], wanted: &str) -> anyhow::Error {
    if names.is_empty() {
        return advise(format!("`{}` holds no array of numbers", path.display()), "save an array of numbers");
    }
    advise(format!("`{}` holds no array `{wanted}`", path.display()), format!("it holds {}", shown(names)))
}

fn shown(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(crate) fn cannot_read(file: &Path) -> anyhow::Error {
    match plain_file::open(file) {
        Err(error) => cannot_be_read(file, error),
        Ok(_) => cannot_be_read(file, "it is a folder"),
    }
}

fn cannot_be_read(file: &Path, reason: impl std::fmt::Display) -> anyhow::Error {
    advise(format!("cannot read `{}`: {reason}", file.display()), "relative paths begin at the current folder")
}

/// The bytes of a file, with the error in words.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    plain_file::read(path).map_err(|error| cannot_be_read(path, error))
}

fn array(shape: &[usize], values: Vec<f64>, path: &Path) -> Result<ArrayD<f64>> {
    ArrayD::from_shape_vec(IxDyn(shape), values).with_context(|| format!("`{}` is damaged", path.display()))
}
