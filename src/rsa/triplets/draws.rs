//! The bootstrap over stimuli: a judgement counts as often as its three stimuli were drawn, multiplied; so none is of two copies of
//! one stimulus.
//!
//! Sixteen draws lie side by side. All numbers are whole and small, so that float32 rounds none of their sums.
#![allow(unsafe_code)] // the processor's vectors, asked for before

use super::judgements::Judgement;
use super::score::FULL;
use crate::observer::{Observer, Stopped};
use crate::parallel::parallel;
use crate::rsa::bootstrap::enough;
use crate::rsa::random::{Purpose, generator, multiplicities};
use anyhow::Result;

/// Draws that lie side by side.
const LANES: usize = 16;

/// Layers that are weighed with each other, and beside them the weights themselves.
pub(super) const TOGETHER: usize = 3;
const SUMS: usize = TOGETHER + 1;

/// Judgements of one stimulus that are added up in float32.
const RUN: usize = 4096;

/// Draws of as many stimuli as there are, with replacement.
#[derive(Clone, Copy)]
pub(super) struct Draws {
    pub(super) stimuli: usize,
    pub(super) draws: usize,
    pub(super) seed: u64,
}

impl Draws {
    /// How often each stimulus comes in sixteen draws.
    fn counts(self, block: usize) -> Vec<[f32; LANES]> {
        let mut counts = vec![[0.0; LANES]; self.stimuli];
        for lane in 0..LANES.min(self.draws - block * LANES) {
            let mut random = generator(self.seed, Purpose::Bootstrap, block * LANES + lane);
            let drawn = enough(|| multiplicities(self.stimuli, &mut random));
            counts.iter_mut().zip(drawn).for_each(|(counts, count)| counts[lane] = count as f32);
        }
        counts
    }

    /// Of each layer, of which these are the credits of the sorted judgements, the accuracy in all draws; NaN in one that has no
    /// judgement. There are at most [`TOGETHER`].
    pub(super) fn accuracies(self, judgements: &[Judgement], layers: &[&[u8]], observer: &dyn Observer) -> Result<Vec<Vec<f64>>> {
        let credits: Vec<[f32; SUMS]> = (0..judgements.len())
            .map(|k| {
                let of_layer = |layer: usize| layers.get(layer).map_or(FULL, |credits| credits[k]);
                std::array::from_fn(|layer| f32::from(of_layer(layer)))
            })
            .collect();
        let blocks = parallel(self.draws.div_ceil(LANES), &|block| match observer.stopped() {
            Some(reason) => Err(Stopped(reason).into()),
            None => Ok(weighed(judgements, &credits, &self.counts(block))),
        })?;
        let accuracy = |sums: &Sums, layer: usize, lane: usize| sums[layer][lane] / sums[TOGETHER][lane];
        let all = |layer: usize| blocks.iter().flat_map(move |sums| (0..LANES).map(move |lane| accuracy(sums, layer, lane)));
        Ok((0..layers.len()).map(|layer| all(layer).take(self.draws).collect()).collect())
    }
}

/// Of each layer in each draw the sum of weighted credits, and last that of the weights.
type Sums = [[f64; LANES]; SUMS];

fn weighed(judgements: &[Judgement], credits: &[[f32; SUMS]], counts: &[[f32; LANES]]) -> Sums {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has these.
        return unsafe { weighed_by_vectors(judgements, credits, counts) };
    }
    weighed_by(judgements, credits, counts)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn weighed_by_vectors(judgements: &[Judgement], credits: &[[f32; SUMS]], counts: &[[f32; LANES]]) -> Sums {
    weighed_by(judgements, credits, counts)
}

#[inline(always)]
fn weighed_by(judgements: &[Judgement], credits: &[[f32; SUMS]], counts: &[[f32; LANES]]) -> Sums {
    let mut all = Sums::default();
    let mut first = 0;
    while first < judgements.len() {
        let [stimulus, ..] = judgements[first].stimuli();
        let same = judgements[first..].iter().take(RUN).take_while(|judgement| judgement.stimuli()[0] == stimulus).count();
        let run = first..first + same;
        let sums = sums(&judgements[run.clone()], &credits[run.clone()], counts);
        for (all, sums) in all.iter_mut().zip(sums) {
            for lane in 0..LANES {
                all[lane] += f64::from(sums[lane]) * f64::from(counts[stimulus][lane]);
            }
        }
        first = run.end;
    }
    all
}

/// Those of judgements with the same first stimulus, which is left out.
#[inline(always)]
fn sums(judgements: &[Judgement], credits: &[[f32; SUMS]], counts: &[[f32; LANES]]) -> [[f32; LANES]; SUMS] {
    let mut sums = [[0.0; LANES]; SUMS];
    for (judgement, credits) in judgements.iter().zip(credits) {
        let [_, one, other] = judgement.stimuli();
        let (one, other) = (&counts[one], &counts[other]);
        for lane in 0..LANES {
            let weight = one[lane] * other[lane];
            for layer in 0..SUMS {
                sums[layer][lane] += weight * credits[layer];
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observer::Silent;

    #[test]
    fn accuracies_are_weighted_by_how_often_all_three_were_drawn() {
        let n = 40;
        let judged = |k: usize| [k * 7 % n, (k * 7 + 1 + k % 13) % n, (k * 7 + 20 + k % 11) % n];
        let mut judgements: Vec<Judgement> = (0..9000).map(|k| Judgement::new(judged(k))).collect();
        judgements.sort_unstable();
        let credits: Vec<Vec<u8>> = (2..4).map(|step| (0..9000).map(|k| [0, 2, 3, 6][k * step / 5 % 4]).collect()).collect();
        let layers: Vec<&[u8]> = credits.iter().map(Vec::as_slice).collect();
        let draws = Draws { stimuli: n, draws: 37, seed: 5 };
        let found = draws.accuracies(&judgements, &layers, &Silent).unwrap();
        assert_eq!((found.len(), found[0].len()), (2, 37));
        for (draw, layer) in [(0, 0), (15, 1), (16, 0), (36, 1)] {
            let mut random = generator(5, Purpose::Bootstrap, draw);
            let counts = multiplicities(n, &mut random);
            let weight = |judgement: &Judgement| judgement.stimuli().iter().map(|&i| f64::from(counts[i])).product::<f64>();
            let all: f64 = judgements.iter().map(weight).sum();
            let right: f64 = judgements.iter().zip(layers[layer]).map(|(of, &credit)| weight(of) * f64::from(credit)).sum();
            assert_eq!(found[layer][draw], right / (6.0 * all));
        }
    }
}
