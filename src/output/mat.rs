//! MATLAB: `features` `[images, …]`, single, and `images`, a cell array of names. Of level 5 (`save` with `-v6`), or from 2 GB on of
//! version 7.3, which is HDF5. In both the numbers lie by columns: those of one unit together.

use super::hdf5::{FEATURES, IMAGES};
use super::hdf5_file::{Builder, Data, Element, attribute};
use super::{AtTheEnd, Contents, Dtype, StoredRows, bytes_of};
use crate::arrays::hdf5;
use crate::arrays::matlab::level5::{MATRIX, SINGLE};
use crate::arrays::matlab::write::{array, element, texts};
use crate::atomic_file;
use crate::error::advise;
use crate::memory;
use crate::npy::Matrix;
use crate::parallel::parallel;
use crate::plain_file;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

pub(super) struct Mat;

/// An array of more bytes is of version 7.3.
const MOST: u64 = (1 << 31) - 1;

/// The class of an array of float32.
const CLASS_SINGLE: u32 = 7;

/// Bytes of rows that are turned at a time.
const BLOCK: usize = 256 << 20;

/// Units that lie beside each other in rows and are turned together: a line of the cache.
const UNITS: usize = 16;

impl AtTheEnd for Mat {
    fn check(&self, _layer: &str, _row: &[usize], dtype: Dtype) -> Result<()> {
        match dtype {
            Dtype::F32 => Ok(()),
            Dtype::F16 => Err(advise("MATLAB's files have no float16", "take --dtype f32, or another --format")),
        }
    }

    fn write(&self, path: &Path, contents: &Contents, rows: &StoredRows) -> Result<()> {
        let (header, start) = if contents.size(0)? <= MOST { level5(contents)? } else { version73(contents)? };
        let columns = Columns { start, rows: rows.rows, shape: contents.arrays[0].1.to_vec() };
        atomic_file::write_with(path, |file| {
            let end = start + contents.size(0)?;
            file.set_len(end.next_multiple_of(8))?;
            file.write_all_at(&header, 0)?;
            columns.write(file, rows)
        })
    }

    fn read(&self, path: &Path, shape: &[usize]) -> Result<Matrix> {
        let unknown = || format!("`{}` is not the file that the run has written", path.display());
        let file = plain_file::open(path).with_context(unknown)?;
        let start = self.start(path, shape)?.with_context(unknown)?;
        let columns = Columns { start, rows: shape[0], shape: shape[1..].to_vec() };
        memory::check(&format_args!("`{}`", path.display()), bytes_of(shape, Dtype::F32).unwrap_or(u64::MAX))?;
        let length = file.metadata().with_context(unknown)?.len();
        let wanted = bytes_of(shape, Dtype::F32).and_then(|size| size.checked_add(columns.start));
        ensure!(wanted.is_some_and(|wanted| wanted <= length), "{}: it is cut off", unknown());
        columns.read(&file).with_context(unknown)
    }

    fn start(&self, path: &Path, shape: &[usize]) -> Result<Option<u64>> {
        let start = if hdf5::is_hdf5(path) {
            start73(path, shape)
        } else {
            plain_file::open(path).map_err(Into::into).and_then(|file| start5(&file, shape))
        };
        start.map(Some).with_context(|| format!("`{}` is not the file that the run has written", path.display()))
    }
}

/// Numbers by columns.
struct Columns {
    /// Where they begin.
    start: u64,
    rows: usize,
    /// The shape of a row.
    shape: Vec<usize>,
}

impl Columns {
    fn units(&self) -> usize {
        self.shape.iter().product()
    }

    /// The place among the columns of a unit: its first axis runs fastest in MATLAB, and its last in a row.
    fn place(&self, mut unit: usize) -> usize {
        let (mut place, mut step) = (0, self.units());
        for size in self.shape.iter().rev() {
            step /= size;
            place += unit % size * step;
            unit /= size;
        }
        place
    }

    /// Where the number of a row and a unit stands.
    fn offset(&self, row: usize, unit: usize) -> u64 {
        self.start + (self.place(unit) * self.rows + row) as u64 * 4
    }

