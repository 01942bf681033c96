//! Scores as pictures show them: by target and network, a network's random seeds together.

use crate::rsa::{Score, mean_and_deviation, of_run};

/// Scores with a smaller p get a mark.
pub(super) const LEVEL: f64 = 0.05;

/// The scores of a target.
pub(super) struct Facet<'a> {
    pub(super) target: &'a str,
    pub(super) kind: &'a str,
    pub(super) subjects: usize,
    /// Lower and upper bound.
    pub(super) ceiling: Option<[f64; 2]>,
    /// In the order of the table.
    pub(super) networks: Vec<Network<'a>>,
}

/// A layer of a network with weights of one kind.
#[derive(Debug, Clone)]
pub(super) struct Network<'a> {
    /// The name of the run without the seed.
    pub(super) model: &'a str,
    pub(super) layer: &'a str,
    pub(super) weights: Weights,
    /// One, or of several seeds.
    pub(super) scores: Vec<&'a Score>,
}

/// What a network learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weights {
    Trained,
    Random,
    /// No network, but an RDM of something else.
    None,
}

impl Weights {
    pub(super) fn name(self) -> &'static str {
        match self {
            Weights::Trained => "trained weights",
            Weights::Random => "random weights",
            Weights::None => "other RDM",
        }
    }
}

impl Network<'_> {
    pub(super) fn mean(&self) -> f64 {
        mean_and_deviation(&self.scores).0
    }

    /// The 95 % interval, if there is one seed.
    pub(super) fn interval(&self) -> Option<[f64; 2]> {
        match self.scores[..] {
            [score] => Some([score.low?, score.high?]),
            _ => None,
        }
    }

    /// Whether every seed is significant over the family of tests; `None` without a test.
    pub(super) fn is_significant(&self) -> Option<bool> {
        let p: Option<Vec<f64>> = self.scores.iter().map(|score| score.p_family).collect();
        Some(p?.into_iter().all(|p| p < LEVEL))
    }

    /// All numbers that are drawn of it.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.scores.iter().map(|score| score.score).chain(self.interval().into_iter().flatten())
    }

    /// `resnet50`, with the layer if `with_layer`.
    pub(super) fn name(&self, with_layer: bool) -> String {
        if with_layer && !self.layer.is_empty() { format!("{} {}", self.model, self.layer) } else { self.model.to_owned() }
    }
}

/// The network of a run, and its weights.
fn parse<'a>(run: &'a str, layer: &str) -> (&'a str, Weights) {
    match of_run(run) {
        _ if layer.is_empty() => (run, Weights::None),
        (model, Some(_)) => (model, Weights::Random),
        (model, None) => (model, Weights::Trained),
    }
}

/// The scores by target.
pub(super) fn facets(scores: &[Score]) -> Vec<Facet<'_>> {
    let mut facets: Vec<Facet> = Vec::new();
    for score in scores {
        let is_of = |facet: &Facet| facet.target == score.target && facet.kind == score.kind;
        let place = facets.iter().position(is_of).unwrap_or_else(|| {
            facets.push(Facet {
                target: &score.target,
                kind: &score.kind,
                subjects: score.subjects,
                ceiling: score.ceiling_lower.zip(score.ceiling_upper).map(|(lower, upper)| [lower, upper]),
                networks: Vec::new(),
            });
            facets.len() - 1
        });
        let networks = &mut facets[place].networks;
        let (model, weights) = parse(&score.model, &score.layer);
        let same = |network: &&mut Network| (network.model, network.layer, network.weights) == (model, &*score.layer, weights);
        match networks.iter_mut().find(same).filter(|_| weights == Weights::Random) {
            Some(network) => network.scores.push(score),
            None => networks.push(Network { model, layer: &score.layer, weights, scores: vec![score] }),
        }
    }
    facets
}

impl Facet<'_> {
    /// What stands above it.
    pub(super) fn title(&self) -> (String, String) {
        let subjects = if self.subjects > 1 { format!(", mean of {} subjects", self.subjects) } else { String::new() };
        let kind = if self.target == self.kind { String::new() } else { self.kind.to_owned() };
        let subtitle = format!("{kind}{subjects}");
        (self.target.to_owned(), subtitle.trim_start_matches(", ").to_owned())
    }

    /// All numbers that are drawn of it.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.networks.iter().flat_map(Network::values).chain(self.ceiling.into_iter().flatten())
    }
}
