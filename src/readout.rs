//! How the activation of an image becomes its row.

use crate::advice::advise;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// What is kept of an activation: of a picture `[C, H, W]`, of tokens `[L, D]` with the class token first, or of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
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
    /// The class token of a vision transformer
    Cls,
    /// The mean of its other tokens, the patches
    Patches,
    /// Both, one after the other
    #[value(name = "cls+patches")]
    #[serde(rename = "cls+patches")]
    ClsPatches,
}

impl Readout {
    /// The shape of a row, given the shape of the activation of one image. Fails where the readout has no meaning.
    pub fn shape(self, layer: &str, activation: &[usize]) -> Result<Vec<usize>> {
        let fits = match *activation {
            [_, _, _] => "none, flatten, mean or max",
            [_, _] => "none, flatten, cls, patches or cls+patches",
            _ => "none or flatten",
        };
        Ok(match (self, activation) {
            (Readout::None, _) => activation.to_vec(),
            (Readout::Flatten, _) => vec![activation.iter().product()],
            (Readout::Mean | Readout::Max, &[channels, _, _]) => vec![channels],
            (Readout::Cls | Readout::Patches, &[_, features]) => vec![features],
            (Readout::ClsPatches, &[_, features]) => vec![2 * features],
            (Readout::Mean | Readout::Max, _) => {
                return Err(advise(
                    format!("`{layer}` gives no picture to take a mean or maximum over: its shape is {activation:?}"),
                    format!("readouts that fit: {fits}; give layers of different kinds runs of their own"),
                ));
            }
            (Readout::Cls | Readout::Patches | Readout::ClsPatches, _) => {
                return Err(advise(
                    format!("`{layer}` gives no tokens: its shape is {activation:?}"),
                    format!("readouts that fit: {fits}; give layers of different kinds runs of their own"),
                ));
            }
        })
    }

    /// Applies it to the activations `[N, …]` of a batch.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        let cls = || x.f_select(1, 0);
        let patches = || x.f_narrow(1, 1, x.size()[1] - 1)?.f_mean_dim(1, false, None);
        Ok(match self {
            Readout::None => x.shallow_clone(),
            Readout::Flatten => x.f_flatten(1, -1)?,
            Readout::Mean => x.f_mean_dim(&[2i64, 3][..], false, None)?,
            Readout::Max => x.f_amax([2, 3], false)?,
            Readout::Cls => cls()?,
            Readout::Patches => patches()?,
            Readout::ClsPatches => Tensor::f_cat(&[cls()?, patches()?], 1)?,
        })
    }
}
