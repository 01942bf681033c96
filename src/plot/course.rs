//! Scores over the time of a movie: a line for each layer, its interval as a band, its significant clusters as a bar below.

use super::axis::Axis;
use super::bars::{SMALL, ceiling_entry_of};
use super::colours::{Colour, FAINT, INK, category, lighter};
use super::networks::{LEVEL, what_target};
use super::picture::{Anchor, Picture, Shape, Text};
use super::rdms::{heading, legend, notes};
use crate::numbers::count;
use crate::rsa::{Score, model_name};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 220.0;
/// Of the bar of a line's clusters.
const BAR: f64 = 5.0;

/// A movie, and the scores of each model over its times.
struct Panel<'a> {
    lines: Vec<Line<'a>>,
}

struct Line<'a> {
    name: String,
    scores: Vec<&'a Score>,
}

/// The scores of movies among `scores`, each in a panel of its own; `None` if there are none.
pub fn courses(scores: &[Score], title: &str, more: &[String]) -> Option<Picture> {
    let panels = panels(scores);
    if panels.is_empty() {
        return None;
    }
    let names: Vec<String> = panels.iter().flat_map(|panel| panel.lines.iter().map(|line| line.name.clone())).collect();
    let mut distinct: Vec<String> = Vec::new();
    names.into_iter().for_each(|name| {
        if !distinct.contains(&name) {
            distinct.push(name)
        }
    });
    let axis = Axis::of(panels.iter().flat_map(Panel::values), HEIGHT);
    let drawn: Vec<Picture> = panels.iter().map(|panel| panel.picture(&axis, &distinct, title)).collect();
    let drawn = Picture::grid(&drawn, 2, [24.0, 18.0]);
    let width = drawn.width;
    let entries = distinct.iter().enumerate().map(|(number, name)| (name.clone(), category(number, distinct.len())));
    let has_ceiling = panels.iter().any(|panel| panel.lines[0].scores.iter().any(|score| score.ceiling_lower.is_some()));
    let entries: Vec<_> = entries.chain(has_ceiling.then(ceiling_entry_of)).collect();
    let sentences: Vec<String> = explained(&panels).into_iter().chain(more.iter().cloned()).collect();
    let mut parts = vec![drawn, legend(&entries, width)];
    parts.extend(notes(&sentences, width));
    Some(Picture::column(parts, 12.0).framed(14.0))
}

fn panels(scores: &[Score]) -> Vec<Panel<'_>> {
    let mut panels: Vec<Panel> = Vec::new();
    for score in scores.iter().filter(|score| score.time.is_some()) {
        let name = model_name(&score.model, &score.layer);
        let is_of = |panel: &Panel| {
            let first = panel.lines[0].scores[0];
            (&first.target, &first.kind) == (&score.target, &score.kind)
        };
        match panels.iter().position(is_of) {
            None => panels.push(Panel { lines: vec![Line { name, scores: vec![score] }] }),
            Some(place) => {
                let lines = &mut panels[place].lines;
                match lines.iter_mut().find(|line| line.name == name) {
                    Some(line) => line.scores.push(score),
                    None => lines.push(Line { name, scores: vec![score] }),
                }
            }
        }
    }
    panels
}

/// What bands and bars mean, of those that are drawn.
fn explained(panels: &[Panel]) -> Vec<String> {
    let score = panels[0].lines[0].scores[0];
    let mut notes = Vec::new();
    if let (Some(over), Some(draws)) = (score.over, score.draws) {
        notes.push(format!("Bands: 95 % intervals of each time over {} ({} bootstraps).", over.words(), count(draws)));
    }
    if panels.iter().flat_map(|panel| &panel.lines).any(|line| !line.significant().is_empty()) {
        notes.push(format!(
            "Bars below: clusters with p ≤ {LEVEL}, corrected for all times, models and targets by the largest cluster mass."
        ));
    }
    notes
}

impl Line<'_> {
    fn times(&self) -> impl Iterator<Item = f64> {
        self.scores.iter().filter_map(|score| score.time)
    }

    /// From when to when scores lie in significant clusters.
    fn significant(&self) -> Vec<[f64; 2]> {
        let mut found: Vec<([f64; 2], usize)> = Vec::new();
        for (place, score) in self.scores.iter().enumerate() {
            let Some(time) = score.time.filter(|_| score.p_cluster.is_some_and(|p| p <= LEVEL)) else { continue };
            match found.last_mut().filter(|(_, last)| last + 1 == place) {
                Some(([_, to], last)) => (*to, *last) = (time, place),
                None => found.push(([time, time], place)),
            }
        }
        found.into_iter().map(|(times, _)| times).collect()
    }
}

