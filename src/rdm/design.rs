//! Which rows of features belong together: repeats of a condition, and the partitions (sessions, runs) they come from.

use crate::error::advise;
use crate::npy::Matrix;
use anyhow::Result;
use std::path::Path;

/// A label for each row, as a number into the distinct labels in the order in which they first come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The distinct labels.
    pub names: Vec<String>,
    /// Of each row.
    pub of_row: Vec<usize>,
}

impl Labels {
    /// Numbers the labels.
    pub fn new(labels: &[String]) -> Labels {
        let mut names: Vec<String> = Vec::new();
        let mut numbers = std::collections::HashMap::new();
        let of_row = labels.iter().map(|label| {
            *numbers.entry(label).or_insert_with(|| {
                names.push(label.clone());
                names.len() - 1
            })
        });
        Labels { of_row: of_row.collect(), names }
    }

    /// Reads a text file of one label a line, for `rows` rows.
    pub(super) fn read(path: &Path, rows: usize) -> Result<Labels> {
        let labels = super::ids::read(path)?;
        if labels.len() != rows {
            return Err(advise(
                format!("`{}` has {} lines, but there are {rows} rows", path.display(), labels.len()),
                "give one label a line, in the order of the rows",
            ));
        }
        Ok(Labels::new(&labels))
    }

    /// The rows of each label.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups = vec![Vec::new(); self.names.len()];
        self.of_row.iter().enumerate().for_each(|(row, &label)| groups[label].push(row));
        groups
    }
}

/// The mean of the rows of each group, `[groups, P]`.
pub(super) fn means(features: &Matrix, groups: &[Vec<usize>]) -> Matrix {
    let mut values = Vec::with_capacity(groups.len() * features.columns);
    for group in groups {
        let start = values.len();
        values.resize(start + features.columns, 0.0);
        for &row in group {
            values[start..].iter_mut().zip(features.row(row)).for_each(|(sum, value)| *sum += value);
        }
        values[start..].iter_mut().for_each(|sum| *sum /= group.len() as f64);
    }
    Matrix::from_rows(groups.len(), features.columns, values)
}

/// Each row less the mean of its group, in the order of the groups, `[N, P]`.
pub(super) fn deviations(features: &Matrix, groups: &[Vec<usize>]) -> Matrix {
    let means = means(features, groups);
    let mut values = Vec::with_capacity(features.rows * features.columns);
    for (number, group) in groups.iter().enumerate() {
        let mean = means.row(number);
        for &row in group {
            let start = values.len();
            features.append(row, 0..features.columns, &mut values);
            values[start..].iter_mut().zip(&mean).for_each(|(value, mean)| *value -= mean);
        }
    }
    Matrix::from_rows(groups.iter().map(Vec::len).sum(), features.columns, values)
}
