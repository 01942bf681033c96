//! Principal components of rows that may be more than memory holds: `X − mean = U S Vᵀ`, the first rows of `Vᵀ` and `U S`.
//!
//! All sums are in float64. With few units the covariance of the units is formed, with few rows the products of the rows (whose eigenvectors are
//! `U`), each in one pass over the file; with many of both the products of the rows are multiplied with, a pass each time. Signs are
//! scikit-learn's: the largest element of a component is positive.

use super::basis::{Basis, whitening};
use super::leading::{Dense, Leading, Symmetric, leading, side_by_side};
use super::random;
use crate::error::advise;
use crate::gemm::{Block, multiply};
use crate::npy;
use crate::output::{Dtype, RowFile, StoredRows};
use crate::parallel::parallel;
use anyhow::Result;
use ndarray::ArrayD;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A square matrix of so many rows is held in memory: 2 GiB.
const DENSE: usize = 16_384;

/// The numbers in float64 that are held at a time of a file's.
const CHUNK: usize = 1 << 25;

/// Where the components go.
pub(crate) struct Files<'a> {
    pub(crate) mean: &'a Path,
    pub(crate) components: &'a Path,
    pub(crate) table: &'a Path,
}

/// The rows along the components.
#[derive(Debug)]
pub(crate) struct Scores {
    /// `[rows, components]`.
    pub(crate) values: Vec<f32>,
    /// How many components have no variance, and are 0.
    pub(crate) empty: usize,
    /// If components are not as exact as they should be: the largest residual of one as a share of its variance.
    pub(crate) residual: Option<f64>,
}

/// Finds `components` principal components of `rows`, writes them, and returns the rows along them.
pub(crate) fn fit(rows: &StoredRows, layer: &str, components: usize, whiten: bool, files: &Files) -> Result<Scores> {
    let key = random::key(0, layer);
    let (means, total) = moments(rows, layer)?;
    let job = Job { rows, components, means: &means, files };
    let fitted = if rows.units <= rows.rows && rows.units <= DENSE { job.by_units(key)? } else { job.by_rows(key)? };
    npy::write(files.mean, &ArrayD::from_shape_vec(vec![means.len()], means.clone())?)?;
    Basis::write_table(files.table, &fitted.variance, total)?;
    let factors = if whiten { whitening(&fitted.variance) } else { vec![1.0; components] };
    let values = fitted.scores.iter().zip(factors.iter().cycle()).map(|(score, factor)| (score * factor) as f32).collect();
    let empty = fitted.variance.iter().filter(|variance| **variance == 0.0).count();
    Ok(Scores { values, empty, residual: fitted.residual })
}

struct Job<'a> {
    rows: &'a StoredRows,
    components: usize,
    means: &'a [f64],
    files: &'a Files<'a>,
}

struct Fitted {
    variance: Vec<f64>,
    /// `[rows, components]`.
    scores: Vec<f64>,
    residual: Option<f64>,
}

/// The mean of each unit, and the sum of the variances of all, of n − 1. Fails for values that are not finite.
fn moments(rows: &StoredRows, layer: &str) -> Result<(Vec<f64>, f64)> {
    /// Units at a time.
    const UNITS: usize = 1024;
    let parts = parallel(rows.units.div_ceil(UNITS), &|part| {
        let units = UNITS * part..rows.units.min(UNITS * (part + 1));
        let (mut room, mut values) = (Vec::new(), Vec::new());
        let (mut sums, mut squares) = (vec![0.0; units.len()], vec![0.0; units.len()]);
        let mut add = |means: Option<&[f64]>, sums: &mut [f64]| -> Result<()> {
            for row in 0..rows.rows {
                values.clear();
                rows.append(row, units.clone(), &mut room, &mut values)?;
                let values = sums.iter_mut().zip(&values);
                match means {
                    None => values.for_each(|(sum, value)| *sum += f64::from(*value)),
                    Some(means) => {
                        values.zip(means).for_each(|((sum, value), mean)| *sum += (f64::from(*value) - mean).powi(2));
                    }
                }
            }
            Ok(())
        };
        add(None, &mut sums)?;
        sums.iter_mut().for_each(|sum| *sum /= rows.rows as f64);
        add(Some(&sums), &mut squares)?;
        Ok((sums, squares.iter().sum::<f64>()))
    })?;
    let squares: f64 = parts.iter().map(|(_, squares)| squares).sum();
    if !squares.is_finite() {
        return Err(advise(
            format!("`{layer}` has infinities or NaN, and no principal components"),
            "look at the network's weights and preprocessing, or leave the layer out",
        ));
    }
    Ok((parts.into_iter().flat_map(|(means, _)| means).collect(), squares / (rows.rows as f64 - 1.0)))
}

