//! RDMs as heat maps side by side: the same stimuli in the same order, with marks, names or thumbnails along the edges.

use super::colours::{Colour, GREY, Scale, category, shade};
use super::font;
use super::heatmap::{HeatMap, MISSING, Values, colour_bar};
use super::picture::{Anchor, Picture, Raster, Shape, Text};
use crate::rdm::Clusters;
use anyhow::Result;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub title: String,
    /// Below it; may be empty.
    pub subtitle: String,
    /// The pairs of stimuli, in the order in which they are drawn.
    pub pairs: Vec<f64>,
}

/// Groups of stimuli, as a strip of colours along the edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// Of each group, in the legend.
    pub names: Vec<String>,
    /// The group of each stimulus, in the order in which they are drawn.
    pub of: Vec<usize>,
    /// Whether they have shades of grey instead of colours, to be told from others.
    pub grey: bool,
}

#[derive(Debug, Clone)]
pub struct RdmPlot<'a> {
    pub rows: &'a [Vec<Panel>],
    pub stimuli: usize,
    pub values: Values,
    pub scale: Scale,
    /// The unit of raw values.
    pub unit: &'a str,
    /// The names of the stimuli, which are shown where they fit.
    pub names: Option<&'a [String]>,
    pub thumbnails: Option<&'a [Arc<Raster>]>,
    pub groups: &'a [Groups],
    /// What else is to be known, below.
    pub notes: &'a [String],
}

/// More groups could not be told apart.
pub const MOST_GROUPS: usize = 60;

/// Stimuli with thumbnails, which would become too small or the picture too large.
pub const MOST_THUMBNAILS: usize = 250;

const TITLE: f64 = 12.0;
const SMALL: f64 = 10.0;
const GAP: f64 = 20.0;
const STRIP: f64 = 6.0;
const LONGEST_NAME: f64 = 150.0;

/// Of the smallest names that can be read, in pixels.
const SMALLEST_NAME: f64 = 7.0;

/// A pixel of the PNG in units of the picture: cells are whole pixels.
const PIXEL: f64 = 0.5;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Grid {
    /// Pairs in a row and in a column that share a pixel.
    block: usize,
    /// The side of it.
    cell: f64,
    /// The side of the matrix.
    side: f64,
}

