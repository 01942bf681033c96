//! The loop over folds: a penalty is chosen for each target in the rows that are fitted, and the others are predicted. Only a block of
//! targets is in memory at a time.

use super::choose::{self, Choice};
use super::design::{Design, Space, Standardise};
use super::folds::{Groups, Split, splits, within};
use super::predictions::Predictions;
use super::responses::Table;
use super::ridge::Decomposed;
use crate::observer::{Observer, Progress, Stopped};
use crate::parallel::{on_threads, parallel};
use anyhow::Result;

/// What is fitted, and how.
pub(super) struct Fitting<'a> {
    pub(super) table: Table<'a>,
    /// The condition of each row.
    pub(super) condition_of: &'a [usize],
    /// The targets that can be fitted, ascending.
    pub(super) targets: &'a [usize],
    pub(super) groups: &'a Groups,
    pub(super) standardise: Standardise,
    pub(super) choice: Choice,
    pub(super) penalties: &'a [f64],
    /// The weights of the spaces that are tried, `[draws][spaces]`.
    pub(super) draws: &'a [Vec<f64>],
    /// Of the rows that are fitted, to choose a penalty.
    pub(super) folds: usize,
    pub(super) seed: u64,
    /// How many decompositions fit into memory.
    pub(super) at_once: usize,
}

/// What was chosen for each target in a fold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    pub(super) penalty: Vec<u16>,
    pub(super) draw: Vec<u16>,
    error: Vec<f64>,
}

/// Targets that are fitted at once.
pub(super) const BLOCK: usize = 512;

