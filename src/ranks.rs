//! Ranks with ties at their mean, as `scipy.stats.rankdata`.

/// The ranks of `values`, from 1 on; equal values share the mean of their ranks. Values are finite.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let order = order(values);
    let mut before = 0.0;
    for group in order.chunk_by(|&a, &b| values[a as usize] == values[b as usize]) {
        let size = group.len() as f64;
        group.iter().for_each(|&i| ranks[i as usize] = before + (size + 1.0) / 2.0);
        before += size;
    }
    ranks
}

/// The numbers of `values` from the smallest to the largest; −0 is as large as 0.
pub fn order(values: &[f64]) -> Vec<u32> {
    let mut keyed: Vec<(u64, u32)> = values.iter().zip(0..).map(|(&value, i)| (key(value), i)).collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, i)| i).collect()
}

/// A whole number that is larger for a larger value: sorted faster than the value.
fn key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}
