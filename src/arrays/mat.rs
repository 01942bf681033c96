//! MATLAB's `.mat` up to version 7. (Those of version 7.3 are HDF5 files.)

use super::{Labelled, array, bytes, choose};
use crate::advice::advise;
use crate::whole;
use anyhow::Result;
use mat5::{DenseMatrix, MatFile, Matrix, NamedArray, Values};
use ndarray::Axis;
use std::path::Path;

/// The matrix `name`, or the only one; one row or column is a vector.
pub(super) fn read(path: &Path, name: Option<&str>) -> Result<Labelled> {
    let file = MatFile::read_bytes(&bytes(path)?).map_err(|error| {
        advise(
            format!("cannot read `{}`: {error}", path.display()),
            "numeric matrices can be read, of any version: `save('rdm.mat', 'rdm')` in MATLAB, `scipy.io.savemat` in Python",
        )
    })?;
    let names: Vec<String> = file.arrays.iter().map(|array| array.name.clone()).collect();
    let name = choose(path, &names, name)?;
    let Some(Matrix::Dense(matrix)) = file.get(name) else {
        return Err(advise(format!("`{name}` in `{}` is sparse", path.display()), "save it as a full matrix: `full(rdm)`"));
    };
    // Column by column in the file.
    let columns = array(&[matrix.cols, matrix.rows], matrix.values.to_f64(), path)?;
    let values = match (matrix.rows, matrix.cols) {
        (1, _) => columns.index_axis_move(Axis(1), 0),
        (_, 1) => columns.index_axis_move(Axis(0), 0),
        _ => columns.reversed_axes().as_standard_layout().into_owned(),
    };
    Ok(Labelled { values, ids: None })
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
    whole::write(path, &file.write_bytes()?)
}
