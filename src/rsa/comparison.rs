//! The measures by which two RDMs are compared, over their m = n (n − 1) / 2 pairs of stimuli: an entry each says what one
//! is called, its formula, and how it is computed.

use super::form::{Form, Kernels, Pairs, Product};
use super::kendall::{Tau, kendall};
use super::pearson::pearson;
use crate::ranks::ranks;
use serde::{Deserialize, Serialize};

/// How two RDMs x and y are compared, over their m pairs of stimuli; `thingsvision rsa --help` has the formulas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // their entries say what they are
pub enum Comparison {
    #[default]
    #[value(help = Comparison::Pearson.help())]
    Pearson,
    #[value(help = Comparison::Spearman.help())]
    Spearman,
    #[value(help = Comparison::KendallTauA.help())]
    KendallTauA,
    #[value(help = Comparison::KendallTauB.help())]
    KendallTauB,
    #[value(help = Comparison::RhoA.help())]
    RhoA,
    #[value(help = Comparison::Cosine.help())]
    Cosine,
    #[value(help = Comparison::WhitenedCosine.help())]
    WhitenedCosine,
    #[value(help = Comparison::WhitenedCorrelation.help())]
    WhitenedCorrelation,
    #[value(help = Comparison::Cka.help())]
    Cka,
    #[value(help = Comparison::CkaUnbiased.help())]
    CkaUnbiased,
}

struct MeasureEntry {
    /// In tables and on the command line.
    name: &'static str,
    /// In a sentence.
    title: &'static str,
    /// Of pairs x and y.
    formula: &'static str,
    /// The paper.
    source: &'static str,
    /// What else is to be known.
    note: &'static str,
    /// Whether it is rewarded for ties (Nili et al. 2014), so that categorical models look better than they are.
    favours_ties: bool,
    scoring: Scoring,
}

/// The rest of an entry.
fn by(scoring: Scoring) -> MeasureEntry {
    MeasureEntry { name: "", title: "", formula: "", source: "", note: "", favours_ties: false, scoring }
}

/// How the score follows from two RDMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scoring {
    /// The product of two prepared RDMs.
    Product(Product),
    /// By counting which of two pairs is larger.
    Tau(Tau),
}

impl Comparison {
    fn entry(self) -> MeasureEntry {
        let of_pairs = |pairs| Scoring::Product(Product::Pairs(pairs));
        let of_kernels = |kernels| Scoring::Product(Product::Kernels(kernels));
        match self {
            Comparison::Pearson => MeasureEntry {
                name: "pearson",
                title: "Pearson correlation",
                formula: "r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²)",
                ..by(of_pairs(Pairs::Values { centred: true }))
            },
            Comparison::Spearman => MeasureEntry {
                name: "spearman",
                title: "Spearman correlation",
                formula: "Pearson's r of the ranks, tied values sharing their mean rank",
                favours_ties: true,
                ..by(of_pairs(Pairs::Ranks { untied: false }))
            },
            Comparison::KendallTauA => MeasureEntry {
                name: "kendall-tau-a",
                title: "Kendall's τ-a",
                formula: "(concordant − discordant) / (m(m−1)/2) of all two of the m pairs",
                note: "for models with many ties",
                ..by(Scoring::Tau(Tau::A))
            },
            Comparison::KendallTauB => MeasureEntry {
                name: "kendall-tau-b",
                title: "Kendall's τ-b",
                formula: "(concordant − discordant) / √((T−Tx)(T−Ty)), T = m(m−1)/2, Tx and Ty the ties",
                favours_ties: true,
                ..by(Scoring::Tau(Tau::B))
            },
            Comparison::RhoA => MeasureEntry {
                name: "rho-a",
                title: "ρ-a",
                formula: "12 Σ(Rx−R̄)(Ry−R̄) / (m³−m) of the mean ranks R of the m pairs",
                source: "Schütt et al. 2023",
                note: "the mean Spearman correlation over all ways to break ties: for models with ties, such as categories",
                ..by(of_pairs(Pairs::Ranks { untied: true }))
            },
            Comparison::Cosine => MeasureEntry {
                name: "cosine",
                title: "cosine",
                formula: "Σxy / √(Σx² Σy²)",
                ..by(of_pairs(Pairs::Values { centred: false }))
            },
            Comparison::WhitenedCosine => MeasureEntry {
                name: "whitened-cosine",
                title: "whitened cosine",
                formula: "xᵀV⁻¹y / √(xᵀV⁻¹x · yᵀV⁻¹y), V = (CCᵀ)∘² with C the contrasts of all pairs",
                source: "Diedrichsen et al. 2021",
                note: "V is the covariance of the distances of unrelated stimuli",
                ..by(of_kernels(Kernels::Double { centred: false }))
            },
            Comparison::WhitenedCorrelation => MeasureEntry {
                name: "whitened-correlation",
                title: "whitened correlation",
                formula: "xᵀV⁻¹y / √(xᵀV⁻¹x · yᵀV⁻¹y) of x−x̄ and y−ȳ, V = (CCᵀ)∘² with C the contrasts of all pairs",
                source: "Diedrichsen et al. 2021",
                ..by(of_kernels(Kernels::Double { centred: true }))
            },
            Comparison::Cka => MeasureEntry {
                name: "cka",
                title: "linear CKA",
                formula: "⟨K, K'⟩ / (‖K‖ ‖K'‖), K = −½ J D J with J = I − 1/n",
                source: "Kornblith et al. 2019",
                note: "that of the features if the RDMs are sqeuclidean; the same as whitened-cosine",
                ..by(of_kernels(Kernels::Double { centred: false }))
            },
            Comparison::CkaUnbiased => MeasureEntry {
                name: "cka-unbiased",
                title: "unbiased linear CKA",
                formula: "⟨U, U'⟩ / (‖U‖ ‖U'‖), U the U-centred −½ D",
                source: "Song et al. 2012",
                note: "linear CKA with the unbiased HSIC; may be negative",
                ..by(of_kernels(Kernels::U))
            },
        }
    }

