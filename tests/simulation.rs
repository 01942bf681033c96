//! How often the permutation test is wrong and the intervals miss, in simulated experiments. It takes minutes:
//! `cargo test --release --test simulation -- --ignored --nocapture`. The figures are in `docs/statistics.md`.
#![allow(clippy::unwrap_used)] // helpers of tests

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use thingsvision::encode::{self, Choice};
use thingsvision::npy;
use thingsvision::observer::Silent;
use thingsvision::rsa::regression::{TargetRow, Wanted, regress as regress_rdms};
use thingsvision::rsa::reweight::reweight;
use thingsvision::rsa::{
    Analysis, Comparison, ControlRdm, ModelRdm, Over, Request, TargetRdm, analyse, bootstrap, holm, pearson, permute,
};

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
        targets: vec![TargetRdm { name: String::new(), kind: "fmri", time: None, subjects }],
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
            time: None,
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

/// Pearson's r of x and y given z.
fn partial(x: &[f64], y: &[f64], z: &[f64]) -> f64 {
    let (xy, xz, yz) = (pearson(x, y), pearson(x, z), pearson(y, z));
    (xy - xz * yz) / ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt()
}

/// What a regression on `z` says of `y`, and what it leaves.
fn fitted(y: &[f64], z: &[f64]) -> [Vec<f64>; 2] {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (of_y, of_z) = (mean(y), mean(z));
    let spread: f64 = z.iter().map(|z| (z - of_z).powi(2)).sum();
    let slope = y.iter().zip(z).map(|(y, z)| (y - of_y) * (z - of_z)).sum::<f64>() / spread;
    let fit: Vec<f64> = z.iter().map(|z| of_y + slope * (z - of_z)).collect();
    let left = y.iter().zip(&fit).map(|(y, fit)| y - fit).collect();
    [fit, left]
}

/// The pairs of stimuli in another order.
fn relabelled(n: usize, pairs: &[f64], order: &[usize]) -> Vec<f64> {
    let place = |i: usize, j: usize| {
        let (i, j) = (i.min(j), i.max(j));
        i * (2 * n - i - 1) / 2 + j - i - 1
    };
    (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).map(|(i, j)| pairs[place(order[i], order[j])]).collect()
}

/// Patterns that are those of `shared`, `strength` times, and others of their own.
fn mixed(shared: &[[f64; UNITS]], strength: f64, random: &mut ChaCha8Rng) -> Vec<[f64; UNITS]> {
    let own = patterns(shared.len(), random);
    let of = |(shared, own): (&[f64; UNITS], &[f64; UNITS])| std::array::from_fn(|unit| strength * shared[unit] + own[unit]);
    shared.iter().zip(&own).map(of).collect()
}

/// Experiments in which model and target both have a part of the control (`control` times, of its dissimilarities or of its patterns),
/// and of each other beyond it (`beyond` times); the shares with p ≤ 0.05 when what is relabelled is what the control leaves of the
/// model (as the program does), the model itself, or what the control leaves of the target (Freedman & Lane 1983).
fn partial_tests(of_patterns: bool, control: f64, beyond: f64, experiments: usize) -> [f64; 3] {
    const STIMULI: usize = 20;
    const PERMUTATIONS: usize = 199;
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut found = [0; 3];
    for experiment in 0..experiments {
        let shared = patterns(STIMULI, &mut random);
        let (z, both) = (rdm(&shared), rdm(&patterns(STIMULI, &mut random)));
        let mut other = || -> Vec<f64> {
            let seen = rdm(&mixed(&shared, if of_patterns { control } else { 0.0 }, &mut random));
            let added = if of_patterns { 0.0 } else { control };
            let parts = seen.iter().zip(&both).zip(&z);
            parts.map(|((seen, both), z)| seen + beyond * both + added * z).collect()
        };
        let (x, y) = (other(), other());
        let observed = partial(&x, &y, &z).abs();
        let [fit, left] = fitted(&y, &z);
        let mut reached = [1; 2];
        for _ in 0..PERMUTATIONS {
            let order = sample(&(0..STIMULI).collect::<Vec<_>>(), STIMULI, &mut random);
            let freedman_lane: Vec<f64> = relabelled(STIMULI, &left, &order).iter().zip(&fit).map(|(a, b)| a + b).collect();
            let scores = [partial(&relabelled(STIMULI, &x, &order), &y, &z), partial(&x, &freedman_lane, &z)];
            reached.iter_mut().zip(scores).for_each(|(reached, score)| *reached += usize::from(score.abs() >= observed));
        }
        let controls = vec![ControlRdm { name: String::new(), pairs: z }];
        let analysis = Analysis { controls, ..analysis(Comparison::Pearson, STIMULI, vec![x], vec![y]) };
        let p = permute(&analysis, PERMUTATIONS, experiment as u64).unwrap().p[0];
        let all = [p, reached[0] as f64 / 200.0, reached[1] as f64 / 200.0];
        found.iter_mut().zip(all).for_each(|(found, p)| *found += usize::from(p <= 0.05));
    }
    found.map(|found| found as f64 / experiments as f64)
}

