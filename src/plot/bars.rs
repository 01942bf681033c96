//! Scores as bars: one for each network and target, pretrained beside random.

use super::axis::Axis;
use super::colours::{Colour, FAINT, INK};
use super::font;
use super::networks::{Facet, LEVEL, Network, Weights, chance, facets, intervals, networks};
use super::picture::{Anchor, Picture, Shape, Text};
use super::rdms::{legend, notes};
use crate::rsa::Score;
use std::collections::BTreeSet;

const HEIGHT: f64 = 200.0;
const BAR: f64 = 16.0;
const BETWEEN: f64 = 12.0;
const WIDEST: f64 = 1100.0;
pub(super) const SMALL: f64 = 10.0;

/// The line of chance.
const CHANCE: Colour = [190, 60, 60];

/// Names longer than this are shortened.
const LONGEST: f64 = 170.0;

/// A network's bars: what stands below them, and its kinds of weights.
type Group<'a> = (String, Vec<&'a Network<'a>>);

/// A panel for each target of `scores` (not empty); `title` names the measure, `family` the tests over which p was corrected.
pub fn bars(scores: &[Score], title: &str, family: &str, more: &[String]) -> Picture {
    let facets = facets(scores);
    let axis = Axis::of(facets.iter().flat_map(Facet::values), HEIGHT);
    let panels: Vec<Picture> = facets.iter().flat_map(|facet| panels(facet, &axis, title)).collect();
    let width = panels.iter().map(|panel| panel.width).fold(0.0, f64::max);
    let columns = ((WIDEST / (width + 24.0)) as usize).clamp(1, panels.len());
    let panels = Picture::grid(&panels, columns, [24.0, 18.0]);
    let width = panels.width.max(360.0);
    let mut parts = vec![panels, legend(&entries(&facets), width)];
    let sentences: Vec<String> = explained(&facets, family).into_iter().chain(more.iter().cloned()).collect();
    parts.extend(notes(&sentences, width));
    Picture::column(parts, 12.0).framed(14.0)
}

pub(super) fn colour(weights: Weights) -> Colour {
    match weights {
        Weights::Trained => [0, 90, 160],
        Weights::Random => [165, 178, 190],
        Weights::None => [213, 130, 40],
    }
}

/// The name of the ceiling in legends, with its colour.
pub(super) fn ceiling_entry(facets: &[Facet]) -> Option<(String, Colour)> {
    facets.iter().any(|facet| facet.ceiling.is_some()).then(ceiling_entry_of)
}

pub(super) fn ceiling_entry_of() -> (String, Colour) {
    ("noise ceiling".to_owned(), FAINT)
}

fn entries(facets: &[Facet]) -> Vec<(String, Colour)> {
    let weights: BTreeSet<Weights> = networks(facets).map(|network| network.weights).collect();
    let name = |weights: Weights| match weights {
        // Triplets are of features.
        Weights::None if facets.iter().any(|facet| facet.chance.is_some()) => "other features".to_owned(),
        _ => weights.name().to_owned(),
    };
    weights.into_iter().map(|weights| (name(weights), colour(weights))).chain(ceiling_entry(facets)).collect()
}

/// What lines, dots and marks mean, of those that are drawn.
fn explained(facets: &[Facet], family: &str) -> Vec<String> {
    let mut notes: Vec<String> = intervals(facets).map(|intervals| format!("Lines: {intervals}")).into_iter().collect();
    notes.extend(seeds(facets).map(|seeds| format!("Bars of random weights: mean of {seeds}, of which each is a dot.")));
    notes.extend(marks(facets, family));
    notes.extend(chance(facets));
    notes
}

/// How many seeds networks with several have: "3 seeds", "2 to 5 seeds".
pub(super) fn seeds(facets: &[Facet]) -> Option<String> {
    let counts = || networks(facets).map(|network| network.scores.len()).filter(|&count| count > 1);
    match (counts().min()?, counts().max()?) {
        (least, most) if least == most => Some(format!("{most} seeds")),
        (least, most) => Some(format!("{least} to {most} seeds")),
    }
}

pub(super) fn marks(facets: &[Facet], family: &str) -> Option<String> {
    networks(facets).any(|network| network.is_significant().is_some()).then(|| {
        let seeds =
            if networks(facets).any(|network| network.scores.len() > 1) { "; of random weights: with every seed" } else { "" };
        format!("* p < {LEVEL}, two-sided permutation test, corrected over {family} by the maximum statistic{seeds}.")
    })
}

fn groups<'a>(facet: &'a Facet) -> Vec<Group<'a>> {
    let has_layers = |network: &&Network| facet.networks.iter().any(|o| o.model == network.model && o.layer != network.layer);
    let with_layers = facet.networks.iter().any(|network| has_layers(&network));
    let mut groups: Vec<Group> = Vec::new();
    for network in &facet.networks {
        let name = network.name(with_layers);
        match groups.iter_mut().find(|(other, _)| *other == name) {
            Some((_, networks)) => networks.push(network),
            None => groups.push((name, vec![network])),
        }
    }
    groups.iter_mut().for_each(|(_, networks)| networks.sort_by_key(|network| network.weights));
    groups
}

