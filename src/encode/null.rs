//! Scores of chance where folds predict each other: responses are exchanged between images, and all is fitted anew.
//!
//! Exchanging what is predicted within folds, with the predictions as they are, would find too much: a response is predicted by those that
//! it predicts in another fold, so the variance of chance is up to twice as large.

use super::choose;
use super::design::{Design, Space};
use super::fit::{BLOCK, Chosen, Fitting, add, centre, proceed};
use super::folds::{Groups, Split};
use super::inference::order;
use super::ridge::Decomposed;
use super::score::score;
use crate::observer::{Observer, Progress};
use crate::parallel::parallel;
use anyhow::Result;
use std::ops::Range;

/// Permutations that a core does at once.
const PART: usize = 20;

impl Fitting<'_> {
    /// Pearson's r of all targets in each permutation of the units, the mean over folds, `[permutations, targets]`.
    pub(super) fn null(
        &self,
        spaces: &[Space],
        outer: &[Split],
        units: &Groups,
        permutations: usize,
        observer: &dyn Observer,
        progress: &dyn Progress,
    ) -> Result<Vec<f64>> {
        let targets = self.targets.len();
        let mut sums = vec![0.0; permutations * targets];
        let blocks: Vec<&[usize]> = self.targets.chunks(BLOCK).collect();
        let parts = permutations.div_ceil(PART);
        let units = vec![units.clone()];
        for (number, split) in outer.iter().enumerate() {
            proceed(observer, progress)?;
            let design = Design::new(spaces, self.standardise, &self.conditions(&split.fitted))?;
            let splits = self.splits(split, number + 1);
            let of = parallel(splits.len(), &|place| self.decomposed(&design, &self.draws[0], &splits[place]))?;
            let fold = Fold { of: &of, splits: &splits };
            let found = parallel(blocks.len() * parts, &|place| {
                proceed(observer, &Unseen)?;
                let part = place % parts * PART..permutations.min((place % parts + 1) * PART);
                self.permuted(&fold, blocks[place / parts], &units, part)
            })?;
            for (place, found) in found.iter().enumerate() {
                let (first, width) = (place / parts * BLOCK, blocks[place / parts].len());
                for (permutation, found) in (place % parts * PART..).zip(found.chunks_exact(width)) {
                    let sums = &mut sums[permutation * targets + first..][..width];
                    sums.iter_mut().zip(found).for_each(|(sum, r)| *sum += r / outer.len() as f64);
                }
            }
        }
        Ok(sums)
    }

    /// r of some targets in some permutations, `[permutations, targets]`.
    fn permuted(&self, fold: &Fold, targets: &[usize], units: &Vec<Groups>, part: Range<usize>) -> Result<Vec<f64>> {
        let rows = self.table.rows.len();
        let values = self.table.targets(&(0..rows).collect::<Vec<_>>(), targets);
        let mut found = Vec::with_capacity(part.len() * targets.len());
        for number in part {
            let order = order(units, rows, self.seed, number);
            let of = |some: &[usize]| -> Vec<f64> {
                values.chunks_exact(rows).flat_map(|target| some.iter().map(|&row| target[order[row] as usize])).collect()
            };
            let mut chosen = Chosen::none(targets.len(), self.penalties.len());
            let mut errors = vec![0.0; self.penalties.len() * targets.len()];
            for (of_split, split) in fold.of.iter().zip(fold.splits) {
                let (mut fitted, mut predicted) = (of(&split.fitted), of(&split.predicted));
                let means = centre(&mut fitted, split.fitted.len());
                let along = of_split.along(&fitted)?;
                let is_last = std::ptr::eq(split, &fold.splits[fold.splits.len() - 1]);
                if !is_last {
                    add(&mut predicted, split.predicted.len(), means.iter().map(|mean| -mean));
                    let own = choose::left_out(of_split, self.penalties, &along, &predicted)?;
                    errors.iter_mut().zip(own).for_each(|(error, own)| *error += own);
                    continue;
                }
                match choose::of_fitted(self.choice, of_split, self.penalties, &along, &fitted)? {
                    Some(own) => chosen.improve(0, &own),
                    None if fold.of.len() > 1 => chosen.improve(0, &errors),
                    None => {}
                }
                let mut fit = vec![0.0; predicted.len()];
                let penalty = |target: usize| self.penalties[usize::from(chosen.penalty[target])];
                of_split.predict(&along, penalty, &mut fit)?;
                let pairs = predicted.chunks_exact(split.predicted.len()).zip(fit.chunks_exact(split.predicted.len()));
                found
                    .extend(pairs.map(|(truth, fit)| Some(score(truth, fit).correlation).filter(|r| !r.is_nan()).unwrap_or(0.0)));
            }
        }
        Ok(found)
    }
}

/// What is decomposed of a fold: the splits within what is fitted, and the fold itself at the end.
struct Fold<'a> {
    of: &'a [Decomposed],
    splits: &'a [Split],
}

/// Steps that are no progress of the whole.
struct Unseen;

impl Progress for Unseen {
    fn at(&self, _done: u64, _total: Option<u64>) {}

    fn add(&self, _units: u64) {}
}
