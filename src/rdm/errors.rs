//! Why rows or dissimilarities are refused, in words.

use crate::error::{Advice, advise};
use anyhow::Error;

/// An RDM that could be read but tells no stimuli apart.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Uninformative {
    #[error("`{0}` has no values: all its pairs are NaN")]
    NoValues(String),
    #[error("all pairs in `{0}` are equally dissimilar ({1}), so nothing correlates with it")]
    AllAlike(String, f64),
}

impl Uninformative {
    /// The error, which callers find by its type, with advice.
    pub(super) fn advised(self) -> Error {
        let problem = self.to_string();
        Error::new(self).context(Advice { problem, hint: "check how the file was made".into() })
    }
}

/// Rows with NaN or infinite values.
pub(crate) fn not_finite(rows: &[usize], name: &dyn Fn(usize) -> String) -> Error {
    advise(
        format!("values that are not finite (NaN or infinite) in {}", some(rows, name)),
        "find out where they come from before comparing anything",
    )
}

/// Rows of which no correlation is defined, or if they are `zero` no cosine.
pub(super) fn constant(rows: &[usize], zero: bool, name: &dyn Fn(usize) -> String) -> Error {
    let problem = match zero {
        true => "all units are 0, so a cosine is not defined",
        false => "all units have the same value, so a correlation is not defined",
    };
    advise(
        format!("{problem}, in {}", some(rows, name)),
        "take another layer for an RDM, store NaN for these stimuli (--on-constant nan), or leave them out (--on-constant drop)",
    )
}

/// Fewer than two stimuli are left without the `flat` ones.
pub(super) fn no_pairs(flat: usize, stimuli: usize) -> Error {
    advise(
        format!("{flat} of {stimuli} stimuli have the same value everywhere, so there are no pairs of others"),
        "take another layer for an RDM",
    )
}

/// Rows whose squares are no numbers any more.
pub(super) fn too_large(largest: f64, stimulus: &str) -> Error {
    let up_to = if largest.is_finite() { format!(", up to {largest:.0e}") } else { String::new() };
    advise(
        format!("dissimilarities of {stimulus} are too large for float32{up_to}"),
        "divide all features by a constant: no correlation and no rank of dissimilarities changes",
    )
}

/// All dissimilarities would vanish.
pub(super) fn too_small(largest: f64) -> Error {
    advise(
        format!("all dissimilarities are too small for float32, at most {largest:.0e}, though the stimuli differ"),
        "multiply all features by a constant: no correlation and no rank of dissimilarities changes",
    )
}

/// "a, b, c, d, e and 2 more"
pub(super) fn some(rows: &[usize], name: &dyn Fn(usize) -> String) -> String {
    let shown: Vec<_> = rows.iter().take(5).map(|&row| name(row)).collect();
    let more = if rows.len() > shown.len() { format!(" and {} more", rows.len() - shown.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
