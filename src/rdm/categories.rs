//! The RDM of a categorical model: 0 within a category, 1 between.

use super::design::Labels;
use super::file::pairs_of;

/// The pairs of stimuli with these labels.
pub fn categories(labels: &Labels) -> Vec<f64> {
    let differ = |(i, j): (usize, usize)| f64::from(u8::from(labels.of_row[i] != labels.of_row[j]));
    pairs_of(labels.of_row.len()).map(differ).collect()
}