    /// The name in tables and on the command line.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The name in a sentence.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// The formula, and the paper that it is from.
    pub(super) fn formula(self) -> String {
        let MeasureEntry { formula, source, .. } = self.entry();
        if source.is_empty() { formula.to_owned() } else { format!("{formula} ({source})") }
    }

    /// What the command line says of it.
    fn help(self) -> String {
        let note = self.entry().note;
        if note.is_empty() { self.formula() } else { format!("{}; {note}", self.formula()) }
    }

    /// Whether categorical models look better than they are.
    pub fn favours_ties(self) -> bool {
        self.entry().favours_ties
    }

    pub(super) fn scoring(self) -> Scoring {
        self.entry().scoring
    }

    /// Compares two RDMs of the same `n` stimuli by their pairs, or by some of their pairs; NaN if one does not vary.
    /// Measures of whole matrices must be given all.
    pub fn compare(self, n: usize, x: &[f64], y: &[f64]) -> f64 {
        debug_assert_eq!(x.len(), y.len());
        match self.scoring() {
            Scoring::Tau(tau) => tau.of(&kendall(x, y)),
            Scoring::Product(Product::Pairs(Pairs::Values { centred: true })) => pearson(x, y),
            Scoring::Product(Product::Pairs(Pairs::Ranks { untied: false })) => pearson(&ranks(x), &ranks(y)),
            Scoring::Product(
                product
                @ (Product::Pairs(Pairs::Values { centred: false } | Pairs::Ranks { untied: true }) | Product::Kernels(_)),
            ) => Form::new(product, n, x).product(&Form::new(product, n, y)).clamp(-1.0, 1.0),
        }
    }
}

impl Scoring {
    /// Whether it is made of whole matrices, so that no single pair may be missing.
    pub(super) fn needs_all_pairs(self) -> bool {
        match self {
            Scoring::Product(Product::Kernels(_)) => true,
            Scoring::Product(Product::Pairs(_)) | Scoring::Tau(_) => false,
        }
    }

    /// Whether it looks at the order of the dissimilarities alone.
    pub(super) fn is_of_ranks(self) -> bool {
        match self {
            Scoring::Product(Product::Pairs(Pairs::Ranks { .. })) | Scoring::Tau(_) => true,
            Scoring::Product(Product::Pairs(Pairs::Values { .. }) | Product::Kernels(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn the_guide_and_the_help_say_what_the_entries_say() {
        let guide = include_str!("../../docs/rsa.md");
        for measure in Comparison::value_variants() {
            let value = measure.to_possible_value().unwrap();
            assert_eq!(value.get_name(), measure.name());
            assert_eq!(value.get_help().map(ToString::to_string), Some(measure.help()), "{measure:?} needs a `help`");
            let default = if *measure == Comparison::default() { " (default)" } else { "" };
            let row = format!("| `{}`{default} | {} |", measure.name(), measure.help().replace('|', "\\|"));
            assert!(guide.lines().any(|line| line == row), "put this row into the table of measures in docs/rsa.md:\n{row}");
        }
    }
}
