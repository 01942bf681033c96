//! The leading eigenvectors of a large symmetric matrix.
//!
//! A matrix that is small is taken apart whole. Of a large one the leading subspace is found by iteration: a block of vectors goes through a
//! Chebyshev polynomial of the matrix, which is small where the eigenvalues lie that are not wanted and grows fast beyond, and through the
//! procedure of Rayleigh and Ritz (Zhou, Saad, Tiago & Chelikowsky 2006, *Self-consistent-field calculations using Chebyshev-filtered subspace
//! iteration*; the first rounds are those of Halko, Martinsson & Tropp 2011). Vectors that are found are put aside, largest first.

use super::random;
use crate::gemm::{Block, multiply};
use crate::parallel::parallel;
use anyhow::Result;
use tch::{Kind, Tensor};

/// The columns and rows of a matrix that is taken apart whole, at most.
const SMALL: usize = 4096;

/// A positive semidefinite matrix `[n, n]`.
pub(super) trait Symmetric: Sync {
    /// n.
    fn size(&self) -> usize;

    /// Its product with each of the vectors `[k, n]`.
    fn apply(&self, vectors: &[f64]) -> Result<Vec<f64>>;

    /// The matrix, row by row, if it is in memory.
    fn dense(&self) -> Option<&[f64]>;

    /// A vector is found when what the matrix makes of it differs from a multiple by this share of its eigenvalue.
    fn tolerance(&self) -> f64;
}

/// Eigenvalues, from the largest on, and their vectors of length 1, `[k, n]`.
pub(super) struct Leading {
    pub(super) values: Vec<f64>,
    pub(super) vectors: Vec<f64>,
    /// The largest residual of a vector as a share of its eigenvalue, if it is not as small as it should be.
    pub(super) residual: Option<f64>,
}

/// A matrix in memory, row by row.
pub(super) struct Dense {
    pub(super) size: usize,
    pub(super) values: Vec<f64>,
}

impl Symmetric for Dense {
    fn size(&self) -> usize {
        self.size
    }

    fn apply(&self, vectors: &[f64]) -> Result<Vec<f64>> {
        const ROWS: usize = 256;
        let (n, count) = (self.size, vectors.len() / self.size);
        let parts = parallel(n.div_ceil(ROWS), &|part| {
            let rows = ROWS * part..n.min(ROWS * (part + 1));
            let mut out = vec![0.0; count * rows.len()];
            multiply(Block::new(vectors, n), Block::of(&self.values, n, &rows, &(0..n)), &mut out)?;
            Ok(out)
        })?;
        Ok(side_by_side(&parts, count, n))
    }

    fn dense(&self) -> Option<&[f64]> {
        Some(&self.values)
    }

    fn tolerance(&self) -> f64 {
        1e-5
    }
}

/// Joins matrices `[count, …]` to one of `width` columns.
pub(super) fn side_by_side(parts: &[Vec<f64>], count: usize, width: usize) -> Vec<f64> {
    let mut all = Vec::with_capacity(count * width);
    for row in 0..count {
        for part in parts {
            let columns = part.len() / count;
            all.extend_from_slice(&part[row * columns..][..columns]);
        }
    }
    all
}

/// The `count` leading eigenvectors of `matrix`, found from vectors that `key` draws.
pub(super) fn leading(matrix: &dyn Symmetric, count: usize, key: u64) -> Result<Leading> {
    // LAPACK on several threads may form sums in another order.
    let threads = tch::get_num_threads();
    tch::set_num_threads(1);
    let found = match matrix.dense() {
        Some(values) if matrix.size() <= SMALL || 3 * count > matrix.size() => whole(values, matrix.size(), count),
        _ => Search::new(matrix, count).run(key),
    };
    tch::set_num_threads(threads);
    found
}

fn whole(values: &[f64], n: usize, count: usize) -> Result<Leading> {
    let (values, vectors) = Tensor::f_from_slice(values)?.f_view([n as i64, n as i64])?.f_linalg_eigh("L")?;
    let last = |tensor: &Tensor| tensor.f_narrow(-1, (n - count) as i64, count as i64)?.f_flip([-1]);
    let vectors = last(&vectors)?.f_tr()?;
    Ok(Leading { values: numbers(&last(&values)?)?, vectors: numbers(&vectors)?, residual: None })
}

