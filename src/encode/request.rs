//! What is to be fitted to what, and how: the same value whether flags or a caller in Rust says it.

use super::{Choice, Standardise};
use crate::error::advise;
use crate::rsa::check_draws;
use crate::run::Shard;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What is done with rows of the same image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Repeats {
    /// They become their mean
    #[default]
    Average,
    /// They stay rows, which are fitted or predicted together
    Keep,
}

/// How targets are predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Σ (y - Xw)² + λ Σ w² is smallest, with an λ for each target
    #[default]
    Ridge,
    /// Partial least squares of all targets together, as scikit-learn's PLSRegression
    Pls,
}

/// What permutations exchange and bootstraps draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Exchange {
    /// Images, with all their rows
    #[default]
    Images,
    /// The groups of --groups
    Groups,
}

/// Penalties of ridge, ascending.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Penalties(pub Vec<f64>);

/// The powers of ten from 1e-3 to 1e9.
impl Default for Penalties {
    fn default() -> Self {
        Penalties((-3..=9).map(|power| 10f64.powi(power)).collect())
    }
}

impl FromStr for Penalties {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "numbers above 0 with commas between, or FROM:TO:COUNT, are needed".to_owned();
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
        let parts: Vec<&str> = text.split(':').collect();
        let mut values = match parts[..] {
            [values] => values.split(',').map(number).collect::<Option<Vec<f64>>>().ok_or_else(wrong)?,
            [from, to, count] => {
                let (from, to) = number(from).zip(number(to)).ok_or_else(wrong)?;
                let count: usize = count.trim().parse().ok().filter(|count| (2..=MOST).contains(count)).ok_or_else(wrong)?;
                let step = (to / from).log10() / (count - 1) as f64;
                (0..count).map(|number| 10f64.powf(from.log10() + number as f64 * step)).collect()
            }
            _ => return Err(wrong()),
        };
        values.sort_by(f64::total_cmp);
        values.dedup();
        if values.len() > MOST { Err(format!("at most {MOST} penalties are tried")) } else { Ok(Penalties(values)) }
    }
}

const MOST: usize = 1000;

impl fmt::Display for Penalties {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0.iter().map(|value| format!("{value:e}")).collect::<Vec<_>>().join(","))
    }
}

/// Features, responses, and how the one predicts the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Runs of `thingsvision extract` (all their layers), or files of features, [images, units] [default: every finished run in
    /// activations/]
    #[arg(value_name = "RUN_DIR|FEATURES")]
    pub features: Vec<PathBuf>,

    /// Responses [images, targets] of voxels, channels or neurons: .npy, .npz, .csv, .mat, .h5, or a NIfTI image of betas with
    /// --mask. The image of each row: in the file, or one a line in .ids.txt beside it; an image that was shown several
    /// times comes several times. Repeat for more subjects
    #[arg(long, value_name = "[NAME=]FILE", required = true)]
    pub targets: Vec<String>,

    /// The voxels that are meant, of NIfTI images: one mask for all, or one for each file of responses
    #[arg(long, value_name = "MASK")]
    pub mask: Vec<PathBuf>,

    /// What is done with rows of the same image
    #[arg(long, value_enum, default_value_t)]
    pub repeats: Repeats,

    /// Fit and predict the images that all have, by their IDs, instead of failing when they differ
    #[arg(long)]
    pub intersect: bool,

    /// Divide the images at random into this many parts, of which each is predicted by the others
    #[arg(long, value_name = "N", default_value_t = 5, conflicts_with_all = ["train", "test"])]
    pub folds: usize,

    /// Never fit and predict images of the same group, such as a run or a category: lines of `image,group`
    #[arg(long, value_name = "FILE")]
    pub groups: Option<PathBuf>,

    /// Fit these images only, one a line
    #[arg(long, value_name = "FILE", requires = "test")]
    pub train: Option<PathBuf>,

    /// Predict these images only, one a line
    #[arg(long, value_name = "FILE", requires = "train")]
    pub test: Option<PathBuf>,

    /// How targets are predicted
    #[arg(long, value_enum, default_value_t)]
    pub method: Method,

    /// Of partial least squares, how many [default: 25]
    #[arg(long, value_name = "N", default_value_t = 25, hide_default_value = true)]
    pub components: usize,

    /// What is done to each unit before it is fitted, by the rows that are fitted
    #[arg(long, value_enum, default_value_t)]
    pub standardise: Standardise,

    /// The penalties λ that are tried, of Σ (y - Xw)² + λ Σ w²: numbers, or FROM:TO:COUNT evenly by their logarithms [default:
    /// 1e-3:1e9:13]
    #[arg(long, value_name = "LIST")]
    pub penalties: Option<Penalties>,

    /// How a penalty is chosen for each target, within the rows that are fitted
    #[arg(long, value_enum, default_value_t)]
    pub choose: Choice,

    /// Into how many parts the rows that are fitted are divided to choose penalties
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub inner_folds: usize,

    /// Take all layers that are named as feature spaces of one banded ridge, each with a penalty of its own
    #[arg(long)]
    pub banded: bool,

    /// How many weightings of the spaces are tried at random
    #[arg(long, value_name = "N", default_value_t = 100, requires = "banded")]
    pub draws: usize,

    /// Of two or three feature spaces, what each explains alone and what they share
    #[arg(long, requires = "banded")]
    pub partition: bool,

    /// The noise ceiling of each target, the share of its variance that can be explained, 0 to 1: a number for each; without it
    /// that of repeats, if there are some
    #[arg(long, value_name = "FILE")]
    pub ceiling: Option<PathBuf>,

    /// Test by this many permutations of the images: of folds each fits all anew
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub permutations: u32,

    /// Give 95 % intervals from this many bootstraps of the images of --test
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub bootstrap: u32,

    /// What permutations exchange and bootstraps draw
    #[arg(long, value_enum, default_value_t)]
    pub exchange: Exchange,

    /// Write the predicted responses, [images, targets] float64
    #[arg(long)]
    pub predictions: bool,

    /// Write the weights of each target in a fit to all images (of --train, if given), [targets, units] float32, and intercepts
    #[arg(long)]
    pub weights: bool,

    /// Fail rather than take more memory, such as 4G [default: half of what is available]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,

    /// Fit a part of all layers and files of responses, for one task of a job array: --shard $SLURM_ARRAY_TASK_ID/8. The same
    /// command without it makes the table of all
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,

    /// Fit all anew instead of keeping what is done
    #[arg(long)]
    pub force: bool,

    /// Of all random draws; the result does not depend on the number of threads
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Write encode.csv, encode.json and the scores of each target into this folder
    #[arg(long, value_name = "DIR", default_value = "encode")]
    pub out: PathBuf,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            features: Vec::new(),
            targets: Vec::new(),
            mask: Vec::new(),
            repeats: Repeats::default(),
            intersect: false,
            folds: 5,
            groups: None,
            train: None,
            test: None,
            method: Method::default(),
            components: 25,
            standardise: Standardise::default(),
            penalties: None,
            choose: Choice::default(),
            inner_folds: 5,
            banded: false,
            draws: 100,
            partition: false,
            ceiling: None,
            permutations: 0,
            bootstrap: 0,
            exchange: Exchange::default(),
            predictions: false,
            weights: false,
            memory: None,
            shard: None,
            force: false,
            seed: 0,
            out: "encode".into(),
        }
    }
}

