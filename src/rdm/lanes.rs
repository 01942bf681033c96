//! Sums over two vectors side by side.

/// `Σ f(xᵢ, yᵢ)` in eight sums, which the processor adds side by side.
pub(crate) fn sum(x: &[f64], y: &[f64], f: impl Fn(f64, f64) -> f64) -> f64 {
    let (x, y) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = x.remainder().iter().zip(y.remainder()).map(|(&x, &y)| f(x, y)).sum();
    let mut sums = [0.0; 8];
    for (x, y) in x.zip(y) {
        (0..8).for_each(|k| sums[k] += f(x[k], y[k]));
    }
    rest + sums.iter().sum::<f64>()
}

/// `Σ xᵢ yᵢ`.
pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    sum(x, y, |x, y| x * y)
}