/// The values of a tensor in C order.
fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(Vec::try_from(&tensor.f_contiguous()?.f_view(-1)?)?)
}

fn tensor(values: &[f64], columns: usize) -> Result<Tensor> {
    Ok(Tensor::f_from_slice(values)?.f_view([(values.len() / columns) as i64, columns as i64])?)
}

/// An iteration that goes on.
struct Search<'a> {
    matrix: &'a dyn Symmetric,
    n: usize,
    /// Vectors that are wanted.
    wanted: usize,
    /// Vectors that are looked at, some more than are wanted.
    block: usize,
    /// What is found, largest first.
    values: Vec<f64>,
    vectors: Vec<f64>,
}

/// Rounds of a polynomial each, at most.
const ROUNDS: usize = 30;
/// The degree of a polynomial, at most.
const DEGREE: usize = 10;
/// A vector may grow so much more than the others: beyond, rounding would leave nothing of these.
const GROWTH: f64 = 1e10;

impl<'a> Search<'a> {
    fn new(matrix: &'a dyn Symmetric, wanted: usize) -> Self {
        let n = matrix.size();
        let block = (wanted + (wanted / 8).max(20)).min(n);
        Search { matrix, n, wanted, block, values: Vec::new(), vectors: Vec::new() }
    }

    fn run(mut self, key: u64) -> Result<Leading> {
        let signs = (0..(self.block * self.n) as u64).map(|at| if random::number(key, at) & 1 == 1 { -1.0 } else { 1.0 });
        let mut vectors = self.matrix.apply(&signs.collect::<Vec<f64>>())?;
        let mut residual = f64::INFINITY;
        for round in 0..ROUNDS {
            let (values, ritz, residuals) = self.ritz(vectors)?;
            let is_found = |at: &usize| residuals[*at] <= self.matrix.tolerance() * values[*at].max(f64::MIN_POSITIVE);
            let found = (0..values.len().min(self.wanted - self.values.len())).take_while(is_found).count();
            let left = self.wanted - self.values.len() - found;
            residual = (found..found + left).map(|at| residuals[at] / values[at]).fold(0.0, f64::max);
            let is_last = left == 0 || round + 1 == ROUNDS;
            let take = if is_last { found + left } else { found };
            self.values.extend(&values[..take]);
            self.vectors.extend(&ritz[..take * self.n]);
            if is_last {
                break;
            }
            vectors = self.filter(&ritz[found * self.n..], values[found], values[values.len() - 1])?;
        }
        let residual = (residual > self.matrix.tolerance()).then_some(residual);
        Ok(Leading { values: self.values, vectors: self.vectors, residual })
    }

    /// The matrix times each vector, less the part along what is found: its vectors are exact to the tolerance only, and those that are
    /// looked for are to be right beside them.
    fn apply(&self, vectors: &[f64]) -> Result<Vec<f64>> {
        let mut out = self.matrix.apply(vectors)?;
        if !self.values.is_empty() {
            let (found, all) = (tensor(&self.vectors, self.n)?, tensor(&out, self.n)?);
            out = numbers(&all.f_sub(&all.f_matmul(&found.f_tr()?)?.f_matmul(&found)?)?)?;
        }
        Ok(out)
    }

    /// The eigenvalues of the matrix in the space of `vectors`, from the largest on, their vectors, and the length of what
    /// is missing for each to be an eigenvector.
    fn ritz(&self, vectors: Vec<f64>) -> Result<(Vec<f64>, Vec<f64>, Vec<f64>)> {
        let mut columns = tensor(&vectors, self.n)?.f_tr()?;
        // Of blocks of this size few are to be in memory at once.
        drop(vectors);
        if !self.values.is_empty() {
            let found = tensor(&self.vectors, self.n)?;
            columns = columns.f_sub(&found.f_tr()?.f_matmul(&found.f_matmul(&columns)?)?)?;
        }
        let (basis, _) = Tensor::f_linalg_qr(&columns, "reduced")?;
        drop(columns);
        let rows = basis.f_tr()?.f_contiguous()?;
        drop(basis);
        let images = tensor(&self.apply(&numbers(&rows)?)?, self.n)?;
        let (values, turns) = rows.f_matmul(&images.f_tr()?)?.f_linalg_eigh("L")?;
        let (values, turns) = (values.f_flip([-1])?, turns.f_flip([-1])?.f_tr()?);
        let ritz = turns.f_matmul(&rows)?;
        drop(rows);
        let images = turns.f_matmul(&images)?;
        let missing = images.f_sub(&ritz.f_mul(&values.f_unsqueeze(1)?)?)?;
        drop(images);
        let residuals = missing.f_square()?.f_sum_dim_intlist(1i64, false, Kind::Double)?.f_sqrt()?;
        Ok((numbers(&values)?, numbers(&ritz)?, numbers(&residuals)?))
    }

