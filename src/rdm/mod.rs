//! Representational dissimilarity matrices: how different each pair of stimuli is to a layer, a brain area, a person.
//!
//! A [`Request`] says what is wanted, and [`run`] does it. A [`Job`] computes one from features, by a [`Metric`]; [`Rdms`]
//! were read, with the IDs of their stimuli.

mod align;
mod angles;
mod average;
mod categories;
mod centre;
pub(crate) mod centring;
mod check;
mod cityblock;
mod clusters;
mod crossnobis;
mod design;
pub(crate) mod errors;
mod euclidean;
mod file;
pub(crate) mod ids;
mod job;
pub(crate) mod lanes;
mod mapped;
mod mds;
mod metric;
mod movie;
pub(crate) mod noise;
mod odd_one_out;
pub(crate) mod outputs;
mod points;
mod products;
mod ranked;
mod rating_columns;
mod ratings;
mod recording;
mod renamed;
mod request;
mod similarities;
pub mod stored;
mod tiles;
pub(crate) mod times;
mod triplets;
mod windows;

pub use align::Alignment;
pub use average::Pooling;
pub use check::{Finding, MANY_TIES, check, tied_share};
pub use clusters::Clusters;
pub use design::Labels;
pub use job::Job;
pub use mds::{Plane, plane};
pub use metric::{Metric, OnConstant};
pub use noise::{Noise, NoiseModel};
pub use ratings::Scale;
pub use request::{Request, run};
pub use tiles::Shape;
pub use windows::Times;

pub(crate) use align::{Rows, align, align_files, aligned};
pub(crate) use average::average;
pub(crate) use categories::Categories;
pub(crate) use centre::Centre;
pub(crate) use check::{in_units_of_largest, missing, negative, power_of_two, varies};
pub(crate) use errors::Uninformative;
pub(crate) use movie::Movie;
pub(crate) use points::Space;
pub(crate) use renamed::renamed;
pub(crate) use similarities::Similarities;
pub(crate) use triplets::Triplets;

/// RDMs of the same stimuli, as their upper triangles: one, or one of each subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Rdms {
    /// The number of stimuli, N.
    pub stimuli: usize,
    /// Their names, if these are known.
    pub ids: Option<Vec<String>>,
    /// Of each subject the `N (N − 1) / 2` pairs row by row: (0, 1), (0, 2), …, (1, 2), …. NaN where there is no
    /// measurement.
    pub subjects: Vec<Vec<f64>>,
}

/// `(i, j)` with `i < j`, row by row.
pub(crate) fn pairs_of(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (i + 1..n).map(move |j| (i, j)))
}

/// The place of the pair of stimuli i and j, which differ, among the `N (N − 1) / 2` of `n`.
pub(crate) fn pair(n: usize, i: usize, j: usize) -> usize {
    let (i, j) = (i.min(j), i.max(j));
    i * (2 * n - i - 1) / 2 + j - i - 1
}
