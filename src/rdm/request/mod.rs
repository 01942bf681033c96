//! What an RDM is to be made of, and how: the same value whether flags or a caller in Rust says it.

mod compute;
mod features;
mod triplets;

use super::{Metric, NoiseModel, OnConstant, Shape};
use crate::arrays;
use crate::error::advise;
use crate::images::AverageBy;
use crate::observer::Observer;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An RDM of features, of an embedding, of fMRI images or of triplets. Of several subjects the lists of files hold one for all, or
/// one for each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["features", "from_embedding", "nifti", "from_triplets"])))]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// The features, one stimulus a row: .npy, .npz, .csv, .tsv, .txt (spaces between cells), .mat, .h5, in the folder of a run .pt; further axes are flattened. FILE:NAME is one
    /// array of a file that holds several. Several files, or a glob in quotes, one of each subject, make one file of RDMs, [subjects, N, N]; they
    /// are aligned by their IDs, or taken to be in the same order
    pub features: Vec<PathBuf>,

    /// An embedding, one object a row, such as that of THINGS by SPoSE or VICE: its Euclidean distances, or with --metric
    /// odd-one-out how rarely two objects are kept together
    #[arg(long, value_name = "FILE")]
    pub from_embedding: Option<PathBuf>,

    /// An fMRI image of a subject, .nii or .nii.gz, with the conditions (betas) along its fourth axis. Repeat for more
    /// subjects, each with the same conditions
    #[arg(long, value_name = "FILE")]
    pub nifti: Vec<PathBuf>,

    /// The voxels that are looked at: a 3-D image in the space of the betas, not 0 where they are wanted. Repeat for one of
    /// each subject
    #[arg(long, value_name = "FILE", requires = "nifti")]
    pub mask: Vec<PathBuf>,

    /// Odd-one-out judgements: a table (commas, tabs or spaces) or .npy of three stimuli a line, the odd one last, by their
    /// numbers from 0 (--ids names them) or by names. How rarely each two were kept together when both were shown
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["metric", "on_constant", "conditions", "average_by", "partitions", "noise", "residuals"]
    )]
    pub from_triplets: Option<PathBuf>,

    /// How the dissimilarity of two stimuli is measured [default: correlation; with --from-embedding euclidean]
    #[arg(long, value_enum)]
    pub metric: Option<Metric>,

    /// What to do about rows with the same value everywhere, for which no correlation is defined
    #[arg(long, value_enum, default_value_t)]
    pub on_constant: OnConstant,

    /// The file to write, .npy (`rdm convert` makes others of it) [default: FEATURES with .rdm.npy;
    /// needed for several subjects]
    #[arg(long, value_name = "FILE.npy")]
    pub out: Option<PathBuf>,

    /// Write the upper triangle alone, in SciPy's order, half the size
    #[arg(long)]
    pub condensed: bool,

    /// The stimulus of each row, one ID a line [default: FEATURES with .ids.txt, or images.txt of the run]. Of
    /// several subjects this and the next files are one for all, or repeated, one for each
    #[arg(long, value_name = "FILE")]
    pub ids: Vec<PathBuf>,

    /// The condition of each row, one a line: rows of the same condition are averaged
    #[arg(long, value_name = "FILE", conflicts_with = "ids")]
    pub conditions: Vec<PathBuf>,

    /// Average the rows of images in the same folder, as their IDs say: one stimulus for each folder
    #[arg(long, value_name = "folder", conflicts_with = "conditions")]
    pub average_by: Option<AverageBy>,

    /// For crossnobis the session or run of each row, one a line
    #[arg(long, value_name = "FILE", requires = "conditions")]
    pub partitions: Vec<PathBuf>,

    /// For mahalanobis and crossnobis the covariance of the noise
    #[arg(long, value_enum, default_value_t)]
    pub noise: NoiseModel,

    /// Residuals to estimate the noise from, [scans, units] [default: the deviations of rows from their condition's mean]
    #[arg(long, value_name = "FILE")]
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

    /// With the files that globs match in their place.
    fn with_files(&self) -> Result<Request> {
        let mut request = self.clone();
        let lists = [&mut request.features, &mut request.nifti, &mut request.mask, &mut request.ids];
        let of_rows = [&mut request.conditions, &mut request.partitions, &mut request.residuals];
        for list in lists.into_iter().chain(of_rows) {
            *list = arrays::all_matching(list)?;
        }
        Ok(request)
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
        if let Some(by @ AverageBy::Column(_)) = &self.average_by {
            return Err(advise(
                format!("of rows their IDs alone are known here, and no column `{by}`"),
                format!(
                    "`--average-by folder` goes by the IDs; by a column images are averaged as they are extracted, \
                     `thingsvision extract --image-list FILE --average-by {by}`, or rows with --conditions"
                ),
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
    let request = request.with_files()?;
    match &request.from_triplets {
        Some(path) => triplets::run(path, &request, observer),
        None => compute::run(&request, observer),
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
        assert_eq!((good.metric(), good.average_by.clone()), (Metric::OddOneOut, Some(AverageBy::Folder)));
        good.check().unwrap();
        let problem = |text: &str| request(text).and_then(|request| request.check()).unwrap_err().to_string();
        assert_eq!(problem("features = ['x.npy']\nfrom_triplets = 't.csv'"), "an RDM is made of one kind of source");
        assert!(problem("from_triplets = 't.csv'\nmetric = 'cosine'").starts_with("--from-triplets goes with"));
        assert!(problem("features = ['x.npy']\naverage_by = 'concept'").contains("no column `concept`"));
        assert!(problem("feature = ['x.npy']").contains("unknown field `feature`"));
    }
}
