//! Which share of a target's variance is whose: a bar for R², for what is unique to each predictor and for what several share, over
//! a table of dots that says which.

use super::axis::Axis;
use super::bars::SMALL;
use super::colours::{Colour, FAINT, GREY, INK};
use super::font;
use super::networks::what_target;
use super::picture::{Anchor, Picture, Shape, Text};
use super::rdms::{heading, legend, notes};
use crate::rsa::regression::TargetRow;

const HEIGHT: f64 = 180.0;
const BAR: f64 = 16.0;
/// Of the table of dots.
const ROW: f64 = 15.0;
const WIDEST: f64 = 1100.0;

/// Names of predictors longer than this are shortened.
const LONGEST: f64 = 170.0;

/// Whose a bar is.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    All,
    One,
    Several,
}

/// A bar, with its interval and the predictors that share it.
struct Bar {
    owner: Owner,
    value: f64,
    interval: Option<[f64; 2]>,
    predictors: Vec<usize>,
}

fn colour(owner: Owner) -> Colour {
    match owner {
        Owner::All => [213, 130, 40],
        Owner::One => [0, 90, 160],
        Owner::Several => [165, 178, 190],
    }
}

/// A panel for each target of `rows` (not empty), all with one axis.
pub fn variance(rows: &[TargetRow], more: &[String]) -> Picture {
    let all: Vec<Vec<Bar>> = rows.iter().map(bars).collect();
    let values = all.iter().flatten().flat_map(|bar| bar.interval.into_iter().flatten().chain([bar.value]));
    let axis = Axis::of(values, HEIGHT);
    let panels: Vec<Picture> = rows.iter().zip(&all).map(|(row, bars)| panel(row, bars, &axis)).collect();
    let widest = panels.iter().map(|panel| panel.width).fold(0.0, f64::max);
    let columns = ((WIDEST / (widest + 24.0)) as usize).clamp(1, panels.len());
    let panels = Picture::grid(&panels, columns, [24.0, 18.0]);
    let width = panels.width.max(360.0);
    let mut parts = vec![panels, legend(&entries(&all), width)];
    parts.extend(notes(&sentences(rows, more), width));
    Picture::column(parts, 12.0).framed(14.0)
}

/// R², then the parts; of many predictors, whose parts are not known, what is unique to each.
fn bars(row: &TargetRow) -> Vec<Bar> {
    let interval = |low: Option<f64>, high: Option<f64>| Some([low?, high?]);
    let count = row.predictors.len();
    let whole = Bar {
        owner: Owner::All,
        value: row.explained,
        interval: interval(row.explained_low, row.explained_high),
        predictors: (0..count).collect(),
    };
    let unique = row.predictors.iter().enumerate().map(|(own, one)| Bar {
        owner: Owner::One,
        value: one.unique,
        interval: interval(one.unique_low, one.unique_high),
        predictors: vec![own],
    });
    let place = |name: &String| row.predictors.iter().position(|one| one.predictor == *name);
    let shared = row.parts.iter().filter(|part| part.predictors.len() > 1).map(|part| Bar {
        owner: Owner::Several,
        value: part.variance,
        interval: interval(part.low, part.high),
        predictors: part.predictors.iter().filter_map(place).collect(),
    });
    std::iter::once(whole).chain(unique).chain(shared).collect()
}

fn entries(all: &[Vec<Bar>]) -> Vec<(String, Colour)> {
    let named = [(Owner::All, "R² of all"), (Owner::One, "unique to one"), (Owner::Several, "shared by exactly these")];
    let is_there = |owner: Owner| all.iter().flatten().any(|bar| bar.owner == owner);
    named.into_iter().filter(|(owner, _)| is_there(*owner)).map(|(owner, name)| (name.to_owned(), colour(owner))).collect()
}

fn sentences(rows: &[TargetRow], more: &[String]) -> Vec<String> {
    let mut sentences = Vec::new();
    if let (Some(over), Some(draws)) = (rows[0].over, rows[0].draws) {
        sentences.push(format!("Lines: 95 % intervals, {draws} bootstraps over {}.", over.words()));
    }
    for row in rows {
        let (r2, r) = (row.explained_predicted, row.correlation_predicted);
        sentences.extend(
            r2.zip(r).map(|(r2, r)| format!("{}, left out of the fit: R² {r2:.3}, r {r:.3}.", row.target).replace('-', "−")),
        );
    }
    sentences.extend(more.iter().cloned());
    sentences
}

fn panel(row: &TargetRow, bars: &[Bar], axis: &Axis) -> Picture {
    let names: Vec<String> = row.predictors.iter().map(|one| font::shortened(&one.predictor, SMALL, LONGEST)).collect();
    let longest = names.iter().map(|name| font::width(name, SMALL, false)).fold(0.0, f64::max);
    let (left, plot) = (axis.room().max(longest + 10.0).ceil(), bars.len() as f64 * BAR + 8.0);
    let width = plot.max(140.0);
    let heading = heading(&row.target, &what_target(&row.target, &row.kind, row.subjects), width);
    let top = heading.height;
    let mut picture = Picture::new(left + width, top + HEIGHT + 16.0 + names.len() as f64 * ROW);
    picture.place(heading, left, 0.0);
    axis.draw(&mut picture, [left, top], plot, "share of variance");
    for (number, bar) in bars.iter().enumerate() {
        draw(&mut picture, bar, axis, [left + 4.0 + number as f64 * BAR, top]);
    }
    let line = |predictor: usize| top + HEIGHT + 20.0 + predictor as f64 * ROW;
    for (predictor, name) in names.into_iter().enumerate() {
        picture.write(Text::new(left - 6.0, line(predictor) + 3.5, SMALL, name).anchored(Anchor::End));
    }
    for (number, bar) in bars.iter().enumerate() {
        let x = left + 4.0 + (number as f64 + 0.5) * BAR;
        dots(&mut picture, bar, x, &(0..row.predictors.len()).map(line).collect::<Vec<_>>());
    }
    picture
}

fn draw(picture: &mut Picture, bar: &Bar, axis: &Axis, [x, top]: [f64; 2]) {
    let (y, zero) = (axis.y(bar.value), axis.y(0.0));
    let fill = colour(bar.owner);
    picture.add(Shape::Rectangle { x: x + 1.5, y: top + y.min(zero), width: BAR - 3.0, height: (y - zero).abs(), fill });
    if let Some([low, high]) = bar.interval {
        let middle = x + BAR / 2.0;
        picture.line([middle, top + axis.y(high)], [middle, top + axis.y(low)], INK, 1.2);
    }
}

/// A dark dot for each predictor that has a part in the bar, a pale one for the others, and a line along the dark ones.
fn dots(picture: &mut Picture, bar: &Bar, x: f64, lines: &[f64]) {
    if let (Some(first), Some(last)) = (bar.predictors.first(), bar.predictors.last()) {
        picture.line([x, lines[*first]], [x, lines[*last]], GREY, 1.5);
    }
    for (predictor, &y) in lines.iter().enumerate() {
        let fill = if bar.predictors.contains(&predictor) { INK } else { FAINT };
        picture.add(Shape::Dot { x, y, radius: 4.0, fill });
    }
}
