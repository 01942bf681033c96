//! Scores on stimuli drawn with replacement, without copying a matrix: a pair (i, j) counts wᵢ wⱼ times.

use super::analysis::{Analysis, pick};
use super::comparison::Scoring;
use super::controls::{fewest_pairs, orthonormal, remove};
use super::form::{Pairs, Product, rho_a_scale};
use super::kendall::{Kendall, Order, Sequence, Tau, difference, pairs};
use super::tree::Tree;
use crate::rdm::in_units_of_largest;
use crate::rdm::lanes::dot;
use std::ops::Range;

/// Models and targets prepared for draws of stimuli.
pub(super) struct Prepared<'a> {
    analysis: &'a Analysis,
    samples: Samples<'a>,
    /// Of each target, whether each pair is compared.
    kept: Vec<Vec<bool>>,
}

/// The RDMs, in what the measure looks at.
enum Samples<'a> {
    Products(Pairs, All<Sample<'a>>),
    Taus(Tau, All<Order>),
}

struct All<T> {
    controls: Vec<T>,
    models: Vec<T>,
    /// The subjects of each.
    targets: Vec<Vec<T>>,
}

/// The pairs of an RDM.
enum Sample<'a> {
    Values(&'a [f64]),
    Ranks(Order),
}

/// The pairs that were drawn of a target, and how often.
struct Draw {
    drawn: Vec<u32>,
    /// How often each drawn pair was, its square root, and the sum of all.
    counts: Vec<f64>,
    roots: Vec<f64>,
    total: f64,
    /// How often every pair was.
    weights: Vec<u32>,
}

impl<'a> Prepared<'a> {
    /// `None` of measures made of whole matrices, of which no pair may be left out.
    pub(super) fn new(analysis: &'a Analysis) -> Option<Prepared<'a>> {
        let samples = match analysis.comparison.scoring() {
            Scoring::Product(Product::Kernels(_)) => return None,
            Scoring::Product(Product::Pairs(pairs @ Pairs::Values { .. })) => {
                Samples::Products(pairs, All::of(analysis, Sample::Values))
            }
            Scoring::Product(Product::Pairs(pairs @ Pairs::Ranks { .. })) => {
                Samples::Products(pairs, All::of(analysis, |values| Sample::Ranks(Order::new(values))))
            }
            Scoring::Tau(tau) => Samples::Taus(tau, All::of(analysis, Order::new)),
        };
        let kept = analysis.targets.iter().map(|target| {
            let mut all = vec![false; target.subjects[0].len()];
            analysis.kept(target).into_iter().for_each(|pair| all[pair as usize] = true);
            all
        });
        Some(Prepared { analysis, samples, kept: kept.collect() })
    }

    /// Of the models and of the subjects of target `t`, values of the drawn pairs that are centred and times the root of how often
    /// each pair was drawn; of measures that are correlations.
    pub(super) fn centred(&self, stimuli: &[u32], t: usize) -> Option<[Vec<Vec<f64>>; 2]> {
        let draw = Draw::new(stimuli, &self.kept[t]);
        match &self.samples {
            Samples::Products(_, all) => {
                let of = |samples: &[Sample]| samples.iter().map(|sample| draw.centred(sample)).collect();
                Some([of(&all.models), of(&all.targets[t])])
            }
            Samples::Taus(..) => None,
        }
    }

    /// The scores of all tests when stimulus i comes `stimuli[i]` times: the mean over all subjects, and over drawn ones
    /// if they were (`subjects[target]`, else empty).
    pub(super) fn scores(&self, stimuli: &[u32], subjects: Option<&[Vec<u32>]>) -> [Vec<f64>; 2] {
        let mut scores = [Vec::new(), Vec::new()];
        let mut before: Option<(usize, Draw, Prior)> = None;
        for (t, target) in self.analysis.targets.iter().enumerate() {
            // The same pairs as of the target before: the models' forms are the same.
            let (draw, prior) = match before.take() {
                Some((other, draw, prior)) if self.kept[other] == self.kept[t] => (draw, prior),
                _ => {
                    let draw = Draw::new(stimuli, &self.kept[t]);
                    let prior = match &self.samples {
                        Samples::Products(pairs, all) => Prior::new(&draw, *pairs, all),
                        Samples::Taus(..) => Prior::default(),
                    };
                    (draw, prior)
                }
            };
            let once = vec![1; target.subjects.len()];
            let counts: Vec<&[u32]> =
                [Some(&once[..]), subjects.map(|subjects| &subjects[t][..])].into_iter().flatten().collect();
            let of_target = match &self.samples {
                Samples::Products(pairs, all) => {
                    let subjects = prior.left(draw.forms(*pairs, &all.targets[t]));
                    products(&prior.models, &subjects, &draw, &counts)
                }
                Samples::Taus(tau, all) => taus(*tau, &all.models, &all.targets[t], &draw, &counts),
            };
            scores.iter_mut().zip(of_target).for_each(|(scores, of_target)| scores.extend(of_target));
            before = Some((t, draw, prior));
        }
        scores
    }
}

impl<T> All<T> {
    fn of<'a>(analysis: &'a Analysis, sample: impl Fn(&'a [f64]) -> T) -> All<T> {
        let targets = analysis.targets.iter();
        All {
            controls: analysis.controls.iter().map(|control| sample(&control.pairs)).collect(),
            models: analysis.models.iter().map(|model| sample(&model.pairs)).collect(),
            targets: targets.map(|target| target.subjects.iter().map(|subject| sample(subject)).collect()).collect(),
        }
    }
}

/// Sums of squares of which none has overflowed or vanished.
const SQUARES: Range<f64> = 1e-200..1e200;

/// What is the same for all targets of which the same pairs were drawn.
#[derive(Default)]
struct Prior {
    /// An orthonormal basis of the controls.
    controls: Vec<Vec<f64>>,
    /// What these leave of the models.
    models: Vec<Vec<f64>>,
}

impl Prior {
    fn new(draw: &Draw, pairs: Pairs, all: &All<Sample>) -> Prior {
        let mut controls = orthonormal(draw.forms(pairs, &all.controls));
        if draw.drawn.len() < fewest_pairs(controls.len()) {
            controls.iter_mut().flatten().for_each(|value| *value = f64::NAN);
        }
        let mut prior = Prior { controls, models: Vec::new() };
        prior.models = prior.left(draw.forms(pairs, &all.models));
        prior
    }