    fn write(&self, file: &File, from: &StoredRows) -> Result<()> {
        let units = self.units();
        let step = (BLOCK / (units * 4)).clamp(1, self.rows);
        let mut block = Vec::new();
        for first in (0..self.rows).step_by(step) {
            let rows = step.min(self.rows - first);
            block.resize(rows * units * 4, 0);
            from.read(first, &mut block)?;
            let values = block.as_chunks::<4>().0;
            parallel(units.div_ceil(UNITS), &|tile| {
                let mut columns = vec![Vec::with_capacity(rows * 4); UNITS.min(units - tile * UNITS)];
                for row in values.chunks_exact(units) {
                    for (column, value) in columns.iter_mut().zip(&row[tile * UNITS..]) {
                        column.extend(value);
                    }
                }
                let mut columns = (tile * UNITS..).zip(&columns);
                Ok(columns.try_for_each(|(unit, column)| file.write_all_at(column, self.offset(first, unit)))?)
            })?;
        }
        Ok(())
    }

    fn read(&self, file: &File) -> Result<Matrix> {
        let units = self.units();
        let mut values = vec![0f32; self.rows * units];
        let mut column = vec![0; self.rows * 4];
        for first in (0..units).step_by(UNITS) {
            for unit in first..units.min(first + UNITS) {
                file.read_exact_at(&mut column, self.offset(0, unit))?;
                let numbers = column.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
                values[unit..].iter_mut().step_by(units).zip(numbers).for_each(|(value, number)| *value = number);
            }
        }
        Ok(Matrix::from_singles(self.rows, units, values))
    }
}

/// The axes as MATLAB has them, at least two.
fn axes(shape: &[usize]) -> Vec<usize> {
    if let [rows] = shape { vec![*rows, 1] } else { shape.to_vec() }
}

fn tag(kind: u32, size: u64) -> Result<Vec<u8>> {
    Ok([kind, u32::try_from(size).context("a part is too large for a file of level 5")?].map(u32::to_le_bytes).concat())
}

/// What stands before the numbers, and where these begin.
fn level5(contents: &Contents) -> Result<(Vec<u8>, u64)> {
    let mut bytes = format!("{:<116}", "MATLAB 5.0 MAT-file, written by thingsvision").into_bytes();
    bytes.extend(b"\0\0\0\0\0\0\0\0\x00\x01IM");
    bytes.extend(element(MATRIX, &texts(IMAGES, contents.images)?));
    let (head, size) = (array(CLASS_SINGLE, &axes(&contents.shape(0)), FEATURES)?, contents.size(0)?);
    bytes.extend(tag(MATRIX, head.len() as u64 + 8 + size.next_multiple_of(8))?);
    bytes.extend(head);
    bytes.extend(tag(SINGLE, size)?);
    let start = bytes.len() as u64;
    Ok((bytes, start))
}

/// Where the numbers begin in a file that [`level5`] began.
fn start5(file: &File, shape: &[usize]) -> Result<u64> {
    let word = |at: u64| -> Result<u32> {
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, at)?;
        Ok(u32::from_le_bytes(bytes))
    };
    // `images` stands before `features`.
    let at = 128 + 8 + u64::from(word(132)?);
    let expected = array(CLASS_SINGLE, &axes(shape), FEATURES)?;
    let mut found = vec![0; expected.len()];
    file.read_exact_at(&mut found, at + 8)?;
    let start = at + 8 + expected.len() as u64;
    ensure!(word(at)? == MATRIX && found == expected && word(start)? == SINGLE, "it holds no `features` of the shape {shape:?}");
    Ok(start + 8)
}

