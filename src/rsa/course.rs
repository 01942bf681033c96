//! Scores over the time of a movie: when a model's is highest, when it begins, over which times it holds.

use super::bootstrap::{Bootstrap, percentiles};
use super::clusters::{Cluster, clusters};
use super::permutation::Permuted;
use super::{Analysis, TargetRdm};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A cluster is significant from this p on.
const LEVEL: f64 = 0.05;

/// The share of draws without an onset above which there is no interval of it.
const MANY_WITHOUT: f64 = 0.05;

/// The scores of a model over the time of a movie. Times are in ms, or frames counted from 0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// The name of the movie.
    pub target: String,
    /// `meg` or `eeg`.
    pub kind: String,
    /// The run, as its folder is called.
    pub model: String,
    /// PyTorch's name of the layer.
    pub layer: String,
    /// The highest score.
    pub score: f64,
    /// When it is reached.
    pub peak: f64,
    /// The 95 % interval of that: of the times of the highest scores in all draws.
    pub peak_low: Option<f64>,
    /// Its upper end.
    pub peak_high: Option<f64>,
    /// When the first significant cluster of positive scores begins, if there is one.
    pub onset: Option<f64>,
    /// The 95 % interval of that: of when the largest cluster of each draw begins that shares times with it.
    pub onset_low: Option<f64>,
    /// Its upper end.
    pub onset_high: Option<f64>,
    /// In how many draws there is none.
    pub draws_without_onset: Option<usize>,
    /// The clusters of scores, significant or not.
    pub clusters: Vec<TimeCluster>,
}

/// Times side by side at which the score deviates from chance in one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeCluster {
    /// Its first time.
    pub from: f64,
    /// Its last time.
    pub to: f64,
    /// The sum of its deviations, in units of their spread over the permutations.
    pub mass: f64,
    /// Corrected for all times, models and targets by the largest mass in each permutation.
    pub p: f64,
}

/// Those of all movies and models; none without movies.
pub(super) fn courses(
    analysis: &Analysis,
    scores: &[f64],
    permuted: Option<&Permuted>,
    bootstrap: Option<&Bootstrap>,
) -> Vec<Course> {
    let models = analysis.models.len();
    let mut courses = Vec::new();
    for movie in analysis.movies() {
        for model in 0..models {
            let number = courses.len();
            let of = Chain { analysis, movie: movie.clone(), model, number };
            courses.push(of.course(scores, permuted, bootstrap));
        }
    }
    courses
}

/// The tests of one movie and model.
struct Chain<'a> {
    analysis: &'a Analysis,
    movie: Range<usize>,
    model: usize,
    /// As [`Analysis::chains`] numbers them.
    number: usize,
}

