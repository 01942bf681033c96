//! What an RDM is to be made of, and how: the same value whether flags or a caller in Rust says it.

mod compute;
mod features;

pub(super) use features::one_of;

use super::{Metric, NoiseModel, OnConstant, Shape, stored};
use crate::error::advise;
use crate::images::AverageBy;
use crate::observer::Observer;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An RDM of features, of an embedding, of fMRI images or of triplets. Of several subjects the lists of files hold one for all, or
/// one for each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Features, one stimulus a row; a file, or an array of it (`FILE:NAME`), for each subject.
    pub features: Vec<PathBuf>,
    /// An embedding, one object a row.
    pub from_embedding: Option<PathBuf>,
    /// fMRI images with the conditions along the fourth axis, one of each subject.
    pub nifti: Vec<PathBuf>,
    /// Which of their voxels; features with a mask are read as such images.
    pub mask: Vec<PathBuf>,
    /// Odd-one-out judgements.
    pub from_triplets: Option<PathBuf>,
    /// Correlation, or of an embedding Euclidean.
    pub metric: Option<Metric>,
    /// What is done about rows of which no correlation is defined.
    pub on_constant: OnConstant,
    /// The `.npy` file that is written; beside the features, if they are of one subject.
    pub out: Option<PathBuf>,
    /// Whether the upper triangle alone is written.
    pub condensed: bool,
    /// The stimulus of each row; those beside the features, or of the run that these lie in.
    pub ids: Vec<PathBuf>,
    /// The condition of each row: rows of the same condition are averaged.
    pub conditions: Vec<PathBuf>,
    /// Over which images the rows are averaged.
    pub average_by: Option<AverageBy>,
    /// Of crossnobis the session or run of each row.
    pub partitions: Vec<PathBuf>,
    /// Of Mahalanobis and crossnobis the covariance of the noise.
    pub noise: NoiseModel,
    /// From which it is estimated, `[scans, units]`; the deviations of rows from their condition's mean.
    pub residuals: Vec<PathBuf>,
}

impl Request {
    /// The files that RDMs are made of, one of each subject.
    fn sources(&self) -> Vec<&Path> {
        self.features.iter().chain(&self.from_embedding).chain(&self.nifti).map(PathBuf::as_path).collect()
    }

    /// The metric, where none is named that of the source.
    fn metric(&self) -> Metric {
        let of_source = if self.from_embedding.is_some() { Metric::Euclidean } else { Metric::Correlation };
        self.metric.unwrap_or(of_source)
    }

    fn shape(&self) -> Shape {
        if self.condensed { Shape::Condensed } else { Shape::Square }
    }

    /// Fails for what contradicts itself.
    pub fn check(&self) -> Result<()> {
        let given =
            [!self.features.is_empty(), self.from_embedding.is_some(), !self.nifti.is_empty(), self.from_triplets.is_some()];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(advise(
                "an RDM is made of one kind of source",
                "give features, or one of --from-embedding, --nifti and --from-triplets",
            ));
        }
        if !self.nifti.is_empty() && self.mask.is_empty() {
            return Err(advise(
                "it is not known which voxels of the image are wanted",
                "give a 3-D image that is 1 in the voxels of a region, or of the brain, and 0 elsewhere: --mask mask.nii.gz",
            ));
        }
        let files = [&self.conditions, &self.partitions, &self.residuals];
        let of_rows = self.average_by.is_some() || files.into_iter().any(|files| !files.is_empty());
        let of_features =
            self.metric.is_some() || self.on_constant != OnConstant::default() || self.noise != NoiseModel::default();
        let faults = [
            (!self.ids.is_empty() && !self.conditions.is_empty(), "--conditions does not go with --ids"),
            (self.average_by.is_some() && !self.conditions.is_empty(), "--average-by does not go with --conditions"),
            (
                self.from_triplets.is_some() && (of_rows || of_features),
                "--from-triplets goes with --ids, --condensed and --out alone",
            ),
        ];
        match faults.into_iter().find(|(is_fault, _)| *is_fault) {
            Some((_, problem)) => Err(advise(problem, "leave out one of them")),
            None => Ok(()),
        }
    }
}

/// Checks everything, then computes and writes an RDM, or one of each subject, and says where.
pub fn run(request: &Request, observer: &dyn Observer) -> Result<PathBuf> {
    request.check()?;
    match &request.from_triplets {
        Some(path) => stored::triplets(path, request, observer),
        None => compute::run(request, observer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_flags_are_called_and_contradictions_are_refused() {
        let request = |text: &str| toml::from_str::<Request>(text).map_err(anyhow::Error::from);
        let good =
            request("features = ['x.npy']\nmetric = 'odd-one-out'\naverage_by = 'folder'\npartitions = ['p.txt']").unwrap();
        assert_eq!((good.metric(), good.average_by), (Metric::OddOneOut, Some(AverageBy::Folder)));
        good.check().unwrap();
        let problem = |text: &str| request(text).and_then(|request| request.check()).unwrap_err().to_string();
        assert_eq!(problem("features = ['x.npy']\nfrom_triplets = 't.csv'"), "an RDM is made of one kind of source");
        assert!(problem("from_triplets = 't.csv'\nmetric = 'cosine'").starts_with("--from-triplets goes with"));
        assert!(problem("feature = ['x.npy']").contains("unknown field `feature`"));
    }
}