impl Job<'_> {
    /// The values of some units less their means: row by row `[rows, units]`.
    fn centred(&self, part: Range<usize>, units: Range<usize>) -> Result<Vec<f64>> {
        let (mut room, mut row, mut all) = (Vec::new(), Vec::new(), Vec::with_capacity(part.len() * units.len()));
        for number in part {
            row.clear();
            self.rows.append(number, units.clone(), &mut room, &mut row)?;
            all.extend(row.iter().zip(&self.means[units.clone()]).map(|(value, mean)| f64::from(*value) - mean));
        }
        Ok(all)
    }

    /// By the covariance of the units.
    fn by_units(&self, key: u64) -> Result<Fitted> {
        let (n, units) = (self.rows.rows, self.rows.units);
        let parts = || in_parts(n, (CHUNK / units).max(1));
        let mut covariance = Dense { size: units, values: vec![0.0; units * units] };
        for part in parts() {
            let values = self.centred(part, 0..units)?;
            add_products(&mut covariance, &transposed(&values, units), values.len() / units)?;
        }
        mirror(&mut covariance);
        let mut found = leading(&covariance, self.components, key)?;
        drop(covariance);
        self.drop_empty(&mut found);
        found.vectors.chunks_mut(units).for_each(turn);
        let file = self.components_file()?;
        for (component, vector) in found.vectors.chunks(units).enumerate() {
            file.write_part(component, 0, &bytes(vector))?;
        }
        file.finish()?;
        let scores = parallel(n.div_ceil(ROWS), &|part| {
            let part = ROWS * part..n.min(ROWS * (part + 1));
            let mut scores = vec![0.0; part.len() * self.components];
            multiply(Block::new(&self.centred(part, 0..units)?, units), Block::new(&found.vectors, units), &mut scores)?;
            Ok(scores)
        })?;
        Ok(Fitted { variance: self.variances(&found), scores: scores.concat(), residual: found.residual })
    }

    /// By the products of the rows.
    fn by_rows(&self, key: u64) -> Result<Fitted> {
        let n = self.rows.rows;
        let mut found = if n <= DENSE {
            let mut products = Dense { size: n, values: vec![0.0; n * n] };
            for units in in_parts(self.rows.units, (CHUNK / n).max(1)) {
                add_products(&mut products, &self.centred(0..n, units.clone())?, units.len())?;
            }
            mirror(&mut products);
            leading(&products, self.components, key)?
        } else {
            leading(&Products(self), self.components, key)?
        };
        self.drop_empty(&mut found);
        let lengths: Vec<f64> = found.values.iter().map(|value| value.sqrt()).collect();
        let signs = self.write_components(&found, &lengths)?;
        let mut scores = transposed(&found.vectors, n);
        for row in scores.chunks_mut(self.components) {
            row.iter_mut().zip(&lengths).zip(&signs).for_each(|((score, length), sign)| *score *= length * sign);
        }
        Ok(Fitted { variance: self.variances(&found), scores, residual: found.residual })
    }

    /// Makes eigenvalues that only rounding makes differ from 0, and their vectors, 0.
    fn drop_empty(&self, found: &mut Leading) {
        let size = found.vectors.len() / self.components;
        let least = found.values[0].max(0.0) * self.rows.rows.max(self.rows.units) as f64 * f64::EPSILON;
        for (value, vector) in found.values.iter_mut().zip(found.vectors.chunks_mut(size)) {
            if *value <= least {
                *value = 0.0;
                vector.fill(0.0);
            }
        }
    }

    fn variances(&self, found: &Leading) -> Vec<f64> {
        found.values.iter().map(|value| value / (self.rows.rows as f64 - 1.0)).collect()
    }

    fn components_file(&self) -> Result<RowFile> {
        RowFile::of_one(self.files.components, self.components, &[self.rows.units], Dtype::F32)
    }

    /// Writes `Vᵀ = S⁻¹ Uᵀ X`, and returns the sign of each component.
    fn write_components(&self, found: &Leading, lengths: &[f64]) -> Result<Vec<f64>> {
        /// Units at a time.
        const UNITS: usize = 256;
        let (n, units, file) = (self.rows.rows, self.rows.units, self.components_file()?);
        let largest = parallel(units.div_ceil(UNITS), &|part| {
            let part = UNITS * part..units.min(UNITS * (part + 1));
            let values = transposed(&self.centred(0..n, part.clone())?, part.len());
            let mut out = vec![0.0; self.components * part.len()];
            multiply(Block::new(&found.vectors, n), Block::new(&values, n), &mut out)?;
            let mut largest = Vec::with_capacity(self.components);
            for (component, (row, length)) in out.chunks_mut(part.len()).zip(lengths).enumerate() {
                row.iter_mut().for_each(|value| *value = if *length > 0.0 { *value / length } else { 0.0 });
                file.write_part(component, part.start * size_of::<f32>(), &bytes(row))?;
                largest.push(largest_of(row));
            }
            Ok(largest)
        })?;
        let first = |a: f64, b: f64| if b.abs() > a.abs() { b } else { a };
        let of = |component: usize| largest.iter().map(|part| part[component]).fold(0.0, first);
        let signs: Vec<f64> = (0..self.components).map(|component| if of(component) < 0.0 { -1.0 } else { 1.0 }).collect();
        file.negate(signs.iter().map(|sign| *sign < 0.0))?;
        file.finish()?;
        Ok(signs)
    }
}

