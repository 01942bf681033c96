//! Rows of which no correlation or cosine is defined.

use super::points::Row;
use super::{OnConstant, scale};
use crate::error::advise;
use anyhow::Result;

/// A row varies if its deviation is more than this share of its mean (SciPy's rule for a nearly constant input):
/// less is rounding, of which a correlation would be noise.
const NEARLY_CONSTANT: f64 = 1e-13;

/// Whether all values are the same, or so nearly that the rest is rounding: the mean of equal numbers may differ from
/// them in the last digit.
pub(super) fn is_constant(values: &[f64], mean: f64, norm: f64) -> bool {
    values.iter().all(|&value| value == values[0]) || norm < NEARLY_CONSTANT * mean.abs()
}

/// Whether the finite ones of these values differ by more than rounding.
pub fn varies(values: &[f64]) -> bool {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    let norm = finite.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>().sqrt();
    !is_constant(&finite, mean, norm)
}

/// Fails if the squared length of a row is not finite: NaN if a value is not, infinite if that is too large.
pub(super) fn check_finite(rows: &[Row], name: &dyn Fn(usize) -> String) -> Result<()> {
    let bad: Vec<usize> = rows.iter().filter(|row| row.squared.is_nan()).map(|row| row.row).collect();
    if !bad.is_empty() {
        return Err(not_finite(&bad, name));
    }
    match rows.iter().find(|row| row.squared.is_infinite()) {
        Some(row) => Err(scale::too_large(f64::INFINITY, &name(row.row))),
        None => Ok(()),
    }
}

/// The error about rows with NaN or infinite values.
pub(super) fn not_finite(rows: &[usize], name: &dyn Fn(usize) -> String) -> anyhow::Error {
    advise(
        format!("values that are not finite (NaN or infinite) in {}", some(rows, name)),
        "find out where they come from before comparing anything",
    )
}

/// Fails if there are constant rows and that is to be an error; `zero` if they are constantly zero.
pub(super) fn decide(rows: &[usize], on_constant: OnConstant, zero: bool, name: &dyn Fn(usize) -> String) -> Result<()> {
    if rows.is_empty() || on_constant != OnConstant::Error {
        return Ok(());
    }
    let problem = match zero {
        true => "all units are 0, so a cosine is not defined",
        false => "all units have the same value, so a correlation is not defined",
    };
    Err(advise(
        format!("{problem}, in {}", some(rows, name)),
        "take another layer for an RDM, store NaN for these stimuli (--on-constant nan), or leave them out (--on-constant drop)",
    ))
}

/// Fails if, `flat` rows being dropped, fewer than two are `left`.
pub(super) fn check_left(left: usize, flat: usize) -> Result<()> {
    if left >= 2 || flat == 0 {
        return Ok(());
    }
    Err(advise(
        format!("{flat} of {} stimuli have the same value everywhere, so there are no pairs of others", flat + left),
        "take another layer for an RDM",
    ))
}

/// "a, b, c, d, e and 2 more"
pub(super) fn some(rows: &[usize], name: &dyn Fn(usize) -> String) -> String {
    let shown: Vec<_> = rows.iter().take(5).map(|&row| name(row)).collect();
    let more = if rows.len() > shown.len() { format!(" and {} more", rows.len() - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
