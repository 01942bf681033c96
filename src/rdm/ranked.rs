//! Rows as the ranks of their units, for the Spearman distance: `scipy.stats.rankdata` of each row.

use super::errors;
use crate::npy::Matrix;
use crate::parallel::parallel;
use crate::ranks::ranks;
use anyhow::Result;

/// The ranks `[N, P]`, 1 to P, ties sharing their mean rank. Values that are not finite are an error.
pub(super) fn rows(features: &Matrix, name: &dyn Fn(usize) -> String) -> Result<Matrix> {
    let rows: Vec<Option<Vec<f32>>> = parallel(features.rows, &|row| {
        let values = features.row(row);
        let finite = values.iter().all(|value| value.is_finite());
        Ok(finite.then(|| ranks(&values).into_iter().map(|rank| rank as f32).collect()))
    })?;
    let bad: Vec<usize> = (0..rows.len()).filter(|&row| rows[row].is_none()).collect();
    if !bad.is_empty() {
        return Err(errors::not_finite(&bad, name));
    }
    Ok(Matrix::from_singles(features.rows, features.columns, rows.into_iter().flatten().flatten().collect()))
}