/// Rows that are multiplied at a time.
const ROWS: usize = 256;

fn in_parts(count: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(size).map(move |first| first..count.min(first + size))
}

/// The first value of the largest size.
fn largest_of(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| if value.abs() > largest.abs() { *value } else { largest })
}

/// Makes the largest element positive.
fn turn(vector: &mut [f64]) {
    if largest_of(vector) < 0.0 {
        vector.iter_mut().for_each(|value| *value = -*value);
    }
}

fn bytes(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect()
}

/// `[…, columns]` to `[columns, …]`.
fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    const BLOCK: usize = 32;
    let rows = values.len() / columns;
    let mut out = vec![0.0; values.len()];
    for first in (0..rows).step_by(BLOCK) {
        for column in 0..columns {
            for row in first..rows.min(first + BLOCK) {
                out[column * rows + row] = values[row * columns + column];
            }
        }
    }
    out
}

/// Adds `X Xᵀ` of `X`, `[size, length]`, to the upper triangle of a matrix.
fn add_products(matrix: &mut Dense, x: &[f64], length: usize) -> Result<()> {
    let n = matrix.size;
    let strips: Vec<Mutex<&mut [f64]>> = matrix.values.chunks_mut(ROWS * n).map(Mutex::new).collect();
    parallel(strips.len(), &|strip| {
        let (first, end) = (ROWS * strip, n.min(ROWS * (strip + 1)));
        let block = |rows: Range<usize>| Block::of(x, length, &rows, &(0..length));
        let mut products = vec![0.0; (end - first) * (n - first)];
        multiply(block(first..end), block(first..n), &mut products)?;
        let mut strip = strips[strip].lock().unwrap_or_else(PoisonError::into_inner);
        for (row, products) in strip.chunks_mut(n).zip(products.chunks(n - first)) {
            row[first..].iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
        }
        Ok(())
    })
    .map(drop)
}