#[test]
#[ignore = "a minute long; its figures are in docs/statistics.md"]
fn tests_of_partial_correlations_are_wrong_as_often_as_they_say() {
    for (of_patterns, control) in [(false, 0.0), (false, 1.0), (false, 2.0), (true, 0.5), (true, 1.0), (true, 2.0)] {
        let level = partial_tests(of_patterns, control, 0.0, 2000);
        let power = partial_tests(of_patterns, control, 0.35, 1000);
        println!("of patterns {of_patterns}, control {control}: level {level:.3?}, power {power:.3?}");
        // Where patterns are added, residuals of model and target are both large for the same pairs.
        let most = if of_patterns { 0.11 } else { 0.065 };
        assert!(level.iter().all(|&level| level < most), "{level:?}");
        assert!(level[0] < level[1] + 0.01 && level[0] < level[2] + 0.01, "{level:?}");
        assert!(power[0] > power[1] - 0.05 && power[0] > power[2] - 0.05, "{power:?}");
    }
}

/// Two predictors of a target: the mean of their numbers, or their intervals.
fn regressed(folder: &Path, predictors: [&[f64]; 2], target: &[f64], bootstrap: u32, permutations: u32, seed: u64) -> TargetRow {
    let write = |name: &str, pairs: &[f64]| {
        let path = folder.join(name);
        npy::write(&path, &ndarray::Array1::from(pairs.to_vec()).into_dyn()).unwrap();
        path.display().to_string()
    };
    let regress = vec![write("a.npy", predictors[0]), write("b.npy", predictors[1])];
    let request = Request {
        behavior: vec![write("target.npy", target)],
        regression: Wanted { regress, ..Wanted::default() },
        bootstrap,
        permutations,
        seed,
        ..Request::default()
    };
    regress_rdms(&request, &Silent).unwrap().targets.remove(0)
}

#[test]
#[ignore = "two minutes long; its figures are in docs/statistics.md"]
fn intervals_of_regressions_hold_the_numbers_of_the_population() {
    const EXPERIMENTS: usize = 1000;
    const STIMULI: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let shared = patterns(1500, &mut random);
    let predictors = [1.0, 1.0].map(|strength| mixed(&shared, strength, &mut random));
    let own = mixed(&shared, 0.8, &mut random);
    let seen = |of: &[[f64; UNITS]], rows: &[usize]| rdm(&rows.iter().map(|&row| of[row]).collect::<Vec<_>>());
    let run = |rows: &[usize], bootstrap: u32, seed: u64| {
        let [a, b] = [0, 1].map(|predictor| seen(&predictors[predictor], rows));
        // The first predictor alone has more of the target.
        let target: Vec<f64> = seen(&own, rows).iter().zip(&a).map(|(own, a)| own + 0.3 * a).collect();
        regressed(folder.path(), [&a, &b], &target, bootstrap, 0, seed)
    };
    let all: Vec<usize> = (0..1500).collect();
    let truth = run(&all, 0, 0);
    let mut covered = [0; 4];
    for experiment in 0..EXPERIMENTS {
        let found = run(&sample(&all, STIMULI, &mut random), 500, experiment as u64);
        let holds = |low: Option<f64>, high: Option<f64>, truth: f64| low.unwrap() <= truth && truth <= high.unwrap();
        let (own, of_all) = (&found.predictors[0], &truth.predictors[0]);
        let all = [
            holds(found.explained_low, found.explained_high, truth.explained),
            holds(own.standardised_low, own.standardised_high, of_all.standardised),
            holds(own.unique_low, own.unique_high, of_all.unique),
            holds(found.parts[2].low, found.parts[2].high, truth.parts[2].variance),
        ];
        covered.iter_mut().zip(all).for_each(|(covered, holds)| *covered += usize::from(holds));
    }
    let shares = covered.map(|covered| covered as f64 / EXPERIMENTS as f64);
    println!("R² {:.3}, weight, unique, shared: {shares:.3?} of the intervals hold those of the population", truth.explained);
    assert!(shares.iter().all(|share| (0.90..=0.99).contains(share)), "{shares:?}");
}

