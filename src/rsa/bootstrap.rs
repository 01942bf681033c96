//! The bootstrap: how scores vary with the stimuli or subjects that were sampled.
//!
//! Stimuli are drawn with replacement; pairs of two copies of one stimulus are left out, for their distance of 0 would
//! raise every score. Draws of fewer than three different stimuli are drawn again (as in rsatoolbox and Nili et al. 2014).

use super::random::{Purpose, generator, multiplicities};
use super::resample::Prepared;
use super::{Analysis, Comparison, TargetRdm};
use crate::error::advise;
use crate::parallel::parallel;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// To other stimuli, of these subjects
    #[default]
    Stimuli,
    /// To other subjects, seeing these stimuli
    Subjects,
    /// To other subjects and other stimuli
    Both,
}

impl Over {
    /// What can be drawn of a target with this many subjects.
    pub(super) fn of(self, subjects: usize) -> Over {
        if self == Over::Both && subjects < 2 { Over::Stimuli } else { self }
    }

    /// What is drawn, in words.
    pub fn words(self) -> &'static str {
        match self {
            Over::Stimuli => "stimuli",
            Over::Subjects => "subjects",
            Over::Both => "stimuli and subjects",
        }
    }
}

/// The share of draws without a score above which nothing is concluded from the others: they are the easy ones.
pub(super) const MANY_LEFT_OUT: f64 = 0.05;

/// A deviation of a difference of scores that is no more than this is rounding.
const ROUNDING: f64 = 1e-12;

/// The scores in all draws.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// What was drawn of each target.
    pub(super) over: Vec<Over>,
    /// How many draws.
    pub draws: usize,
    /// n.
    stimuli: usize,
    /// The number of subjects of each target.
    subjects: Vec<usize>,
    tests: usize,
    /// `[draws, tests]`, each drawn over stimuli, over subjects, and over both; empty if not wanted.
    samples: [Vec<f64>; 3],
}

/// Draws `draws` times from the stimuli, the subjects, or both; of a target with one subject from the stimuli instead of both.
pub fn bootstrap(analysis: &Analysis, over: Over, draws: usize, seed: u64) -> Result<Bootstrap> {
    check(analysis, over)?;
    let prepared = if over == Over::Subjects { None } else { Prepared::new(analysis) };
    let by_subject = if over == Over::Stimuli { Vec::new() } else { analysis.scores_by_subject()? };
    let scores = |stimuli: &[u32], subjects: Option<&[Vec<u32>]>| match &prepared {
        Some(of) => of.scores(stimuli, subjects),
        None => [Vec::new(), Vec::new()],
    };
    draw(analysis, analysis.models.len(), Draws { over, draws, seed }, &by_subject, &scores)
}

/// What is drawn, how often, by which seed.
#[derive(Clone, Copy)]
pub(super) struct Draws {
    pub(super) over: Over,
    pub(super) draws: usize,
    pub(super) seed: u64,
}

/// The scores of all tests, `[targets, of_target]`, when stimulus i comes as often as the numbers say: the mean over all subjects of
/// a target, and over drawn ones if these are given.
pub(super) type OnDrawn<'a> = &'a (dyn Fn(&[u32], Option<&[Vec<u32>]>) -> [Vec<f64>; 2] + Sync);

/// Draws anything that is scored on the stimuli and subjects of `analysis`: `by_subject` are the scores of every test in each subject
/// as they are, for draws of subjects.
pub(super) fn draw(
    analysis: &Analysis,
    of_target: usize,
    Draws { over, draws, seed }: Draws,
    by_subject: &[Vec<f64>],
    scores: OnDrawn,
) -> Result<Bootstrap> {
    let drawn: Vec<[Vec<f64>; 3]> = parallel(draws, &|draw| {
        let mut random = generator(seed, Purpose::Bootstrap, draw);
        let stimuli = (over != Over::Subjects).then(|| enough(|| multiplicities(analysis.stimuli, &mut random)));
        let subjects: Option<Vec<Vec<u32>>> = (over != Over::Stimuli)
            .then(|| analysis.targets.iter().map(|target| multiplicities(target.subjects.len(), &mut random)).collect());
        let over_subjects = subjects.as_ref().map(|subjects| weighted(by_subject, subjects, of_target));
        let [of_all, of_drawn] = stimuli.map_or([Vec::new(), Vec::new()], |stimuli| scores(&stimuli, subjects.as_deref()));
        Ok([of_all, over_subjects.unwrap_or_default(), of_drawn])
    })?;
    let samples = [0, 1, 2].map(|part| drawn.iter().flat_map(|draw| draw[part].iter().copied()).collect());
    let subjects: Vec<usize> = analysis.targets.iter().map(|target| target.subjects.len()).collect();
    let over = subjects.iter().map(|&subjects| over.of(subjects)).collect();
    let tests = analysis.targets.len() * of_target;
    Ok(Bootstrap { over, draws, stimuli: analysis.stimuli, subjects, tests, samples })
}

