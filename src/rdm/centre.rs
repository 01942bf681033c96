//! A mean that takes no rounding from a large common offset.

/// The mean of values as the first of them and the mean difference from it: values that are all the same deviate by exactly 0, and
/// a large common offset leaves no rounding behind, which one number would not hold beside little differences.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Centre {
    pub(super) first: f64,
    pub(super) rest: f64,
}

impl Centre {
    pub(crate) fn of(values: &[f64]) -> Centre {
        let first = values.first().copied().unwrap_or(0.0);
        Centre { first, rest: values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64 }
    }

    /// As one number.
    pub(crate) fn mean(self) -> f64 {
        self.first + self.rest
    }

    /// How far a value is from the mean.
    pub(crate) fn deviation(self, value: f64) -> f64 {
        value - self.first - self.rest
    }
}
