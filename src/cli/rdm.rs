//! The flags of `thingsvision rdm`.

use clap::Subcommand;
use std::path::PathBuf;
use thingsvision::rdm::{Pooling, Request};

/// `thingsvision rdm`
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    override_usage = "thingsvision rdm [OPTIONS] <FEATURES>...\n       \
                      thingsvision rdm [OPTIONS] --times <START:STEP|FILE> <FEATURES>...\n       \
                      thingsvision rdm [OPTIONS] --from-embedding <FILE>\n       \
                      thingsvision rdm [OPTIONS] --from-triplets <FILE>\n       \
                      thingsvision rdm [OPTIONS] --from-ratings <FILE> --scale <SCALE>\n       \
                      thingsvision rdm [OPTIONS] --nifti <FILE> --mask <FILE>\n       \
                      thingsvision rdm <COMMAND>"
)]
pub struct Rdm {
    /// What to do with RDMs that are there
    #[command(subcommand)]
    pub command: Option<RdmCommand>,

    /// What an RDM is made of
    #[command(flatten)]
    pub request: Request,
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
        /// RDMs, or globs in quotes, aligned by their IDs; a file may hold one of each subject
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// In which units they are averaged
        #[arg(long, value_enum, default_value_t)]
        pool: Pooling,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Convert an RDM: square or condensed, .npy, .csv, .tsv, .mat, .h5 (as rsatoolbox reads it), .pt
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
        /// or a word like stimulus, image, id, uniqueID, name or file, or its last cell is category, label or class
        labels: PathBuf,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}
