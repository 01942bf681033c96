//! How well predictions agree with responses, of each target: Pearson's r and R², the mean over folds.

/// Of one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// `Σ (y − ȳ)(ŷ − ŷ̄) / √(Σ (y − ȳ)² Σ (ŷ − ŷ̄)²)`; 0 of a prediction that does not vary.
    pub(super) correlation: f64,
    /// `1 − Σ (y − ŷ)² / Σ (y − ȳ)²`, ȳ the mean of the rows that are predicted, as scikit-learn's `r2_score`.
    pub(super) explained: f64,
}

/// Of the rows of a fold; NaN of a target that does not vary in them.
pub(super) fn score(truth: &[f64], predicted: &[f64]) -> Score {
    let [truth_centred, predicted_centred] = [centred(truth), centred(predicted)];
    let (mut together, mut whole, mut own, mut left) = (0.0, 0.0, 0.0, 0.0);
    for ((y, p), (truth, predicted)) in truth_centred.iter().zip(&predicted_centred).zip(truth.iter().zip(predicted)) {
        together += y * p;
        whole += y * y;
        own += p * p;
        left += (truth - predicted) * (truth - predicted);
    }
    let correlation = if own > 0.0 { together / (whole.sqrt() * own.sqrt()) } else { 0.0 };
    match whole > 0.0 {
        true => Score { correlation: correlation.clamp(-1.0, 1.0), explained: 1.0 - left / whole },
        false => Score { correlation: f64::NAN, explained: f64::NAN },
    }
}

/// Less the mean.
pub(super) fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| value - mean).collect()
}

/// Less the mean, of length 1; zeros of what does not vary.
pub(super) fn unit(values: &[f64]) -> Vec<f64> {
    let mut values = centred(values);
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    values.iter_mut().for_each(|value| *value = if length > 0.0 { *value / length } else { 0.0 });
    values
}
