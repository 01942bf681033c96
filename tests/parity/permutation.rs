//! The permutation test against all permutations, one by one.

use thingsvision::rsa::{Analysis, Comparison, ModelRdm, TargetRdm, permute};

fn analysis(comparison: Comparison, n: usize) -> Analysis {
    let pairs = |k: u64| -> Vec<f64> { (0..(n * (n - 1) / 2) as u64).map(|i| ((i * i * k + i * 7 + k) % 23) as f64).collect() };
    let model = |k: u64| ModelRdm { model: k.to_string(), layer: String::new(), pairs: pairs(k) };
    let target = |k: u64| TargetRdm { name: k.to_string(), kind: "fmri", subjects: vec![pairs(k), pairs(k + 1)] };
    Analysis {
        comparison,
        stimuli: n,
        controls: Vec::new(),
        models: vec![model(3), model(5)],
        targets: vec![target(3), target(11)],
    }
}

/// All orders of 0 … n − 1, the identity first.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let with_last = |shorter: Vec<usize>| (0..n).rev().map(move |at| [&shorter[..at], &[n - 1], &shorter[at..]].concat());
    orders(n - 1).into_iter().flat_map(with_last).collect()
}

/// Every permutation, one by one, by the definition.
fn by_hand(analysis: &Analysis) -> (Vec<f64>, Vec<f64>) {
    let n = analysis.stimuli;
    let pair = |i: usize, j: usize| {
        let (i, j) = (i.min(j), i.max(j));
        i * (2 * n - i - 1) / 2 + j - i - 1
    };
    let scores = |order: &Vec<usize>| -> Vec<f64> {
        let mut moved = analysis.clone();
        for subject in moved.targets.iter_mut().flat_map(|target| &mut target.subjects) {
            let before = subject.clone();
            for i in 0..n {
                (i + 1..n).for_each(|j| subject[pair(i, j)] = before[pair(order[i], order[j])]);
            }
        }
        moved.scores().unwrap()
    };
    let orders: Vec<Vec<f64>> = orders(n).iter().map(scores).collect();
    let tests = analysis.tests();
    let mean = |test: usize| orders.iter().map(|scores| scores[test]).sum::<f64>() / orders.len() as f64;
    let means: Vec<f64> = (0..tests).map(mean).collect();
    let deviations: Vec<Vec<f64>> =
        orders.iter().map(|scores| (0..tests).map(|t| (scores[t] - means[t]).abs()).collect()).collect();
    let share = |count: usize| count as f64 / orders.len() as f64;
    let own = |t: usize| share(deviations.iter().filter(|d| d[t] >= deviations[0][t] - 1e-9).count());
    // Each test in units of its spread.
    let spread = |t: usize| (deviations.iter().map(|d| d[t] * d[t]).sum::<f64>() / orders.len() as f64).sqrt();
    let spreads: Vec<f64> = (0..tests).map(spread).collect();
    let largest = |d: &Vec<f64>| d.iter().zip(&spreads).map(|(d, spread)| d / spread).fold(0.0, f64::max);
    let any = |t: usize| share(deviations.iter().filter(|d| largest(d) >= deviations[0][t] / spreads[t] - 1e-9).count());
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
    let fast = permute(&self::analysis(Comparison::Pearson, 5), 10_000, 0).unwrap();
    assert_ne!(permuted.p, fast.p);
    assert!(permuted.p.iter().all(|p| (1.0 / 120.0..=1.0).contains(p)), "{permuted:?}");
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
