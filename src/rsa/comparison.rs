//! The measures by which two RDMs are compared, over their m = n (n − 1) / 2 pairs of stimuli.

use super::form::Form;
use super::kendall::kendall;
use super::pearson::pearson;
use crate::ranks::ranks;
use serde::{Deserialize, Serialize};

/// How two RDMs x and y are compared, over their m pairs of stimuli.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// Pearson's r, Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²)
    #[default]
    Pearson,
    /// Pearson's r of the ranks, ties sharing their mean rank
    Spearman,
    /// (concordant − discordant) / (m(m−1)/2): for models with many ties
    KendallTauA,
    /// (concordant − discordant) / √((T−Tx)(T−Ty)), T = m(m−1)/2, Tx and Ty the tied ones of x and y
    KendallTauB,
    /// 12 Σ(Rx−R̄)(Ry−R̄) / (m³−m) of the ranks: the mean Spearman correlation over all ways to break ties (Schütt et
    /// al. 2023)
    RhoA,
    /// Σxy / √(Σx² Σy²)
    Cosine,
    /// The cosine in the metric in which distances of one stimulus to others are independent (Diedrichsen et al. 2021)
    WhitenedCosine,
    /// The same of x−x̄ and y−ȳ
    WhitenedCorrelation,
    /// Linear CKA (Kornblith et al. 2019) of the kernels −½ C D C: that of the features if the RDMs are sqeuclidean; the
    /// same as whitened-cosine
    Cka,
    /// Linear CKA with the unbiased HSIC (Song et al. 2012); may be negative
    CkaUnbiased,
}

impl Comparison {
    /// The name in tables and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Comparison::Pearson => "pearson",
            Comparison::Spearman => "spearman",
            Comparison::KendallTauA => "kendall-tau-a",
            Comparison::KendallTauB => "kendall-tau-b",
            Comparison::RhoA => "rho-a",
            Comparison::Cosine => "cosine",
            Comparison::WhitenedCosine => "whitened-cosine",
            Comparison::WhitenedCorrelation => "whitened-correlation",
            Comparison::Cka => "cka",
            Comparison::CkaUnbiased => "cka-unbiased",
        }
    }

    /// The name in a sentence.
    pub fn title(self) -> &'static str {
        match self {
            Comparison::Pearson => "Pearson correlation",
            Comparison::Spearman => "Spearman correlation",
            Comparison::KendallTauA => "Kendall's τ-a",
            Comparison::KendallTauB => "Kendall's τ-b",
            Comparison::RhoA => "ρ-a",
            Comparison::Cosine => "cosine",
            Comparison::WhitenedCosine => "whitened cosine",
            Comparison::WhitenedCorrelation => "whitened correlation",
            Comparison::Cka => "linear CKA",
            Comparison::CkaUnbiased => "unbiased linear CKA",
        }
    }

    /// Compares two RDMs of the same `n` stimuli by their pairs, or by some of their pairs; NaN if one does not vary.
    ///
    /// Measures that need every pair (see [`Comparison::needs_all_pairs`]) must be given all.
    pub fn compare(self, n: usize, x: &[f64], y: &[f64]) -> f64 {
        debug_assert_eq!(x.len(), y.len());
        match self {
            Comparison::Pearson => pearson(x, y),
            Comparison::Spearman => pearson(&ranks(x), &ranks(y)),
            Comparison::KendallTauA => kendall(x, y).tau_a(),
            Comparison::KendallTauB => kendall(x, y).tau_b(),
            linear => Form::new(linear, n, x).product(&Form::new(linear, n, y)).clamp(-1.0, 1.0),
        }
    }

    /// Whether it is a product of two prepared RDMs; the others are the two of Kendall.
    pub fn is_linear(self) -> bool {
        !matches!(self, Comparison::KendallTauA | Comparison::KendallTauB)
    }

    /// Whether it is made of whole matrices, so that no single pair may be missing.
    pub fn needs_all_pairs(self) -> bool {
        use Comparison::{Cka, CkaUnbiased, WhitenedCorrelation, WhitenedCosine};
        matches!(self, WhitenedCosine | WhitenedCorrelation | Cka | CkaUnbiased)
    }

    /// Whether it looks at the order of the dissimilarities alone.
    pub fn is_of_ranks(self) -> bool {
        use Comparison::{KendallTauA, KendallTauB, RhoA, Spearman};
        matches!(self, Spearman | KendallTauA | KendallTauB | RhoA)
    }

    /// Whether it is rewarded for ties (Nili et al. 2014), so that categorical models look better than they are.
    pub fn favours_ties(self) -> bool {
        matches!(self, Comparison::Spearman | Comparison::KendallTauB)
    }
}