    /// What the controls leave of these forms.
    fn left(&self, mut forms: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        // Nor are those of ρ-a of length 1.
        if !self.controls.is_empty() {
            forms.iter_mut().for_each(|form| remove(&self.controls, form));
        }
        forms
    }
}

/// The scores of all models with the mean of the subjects, each counted as often as `counts` say.
fn products(models: &[Vec<f64>], subjects: &[Vec<f64>], draw: &Draw, counts: &[&[u32]]) -> Vec<Vec<f64>> {
    let mean = |counts: &&[u32]| {
        let mut mean = vec![0.0; draw.drawn.len()];
        for (subject, &count) in subjects.iter().zip(*counts).filter(|(_, count)| **count > 0) {
            let share = f64::from(count) / counts.len() as f64;
            mean.iter_mut().zip(subject).for_each(|(mean, value)| *mean += share * value);
        }
        mean
    };
    // Of no pairs there is no score.
    let score = |model: &Vec<f64>, mean: &[f64]| if mean.is_empty() { f64::NAN } else { dot(model, mean) };
    counts.iter().map(mean).map(|mean| models.iter().map(|model| score(model, &mean)).collect()).collect()
}

fn taus(tau: Tau, models: &[Order], subjects: &[Order], draw: &Draw, counts: &[&[u32]]) -> Vec<Vec<f64>> {
    let ties = |orders: &[Order]| -> Vec<u128> {
        match tau {
            Tau::A => vec![0; orders.len()],
            Tau::B => orders.iter().map(|order| order.tied(&draw.weights)).collect(),
        }
    };
    let (model_ties, subject_ties, pairs) = (ties(models), ties(subjects), pairs(&draw.weights));
    let subjects: Vec<Vec<u32>> = subjects.iter().map(|subject| subject.ranks_among(&draw.drawn)).collect();
    let mut places = vec![0; draw.weights.len()];
    draw.drawn.iter().zip(0..).for_each(|(&pair, place)| places[pair as usize] = place);
    let models: Vec<Sequence> = models.iter().map(|model| model.sequence_of(&draw.weights, &places)).collect();
    let mut tree = Tree::new(draw.drawn.len());
    let mut scores = vec![Vec::new(); counts.len()];
    for (model, &ties) in models.iter().zip(&model_ties) {
        let score = |(subject, &subject_ties): (&Vec<u32>, &u128)| {
            let difference = difference(model, subject, &mut tree);
            tau.of(&Kendall { difference, pairs, tied: [ties, subject_ties] })
        };
        let of_subjects: Vec<f64> = subjects.iter().zip(&subject_ties).map(score).collect();
        for (scores, counts) in scores.iter_mut().zip(counts) {
            let sum: f64 = of_subjects.iter().zip(*counts).map(|(tau, &count)| tau * f64::from(count)).sum();
            scores.push(sum / counts.len() as f64);
        }
    }
    scores
}

impl Draw {
    fn new(stimuli: &[u32], kept: &[bool]) -> Draw {
        let mut weights = vec![0; kept.len()];
        let mut drawn = Vec::new();
        let mut start = 0;
        for (i, &count) in stimuli.iter().enumerate() {
            let others = &stimuli[i + 1..];
            for (pair, &other) in (start..).zip(others).filter(|(pair, other)| count * **other > 0 && kept[*pair]) {
                weights[pair] = count * other;
                drawn.push(pair as u32);
            }
            start += others.len();
        }
        let counts: Vec<f64> = drawn.iter().map(|&pair| f64::from(weights[pair as usize])).collect();
        Draw { roots: counts.iter().map(|count| count.sqrt()).collect(), total: counts.iter().sum(), counts, drawn, weights }
    }