impl Panel<'_> {
    /// All numbers that are drawn.
    fn values(&self) -> impl Iterator<Item = f64> {
        let ceiling = self.lines[0].scores.iter().flat_map(|score| [score.ceiling_lower, score.ceiling_upper]).flatten();
        let scores = self.lines.iter().flat_map(|line| &line.scores);
        scores.flat_map(|score| [Some(score.score), score.low, score.high]).flatten().chain(ceiling)
    }

    fn picture(&self, axis: &Axis, names: &[String], title: &str) -> Picture {
        let (first, last) = self.lines[0].times().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), t| (a.min(t), b.max(t)));
        let span = if last > first { last - first } else { 1.0 };
        let left = axis.room();
        let score = self.lines[0].scores[0];
        let heading = heading(&score.target, &what_target(&score.target, &score.kind, score.subjects), WIDTH);
        let top = heading.height;
        let below = 8.0 + self.lines.len() as f64 * (BAR + 2.0);
        let mut picture = Picture::new(left + WIDTH + 16.0, top + HEIGHT + below + 34.0);
        let x = |time: f64| left + WIDTH * (time - first) / span;
        picture.place(heading, left, 0.0);
        self.draw_ceiling(&mut picture, axis, top, &x);
        axis.draw(&mut picture, [left, top], WIDTH, title);
        let colour = |line: &Line| category(names.iter().position(|name| *name == line.name).unwrap_or(0), names.len());
        self.lines.iter().for_each(|line| draw_band(&mut picture, line, axis, colour(line), top, &x));
        self.lines.iter().for_each(|line| draw_line(&mut picture, line, axis, colour(line), top, &x));
        for (number, line) in self.lines.iter().enumerate() {
            let y = top + HEIGHT + 8.0 + number as f64 * (BAR + 2.0);
            for [from, to] in line.significant() {
                let (from, to) = (x(from), x(to));
                picture.add(Shape::Rectangle { x: from, y, width: (to - from).max(2.0), height: BAR, fill: colour(line) });
            }
        }
        draw_times(&mut picture, [first, last], top + HEIGHT + below, &x);
        picture
    }

    fn draw_ceiling(&self, picture: &mut Picture, axis: &Axis, top: f64, x: &dyn Fn(f64) -> f64) {
        let bounds =
            self.lines[0].scores.iter().filter_map(|score| Some((score.time?, score.ceiling_lower?, score.ceiling_upper?)));
        let bounds: Vec<(f64, f64, f64)> = bounds.collect();
        let upper = bounds.iter().map(|&(time, _, upper)| [x(time), top + axis.y(upper)]);
        let lower = bounds.iter().rev().map(|&(time, lower, _)| [x(time), top + axis.y(lower)]);
        if bounds.len() > 1 {
            picture.add(Shape::Area { points: upper.chain(lower).collect(), fill: FAINT });
        }
    }
}

fn draw_band(picture: &mut Picture, line: &Line, axis: &Axis, colour: Colour, top: f64, x: &dyn Fn(f64) -> f64) {
    let of = |score: &&Score| Some((score.time?, score.low?, score.high?));
    let Some(bands) = line.scores.iter().map(of).collect::<Option<Vec<_>>>().filter(|bands| bands.len() > 1) else { return };
    let upper = bands.iter().map(|&(time, _, high)| [x(time), top + axis.y(high)]);
    let lower = bands.iter().rev().map(|&(time, low, _)| [x(time), top + axis.y(low)]);
    picture.add(Shape::Area { points: upper.chain(lower).collect(), fill: lighter(colour, 0.45) });
}

fn draw_line(picture: &mut Picture, line: &Line, axis: &Axis, colour: Colour, top: f64, x: &dyn Fn(f64) -> f64) {
    let points: Vec<[f64; 2]> = line.scores.iter().zip(line.times()).map(|(s, time)| [x(time), top + axis.y(s.score)]).collect();
    match points[..] {
        [[x, y]] => picture.add(Shape::Dot { x, y, radius: 3.0, fill: colour }),
        _ => picture.add(Shape::Line { points, colour, width: 1.6, dashed: false }),
    }
}

/// Round times below the axis.
fn draw_times(picture: &mut Picture, [first, last]: [f64; 2], y: f64, x: &dyn Fn(f64) -> f64) {
    let step = super::axis::round_step(((last - first) / 7.0).max(f64::MIN_POSITIVE));
    let (from, to) = ((first / step - 1e-9).ceil() as i64, (last / step + 1e-9).floor() as i64);
    for time in (from..=to.min(from + 40)).map(|tick| tick as f64 * step) {
        picture.line([x(time), y], [x(time), y + 4.0], INK, 0.8);
        let text = format!("{}", (time * 1e9).round() / 1e9 + 0.0).replace('-', "−");
        picture.write(Text::new(x(time), y + 15.0, SMALL, text).anchored(Anchor::Middle));
    }
    picture.write(Text::new((x(first) + x(last)) / 2.0, y + 29.0, SMALL, "time (ms, or frames)").anchored(Anchor::Middle));
}
