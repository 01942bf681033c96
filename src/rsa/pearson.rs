//! Pearson's r, as SciPy's `pearsonr`.

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

/// The mean of values as the first of them and the mean difference from it: values that are all the same deviate by exactly 0, and
/// a large common offset leaves no rounding behind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Centre {
    first: f64,
    rest: f64,
}

impl Centre {
    pub(super) fn of(values: &[f64]) -> Centre {
        let first = values.first().copied().unwrap_or(0.0);
        Centre { first, rest: values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64 }
    }

    /// How far a value is from the mean.
    pub(super) fn deviation(self, value: f64) -> f64 {
        value - self.first - self.rest
    }
}
