//! p-values corrected for many tests.

/// Holm 1979, which bounds the chance of any false positive: `maxⱼ≤ᵢ min(1, (k − j + 1) p₍ⱼ₎)` in ascending order. NaN
/// is no test.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let (order, mut corrected) = ascending(p);
    let mut largest = 0.0f64;
    for (before, &test) in order.iter().enumerate() {
        largest = largest.max(((order.len() - before) as f64 * p[test]).min(1.0));
        corrected[test] = largest;
    }
    corrected
}

/// Benjamini & Hochberg 1995, which bounds the share of false positives: `minⱼ≥ᵢ min(1, k p₍ⱼ₎ / j)` in ascending order.
/// NaN is no test.
pub fn benjamini_hochberg(p: &[f64]) -> Vec<f64> {
    let (order, mut corrected) = ascending(p);
    let mut smallest = 1.0f64;
    for (before, &test) in order.iter().enumerate().rev() {
        smallest = smallest.min(order.len() as f64 * p[test] / (before + 1) as f64);
        corrected[test] = smallest;
    }
    corrected
}

fn ascending(p: &[f64]) -> (Vec<usize>, Vec<f64>) {
    let mut order: Vec<usize> = (0..p.len()).filter(|&test| !p[test].is_nan()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    (order, vec![f64::NAN; p.len()])
}
