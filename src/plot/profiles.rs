//! Scores along the layers of networks: one line for each network, from its first layer to its last.

use super::axis::Axis;
use super::bars::{ceiling, ceiling_entry, line_of_chance, marks, seeds};
use super::colours::{Colour, INK, category, lighter};
use super::font;
use super::networks::{Facet, Network, Weights, chance, facets, intervals, networks};
use super::picture::{Anchor, Picture, Shape, Text};
use super::rdms::{legend, notes};
use crate::rsa::{Score, mean_and_deviation};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 220.0;
const SMALL: f64 = 10.0;
const LONGEST: f64 = 150.0;

/// A network's layers in the order of the table.
struct Profile<'a> {
    model: &'a str,
    weights: Weights,
    layers: Vec<&'a Network<'a>>,
}

/// As [`bars`](super::bars()), along layers.
pub fn profiles(scores: &[Score], title: &str, family: &str, more: &[String]) -> Picture {
    let layers: Vec<Score> = scores.iter().filter(|score| !score.layer.is_empty()).cloned().collect();
    // RDMs of no network stand nowhere along its layers, unless there is nothing else.
    let facets = facets(if layers.is_empty() { scores } else { &layers });
    let axis = Axis::of(facets.iter().flat_map(Facet::values), HEIGHT);
    let mut models: Vec<&str> = Vec::new();
    for network in networks(&facets) {
        if !models.contains(&network.model) {
            models.push(network.model);
        }
    }
    let panels: Vec<Picture> = facets.iter().map(|facet| panel(facet, &axis, &models, title)).collect();
    let panels = Picture::grid(&panels, 2, [24.0, 18.0]);
    let width = panels.width;
    let names = models.iter().enumerate().map(|(number, model)| ((*model).to_owned(), category(number, models.len())));
    let entries: Vec<_> = names.chain(ceiling_entry(&facets)).collect();
    let mut parts = vec![panels, legend(&entries, width)];
    let sentences: Vec<String> = explained(&facets, family).into_iter().chain(more.iter().cloned()).collect();
    parts.extend(notes(&sentences, width));
    Picture::column(parts, 12.0).framed(14.0)
}

fn explained(facets: &[Facet], family: &str) -> Vec<String> {
    let mut notes = Vec::new();
    if networks(facets).any(|network| network.weights == Weights::Random) {
        notes.push("Broken lines: random weights.".to_owned());
    }
    notes.extend(seeds(facets).map(|seeds| format!("Of {seeds} the mean; its band is one standard deviation.")));
    notes.extend(intervals(facets).map(|intervals| format!("Other bands: {intervals}")));
    notes.extend(marks(facets, family).map(|text| text.replacen('*', "Ringed points:", 1)));
    notes.extend(chance(facets));
    notes
}

fn profiles_of<'a>(facet: &'a Facet) -> Vec<Profile<'a>> {
    let mut profiles: Vec<Profile> = Vec::new();
    for network in &facet.networks {
        match profiles.iter_mut().find(|profile| (profile.model, profile.weights) == (network.model, network.weights)) {
            Some(profile) => profile.layers.push(network),
            None => profiles.push(Profile { model: network.model, weights: network.weights, layers: vec![network] }),
        }
    }
    profiles
}

fn panel(facet: &Facet, axis: &Axis, models: &[&str], title: &str) -> Picture {
    let profiles = profiles_of(facet);
    // The layers have names where all lines have the same.
    let layers: Vec<&str> = profiles[0].layers.iter().map(|network| network.layer).collect();
    let same = profiles.iter().all(|profile| profile.layers.iter().map(|network| network.layer).eq(layers.iter().copied()));
    let below = if same { names(&layers) } else { depth() };
    let (heading, left) = (facet.heading(WIDTH), axis.room());
    let top = heading.height;
    let mut picture = Picture::new(left + WIDTH + 10.0, top + HEIGHT + below.height);
    picture.place(heading, left, 0.0);
    ceiling(&mut picture, facet, axis, [left, top], WIDTH);
    axis.draw(&mut picture, [left, top], WIDTH, title);
    let colour = |profile: &Profile| {
        let number = models.iter().position(|model| *model == profile.model).unwrap_or(0);
        category(number, models.len())
    };
    // All bands below all lines.
    profiles.iter().for_each(|profile| draw_band(&mut picture, profile, axis, colour(profile), [left, top]));
    profiles.iter().for_each(|profile| draw_line(&mut picture, profile, axis, colour(profile), [left, top]));
    picture.place(below, left, top + HEIGHT);
    line_of_chance(&mut picture, facet, axis, [left, top], WIDTH);
    picture
}

