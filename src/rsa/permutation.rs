//! The permutation test: how high scores are when the stimuli of the targets are relabelled at random, rows and columns
//! together (Mantel 1967; Kriegeskorte et al. 2008).
//!
//! Every permutation is used for all models and targets at once, so the largest deviation over all tests in each has
//! the distribution by which p-values are corrected for their number (Nichols & Holmes 2002).

use super::Analysis;
use super::random::{Purpose, generator, shuffled};
use super::relabel::Relabelled;
use crate::parallel::parallel;
use anyhow::Result;

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
    /// The same for the largest deviation of all tests.
    pub family: Vec<f64>,
}

impl Permuted {
    /// The smallest p that so many permutations can give.
    pub fn smallest(&self) -> f64 {
        1.0 / (self.permutations + 1) as f64
    }
}

/// Tests every score of `analysis` by `wanted` permutations, or by all n! − 1 if these are not more.
pub fn permute(analysis: &Analysis, wanted: usize, seed: u64) -> Result<Permuted> {
    let all = factorial(analysis.stimuli).map(|all| all - 1).filter(|&all| all <= wanted);
    let permutations = all.unwrap_or(wanted);
    let order = |draw: usize| match all {
        Some(_) => numbered(analysis.stimuli, draw + 1),
        None => shuffled(analysis.stimuli, &mut generator(seed, Purpose::Permutation, draw)),
    };
    let relabelled = Relabelled::new(analysis);
    let identity: Vec<u32> = (0..analysis.stimuli as u32).collect();
    let observed = relabelled.deviations(&[identity])?;
    let blocks = parallel(permutations.div_ceil(TOGETHER), &|block| {
        let draws = block * TOGETHER..permutations.min((block + 1) * TOGETHER);
        let orders: Vec<Vec<u32>> = draws.map(order).collect();
        Ok(Counts::of(&relabelled.deviations(&orders)?, &observed))
    })?;
    let mut counts = Counts::none(observed.len());
    blocks.iter().for_each(|block| counts.add(block));
    let share = |count: &[usize]| -> Vec<f64> {
        let p = count.iter().map(|&count| (count + 1) as f64 / (permutations + 1) as f64);
        p.zip(&observed).map(|(p, observed)| if observed.is_nan() { f64::NAN } else { p }).collect()
    };
    Ok(Permuted { permutations, exhaustive: all.is_some(), p: share(&counts.own), family: share(&counts.largest) })
}

/// How often a deviation was as large as the observed one of each test.
struct Counts {
    own: Vec<usize>,
    largest: Vec<usize>,
}

impl Counts {
    fn none(tests: usize) -> Counts {
        Counts { own: vec![0; tests], largest: vec![0; tests] }
    }

    /// Of `deviations` `[permutations, tests]`.
    fn of(deviations: &[f64], observed: &[f64]) -> Counts {
        let mut counts = Counts::none(observed.len());
        // A permutation of which there is no score counts as extreme, so that p is never too small for want of scores.
        let deviations: Vec<f64> = deviations.iter().map(|&far| if far.is_nan() { f64::INFINITY } else { far }).collect();
        for deviations in deviations.chunks_exact(observed.len()) {
            let largest = deviations.iter().copied().fold(0.0, f64::max);
            for (test, &observed) in observed.iter().enumerate() {
                counts.own[test] += usize::from(deviations[test] >= observed - SAME);
                counts.largest[test] += usize::from(largest >= observed - SAME);
            }
        }
        counts
    }

    fn add(&mut self, other: &Counts) {
        self.own.iter_mut().zip(&other.own).for_each(|(sum, count)| *sum += count);
        self.largest.iter_mut().zip(&other.largest).for_each(|(sum, count)| *sum += count);
    }
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

    use crate::rsa::{Comparison, ModelRdm, TargetRdm};

    fn analysis(comparison: Comparison, n: usize) -> Analysis {
        let pairs =
            |k: u64| -> Vec<f64> { (0..(n * (n - 1) / 2) as u64).map(|i| ((i * i * k + i * 7 + k) % 23) as f64).collect() };
        let model = |k: u64| ModelRdm { model: k.to_string(), layer: String::new(), pairs: pairs(k) };
        let target = |k: u64| TargetRdm { name: k.to_string(), kind: "fmri", subjects: vec![pairs(k), pairs(k + 1)] };
        Analysis { comparison, stimuli: n, models: vec![model(3), model(5)], targets: vec![target(3), target(11)] }
    }

