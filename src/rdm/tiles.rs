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
    let (n, side) = (bands.stimuli, bands.side);
    let tiles: Vec<Range<usize>> = (0..n).step_by(side).map(|first| first..n.min(first + side)).collect();
    let pairs: Vec<(usize, usize)> = (0..tiles.len()).flat_map(|i| (i..tiles.len()).map(move |j| (i, j))).collect();
    parallel(pairs.len(), &|pair| {
        let (i, j) = pairs[pair];
        let mut tile = compute(&tiles[i], &tiles[j])?;
        if i == j {
            close(&mut tile, tiles[i].len());
        }
        bands.put(&tiles[i], &tiles[j], &tile);
        Ok(())
    })?;
    Ok(())
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
