//! The metrics: an entry each says what it is called, its formula, and how it is computed.

use super::noise::Noise;
use super::points::{Points, Space};
use super::tiles::{self, Compute};
use super::{angles, cityblock, crossnobis, euclidean, odd_one_out, ranked};
use crate::npy::Matrix;
use anyhow::Result;
use ndarray::Array2;

/// How the dissimilarity of two rows x and y of P units is measured; `thingsvision rdm --help` has the formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // their entries say what they are
pub enum Metric {
    #[default]
    #[value(help = Metric::Correlation.help())]
    Correlation,
    #[value(help = Metric::Cosine.help())]
    Cosine,
    #[value(help = Metric::Euclidean.help())]
    Euclidean,
    #[value(help = Metric::Sqeuclidean.help())]
    Sqeuclidean,
    #[value(help = Metric::SqeuclideanPerFeature.help())]
    SqeuclideanPerFeature,
    #[value(help = Metric::Cityblock.help())]
    Cityblock,
    #[value(help = Metric::Spearman.help())]
    Spearman,
    #[value(help = Metric::Gaussian.help())]
    Gaussian,
    #[value(help = Metric::Mahalanobis.help())]
    Mahalanobis,
    #[value(help = Metric::Crossnobis.help())]
    Crossnobis,
    #[value(help = Metric::OddOneOut.help())]
    OddOneOut,
}

pub(super) struct MetricEntry {
    /// Of rows x and y of P units.
    pub(super) formula: &'static str,
    /// The range, and what else is to be known.
    pub(super) note: &'static str,
    /// Whose values it has.
    pub(super) source: &'static str,
    /// Whether it is in units of the noise.
    pub(super) noise: bool,
    pub(super) method: Method,
}

/// The rest of an entry of a metric that SciPy has.
fn by(method: Method) -> MetricEntry {
    MetricEntry { formula: "", note: "", source: "SciPy", noise: false, method }
}

fn by_tiles(tiles: Tiles) -> MetricEntry {
    by(Method::Tiles(tiles))
}

/// The name of a row, for messages.
type NameOf<'a> = &'a dyn Fn(usize) -> String;

/// What is done to features before anything else.
type Prepare = fn(Matrix, Option<&Noise>, NameOf) -> Result<Matrix>;

/// The RDM of conditions that are averaged within partitions.
type OfPartitions = fn(&Matrix, &Noise, NameOf) -> Result<Array2<f64>>;

/// How an RDM follows from features.
pub(super) enum Method {
    /// From points, tile by tile.
    Tiles(Tiles),
    /// All at once.
    Partitions(OfPartitions),
}

pub(super) struct Tiles {
    pub(super) prepare: Prepare,
    pub(super) space: Space,
    /// What no dissimilarity of P units exceeds, when no point has a larger squared length than this; `None` of metrics that
    /// do not depend on the unit. (Of points centred over the stimuli the largest is at least half of it, or a quarter if
    /// squared.)
    pub(super) bound: Option<fn(f64, f64) -> f64>,
    /// The side of the bands of the RDM of this many stimuli.
    pub(super) side: fn(usize) -> usize,
    pub(super) compute: fn(&Points) -> Box<Compute<'_>>,
}

/// Correlations; others differ from them as they say.
const ANGLES: Tiles = Tiles {
    prepare: |features, _, _| Ok(features),
    space: Space::Correlation,
    bound: None,
    side: tiles::side,
    compute: angles::of,
};

const EUCLIDEAN: Tiles = Tiles {
    space: Space::Euclidean,
    bound: Some(|squared, _| 2.0 * squared.sqrt()),
    compute: |points| euclidean::of(points, f64::sqrt),
    ..ANGLES
};

