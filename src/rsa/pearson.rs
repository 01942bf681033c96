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

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.pearsonr(x, y)`.
    #[test]
    fn pearson_equals_scipy() {
        let r = pearson(&[1., 2., 2., 3., 4., 5.], &[1., 3., 2., 2., 5., 4.]);
        assert!((r - 0.8153846153846154).abs() < 1e-15, "{r}");
    }

    #[test]
    fn pearson_does_not_depend_on_units() {
        let (x, y) = ([1., 2., 2., 3., 4., 5.], [1., 3., 2., 2., 5., 4.]);
        for unit in [1e160, 1e-170] {
            let r = pearson(&x.map(|x| x * unit), &y);
            assert!((r - 0.8153846153846154).abs() < 1e-14, "{unit}: {r}");
        }
        assert!(pearson(&[1.0; 4], &[1., 2., 3., 4.]).is_nan());
    }

    #[test]
    fn pearson_survives_a_large_common_offset() {
        let x = [1e9 + 1., 1e9 + 2., 1e9 + 3., 1e9 + 5.];
        let y = [2., 4., 6., 10.];
        assert!((pearson(&x, &y) - 1.0).abs() < 1e-12);
    }
}