/// The panels of a target: more than one if there are more bars than fit side by side.
fn panels(facet: &Facet, axis: &Axis, title: &str) -> Vec<Picture> {
    let mut rows: Vec<Vec<Group>> = Vec::new();
    let width = |groups: &[Group]| groups.iter().map(|(_, networks)| networks.len() as f64 * BAR + BETWEEN).sum::<f64>();
    for group in groups(facet) {
        match rows.last_mut() {
            Some(row) if width(row) + width(std::slice::from_ref(&group)) <= WIDEST - 80.0 => row.push(group),
            _ => rows.push(vec![group]),
        }
    }
    rows.iter().map(|groups| panel(facet, groups, axis, title)).collect()
}

fn panel(facet: &Facet, groups: &[Group], axis: &Axis, title: &str) -> Picture {
    let widths: Vec<f64> = groups.iter().map(|(_, networks)| networks.len() as f64 * BAR + BETWEEN).collect();
    let plot = widths.iter().sum::<f64>() + BETWEEN;
    let names: Vec<String> = groups.iter().map(|(name, _)| font::shortened(name, SMALL, LONGEST)).collect();
    let longest = names.iter().map(|name| font::width(name, SMALL, false)).fold(0.0, f64::max);
    let fits = names.iter().zip(&widths).all(|(name, width)| font::width(name, SMALL, false) + 6.0 <= *width);
    // Turned names reach left and down by as much.
    let reach = if fits { 0.0 } else { longest * std::f64::consts::FRAC_1_SQRT_2 };
    let left = axis.room().max(reach - widths[0] / 2.0 + 4.0).ceil();
    let heading = facet.heading(plot.max(140.0));
    let top = heading.height;
    let mut picture = Picture::new(left + plot.max(140.0), top + HEIGHT + if fits { 18.0 } else { reach + 18.0 });
    picture.place(heading, left, 0.0);
    ceiling(&mut picture, facet, axis, [left, top], plot);
    axis.draw(&mut picture, [left, top], plot, title);
    let mut x = left + BETWEEN;
    for ((_, networks), (name, width)) in groups.iter().zip(names.into_iter().zip(widths)) {
        for (number, network) in networks.iter().enumerate() {
            bar(&mut picture, network, axis, [x + number as f64 * BAR, top]);
        }
        let middle = x + (width - BETWEEN) / 2.0;
        let text = Text::new(middle, top + HEIGHT + 14.0, SMALL, name);
        picture.write(if fits { text.anchored(Anchor::Middle) } else { text.anchored(Anchor::End).turned(-45.0) });
        x += width;
    }
    line_of_chance(&mut picture, facet, axis, [left, top], plot);
    picture
}

/// The band between the bounds of the noise ceiling.
pub(super) fn ceiling(picture: &mut Picture, facet: &Facet, axis: &Axis, [left, top]: [f64; 2], width: f64) {
    if let Some([lower, upper]) = facet.ceiling {
        let (high, low) = (axis.y(upper), axis.y(lower));
        picture.add(Shape::Rectangle { x: left, y: top + high, width, height: (low - high).max(1.5), fill: FAINT });
    }
}

/// What choosing at random gives, above all that is drawn.
pub(super) fn line_of_chance(picture: &mut Picture, facet: &Facet, axis: &Axis, [left, top]: [f64; 2], width: f64) {
    if let Some(y) = facet.chance.map(|chance| top + axis.y(chance)) {
        picture.line([left, y], [left + width, y], CHANCE, 1.0);
    }
}

fn bar(picture: &mut Picture, network: &Network, axis: &Axis, [x, top]: [f64; 2]) {
    let (mean, zero) = (network.mean(), axis.y(0.0));
    let y = axis.y(mean);
    let fill = colour(network.weights);
    let (from, height) = (y.min(zero), (y - zero).abs());
    picture.add(Shape::Rectangle { x: x + 1.0, y: top + from, width: BAR - 2.0, height, fill });
    let middle = x + BAR / 2.0;
    if let Some([low, high]) = network.interval() {
        picture.line([middle, top + axis.y(high)], [middle, top + axis.y(low)], INK, 1.2);
    }
    if network.scores.len() > 1 {
        for score in &network.scores {
            picture.add(Shape::Dot { x: middle, y: top + axis.y(score.score), radius: 2.0, fill: INK });
        }
    }
    if network.is_significant() == Some(true) {
        let highest = network.values().chain([0.0]).fold(f64::NEG_INFINITY, f64::max);
        picture.write(Text::new(middle, top + axis.y(highest), 13.0, "*").anchored(Anchor::Middle));
    }
}