/// The same as [`level5`].
fn version73(contents: &Contents) -> Result<(Vec<u8>, u64)> {
    let mut before = format!("{:<116}", "MATLAB 7.3 MAT-file, written by thingsvision").into_bytes();
    before.extend(b"\0\0\0\0\0\0\0\0\x00\x02IM");
    before.resize(512, 0);
    let class = |name: &str| attribute("MATLAB_class", &Element::Ascii(name.len()), name.as_bytes());
    let mut file = Builder::new(contents.images.len(), before)?;
    let mut texts = Vec::new();
    for (number, image) in contents.images.iter().enumerate() {
        let letters: Vec<u8> = image.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let decode = attribute("MATLAB_int_decode", &Element::Signed32, &2i32.to_le_bytes());
        let sizes = [letters.len() as u64 / 2, 1];
        let place = file.dataset(&sizes, &Element::Unsigned16, Data::Here(letters), vec![class("char"), decode]);
        texts.push((number.to_string(), place));
    }
    let texts: Vec<(&str, u64)> = texts.iter().map(|(name, place)| (name.as_str(), *place)).collect();
    let references = Data::Here(texts.iter().flat_map(|(_, place)| place.to_le_bytes()).collect());
    let contained = file.group(&texts).address;
    let images = file.dataset(&[1, texts.len() as u64], &Element::Reference, references, vec![class("cell")]);
    // HDF5 names the axes in the other order.
    let sizes: Vec<u64> = axes(&contents.shape(0)).iter().rev().map(|size| *size as u64).collect();
    let numbers = Data::Later(contents.size(0)?);
    let features = file.dataset(&sizes, &Element::Float(Dtype::F32), numbers, vec![class("single")]);
    let root = file.group(&[("#refs#", contained), (FEATURES, features), (IMAGES, images)]);
    let (header, starts, _) = file.finish(&root);
    Ok((header, starts[0]))
}

fn start73(path: &Path, shape: &[usize]) -> Result<u64> {
    let dataset = hdf5::open_where_it_lies(path)?.dataset(FEATURES)?;
    let found: Vec<usize> = dataset.shape()?.into_iter().rev().map(|size| size as usize).collect();
    let start = hdf5::in_place(&dataset).filter(|(_, half)| !half && found == axes(shape));
    Ok(start.with_context(|| format!("it holds no `features` of the shape {shape:?}"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{Contents, RowFile};

    /// Both kinds of files, read by the program's own reader of MATLAB's files and by the one here.
    #[test]
    fn both_kinds_hold_columns_and_names() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["a.png", "ünï/二😀.jpg", "c"].map(str::to_owned);
        for shape in [&[][..], &[5], &[2, 3], &[19, 2, 4], &[1]] {
            let units: usize = shape.iter().product();
            let values: Vec<f32> = (0..3 * units).map(|value| value as f32 * 0.1 - 1.0).collect();
            let rows = folder.path().join("rows.npy");
            let file = RowFile::of_one(&rows, 3, shape, Dtype::F32).unwrap();
            file.write(0, bytemuck::cast_slice(&values)).unwrap();
            file.finish().unwrap();
            let contents =
                Contents { images: &names, rows: 3, arrays: vec![("layer", shape)], dtype: Dtype::F32, in_group: false };
            let rows = StoredRows::open(&rows, "layer", 3, shape, Dtype::F32).unwrap();
            let whole = contents.shape(0);
            for (kind, (header, start)) in [("5", level5(&contents).unwrap()), ("7.3", version73(&contents).unwrap())] {
                let path = folder.path().join("x.mat");
                let columns = Columns { start, rows: 3, shape: shape.to_vec() };
                atomic_file::write_with(&path, |file| {
                    file.set_len((start + contents.size(0)?).next_multiple_of(8))?;
                    file.write_all_at(&header, 0)?;
                    columns.write(file, &rows)
                })
                .unwrap();
                let read = Mat.read(&path, &whole).unwrap();
                assert_eq!(read.values(), values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>(), "{kind} {shape:?}");
                let other: Vec<usize> = [4].iter().chain(shape).copied().collect();
                assert!(Mat.read(&path, &other).is_err());
                if units > 1 {
                    let read = crate::arrays::read(&path).unwrap();
                    assert_eq!((read.values.shape(), read.ids.as_deref()), (&whole[..], Some(&names[..])), "{kind} {shape:?}");
                    assert!(read.values.iter().zip(&values).all(|(read, value)| *read == f64::from(*value)));
                }
            }
        }
    }
}
