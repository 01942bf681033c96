//! How much of responses could be predicted at all: the noise ceiling of repeats, as that of the Natural Scenes Dataset (Allen et al. 2022).

use super::responses::{Responses, Table};
use crate::arrays;
use crate::error::advise;
use crate::parallel::parallel;
use anyhow::Result;
use std::path::Path;

/// Of each target the share of its variance over images that is not noise, 0 to 1: `s² / (s² + n² / k)`, of the variance s² of the
/// signal and n² of the noise. n² is the mean over images of the variance over repeats (of k − 1), `s² = max(0, v − n²)` of the
/// variance v over all rows (of N − 1), and 1 / k the mean over images of 1 over the repeats that are averaged; k is 1 of rows that
/// are kept. NaN where nothing varies. None if no image was repeated.
pub(super) fn of_repeats(of: &Responses, images: &[usize], averaged: bool) -> Result<Option<Vec<f64>>> {
    let repeated: Vec<&Vec<usize>> = images.iter().map(|&image| &of.rows_of[image]).collect();
    if repeated.iter().all(|rows| rows.len() < 2) {
        return Ok(None);
    }
    let single: Vec<Vec<usize>> = repeated.iter().flat_map(|rows| rows.iter().map(|&row| vec![row])).collect();
    let table = Table { values: &of.values, rows: &single };
    let share = match averaged {
        true => repeated.iter().map(|rows| 1.0 / rows.len() as f64).sum::<f64>() / repeated.len() as f64,
        false => 1.0,
    };
    let all: Vec<usize> = (0..single.len()).collect();
    let targets: Vec<usize> = (0..of.values.columns).collect();
    let blocks: Vec<&[usize]> = targets.chunks(super::fit::BLOCK).collect();
    let of_block = |block: usize| {
        let values = table.targets(&all, blocks[block]);
        Ok(values.chunks_exact(all.len()).map(|target| share_of_signal(target, &repeated, share)).collect::<Vec<_>>())
    };
    Ok(Some(parallel(blocks.len(), &of_block)?.concat()))
}

fn share_of_signal(target: &[f64], repeated: &[&Vec<usize>], share: f64) -> f64 {
    let (mut start, mut noise, mut count) = (0, 0.0, 0.0);
    for rows in repeated {
        let own = &target[start..start + rows.len()];
        start += rows.len();
        if own.len() > 1 {
            noise += variance(own);
            count += 1.0;
        }
    }
    let noise = noise / count;
    let signal = (variance(target) - noise).max(0.0);
    signal / (signal + noise * share)
}

/// Of n − 1.
fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

/// The ceilings of all targets that a file gives.
pub(super) fn read(path: &Path, of: &Responses) -> Result<Vec<f64>> {
    let array = arrays::read(path)?.values;
    let (count, targets) = (array.len(), of.values.columns);
    if count != targets {
        return Err(advise(
            format!("`{}` has {count} ceilings, but `{}` has {targets} targets", path.display(), of.path.display()),
            "give one for each target, in their order",
        ));
    }
    let values: Vec<f64> = array.into_iter().collect();
    match values.iter().find(|value| !(0.0..=1.0).contains(*value) && !value.is_nan()) {
        Some(value) => Err(advise(
            format!("`{}` has a ceiling of {value}, and a share of variance lies between 0 and 1", path.display()),
            "divide per cent by 100; square a ceiling of r",
        )),
        None => Ok(values),
    }
}
