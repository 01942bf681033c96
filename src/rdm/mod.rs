//! Representational dissimilarity matrices: how different each pair of stimuli is to a layer, a brain area, a person.

mod correlation;
mod file;

pub use correlation::correlation;

use crate::npy::Matrix;
use anyhow::Result;
use ndarray::Array2;

/// How the dissimilarity of two rows is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Metric {
    /// 1 − Pearson's r between the two rows, 0 to 2
    #[default]
    Correlation,
}

impl Metric {
    /// The RDM `[N, N]` of the rows of `features` `[N, D]`. In messages a row is called by `name`.
    pub fn rdm(self, features: &Matrix, on_constant: OnConstant, name: &dyn Fn(usize) -> String) -> Result<Array2<f32>> {
        match self {
            Metric::Correlation => correlation(features, on_constant, name),
        }
    }
}

/// What to do about a row whose values are all the same, so that no correlation with it is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum OnConstant {
    /// Stop, and name the stimuli
    #[default]
    Error,
    /// Store NaN for their pairs
    Nan,
}

/// An RDM, as its upper triangle.
#[derive(Debug, Clone, PartialEq)]
pub struct Rdm {
    /// The number of stimuli.
    pub stimuli: usize,
    /// The `n (n − 1) / 2` pairs row by row: (0, 1), (0, 2), …, (1, 2), ….
    pub pairs: Vec<f64>,
}
