//! How often the permutation test is wrong and the intervals miss, in simulated experiments. It takes a minute:
//! `cargo test --release --test simulation -- --ignored --nocapture`. The figures are in `docs/statistics.md`.
#![allow(clippy::unwrap_used)] // helpers of tests

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thingsvision::npy;
use thingsvision::observer::Silent;
use thingsvision::rsa::regression::Wanted;
use thingsvision::rsa::reweight::reweight;
use thingsvision::rsa::{Analysis, Comparison, ModelRdm, Over, Request, TargetRdm, bootstrap, holm, permute};

/// Units of a stimulus.
const UNITS: usize = 8;

/// Normal numbers as the sum of twelve uniform ones, of variance 1.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

fn patterns(n: usize, random: &mut ChaCha8Rng) -> Vec<[f64; UNITS]> {
    (0..n).map(|_| std::array::from_fn(|_| normal(random))).collect()
}

/// Squared Euclidean distances.
fn rdm(patterns: &[[f64; UNITS]]) -> Vec<f64> {
    let distance = |(i, j): (usize, usize)| patterns[i].iter().zip(&patterns[j]).map(|(a, b)| (a - b) * (a - b)).sum();
    (0..patterns.len()).flat_map(|i| (i + 1..patterns.len()).map(move |j| (i, j))).map(distance).collect()
}

fn analysis(comparison: Comparison, stimuli: usize, models: Vec<Vec<f64>>, subjects: Vec<Vec<f64>>) -> Analysis {
    let models = models.into_iter().map(|pairs| ModelRdm { model: String::new(), layer: String::new(), pairs }).collect();
    Analysis {
        comparison,
        stimuli,
        controls: Vec::new(),
        models,
        targets: vec![TargetRdm { name: String::new(), kind: "fmri", subjects }],
    }
}

/// An experiment in which the models have nothing to do with the target.
fn unrelated(comparison: Comparison, n: usize, models: usize, random: &mut ChaCha8Rng) -> Analysis {
    let target = rdm(&patterns(n, random));
    let models = (0..models).map(|_| rdm(&patterns(n, random))).collect();
    analysis(comparison, n, models, vec![target])
}

#[test]
#[ignore = "a minute long; its figures are in docs/statistics.md"]
fn the_permutation_test_is_wrong_as_often_as_it_says() {
    const EXPERIMENTS: usize = 2000;
    for comparison in [Comparison::Pearson, Comparison::Spearman, Comparison::WhitenedCosine, Comparison::KendallTauA] {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let (mut positive, mut any) = (0, 0);
        for experiment in 0..EXPERIMENTS {
            let analysis = unrelated(comparison, 20, 5, &mut random);
            let permuted = permute(&analysis, 199, experiment as u64).unwrap();
            positive += usize::from(permuted.p[0] <= 0.05);
            any += usize::from(permuted.family.iter().any(|&p| p <= 0.05));
        }
        let share = |count: usize| count as f64 / EXPERIMENTS as f64;
        println!("{}: false positives {:.3}, family-wise {:.3}", comparison.name(), share(positive), share(any));
        // 0.05 and three standard errors.
        assert!((share(positive) - 0.05).abs() < 0.015, "{}: {}", comparison.name(), share(positive));
        assert!((share(any) - 0.05).abs() < 0.015, "{}: {}", comparison.name(), share(any));
    }
}

