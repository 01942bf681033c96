//! The scores of all layers against all targets, as files for people and programs.

use crate::npy;
use crate::whole;
use anyhow::{Context, Result};
use ndarray::Array2;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A layer's score against a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// The name of the behavioural or fMRI RDM.
    pub target: String,
    /// `behavior` or `fmri`.
    pub kind: &'static str,
    /// The run, as its folder is called.
    pub model: String,
    /// PyTorch's name of the layer.
    pub layer: String,
    /// The comparison.
    pub compare: &'static str,
    /// How many stimuli both RDMs have.
    pub stimuli: usize,
    /// How many pairs of stimuli were compared.
    pub pairs: usize,
    /// The result.
    pub score: f64,
}

/// All scores, target by target, each over the same layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// How many targets there are.
    pub targets: usize,
    /// `targets × layers` scores.
    pub scores: Vec<Score>,
}

impl Table {
    /// The files that [`Table::write`] writes.
    pub fn files(prefix: &Path) -> [PathBuf; 3] {
        ["npy", "csv", "json"].map(|extension| {
            let mut path = prefix.as_os_str().to_owned();
            path.push(format!(".{extension}"));
            PathBuf::from(path)
        })
    }

    /// Writes `<prefix>.npy` (`[targets, layers]`), `<prefix>.csv` and `<prefix>.json`, and returns their paths.
    pub fn write(&self, prefix: &Path) -> Result<[PathBuf; 3]> {
        let paths = Self::files(prefix);
        if let Some(folder) = prefix.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder `{}`", folder.display()))?;
        }
        let values: Vec<f64> = self.scores.iter().map(|score| score.score).collect();
        let layers = values.len() / self.targets;
        npy::write(&paths[0], &Array2::from_shape_vec((self.targets, layers), values)?.into_dyn())?;
        whole::write(&paths[1], &self.csv()?)?;
        whole::write(&paths[2], self.json()?.as_bytes())?;
        Ok(paths)
    }

    /// The scores as a JSON array of objects.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&self.scores)? + "\n")
    }

    fn csv(&self) -> Result<Vec<u8>> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        for score in &self.scores {
            csv.serialize(score)?;
        }
        Ok(csv.into_inner()?)
    }
}
