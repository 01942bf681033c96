//! MATLAB's `.mat` up to version 7. (Those of version 7.3 are HDF5 files.)

use super::level5::{self, Content, Variable};
use super::{Labelled, array, bytes, choose};
use crate::atomic_file;
use crate::error::advise;
use anyhow::{Context, Result};
use mat5::{DenseMatrix, MatFile, Matrix, NamedArray, Values};
use std::path::Path;

/// The array of numbers `name`, or the only one; axes of size 1 are left out.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Labelled> {
    let variables = level5::read(&bytes(path)?).with_context(|| format!("cannot read `{}`", path.display()))?;
    if let Some((name, what)) = name.and_then(|name| other(&variables, name)) {
        return Err(advise(
            format!("`{name}` in `{}` is {what}, not an array of real numbers", path.display()),
            "save an array of numbers: `full(rdm)` of a sparse matrix, a variable of its own of a field or cell",
        ));
    }
    let of_numbers = |variable: &Variable| {
        matches!(&variable.content, Content::Numbers(values) if values.len() > 1).then(|| variable.name.clone())
    };
    let names: Vec<String> = variables.iter().filter_map(of_numbers).collect();
    let name = choose(path, &names, name)?.to_owned();
    let found = variables.into_iter().find(|variable| variable.name == name);
    let Some(Variable { sizes, content: Content::Numbers(values), .. }) = found else { unreachable!("chosen of these") };
    // Column by column in the file.
    let mut shape: Vec<usize> = sizes.into_iter().filter(|&size| size != 1).rev().collect();
    if shape.is_empty() {
        shape.push(1);
    }
    let values = array(&shape, values, path)?.reversed_axes().as_standard_layout().into_owned();
    Ok(Labelled { values, ids: None, of_pairs: false })
}

/// What the variable `name` is, if not numbers.
fn other<'a>(variables: &'a [Variable], name: &str) -> Option<(&'a str, &'static str)> {
    variables.iter().find(|variable| variable.name == name).and_then(|variable| match variable.content {
        Content::Other(what) => Some((variable.name.as_str(), what)),
        Content::Numbers(_) => None,
    })
}

/// The matrix `rdm`, a vector as one row.
pub(super) fn write(path: &Path, labelled: &Labelled) -> Result<()> {
    let values = &labelled.values;
    let (rows, cols) = match *values.shape() {
        [rows, cols] => (rows, cols),
        _ => (1, values.len()),
    };
    let by_column: Vec<f64> = values.clone().reversed_axes().iter().copied().collect();
    let matrix = Matrix::Dense(DenseMatrix { rows, cols, values: Values::F64(by_column) });
    let file = MatFile {
        header_text: "MATLAB 5.0 MAT-file, written by thingsvision".into(),
        arrays: vec![NamedArray { name: "rdm".into(), matrix }],
    };
    atomic_file::write(path, &file.write_bytes()?)
}