#[test]
#[ignore = "half a minute long; its figures are in docs/statistics.md"]
fn the_test_of_all_predictors_is_wrong_as_often_as_it_says() {
    const EXPERIMENTS: usize = 2000;
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let (mut all, mut any) = (0, 0);
    for experiment in 0..EXPERIMENTS {
        let shared = patterns(20, &mut random);
        let [a, b] = [1.0, 1.0].map(|strength| rdm(&mixed(&shared, strength, &mut random)));
        let target = rdm(&patterns(20, &mut random));
        let found = regressed(folder.path(), [&a, &b], &target, 0, 199, experiment as u64);
        all += usize::from(found.explained_p.unwrap() <= 0.05);
        any += usize::from(found.predictors.iter().any(|one| one.p_family.unwrap() <= 0.05));
    }
    let share = |count: usize| count as f64 / EXPERIMENTS as f64;
    println!("R²: false positives {:.3}; of any predictor, family-wise {:.3}", share(all), share(any));
    assert!((share(all) - 0.05).abs() < 0.015 && (share(any) - 0.05).abs() < 0.015);
}

/// Experiments with a movie of twelve frames, whose patterns drift from frame to frame, and two models, of which the first is seen in
/// frames 4 to 8 with this strength: the shares with a cluster, and with a frame, that is significant over all frames and models.
fn over_time(strength: f64, experiments: usize) -> [f64; 2] {
    const STIMULI: usize = 20;
    const FRAMES: usize = 12;
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let write = |name: &str, values: ndarray::ArrayD<f64>| {
        let path = folder.path().join(name);
        npy::write(&path, &values).unwrap();
        path
    };
    let mut found = [0; 2];
    for experiment in 0..experiments {
        let models = [0, 1].map(|_| patterns(STIMULI, &mut random));
        let mut noise = patterns(STIMULI, &mut random);
        let mut movie = Vec::new();
        for frame in 0..FRAMES {
            let new = patterns(STIMULI, &mut random);
            noise.iter_mut().flatten().zip(new.iter().flatten()).for_each(|(old, new)| *old = 0.8 * *old + 0.6 * new);
            let seen = if (4..9).contains(&frame) { strength } else { 0.0 };
            let of = |(own, noise): (&[f64; UNITS], &[f64; UNITS])| std::array::from_fn(|unit| seen * own[unit] + noise[unit]);
            movie.extend(rdm(&models[0].iter().zip(&noise).map(of).collect::<Vec<_>>()));
        }
        let pairs = STIMULI * (STIMULI - 1) / 2;
        let movie = ndarray::Array2::from_shape_vec((FRAMES, pairs), movie).unwrap().into_dyn();
        let model = |number: usize| write(&format!("{number}.npy"), ndarray::Array1::from(rdm(&models[number])).into_dyn());
        let request = Request {
            meg: vec![write("movie.npy", movie).display().to_string()],
            models: vec![model(0), model(1)],
            permutations: 199,
            seed: experiment as u64,
            ..Request::default()
        };
        let table = analyse(&request, &Silent).unwrap().table;
        found[0] += usize::from(table.courses.iter().flat_map(|course| &course.clusters).any(|cluster| cluster.p <= 0.05));
        found[1] += usize::from(table.scores.iter().any(|score| score.p_family.unwrap() <= 0.05));
    }
    found.map(|found| found as f64 / experiments as f64)
}

