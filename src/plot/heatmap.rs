//! An RDM as pixels: a colour for each pair of stimuli, or for each block of pairs where there are more than pixels.

use super::colours::{Colour, Scale, WHITE};
use super::files;
use super::picture::Raster;
use crate::ranks::ranks;
use crate::rdm::pair;
use anyhow::Result;
use std::sync::Arc;

/// What is shown of dissimilarities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Their ranks among all pairs of the RDM, ties sharing their mean rank.
    Ranks,
    /// They themselves, from the smallest to the largest.
    Raw,
}

/// Of pairs without data.
pub(super) const MISSING: Colour = [240, 200, 215];

/// Numbers of colours that stand for no dissimilarity.
const DIAGONAL: u8 = 254;
const NO_DATA: u8 = 255;

pub(super) struct HeatMap {
    pub(super) raster: Arc<Raster>,
    /// The smallest and largest value that is shown, in the unit of the RDM.
    pub(super) range: [f64; 2],
    /// Whether pairs without data are shown.
    pub(super) missing: bool,
}

impl HeatMap {
    /// Of the `pairs` of `n` stimuli; each pixel is the mean of `block` × `block` pairs. The diagonal is white.
    pub(super) fn new(n: usize, pairs: &[f64], values: Values, scale: Scale, block: usize) -> Result<HeatMap> {
        let finite = || pairs.iter().copied().filter(|pair| pair.is_finite());
        let range = [finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max)];
        let shares = shares(pairs, values, range);
        let side = n.div_ceil(block);
        let pixels: Vec<u8> = (0..side * side).map(|i| pixel(n, &shares, block, i / side, i % side)).collect();
        let missing = pixels.contains(&NO_DATA);
        let raster =
            Raster { png: files::indexed(side, side, &palette(scale), &pixels)?, width: side, height: side, sharp: true };
        Ok(HeatMap { raster: raster.into(), range, missing })
    }
}

/// Of each pair where it lies between the smallest (0) and the largest (1).
fn shares(pairs: &[f64], values: Values, [low, high]: [f64; 2]) -> Vec<f64> {
    let between = |value: f64, low: f64, high: f64| if high > low { (value - low) / (high - low) } else { 0.5 };
    if values == Values::Raw {
        return pairs.iter().map(|&value| between(value, low, high)).collect();
    }
    let finite: Vec<f64> = pairs.iter().copied().filter(|pair| pair.is_finite()).collect();
    let mut ranks = ranks(&finite).into_iter();
    let mut share = |value: &f64| match value.is_finite() {
        true => between(ranks.next().unwrap_or(f64::NAN), 1.0, finite.len() as f64),
        false => f64::NAN,
    };
    pairs.iter().map(&mut share).collect()
}

fn pixel(n: usize, shares: &[f64], block: usize, row: usize, column: usize) -> u8 {
    let stimuli = |block_number: usize| block_number * block..n.min((block_number + 1) * block);
    let (mut sum, mut count, mut pairs) = (0.0, 0, 0);
    for i in stimuli(row) {
        for j in stimuli(column).filter(|&j| j != i) {
            let share = shares[pair(n, i, j)];
            pairs += 1;
            if share.is_finite() {
                sum += share;
                count += 1;
            }
        }
    }
    match (pairs, count) {
        (0, _) => DIAGONAL,
        (_, 0) => NO_DATA,
        _ => (sum / f64::from(count) * f64::from(DIAGONAL - 1)).round() as u8,
    }
}

fn palette(scale: Scale) -> Vec<Colour> {
    let colours = (0..DIAGONAL).map(|number| scale.at(f64::from(number) / f64::from(DIAGONAL - 1)));
    colours.chain([WHITE, MISSING]).collect()
}

/// All colours from left to right.
pub(super) fn colour_bar(scale: Scale) -> Result<Arc<Raster>> {
    let pixels: Vec<u8> = (0..DIAGONAL).collect();
    let png = files::indexed(pixels.len(), 1, &palette(scale), &pixels)?;
    Ok(Raster { png, width: pixels.len(), height: 1, sharp: true }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(pairs: &[f64], n: usize, values: Values, block: usize) -> Vec<u8> {
        let shares = shares(pairs, values, [1.0, 9.0]);
        let side = n.div_ceil(block);
        (0..side * side).map(|pixel| super::pixel(n, &shares, block, pixel / side, pixel % side)).collect()
    }

    #[test]
    fn ranks_share_ties_and_leave_out_the_diagonal() {
        // Ranks 1, 2.5, 2.5, 4, 5, 6 of 6: (rank − 1) / 5 of 253.
        let pairs = [1.0, 2.0, 2.0, 3.0, 4.0, 9.0];
        let rows = [[254, 0, 76, 76], [0, 254, 152, 202], [76, 152, 254, 253], [76, 202, 253, 254]];
        assert_eq!(pixels(&pairs, 4, Values::Ranks, 1), rows.concat());
        assert_eq!(pixels(&pairs, 4, Values::Raw, 1)[1..4], [0, 32, 32]);
    }

    #[test]
    fn a_block_is_the_mean_of_its_pairs_and_pairs_without_data_are_marked() {
        let pairs = [1.0, 9.0, 9.0, 1.0, 1.0, 5.0];
        assert_eq!(pixels(&pairs, 4, Values::Raw, 2), [0, 127, 127, 127]);
        let pairs = [1.0, f64::NAN, 9.0, f64::NAN, 1.0, 5.0];
        assert_eq!(pixels(&pairs, 4, Values::Raw, 1)[2], NO_DATA);
        assert_eq!(pixels(&pairs, 4, Values::Raw, 2)[1], 127);
    }
}
