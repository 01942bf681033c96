//! Representational dissimilarity matrices: how different each pair of stimuli is to a layer, a brain area, a person.
//!
//! A [`Job`] computes one from features, by a [`Metric`]; [`Rdm`] is one that was read, with the IDs of its stimuli.

mod angles;
mod bands;
mod cityblock;
mod constant;
mod crossnobis;
mod design;
mod euclidean;
mod file;

pub mod ids;
mod job;
mod mapped;
mod metric;
mod noise;
mod points;
mod products;
mod ranked;
mod tiles;

pub use bands::Shape;
pub use design::{Labels, means};
pub use job::Job;
pub use metric::{Metric, OnConstant};
pub use noise::{Noise, NoiseModel};

/// An RDM, as its upper triangle.
#[derive(Debug, Clone, PartialEq)]
pub struct Rdm {
    /// The number of stimuli.
    pub stimuli: usize,
    /// The `n (n − 1) / 2` pairs row by row: (0, 1), (0, 2), …, (1, 2), …. NaN where there is no measurement.
    pub pairs: Vec<f64>,
}
