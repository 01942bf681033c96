//! The permutation test: how high scores are when the stimuli of the targets are relabelled at random, rows and columns
//! together (Mantel 1967; Kriegeskorte et al. 2008).
//!
//! Every permutation is used for all models and targets at once, so the largest deviation over all tests in each has
//! the distribution by which p-values are corrected for their number. Before that each is divided by its test's spread
//! over the permutations, for else the test of the widest spread would decide for all (Nichols & Holmes 2002).

use super::Analysis;
use super::clusters::{Cluster, clusters, largest_mass};
use super::random::{Purpose, generator, shuffled};
use super::relabel::Relabelled;
use crate::parallel::parallel;
use anyhow::Result;
use std::ops::Range;

/// How far two numbers that are the same but for the order of a sum may differ.
const SAME: f64 = 1e-12;

/// Permutations of a target that are multiplied with the models together.
const TOGETHER: usize = 32;

/// What the permutations said.
#[derive(Debug, Clone, PartialEq)]
pub struct Permuted {
    /// How many there were, beside the labels as they are.
    pub permutations: usize,
    /// Whether these were all there are.
    pub exhaustive: bool,
    /// Of each test, two-sided: the share of permutations (with the labels as they are) under which the score is as far
    /// from its mean over all permutations.
    pub p: Vec<f64>,
    /// The same for the largest deviation of all tests, each in units of its spread over the permutations.
    pub family: Vec<f64>,
    /// The clusters over time, each with its p: the share of permutations with one of as large a mass anywhere.
    pub(super) clusters: Vec<(Cluster, f64)>,
    /// How far each score is from its mean over all permutations, and the root of the mean square of that over them.
    pub(super) observed: Vec<f64>,
    pub(super) spreads: Vec<f64>,
}

/// Tests that are corrected for their number together; those of a chain are side by side in time.
#[derive(Debug, Clone, Default)]
pub(super) struct Family {
    pub(super) tests: usize,
    /// By their numbers in the family.
    pub(super) chains: Vec<Vec<usize>>,
}

impl Permuted {
    /// The smallest p that this many permutations can give.
    pub fn smallest(&self) -> f64 {
        1.0 / (self.permutations + 1) as f64
    }
}

/// Tests every score of `analysis` by `wanted` permutations, or by all n! − 1 if these are not more.
pub fn permute(analysis: &Analysis, wanted: usize, seed: u64) -> Result<Permuted> {
    let relabelled = Relabelled::new(analysis)?;
    let family = Family { tests: analysis.tests(), chains: analysis.chains() };
    let tested = test(analysis.stimuli, wanted, seed, &[family], &|orders| relabelled.deviations(orders))?;
    Ok(tested.into_iter().next().expect("one family"))
}

/// How far the scores of tests are from their means under each order of the stimuli, `[orders, tests]`.
pub(super) type Deviations<'a> = &'a (dyn Fn(&[Vec<u32>]) -> Result<Vec<f64>> + Sync);

/// Tests anything that is scored on `n` stimuli, in families, each of which is corrected for its own tests.
pub(super) fn test(n: usize, wanted: usize, seed: u64, families: &[Family], deviations: Deviations) -> Result<Vec<Permuted>> {
    let all = factorial(n).map(|all| all - 1).filter(|&all| all <= wanted);
    let permutations = all.unwrap_or(wanted);
    let order = |draw: usize| match all {
        Some(_) => numbered(n, draw + 1),
        None => shuffled(n, &mut generator(seed, Purpose::Permutation, draw)),
    };
    let identity: Vec<u32> = (0..n as u32).collect();
    let observed = deviations(&[identity])?;
    let blocks = parallel(permutations.div_ceil(TOGETHER), &|block| {
        let draws = block * TOGETHER..permutations.min((block + 1) * TOGETHER);
        let orders: Vec<Vec<u32>> = draws.map(order).collect();
        deviations(&orders)
    })?;
    let mut first = 0;
    let family = |family: &Family| {
        let range = first..first + family.tests;
        first += family.tests;
        let counts = Counts::of(&blocks, &observed, range.clone(), &family.chains);
        let share = |&count: &usize| (count + 1) as f64 / (permutations + 1) as f64;
        let shares = |counts: &[usize]| -> Vec<f64> {
            let p = counts.iter().map(share).zip(&observed[range.clone()]);
            p.map(|(p, observed)| if observed.is_nan() { f64::NAN } else { p }).collect()
        };
        let clusters = counts.clusters.iter().map(|(cluster, count)| (cluster.clone(), share(count))).collect();
        let (p, of_family) = (shares(&counts.own), shares(&counts.largest));
        Permuted {
            permutations,
            exhaustive: all.is_some(),
            p,
            family: of_family,
            clusters,
            observed: observed[range].to_vec(),
            spreads: counts.spreads,
        }
    };
    Ok(families.iter().map(family).collect())
}

