//! Pearson's r, as SciPy's `pearsonr`.

/// `r = Σ (xᵢ − x̄)(yᵢ − ȳ) / √(Σ (xᵢ − x̄)² · Σ (yᵢ − ȳ)²)`, in two passes, clamped to ±1; NaN if `x` or `y` does not
/// vary.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    // In units of the largest deviation, so that squares neither overflow nor vanish.
    let unit = |values: &[f64], mean: f64| values.iter().fold(0.0f64, |unit, value| unit.max((value - mean).abs()));
    let (unit_x, unit_y) = (unit(x, mean_x), unit(y, mean_y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = ((x - mean_x) / unit_x, (y - mean_y) / unit_y);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0)
}
