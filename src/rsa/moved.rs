//! Scores under relabelled targets, fast: by products of forms where the measure is one and no pair is missing.

use super::Analysis;
use super::analysis::pick;
use super::centring::indices;
use super::form::{Form, dot};
use super::kendall::{Order, Tree, difference, pairs};
use super::{Comparison, Kendall};

/// Models and targets prepared for relabelling.
pub(super) enum Relabelled<'a> {
    Products(Products<'a>),
    Orders(Orders<'a>),
    /// With missing pairs, everything from the start.
    Plain(&'a Analysis),
}

impl<'a> Relabelled<'a> {
    pub(super) fn new(analysis: &'a Analysis) -> Relabelled<'a> {
        match (analysis.is_complete(), analysis.comparison.is_linear()) {
            (false, _) => Relabelled::Plain(analysis),
            (true, true) => Relabelled::Products(Products::new(analysis)),
            (true, false) => Relabelled::Orders(Orders::new(analysis)),
        }
    }

    /// How far the score of each test is from what relabelling gives on average, for each order `[orders, tests]`.
    pub(super) fn deviations(&self, orders: &[Vec<u32>]) -> Vec<f64> {
        match self {
            Relabelled::Products(products) => products.deviations(orders),
            Relabelled::Orders(of_ranks) => orders.iter().flat_map(|order| of_ranks.scores(order)).map(f64::abs).collect(),
            Relabelled::Plain(analysis) => orders.iter().flat_map(|order| plain(analysis, order)).map(f64::abs).collect(),
        }
    }
}

/// Forms of the models, and of the targets as squares, of which rows can be looked up in any order.
pub(super) struct Products<'a> {
    analysis: &'a Analysis,
    models: Vec<Form>,
    targets: Vec<Square>,
    expected: Vec<f64>,
}

/// A target's form, the mean over its subjects, `[n, n]`, and the diagonal. In float64, so that scores that are equal
/// by their formula, as those of ranks often are, stay equal.
struct Square {
    values: Vec<f64>,
    diagonal: Vec<f64>,
}

impl<'a> Products<'a> {
    fn new(analysis: &'a Analysis) -> Products<'a> {
        let (measure, n) = (analysis.comparison, analysis.stimuli);
        let models: Vec<Form> = analysis.models.iter().map(|model| Form::new(measure, n, &model.pairs)).collect();
        let mean = |subjects: &Vec<Vec<f64>>| -> Form {
            Form::mean(&subjects.iter().map(|subject| Form::new(measure, n, subject)).collect::<Vec<_>>())
        };
        let targets: Vec<Form> = analysis.targets.iter().map(|target| mean(&target.subjects)).collect();
        let expected = targets.iter().flat_map(|target| models.iter().map(move |model| model.expected_product(target, n))).collect();
        Products { analysis, models, targets: targets.into_iter().map(|form| Square::new(n, form)).collect(), expected }
    }

    fn deviations(&self, orders: &[Vec<u32>]) -> Vec<f64> {
        let mut scores = vec![0.0; orders.len() * self.analysis.tests()];
        let mut row = Vec::with_capacity(self.analysis.stimuli);
        let mut start = 0;
        for i in 0..self.analysis.stimuli {
            let length = self.analysis.stimuli - i - 1;
            for (order, scores) in orders.iter().zip(scores.chunks_exact_mut(self.analysis.tests())) {
                self.add_row(i, start..start + length, order, &mut row, scores);
            }
            start += length;
        }
        let tests = self.expected.iter().cycle();
        scores.iter().zip(tests).map(|(score, expected)| (score - expected).abs()).collect()
    }

    /// Adds what the pairs (i, j), j > i, contribute to the scores of all tests under `order`.
    fn add_row(&self, i: usize, pairs: std::ops::Range<usize>, order: &[u32], row: &mut Vec<f64>, scores: &mut [f64]) {
        for (target, scores) in self.targets.iter().zip(scores.chunks_exact_mut(self.models.len())) {
            let source = order[i] as usize;
            let values = &target.values[source * order.len()..][..order.len()];
            row.clear();
            row.extend(order[i + 1..].iter().map(|&j| values[j as usize]));
            for (model, score) in self.models.iter().zip(scores) {
                *score += dot(&model.pairs[pairs.clone()], row);
                if let (Some(own), Some(moved)) = (model.diagonal.get(i), target.diagonal.get(source)) {
                    *score += own * moved;
                }
            }
        }
    }
}

impl Square {
    fn new(n: usize, form: Form) -> Square {
        let mut values = vec![0.0; n * n];
        for ((i, j), pair) in indices(n).zip(&form.pairs) {
            values[i * n + j] = *pair;
            values[j * n + i] = *pair;
        }
        Square { values, diagonal: form.diagonal }
    }
}

/// Orders of models and targets, each with its number of tied pairs, for the two τ.
pub(super) struct Orders<'a> {
    analysis: &'a Analysis,
    models: Vec<(Order, u128)>,
    targets: Vec<Vec<(Order, u128)>>,
    /// 1 for each pair of stimuli.
    weights: Vec<u32>,
}

impl<'a> Orders<'a> {
    fn new(analysis: &'a Analysis) -> Orders<'a> {
        let weights = vec![1; analysis.stimuli * (analysis.stimuli - 1) / 2];
        let order = |pairs: &Vec<f64>| {
            let order = Order::new(pairs);
            let tied = order.tied(&weights);
            (order, tied)
        };
        let models = analysis.models.iter().map(|model| order(&model.pairs)).collect();
        let targets = analysis.targets.iter().map(|target| target.subjects.iter().map(order).collect()).collect();
        Orders { analysis, models, targets, weights }
    }

    /// The mean over subjects of τ; its expectation under relabelling is 0, for any two pairs change places in as many
    /// relabellings as not.
    fn scores(&self, order: &[u32]) -> Vec<f64> {
        let (moved, pairs) = (moved(order), pairs(&self.weights));
        let mut tree = Tree::new(self.weights.len());
        let mut scores = Vec::with_capacity(self.analysis.tests());
        for subjects in &self.targets {
            let subjects: Vec<(Order, u128)> = subjects.iter().map(|(subject, ties)| (subject.moved(&moved), *ties)).collect();
            for (model, ties) in &self.models {
                let tau = |(subject, subject_ties): &(Order, u128)| {
                    let difference = difference(model, subject, &self.weights, &mut tree);
                    tau(self.analysis.comparison, &Kendall { difference, pairs, tied: [*ties, *subject_ties] })
                };
                scores.push(subjects.iter().map(tau).sum::<f64>() / subjects.len() as f64);
            }
        }
        scores
    }
}

/// τ-a or τ-b.
pub(super) fn tau(measure: Comparison, counts: &Kendall) -> f64 {
    if measure == Comparison::KendallTauA { counts.tau_a() } else { counts.tau_b() }
}

/// Where the pairs of the relabelled stimuli come from: pair (i, j) is pair (order[i], order[j]).
fn moved(order: &[u32]) -> Vec<u32> {
    let n = order.len();
    let pair = |i: usize, j: usize| (i * (2 * n - i - 1) / 2 + j - i - 1) as u32;
    indices(n).map(|(i, j)| (order[i] as usize, order[j] as usize)).map(|(i, j)| pair(i.min(j), i.max(j))).collect()
}

/// The scores when the missing pairs of the targets move along: of the pairs that are there for all.
fn plain(analysis: &Analysis, order: &[u32]) -> Vec<f64> {
    let moved = moved(order);
    let targets = analysis.targets.iter().map(|target| {
        let subjects = target.subjects.iter().map(|subject| pick(subject, &moved)).collect();
        super::Target { subjects, ..target.clone() }
    });
    let scores = targets.flat_map(|target| {
        let kept = analysis.kept(&target);
        let subjects: Vec<Vec<f64>> = target.subjects.iter().map(|subject| pick(subject, &kept)).collect();
        analysis.models.iter().map(move |model| {
            let x = pick(&model.pairs, &kept);
            let compare = |y: &Vec<f64>| analysis.comparison.compare(analysis.stimuli, &x, y);
            subjects.iter().map(compare).sum::<f64>() / subjects.len() as f64
        })
    });
    scores.collect()
}