impl Chain<'_> {
    fn targets(&self) -> &[TargetRdm] {
        &self.analysis.targets[self.movie.clone()]
    }

    fn tests(&self) -> impl Iterator<Item = usize> {
        let (models, model) = (self.analysis.models.len(), self.model);
        self.movie.clone().map(move |target| target * models + model)
    }

    fn time(&self, place: usize) -> f64 {
        self.targets()[place].time.unwrap_or_default()
    }

    fn course(&self, scores: &[f64], permuted: Option<&Permuted>, bootstrap: Option<&Bootstrap>) -> Course {
        let (target, model) = (&self.targets()[0], &self.analysis.models[self.model]);
        let own: Vec<f64> = self.tests().map(|test| scores[test]).collect();
        let peak = highest(&own).unwrap_or(0);
        let clusters = permuted.map(|permuted| self.clusters(permuted)).unwrap_or_default();
        let first = permuted.and_then(|permuted| self.first(permuted));
        let onset = first.as_ref().map(|cluster| self.time(cluster.places.start));
        let peaks = bootstrap.map(|bootstrap| self.of_draws(bootstrap, highest));
        let onsets = permuted.zip(bootstrap).zip(first).map(|((permuted, bootstrap), first)| {
            let begins = |draw: &[f64]| self.begins(scores, permuted, &first, draw);
            self.of_draws(bootstrap, begins)
        });
        let [peak_low, peak_high] = interval(peaks.as_ref());
        let [onset_low, onset_high] = interval(onsets.as_ref());
        Course {
            target: target.name.clone(),
            kind: target.kind.to_owned(),
            model: model.model.clone(),
            layer: model.layer.clone(),
            score: own[peak],
            peak: self.time(peak),
            peak_low,
            peak_high,
            onset,
            onset_low,
            onset_high,
            draws_without_onset: onsets.map(|onsets| onsets.without),
            clusters,
        }
    }

    fn clusters(&self, permuted: &Permuted) -> Vec<TimeCluster> {
        let own = permuted.clusters.iter().filter(|(cluster, _)| cluster.chain == self.number);
        let in_times = |(cluster, p): &(Cluster, f64)| TimeCluster {
            from: self.time(cluster.places.start),
            to: self.time(cluster.places.end - 1),
            mass: cluster.mass,
            p: *p,
        };
        own.map(in_times).collect()
    }

    /// The first significant cluster of positive scores.
    fn first(&self, permuted: &Permuted) -> Option<Cluster> {
        let mut own = permuted.clusters.iter().filter(|(cluster, _)| cluster.chain == self.number);
        own.find(|(cluster, p)| *p <= LEVEL && cluster.mass > 0.0).map(|(cluster, _)| cluster.clone())
    }

    /// Where the largest of the clusters of a draw's scores begins that share times with `first`, the cluster that was found.
    fn begins(&self, scores: &[f64], permuted: &Permuted, first: &Cluster, draw: &[f64]) -> Option<usize> {
        let deviation = |(test, &score): (usize, &f64)| {
            // The observed deviation is from the mean over the permutations.
            let expected = scores[test] - permuted.observed[test];
            (score - expected) / permuted.spreads[test]
        };
        // A draw without a score at a time has no cluster there.
        let known = |deviation: f64| if deviation.is_nan() { 0.0 } else { deviation };
        let found = clusters(self.number, self.tests().zip(draw).map(deviation).map(known));
        let shares = |cluster: &Cluster| cluster.places.start < first.places.end && first.places.start < cluster.places.end;
        let sharing = found.into_iter().filter(|cluster| cluster.mass > 0.0 && shares(cluster));
        sharing.max_by(|a, b| a.mass.total_cmp(&b.mass)).map(|cluster| cluster.places.start)
    }

    /// The times of what `place` finds in the scores of each draw.
    fn of_draws(&self, bootstrap: &Bootstrap, place: impl Fn(&[f64]) -> Option<usize>) -> Drawn {
        let found: Vec<Option<usize>> = (0..bootstrap.draws)
            .map(|draw| place(&self.tests().map(|test| bootstrap.drawn_score(draw, test)).collect::<Vec<_>>()))
            .collect();
        Drawn {
            times: found.iter().flatten().map(|&place| self.time(place)).collect(),
            without: found.iter().filter(|place| place.is_none()).count(),
        }
    }
}

/// Times in draws, and in how many there was none.
struct Drawn {
    times: Vec<f64>,
    without: usize,
}

/// The percentiles, unless too many draws have no time.
fn interval(drawn: Option<&Drawn>) -> [Option<f64>; 2] {
    let Some(Drawn { times, without }) = drawn else { return [None; 2] };
    if *without as f64 > MANY_WITHOUT * (times.len() + without) as f64 {
        return [None; 2];
    }
    percentiles(times.clone()).map(Some)
}

/// Where the highest of these is, the first of several; those that are not known are not.
fn highest(scores: &[f64]) -> Option<usize> {
    let known = scores.iter().enumerate().filter(|(_, score)| !score.is_nan());
    known
        .fold(None, |best: Option<(usize, f64)>, (place, &score)| match best {
            Some((_, most)) if most >= score => best,
            _ => Some((place, score)),
        })
        .map(|(place, _)| place)
}
