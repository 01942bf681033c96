//! The weights of a fit to all images that may be fitted, for units and targets as they are.

use super::design::{Design, Space, Standardised, UNITS};
use super::fit::{BLOCK, Fitting};
use super::folds::Split;
use crate::atomic_file::partial;
use crate::gemm::{Block, multiply};
use crate::observer::{Observer, Progress};
use crate::parallel::parallel;
use anyhow::{Context, Result};
use ndarray::IxDyn;
use ndarray_npy::write_zeroed_npy;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file `[targets, units]` of float32 that is written in parts.
struct Rows {
    file: File,
    start: u64,
    units: usize,
}

impl Rows {
    fn new(path: &Path, targets: usize, units: usize) -> Result<Rows> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        write_zeroed_npy::<f32, _>(&file, IxDyn(&[targets, units]))?;
        let start = file.metadata()?.len() - (targets * units * size_of::<f32>()) as u64;
        Ok(Rows { file, start, units })
    }

    fn write(&self, target: usize, unit: usize, values: &[f64]) -> Result<()> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
        let place = target * self.units + unit;
        Ok(self.file.write_all_at(&bytes, self.start + (place * size_of::<f32>()) as u64)?)
    }
}

/// Writes those of all `all` targets to `path`, `[targets, units]` of all spaces side by side, NaN of targets that are not fitted;
/// returns the intercepts, `ȳ − Σ w μ` of the means μ of units.
pub(super) fn write(
    fitting: &Fitting,
    spaces: &[Space],
    rows: Vec<usize>,
    all: usize,
    path: &Path,
    observer: &dyn Observer,
    progress: &dyn Progress,
) -> Result<Vec<f64>> {
    let units: usize = spaces.iter().map(|space| space.features.columns).sum();
    let conditions = fitting.conditions(&rows);
    // Nothing is predicted. The first fold divides likewise, so that of lists the fit is the one that is scored.
    let split = Split { predicted: rows[..1].to_vec(), fitted: rows };
    let design = Design::new(spaces, fitting.standardise, &conditions)?;
    let (chosen, _) = fitting.choose(&design, &split, 1, observer, progress)?;
    let file = Rows::new(&partial(path), all, units).with_context(|| format!("cannot write `{}`", path.display()))?;
    let mut intercepts = vec![f64::NAN; all];
    for (draw, weights) in fitting.draws.iter().enumerate() {
        let places: Vec<usize> = (0..fitting.targets.len()).filter(|&place| usize::from(chosen.draw[place]) == draw).collect();
        if places.is_empty() {
            continue;
        }
        let of = fitting.decomposed(&design, weights, &split)?;
        let turned = of.turned();
        let blocks: Vec<&[usize]> = places.chunks(BLOCK).collect();
        let of_block = |block: usize| -> Result<Vec<f64>> {
            let targets: Vec<usize> = blocks[block].iter().map(|&place| fitting.targets[place]).collect();
            let (fitted, mut intercepts) = fitting.fitted(&split, &targets);
            let penalty = |target: usize| fitting.penalties[usize::from(chosen.penalty[blocks[block][target]])];
            let along = of.along(&fitted)?;
            let (coefficients, count) = (of.coefficients(&along, penalty)?, conditions.len());
            let duals = if coefficients.is_none() { of.duals(&turned, &along, penalty)? } else { Vec::new() };
            let mut before = 0;
            for (space, weight) in spaces.iter().zip(weights) {
                for first in (0..space.features.columns).step_by(UNITS) {
                    let width = UNITS.min(space.features.columns - first);
                    let Standardised { values, means, factors } =
                        space.standardised(first..first + width, fitting.standardise, &conditions);
                    // Of units times the root of their space's weight.
                    let mut found = vec![0.0; targets.len() * width];
                    match &coefficients {
                        Some(all) => {
                            for (own, all) in found.chunks_exact_mut(width).zip(all.chunks_exact(units)) {
                                own.copy_from_slice(&all[before + first..][..width]);
                            }
                        }
                        None => {
                            let unit = |unit: usize| conditions.iter().map(move |row| (row, unit));
                            let turned: Vec<f64> =
                                (0..width).flat_map(unit).map(|(row, unit)| values[row * width + unit] * weight.sqrt()).collect();
                            multiply(Block::new(&duals, count), Block::new(&turned, count), &mut found)?;
                        }
                    }
                    for ((own, target), intercept) in found.chunks_exact_mut(width).zip(&targets).zip(&mut intercepts) {
                        // As they are written.
                        own.iter_mut()
                            .zip(&factors)
                            .for_each(|(own, factor)| *own = f64::from((*own * weight.sqrt() * factor) as f32));
                        *intercept -= own.iter().zip(&means).map(|(own, mean)| own * mean).sum::<f64>();
                        file.write(*target, before + first, own)?;
                    }
                }
                before += space.features.columns;
            }
            Ok(intercepts)
        };
        for (places, own) in blocks.iter().zip(parallel(blocks.len(), &of_block)?) {
            places.iter().zip(own).for_each(|(&place, own)| intercepts[fitting.targets[place]] = own);
        }
    }
    let none = vec![f64::NAN; units];
    (0..all).filter(|target| intercepts[*target].is_nan()).try_for_each(|target| file.write(target, 0, &none))?;
    file.file.sync_data()?;
    std::fs::rename(partial(path), path).with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(intercepts)
}