pub(super) fn check(analysis: &Analysis, over: Over) -> Result<()> {
    let targets = analysis.targets.iter().map(|target| (target.name.as_str(), target.subjects.len()));
    match cannot_draw(analysis.comparison, over, targets) {
        None => Ok(()),
        Some(NoDraws::OneSubject(problem)) => {
            Err(advise(problem, "give an array [subjects, N, N] or several files, or bootstrap over stimuli"))
        }
        Some(NoDraws::WholeMatrices(problem)) => Err(advise(problem, "take --over subjects, or another comparison")),
    }
}

/// Why a bootstrap has nothing to draw, in words.
pub(crate) enum NoDraws {
    OneSubject(String),
    WholeMatrices(String),
}

/// Whether a bootstrap can be drawn, of targets with their names and numbers of subjects.
pub(crate) fn cannot_draw<'a>(
    comparison: Comparison,
    over: Over,
    targets: impl Iterator<Item = (&'a str, usize)>,
) -> Option<NoDraws> {
    let (one, several): (Vec<_>, Vec<_>) = targets.partition(|(_, subjects)| *subjects < 2);
    let needed = match over {
        Over::Stimuli => false,
        Over::Subjects => true,
        // Of the others stimuli are drawn.
        Over::Both => several.is_empty(),
    };
    if let (true, Some((name, _))) = (needed, one.first()) {
        return Some(NoDraws::OneSubject(format!("`{name}` has one subject, so there are none to draw from")));
    }
    (over != Over::Subjects && comparison.scoring().needs_all_pairs()).then(|| {
        NoDraws::WholeMatrices(format!(
            "{} is made of whole matrices, and the bootstrap over stimuli leaves pairs out",
            comparison.title()
        ))
    })
}

/// What is drawn, and the names of the targets of which it is.
pub fn drawn(over: Over, targets: &[TargetRdm]) -> Vec<(Over, Vec<String>)> {
    let mut drawn: Vec<(Over, Vec<String>)> = Vec::new();
    for target in targets {
        let (over, name) = (over.of(target.subjects.len()), format!("`{}`", target.name));
        match drawn.iter_mut().find(|(other, _)| *other == over) {
            Some((_, names)) => names.push(name),
            None => drawn.push((over, vec![name])),
        }
    }
    drawn
}

/// Draws until three stimuli differ.
pub(super) fn enough(mut draw: impl FnMut() -> Vec<u32>) -> Vec<u32> {
    loop {
        let counts = draw();
        if counts.iter().filter(|&&count| count > 0).count() >= 3.min(counts.len()) {
            return counts;
        }
    }
}

/// The mean over the drawn subjects of the scores in each.
fn weighted(by_subject: &[Vec<f64>], subjects: &[Vec<u32>], models: usize) -> Vec<f64> {
    let mean = |(test, scores): (usize, &Vec<f64>)| {
        let sum: f64 = scores.iter().zip(&subjects[test / models]).map(|(score, &count)| score * f64::from(count)).sum();
        sum / scores.len() as f64
    };
    by_subject.iter().enumerate().map(mean).collect()
}

impl Bootstrap {
    /// The number of draws in which one of `tests` has no score, for its model or its target does not vary in them.
    pub fn left_out(&self, tests: &[usize]) -> usize {
        let missing = |draw: usize, test: usize| {
            self.samples.iter().any(|part| part.get(draw * self.tests + test).is_some_and(|score| score.is_nan()))
        };
        (0..self.draws).filter(|&draw| tests.iter().any(|&test| missing(draw, test))).count()
    }

    /// Whether too many draws have no score for a conclusion from the others.
    fn is_sparse(&self, tests: &[usize]) -> bool {
        self.left_out(tests) as f64 > MANY_LEFT_OUT * self.draws as f64
    }

    /// The 95 % interval of test `test`, whose score is `score`: percentiles of the draws; over stimuli and subjects
    /// both, `score ± t · σ` with the corrected σ. `None` if more than 5 % of the draws have no score.
    pub fn interval(&self, test: usize, score: f64) -> Option<[f64; 2]> {
        if self.is_sparse(&[test]) {
            return None;
        }
        let values = |part: usize| self.column(part, test);
        Some(match self.over_of(test) {
            Over::Stimuli => percentiles(values(0)),
            Over::Subjects => percentiles(values(1)),
            Over::Both => {
                let reach = self.students_t(test).inverse_cdf(0.975) * self.variance(test, &values).sqrt();
                [score - reach, score + reach]
            }
        })
    }