/// How often a deviation was as large as the observed one of each test, and the mass of a cluster as large as each observed one.
struct Counts {
    own: Vec<usize>,
    largest: Vec<usize>,
    clusters: Vec<(Cluster, usize)>,
    spreads: Vec<f64>,
}

impl Counts {
    /// Of a family among blocks of deviations `[permutations, tests]`.
    fn of(blocks: &[Vec<f64>], observed: &[f64], family: Range<usize>, chains: &[Vec<usize>]) -> Counts {
        let all = observed.len();
        let (observed, tests) = (&observed[family.clone()], family.len());
        let permuted = || blocks.iter().flat_map(|block| block.chunks_exact(all)).map(|row| &row[family.clone()]);
        // The labels as they are count as one, so that no permutation differs from the others in its part of the spread.
        let spreads: Vec<f64> = (0..tests).map(|test| spread(permuted().chain([observed]).map(|far| far[test]))).collect();
        let in_spreads = |deviations: &[f64], test: usize| standard(deviations[test], spreads[test]);
        let of_chain =
            |(number, chain): (usize, &Vec<usize>)| clusters(number, chain.iter().map(|&test| in_spreads(observed, test)));
        let of_chains = chains.iter().enumerate().flat_map(of_chain);
        let mut counts = Counts {
            own: vec![0; tests],
            largest: vec![0; tests],
            clusters: of_chains.map(|cluster| (cluster, 0)).collect(),
            spreads: spreads.clone(),
        };
        for deviations in permuted() {
            // A permutation of which there is no score counts as extreme, so that p is never too small for want of scores.
            let reached = |test: usize| if deviations[test].is_nan() { f64::INFINITY } else { deviations[test].abs() + SAME };
            let largest = (0..tests).map(|test| standard(reached(test), spreads[test])).fold(0.0, f64::max);
            for (test, observed) in observed.iter().map(|far| far.abs()).enumerate() {
                counts.own[test] += usize::from(reached(test) >= observed);
                counts.largest[test] += usize::from(largest >= standard(observed, spreads[test]));
            }
            if !chains.is_empty() {
                let mass = largest_mass(chains, |test| in_spreads(deviations, test));
                counts.clusters.iter_mut().for_each(|(cluster, count)| *count += usize::from(mass + SAME >= cluster.mass.abs()));
            }
        }
        counts
    }
}

/// The root of the mean square of the deviations of a test, of those that there are.
fn spread(deviations: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = deviations.filter(|far| !far.is_nan()).fold((0.0, 0u32), |(sum, count), far| (sum + far * far, count + 1));
    (sum / f64::from(count)).sqrt()
}

/// A deviation in units of the spread; 0 of a score that is the same under all permutations, but for rounding.
fn standard(deviation: f64, spread: f64) -> f64 {
    if spread > SAME || deviation.is_infinite() { deviation / spread } else { 0.0 }
}

/// n!, if it is small enough to matter.
fn factorial(n: usize) -> Option<usize> {
    (1..=n).try_fold(1usize, usize::checked_mul)
}

/// Order number `number` of n! orders of 0 … n − 1; number 0 is the identity.
fn numbered(n: usize, mut number: usize) -> Vec<u32> {
    let mut left: Vec<u32> = (0..n as u32).collect();
    let mut order = Vec::with_capacity(n);
    for size in (1..=n).rev() {
        order.push(left.remove(number % size));
        number /= size;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_without_a_score_counts_as_extreme() {
        let counts = Counts::of(&[vec![0.1, f64::NAN, 0.3, 0.1]], &[0.2, 0.2], 0..2, &[]);
        assert_eq!((counts.own, counts.largest), (vec![1, 1], vec![2, 2]));
    }

    #[test]
    fn a_test_of_wide_spread_does_not_decide_for_one_of_narrow_spread() {
        // The second test has a quarter of the first one's spread; the third does not vary.
        let blocks = [vec![0.2, 0.03, 0.0, 0.3, 0.02, 0.0], vec![0.1, 0.01, 0.0]];
        let counts = Counts::of(&blocks, &[0.1, 0.09, 0.0], 0..3, &[]);
        assert_eq!((counts.own, counts.largest), (vec![3, 0, 3], vec![3, 0, 3]));
        // Nor does one of another family.
        let counts = Counts::of(&blocks, &[0.1, 0.09, 0.0], 1..2, &[]);
        assert_eq!((counts.own, counts.largest), (vec![0], vec![0]));
        let spread = spread([0.3, f64::NAN, 0.4].into_iter());
        assert!((spread - 0.125f64.sqrt()).abs() < 1e-15, "{spread}");
    }

    #[test]
    fn every_order_has_one_number() {
        let orders: std::collections::BTreeSet<_> = (0..24).map(|number| numbered(4, number)).collect();
        assert_eq!(orders.len(), 24);
        assert_eq!(numbered(4, 0), [0, 1, 2, 3]);
    }
}