/// Where layer `number` of `count` stands.
fn x(number: usize, count: usize) -> f64 {
    let margin = 12.0;
    if count < 2 { WIDTH / 2.0 } else { margin + (WIDTH - 2.0 * margin) * number as f64 / (count - 1) as f64 }
}

/// The names of the layers, as many as there is room for.
fn names(layers: &[&str]) -> Picture {
    let step = (layers.len() as f64 * (SMALL + 3.0) / (WIDTH - 24.0)).ceil().max(1.0) as usize;
    let shown = || layers.iter().enumerate().step_by(step);
    let shortened = |name: &str| font::shortened(name, SMALL, LONGEST);
    let longest = shown().map(|(_, name)| font::width(&shortened(name), SMALL, false)).fold(0.0, f64::max);
    let mut picture = Picture::new(WIDTH, longest + 14.0);
    for (number, name) in shown() {
        let x = x(number, layers.len());
        picture.line([x, 0.0], [x, 4.0], INK, 0.8);
        picture.write(Text::new(x + 3.5, 8.0, SMALL, shortened(name)).anchored(Anchor::End).turned(-90.0));
    }
    picture
}

fn depth() -> Picture {
    let mut picture = Picture::new(WIDTH, 24.0);
    for (x, text, anchor) in [(x(0, 2), "first layer", Anchor::Start), (x(1, 2), "last layer", Anchor::End)] {
        picture.line([x, 0.0], [x, 4.0], INK, 0.8);
        picture.write(Text::new(x, 15.0, SMALL, text).anchored(anchor));
    }
    picture
}

/// Where the value of layer `number` of `count` lies.
fn at(axis: &Axis, [left, top]: [f64; 2], number: usize, count: usize, value: f64) -> [f64; 2] {
    [left + x(number, count), top + axis.y(value)]
}

/// Draws the intervals of a profile, or the spread of its seeds, if every layer has one.
fn draw_band(picture: &mut Picture, profile: &Profile, axis: &Axis, colour: Colour, corner: [f64; 2]) {
    let count = profile.layers.len();
    let bands = profile.layers.iter().map(|network| network.interval().or_else(|| spread(network)));
    if let (true, Some(bands)) = (count > 1, bands.collect::<Option<Vec<[f64; 2]>>>()) {
        let upper = bands.iter().enumerate().map(|(number, [_, high])| at(axis, corner, number, count, *high));
        let lower = bands.iter().enumerate().rev().map(|(number, [low, _])| at(axis, corner, number, count, *low));
        picture.add(Shape::Area { points: upper.chain(lower).collect(), fill: lighter(colour, 0.45) });
    }
}

fn draw_line(picture: &mut Picture, profile: &Profile, axis: &Axis, colour: Colour, corner: [f64; 2]) {
    let count = profile.layers.len();
    let of = |(number, network): (usize, &&Network)| at(axis, corner, number, count, network.mean());
    let points: Vec<[f64; 2]> = profile.layers.iter().enumerate().map(of).collect();
    let dashed = profile.weights == Weights::Random;
    picture.add(Shape::Line { points: points.clone(), colour, width: 1.6, dashed });
    for ([x, y], network) in points.into_iter().zip(&profile.layers) {
        if network.is_significant() == Some(true) {
            picture.add(Shape::Dot { x, y, radius: 4.6, fill: INK });
        }
        picture.add(Shape::Dot { x, y, radius: 3.0, fill: colour });
    }
}

/// The mean of several seeds, less and plus their standard deviation.
fn spread(network: &Network) -> Option<[f64; 2]> {
    let (mean, deviation) = mean_and_deviation(&network.scores);
    deviation.map(|deviation| [mean - deviation, mean + deviation])
}