impl RdmPlot<'_> {
    pub fn picture(&self) -> Result<Picture> {
        let grid = self.grid();
        let map = |panel: &Panel| HeatMap::new(self.stimuli, &panel.pairs, self.values, self.scale, grid.block);
        let maps: Vec<HeatMap> = self.panels().map(map).collect::<Result<_>>()?;
        let mut of_panel = maps.iter();
        let mut rows = Vec::new();
        for row in self.rows {
            let panels = row.iter().zip(&mut of_panel).map(|(panel, map)| self.panel(panel, map, grid));
            rows.push(Picture::row(panels.collect::<Result<_>>()?, GAP));
        }
        let panels = Picture::column(rows, GAP);
        let width = panels.width.max(260.0);
        let mut parts = vec![panels];
        if self.values == Values::Ranks {
            let label = "rank of the dissimilarity among all pairs";
            parts.push(bar(self.scale, width.min(260.0), ["lowest", "highest"].map(String::from), label)?);
        }
        let missing = maps.iter().any(|map| map.missing).then(|| ("no data".to_owned(), MISSING));
        let legends = self.groups.iter().map(Groups::legend).chain(missing.map(|entry| vec![entry]));
        parts.extend(legends.map(|entries| legend(&entries, width)));
        let block = grid.block;
        let blocks = format!("There are more pairs than pixels: each pixel is the mean of {block} × {block} pairs.");
        let sentences: Vec<String> = self.notes.iter().cloned().chain((block > 1).then_some(blocks)).collect();
        parts.extend(notes(&sentences, width));
        Ok(Picture::column(parts, 12.0).framed(14.0))
    }

    fn panels(&self) -> impl Iterator<Item = &Panel> {
        self.rows.iter().flatten()
    }

    /// One panel of about 460 pixels, of several smaller ones; larger where names or thumbnails are to fit.
    fn grid(&self) -> Grid {
        let (n, panels) = (self.stimuli, self.panels().count());
        let target = match panels {
            1 => 460.0,
            2 => 360.0,
            3 => 300.0,
            _ => 200.0,
        };
        let whole = |cell: f64| (cell / PIXEL).floor() * PIXEL;
        let fitting = whole(target / n as f64).min(40.0);
        let (block, cell) = match self.thumbnails {
            Some(_) => (1, fitting.max(14.0)),
            None if panels == 1 && n <= 110 && self.names.is_some() => (1, fitting.max(SMALLEST_NAME + 1.0)),
            None if fitting >= PIXEL => (1, fitting),
            // Alone, a large RDM may be large.
            None if panels == 1 => (n.div_ceil(2000), PIXEL),
            None => ((n as f64 / (2.0 * target)).ceil() as usize, PIXEL),
        };
        Grid { block, cell, side: n.div_ceil(block) as f64 * cell }
    }

    /// The edge above and left of the matrix: strips, then thumbnails or names.
    fn edge(&self, grid: Grid) -> (f64, f64) {
        let strips = self.groups.len() as f64 * (STRIP + 2.0) + if self.groups.is_empty() { 0.0 } else { 2.0 };
        let labels = match (self.thumbnails, self.shown_names(grid)) {
            (Some(_), _) => grid.cell + 4.0,
            (None, Some(names)) => names.iter().map(|name| font::width(name, name_size(grid), false)).fold(0.0, f64::max) + 5.0,
            _ => 0.0,
        };
        (strips, labels)
    }

    /// The names, if they can be read.
    fn shown_names(&self, grid: Grid) -> Option<Vec<String>> {
        let names = self.names.filter(|_| grid.block == 1 && grid.cell >= SMALLEST_NAME && self.thumbnails.is_none())?;
        Some(names.iter().map(|name| font::shortened(name, name_size(grid), LONGEST_NAME)).collect())
    }

    fn panel(&self, panel: &Panel, map: &HeatMap, grid: Grid) -> Result<Picture> {
        let (strips, labels) = self.edge(grid);
        let edge = (strips + labels).ceil();
        let title = title(panel, grid.side, self.panels().any(|panel| !panel.subtitle.is_empty()));
        let top = title.height + 4.0 + edge;
        let mut picture = Picture::new(edge + grid.side, top + grid.side);
        picture.place(title, edge, 0.0);
        picture.add(Shape::Raster { x: edge, y: top, width: grid.side, height: grid.side, raster: map.raster.clone() });
        self.draw_strips(&mut picture, grid, edge, top);
        self.draw_labels(&mut picture, grid, [edge, top], strips);
        if self.values == Values::Raw {
            let ends = map.range.map(short_number);
            let bar = bar(self.scale, grid.side.max(60.0), ends, self.unit)?;
            let mut with_bar = Picture::new(edge + bar.width, bar.height);
            with_bar.place(bar, edge, 0.0);
            picture = Picture::column(vec![picture, with_bar], 6.0);
        }
        Ok(picture)
    }

    fn draw_strips(&self, picture: &mut Picture, grid: Grid, edge: f64, top: f64) {
        for (number, groups) in self.groups.iter().enumerate() {
            let away = (number + 1) as f64 * (STRIP + 2.0);
            let mut start = 0;
            for run in groups.of.chunk_by(|a, b| a == b) {
                let place = |stimulus: usize| stimulus as f64 / grid.block as f64 * grid.cell;
                let (from, length) = (place(start), place(start + run.len()) - place(start));
                let fill = groups.colour(run[0]);
                picture.add(Shape::Rectangle { x: edge + from, y: top - away, width: length, height: STRIP, fill });
                picture.add(Shape::Rectangle { x: edge - away, y: top + from, width: STRIP, height: length, fill });
                start += run.len();
            }
        }
    }

    fn draw_labels(&self, picture: &mut Picture, grid: Grid, [edge, top]: [f64; 2], strips: f64) {
        let middle = |stimulus: usize| (stimulus as f64 + 0.5) * grid.cell;
        if let Some(thumbnails) = self.thumbnails {
            let side = grid.cell - 1.0;
            for (stimulus, raster) in thumbnails.iter().enumerate() {
                let from = middle(stimulus) - side / 2.0;
                let away = strips + grid.cell + 1.0;
                for (x, y) in [(edge + from, top - away), (edge - away, top + from)] {
                    picture.add(Shape::Raster { x, y, width: side, height: side, raster: raster.clone() });
                }
            }
            return;
        }
        let size = name_size(grid);
        for (stimulus, name) in self.shown_names(grid).into_iter().flatten().enumerate() {
            let (away, base) = (strips + 4.0, middle(stimulus) + 0.36 * size);
            picture.write(Text::new(edge - away, top + base, size, name.clone()).anchored(Anchor::End));
            picture.write(Text::new(edge + base, top - away, size, name).turned(-90.0));
        }
    }
}