/// Copies the upper triangle to the lower one.
fn mirror(matrix: &mut Dense) {
    let n = matrix.size;
    for first in (0..n).step_by(ROWS) {
        for row in 0..n {
            for column in first..n.min(first + ROWS).min(row) {
                matrix.values[row * n + column] = matrix.values[column * n + row];
            }
        }
    }
}

/// The products of the rows, `X Xᵀ`, which are not in memory.
struct Products<'a>(&'a Job<'a>);

impl Symmetric for Products<'_> {
    fn size(&self) -> usize {
        self.0.rows.rows
    }

    /// `(V X) Xᵀ`, some units at a time.
    fn apply(&self, vectors: &[f64]) -> Result<Vec<f64>> {
        const UNITS: usize = 128;
        let (n, count) = (self.size(), vectors.len() / self.size());
        let mut sums: Vec<Vec<f64>> = in_parts(n, ROWS).map(|rows| vec![0.0; rows.len() * count]).collect();
        for units in in_parts(self.0.rows.units, (CHUNK / 4 / n).max(UNITS)) {
            let (length, values) = (units.len(), self.0.centred(0..n, units)?);
            let turned = transposed(&values, length);
            let along = parallel(length.div_ceil(UNITS), &|part| {
                let part = &turned[UNITS * part * n..(length.min(UNITS * (part + 1))) * n];
                let mut out = vec![0.0; count * part.len() / n];
                multiply(Block::new(vectors, n), Block::new(part, n), &mut out)?;
                Ok(out)
            })?;
            let along = side_by_side(&along, count, length);
            let strips: Vec<Mutex<&mut Vec<f64>>> = sums.iter_mut().map(Mutex::new).collect();
            parallel(strips.len(), &|strip| {
                let mut sum = strips[strip].lock().unwrap_or_else(PoisonError::into_inner);
                let mut products = vec![0.0; sum.len()];
                let rows = Block::new(&values[ROWS * strip * length..][..sum.len() / count * length], length);
                multiply(Block::new(&along, length), rows, &mut products)?;
                sum.iter_mut().zip(products).for_each(|(sum, product)| *sum += product);
                Ok(())
            })?;
        }
        Ok(side_by_side(&sums, count, n))
    }

    fn dense(&self) -> Option<&[f64]> {
        None
    }

    /// The variance along a vector is exact to about the square of it.
    fn tolerance(&self) -> f64 {
        1e-3
    }
}

