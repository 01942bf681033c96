//! k-means (Lloyd 1982) from starts by k-means++ (Arthur & Vassilvitskii 2007).

use crate::parallel::parallel;
use anyhow::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The best of so many starts is taken, as scikit-learn does.
const STARTS: usize = 10;

/// After so many rounds a start is taken as it is.
const ROUNDS: usize = 300;

/// The cluster of each of `rows`, at most `count`: those with the smallest sum of squared distances from their means.
pub(super) fn kmeans(rows: &[Vec<f64>], count: usize, seed: u64) -> Result<Vec<usize>> {
    let found = parallel(STARTS, &|start| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(start as u64);
        Ok(lloyd(rows, first_means(rows, count, &mut random)))
    })?;
    let best = found.into_iter().min_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(best.map(|(_, clusters)| clusters).unwrap_or_default())
}

/// Rows that are drawn with a probability that grows with the squared distance from those already drawn.
fn first_means(rows: &[Vec<f64>], count: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let mut means = vec![rows[random.random_range(0..rows.len())].clone()];
    let mut nearest: Vec<f64> = rows.iter().map(|row| squared_distance(row, &means[0])).collect();
    while means.len() < count {
        let total: f64 = nearest.iter().sum();
        let mut left = random.random::<f64>() * total;
        let drawn = nearest.iter().position(|distance| {
            left -= distance;
            left < 0.0
        });
        // If all are the same, any will do.
        let drawn = drawn.unwrap_or(means.len() % rows.len());
        for (nearest, row) in nearest.iter_mut().zip(rows) {
            *nearest = nearest.min(squared_distance(row, &rows[drawn]));
        }
        means.push(rows[drawn].clone());
    }
    means
}

/// The sum of squared distances, and the cluster of each row.
fn lloyd(rows: &[Vec<f64>], mut means: Vec<Vec<f64>>) -> (f64, Vec<usize>) {
    let mut clusters = Vec::new();
    let mut sum = 0.0;
    for _round in 0..ROUNDS {
        let nearest = rows.iter().map(|row| nearest(row, &means));
        let (found, distances): (Vec<usize>, Vec<f64>) = nearest.unzip();
        sum = distances.iter().sum();
        if found == clusters {
            break;
        }
        clusters = found;
        for (cluster, mean) in means.iter_mut().enumerate() {
            let members = || rows.iter().zip(&clusters).filter(|(_, of)| **of == cluster).map(|(row, _)| row);
            let size = members().count() as f64;
            // One that has lost all its rows stays where it is.
            if size > 0.0 {
                mean.fill(0.0);
                members().for_each(|row| mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / size));
            }
        }
    }
    (sum, clusters)
}

fn nearest(row: &[f64], means: &[Vec<f64>]) -> (usize, f64) {
    let distances = means.iter().map(|mean| squared_distance(row, mean)).enumerate();
    distances.min_by(|(_, a), (_, b)| a.total_cmp(b)).expect("at least one mean")
}

/// In eight sums, which the processor adds side by side.
fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    let (x, y) = (x.chunks_exact(8), y.chunks_exact(8));
    let square = |(x, y): (&f64, &f64)| (x - y) * (x - y);
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(square).sum();
    let mut sums = [0.0; 8];
    for (x, y) in x.zip(y) {
        (0..8).for_each(|k| sums[k] += square((&x[k], &y[k])));
    }
    rest + sums.iter().sum::<f64>()
}