impl Groups {
    /// Clusters with their sizes, of stimuli that are drawn in this order.
    pub fn of_clusters(clusters: &Clusters, order: &[usize], grey: bool) -> Groups {
        let size = |cluster: usize| clusters.of.iter().filter(|of| **of == cluster).count();
        let names = (0..clusters.count()).map(|cluster| format!("cluster {} ({})", cluster + 1, size(cluster))).collect();
        Groups { names, of: order.iter().map(|&stimulus| clusters.of[stimulus]).collect(), grey }
    }

    pub(super) fn colour(&self, number: usize) -> Colour {
        if self.grey { shade(number, self.names.len()) } else { category(number, self.names.len()) }
    }

    pub(super) fn legend(&self) -> Vec<(String, Colour)> {
        self.names.iter().enumerate().map(|(number, name)| (name.clone(), self.colour(number))).collect()
    }
}

fn name_size(grid: Grid) -> f64 {
    (grid.cell * 0.95).min(SMALL)
}

/// The title of a panel; with room for a line below it if others have one.
fn title(panel: &Panel, width: f64, two_lines: bool) -> Picture {
    let mut title = Picture::new(width, TITLE + 2.0);
    title.write(Text::new(0.0, TITLE, TITLE, font::shortened(&panel.title, TITLE * 1.06, width)).bold());
    if two_lines {
        title.height += SMALL + 4.0;
        let subtitle = font::shortened(&panel.subtitle, SMALL, width);
        title.write(Text::new(0.0, TITLE + SMALL + 4.0, SMALL, subtitle).coloured(GREY));
    }
    title
}

pub(super) fn heading(title: &str, subtitle: &str, width: f64) -> Picture {
    let mut heading = Picture::new(width, TITLE + SMALL + 14.0);
    heading.write(Text::new(0.0, TITLE, TITLE, font::shortened(title, TITLE * 1.06, width)).bold());
    heading.write(Text::new(0.0, TITLE + SMALL + 3.0, SMALL, font::shortened(subtitle, SMALL, width)).coloured(GREY));
    heading
}

/// A colour bar with what its ends and it itself stand for.
fn bar(scale: Scale, width: f64, [low, high]: [String; 2], label: &str) -> Result<Picture> {
    let mut bar = Picture::new(width, 12.0);
    bar.add(Shape::Raster { x: 0.0, y: 0.0, width, height: 10.0, raster: colour_bar(scale)? });
    let line = 14.0 + SMALL;
    bar.write(Text::new(0.0, line, SMALL, low));
    bar.write(Text::new(width, line, SMALL, high).anchored(Anchor::End));
    let lines = font::wrapped(label, SMALL, width);
    for (number, text) in lines.iter().enumerate() {
        let y = line + (number + 1) as f64 * (SMALL + 3.0);
        bar.write(Text::new(width / 2.0, y, SMALL, font::shortened(text, SMALL, width)).anchored(Anchor::Middle).coloured(GREY));
    }
    bar.height = line + lines.len() as f64 * (SMALL + 3.0) + 3.0;
    Ok(bar)
}

/// Names with their colours, in as many lines as needed.
pub(super) fn legend(entries: &[(String, Colour)], width: f64) -> Picture {
    let mut legend = Picture::new(width, 0.0);
    let (mut x, mut y) = (0.0, 0.0);
    for (name, fill) in entries {
        let name = font::shortened(name, SMALL, width - 14.0);
        let length = 14.0 + font::width(&name, SMALL, false);
        if x > 0.0 && x + length > width {
            (x, y) = (0.0, y + SMALL + 5.0);
        }
        legend.add(Shape::Rectangle { x, y, width: 10.0, height: 10.0, fill: *fill });
        legend.write(Text::new(x + 14.0, y + 8.6, SMALL, name));
        x += length + 14.0;
    }
    legend.height = y + 12.0;
    legend
}

pub(super) fn notes(notes: &[String], width: f64) -> Option<Picture> {
    let lines: Vec<String> = notes.iter().flat_map(|note| font::wrapped(note, SMALL, width)).collect();
    let mut picture = Picture::new(width, lines.len() as f64 * (SMALL + 4.0));
    for (number, line) in lines.iter().enumerate() {
        let y = number as f64 * (SMALL + 4.0) + SMALL;
        picture.write(Text::new(0.0, y, SMALL, font::shortened(line, SMALL, width)).coloured(GREY));
    }
    (!lines.is_empty()).then_some(picture)
}

/// With three digits that say something.
fn short_number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.2e}").replace('-', "−"),
        size if size >= 100.0 => format!("{value:.0}").replace('-', "−"),
        size if size >= 10.0 => format!("{value:.1}").replace('-', "−"),
        _ => format!("{value:.2}").replace('-', "−"),
    }
}
