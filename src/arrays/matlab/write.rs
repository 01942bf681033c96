//! A `.mat` of level 5 with an RDM in it, and parts of such files.

use super::Labelled;
use super::level5::{COMPRESSED, DOUBLE, INT8, INT32, MATRIX, UINT32, UTF8};
use crate::atomic_file;
use crate::error::advise;
use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;
use std::path::Path;

/// Of MATLAB's classes.
const CELL: u32 = 1;
const CHAR: u32 = 4;
const CLASS_DOUBLE: u32 = 6;

/// Writes the matrix `rdm`, a vector as one row, and the names of its stimuli `images`, compressed as `save` with `-v7` does.
pub(crate) fn write(path: &Path, labelled: &Labelled) -> Result<()> {
    let values = &labelled.values;
    let [rows, columns] = match *values.shape() {
        [rows, columns] => [rows, columns],
        _ => [1, values.len()],
    };
    if values.len() * size_of::<f64>() > MOST {
        return Err(advise("a MATLAB file of this kind holds at most 4 GB", "write .h5, or --condensed"));
    }
    let by_column: Vec<u8> = values.t().iter().flat_map(|value| value.to_le_bytes()).collect();
    let rdm = [array(CLASS_DOUBLE, &[rows, columns], "rdm")?, element(DOUBLE, &by_column)].concat();
    let names = labelled.ids.as_ref().map(|ids| texts("images", ids)).transpose()?;
    let mut file = format!("{:<116}", "MATLAB 5.0 MAT-file, written by thingsvision").into_bytes();
    file.extend(b"\0\0\0\0\0\0\0\0\x00\x01IM");
    for variable in [Some(rdm), names].into_iter().flatten() {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&element(MATRIX, &variable))?;
        let packed = packed.finish()?;
        file.extend([COMPRESSED, packed.len() as u32].map(u32::to_le_bytes).concat());
        file.extend(packed);
    }
    atomic_file::write(path, &file)
}

/// What an array begins with: class, axes, name.
pub(crate) fn array(class: u32, axes: &[usize], name: &str) -> Result<Vec<u8>> {
    let sizes = axes.iter().map(|size| i32::try_from(*size).context("an axis is too long for MATLAB"));
    let sizes = sizes.collect::<Result<Vec<_>>>()?.into_iter().flat_map(i32::to_le_bytes).collect::<Vec<u8>>();
    let flags = [class, 0].map(u32::to_le_bytes).concat();
    Ok([element(UINT32, &flags), element(INT32, &sizes), element(INT8, name.as_bytes())].concat())
}

/// A cell array of `texts`, one below the other.
pub(crate) fn texts(name: &str, texts: &[String]) -> Result<Vec<u8>> {
    let mut cells = array(CELL, &[texts.len(), 1], name)?;
    for text in texts {
        let text = [array(CHAR, &[1, text.chars().count()], "")?, element(UTF8, text.as_bytes())].concat();
        cells.extend(element(MATRIX, &text));
    }
    Ok(cells)
}

/// Sizes are numbers of 32 bits.
const MOST: usize = (u32::MAX - 1024) as usize;

/// A kind and its bytes, up to a multiple of eight.
pub(crate) fn element(kind: u32, bytes: &[u8]) -> Vec<u8> {
    let padding = vec![0; bytes.len().wrapping_neg() % 8];
    [&kind.to_le_bytes()[..], &(bytes.len() as u32).to_le_bytes(), bytes, &padding].concat()
}
