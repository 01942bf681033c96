//! Pearson's r, as SciPy's `pearsonr`.

use crate::rdm::Centre;

/// `r = Σ (xᵢ − x̄)(yᵢ − ȳ) / √(Σ (xᵢ − x̄)² · Σ (yᵢ − ȳ)²)`, in two passes, clamped to ±1; NaN if `x` or `y` does not
/// vary.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let (from_x, from_y) = (Centre::of(x), Centre::of(y));
    // In units of the largest deviation, so that squares neither overflow nor vanish.
    let unit = |values: &[f64], from: Centre| values.iter().fold(0.0f64, |unit, &value| unit.max(from.deviation(value).abs()));
    let (unit_x, unit_y) = (unit(x, from_x), unit(y, from_y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (&x, &y) in x.iter().zip(y) {
        let (x, y) = (from_x.deviation(x) / unit_x, from_y.deviation(y) / unit_y);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0)
}