    /// Every permutation, one by one, by the definition.
    fn by_hand(analysis: &Analysis) -> (Vec<f64>, Vec<f64>) {
        let pair = |i: usize, j: usize| {
            let (i, j) = (i.min(j), i.max(j));
            i * (2 * analysis.stimuli - i - 1) / 2 + j - i - 1
        };
        let scores = |order: &[u32]| -> Vec<f64> {
            let mut moved = analysis.clone();
            for subject in moved.targets.iter_mut().flat_map(|target| &mut target.subjects) {
                let before = subject.clone();
                for i in 0..order.len() {
                    (i + 1..order.len()).for_each(|j| subject[pair(i, j)] = before[pair(order[i] as usize, order[j] as usize)]);
                }
            }
            moved.scores().unwrap()
        };
        let orders: Vec<Vec<f64>> =
            (0..factorial(analysis.stimuli).unwrap()).map(|k| scores(&numbered(analysis.stimuli, k))).collect();
        let tests = analysis.tests();
        let mean = |test: usize| orders.iter().map(|scores| scores[test]).sum::<f64>() / orders.len() as f64;
        let means: Vec<f64> = (0..tests).map(mean).collect();
        let deviations: Vec<Vec<f64>> =
            orders.iter().map(|scores| (0..tests).map(|t| (scores[t] - means[t]).abs()).collect()).collect();
        let share = |count: usize| count as f64 / orders.len() as f64;
        let own = |t: usize| share(deviations.iter().filter(|d| d[t] >= deviations[0][t] - 1e-9).count());
        let any = |t: usize| share(deviations.iter().filter(|d| d.iter().any(|&d| d >= deviations[0][t] - 1e-9)).count());
        ((0..tests).map(own).collect(), (0..tests).map(any).collect())
    }

    #[test]
    fn all_permutations_give_the_exact_p() {
        use Comparison::{
            CkaUnbiased, Cosine, KendallTauA, KendallTauB, Pearson, RhoA, Spearman, WhitenedCorrelation, WhitenedCosine,
        };
        for comparison in
            [Pearson, Spearman, KendallTauA, KendallTauB, RhoA, Cosine, WhitenedCosine, WhitenedCorrelation, CkaUnbiased]
        {
            let analysis = analysis(comparison, 5);
            let permuted = permute(&analysis, 10_000, 0).unwrap();
            assert!(permuted.exhaustive && permuted.permutations == 119);
            assert_eq!((permuted.p, permuted.family), by_hand(&analysis), "{comparison:?}");
        }
    }

    #[test]
    fn missing_pairs_move_with_their_stimuli() {
        let mut analysis = analysis(Comparison::Pearson, 5);
        analysis.targets[1].subjects[0][2] = f64::NAN;
        analysis.models[0].pairs[7] = f64::NAN;
        let permuted = permute(&analysis, 10_000, 0).unwrap();
        let fast = permute(&super::tests::analysis(Comparison::Pearson, 5), 10_000, 0).unwrap();
        assert_ne!(permuted.p, fast.p);
        assert!(permuted.p.iter().all(|p| (1.0 / 120.0..=1.0).contains(p)), "{permuted:?}");
    }

    #[test]
    fn a_permutation_without_a_score_counts_as_extreme() {
        let counts = Counts::of(&[0.1, f64::NAN, 0.3, 0.1], &[0.2, 0.2]);
        assert_eq!((counts.own, counts.largest), (vec![1, 1], vec![2, 2]));
    }

    #[test]
    fn random_permutations_follow_the_seed_and_near_the_exact_p() {
        let analysis = analysis(Comparison::Pearson, 6);
        let exact = permute(&analysis, 719, 0).unwrap();
        let random = permute(&analysis, 718, 1).unwrap();
        assert!(exact.exhaustive && !random.exhaustive);
        assert_eq!(random, permute(&analysis, 718, 1).unwrap());
        assert_ne!(random, permute(&analysis, 718, 2).unwrap());
        assert!(exact.p.iter().zip(&random.p).all(|(exact, random)| (exact - random).abs() < 0.08), "{exact:?} {random:?}");
    }

    #[test]
    fn every_order_has_one_number() {
        let orders: std::collections::BTreeSet<_> = (0..24).map(|number| numbered(4, number)).collect();
        assert_eq!(orders.len(), 24);
        assert_eq!(numbered(4, 0), [0, 1, 2, 3]);
    }
}
