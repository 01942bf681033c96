//! The flags of `thingsvision rdm`.

use clap::{ArgGroup, Subcommand};
use std::path::PathBuf;
use thingsvision::images::AverageBy;
use thingsvision::rdm::{Metric, NoiseModel, OnConstant, Pooling, Request};

/// `thingsvision rdm`
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group(ArgGroup::new("source").required(true).args(["features", "from_embedding", "nifti", "from_triplets"])))]
pub struct Rdm {
    /// What to do with RDMs that are there
    #[command(subcommand)]
    pub command: Option<RdmCommand>,

    /// The features, one stimulus a row: .npy, .npz, .csv, .tsv, .txt (spaces between cells), .mat, .h5; further axes are flattened. FILE:NAME is one
    /// array of a file that holds several. Several files, one of each subject, make one file of RDMs, [subjects, N, N]; they
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
    #[arg(long, value_enum, value_name = "folder", conflicts_with = "conditions")]
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

impl Rdm {
    /// What the flags ask for.
    pub fn request(&self) -> Request {
        Request {
            features: self.features.clone(),
            from_embedding: self.from_embedding.clone(),
            nifti: self.nifti.clone(),
            mask: self.mask.clone(),
            from_triplets: self.from_triplets.clone(),
            metric: self.metric,
            on_constant: self.on_constant,
            out: self.out.clone(),
            condensed: self.condensed,
            ids: self.ids.clone(),
            conditions: self.conditions.clone(),
            average_by: self.average_by,
            partitions: self.partitions.clone(),
            noise: self.noise,
            residuals: self.residuals.clone(),
        }
    }
}

/// The subcommands of `thingsvision rdm`.
#[derive(Debug, Subcommand)]
pub enum RdmCommand {
    /// Look for what often goes wrong in a file of an RDM
    ///
    /// Order, symmetry, diagonal, similarities taken for dissimilarities, duplicates, missing pairs, ties.
    Check {
        /// The RDM, or one of each subject
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Average the RDMs of subjects
    Average {
        /// RDMs, aligned by their IDs; a file may hold one of each subject
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// In which units they are averaged
        #[arg(long, value_enum, default_value_t)]
        pool: Pooling,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Convert an RDM: square or condensed, .npy, .csv, .tsv, .mat, .h5 (as rsatoolbox reads it)
    Convert {
        /// The RDM, or one of each subject
        file: PathBuf,
        /// The file to write; its ending says the format
        out: PathBuf,
        /// Write the pairs in SciPy's order instead of the square (.h5 always has the pairs)
        #[arg(long)]
        condensed: bool,
    },
    /// Make the RDM of categories: 0 within, 1 between
    Categories {
        /// A table of stimulus ID and category, or one category a line. The first line is a header if it begins with nothing
        /// or a word like stimulus, image, id, name or file (of one column: category, label or class)
        labels: PathBuf,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}
