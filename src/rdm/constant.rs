//! Whether values differ by more than rounding.

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
