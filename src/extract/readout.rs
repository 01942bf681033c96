//! How the activation of an image becomes its row.

use crate::advice::advise;
use anyhow::Result;
use serde::Serialize;
use tch::Tensor;

/// What is kept of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Readout {
    /// All of it, in its own shape
    #[default]
    None,
    /// All of it, as a vector in C order
    Flatten,
    /// The mean of each channel over the picture
    Mean,
    /// The largest value of each channel over the picture
    Max,
}

impl Readout {
    /// The shape of a row, given the shape of the activation of one image. Fails where the readout has no meaning.
    pub fn shape(self, layer: &str, activation: &[usize]) -> Result<Vec<usize>> {
        match (self, activation) {
            (Readout::None, _) => Ok(activation.to_vec()),
            (Readout::Flatten, _) => Ok(vec![activation.iter().product()]),
            (Readout::Mean | Readout::Max, &[channels, _, _]) => Ok(vec![channels]),
            (Readout::Mean | Readout::Max, _) => Err(advise(
                format!("the readout is over the picture, but `{layer}` gives {activation:?}, not channels × rows × columns"),
                "use --readout none or flatten for this layer, in a run of its own",
            )),
        }
    }

    /// Applies it to the activations `[N, …]` of a batch.
    pub fn apply(self, activation: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Readout::None => activation.shallow_clone(),
            Readout::Flatten => activation.f_flatten(1, -1)?,
            Readout::Mean => activation.f_mean_dim(&[2i64, 3][..], false, None)?,
            Readout::Max => activation.f_amax([2, 3], false)?,
        })
    }
}
