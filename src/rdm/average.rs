//! The mean RDM of subjects, in units in which subjects count alike.

use super::check::in_units_of_largest;
use super::{Rdms, varies};
use crate::error::advise;
use crate::ranks::ranks;
use anyhow::Result;

/// In which units RDMs are averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Pooling {
    /// As they are: for dissimilarities in the same unit
    #[default]
    Mean,
    /// Each less its mean, divided by its standard deviation: the best RDM by Pearson's r; then shifted so that the
    /// smallest is 0
    Zscore,
    /// Each divided by its root mean square: the best RDM by cosine
    Rms,
    /// As ranks, ties sharing their mean rank: near the best RDM by Spearman's ρ
    Rank,
}

/// The mean over subjects of each pair; NaN where a subject has no data. As rsatoolbox's `pool_rdm`. Fails if no pair is
/// left, or if a subject cannot be scaled.
pub(crate) fn average(rdms: &Rdms, pooling: Pooling) -> Result<Vec<f64>> {
    let count = rdms.subjects[0].len();
    let kept: Vec<usize> = (0..count).filter(|&pair| rdms.subjects.iter().all(|pairs| pairs[pair].is_finite())).collect();
    if kept.is_empty() {
        return Err(advise("no pair has data in all RDMs, so there is no mean", "leave out the RDM that lacks most"));
    }
    let mut sums = vec![0.0; kept.len()];
    for (number, subject) in rdms.subjects.iter().enumerate() {
        let pairs: Vec<f64> = kept.iter().map(|&pair| subject[pair]).collect();
        let is_flat = pooling == Pooling::Zscore && !varies(&pairs);
        let scaled = scaled(pairs, pooling);
        if is_flat || !scaled.iter().all(|value| value.is_finite()) {
            return Err(advise(
                format!("RDM {number}, counting from 0, does not vary over the {} pairs that all have", kept.len()),
                "leave it out, or average with `--pool mean`",
            ));
        }
        sums.iter_mut().zip(scaled).for_each(|(sum, value)| *sum += value / rdms.subjects.len() as f64);
    }
    if pooling == Pooling::Zscore {
        let smallest = sums.iter().copied().fold(f64::INFINITY, f64::min);
        sums.iter_mut().for_each(|sum| *sum -= smallest);
    }
    let mut pooled = vec![f64::NAN; count];
    kept.into_iter().zip(sums).for_each(|(pair, sum)| pooled[pair] = sum);
    Ok(pooled)
}

fn scaled(pairs: Vec<f64>, pooling: Pooling) -> Vec<f64> {
    let pairs = match pooling {
        Pooling::Rms | Pooling::Zscore => in_units_of_largest(pairs),
        Pooling::Mean | Pooling::Rank => pairs,
    };
    let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / pairs.len() as f64;
    match pooling {
        Pooling::Mean => pairs,
        Pooling::Rank => ranks(&pairs),
        Pooling::Rms => {
            let scale = mean(&mut pairs.iter().map(|value| value * value)).sqrt();
            pairs.iter().map(|value| value / scale).collect()
        }
        Pooling::Zscore => {
            let centre = mean(&mut pairs.iter().copied());
            let deviation = mean(&mut pairs.iter().map(|value| (value - centre) * (value - centre))).sqrt();
            pairs.iter().map(|value| (value - centre) / deviation).collect()
        }
    }
}
