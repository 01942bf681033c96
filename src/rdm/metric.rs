//! The metrics by name, each with its formula.

/// How the dissimilarity of two rows x and y of P units is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// 1 − r, r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²); 0 to 2
    #[default]
    Correlation,
    /// 1 − Σxy / √(Σx² Σy²); 0 to 2
    Cosine,
    /// √Σ(x−y)²
    Euclidean,
    /// Σ(x−y)²
    Sqeuclidean,
    /// Σ(x−y)² / P, which rsatoolbox calls euclidean
    SqeuclideanPerFeature,
    /// Σ|x−y|
    Cityblock,
    /// 1 − r of the ranks of the units in each row, ties sharing their mean rank; 0 to 2
    Spearman,
    /// 1 − exp(−Σ(x−y)² / m), m the mean of Σ(x−y)² over all N² pairs, as in Python THINGSvision; 0 to 1
    Gaussian,
    /// √((x−y) Σ⁻¹ (x−y)ᵀ), Σ the noise covariance (--noise); rsatoolbox gives its square / P
    Mahalanobis,
    /// (x−y)ₐ Σ⁻¹ (x−y)ᵦᵀ / P, the mean over all pairs a ≠ b of partitions (--partitions): signed, around 0 for
    /// stimuli that do not differ (Walther et al. 2016)
    Crossnobis,
    /// 1 − the probability that two stimuli are kept together when a third is beside them, the mean over all thirds k of
    /// exp(s_xy) / (exp(s_xy) + exp(s_xk) + exp(s_yk)), s the products of rows: for embeddings of odd-one-out judgements,
    /// such as SPoSE and VICE (Hebart et al. 2020); 0 to 1
    OddOneOut,
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
