//! Which rows are fitted and which are predicted: whole groups of rows, so that nothing of what is predicted is fitted.

use crate::rsa::divided;
use serde::Serialize;

/// Rows that are fitted, and rows that are predicted, both ascending.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Split {
    pub(super) fitted: Vec<usize>,
    pub(super) predicted: Vec<usize>,
}

/// The rows of each group.
pub(super) type Groups = Vec<Vec<usize>>;

/// The groups of rows with these labels, in the order in which they come.
pub(super) fn grouped(labels: &[usize]) -> Groups {
    let mut groups: Groups = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (row, label) in labels.iter().enumerate() {
        let place = *places.entry(label).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(row);
    }
    groups
}

/// Divides the groups at random into `folds` of nearly as many groups, in another way each `round`.
pub(super) fn splits(groups: &[Vec<usize>], folds: usize, seed: u64, round: usize) -> Vec<Split> {
    let all: Vec<usize> = (0..groups.len()).collect();
    let rows = |some: &[usize]| {
        let mut rows: Vec<usize> = some.iter().flat_map(|&group| groups[group].iter().copied()).collect();
        rows.sort_unstable();
        rows
    };
    let split = |[fitted, predicted]: [Vec<usize>; 2]| Split { fitted: rows(&fitted), predicted: rows(&predicted) };
    divided(&all, folds, seed, round).into_iter().map(split).collect()
}

/// Those of the groups of which all rows are among `rows`.
pub(super) fn within(groups: &[Vec<usize>], rows: &[usize]) -> Groups {
    let is_among = |row: &usize| rows.binary_search(row).is_ok();
    groups.iter().filter(|group| group.iter().all(is_among)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_never_both_fitted_and_predicted() {
        let labels: Vec<usize> = (0..200).map(|row| row * 7 % 23).collect();
        let groups = grouped(&labels);
        let splits = splits(&groups, 4, 3, 0);
        let mut predicted: Vec<usize> = splits.iter().flat_map(|split| split.predicted.clone()).collect();
        predicted.sort_unstable();
        assert_eq!(predicted, (0..200).collect::<Vec<_>>());
        for Split { fitted, predicted } in &splits {
            assert_eq!(fitted.len() + predicted.len(), 200);
            assert!(fitted.iter().all(|&a| predicted.iter().all(|&b| labels[a] != labels[b])));
            for inner in super::splits(&within(&groups, fitted), 3, 3, 1) {
                assert!(inner.fitted.iter().chain(&inner.predicted).all(|row| fitted.contains(row)));
                assert!(inner.fitted.iter().all(|&a| inner.predicted.iter().all(|&b| labels[a] != labels[b])));
            }
        }
    }
}
