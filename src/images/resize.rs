//! Pillow's resize of 8-bit images (`Image.resize(size, resample)`), to the bit, computed only where it is looked at.
//!
//! After `Resample.c` of Pillow 13: for each output position the filter, widened by the scale when the picture
//! shrinks, gives weights in float64, which are normalised and rounded to 22 fractional bits; rows and columns are
//! done one after the other with 8 bits in between; a direction that keeps its size is skipped. Horizontal goes
//! first, but for tall pictures (since Pillow 13).

use super::Rgb;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The filter that weighs neighbouring pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpolation {
    /// A triangle over 2 pixels.
    Bilinear,
    /// Catmull-Rom (a = −0.5) over 4 pixels.
    Bicubic,
    /// Windowed sinc over 6 pixels.
    Lanczos,
}

impl Interpolation {
    /// Half the width of the filter in pixels.
    fn support(self) -> f64 {
        match self {
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
        const A: f64 = -0.5;
        match self {
            Interpolation::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Interpolation::Lanczos => 0.0,
            _ => match (self, x.abs()) {
                (Interpolation::Bilinear, x) if x < 1.0 => 1.0 - x,
                (Interpolation::Bicubic, x) if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
                (Interpolation::Bicubic, x) if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
                _ => 0.0,
            },
        }
    }
}

/// The part of a resized picture that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Columns of the resized picture.
    pub columns: Range<usize>,
    /// Rows of the resized picture.
    pub rows: Range<usize>,
}

/// The `window` of `image` resized to `width × height`.
pub fn resize(image: &Rgb, width: usize, height: usize, interpolation: Interpolation, window: &Window) -> Rgb {
    let columns = Weights::new(image.width, width, interpolation, &window.columns);
    let rows = Weights::new(image.height, height, interpolation, &window.rows);
    if vertical_first(image, width, height) {
        across(&down(image, &rows, 0), &columns)
    } else {
        // Only the rows that the vertical pass will read.
        let needed = rows.inputs();
        let part = across(&cut(image, &needed), &columns);
        down(&part, &rows, needed.start)
    }
}

/// Pillow 13's rule: vertical first where the picture loses more than twice as many rows as columns.
fn vertical_first(image: &Rgb, width: usize, height: usize) -> bool {
    let lost_rows = image.height as i64 - height as i64;
    let lost_columns = image.width as i64 - width as i64;
    lost_rows > 0 && lost_rows > 2 * lost_columns
}

const FRACTION_BITS: u32 = 22;

/// For each output position of a window: where its inputs begin, and their weights.
struct Weights {
    spans: Vec<(usize, Vec<i32>)>,
}

impl Weights {
    fn new(size_in: usize, size_out: usize, interpolation: Interpolation, window: &Range<usize>) -> Self {
        if size_in == size_out {
            return Self { spans: window.clone().map(|at| (at, vec![1 << FRACTION_BITS])).collect() };
        }
        let scale = size_in as f64 / size_out as f64;
        let widening = scale.max(1.0);
        let support = interpolation.support() * widening;
        let span = |at: usize| {
            let center = (at as f64 + 0.5) * scale;
            let first = ((center - support + 0.5) as i64).max(0) as usize;
            let end = ((center + support + 0.5) as i64).min(size_in as i64) as usize;
            let mut weights: Vec<f64> =
                (first..end).map(|i| interpolation.weight((i as f64 - center + 0.5) * (1.0 / widening))).collect();
            let sum: f64 = weights.iter().sum();
            if sum != 0.0 {
                weights.iter_mut().for_each(|weight| *weight /= sum);
            }
            (first, weights.into_iter().map(fixed_point).collect())
        };
        Self { spans: window.clone().map(span).collect() }
    }

    /// From the first to the last input that is read.
    fn inputs(&self) -> Range<usize> {
        let first = self.spans.iter().map(|(first, _)| *first).min().unwrap_or(0);
        let end = self.spans.iter().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
        first..end
    }
}

/// Rounded half away from zero.
fn fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << FRACTION_BITS);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

const HALF: i32 = 1 << (FRACTION_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

fn cut(image: &Rgb, rows: &Range<usize>) -> Rgb {
    let row = image.width * 3;
    Rgb {
        width: image.width,
        height: rows.len(),
        pixels: image.pixels[rows.start * row..rows.end * row].to_vec(),
        damaged: image.damaged,
    }
}

fn across(image: &Rgb, columns: &Weights) -> Rgb {
    let mut pixels = Vec::with_capacity(image.height * columns.spans.len() * 3);
    for row in image.pixels.chunks_exact(image.width * 3) {
        for (first, weights) in &columns.spans {
            let mut sums = [HALF; 3];
            for (pixel, &weight) in row[first * 3..].chunks_exact(3).zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum = sum.wrapping_add(i32::from(value) * weight);
                }
            }
            pixels.extend(sums.map(to_byte));
        }
    }
    Rgb { width: columns.spans.len(), height: image.height, pixels, damaged: image.damaged }
}

/// `image` begins at row `offset` of the picture that `rows` speaks of.
fn down(image: &Rgb, rows: &Weights, offset: usize) -> Rgb {
    let row = image.width * 3;
    let mut pixels = Vec::with_capacity(rows.spans.len() * row);
    let mut sums = vec![HALF; row];
    for (first, weights) in &rows.spans {
        sums.fill(HALF);
        for (values, &weight) in image.pixels[(first - offset) * row..].chunks_exact(row).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = sum.wrapping_add(i32::from(value) * weight);
            }
        }
        pixels.extend(sums.iter().map(|&sum| to_byte(sum)));
    }
    Rgb { width: image.width, height: rows.spans.len(), pixels, damaged: image.damaged }
}