    fn forms(&self, pairs: Pairs, samples: &[Sample]) -> Vec<Vec<f64>> {
        samples.iter().map(|sample| self.form(pairs, sample)).collect()
    }

    /// The values of the drawn pairs, or their ranks.
    fn values(&self, sample: &Sample) -> Vec<f64> {
        match sample {
            Sample::Ranks(order) => order.mean_ranks(&self.drawn, &self.weights),
            Sample::Values(values) => pick(values, &self.drawn),
        }
    }

    fn centred(&self, sample: &Sample) -> Vec<f64> {
        let mut values = self.values(sample);
        let mean = dot(&values, &self.counts) / self.total;
        let varies = values.iter().any(|value| *value != values[0]);
        let deviation = |value: f64, root: f64| if varies { (value - mean) * root } else { 0.0 };
        values.iter_mut().zip(&self.roots).for_each(|(value, root)| *value = deviation(*value, *root));
        values
    }

    /// Numbers for the drawn pairs whose products with those of another RDM are the score.
    fn form(&self, pairs: Pairs, sample: &Sample) -> Vec<f64> {
        let mut values = self.values(sample);
        let (is_centred, scale) = match pairs {
            Pairs::Values { centred } => (centred, None),
            Pairs::Ranks { untied } => (true, untied.then(|| rho_a_scale(self.total))),
        };
        // Nor of what does not vary, which the rounding of a mean must not hide.
        if is_centred && scale.is_none() && values.iter().all(|value| *value == values[0]) {
            values.fill(f64::NAN);
            return values;
        }
        let mean = if is_centred { dot(&values, &self.counts) / self.total } else { 0.0 };
        values.iter_mut().zip(&self.roots).for_each(|(value, root)| *value = (*value - mean) * root);
        let scale = scale.unwrap_or_else(|| {
            let squares = dot(&values, &values);
            if SQUARES.contains(&squares) {
                return 1.0 / squares.sqrt();
            }
            values = in_units_of_largest(std::mem::take(&mut values));
            1.0 / dot(&values, &values).sqrt()
        });
        values.iter_mut().for_each(|value| *value *= scale);
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rsa::{Comparison, ModelRdm, TargetRdm};
    use clap::ValueEnum;
    use serde_json::Value;

    fn rows(value: &Value) -> Vec<Vec<f64>> {
        let numbers = |row: &Value| row.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect();
        value.as_array().unwrap().iter().map(numbers).collect()
    }

    /// However the mean of equal numbers is rounded.
    #[test]
    fn a_draw_without_variation_or_pairs_has_no_score() {
        let model =
            |value: f64| ModelRdm { model: String::new(), layer: String::new(), pairs: vec![value, 9.0, 9.0, 9.0, value, value] };
        let target =
            TargetRdm { name: String::new(), kind: "fmri", time: None, subjects: vec![vec![1.0, 3.0, 2.0, 5.0, 4.0, f64::NAN]] };
        let analysis = Analysis {
            comparison: Comparison::Pearson,
            stimuli: 4,
            controls: Vec::new(),
            models: [0.1, 0.7, 1.1].map(model).into(),
            targets: vec![target],
        };
        let prepared = Prepared::new(&analysis).unwrap();
        // The pairs (0, 1) and (1, 3), then the missing pair (2, 3) alone.
        assert!(prepared.scores(&[5, 3, 0, 7], None)[0].iter().all(|score| !score.is_nan()));
        assert!(prepared.scores(&[5, 3, 0, 0], None)[0].iter().all(|score| score.is_nan()));
        assert!(prepared.scores(&[0, 0, 3, 4], None)[0].iter().all(|score| score.is_nan()));
    }

    /// `RDMs.subsample_pattern` and `compare` of rsatoolbox, for the same draws.
    #[test]
    fn scores_on_drawn_stimuli_equal_rsatoolbox() {
        let golden: Value = serde_json::from_str(include_str!("../../tests/fixtures/rsa/golden.json")).unwrap();
        let model = |pairs| ModelRdm { model: String::new(), layer: String::new(), pairs };
        for draw in golden["draws"].as_array().unwrap() {
            let counts: Vec<u32> =
                draw["counts"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap() as u32).collect();
            for (name, expected) in draw["scores"].as_object().unwrap() {
                let analysis = Analysis {
                    comparison: Comparison::from_str(name, false).unwrap(),
                    stimuli: 12,
                    controls: Vec::new(),
                    models: rows(&golden["models"]).into_iter().map(model).collect(),
                    targets: vec![TargetRdm {
                        name: String::new(),
                        kind: "fmri",
                        time: None,
                        subjects: rows(&golden["subjects"]),
                    }],
                };
                let [scores, _] = Prepared::new(&analysis).unwrap().scores(&counts, None);
                for (score, expected) in scores.iter().zip(expected.as_array().unwrap()) {
                    let expected = expected.as_f64().unwrap();
                    assert!((score - expected).abs() < 1e-12, "{name}: {score} not {expected}");
                }
            }
        }
    }
}
