//! Numbers in sentences and tables: `26,107`, `3.1 MB`, `2 images`, `256 × 6 × 6`.

/// `26107` as `26,107`.
pub fn count(number: impl TryInto<u64>) -> String {
    indicatif::HumanCount(number.try_into().unwrap_or(u64::MAX)).to_string()
}

/// A number of bytes in the unit that suits it, `3.1 MB`.
pub fn bytes(number: u64) -> String {
    indicatif::DecimalBytes(number).to_string()
}

/// `1 image`, `2 images`.
pub fn count_of(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// `256 × 6 × 6`.
pub fn shape(sizes: &[usize]) -> String {
    if sizes.is_empty() { "one number".into() } else { sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ") }
}
