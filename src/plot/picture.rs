//! A picture as a list of shapes at known places: what is laid out, and what tests look at. `svg` and `files` write it.

use super::colours::{Colour, INK};
use super::font;
use crate::text::shown;
use std::sync::Arc;

/// Shapes on a white ground, the first at the bottom. Units are CSS pixels, y grows downwards.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    pub width: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
}

/// Rectangles and rasters stand right of and below `x`, `y`. An area is a half transparent polygon, a dot has a thin white edge.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Rectangle { x: f64, y: f64, width: f64, height: f64, fill: Colour },
    Line { points: Vec<[f64; 2]>, colour: Colour, width: f64, dashed: bool },
    Area { points: Vec<[f64; 2]>, fill: Colour },
    Dot { x: f64, y: f64, radius: f64, fill: Colour },
    Text(Text),
    Raster { x: f64, y: f64, width: f64, height: f64, raster: Arc<Raster> },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// Where it begins, ends or has its middle.
    pub x: f64,
    /// Of the line on which the letters stand.
    pub y: f64,
    pub text: String,
    pub size: f64,
    pub bold: bool,
    pub colour: Colour,
    /// Which part of the text stands at `x`.
    pub anchor: Anchor,
    /// In degrees, clockwise, around `x` and `y`.
    pub angle: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// Pixels, written as PNG.
#[derive(Debug, PartialEq)]
pub struct Raster {
    pub png: Vec<u8>,
    pub width: usize,
    pub height: usize,
    /// Whether a pixel that is drawn large is a square with sharp edges.
    pub sharp: bool,
}

impl Text {
    /// Plain dark text that begins at a place.
    pub fn new(x: f64, y: f64, size: f64, text: impl Into<String>) -> Text {
        let text = shown(&text.into()).into_owned();
        Text { x, y, text, size, bold: false, colour: INK, anchor: Anchor::Start, angle: 0.0 }
    }

    pub fn anchored(self, anchor: Anchor) -> Text {
        Text { anchor, ..self }
    }

    pub fn bold(self) -> Text {
        Text { bold: true, ..self }
    }

    pub fn turned(self, angle: f64) -> Text {
        Text { angle, ..self }
    }

    pub fn coloured(self, colour: Colour) -> Text {
        Text { colour, ..self }
    }

    pub fn length(&self) -> f64 {
        font::width(&self.text, self.size, self.bold)
    }

    /// How far right of `x` it begins, before it is turned.
    pub(super) fn start(&self) -> f64 {
        match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -self.length() / 2.0,
            Anchor::End => -self.length(),
        }
    }
}

impl Picture {
    pub fn new(width: f64, height: f64) -> Picture {
        Picture { width, height, shapes: Vec::new() }
    }

    pub fn add(&mut self, shape: Shape) {
        self.shapes.push(shape);
    }

    pub fn write(&mut self, text: Text) {
        self.add(Shape::Text(text));
    }

    pub fn line(&mut self, from: [f64; 2], to: [f64; 2], colour: Colour, width: f64) {
        self.add(Shape::Line { points: vec![from, to], colour, width, dashed: false });
    }

    /// Draws another picture on top, its upper left corner at `x`, `y`.
    pub fn place(&mut self, other: Picture, x: f64, y: f64) {
        let first = self.shapes.len();
        self.shapes.extend(other.shapes);
        self.shapes[first..].iter_mut().for_each(|shape| shape.shift(x, y));
    }

    /// Pictures one below the other, with a gap between them.
    pub fn column(pictures: Vec<Picture>, gap: f64) -> Picture {
        let width = pictures.iter().map(|picture| picture.width).fold(0.0, f64::max);
        let mut all = Picture::new(width, 0.0);
        for picture in pictures {
            let y = if all.height > 0.0 { all.height + gap } else { 0.0 };
            all.height = y + picture.height;
            all.place(picture, 0.0, y);
        }
        all
    }

    /// Pictures side by side, their upper edges in line.
    pub fn row(pictures: Vec<Picture>, gap: f64) -> Picture {
        let height = pictures.iter().map(|picture| picture.height).fold(0.0, f64::max);
        let mut all = Picture::new(0.0, height);
        for picture in pictures {
            let x = if all.width > 0.0 { all.width + gap } else { 0.0 };
            all.width = x + picture.width;
            all.place(picture, x, 0.0);
        }
        all
    }

    /// So many side by side in rows one below the other.
    pub fn grid(pictures: &[Picture], columns: usize, [across, down]: [f64; 2]) -> Picture {
        let rows = pictures.chunks(columns.max(1)).map(|row| Picture::row(row.to_vec(), across));
        Picture::column(rows.collect(), down)
    }

    pub fn framed(self, margin: f64) -> Picture {
        let mut framed = Picture::new((self.width + 2.0 * margin).ceil(), (self.height + 2.0 * margin).ceil());
        framed.place(self, margin, margin);
        framed
    }

    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        self.shapes.iter().filter_map(|shape| match shape {
            Shape::Text(text) => Some(text),
            _ => None,
        })
    }
}

impl Shape {
    fn shift(&mut self, right: f64, down: f64) {
        let shift = |x: &mut f64, y: &mut f64| (*x, *y) = (*x + right, *y + down);
        match self {
            Shape::Rectangle { x, y, .. } | Shape::Dot { x, y, .. } | Shape::Raster { x, y, .. } => shift(x, y),
            Shape::Text(text) => shift(&mut text.x, &mut text.y),
            Shape::Line { points, .. } | Shape::Area { points, .. } => points.iter_mut().for_each(|[x, y]| shift(x, y)),
        }
    }
}
