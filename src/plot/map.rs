//! Stimuli in the plane: near each other if they are alike.

use super::colours::{Colour, FAINT, GREY};
use super::font;
use super::picture::{Anchor, Picture, Raster, Shape, Text};
use super::rdms::{Groups, heading, legend, notes};
use crate::rdm::Plane;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    pub title: String,
    /// Below it; may be empty.
    pub subtitle: String,
    pub plane: Plane,
}

#[derive(Debug, Clone)]
pub struct MapPlot<'a> {
    pub maps: &'a [Map],
    /// The names of the stimuli, which are shown where they fit.
    pub names: Option<&'a [String]>,
    /// A small picture of each stimulus, drawn instead of a point.
    pub thumbnails: Option<&'a [Arc<Raster>]>,
    pub groups: Option<&'a Groups>,
    pub columns: usize,
    pub notes: &'a [String],
}

const SMALL: f64 = 10.0;
const NAME: f64 = 8.0;

impl MapPlot<'_> {
    pub fn picture(&self) -> Picture {
        let side = if self.maps.len() == 1 { 560.0 } else { 340.0 };
        let panels: Vec<(Picture, usize)> = self.maps.iter().map(|map| self.panel(map, side)).collect();
        let hidden = panels.iter().map(|(_, hidden)| *hidden).max().unwrap_or(0);
        let panels: Vec<Picture> = panels.into_iter().map(|(panel, _)| panel).collect();
        let rows = panels.chunks(self.columns.max(1)).map(|row| Picture::row(row.to_vec(), 20.0)).collect();
        let panels = Picture::column(rows, 20.0);
        let width = panels.width;
        let mut parts = vec![panels];
        if let Some(groups) = self.groups {
            parts.push(legend(&groups.legend(), width));
        }
        let mut sentences =
            vec!["Classical multidimensional scaling: the more alike, the nearer, as far as the plane can show it.".into()];
        sentences.extend(
            (self.maps.len() > 1)
                .then(|| "All are turned, and mirrored, to lie on the first as far as they can; each fills its panel.".into()),
        );
        sentences.extend((hidden > 0).then(|| format!("Names that would cover others are left out ({hidden}).")));
        sentences.extend(self.notes.iter().cloned());
        parts.extend(notes(&sentences, width));
        Picture::column(parts, 12.0).framed(14.0)
    }

    /// A panel, and how many names there was no room for.
    fn panel(&self, map: &Map, side: f64) -> (Picture, usize) {
        let heading = heading(&map.title, &map.subtitle, side);
        let top = heading.height;
        let mut picture = Picture::new(side, top + side + 18.0);
        picture.place(heading, 0.0, 0.0);
        let margin = if self.thumbnails.is_some() { self.thumbnail_side() / 2.0 + 4.0 } else { 10.0 };
        let places = fitted(&map.plane.points, top, side, margin);
        let corners = [[0.0, top], [side, top], [side, top + side], [0.0, top + side], [0.0, top]];
        picture.add(Shape::Line { points: corners.to_vec(), colour: FAINT, width: 1.0, dashed: false });
        let mut hidden = 0;
        if let Some(thumbnails) = self.thumbnails {
            self.draw_thumbnails(&mut picture, thumbnails, &places);
        } else {
            self.draw_points(&mut picture, &places);
            hidden = self.write_names(&mut picture, &places, side);
        }
        let [first, second] = map.plane.shares.map(|share| format!("{:.0} %", 100.0 * share));
        let axes = format!("horizontal {first}, vertical {second} of the variance");
        picture.write(Text::new(side, top + side + 13.0, SMALL, axes).anchored(Anchor::End).coloured(GREY));
        (picture, hidden)
    }

    /// Of few stimuli larger.
    fn thumbnail_side(&self) -> f64 {
        let count = self.thumbnails.map_or(0, <[_]>::len) as f64;
        let side = if self.maps.len() == 1 { 300.0 } else { 180.0 };
        (side / count.max(1.0).sqrt()).clamp(10.0, 44.0)
    }

    fn colour(&self, stimulus: usize) -> Colour {
        self.groups.map_or([0, 90, 160], |groups| groups.colour(groups.of[stimulus]))
    }

    fn draw_points(&self, picture: &mut Picture, places: &[[f64; 2]]) {
        let radius = (60.0 / (places.len() as f64).sqrt()).clamp(1.5, 4.5);
        for (stimulus, [x, y]) in places.iter().enumerate() {
            picture.add(Shape::Dot { x: *x, y: *y, radius, fill: self.colour(stimulus) });
        }
    }

    fn draw_thumbnails(&self, picture: &mut Picture, thumbnails: &[Arc<Raster>], places: &[[f64; 2]]) {
        let side = self.thumbnail_side();
        for (stimulus, ([x, y], raster)) in places.iter().zip(thumbnails).enumerate() {
            let (x, y) = (x - side / 2.0, y - side / 2.0);
            if self.groups.is_some() {
                let fill = self.colour(stimulus);
                picture.add(Shape::Rectangle { x: x - 1.5, y: y - 1.5, width: side + 3.0, height: side + 3.0, fill });
            }
            picture.add(Shape::Raster { x, y, width: side, height: side, raster: raster.clone() });
        }
    }

    /// Writes names beside their points where they cover nothing; returns how many were left out.
    fn write_names(&self, picture: &mut Picture, places: &[[f64; 2]], side: f64) -> usize {
        let Some(names) = self.names.filter(|names| names.len() <= 150) else { return 0 };
        let mut taken: Vec<[f64; 4]> = places.iter().map(|[x, y]| [x - 4.0, y - 4.0, x + 4.0, y + 4.0]).collect();
        let mut hidden = 0;
        for (name, [x, y]) in names.iter().zip(places) {
            let name = font::shortened(name, NAME, 120.0);
            let width = font::width(&name, NAME, false);
            let right = [x + 5.5, y - NAME * 0.5, x + 5.5 + width, y + NAME * 0.5];
            let left = [x - 5.5 - width, y - NAME * 0.5, x - 5.5, y + NAME * 0.5];
            let inside = |place: &[f64; 4]| place[0] >= 2.0 && place[2] <= side - 2.0;
            let free = |place: &[f64; 4]| inside(place) && taken.iter().all(|other| !overlap(place, other));
            match [right, left].into_iter().find(|place| free(place)) {
                Some(place) => {
                    taken.push(place);
                    picture.write(Text::new(place[0], y + NAME * 0.36, NAME, name));
                }
                None => hidden += 1,
            }
        }
        hidden
    }
}

fn overlap(a: &[f64; 4], b: &[f64; 4]) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// The points moved and scaled alike into a square below `top`, y upwards.
fn fitted(points: &[[f64; 2]], top: f64, side: f64, margin: f64) -> Vec<[f64; 2]> {
    let range = |axis: usize| {
        let values = points.iter().map(|point| point[axis]);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
    };
    let ((left, right), (low, high)) = (range(0), range(1));
    let span = (right - left).max(high - low);
    let scale = if span > 0.0 { (side - 2.0 * margin) / span } else { 0.0 };
    let (x, y) = ((left + right) / 2.0, (low + high) / 2.0);
    points.iter().map(|point| [side / 2.0 + (point[0] - x) * scale, top + (side / 2.0 - (point[1] - y) * scale)]).collect()
}