impl Metric {
    pub(super) fn entry(self) -> MetricEntry {
        match self {
            Metric::Correlation => MetricEntry {
                formula: "1 − r, r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²)",
                note: "0 to 2",
                source: "SciPy",
                ..by_tiles(ANGLES)
            },
            Metric::Cosine => MetricEntry {
                formula: "1 − Σxy / √(Σx² Σy²)",
                note: "0 to 2",
                ..by_tiles(Tiles { space: Space::Cosine, ..ANGLES })
            },
            Metric::Euclidean => MetricEntry { formula: "√Σ(x−y)²", ..by_tiles(EUCLIDEAN) },
            Metric::Sqeuclidean => MetricEntry {
                formula: "Σ(x−y)²",
                ..by_tiles(Tiles {
                    bound: Some(|squared, _| 4.0 * squared),
                    compute: |points| euclidean::of(points, |squared| squared),
                    ..EUCLIDEAN
                })
            },
            Metric::SqeuclideanPerFeature => MetricEntry {
                formula: "Σ(x−y)² / P",
                source: "rsatoolbox's `euclidean`",
                ..by_tiles(Tiles {
                    bound: Some(|squared, units| 4.0 * squared / units),
                    compute: euclidean::per_unit,
                    ..EUCLIDEAN
                })
            },
            Metric::Cityblock => MetricEntry {
                formula: "Σ|x−y|",
                ..by_tiles(Tiles {
                    space: Space::Plain,
                    bound: Some(|squared, units| 2.0 * (units * squared).sqrt()),
                    compute: cityblock::of,
                    ..ANGLES
                })
            },
            Metric::Spearman => MetricEntry {
                formula: "1 − r of the ranks of the units in each row, ties sharing their mean rank",
                note: "0 to 2",
                ..by_tiles(Tiles { prepare: |features, _, name| ranked::rows(&features, name), ..ANGLES })
            },
            Metric::Gaussian => MetricEntry {
                formula: "1 − exp(−Σ(x−y)² / m), m the mean of Σ(x−y)² over all N² pairs",
                note: "0 to 1",
                source: "Python THINGSvision",
                ..by_tiles(Tiles {
                    prepare: |features, _, _| euclidean::within_reach(features),
                    bound: None,
                    compute: euclidean::gaussian,
                    ..EUCLIDEAN
                })
            },
            Metric::Mahalanobis => MetricEntry {
                formula: "√((x−y) Σ⁻¹ (x−y)ᵀ), Σ the noise covariance (`--noise`)",
                source: "SciPy; rsatoolbox gives its square / P",
                noise: true,
                ..by_tiles(Tiles {
                    prepare: |features, noise, name| Noise::required(noise)?.whiten(&features, name),
                    ..EUCLIDEAN
                })
            },
            Metric::Crossnobis => MetricEntry {
                formula: "(x−y)ₐ Σ⁻¹ (x−y)ᵦᵀ / P, the mean over all pairs a ≠ b of partitions (`--partitions`)",
                note: "signed, around 0 for stimuli that do not differ, never clipped (Walther et al. 2016)",
                source: "rsatoolbox",
                noise: true,
                ..by(Method::Partitions(crossnobis::rdm))
            },
            Metric::OddOneOut => MetricEntry {
                formula: "1 − p, p the probability that two stimuli are kept together when a third is beside them: the mean over all \
                          thirds k of exp(s_xy) / (exp(s_xy) + exp(s_xk) + exp(s_yk)), s the products of rows",
                note: "0 to 1; for embeddings of odd-one-out judgements",
                source: "the model of SPoSE and VICE (Hebart et al. 2020)",
                ..by_tiles(Tiles {
                    prepare: odd_one_out::checked,
                    space: Space::Plain,
                    side: |_| odd_one_out::SIDE,
                    compute: odd_one_out::of,
                    ..ANGLES
                })
            },
        }
    }

    /// What the command line says of it.
    fn help(self) -> String {
        let MetricEntry { formula, note, source, .. } = self.entry();
        [formula, note, &format!("as {source}")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// What to do about a row of which no correlation or cosine is defined, for all its values are the same (or 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnConstant {
    /// Stop, and name the stimuli
    #[default]
    Error,
    /// Store NaN for their pairs
    Nan,
    /// Leave these stimuli out; the IDs of the others are stored beside the RDM
    Drop,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn the_guide_and_the_help_say_what_the_entries_say() {
        let guide = include_str!("../../docs/rdms.md");
        for metric in Metric::value_variants() {
            let (entry, value) = (metric.entry(), metric.to_possible_value().unwrap());
            assert_eq!(value.get_help().map(ToString::to_string), Some(metric.help()), "{metric:?} needs a `help`");
            let default = if *metric == Metric::default() { " (default)" } else { "" };
            let formula = [entry.formula, entry.note].join("; ").trim_end_matches("; ").replace('|', "\\|");
            let row = format!("| `{}`{default} | {formula} | {} |", value.get_name(), entry.source);
            assert!(guide.lines().any(|line| line == row), "put this row into the table of metrics in docs/rdms.md:\n{row}");
        }
    }
}