    /// A polynomial of the matrix times each vector, small for eigenvalues from 0 to `bound`; `largest` is one of those beyond.
    fn filter(&self, vectors: &[f64], largest: f64, bound: f64) -> Result<Vec<f64>> {
        let bound = bound.max(largest * 1e-12);
        let at = 2.0 * largest / bound - 1.0;
        let growth = |degree: usize| libm::cosh(degree as f64 * libm::acosh(at.max(1.0)));
        let degree = (2..=DEGREE).take_while(|degree| growth(*degree) <= GROWTH).last().unwrap_or(1);
        let step = |vectors: &[f64]| -> Result<Vec<f64>> {
            let mut out = self.apply(vectors)?;
            out.iter_mut().zip(vectors).for_each(|(out, vector)| *out = 2.0 / bound * *out - vector);
            Ok(out)
        };
        let mut before = vectors.to_vec();
        let mut now = step(vectors)?;
        for _ in 1..degree {
            let mut next = step(&now)?;
            next.iter_mut().zip(&before).for_each(|(next, before)| *next = 2.0 * *next - before);
            (before, now) = (now, next);
        }
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix with these eigenvalues, whose vectors are those of a product of reflections.
    fn with_eigenvalues(values: &[f64]) -> Dense {
        let n = values.len();
        let mut matrix = vec![0.0; n * n];
        (0..n).for_each(|i| matrix[i * n + i] = values[i]);
        for key in 0..3 {
            let mut v: Vec<f64> = (0..n as u64).map(|at| (random::number(key, at) >> 40) as f64 / 2f64.powi(23) - 1.0).collect();
            let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            v.iter_mut().for_each(|v| *v /= length);
            // (1 − 2vvᵀ) A (1 − 2vvᵀ)
            let of = |matrix: &[f64]| -> Vec<f64> {
                matrix.chunks(n).map(|row| row.iter().zip(&v).map(|(a, b)| a * b).sum()).collect()
            };
            let av = of(&matrix);
            let vav: f64 = av.iter().zip(&v).map(|(a, b)| a * b).sum();
            for i in 0..n {
                for j in 0..n {
                    matrix[i * n + j] += 4.0 * vav * v[i] * v[j] - 2.0 * (av[i] * v[j] + v[i] * av[j]);
                }
            }
        }
        Dense { size: n, values: matrix }
    }

    #[test]
    fn the_iteration_finds_what_lapack_finds() {
        let n = 300;
        let spectra: [fn(usize) -> f64; 4] = [
            |i| 1e6 / ((i + 1) as f64).powi(3),
            |i| 100.0 / (i + 1) as f64,
            |i| 2.0 - i as f64 / 300.0,
            |i| if i < 35 { 1e4 * 0.5f64.powi(i as i32) } else { 0.0 },
        ];
        for (number, of) in spectra.iter().enumerate() {
            let wanted: Vec<f64> = (0..n).map(of).collect();
            let matrix = with_eigenvalues(&wanted);
            let exact = whole(&matrix.values, n, 30).unwrap();
            let found = Search::new(&matrix, 30).run(1).unwrap();
            assert_eq!(found.residual, None, "spectrum {number}");
            for i in 0..30 {
                // The square of the tolerance over the smallest gap between eigenvalues, which is a six-hundredth of them.
                assert!((found.values[i] / exact.values[i] - 1.0).abs() < 1e-7, "spectrum {number}, value {i}");
                let vector = |of: &Leading| of.vectors[i * n..(i + 1) * n].to_vec();
                let cosine: f64 = vector(&found).iter().zip(vector(&exact)).map(|(a, b)| a * b).sum();
                assert!((1.0 - cosine.abs()) < 1e-6, "spectrum {number}, vector {i}: {cosine}");
            }
        }
    }
}