#[test]
#[ignore = "a minute long; its figures are in docs/statistics.md"]
fn clusters_are_wrong_as_often_as_they_say() {
    let (level, power) = (over_time(0.0, 2000), over_time(0.6, 1000));
    println!("clusters and frames: any false positive {level:.3?}, found {power:.3?}");
    assert!(level.iter().all(|level| (level - 0.05).abs() < 0.015), "{level:?}");
    assert!(power[0] > power[1] && power[1] > level[1], "{power:?}");
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

/// Features and responses in the folder, `[rows, …]`, and the names of the rows beside each.
fn write_rows(folder: &Path, name: &str, rows: &[Vec<f64>]) -> std::path::PathBuf {
    let values = ndarray::Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| rows[row][column]);
    let path = folder.join(format!("{name}.npy"));
    npy::write(&path, &values.into_dyn()).unwrap();
    let ids: String = (0..rows.len()).map(|row| format!("image-{row:05}\n")).collect();
    std::fs::write(folder.join(format!("{name}.ids.txt")), ids).unwrap();
    path
}

fn drawn(rows: usize, columns: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    (0..rows).map(|_| (0..columns).map(|_| normal(random)).collect()).collect()
}

fn column(path: &Path) -> Vec<f64> {
    npy::read(path).unwrap().into_iter().collect()
}

#[test]
#[ignore = "minutes long; its figures are in docs/encoding.md"]
fn noise_is_not_predicted_and_its_tests_are_wrong_as_often_as_they_say() {
    const EXPERIMENTS: usize = 200;
    const TARGETS: usize = 50;
    let folds = [(20, Choice::Folds, false), (300, Choice::Folds, false), (20, Choice::Generalised, false)];
    for (units, choose, lists) in folds.into_iter().chain([(20, Choice::Folds, true), (300, Choice::Generalised, true)]) {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let (mut means, mut positive, mut any, mut found) = (Vec::new(), 0, 0, 0);
        for seed in 0..EXPERIMENTS as u64 {
            let folder = tempfile::tempdir().unwrap();
            let features = write_rows(folder.path(), "features", &drawn(60, units, &mut random));
            let responses = write_rows(folder.path(), "responses", &drawn(60, TARGETS, &mut random));
            let list = |name: &str, rows: std::ops::Range<usize>| {
                let path = folder.path().join(name);
                std::fs::write(&path, rows.map(|row| format!("image-{row:05}\n")).collect::<String>()).unwrap();
                path
            };
            let request = encode::Request {
                features: vec![features],
                targets: vec![responses.display().to_string()],
                permutations: 199,
                train: lists.then(|| list("train.txt", 0..40)),
                test: lists.then(|| list("test.txt", 40..60)),
                choose,
                seed,
                out: folder.path().join("out"),
                ..encode::Request::default()
            };
            means.push(encode::encode(&request, &Silent).unwrap().rows[0].r);
            let of = |name: &str| column(&folder.path().join(format!("out/responses/features.{name}.npy")));
            positive += of("p").iter().filter(|p| **p <= 0.05).count();
            any += usize::from(of("p_family").iter().any(|p| *p <= 0.05));
            found += usize::from(of("q").iter().any(|q| *q <= 0.05));
        }
        let [mean, error] = mean_and_error(&means);
        let share = |count: usize, of: usize| count as f64 / of as f64;
        println!(
            "{units} units, {choose:?}, lists {lists}: r {mean:.4} ± {error:.4}; p ≤ 0.05 {:.4}, any of the family {:.3}, any q {:.3}",
            share(positive, EXPERIMENTS * TARGETS),
            share(any, EXPERIMENTS),
            share(found, EXPERIMENTS)
        );
        assert!(mean < 0.01, "{mean}");
        assert!((0.04..0.06).contains(&share(positive, EXPERIMENTS * TARGETS)));
        assert!(share(any, EXPERIMENTS) < 0.1 && share(found, EXPERIMENTS) < 0.1);
    }
}

