//! The loop over folds: a penalty is chosen for each target in the rows that are fitted, and the others are predicted. Only a block of
//! targets is in memory at a time.

use super::choose::{self, Choice};
use super::design::{Design, Space, Standardise};
use super::folds::{Groups, Split, splits, within};
use super::pls::Components;
use super::predictions::Predictions;
use super::responses::Table;
use super::ridge::Decomposed;
use crate::gemm::{Block, multiply};
use crate::observer::{Observer, Progress, Stopped};
use crate::parallel::{on_threads, parallel};
use anyhow::{Context, Result};

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
    /// Of partial least squares instead of ridge, how many.
    pub(super) components: Option<usize>,
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

/// A fold that is predicted: where its predictions go.
struct Turn<'a> {
    number: usize,
    split: &'a Split,
    into: &'a Predictions,
}

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
        let nothing_is_left_out = self.choice != Choice::Folds || self.penalties.len() == 1 || self.components.is_some();
        let fold = |(number, split): (usize, &Split)| {
            let turn = Turn { number, split, into };
            let design = Design::new(spaces, self.standardise, &self.conditions(&split.fitted))?;
            if self.draws.len() == 1 && nothing_is_left_out {
                proceed(observer, progress)?;
                let of = self.decomposed(&design, &self.draws[0], split)?;
                return match self.components {
                    Some(components) => self.components(&turn, &of, components),
                    None => self.choose_and_predict(&turn, &of),
                };
            }
            let (chosen, last) = self.choose(&design, split, number + 1, observer, progress)?;
            self.predict(&design, &turn, &chosen, last)?;
            Ok(chosen)
        };
        outer.iter().enumerate().map(fold).collect()
    }

    /// The best weighting of the spaces, and penalty, for each target; and the decomposition of all that is fitted, if it is at hand.
    pub(super) fn choose(
        &self,
        design: &Design,
        split: &Split,
        round: usize,
        observer: &dyn Observer,
        progress: &dyn Progress,
    ) -> Result<(Chosen, Option<Decomposed>)> {
        let mut chosen = Chosen::none(self.targets.len(), self.penalties.len());
        let mut last = None;
        for (draw, weights) in self.draws.iter().enumerate() {
            proceed(observer, progress)?;
            let (errors, decomposed) = self.errors(design, weights, split, round)?;
            chosen.improve(draw, &errors);
            last = decomposed;
        }
        Ok((chosen, last.filter(|_| self.draws.len() == 1)))
    }

    pub(super) fn decomposed(&self, design: &Design, weights: &[f64], Split { fitted, predicted }: &Split) -> Result<Decomposed> {
        // On several threads sums might be formed in another order.
        let mut of =
            on_threads(1, 1, &|_| Decomposed::new(design, weights, &self.conditions(fitted), &self.conditions(predicted)))?;
        of.pop().context("it was made")
    }

    pub(super) fn conditions(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.condition_of[row]).collect()
    }

    /// Those of the rows that are fitted, by whose errors a penalty is chosen, if these are left out; then the split itself.
    pub(super) fn splits(&self, split: &Split, round: usize) -> Vec<Split> {
        let mut all = match self.choice {
            Choice::Folds if self.penalties.len() * self.draws.len() > 1 => {
                splits(&within(self.groups, &split.fitted), self.folds, self.seed, round)
            }
            _ => Vec::new(),
        };
        all.push(split.clone());
        all
    }

    /// The errors `[penalties, targets]` of a weighting of the spaces; and, of folds, the decomposition of all that is fitted, if only one
    /// weighting is tried.
    fn errors(&self, design: &Design, weights: &[f64], split: &Split, round: usize) -> Result<(Vec<f64>, Option<Decomposed>)> {
        let mut splits_of = self.splits(split, round);
        if splits_of.len() > 1 && self.draws.len() > 1 {
            splits_of.pop();
        }
        let judged = splits_of.len() - usize::from(splits_of.len() > 1 && self.draws.len() == 1);
        let mut errors = vec![0.0; self.penalties.len() * self.targets.len()];
        let mut last = None;
        for (first, some) in (0..).step_by(self.at_once).zip(splits_of.chunks(self.at_once)) {
            let mut of =
                on_threads(self.at_once.min(cores()), some.len(), &|place| self.decomposed(design, weights, &some[place]))?;
            let count = some.len().min(judged.saturating_sub(first));
            self.add_errors(&of[..count], &some[..count], &mut errors)?;
            last = of.pop();
        }
        errors.iter_mut().for_each(|error| *error /= judged as f64);
        Ok((errors, last.filter(|_| splits_of.len() > judged || self.choice != Choice::Folds)))
    }

    /// Adds the errors of what was decomposed, in the order of the splits.
    fn add_errors(&self, of: &[Decomposed], splits: &[Split], errors: &mut [f64]) -> Result<()> {
        let blocks: Vec<&[usize]> = self.targets.chunks(BLOCK).collect();
        let one = |place: usize| {
            let (split, targets) = (&splits[place / blocks.len()], blocks[place % blocks.len()]);
            let of = &of[place / blocks.len()];
            let (fitted, means) = self.fitted(split, targets);
            let along = of.along(&fitted)?;
            if let Some(errors) = choose::of_fitted(self.choice, of, self.penalties, &along, &fitted)? {
                return Ok(errors);
            }
            let mut left_out = self.table.targets(&split.predicted, targets);
            add(&mut left_out, split.predicted.len(), means.iter().map(|mean| -mean));
            choose::left_out(of, self.penalties, &along, &left_out)
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

    /// Targets less their means over the rows that are fitted, and the means.
    pub(super) fn fitted(&self, split: &Split, targets: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let mut fitted = self.table.targets(&split.fitted, targets);
        let means = centre(&mut fitted, split.fitted.len());
        (fitted, means)
    }

    /// Both of a block of targets at a time, where errors are of what is fitted itself, or there is nothing to choose.
    fn choose_and_predict(&self, turn: &Turn, of: &Decomposed) -> Result<Chosen> {
        let blocks: Vec<&[usize]> = self.targets.chunks(BLOCK).collect();
        let found = parallel(blocks.len(), &|block| {
            let (fitted, means) = self.fitted(turn.split, blocks[block]);
            let along = of.along(&fitted)?;
            let mut chosen = Chosen::none(means.len(), self.penalties.len());
            if let Some(errors) = choose::of_fitted(self.choice, of, self.penalties, &along, &fitted)? {
                chosen.improve(0, &errors);
            }
            let places: Vec<usize> = (block * BLOCK..block * BLOCK + means.len()).collect();
            self.predict_block(turn, of, &along, &means, &chosen.penalty, &places)?;
            Ok(chosen)
        })?;
        let mut all = Chosen::none(0, self.penalties.len());
        for Chosen { penalty, draw, error } in found {
            all.penalty.extend(penalty);
            all.draw.extend(draw);
            all.error.extend(error);
        }
        Ok(all)
    }

    /// Partial least squares: the targets are read twice, for what they have in common, and to be predicted.
    fn components(&self, turn: &Turn, of: &Decomposed, count: usize) -> Result<Chosen> {
        let (axes, blocks) = (of.lengths.len(), self.targets.chunks(BLOCK).collect::<Vec<_>>());
        let mut products = vec![0.0; axes * axes];
        let mut first = Vec::new();
        for some in (0..blocks.len()).collect::<Vec<_>>().chunks(cores()) {
            let found = parallel(some.len(), &|place| {
                let (mut fitted, _) = self.fitted(turn.split, blocks[some[place]]);
                fitted.chunks_exact_mut(of.fitted_rows).for_each(|target| {
                    let length = crate::rdm::lanes::dot(target, target).sqrt();
                    target.iter_mut().for_each(|value| *value /= length);
                });
                let along = of.along(&fitted)?;
                let turned: Vec<f64> = (0..axes).flat_map(|axis| along[axis..].iter().step_by(axes).copied()).collect();
                let mut products = vec![0.0; axes * axes];
                let block = Block::new(&turned, turned.len() / axes);
                multiply(block, block, &mut products)?;
                Ok((products, along[..axes].to_vec()))
            })?;
            for (own, along) in found {
                products.iter_mut().zip(own).for_each(|(sum, product)| *sum += product);
                if first.is_empty() {
                    first = along;
                }
            }
        }
        let components = on_threads(1, 1, &|_| Components::new(of, count, products.clone(), first.clone(), self.targets.len()))?;
        let components = &components[0];
        parallel(blocks.len(), &|block| {
            let (fitted, means) = self.fitted(turn.split, blocks[block]);
            let rows = turn.split.predicted.len();
            let mut predicted = vec![0.0; means.len() * rows];
            components.predict(&of.along(&fitted)?, &mut predicted)?;
            add(&mut predicted, rows, means.iter().copied());
            let places: Vec<usize> = (block * BLOCK..block * BLOCK + means.len()).collect();
            turn.into.write(turn.number, &places, &predicted)
        })?;
        Ok(Chosen::none(self.targets.len(), 1))
    }

    fn predict(&self, design: &Design, turn: &Turn, chosen: &Chosen, mut last: Option<Decomposed>) -> Result<()> {
        for (number, weights) in self.draws.iter().enumerate() {
            let places: Vec<usize> = (0..self.targets.len()).filter(|&place| usize::from(chosen.draw[place]) == number).collect();
            if places.is_empty() {
                continue;
            }
            let of = last.take().map_or_else(|| self.decomposed(design, weights, turn.split), Ok)?;
            let blocks: Vec<&[usize]> = places.chunks(BLOCK).collect();
            parallel(blocks.len(), &|block| {
                let places = blocks[block];
                let targets: Vec<usize> = places.iter().map(|&place| self.targets[place]).collect();
                let (fitted, means) = self.fitted(turn.split, &targets);
                let penalties: Vec<u16> = places.iter().map(|&place| chosen.penalty[place]).collect();
                self.predict_block(turn, &of, &of.along(&fitted)?, &means, &penalties, places)
            })?;
        }
        Ok(())
    }

    /// Predicts and keeps some targets, with the penalty of each.
    fn predict_block(
        &self,
        turn: &Turn,
        of: &Decomposed,
        along: &[f64],
        means: &[f64],
        penalties: &[u16],
        places: &[usize],
    ) -> Result<()> {
        let rows = turn.split.predicted.len();
        let mut predicted = vec![0.0; places.len() * rows];
        of.predict(along, |target| self.penalties[usize::from(penalties[target])], &mut predicted)?;
        add(&mut predicted, rows, means.iter().copied());
        turn.into.write(turn.number, places, &predicted)
    }
}

/// A step more; fails if it is the last, for the job is to stop.
pub(super) fn proceed(observer: &dyn Observer, progress: &dyn Progress) -> Result<()> {
    progress.add(1);
    observer.stopped().map_or(Ok(()), |reason| Err(Stopped(reason).into()))
}

/// Subtracts the mean of each target; returns the means.
pub(super) fn centre(targets: &mut [f64], rows: usize) -> Vec<f64> {
    let means: Vec<f64> = targets.chunks_exact(rows).map(|target| target.iter().sum::<f64>() / rows as f64).collect();
    add(targets, rows, means.iter().map(|mean| -mean));
    means
}

/// Adds a number to all rows of each target.
pub(super) fn add(targets: &mut [f64], rows: usize, numbers: impl Iterator<Item = f64>) {
    targets.chunks_exact_mut(rows).zip(numbers).for_each(|(target, number)| target.iter_mut().for_each(|value| *value += number));
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Chosen {
    /// The largest penalty, until errors say something else.
    pub(super) fn none(targets: usize, penalties: usize) -> Chosen {
        Chosen { penalty: vec![penalties as u16 - 1; targets], draw: vec![0; targets], error: vec![f64::INFINITY; targets] }
    }

    /// Takes the best penalty of a draw where it is better than what was chosen before, by more than rounding.
    pub(super) fn improve(&mut self, draw: usize, errors: &[f64]) {
        let targets = self.penalty.len();
        for target in 0..targets {
            let errors = errors[target..].iter().step_by(targets).copied().enumerate();
            let best = errors.filter(|(_, error)| error.is_finite()).min_by(|(_, a), (_, b)| a.total_cmp(b));
            if let Some((penalty, error)) = best.filter(|(_, error)| *error < self.error[target] * (1.0 - f64::EPSILON)) {
                (self.penalty[target], self.draw[target], self.error[target]) = (penalty as u16, draw as u16, error);
            }
        }
    }
}