/// Bytes: `4G`, `512M`, or a number.
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || "a size such as 4G or 512M is needed".to_owned();
    let text = text.trim().trim_end_matches(['B', 'b']);
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'g' | 'G')) => (&text[..at], 1e9),
        Some((at, 't' | 'T')) => (&text[..at], 1e12),
        _ => (text, 1.0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    if number > 0.0 && number.is_finite() { Ok((number * factor) as u64) } else { Err(wrong()) }
}

impl Request {
    /// Fails for what contradicts itself.
    pub fn check(&self) -> Result<()> {
        check_draws(self.permutations, self.bootstrap)?;
        let penalties = self.penalties();
        let sound = |penalty: &f64| *penalty > 0.0 && penalty.is_finite();
        let alone = self.train.is_none();
        let refused: [(bool, String, &str); 13] = [
            (self.targets.is_empty(), "there is nothing to predict".into(), "give responses: --targets FILE"),
            (
                self.train.is_some() != self.test.is_some(),
                "images to fit need images to predict, and the other way round".into(),
                "give both lists: --train FILE --test FILE",
            ),
            (
                self.train.is_none() && self.folds < 2,
                "with a single fold nothing is left to fit".into(),
                "take --folds 5, or lists: --train FILE --test FILE",
            ),
            (
                self.inner_folds < 2,
                "with a single part nothing is left to choose a penalty by".into(),
                "take --inner-folds 5, or --choose generalised",
            ),
            (
                penalties.is_empty() || !penalties.iter().all(sound) || !penalties.is_sorted(),
                "penalties are numbers above 0, ascending".into(),
                "leave them out, or give such",
            ),
            (
                self.exchange == Exchange::Groups && self.groups.is_none(),
                "--exchange groups needs groups".into(),
                "give them: --groups FILE",
            ),
            (
                self.method == Method::Pls && self.banded,
                "partial least squares have no bands".into(),
                "leave out --banded, or --method pls",
            ),
            (
                alone && self.bootstrap > 0,
                "folds predict each other, and a bootstrap of what they predict makes intervals too narrow".into(),
                "leave images to be predicted alone, --train FILE --test FILE; or leave out --bootstrap",
            ),
            (
                alone && self.permutations > 0 && (self.banded || self.method == Method::Pls),
                "folds predict each other, so each permutation fits all anew, which is not done of bands and partial least squares".into(),
                "leave images to be predicted alone, --train FILE --test FILE; or leave out --permutations",
            ),
            (self.method == Method::Pls && self.weights, "--weights are of ridge".into(), "leave out --weights, or --method pls"),
            (self.components == 0, "0 components predict nothing".into(), "take --components 25"),
            (!(1..=10_000).contains(&self.draws), format!("{} weightings of the spaces", self.draws), "take --draws 100"),
            (self.partition && !self.banded, "--partition is of feature spaces that are fitted together".into(), "add --banded"),
        ];
        match refused.into_iter().find(|(given, ..)| *given) {
            Some((_, problem, hint)) => Err(advise(problem, hint)),
            None => Ok(()),
        }
    }

    /// Those that are tried.
    pub(super) fn penalties(&self) -> Vec<f64> {
        self.penalties.clone().unwrap_or_default().0
    }

    /// How many splits are predicted.
    pub(super) fn turns(&self) -> usize {
        if self.train.is_some() { 1 } else { self.folds }
    }
}
