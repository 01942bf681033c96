//! The upper triangle in tiles: each computed once, on one thread, and put at its place and at its mirror image.

use crate::parallel::parallel;
use anyhow::Result;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The side of a tile: large tiles multiply faster, many share the cores better. It depends on the number of stimuli
/// alone, so that the result does not depend on the machine.
pub(super) fn side(stimuli: usize) -> usize {
    match stimuli {
        0..2048 => 256,
        2048..8192 => 512,
        _ => 1024,
    }
}

/// The dissimilarities of two ranges of stimuli, row by row.
pub(super) type Compute<'a> = dyn Fn(&Range<usize>, &Range<usize>) -> Result<Vec<f32>> + Sync + 'a;

/// Fills `bands` with what `compute(rows, columns)` gives for each tile of the upper triangle, diagonal tiles included.
pub(super) fn fill(bands: &Bands, compute: &Compute) -> Result<()> {
    let tiles = tiles(bands.stimuli, bands.side);
    parallel(tiles.len(), &|number| {
        let (rows, columns) = &tiles[number];
        let mut tile = compute(rows, columns)?;
        if rows == columns {
            close(&mut tile, rows.len());
        }
        bands.put(rows, columns, &tile);
        Ok(())
    })?;
    Ok(())
}

/// The tiles that cover the upper triangle. Those on the diagonal are small, for half of what is computed there is not
/// needed.
pub(super) fn tiles(n: usize, side: usize) -> Vec<(Range<usize>, Range<usize>)> {
    let cut = |all: Range<usize>, side: usize| -> Vec<Range<usize>> {
        all.clone().step_by(side).map(|first| first..all.end.min(first + side)).collect()
    };
    let above = |bands: &[Range<usize>]| -> Vec<(Range<usize>, Range<usize>)> {
        let of = |i: usize| (i + 1..bands.len()).map(move |j| (i, j));
        (0..bands.len()).flat_map(of).map(|(i, j)| (bands[i].clone(), bands[j].clone())).collect()
    };
    let bands = cut(0..n, side);
    let mut tiles = above(&bands);
    for band in bands {
        let parts = cut(band, side / 4);
        tiles.extend(above(&parts));
        tiles.extend(parts.into_iter().map(|part| (part.clone(), part)));
    }
    tiles
}

/// Makes a diagonal tile symmetric to the bit, whatever order a product was summed in, and its diagonal 0.
fn close(tile: &mut [f32], side: usize) {
    for i in 0..side {
        tile[i * side + i] = 0.0;
        for j in i + 1..side {
            tile[j * side + i] = tile[i * side + j];
        }
    }
}

/// Where tiles are put, each band by one thread at a time: the memory of an RDM of `stimuli`, square `[N, N]` or condensed `[N (N − 1) / 2]`, in bands of `side` rows.
pub(super) struct Bands<'a> {
    stimuli: usize,
    side: usize,
    shape: Shape,
    bands: Vec<Mutex<&'a mut [f32]>>,
}

/// How an RDM lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// `[N, N]`, both halves and the zero diagonal.
    #[default]
    Square,
    /// `[N (N − 1) / 2]`: the upper triangle row by row, as SciPy's `pdist` and MATLAB's `pdist` have it.
    Condensed,
}

impl Shape {
    /// The sizes of the array of `n` stimuli.
    pub fn sizes(self, n: usize) -> Vec<usize> {
        match self {
            Shape::Square => vec![n, n],
            Shape::Condensed => vec![n * n.saturating_sub(1) / 2],
        }
    }

    /// Where row `i` begins.
    fn start(self, n: usize, i: usize) -> usize {
        match self {
            Shape::Square => n * i,
            Shape::Condensed => i * (2 * n - i).saturating_sub(1) / 2,
        }
    }
}

impl<'a> Bands<'a> {
    pub(super) fn new(mut values: &'a mut [f32], stimuli: usize, side: usize, shape: Shape) -> Bands<'a> {
        let mut bands = Vec::new();
        for first in (0..stimuli).step_by(side) {
            let rows = first..stimuli.min(first + side);
            let (band, rest) = values.split_at_mut(shape.start(stimuli, rows.end) - shape.start(stimuli, rows.start));
            bands.push(Mutex::new(band));
            values = rest;
        }
        Bands { stimuli, side, shape, bands }
    }

    /// Puts the tile of `rows` and `columns`, each within a band, at its place and at its mirror image.
    fn put(&self, rows: &Range<usize>, columns: &Range<usize>, tile: &[f32]) {
        let number = rows.start / self.side;
        let mut band = self.bands[number].lock().unwrap_or_else(PoisonError::into_inner);
        for (i, values) in rows.clone().zip(tile.chunks_exact(columns.len())) {
            self.put_row(&mut band, number * self.side, i, columns, values);
        }
        drop(band);
        if self.shape == Shape::Square && rows != columns {
            self.put_mirrored(rows, columns, tile);
        }
    }

    fn put_row(&self, band: &mut [f32], first: usize, i: usize, columns: &Range<usize>, values: &[f32]) {
        let row = self.shape.start(self.stimuli, i) - self.shape.start(self.stimuli, first);
        match self.shape {
            Shape::Square => band[row + columns.start..row + columns.end].copy_from_slice(values),
            Shape::Condensed => {
                let from = columns.start.max(i + 1);
                if from < columns.end {
                    band[row + from - i - 1..row + columns.end - i - 1].copy_from_slice(&values[from - columns.start..]);
                }
            }
        }
    }

    fn put_mirrored(&self, rows: &Range<usize>, columns: &Range<usize>, tile: &[f32]) {
        let number = columns.start / self.side;
        let mut band = self.bands[number].lock().unwrap_or_else(PoisonError::into_inner);
        let first = columns.start - number * self.side;
        // In squares of this many, which stay in the cache.
        const SQUARE: usize = 32;
        for some in (0..rows.len()).step_by(SQUARE) {
            let some = some..rows.len().min(some + SQUARE);
            for j in 0..columns.len() {
                let start = self.stimuli * (first + j) + rows.start;
                for i in some.clone() {
                    band[start + i] = tile[i * columns.len() + j];
                }
            }
        }
    }
}
