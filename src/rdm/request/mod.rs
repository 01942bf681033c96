//! What an RDM is to be made of, and how: the same value whether flags or a caller in Rust says it.

mod compute;
mod features;
mod movie;
mod ratings;
mod stimuli;
mod triplets;

use super::{Metric, NoiseModel, OnConstant, Scale, Shape, Times};
use crate::arrays;
use crate::error::advise;
use crate::images::AverageBy;
use crate::observer::Observer;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An RDM of features, of an embedding, of fMRI images, of triplets or of ratings. Of several subjects the lists of files hold one for all, or
/// one for each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["features", "from_embedding", "nifti", "from_triplets", "from_ratings"])))]
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

    /// Ratings of pairs: a table of subject, two stimuli and rating, whose first line names the columns. An RDM of each
    /// subject, with repeats averaged and NaN for pairs not asked; NAME.counts.csv has how often each was rated
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["metric", "on_constant", "conditions", "average_by", "partitions", "noise", "residuals"]
    )]
    pub from_ratings: Option<PathBuf>,

    /// What a large rating means; needed for --from-ratings
    #[arg(long, value_enum, requires = "from_ratings")]
    pub scale: Option<Scale>,

    /// The smallest and the largest rating there could be, as 1,7: others are errors [default: those in the
    /// table]
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_range, allow_hyphen_values = true, requires = "from_ratings")]
    pub rating_range: Option<[f64; 2]>,

    /// The columns of ratings, if they are called otherwise; without SUBJECT if all are of one
    #[arg(long, value_name = "SUBJECT,ONE,OTHER,RATING", value_delimiter = ',', requires = "from_ratings")]
    pub rating_columns: Vec<String>,

    /// How the dissimilarity of two stimuli is measured [default: correlation; with --from-embedding euclidean]
    #[arg(long, value_enum)]
    pub metric: Option<Metric>,

    /// What to do about rows with the same value everywhere, for which no correlation is defined
    #[arg(long, value_enum, default_value_t)]
    pub on_constant: OnConstant,

    /// An RDM of each time: the last axis of the features is time, [trials, channels, times], or [subjects, trials, channels,
    /// times]. START:STEP in ms, -100:4 for a first sample at -100 ms and one every 4 ms; or a file of the times, one a line
    #[arg(long, value_name = "START:STEP|FILE", allow_hyphen_values = true)]
    pub times: Option<Times>,

    /// Average the samples within so many ms before distances are computed; the time of an RDM is the middle of its window
    /// [default: one sample]
    #[arg(long, value_name = "MS", requires = "times")]
    pub window: Option<f64>,

    /// From the start of one window to that of the next [default: the window, or without one every sample]
    #[arg(long, value_name = "MS", requires = "times")]
    pub step: Option<f64>,

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
        let of_behavior = [self.from_triplets.is_some(), self.from_ratings.is_some()];
        let given = [!self.features.is_empty(), self.from_embedding.is_some(), !self.nifti.is_empty()];
        let given = [&given[..], &of_behavior].concat();
        if given.iter().filter(|given| **given).count() != 1 {
            return Err(advise(
                "an RDM is made of one kind of source",
                "give features, or one of --from-embedding, --nifti, --from-triplets and --from-ratings",
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
        if self.from_ratings.is_some() && self.scale.is_none() {
            return Err(advise(
                "it is not known what a large rating means: that two stimuli are alike, or that they differ",
                "say which: --scale similarity, or --scale dissimilarity",
            ));
        }
        if !self.nifti.is_empty() && self.mask.is_empty() {
            return Err(advise(
                "it is not known which voxels of the image are wanted",
                "give a 3-D image that is 1 in the voxels of a region, or of the brain, and 0 elsewhere: --mask mask.nii.gz",
            ));
        }
        if self.times.is_some() {
            self.check_times()?;
        }
        let files = [&self.conditions, &self.partitions, &self.residuals];
        let of_rows = self.average_by.is_some() || files.into_iter().any(|files| !files.is_empty());
        let of_features =
            self.metric.is_some() || self.on_constant != OnConstant::default() || self.noise != NoiseModel::default();
        let of_ratings = self.scale.is_some() || self.rating_range.is_some() || !self.rating_columns.is_empty();
        let faults = [
            (!self.ids.is_empty() && !self.conditions.is_empty(), "--conditions does not go with --ids"),
            (self.average_by.is_some() && !self.conditions.is_empty(), "--average-by does not go with --conditions"),
            (
                self.from_triplets.is_some() && (of_rows || of_features),
                "--from-triplets goes with --ids, --condensed and --out alone",
            ),
            (
                self.from_ratings.is_some() && (of_rows || of_features),
                "--from-ratings goes with --scale, --rating-range, --rating-columns, --ids, --condensed and --out alone",
            ),
            (self.times.is_none() && (self.window.is_some() || self.step.is_some()), "--window and --step go with --times"),
            (self.from_ratings.is_none() && of_ratings, "--scale, --rating-range and --rating-columns go with --from-ratings"),
        ];
        if let Some([low, high]) = self.rating_range.filter(|range| !is_range(range)) {
            return Err(advise(format!("the range {low} to {high} has no ratings"), "give the smallest rating first: 1,7"));
        }
        match faults.into_iter().find(|(is_fault, _)| *is_fault) {
            Some((_, problem)) => Err(advise(problem, "leave out one of them")),
            None => Ok(()),
        }
    }

    /// Fails for what does not go with an RDM of each time.
    fn check_times(&self) -> Result<()> {
        if self.features.is_empty() {
            return Err(advise(
                "of what is given there are no times",
                "leave out --times, or give measurements with times as their last axis",
            ));
        }
        if !self.residuals.is_empty() {
            return Err(advise(
                "the noise is estimated at each time, and --residuals have none",
                "leave them out: with --conditions the deviations of trials from their condition's mean are taken, at each time",
            ));
        }
        if self.on_constant == OnConstant::Drop {
            return Err(advise(
                "--on-constant drop would leave out other stimuli at each time",
                "store NaN for their pairs instead: --on-constant nan",
            ));
        }
        Ok(())
    }
}

/// Checks everything, then computes and writes an RDM, or one of each subject, and says where.
pub fn run(request: &Request, observer: &dyn Observer) -> Result<PathBuf> {
    request.check()?;
    let request = request.with_files()?;
    match (&request.from_triplets, &request.from_ratings, &request.times) {
        (Some(path), ..) => triplets::run(path, &request, observer),
        (_, Some(path), _) => ratings::run(path, &request, observer),
        (.., Some(times)) => movie::run(times, &request, observer),
        (None, None, None) => compute::run(&request, observer),
    }
}

fn parse_range(text: &str) -> Result<[f64; 2], String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    let range = numbers.and_then(|numbers| <[f64; 2]>::try_from(numbers).ok()).filter(is_range);
    range.ok_or_else(|| "the smallest and the largest rating are needed: 1,7".to_owned())
}

fn is_range([low, high]: &[f64; 2]) -> bool {
    low < high && low.is_finite() && high.is_finite()
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
        assert_eq!(problem("from_ratings = 'r.csv'\nfrom_triplets = 't.csv'"), "an RDM is made of one kind of source");
        assert!(problem("from_ratings = 'r.csv'").starts_with("it is not known what a large rating means"));
        assert!(problem("from_ratings = 'r.csv'\nscale = 'similarity'\nnoise = 'full'").starts_with("--from-ratings goes"));
        assert!(problem("features = ['x.npy']\nscale = 'similarity'").contains("go with --from-ratings"));
        assert!(problem("from_ratings = 'r.csv'\nscale = 'similarity'\nrating_range = [7, 1]").starts_with("the range 7 to 1"));
        assert!(problem("features = ['x.npy']\naverage_by = 'concept'").contains("no column `concept`"));
        assert!(problem("feature = ['x.npy']").contains("unknown field `feature`"));
    }
}
