//! The correlation distance `1 − r`, `r = Σ (xᵢ − x̄)(yᵢ − ȳ) / √(Σ (xᵢ − x̄)² · Σ (yᵢ − ȳ)²)`, as in SciPy's
//! `pdist(…, "correlation")` and Kriegeskorte, Mur & Bandettini 2008.
//!
//! All sums are in float64. A row is centred before it is squared (two passes), for one pass cancels; r is clamped to
//! ±1; the diagonal is exactly 0. The matrix is computed in tiles of rows and blocks of columns, so memory stays small
//! beside the result, and each tile on one thread, so its bytes do not depend on the number of threads.

use super::OnConstant;
use crate::advice::advise;
use crate::npy::Matrix;
use anyhow::Result;
use ndarray::{Array2, s};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tch::{Kind, Tensor};

/// Rows of a tile.
const TILE: usize = 256;

/// Columns that are held in float64 at a time.
const BLOCK: usize = 4096;

/// A row varies if its deviation is more than this share of its mean (SciPy's rule for a nearly constant input):
/// less is rounding, of which a correlation would be noise.
const NEARLY_CONSTANT: f64 = 1e-13;

/// The RDM `[N, N]` of the rows of `features` `[N, D]`. Rows without variance are an error, or get NaN; rows that are
/// not finite are an error. They are called by `name`.
pub fn correlation(features: &Matrix, on_constant: OnConstant, name: &dyn Fn(usize) -> String) -> Result<Array2<f32>> {
    let rows: Vec<Row> = parallel(features.rows, &|row| Ok(Row::of(features, row)))?;
    check(&rows, on_constant, name)?;
    let tiles: Vec<Range<usize>> = (0..features.rows).step_by(TILE).map(|first| first..features.rows.min(first + TILE)).collect();
    let pairs: Vec<(usize, usize)> = (0..tiles.len()).flat_map(|i| (i..tiles.len()).map(move |j| (i, j))).collect();
    let rdm = Mutex::new(Array2::zeros((features.rows, features.rows)));
    parallel(pairs.len(), &|pair| {
        let (i, j) = pairs[pair];
        let distances = tile(features, &rows, &tiles[i], &tiles[j])?;
        let mut rdm = rdm.lock().unwrap_or_else(PoisonError::into_inner);
        rdm.slice_mut(s![tiles[i].clone(), tiles[j].clone()]).assign(&distances);
        rdm.slice_mut(s![tiles[j].clone(), tiles[i].clone()]).assign(&distances.t());
        Ok(())
    })?;
    Ok(rdm.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// `work(0)`, …, `work(count − 1)` on all cores, each on one libtorch thread; the results in order.
fn parallel<T: Send>(count: usize, work: &(dyn Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    let next = AtomicUsize::new(0);
    let worker = || -> Result<Vec<(usize, T)>> {
        tch::set_num_threads(1);
        let mut done = Vec::new();
        loop {
            let item = next.fetch_add(1, Ordering::Relaxed);
            if item >= count {
                return Ok(done);
            }
            done.push((item, work(item)?));
        }
    };
    let mut done = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            done.extend(worker.join().expect("a worker does not panic")?);
        }
        Ok::<_, anyhow::Error>(())
    })?;
    done.sort_by_key(|(item, _)| *item);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

/// What is needed to standardise a row.
#[derive(Clone, Copy)]
struct Row {
    mean: f64,
    /// √ Σ (xᵢ − x̄)²
    norm: f64,
    /// Whether all values are the same: the mean of equal numbers may differ from them in the last digit.
    constant: bool,
}

impl Row {
    fn of(features: &Matrix, row: usize) -> Row {
        let mut values = Vec::with_capacity(features.columns);
        features.append(row, 0..features.columns, &mut values);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let norm = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>().sqrt();
        let constant = values.iter().all(|&value| value == values[0]) || norm < NEARLY_CONSTANT * mean.abs();
        Row { mean, norm, constant }
    }
}

fn check(rows: &[Row], on_constant: OnConstant, name: &dyn Fn(usize) -> String) -> Result<()> {
    let all = |bad: &dyn Fn(&Row) -> bool| -> Vec<usize> { (0..rows.len()).filter(|&row| bad(&rows[row])).collect() };
    let infinite = all(&|row| !row.norm.is_finite());
    if !infinite.is_empty() {
        return Err(advise(
            format!("values that are not finite (NaN or infinite) in {}", some(&infinite, name)),
            "find out where they come from before comparing anything",
        ));
    }
    let constant = all(&|row| row.constant);
    if !constant.is_empty() && on_constant == OnConstant::Error {
        return Err(advise(
            format!("all units have the same value, so a correlation is not defined, in {}", some(&constant, name)),
            "take another layer for an RDM, leave these stimuli out, or store NaN for them: --on-constant nan",
        ));
    }
    Ok(())
}

/// "a, b, c, d, e and 2 more"
fn some(rows: &[usize], name: &dyn Fn(usize) -> String) -> String {
    let shown: Vec<_> = rows.iter().take(5).map(|&row| name(row)).collect();
    let more = if rows.len() > shown.len() { format!(" and {} more", rows.len() - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// The distances between the rows `a` and the rows `b`.
fn tile(features: &Matrix, rows: &[Row], a: &Range<usize>, b: &Range<usize>) -> Result<Array2<f32>> {
    let shape = [a.len() as i64, b.len() as i64];
    let mut products = Tensor::f_zeros(shape, (Kind::Double, tch::Device::Cpu))?;
    for first in (0..features.columns).step_by(BLOCK) {
        let columns = first..features.columns.min(first + BLOCK);
        let left = standardised(features, rows, a, &columns)?;
        let right = standardised(features, rows, b, &columns)?;
        products = products.f_add(&left.f_matmul(&right.f_tr()?)?)?;
    }
    let mut r = vec![0.0; a.len() * b.len()];
    products.f_copy_data(&mut r, a.len() * b.len())?;
    let mut distances = Array2::from_shape_vec((a.len(), b.len()), r)?.mapv(|r: f64| (1.0 - r.clamp(-1.0, 1.0)) as f32);
    if a == b {
        // To the bit symmetric, whatever order the product was summed in.
        distances = (&distances + &distances.t()).mapv(|sum| sum / 2.0);
        distances.diag_mut().fill(0.0);
    }
    Ok(distances)
}

/// Rows less their mean, divided by their norm, `[rows, columns]`.
fn standardised(features: &Matrix, all: &[Row], rows: &Range<usize>, columns: &Range<usize>) -> Result<Tensor> {
    let mut values = Vec::with_capacity(rows.len() * columns.len());
    for row in rows.clone() {
        let start = values.len();
        features.append(row, columns.clone(), &mut values);
        let Row { mean, norm, constant } = all[row];
        // NaN spreads to all products of the row.
        let norm = if constant { f64::NAN } else { norm };
        values[start..].iter_mut().for_each(|value| *value = (*value - mean) / norm);
    }
    Ok(Tensor::f_from_slice(&values)?.f_view([rows.len() as i64, columns.len() as i64])?)
}