#[test]
#[ignore = "a minute long; its figures are in docs/encoding.md"]
fn intervals_hold_the_score_of_the_fit_in_other_images() {
    const FITTED: usize = 100;
    const OTHERS: usize = 4000;
    const TARGETS: usize = 40;
    const UNITS: usize = 20;
    for predicted in [40, 150] {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let (mut held, mut held_mean, mut all) = (0, 0, 0);
        const EXPERIMENTS: usize = 100;
        for seed in 0..EXPERIMENTS as u64 {
            let folder = tempfile::tempdir().unwrap();
            let rows = FITTED + predicted + OTHERS;
            let x = drawn(rows, UNITS, &mut random);
            let weights = drawn(TARGETS, UNITS, &mut random);
            let response = |row: &Vec<f64>, random: &mut ChaCha8Rng| -> Vec<f64> {
                let of = |weights: &Vec<f64>| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() * 0.2;
                weights.iter().map(|weights| of(weights) + normal(random)).collect()
            };
            let y: Vec<Vec<f64>> = x.iter().map(|row| response(row, &mut random)).collect();
            let features = write_rows(folder.path(), "features", &x);
            let responses = write_rows(folder.path(), "responses", &y);
            let list = |name: &str, rows: std::ops::Range<usize>| {
                let path = folder.path().join(name);
                std::fs::write(&path, rows.map(|row| format!("image-{row:05}\n")).collect::<String>()).unwrap();
                Some(path)
            };
            let run = |test: std::ops::Range<usize>, bootstrap: u32, out: &str| {
                let request = encode::Request {
                    features: vec![features.clone()],
                    targets: vec![responses.display().to_string()],
                    train: list("train.txt", 0..FITTED),
                    test: list("test.txt", test),
                    bootstrap,
                    seed,
                    out: folder.path().join(out),
                    ..encode::Request::default()
                };
                encode::encode(&request, &Silent).unwrap().rows.remove(0)
            };
            let own = run(FITTED..FITTED + predicted, 500, "own");
            let truth = run(FITTED + predicted..rows, 0, "truth");
            let of = |name: &str| column(&folder.path().join(format!("{name}.npy")));
            let (low, high) = (of("own/responses/features.r_low"), of("own/responses/features.r_high"));
            let true_r = of("truth/responses/features.r");
            held += (0..TARGETS).filter(|&target| low[target] <= true_r[target] && true_r[target] <= high[target]).count();
            held_mean += usize::from(own.low.unwrap() <= truth.r && truth.r <= own.high.unwrap());
            all += TARGETS;
        }
        let (of_targets, of_means) = (held as f64 / all as f64, held_mean as f64 / EXPERIMENTS as f64);
        println!(
            "{predicted} images: the interval of a target holds its r in {of_targets:.3}, that of the mean in {of_means:.3}"
        );
        assert!((0.88..0.99).contains(&of_targets) && of_means > 0.85);
    }
}

#[test]
#[ignore = "a minute long; its figures are in docs/encoding.md"]
fn a_partition_of_variance_finds_what_spaces_share() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let rows = 1500;
    // Each space sees its own three sources and three that both see.
    let (own, other, shared) = (drawn(rows, 3, &mut random), drawn(rows, 3, &mut random), drawn(rows, 3, &mut random));
    let beside =
        |a: &[Vec<f64>], b: &[Vec<f64>]| -> Vec<Vec<f64>> { a.iter().zip(b).map(|(a, b)| [&a[..], &b[..]].concat()).collect() };
    let folder = tempfile::tempdir().unwrap();
    let first = write_rows(folder.path(), "first", &beside(&own, &shared));
    let second = write_rows(folder.path(), "second", &beside(&other, &shared));
    // Of a response's variance of 1: 0.2 from the first alone, 0.1 from the second, 0.3 from both, 0.4 noise.
    let response = |row: usize, random: &mut ChaCha8Rng| -> Vec<f64> {
        let of = |source: &[Vec<f64>], share: f64| share.sqrt() * source[row][0];
        (0..20).map(|_| of(&own, 0.2) + of(&other, 0.1) + of(&shared, 0.3) + 0.4f64.sqrt() * normal(random)).collect()
    };
    let y: Vec<Vec<f64>> = (0..rows).map(|row| response(row, &mut random)).collect();
    let responses = write_rows(folder.path(), "responses", &y);
    let request = encode::Request {
        features: vec![first, second],
        targets: vec![responses.display().to_string()],
        banded: true,
        partition: true,
        draws: 10,
        out: folder.path().join("out"),
        ..encode::Request::default()
    };
    let row = encode::encode(&request, &Silent).unwrap().rows.remove(0);
    let found = [row.unique_1.unwrap(), row.unique_2.unwrap(), row.shared_1_2.unwrap()];
    println!("unique {:.3}, {:.3}; shared {:.3}; R² {:.3}", found[0], found[1], found[2], row.r2);
    for (found, truth) in found.into_iter().zip([0.2, 0.1, 0.3]) {
        assert!((found - truth).abs() < 0.03, "{found} {truth}");
    }
    assert!((found.iter().sum::<f64>() - row.r2).abs() < 1e-9);
}
