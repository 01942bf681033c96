//! The upper triangle in tiles: each computed once, on one thread, and put at its place and at its mirror image.

use super::bands::Bands;
use crate::parallel::parallel;
use anyhow::Result;
use std::ops::Range;

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
fn tiles(n: usize, side: usize) -> Vec<(Range<usize>, Range<usize>)> {
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
