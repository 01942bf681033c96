//! A `.mat` of level 5 with one matrix in it.

use super::Labelled;
use super::level5::{COMPRESSED, DOUBLE, INT8, INT32, MATRIX, UINT32};
use crate::atomic_file;
use crate::error::advise;
use anyhow::Result;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::io::Write;
use std::path::Path;

/// Writes the matrix `rdm`, a vector as one row, compressed as `save` with `-v7` does.
pub(crate) fn write(path: &Path, labelled: &Labelled) -> Result<()> {
    let values = &labelled.values;
    let [rows, columns] = match *values.shape() {
        [rows, columns] => [rows, columns],
        _ => [1, values.len()],
    };
    if values.len() * size_of::<f64>() > MOST {
        return Err(advise("a MATLAB file of this kind holds at most 4 GB", "write .h5, or --condensed"));
    }
    const DOUBLES: u32 = 6;
    let by_column: Vec<u8> = values.t().iter().flat_map(|value| value.to_le_bytes()).collect();
    let words = |words: [u32; 2]| words.map(u32::to_le_bytes).concat();
    let parts = [
        element(UINT32, &words([DOUBLES, 0])),
        element(INT32, &words([rows as u32, columns as u32])),
        element(INT8, b"rdm"),
        element(DOUBLE, &by_column),
    ];
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&element(MATRIX, &parts.concat()))?;
    let packed = packed.finish()?;
    let mut file = format!("{:<116}", "MATLAB 5.0 MAT-file, written by thingsvision").into_bytes();
    file.extend(b"\0\0\0\0\0\0\0\0\x00\x01IM");
    file.extend(words([COMPRESSED, packed.len() as u32]));
    file.extend(packed);
    atomic_file::write(path, &file)
}

/// Sizes are numbers of 32 bits.
const MOST: usize = (u32::MAX - 1024) as usize;

/// A kind and its bytes, up to a multiple of eight.
pub(super) fn element(kind: u32, bytes: &[u8]) -> Vec<u8> {
    let padding = vec![0; bytes.len().wrapping_neg() % 8];
    [&kind.to_le_bytes()[..], &(bytes.len() as u32).to_le_bytes(), bytes, &padding].concat()
}