/// The features of `tests/fixtures/make_reduce_fixtures.py`, `[rows, units]`.
#[cfg(test)]
pub(super) fn features(rows: usize, units: usize) -> Vec<f32> {
    let value = |i: usize, j: usize| (i * 7919 + j * 104_729 + i * i * j * 31) % 1013 * (1 + j % 7) + 500 * (i % 3) * (j % 2);
    (0..rows).flat_map(|i| (0..units).map(move |j| value(i, j) as f32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    struct Lab(TempDir);

    impl Lab {
        fn of(rows: usize, units: usize, values: Vec<f32>) -> (Lab, StoredRows) {
            let lab = Lab(tempfile::tempdir().unwrap());
            npy::write(&lab.path("x.npy"), &ArrayD::from_shape_vec(vec![rows, units], values).unwrap()).unwrap();
            let stored = StoredRows::open(&lab.path("x.npy"), "", rows, &[units], Dtype::F32).unwrap();
            (lab, stored)
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join(name)
        }

        fn fit(&self, rows: &StoredRows, components: usize, whiten: bool) -> Result<Scores> {
            let [mean, basis, table] = ["mean.npy", "components.npy", "table.csv"].map(|name| self.path(name));
            fit(rows, "x", components, whiten, &Files { mean: &mean, components: &basis, table: &table })
        }
    }

    #[derive(serde::Deserialize)]
    struct Made {
        rows: usize,
        units: usize,
        mean: Vec<f64>,
        components: Vec<Vec<f64>>,
        explained_variance: Vec<f64>,
        explained_variance_ratio: Vec<f64>,
        scores: Vec<Vec<f64>>,
        white: Vec<Vec<f64>>,
    }

    fn assert_close(found: impl IntoIterator<Item = f64>, wanted: &[f64], what: &str) {
        let scale = wanted.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
        let found: Vec<f64> = found.into_iter().collect();
        assert_eq!(found.len(), wanted.len(), "{what}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() <= 1e-6 * scale, "{what}: {found} {wanted}");
        }
    }

    #[test]
    fn components_are_those_of_scikit_learn() {
        let fixtures: serde_json::Value = serde_json::from_str(include_str!("../../tests/fixtures/reduce.json")).unwrap();
        for made in serde_json::from_value::<Vec<Made>>(fixtures["pca"].clone()).unwrap() {
            let (lab, rows) = Lab::of(made.rows, made.units, features(made.rows, made.units));
            for (whiten, wanted) in [(false, &made.scores), (true, &made.white)] {
                let scores = lab.fit(&rows, made.components.len(), whiten).unwrap();
                assert_close(scores.values.iter().map(|value| f64::from(*value)), &wanted.concat(), "scores");
                assert_eq!((scores.empty, scores.residual), (0, None));
            }
            assert_close(npy::read(&lab.path("mean.npy")).unwrap(), &made.mean, "mean");
            assert_close(npy::read(&lab.path("components.npy")).unwrap(), &made.components.concat(), "components");
            let table = std::fs::read_to_string(lab.path("table.csv")).unwrap();
            let column = |at: usize| table.lines().skip(1).map(move |line| line.split(',').nth(at).unwrap().parse().unwrap());
            assert_close(column(1), &made.explained_variance, "variance");
            assert_close(column(2), &made.explained_variance_ratio, "ratio");
        }
    }

    #[test]
    fn rows_that_are_not_in_memory_give_the_same() {
        let (n, units) = (300, 700);
        let (lab, rows) = Lab::of(n, units, features(n, units));
        let (means, _) = moments(&rows, "x").unwrap();
        let path = lab.path("unused");
        let job =
            Job { rows: &rows, components: 8, means: &means, files: &Files { mean: &path, components: &path, table: &path } };
        let mut dense = Dense { size: n, values: vec![0.0; n * n] };
        add_products(&mut dense, &job.centred(0..n, 0..units).unwrap(), units).unwrap();
        mirror(&mut dense);
        let vectors: Vec<f64> = (0..3 * n).map(|i| ((i * 31) % 17) as f64 - 8.0).collect();
        let streamed = Products(&job).apply(&vectors).unwrap();
        assert_close(streamed, &dense.apply(&vectors).unwrap(), "products");
        let (found, wanted) = (leading(&Products(&job), 8, 0).unwrap(), leading(&dense, 8, 0).unwrap());
        assert!(found.residual.is_none());
        assert_close(found.values, &wanted.values, "eigenvalues");
    }

    #[test]
    fn without_variance_there_is_no_direction() {
        let values: Vec<f32> = (0..6 * 10).map(|at| if at / 10 < 3 { (at % 10) as f32 } else { (at % 7) as f32 }).collect();
        let (lab, rows) = Lab::of(6, 10, values);
        let scores = lab.fit(&rows, 5, true).unwrap();
        assert_eq!(scores.empty, 2);
        assert!(scores.values.iter().all(|value| value.is_finite()));
        let (lab, rows) = Lab::of(3, 4, vec![1.0; 12]);
        assert_eq!(lab.fit(&rows, 2, false).unwrap().empty, 2);
        let (lab, rows) = Lab::of(3, 4, vec![f32::INFINITY; 12]);
        assert!(lab.fit(&rows, 2, false).unwrap_err().to_string().contains("has infinities or NaN"));
    }
}