/// Experiments with a target of one subject and one of twelve, the first of three models seen with these strengths by the
/// subjects of each: the shares with p ≤ 0.05 of the first model on each, by p, `p family` and p Holm; and with any `p family`.
fn one_beside_many(strengths: [f64; 2], experiments: usize) -> ([[f64; 2]; 3], f64) {
    const STIMULI: usize = 20;
    const MODELS: usize = 3;
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let (mut found, mut any) = ([[0; 2]; 3], 0);
    for experiment in 0..experiments {
        let shared = patterns(STIMULI, &mut random);
        let seen = |strength: f64, random: &mut ChaCha8Rng| {
            let noise = patterns(STIMULI, random);
            let of = |(shared, noise): (&[f64; UNITS], &[f64; UNITS])| {
                std::array::from_fn(|unit| strength * shared[unit] + noise[unit])
            };
            rdm(&shared.iter().zip(&noise).map(of).collect::<Vec<_>>())
        };
        let of_subjects = strengths.into_iter().zip([1, 12]).map(|(strength, subjects)| TargetRdm {
            name: String::new(),
            kind: "fmri",
            subjects: (0..subjects).map(|_| seen(strength, &mut random)).collect(),
        });
        let targets = of_subjects.collect();
        let mut models = vec![rdm(&shared)];
        models.extend((1..MODELS).map(|_| rdm(&patterns(STIMULI, &mut random))));
        let analysis = Analysis { targets, ..analysis(Comparison::Pearson, STIMULI, models, Vec::new()) };
        let permuted = permute(&analysis, 199, experiment as u64).unwrap();
        for (found, p) in found.iter_mut().zip([&permuted.p, &permuted.family, &holm(&permuted.p)]) {
            found.iter_mut().zip([p[0], p[MODELS]]).for_each(|(found, p)| *found += usize::from(p <= 0.05));
        }
        any += usize::from(permuted.family.iter().any(|&p| p <= 0.05));
    }
    let share = |count: usize| count as f64 / experiments as f64;
    (found.map(|found| found.map(share)), share(any))
}

#[test]
#[ignore = "half a minute long; its figures are in docs/statistics.md"]
fn a_target_of_one_subject_takes_no_power_from_one_of_many() {
    let (_, any) = one_beside_many([0.0, 0.0], 2000);
    println!("one subject beside twelve: family-wise {any:.3}");
    assert!((any - 0.05).abs() < 0.015, "{any}");
    let ([p, family, holm], _) = one_beside_many([0.8, 0.35], 1000);
    println!("found with one subject and with twelve: p {p:?}, p family {family:?}, p Holm {holm:?}");
    for target in 0..2 {
        assert!(family[target] > holm[target] - 0.05 && family[target] > p[target] - 0.25, "{family:?}");
    }
}

/// What a new experiment samples: stimuli, subjects, or both, from a population that is simulated once.
struct Population {
    patterns: Vec<[f64; UNITS]>,
    /// The weight of each unit in each subject.
    subjects: Vec<[f64; UNITS]>,
    model: [f64; UNITS],
}

impl Population {
    const STIMULI: usize = 30;
    const SUBJECTS: usize = 12;
    const ALL_STIMULI: usize = 1500;
    const ALL_SUBJECTS: usize = 60;

    fn new(random: &mut ChaCha8Rng) -> Population {
        let weights = |random: &mut ChaCha8Rng| std::array::from_fn(|unit| 1.0 / (1.0 + unit as f64) + 0.4 * normal(random));
        let subjects = (0..Self::ALL_SUBJECTS).map(|_| weights(random)).collect();
        let model = std::array::from_fn(|unit| 1.0 / (1.0 + unit as f64));
        Population { patterns: patterns(Self::ALL_STIMULI, random), subjects, model }
    }

    fn seen(patterns: &[[f64; UNITS]], weights: &[f64; UNITS]) -> Vec<f64> {
        rdm(&patterns.iter().map(|pattern| std::array::from_fn(|unit| pattern[unit] * weights[unit])).collect::<Vec<_>>())
    }

    fn experiment(&self, patterns: &[[f64; UNITS]], subjects: &[[f64; UNITS]]) -> Analysis {
        let of_subjects = subjects.iter().map(|weights| Self::seen(patterns, weights)).collect();
        analysis(Comparison::Pearson, patterns.len(), vec![Self::seen(patterns, &self.model)], of_subjects)
    }
}

fn sample<T: Clone>(all: &[T], count: usize, random: &mut ChaCha8Rng) -> Vec<T> {
    let mut left: Vec<usize> = (0..all.len()).collect();
    (0..count).map(|_| all[left.swap_remove(random.random_range(0..left.len()))].clone()).collect()
}

