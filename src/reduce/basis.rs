//! The principal components that rows are projected on, and the files that hold them.

use crate::atomic_file;
use crate::error::advise;
use crate::gemm::{Block, multiply};
use crate::npy::Matrix;
use crate::numbers::count;
use crate::plain_file;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Principal components, those with most variance first.
#[derive(Debug)]
pub(crate) struct Basis {
    /// Of each unit, `[units]`.
    mean: Vec<f64>,
    /// `[components, units]`, each of length 1, or 0 where there is no variance.
    components: Vec<f32>,
    /// Of the rows that they were found from along each component, of n − 1.
    variance: Vec<f64>,
}

/// The means of the units, `[units]` float64.
pub(crate) fn mean_file(layer: &str) -> String {
    format!("{layer}.pca.mean.npy")
}

/// The components, `[components, units]` float32.
pub(crate) fn components_file(layer: &str) -> String {
    format!("{layer}.pca.components.npy")
}

/// A table of the variance of each component.
pub(crate) fn table_file(layer: &str) -> String {
    format!("{layer}.pca.csv")
}

/// Units that are multiplied at a time; the sums of these are added in float64.
const UNITS: usize = 4096;

/// Rows that are multiplied at a time, zeros added: kernels for other numbers of rows may form sums in another order.
const ROWS: usize = 16;

impl Basis {
    /// Reads the first `components`, or all, of `layer` from the run in `folder`.
    pub(crate) fn read(folder: &Path, layer: &str, components: Option<usize>) -> Result<Basis> {
        let file = folder.join(components_file(layer));
        let (all, mean) = (Matrix::open(&file)?, Matrix::open_vector(&folder.join(mean_file(layer)))?);
        let mut variance = variances(&folder.join(table_file(layer)))?;
        let hint = "make that run again, or ask who made it";
        if (all.rows, all.columns) != (variance.len(), mean.len()) || all.rows == 0 || all.columns == 0 {
            let problem = format!(
                "`{}` has {} components of {} units, and the files beside it {} variances and {} means",
                file.display(),
                count(all.rows),
                count(all.columns),
                count(variance.len()),
                count(mean.len())
            );
            return Err(advise(problem, hint));
        }
        let number = components.unwrap_or(variance.len());
        if number > variance.len() {
            return Err(advise(
                format!("`{}` has {} components, and {} are wanted", file.display(), count(variance.len()), count(number)),
                "take fewer --components, or leave it out for all",
            ));
        }
        variance.truncate(number);
        let mut values = Vec::with_capacity(number * mean.len());
        (0..number).for_each(|row| all.append_mapped(row, 0..all.columns, &|value| value as f32, &mut values));
        let is_number = |variance: &f64| variance.is_finite() && *variance >= 0.0;
        if !(values.iter().all(|value| value.is_finite())
            && mean.iter().all(|mean| mean.is_finite())
            && variance.iter().all(is_number))
        {
            let problem = format!("`{}` or the files beside it have infinities, NaN or a variance below 0", file.display());
            return Err(advise(problem, hint));
        }
        Ok(Basis { mean, components: values, variance })
    }

    /// How many components there are.
    pub(crate) fn len(&self) -> usize {
        self.variance.len()
    }

    /// How many units a row has.
    pub(crate) fn units(&self) -> usize {
        self.mean.len()
    }

    /// Writes the table: of `total` variance.
    pub(super) fn write_table(path: &Path, variance: &[f64], total: f64) -> Result<()> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        csv.write_record(["component", "explained_variance", "explained_variance_ratio", "cumulative_ratio"])?;
        let mut sum = 0.0;
        for (component, variance) in variance.iter().enumerate() {
            sum += variance;
            let share = |part: f64| if total > 0.0 { part / total } else { 0.0 };
            csv.write_record([
                (component + 1).to_string(),
                variance.to_string(),
                share(*variance).to_string(),
                share(sum).to_string(),
            ])?;
        }
        atomic_file::write(path, &csv.into_inner()?)
    }

    /// The float32 rows `[N, …]`, less the mean, along each component: `[N, components]`; divided by its standard deviation if they are
    /// to be white.
    pub(crate) fn apply(&self, rows: &Tensor, whiten: bool) -> Result<Tensor> {
        let (n, units, components) = (rows.size()[0], self.units(), self.len());
        let rows = rows.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
        ensure!(rows.numel() == n as usize * units, "rows of {units} units are projected");
        let factors = if whiten { whitening(&self.variance) } else { vec![1.0; components] };
        let mut out = Vec::with_capacity(n as usize * components);
        for rows in Vec::<f32>::try_from(&rows.f_view(-1)?)?.chunks(ROWS * units) {
            let sums = self.sums(rows)?;
            let real = rows.len() / units * components;
            out.extend(sums[..real].iter().zip(factors.iter().cycle()).map(|(sum, factor)| (sum * factor) as f32));
        }
        Ok(Tensor::f_from_slice(&out)?.f_view([n, components as i64])?)
    }

    /// Of at most [`ROWS`] rows.
    fn sums(&self, rows: &[f32]) -> Result<Vec<f64>> {
        let (units, components) = (self.units(), self.len());
        let mut sums = vec![0.0; ROWS * components];
        let mut products = vec![0.0; ROWS * components];
        for first in (0..units).step_by(UNITS) {
            let part = first..units.min(first + UNITS);
            let mut centred = Vec::with_capacity(ROWS * part.len());
            for row in rows.chunks_exact(units) {
                let values = row[part.clone()].iter().zip(&self.mean[part.clone()]);
                centred.extend(values.map(|(value, mean)| (f64::from(*value) - mean) as f32));
            }
            centred.resize(ROWS * part.len(), 0.0);
            let components = Block::of(&self.components, units, &(0..components), &part);
            multiply(Block::new(&centred, part.len()), components, &mut products)?;
            sums.iter_mut().zip(&products).for_each(|(sum, product)| *sum += f64::from(*product));
        }
        Ok(sums)
    }
}

/// What values along components of this variance are multiplied by to have the variance 1; 0 where there is none.
pub(super) fn whitening(variance: &[f64]) -> Vec<f64> {
    variance.iter().map(|variance| if *variance > 0.0 { 1.0 / variance.sqrt() } else { 0.0 }).collect()
}

fn variances(path: &Path) -> Result<Vec<f64>> {
    let failed = || format!("cannot read the variances in `{}`", path.display());
    let text = plain_file::read(path).with_context(failed)?;
    let mut reader = csv::Reader::from_reader(&text[..]);
    let variance = |record: csv::StringRecord| -> Result<f64> { Ok(record.get(1).context("a column is missing")?.parse()?) };
    reader.records().map(|record| variance(record?)).collect::<Result<_>>().with_context(failed)
}
