//! Scores under relabelled targets, fast: by products of forms where the measure is one and no pair is missing.
//!
//! With controls it is what these leave of the models that is compared anew with the relabelled targets, given the controls
//! relabelled with them: as Dekker, Krackhardt & Snijders 2007 test a regression of matrices. So targets and controls stay to each
//! other as they are.

use super::analysis::{View, pick};
use super::comparison::Scoring;
use super::controls::NOTHING;
use super::form::{Form, Product};
use super::kendall::{Kendall, Order, Sequence, Tau, difference, pairs};
use super::tree::Tree;
use super::{Analysis, ControlRdm, ModelRdm, TargetRdm};
use crate::gemm::{Block, multiply};
use crate::rdm::lanes::dot;
use crate::rdm::{pair, pairs_of};
use anyhow::Result;
use std::borrow::Cow;

/// Models and targets prepared for relabelling.
pub(super) enum Relabelled<'a> {
    Products(Products),
    Orders(Orders<'a>),
    /// With missing pairs, everything from the start.
    Plain(Vec<Cow<'a, Analysis>>),
}

impl<'a> Relabelled<'a> {
    pub(super) fn new(analysis: &'a Analysis) -> Result<Relabelled<'a>> {
        Ok(match (analysis.is_complete(), analysis.comparison.scoring()) {
            (false, _) => Relabelled::Plain(left_of_models(analysis)?),
            (true, Scoring::Product(product)) => Relabelled::Products(Products::new(analysis, product)?),
            (true, Scoring::Tau(tau)) => Relabelled::Orders(Orders::new(analysis, tau)),
        })
    }

    /// How far the score of each test is from its mean over all permutations, for each order `[orders, tests]`.
    pub(super) fn deviations(&self, orders: &[Vec<u32>]) -> Result<Vec<f64>> {
        match self {
            Relabelled::Products(products) => products.deviations(orders),
            Relabelled::Orders(of_ranks) => Ok(orders.iter().flat_map(|order| of_ranks.scores(order)).collect()),
            Relabelled::Plain(parts) => {
                let scores = |order: &Vec<u32>| parts.iter().flat_map(|part| plain(part, order)).collect::<Vec<_>>();
                Ok(orders.iter().flat_map(scores).collect())
            }
        }
    }
}

/// Forms of models, targets and controls: those of one side as squares, of which rows can be looked up in any order, the fewer ones.
pub(super) struct Products {
    stimuli: usize,
    targets: usize,
    models: usize,
    /// Whether the models are relabelled, the other way round, instead of the targets and controls.
    models_move: bool,
    moved: Vec<Square>,
    staying: Vec<Form>,
    expected: Vec<f64>,
}

/// A form, of a target the mean over its subjects, `[n, n]`, and the diagonal.
struct Square {
    values: Values,
    diagonal: Vec<f64>,
}

/// In float64, so that scores that are equal by their formula, as those of ranks often are, stay equal; in float32, which
/// the cache can hold, where so many numbers are added that this does not happen.
enum Values {
    Double(Vec<f64>),
    Single(Vec<f32>),
}

/// From this many stimuli on squares are in float32.
pub(super) const LARGE: usize = 1024;

impl Products {
    fn new(analysis: &Analysis, product: Product) -> Result<Products> {
        let n = analysis.stimuli;
        // With no pair missing it is the same for all targets.
        let controls = analysis.view(&analysis.targets[0])?.controls;
        let form = |pairs: &Vec<f64>| match &controls {
            None => Form::new(product, n, pairs),
            Some(controls) => Form::of_pairs(controls.residual(pairs)),
        };
        let models: Vec<Form> = analysis.models.iter().map(|model| form(&model.pairs)).collect();
        let mean = |subjects: &Vec<Vec<f64>>| Form::mean(&subjects.iter().map(form).collect::<Vec<_>>());
        let targets: Vec<Form> = analysis.targets.iter().map(|target| mean(&target.subjects)).collect();
        let expected =
            targets.iter().flat_map(|target| models.iter().map(move |model| model.expected_product(target, n))).collect();
        let basis = controls.as_ref().map(|controls| controls.basis()).unwrap_or_default();
        let (of_targets, of_models) = (targets.len(), models.len());
        let both: Vec<Form> = targets.into_iter().chain(basis.iter().cloned().map(Form::of_pairs)).collect();
        let models_move = models.len() < both.len();
        let (moved, staying) = if models_move { (models, both) } else { (both, models) };
        let moved = moved.into_iter().map(|form| Square::new(n, form)).collect();
        Ok(Products { stimuli: n, targets: of_targets, models: of_models, models_move, moved, staying, expected })
    }

    fn deviations(&self, orders: &[Vec<u32>]) -> Result<Vec<f64>> {
        let turned: Vec<Vec<u32>> =
            if self.models_move { orders.iter().map(|order| inverse(order)).collect() } else { Vec::new() };
        let orders = if self.models_move { &turned } else { orders };
        let products: Vec<Vec<f64>> = self.moved.iter().map(|square| self.products(square, orders)).collect::<Result<_>>()?;
        // Of a target or, behind them, a control.
        let product = |order: usize, other: usize, model: usize| match self.models_move {
            true => products[model][order * self.staying.len() + other],
            false => products[other][order * self.staying.len() + model],
        };
        let controls = self.targets..if self.models_move { self.staying.len() } else { self.moved.len() };
        let mut deviations = Vec::with_capacity(orders.len() * self.expected.len());
        for order in 0..orders.len() {
            // The lengths of what the relabelled controls leave of the models: 1 without controls, NaN if nothing.
            let length = |model: usize| {
                let left = 1.0 - controls.clone().map(|control| product(order, control, model).powi(2)).sum::<f64>();
                if left > NOTHING { left.sqrt() } else { f64::NAN }
            };
            let lengths: Vec<f64> = (0..self.models).map(length).collect();
            let tests = (0..self.targets).flat_map(|target| (0..self.models).map(move |model| (target, model)));
            let scores = tests.map(|(target, model)| product(order, target, model) / lengths[model]);
            deviations.extend(scores.zip(&self.expected).map(|(score, expected)| score - expected));
        }
        Ok(deviations)
    }

    /// The products of one that is relabelled with all that stay, `[orders, staying]`.
    fn products(&self, square: &Square, orders: &[Vec<u32>]) -> Result<Vec<f64>> {
        let mut scores = vec![0.0; orders.len() * self.staying.len()];
        let mut products = scores.clone();
        let (mut own, mut moved) = (Vec::new(), Vec::new());
        let mut start = 0;
        for i in 0..self.stimuli - 1 {
            let others = self.stimuli - i - 1;
            own.clear();
            self.staying.iter().for_each(|form| own.extend_from_slice(&form.pairs[start..start + others]));
            moved.clear();
            orders.iter().for_each(|order| square.append_moved(i, order, &mut moved));
            multiply(Block::new(&moved, others), Block::new(&own, others), &mut products)?;
            scores.iter_mut().zip(&products).for_each(|(score, product)| *score += product);
            start += others;
        }
        for (order, scores) in orders.iter().zip(scores.chunks_exact_mut(self.staying.len())) {
            let moved: Vec<f64> = order.iter().filter_map(|&from| square.diagonal.get(from as usize).copied()).collect();
            scores.iter_mut().zip(&self.staying).for_each(|(score, form)| *score += dot(&form.diagonal, &moved));
        }
        Ok(scores)
    }
}

/// The order that takes each stimulus back.
fn inverse(order: &[u32]) -> Vec<u32> {
    let mut back = vec![0; order.len()];
    order.iter().zip(0..).for_each(|(&stimulus, place)| back[stimulus as usize] = place);
    back
}

impl Square {
    fn new(n: usize, form: Form) -> Square {
        let values = match n < LARGE {
            true => Values::Double(square(n, &form.pairs, |pair| pair)),
            false => Values::Single(square(n, &form.pairs, |pair| pair as f32)),
        };
        Square { values, diagonal: form.diagonal }
    }

    /// Appends what the pairs (i, j), j > i, are under `order`.
    fn append_moved(&self, i: usize, order: &[u32], to: &mut Vec<f64>) {
        let row = order[i] as usize * order.len()..(order[i] as usize + 1) * order.len();
        let others = &order[i + 1..];
        match &self.values {
            Values::Double(values) => append(&values[row], others, to),
            Values::Single(values) => append(&values[row], others, to),
        }
    }
}

fn append<T: Copy + Into<f64>>(row: &[T], places: &[u32], to: &mut Vec<f64>) {
    to.extend(places.iter().map(|&place| row[place as usize].into()));
}

/// The pairs at both their places in `[n, n]`.
pub(super) fn square<T: Copy + Default>(n: usize, pairs: &[f64], round: impl Fn(f64) -> T) -> Vec<T> {
    let mut values = vec![T::default(); n * n];
    for ((i, j), &pair) in pairs_of(n).zip(pairs) {
        values[i * n + j] = round(pair);
        values[j * n + i] = round(pair);
    }
    values
}

/// Models in order and the ranks of targets, each with its number of tied pairs, for the two τ.
pub(super) struct Orders<'a> {
    analysis: &'a Analysis,
    tau: Tau,
    models: Vec<(Sequence, u128)>,
    targets: Vec<Vec<(Vec<u32>, u128)>>,
    /// 1 for each pair of stimuli.
    weights: Vec<u32>,
}

impl<'a> Orders<'a> {
    fn new(analysis: &'a Analysis, tau: Tau) -> Orders<'a> {
        let weights = vec![1; analysis.stimuli * (analysis.stimuli - 1) / 2];
        let order = |pairs: &Vec<f64>| {
            let order = Order::new(pairs);
            let tied = order.tied(&weights);
            (order, tied)
        };
        let sequence = |(order, tied): (Order, u128)| (order.sequence(), tied);
        let ranks = |(order, tied): (Order, u128)| (order.rank, tied);
        let models = analysis.models.iter().map(|model| sequence(order(&model.pairs))).collect();
        let targets = analysis.targets.iter().map(|target| target.subjects.iter().map(order).map(ranks).collect()).collect();
        Orders { analysis, tau, models, targets, weights }
    }

    /// The mean over subjects of τ; its mean over all permutations is 0, for any two pairs change places in as many as not.
    fn scores(&self, order: &[u32]) -> Vec<f64> {
        let (moved, pairs) = (moved(order), pairs(&self.weights));
        let mut tree = Tree::new(self.weights.len());
        let mut scores = Vec::with_capacity(self.analysis.tests());
        for subjects in &self.targets {
            let moved = |ranks: &[u32]| -> Vec<u32> { moved.iter().map(|&pair| ranks[pair as usize]).collect() };
            let subjects: Vec<(Vec<u32>, u128)> = subjects.iter().map(|(ranks, ties)| (moved(ranks), *ties)).collect();
            for (model, ties) in &self.models {
                let tau = |(subject, subject_ties): &(Vec<u32>, u128)| {
                    let difference = difference(model, subject, &mut tree);
                    self.tau.of(&Kendall { difference, pairs, tied: [*ties, *subject_ties] })
                };
                scores.push(subjects.iter().map(tau).sum::<f64>() / subjects.len() as f64);
            }
        }
        scores
    }
}

/// Where the pairs of the relabelled stimuli come from: pair `(i, j)` is pair `(order[i], order[j])`.
pub(super) fn moved(order: &[u32]) -> Vec<u32> {
    let n = order.len();
    pairs_of(n).map(|(i, j)| pair(n, order[i] as usize, order[j] as usize) as u32).collect()
}

/// The analysis; with controls one for each target, by Pearson's r, of what these leave of the models over the pairs that are
/// compared with it. Ranks are those before relabelling.
fn left_of_models(analysis: &Analysis) -> Result<Vec<Cow<'_, Analysis>>> {
    if analysis.controls.is_empty() {
        return Ok(vec![Cow::Borrowed(analysis)]);
    }
    let of_target = |target: &TargetRdm| {
        let view = analysis.view(target)?;
        let all = |kept: Vec<f64>| {
            let mut pairs = vec![f64::NAN; target.subjects[0].len()];
            view.kept.iter().zip(kept).for_each(|(&pair, value)| pairs[pair as usize] = value);
            pairs
        };
        let model = |model: &ModelRdm| ModelRdm { pairs: all(view.of(&model.pairs)), ..model.clone() };
        let control = |control: &ControlRdm| ControlRdm { pairs: all(view.values(&control.pairs)), ..control.clone() };
        let subjects = target.subjects.iter().map(|subject| all(view.values(subject))).collect();
        Ok(Cow::Owned(Analysis {
            comparison: view.comparison,
            stimuli: analysis.stimuli,
            controls: analysis.controls.iter().map(control).collect(),
            models: analysis.models.iter().map(model).collect(),
            targets: vec![TargetRdm { subjects, ..target.clone() }],
        }))
    };
    analysis.targets.iter().map(of_target).collect()
}

/// The scores when the missing pairs of the targets and controls move along: of the pairs that are there for all.
fn plain(analysis: &Analysis, order: &[u32]) -> Vec<f64> {
    let moved = moved(order);
    let control = |control: &ControlRdm| ControlRdm { pairs: pick(&control.pairs, &moved), ..control.clone() };
    let controls: Vec<ControlRdm> = analysis.controls.iter().map(control).collect();
    let targets = analysis.targets.iter().map(|target| {
        let subjects = target.subjects.iter().map(|subject| pick(subject, &moved)).collect();
        TargetRdm { subjects, ..target.clone() }
    });
    let scores = targets.flat_map(|target| match analysis.view_given(&controls, &target) {
        Ok(view) => of_view(analysis, &view, &target),
        // Over the pairs that are left the controls are not apart from each other.
        Err(_) => vec![f64::NAN; analysis.models.len()],
    });
    scores.collect()
}

/// The scores of all models with a target.
fn of_view(analysis: &Analysis, view: &View, target: &TargetRdm) -> Vec<f64> {
    let subjects: Vec<Vec<f64>> = target.subjects.iter().map(|subject| view.of(subject)).collect();
    let score = |model: &ModelRdm| {
        let x = view.of(&model.pairs);
        let compare = |y: &Vec<f64>| view.comparison.compare(analysis.stimuli, &x, y);
        subjects.iter().map(compare).sum::<f64>() / subjects.len() as f64
    };
    analysis.models.iter().map(score).collect()
}
