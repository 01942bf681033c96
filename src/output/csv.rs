//! A table: the name of an image and its numbers in a row, as the shortest decimals that are read back as the same float32.

use super::{AtTheEnd, Contents, Dtype, StoredRows};
use crate::atomic_file;
use crate::error::advise;
use crate::memory;
use crate::npy::Matrix;
use crate::numbers::count;
use crate::plain_file;
use crate::text::{guard, unguard};
use anyhow::{Context, Result, anyhow, ensure};
use std::fmt::{Display, LowerExp};
use std::io::BufWriter;
use std::path::Path;

pub(super) struct Csv;

/// Numbers in a row.
const MOST: usize = 100_000;

/// The bytes of a number and a comma, about.
pub(super) const A_NUMBER: usize = 12;

impl AtTheEnd for Csv {
    fn check(&self, layer: &str, row: &[usize], _dtype: Dtype) -> Result<()> {
        let units: usize = row.iter().product();
        if units > MOST {
            return Err(advise(
                format!("`{layer}` has {} numbers a row, and --format csv takes at most {}", count(units), count(MOST)),
                "few programs read a table of so many columns: take --format hdf5, or fewer numbers by --readout mean or --reduce srp",
            ));
        }
        Ok(())
    }

    fn write(&self, path: &Path, contents: &Contents, rows: &StoredRows) -> Result<()> {
        atomic_file::write_with(path, |file| {
            let mut table = ::csv::Writer::from_writer(BufWriter::new(file));
            table.write_record(["image".to_owned()].into_iter().chain((0..rows.units).map(|unit| unit.to_string())))?;
            let (mut room, mut values) = (Vec::new(), Vec::new());
            for (row, image) in contents.images.iter().enumerate() {
                values.clear();
                rows.append(row, 0..rows.units, &mut room, &mut values)?;
                table.write_field(&*guard(image))?;
                table.write_record(values.iter().map(|value| text(*value)))?;
            }
            Ok(table.flush()?)
        })
    }

    fn read(&self, path: &Path, shape: &[usize]) -> Result<Matrix> {
        let units = shape[1..].iter().product();
        memory::check(&format_args!("`{}`", path.display()), super::bytes_of(shape, Dtype::F32).unwrap_or(u64::MAX))?;
        let mut values = Vec::new();
        self.each(path, &mut |value| values.push(value))?;
        let (found, wanted) = (values.len(), shape[0] * units);
        ensure!(found == wanted, "`{}` has {found} numbers, and the run has written {wanted}", path.display());
        Ok(Matrix::from_singles(shape[0], units, values))
    }

    fn start(&self, _path: &Path, _shape: &[usize]) -> Result<Option<u64>> {
        Ok(None)
    }

    fn each(&self, path: &Path, look: &mut dyn FnMut(f32)) -> Result<()> {
        let mut read = || -> Result<()> {
            let mut table = ::csv::Reader::from_reader(plain_file::open(path)?);
            let mut row = ::csv::ByteRecord::new();
            while table.read_byte_record(&mut row)? {
                for cell in row.iter().skip(1) {
                    let number = std::str::from_utf8(cell).ok().and_then(|cell| cell.parse().ok());
                    look(number.ok_or_else(|| anyhow!("`{}` is no number", String::from_utf8_lossy(cell)))?);
                }
            }
            Ok(())
        };
        read().with_context(|| format!("`{}` is not the table that the run has written", path.display()))
    }
}

/// The names of rows in the file at `path`.
pub(super) fn names(path: &Path) -> Result<Vec<String>> {
    let mut table = ::csv::Reader::from_reader(plain_file::open(path)?);
    let mut row = ::csv::StringRecord::new();
    let mut names = Vec::new();
    while table.read_record(&mut row)? {
        names.push(unguard(row.get(0).unwrap_or_default()).to_owned());
    }
    Ok(names)
}

/// As pandas and R read it, too: by way of float64, which some of the shortest decimals do not survive.
fn text(value: f32) -> String {
    let shortest = decimal(value);
    let survives = || shortest.parse::<f64>().is_ok_and(|read| (read as f32).to_bits() == value.to_bits());
    if value.is_finite() && !survives() { decimal(f64::from(value)) } else { shortest }
}

fn decimal<T: Into<f64> + Copy + Display + LowerExp>(value: T) -> String {
    match value.into() {
        number if number.is_nan() => "NaN".into(),
        f64::INFINITY => "Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        number if number == 0.0 || (1e-5..1e9).contains(&number.abs()) => value.to_string(),
        _ => format!("{value:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_to_the_bit() {
        let odd = [0.1, -0.0, 1e-45, f32::MAX, f32::MIN_POSITIVE, 16_777_216.0, 1e9, 9.999e-6, f32::INFINITY, f32::NEG_INFINITY];
        let spread = (0..u32::MAX).step_by(65_537).chain([0x15ae_43fd]).map(f32::from_bits);
        for value in spread.chain(odd) {
            for read in [text(value).parse::<f32>().unwrap(), text(value).parse::<f64>().unwrap() as f32] {
                assert!(read.to_bits() == value.to_bits() || read.is_nan() && value.is_nan(), "{value:e}: {}", text(value));
            }
        }
    }
}
