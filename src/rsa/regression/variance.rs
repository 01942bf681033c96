//! Which share of a target's variance is whose: unique to a predictor, or shared by several (commonality analysis: Newton & Spurrell
//! 1967).

/// The most predictors whose shared variance is taken apart: of six there are 63 parts.
pub(super) const MOST: usize = 6;

/// All subsets of `count` predictors that are not empty: first single ones, then pairs, …
pub(super) fn subsets(count: usize) -> Vec<Vec<usize>> {
    let of = |set: usize| (0..count).filter(|predictor| set >> predictor & 1 == 1).collect::<Vec<_>>();
    let mut all: Vec<Vec<usize>> = (1..1 << count).map(of).collect();
    all.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    all
}

/// The parts of [`subsets`], which add up to R² of all: what is shared by exactly these predictors,
/// `C(A) = Σ_{T ⊆ A} (−1)^{|A| − |T|} (R²(all) − R²(all without T))`. Of one predictor it is its unique variance; shared ones may be
/// negative, where predictors suppress each other.
pub(super) fn parts(count: usize, explained: &dyn Fn(&[usize]) -> f64) -> Vec<f64> {
    let all = (1usize << count) - 1;
    let of = |set: usize| explained(&(0..count).filter(|predictor| set >> predictor & 1 == 1).collect::<Vec<_>>());
    let of_sets: Vec<f64> = (0..=all).map(|set| if set == 0 { 0.0 } else { of(set) }).collect();
    let part = |subset: Vec<usize>| -> f64 {
        let whole = subset.iter().fold(0usize, |set, predictor| set | 1 << predictor);
        let within = (0..=whole).filter(|set| set & !whole == 0);
        let sign = |set: usize| if (whole.count_ones() - set.count_ones()).is_multiple_of(2) { 1.0 } else { -1.0 };
        within.map(|set| sign(set) * (of_sets[all] - of_sets[all & !set])).sum()
    };
    subsets(count).into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the formulas of Nimon et al. 2008 for three predictors.
    #[test]
    fn parts_equal_the_formulas_for_three_predictors_and_add_up() {
        let explained = |set: &[usize]| match set {
            [0] => 0.30,
            [1] => 0.20,
            [2] => 0.25,
            [0, 1] => 0.42,
            [0, 2] => 0.45,
            [1, 2] => 0.33,
            _ => 0.50,
        };
        let found = parts(3, &explained);
        let expected = [
            0.50 - 0.33,
            0.50 - 0.45,
            0.50 - 0.42,
            0.45 + 0.33 - 0.25 - 0.50,
            0.42 + 0.33 - 0.20 - 0.50,
            0.42 + 0.45 - 0.30 - 0.50,
            0.30 + 0.20 + 0.25 - 0.42 - 0.45 - 0.33 + 0.50,
        ];
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15), "{found:?}");
        assert!((found.iter().sum::<f64>() - 0.50).abs() < 1e-15);
        assert_eq!(subsets(3)[3..], [vec![0, 1], vec![0, 2], vec![1, 2], vec![0, 1, 2]]);
    }
}