impl Fitting<'_> {
    /// Predicts all splits; what was chosen in each.
    pub(super) fn run(
        &self,
        spaces: &[Space],
        outer: &[Split],
        into: &Predictions,
        observer: &dyn Observer,
        progress: &dyn Progress,
    ) -> Result<Vec<Chosen>> {
        let fold = |(number, split): (usize, &Split)| {
            let design = Design::new(spaces, self.standardise, &self.conditions(&split.fitted))?;
            let (chosen, last) = self.choose(&design, split, number + 1, observer, progress)?;
            self.predict(&design, split, &chosen, last, into, number)?;
            Ok(chosen)
        };
        outer.iter().enumerate().map(fold).collect()
    }

    fn conditions(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.condition_of[row]).collect()
    }

    /// Of the rows `split.fitted`; and the decomposition of these, if it was made.
    fn choose(
        &self,
        design: &Design,
        split: &Split,
        round: usize,
        observer: &dyn Observer,
        progress: &dyn Progress,
    ) -> Result<(Chosen, Option<Decomposed>)> {
        let mut chosen = Chosen {
            penalty: vec![0; self.targets.len()],
            draw: vec![0; self.targets.len()],
            error: vec![f64::INFINITY; self.targets.len()],
        };
        let nothing_to_choose = self.penalties.len() * self.draws.len() == 1;
        let inner = match self.choice {
            Choice::Folds if !nothing_to_choose => splits(&within(self.groups, &split.fitted), self.folds, self.seed, round),
            _ => Vec::new(),
        };
        let mut last = None;
        for (number, weights) in self.draws.iter().enumerate() {
            if let Some(reason) = observer.stopped() {
                return Err(Stopped(reason).into());
            }
            progress.add(1);
            if nothing_to_choose {
                return Ok((chosen, None));
            }
            let mut errors = vec![0.0; self.penalties.len() * self.targets.len()];
            let all: Vec<&Split> = inner.iter().chain([split].into_iter().filter(|_| self.draws.len() == 1 || inner.is_empty())).collect();
            for (first, some) in (0..).step_by(self.at_once).zip(all.chunks(self.at_once)) {
                let mut of: Vec<Decomposed> = on_threads(self.at_once.min(cores()), some.len(), &|place| {
                    let Split { fitted, predicted } = some[place];
                    Decomposed::new(design, weights, &self.conditions(fitted), &self.conditions(predicted))
                })?;
                let judged = if inner.is_empty() { some.len() } else { some.len().min(inner.len().saturating_sub(first)) };
                self.add_errors(&of[..judged], &some[..judged], &mut errors)?;
                if std::ptr::eq(some[some.len() - 1], split) {
                    last = of.pop();
                }
            }
            chosen.improve(number, &errors, inner.len().max(1) as f64);
        }
        Ok((chosen, last.filter(|_| self.draws.len() == 1)))
    }

    /// Adds the errors of what was decomposed, in the order of the splits.
    fn add_errors(&self, of: &[Decomposed], splits: &[&Split], errors: &mut [f64]) -> Result<()> {
        let blocks: Vec<&[usize]> = self.targets.chunks(BLOCK).collect();
        let one = |place: usize| {
            let (split, targets) = (splits[place / blocks.len()], blocks[place % blocks.len()]);
            let of = &of[place / blocks.len()];
            let (mut fitted, n) = (self.table.targets(&split.fitted, targets), split.fitted.len());
            let means = centre(&mut fitted, n);
            match self.choice {
                Choice::Folds => {
                    let mut left_out = self.table.targets(&split.predicted, targets);
                    let rows = left_out.chunks_exact_mut(split.predicted.len());
                    rows.zip(&means).for_each(|(target, mean)| target.iter_mut().for_each(|value| *value -= mean));
                    choose::left_out(of, self.penalties, &fitted, &left_out)
                }
                Choice::LeaveOneOut => choose::one_by_one(of, self.penalties, &fitted, n),
                Choice::Generalised => choose::generalised(of, self.penalties, &fitted, n),
            }
        };
        let found = parallel(splits.len() * blocks.len(), &one)?;
        for (place, found) in found.iter().enumerate() {
            let (first, width) = (place % blocks.len() * BLOCK, blocks[place % blocks.len()].len());
            for (penalty, found) in found.chunks_exact(width).enumerate() {
                let errors = &mut errors[penalty * self.targets.len() + first..][..width];
                errors.iter_mut().zip(found).for_each(|(error, found)| *error += found);
            }
        }
        Ok(())
    }

    fn predict(
        &self,
        design: &Design,
        split: &Split,
        chosen: &Chosen,
        mut last: Option<Decomposed>,
        into: &Predictions,
        fold: usize,
    ) -> Result<()> {
        for (number, weights) in self.draws.iter().enumerate() {
            let places: Vec<usize> = (0..self.targets.len()).filter(|&place| usize::from(chosen.draw[place]) == number).collect();
            if places.is_empty() {
                continue;
            }
            let anew = || Decomposed::new(design, weights, &self.conditions(&split.fitted), &self.conditions(&split.predicted));
            let of = last.take().map_or_else(anew, Ok)?;
            let blocks: Vec<&[usize]> = places.chunks(BLOCK).collect();
            parallel(blocks.len(), &|block| {
                let places = blocks[block];
                let targets: Vec<usize> = places.iter().map(|&place| self.targets[place]).collect();
                let mut fitted = self.table.targets(&split.fitted, &targets);
                let means = centre(&mut fitted, split.fitted.len());
                let mut predicted = vec![0.0; targets.len() * split.predicted.len()];
                let penalty = |target: usize| self.penalties[usize::from(chosen.penalty[places[target]])];
                of.predict(&of.along(&fitted)?, penalty, &mut predicted)?;
                let rows = predicted.chunks_exact_mut(split.predicted.len());
                rows.zip(&means).for_each(|(target, mean)| target.iter_mut().for_each(|value| *value += mean));
                into.write(fold, places, &predicted)
            })?;
        }
        Ok(())
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Subtracts the mean of each target; returns the means.
fn centre(targets: &mut [f64], rows: usize) -> Vec<f64> {
    let centre = |target: &mut [f64]| {
        let mean = target.iter().sum::<f64>() / rows as f64;
        target.iter_mut().for_each(|value| *value -= mean);
        mean
    };
    targets.chunks_exact_mut(rows).map(centre).collect()
}

impl Chosen {
    /// Takes the best penalty of a draw where it is better than what was chosen before, by more than rounding.
    fn improve(&mut self, draw: usize, errors: &[f64], folds: f64) {
        let targets = self.penalty.len();
        for target in 0..targets {
            let errors = errors[target..].iter().step_by(targets).map(|error| error / folds);
            let best = errors.enumerate().filter(|(_, error)| error.is_finite()).min_by(|(_, a), (_, b)| a.total_cmp(b));
            if let Some((penalty, error)) = best.filter(|(_, error)| *error < self.error[target] - f64::EPSILON) {
                (self.penalty[target], self.draw[target], self.error[target]) = (penalty as u16, draw as u16, error);
            }
        }
    }
}
