//! What is worth knowing about an RDM before anything is concluded from it.

use super::{Rdms, errors, ids, pairs_of};

/// Something found.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// What was found, in a sentence.
    pub text: String,
    /// Whether it should be looked into.
    pub warning: bool,
}

/// Looks at RDMs that could be read, so are symmetric, with a diagonal of 0, and do vary.
pub fn check(rdms: &Rdms) -> Vec<Finding> {
    let n = rdms.stimuli;
    let mut findings = vec![finding("stimuli", format!("{n}, {} pairs", n * (n - 1) / 2), n < 20), order(rdms)];
    if rdms.subjects.len() > 1 {
        findings.push(finding("subjects", rdms.subjects.len().to_string(), false));
    }
    for (number, pairs) in rdms.subjects.iter().enumerate() {
        let of = if rdms.subjects.len() > 1 { format!("subject {number}: ") } else { String::new() };
        let name = |i: usize| ids::name(rdms.ids.as_deref(), i);
        findings
            .extend(of_pairs(n, pairs, &name).into_iter().map(|found| Finding { text: format!("{of}{}", found.text), ..found }));
    }
    findings
}

fn finding(subject: &'static str, text: String, warning: bool) -> Finding {
    Finding { subject, text, warning }
}

fn order(rdms: &Rdms) -> Finding {
    match &rdms.ids {
        Some(ids) => finding("order", format!("named, from `{}` to `{}`", ids[0], ids[ids.len() - 1]), false),
        None => {
            finding("order", "unknown: no IDs, so comparisons must assume it (put one ID a line into FILE.ids.txt)".into(), true)
        }
    }
}

fn of_pairs(n: usize, pairs: &[f64], name: &dyn Fn(usize) -> String) -> Vec<Finding> {
    let finite: Vec<f64> = pairs.iter().copied().filter(|pair| pair.is_finite()).collect();
    let (low, high) =
        finite.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &pair| (low.min(pair), high.max(pair)));
    let mut findings = vec![finding("values", format!("{low:.4} to {high:.4}"), false)];
    findings.extend(negative(pairs).map(|text| finding("sign", text, true)));
    let (missing, all_missing) = missing(n, pairs);
    if missing > 0 {
        let stimuli = if all_missing.is_empty() {
            String::new()
        } else {
            format!("; no data at all for {}", errors::some(&all_missing, name))
        };
        findings.push(finding("missing", format!("NaN in {missing} of {} pairs{stimuli}", pairs.len()), true));
    }
    let duplicates: Vec<(usize, usize)> =
        pairs_of(n).zip(pairs).filter(|(_, pair)| **pair == 0.0).map(|(pair, _)| pair).collect();
    if let Some(&(i, j)) = duplicates.first() {
        let text = format!(
            "a dissimilarity of 0 in {} of {} pairs, the first {} and {}",
            duplicates.len(),
            pairs.len(),
            name(i),
            name(j)
        );
        findings.push(finding("duplicates", text, true));
    }
    let ties = tied_share(finite);
    let advice = if ties > MANY_TIES { "; compare by rho-a or kendall-tau-a, which do not favour ties" } else { "" };
    findings.push(finding(
        "ties",
        format!("{:.1} % of the pairs share their value with another{advice}", 100.0 * ties),
        ties > MANY_TIES,
    ));
    findings
}

/// How many pairs are negative, if any is, and what that may mean.
pub(crate) fn negative(pairs: &[f64]) -> Option<String> {
    let negative = pairs.iter().filter(|&&pair| pair < 0.0).count();
    let text =
        || format!("negative in {negative} of {} pairs: right for crossnobis, else these may be similarities", pairs.len());
    (negative > 0).then(text)
}

/// The share of tied pairs above which measures that favour ties mislead.
pub const MANY_TIES: f64 = 0.03;

/// How many pairs are NaN, and the stimuli of which all pairs are.
pub(crate) fn missing(n: usize, pairs: &[f64]) -> (usize, Vec<usize>) {
    let mut present = vec![false; n];
    let mut count = 0;
    for ((i, j), pair) in pairs_of(n).zip(pairs) {
        present[i] |= pair.is_finite();
        present[j] |= pair.is_finite();
        count += usize::from(!pair.is_finite());
    }
    (count, (0..n).filter(|&i| !present[i]).collect())
}

/// The share of values that occur more than once.
pub fn tied_share(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let tied: usize = values.chunk_by(|a, b| a == b).map(<[f64]>::len).filter(|&size| size > 1).sum();
    tied as f64 / values.len() as f64
}

/// A row varies if its deviation is more than this share of its mean (SciPy's rule for a nearly constant input):
/// less is rounding, of which a correlation would be noise.
const NEARLY_CONSTANT: f64 = 1e-13;

/// Whether all values are the same, or so nearly that the rest is rounding: the mean of equal numbers may differ from
/// them in the last digit.
pub(super) fn is_constant(values: &[f64], mean: f64, norm: f64) -> bool {
    values.iter().all(|&value| value == values[0]) || norm < NEARLY_CONSTANT * mean.abs()
}

/// The largest power of two that is no more than `size`; the size itself if it is 0 or subnormal. Dividing by it rounds nothing.
pub(crate) fn power_of_two(size: f64) -> f64 {
    let power = f64::from_bits(size.to_bits() & f64::INFINITY.to_bits());
    if power > 0.0 { power } else { size }
}

/// These values divided by the power of two of the largest, so that squares neither overflow nor vanish.
pub(crate) fn in_units_of_largest(mut values: Vec<f64>) -> Vec<f64> {
    let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    if largest > 0.0 {
        let unit = power_of_two(largest);
        values.iter_mut().for_each(|value| *value /= unit);
    }
    values
}

/// Whether the finite ones of these values differ by more than rounding.
pub(crate) fn varies(values: &[f64]) -> bool {
    let finite = in_units_of_largest(values.iter().copied().filter(|value| value.is_finite()).collect());
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    let norm = finite.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>().sqrt();
    !is_constant(&finite, mean, norm)
}
