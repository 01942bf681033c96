//! Scores as pictures show them: by target and network, a network's random seeds together.

use super::picture::Picture;
use super::rdms::heading;
use crate::numbers::count;
use crate::rsa::{Score, mean_and_deviation, of_run, triplets};

/// Scores with a smaller p get a mark.
pub(super) const LEVEL: f64 = 0.05;

pub(super) struct Facet<'a> {
    pub(super) target: &'a str,
    pub(super) kind: &'a str,
    pub(super) subjects: usize,
    pub(super) ceiling: Option<[f64; 2]>,
    /// What choosing at random gives, if that is not 0.
    pub(super) chance: Option<f64>,
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

    /// The 95 % interval, if there is one seed, as far as scores can lie.
    pub(super) fn interval(&self) -> Option<[f64; 2]> {
        match self.scores[..] {
            [score] => Some([score.low?, score.high?].map(|end| end.clamp(-1.0, 1.0))),
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
                chance: (score.kind == triplets::KIND).then_some(triplets::CHANCE),
                networks: Vec::new(),
            });
            facets.len() - 1
        });
        let networks = &mut facets[place].networks;
        let (model, weights) = match of_run(&score.model) {
            _ if score.layer.is_empty() => (&*score.model, Weights::None),
            (model, Some(_)) => (model, Weights::Random),
            (model, None) => (model, Weights::Trained),
        };
        let same = |network: &&mut Network| (network.model, network.layer, network.weights) == (model, &*score.layer, weights);
        match networks.iter_mut().find(same).filter(|_| weights == Weights::Random) {
            Some(network) => network.scores.push(score),
            None => networks.push(Network { model, layer: &score.layer, weights, scores: vec![score] }),
        }
    }
    facets
}

pub(super) fn networks<'a>(facets: &'a [Facet]) -> impl Iterator<Item = &'a Network<'a>> {
    facets.iter().flat_map(|facet| &facet.networks)
}

/// What lines and bands of 95 % intervals are over, and of how many draws; where they are cut off, why.
pub(super) fn intervals(facets: &[Facet]) -> Option<String> {
    let drawn = || facets.iter().filter(|facet| facet.networks.iter().any(|network| network.interval().is_some()));
    let mut parts: Vec<(String, Vec<&str>)> = Vec::new();
    for facet in drawn() {
        let of = facet.networks.iter().filter(|network| network.interval().is_some()).find_map(|network| {
            let score = network.scores[0];
            Some(format!(" over {} ({} bootstraps)", score.over?.words(), count(score.draws?)))
        });
        // Tables of former versions do not say.
        let of = of.unwrap_or_default();
        match parts.iter_mut().find(|(other, _)| *other == of) {
            Some((_, targets)) => targets.push(facet.target),
            None => parts.push((of, vec![facet.target])),
        }
    }
    let several = parts.len() > 1;
    let part = |(of, targets): &(String, Vec<&str>)| if several { format!("{of} of {}", targets.join(", ")) } else { of.clone() };
    let parts: Vec<String> = parts.iter().map(part).collect();
    let beyond = networks(facets).any(|network| network.interval().is_some() && network.scores[0].is_beyond());
    let cut = if beyond { "; those that reach beyond ±1, of too few subjects or stimuli, end there" } else { "" };
    (!parts.is_empty()).then(|| format!("95 % intervals{}{cut}.", parts.join(",")))
}

/// What the line of chance is.
pub(super) fn chance(facets: &[Facet]) -> Option<String> {
    let chance = facets.iter().find_map(|facet| facet.chance)?;
    Some(format!("Line at {chance:.3}: chance."))
}

/// What stands below the name of a target: "fmri, mean of 4 subjects".
pub fn what_target(name: &str, kind: &str, subjects: usize) -> String {
    // In a study the dataset stands before the name.
    let kind = if name.rsplit(", ").next() == Some(kind) { "" } else { kind };
    let mean = if subjects > 1 { format!(", mean of {subjects} subjects") } else { String::new() };
    format!("{kind}{mean}").trim_start_matches(", ").to_owned()
}

impl Facet<'_> {
    /// The target, and what it is.
    pub(super) fn heading(&self, width: f64) -> Picture {
        heading(self.target, &what_target(self.target, self.kind, self.subjects), width)
    }

    /// All numbers that are drawn of it.
    pub(super) fn values(&self) -> impl Iterator<Item = f64> {
        self.networks.iter().flat_map(Network::values).chain(self.ceiling.into_iter().flatten()).chain(self.chance)
    }
}
