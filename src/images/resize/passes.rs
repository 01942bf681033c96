//! The two passes over a picture, each to 8 bits.
#![allow(unsafe_code)] // one call of what is compiled for AVX2

use super::weights::{FRACTION_BITS, FilterWeights, HALF};
use crate::images::rgb::{Pixel, Rgb, Window};
use crate::images::vector::vectorised;
use std::ops::Range;

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

/// The horizontal pass over `rows` of `image`.
pub fn across(image: &Rgb, columns: &FilterWeights, rows: &Range<usize>) -> Rgb {
    let width = columns.outputs.len();
    let mut lines = vec![[0; 4]; 2 * width];
    let mut pixels = Vec::with_capacity(rows.len() * width);
    for first in rows.clone().step_by(2) {
        let (line, other) = lines.split_at_mut(width);
        let is_pair = first + 1 < rows.end;
        let pair = [image.row(first), image.row(if is_pair { first + 1 } else { first })];
        rows_across(pair, image.window.columns.start, columns, [line, other]);
        pixels.extend_from_slice(if is_pair { &lines } else { &lines[..width] });
    }
    Rgb { window: Window { columns: columns.outputs.clone(), rows: rows.clone() }, pixels, ..*image }
}

/// `rows` begin at column `offset`.
fn rows_across(rows: [&[Pixel]; 2], offset: usize, columns: &FilterWeights, lines: [&mut [Pixel]; 2]) {
    #[cfg(target_arch = "x86_64")]
    if crate::images::vector::has_avx2() && columns.taps.is_multiple_of(2) {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { super::avx2::rows_across(rows, offset, columns, lines) };
    }
    for (row, line) in rows.into_iter().zip(lines) {
        row_across(row, offset, columns, line);
    }
}

/// `row` begins at column `offset`.
fn row_across(row: &[Pixel], offset: usize, columns: &FilterWeights, line: &mut [Pixel]) {
    let weights = columns.weights.chunks_exact(columns.taps);
    for ((out, first), weights) in line.iter_mut().zip(&columns.firsts).zip(weights) {
        let mut sums = [HALF; 4];
        for (pixel, weight) in row[first - offset..][..columns.taps].iter().zip(weights) {
            for (sum, value) in sums.iter_mut().zip(pixel) {
                *sum = sum.wrapping_add(i32::from(*value).wrapping_mul(*weight));
            }
        }
        *out = sums.map(to_byte);
    }
}

/// The vertical pass over `columns` of `image`.
pub fn down(image: &Rgb, rows: &FilterWeights, columns: &Range<usize>) -> Rgb {
    let mut line = vec![[0; 4]; columns.len()];
    let mut pixels = Vec::with_capacity(rows.outputs.len() * line.len());
    let (left, stride) = (columns.start - image.window.columns.start, image.window.columns.len());
    for (first, weights) in rows.firsts.iter().zip(rows.weights.chunks_exact(rows.taps)) {
        let first_row = first - image.window.rows.start;
        row_down(&image.pixels[first_row * stride + left..], stride, weights, &mut line);
        pixels.extend_from_slice(&line);
    }
    Rgb { window: Window { columns: columns.clone(), rows: rows.outputs.clone() }, pixels, ..*image }
}

/// Bytes that are summed at a time, so that the sums stay in registers.
const BLOCK: usize = 32;

vectorised! {
    /// The weighted sum of as many rows of `pixels` as there are `weights`, `stride` pixels apart.
    fn row_down(pixels: &[Pixel], stride: usize, weights: &[i32], line: &mut [Pixel]) {
        let (bytes, stride) = (pixels.as_flattened(), stride * 4);
        let (blocks, rest) = line.as_flattened_mut().as_chunks_mut::<BLOCK>();
        for (number, block) in blocks.iter_mut().enumerate() {
            let mut sums = [HALF; BLOCK];
            for (row, weight) in weights.iter().enumerate() {
                let values = &bytes[row * stride + number * BLOCK..][..BLOCK];
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum = sum.wrapping_add(i32::from(*value).wrapping_mul(*weight));
                }
            }
            for (byte, sum) in block.iter_mut().zip(sums) {
                *byte = to_byte(sum);
            }
        }
        let done = blocks.len() * BLOCK;
        for (i, byte) in rest.iter_mut().enumerate() {
            let products = weights.iter().enumerate().map(|(row, weight)| i32::from(bytes[row * stride + done + i]).wrapping_mul(*weight));
            *byte = to_byte(products.fold(HALF, i32::wrapping_add));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Interpolation, Pillow, Resize};
    use super::*;
    use crate::images::vector::PLAIN;

    #[test]
    fn any_processor_computes_the_same() {
        for (number, from) in [(1, 1), (7, 5), (40, 33), (97, 61), (200, 3), (3, 200)].into_iter().enumerate() {
            let value = |i: usize| (i * i * 7 + i * 31 + number) as u8;
            let pixels = (0..from.0 * from.1).map(|i| [value(i), value(i + 1), value(3 * i), value(5 * i)]).collect();
            let image = Rgb::new(from.0, from.1, pixels);
            for (interpolation, to) in [
                (Interpolation::Bilinear, (30, 21)),
                (Interpolation::Bicubic, (64, 64)),
                (Interpolation::Lanczos, (9, 90)),
                (Interpolation::Bicubic, from),
            ] {
                let resize = Resize { from, to, interpolation, pillow: Pillow::From13 };
                let window = Window { columns: to.0 / 3..to.0, rows: 0..to.1.div_ceil(2) };
                let vector = resize.apply(&image, &window);
                PLAIN.set(true);
                let plain = resize.apply(&image, &window);
                PLAIN.set(false);
                assert_eq!(vector.bytes(), plain.bytes(), "{from:?} to {to:?}");
            }
        }
    }
}