    /// The two-sided p of no difference between the scores of two tests, `difference` apart: `t = difference / σ` with
    /// the bootstrapped σ of the difference (Schütt et al. 2023). `None` if the draws do not tell how sure the difference
    /// is: it does not vary, or too many have no score.
    pub fn p_of_difference(&self, a: usize, b: usize, difference: f64) -> Option<f64> {
        if self.is_sparse(&[a, b]) {
            return None;
        }
        let values =
            |part: usize| -> Vec<f64> { self.column(part, a).iter().zip(self.column(part, b)).map(|(a, b)| a - b).collect() };
        let deviation = self.variance(a, &values).sqrt();
        match (deviation > ROUNDING, difference.abs() > ROUNDING) {
            (true, _) => Some(2.0 * self.students_t(a).cdf(-(difference / deviation).abs())),
            // The models are the same.
            (false, false) if deviation <= ROUNDING => Some(1.0),
            _ => None,
        }
    }

    /// Of the target of a test.
    fn subjects_of(&self, test: usize) -> usize {
        self.subjects[test / (self.tests / self.subjects.len())]
    }

    /// What was drawn of the target of a test.
    pub(super) fn over_of(&self, test: usize) -> Over {
        self.over[test / (self.tests / self.over.len())]
    }

    /// The score of a test in a draw of what its target was drawn over.
    pub(super) fn drawn_score(&self, draw: usize, test: usize) -> f64 {
        let part = match self.over_of(test) {
            Over::Stimuli => 0,
            Over::Subjects => 1,
            Over::Both => 2,
        };
        self.samples[part][draw * self.tests + test]
    }

    /// The score of a test in all draws.
    fn column(&self, part: usize, test: usize) -> Vec<f64> {
        self.samples[part].iter().skip(test).step_by(self.tests).copied().collect()
    }

    /// With as many degrees of freedom as the smaller sample has, less one.
    fn students_t(&self, test: usize) -> StudentsT {
        let (stimuli, subjects) = (self.stimuli, self.subjects_of(test));
        let smaller = match self.over_of(test) {
            Over::Stimuli => stimuli,
            Over::Subjects => subjects,
            Over::Both => stimuli.min(subjects),
        };
        StudentsT::new(0.0, 1.0, (smaller - 1) as f64).expect("at least two were drawn from")
    }

    /// That of a new experiment, from that of the draws (Schütt et al. 2023): over both factors the bootstrap counts the
    /// variance of each and of their interaction with other weights. As rsatoolbox's `extract_variances`.
    fn variance(&self, test: usize, values: &dyn Fn(usize) -> Vec<f64>) -> f64 {
        let sizes = [self.stimuli, self.subjects_of(test)];
        match self.over_of(test) {
            Over::Stimuli => one_factor(variance(&values(0)), sizes[0]),
            Over::Subjects => one_factor(variance(&values(1)), sizes[1]),
            Over::Both => two_factors([0, 1, 2].map(|part| variance(&values(part))), sizes.map(|size| size as f64)),
        }
    }
}

/// `n/(n−1) σ²`: a sample varies less within itself than what it was drawn from.
fn one_factor(variance: f64, n: usize) -> f64 {
    n as f64 / (n as f64 - 1.0) * variance
}

/// `c/(c−1) σ²_c + r/(r−1) σ²_r − cr/((c−1)(r−1)) (σ²_both − σ²_c − σ²_r)` of c stimuli and r subjects, not below either
/// factor's own and not above σ²_both.
fn two_factors([stimuli, subjects, both]: [f64; 3], [c, r]: [f64; 2]) -> f64 {
    let (own_stimuli, own_subjects) = (c / (c - 1.0) * stimuli, r / (r - 1.0) * subjects);
    let interaction = c * r / ((c - 1.0) * (r - 1.0)) * (both - stimuli - subjects);
    (own_stimuli + own_subjects - interaction).max(own_stimuli).max(own_subjects).min(both)
}

/// Sum of squared deviations over the number less one.
///
/// Draws in which a model or target does not vary have no score and are left out, here and in the percentiles.
fn variance(values: &[f64]) -> f64 {
    let values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// The 2.5 and 97.5 percentiles, between neighbours in proportion, as NumPy's default.
pub(super) fn percentiles(mut values: Vec<f64>) -> [f64; 2] {
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    [0.025, 0.975].map(|share| {
        let place = share * (values.len() - 1) as f64;
        let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
        below + (above - below) * place.fract()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `extract_variances` of rsatoolbox, for 5 subjects and 12 stimuli.
    #[test]
    fn the_two_factor_variance_equals_rsatoolbox() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../../tests/fixtures/rsa/golden.json")).unwrap();
        for (k, variances) in [[4.0, 3.0, 9.0], [1.0, 0.5, 4.0]].into_iter().enumerate() {
            let variance = two_factors(variances, [12.0, 5.0]);
            assert!((variance - golden["two_factors"][k].as_f64().unwrap()).abs() < 1e-13, "{variance}");
        }
    }

    /// `numpy.percentile`.
    #[test]
    fn percentiles_lie_between_neighbours() {
        let [low, high] = percentiles((0..100).rev().map(f64::from).collect());
        assert!((low - 2.475).abs() < 1e-12 && (high - 96.525).abs() < 1e-12, "{low} {high}");
    }
}