#[test]
#[ignore = "a minute long; its figures are in docs/statistics.md"]
fn intervals_hold_the_score_of_the_population() {
    const EXPERIMENTS: usize = 2000;
    for over in [Over::Stimuli, Over::Subjects, Over::Both] {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let population = Population::new(&mut random);
        let (fixed_stimuli, fixed_subjects) = (
            sample(&population.patterns, Population::STIMULI, &mut random),
            sample(&population.subjects, Population::SUBJECTS, &mut random),
        );
        let (stimuli, subjects) = match over {
            Over::Stimuli => (&population.patterns, &fixed_subjects),
            Over::Subjects => (&fixed_stimuli, &population.subjects),
            Over::Both => (&population.patterns, &population.subjects),
        };
        let truth = population.experiment(stimuli, subjects).scores().unwrap()[0];
        let mut covered = 0;
        for experiment in 0..EXPERIMENTS {
            let drawn = |all: &Vec<[f64; UNITS]>, count: usize, random: &mut ChaCha8Rng| {
                if all.len() > count { sample(all, count, random) } else { all.clone() }
            };
            let stimuli = drawn(stimuli, Population::STIMULI, &mut random);
            let subjects = drawn(subjects, Population::SUBJECTS, &mut random);
            let analysis = population.experiment(&stimuli, &subjects);
            let drawn = bootstrap(&analysis, over, 500, experiment as u64).unwrap();
            let [low, high] = drawn.interval(0, analysis.scores().unwrap()[0]).unwrap();
            covered += usize::from((low..=high).contains(&truth));
        }
        let share = covered as f64 / EXPERIMENTS as f64;
        println!("over {over:?}: {share:.3} of the 95 % intervals hold the true score {truth:.3}");
        assert!((0.90..=0.98).contains(&share), "{over:?}: {share}");
    }
}

/// The mean of numbers, and its standard error.
fn mean_and_error(values: &[f64]) -> [f64; 2] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    [mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt()]
}

/// `[unweighted, reweighted]` scores of `units` units with a target that sees `seen` of them, and noise.
fn reweighted(stimuli: usize, units: usize, seen: usize, random: &mut ChaCha8Rng) -> [f64; 2] {
    let folder = tempfile::tempdir().unwrap();
    let features = ndarray::Array2::from_shape_fn((stimuli, units), |_| normal(random));
    let mut target = ndarray::Array2::zeros((stimuli, stimuli));
    for i in 0..stimuli {
        for j in i + 1..stimuli {
            let apart: f64 = (0..seen).map(|unit| f64::powi(features[[i, unit]] - features[[j, unit]], 2)).sum();
            target[[i, j]] = 20.0 + apart + normal(random) * if seen == 0 { 1.0 } else { (8.0 * seen as f64).sqrt() };
            target[[j, i]] = target[[i, j]];
        }
    }
    let [x, y] = ["x.npy", "y.npy"].map(|name| folder.path().join(name));
    npy::write(&x, &features.into_dyn()).unwrap();
    npy::write(&y, &target.into_dyn()).unwrap();
    let request = Request {
        models: vec![x],
        behavior: vec![y.display().to_string()],
        regression: Wanted { reweight: true, ..Wanted::default() },
        ..Request::default()
    };
    let rows = reweight(&request, &Silent).unwrap().rows;
    [rows[0].unweighted, rows[0].reweighted].map(Option::unwrap)
}

#[test]
#[ignore = "minutes long; its figures are in docs/statistics.md"]
fn reweighted_scores_are_0_without_a_relation_and_near_the_truth_with_one() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    for (units, seen, experiments) in [(20, 3, 40), (100, 3, 40), (20, 0, 300), (600, 0, 40)] {
        let all: Vec<[f64; 2]> = (0..experiments).map(|_| reweighted(40, units, seen, &mut random)).collect();
        let of = |number: usize| mean_and_error(&all.iter().map(|scores| scores[number]).collect::<Vec<_>>());
        let [[plain, error], [reweighted, own_error]] = [0, 1].map(of);
        println!("{units} units, {seen} seen: unweighted {plain:.3} ± {error:.3}, reweighted {reweighted:.3} ± {own_error:.3}");
        match seen {
            0 => assert!(reweighted.abs() < 4.0 * own_error),
            _ => assert!(reweighted > plain),
        }
    }
}
