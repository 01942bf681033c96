//! Affine transforms of features that were learnt from people's judgements.
//!
//! `y = ((x − mean) / std) · weights + bias` for each row `x` of features: Muttenthaler et al. 2023, Improving neural network representations
//! using human similarity judgments, NeurIPS, of which the Python toolbox (thingsvision 2.7.3, `utils/alignment/transforms.py`)
//! has `align`; and before, Human alignment of neural network representations, ICLR 2023.

use crate::arrays::npz::Npz;
use crate::error::{Advice, advise};
use crate::gemm::{Block, multiply};
use crate::numbers::count;
use anyhow::Result;
use ndarray::{ArrayD, Ix2};
use std::path::Path;

/// What [`Transform::apply`] computes, for a record.
pub(crate) const FORMULA: &str = "((x − mean) / std) · weights + bias";

/// Rows that are multiplied at a time, zeros added: kernels for other numbers of rows may form sums in another order.
pub(crate) const ROWS: usize = 64;

/// An affine transform.
#[derive(Debug)]
pub(crate) struct Transform {
    /// One for all units of a row, or one for each.
    pub(crate) mean: Vec<f64>,
    pub(crate) std: Vec<f64>,
    /// `[outputs, units]`: transposed, as it is multiplied.
    weights: Vec<f64>,
    /// `[outputs]`, zeros if there is none.
    bias: Vec<f64>,
    /// The numbers of a row.
    pub(crate) units: usize,
    /// Arrays in the file that are no part of it.
    pub(crate) unused: Vec<String>,
}

impl Transform {
    /// Reads `bytes`, which are those of the `.npz` at `path`: `weights` `[units, outputs]`, `mean` and `std`, each one number or
    /// `[units]`, and perhaps `bias` `[outputs]`.
    pub(crate) fn read(path: &Path, bytes: Vec<u8>) -> Result<Transform> {
        let no_npz = |error: anyhow::Error| {
            error.context(Advice {
                problem: format!("`{}` is no affine transform: it is no .npz file", path.display()),
                hint: HINT.to_owned(),
            })
        };
        let mut file = Npz::open(path, bytes).map_err(no_npz)?;
        let refused = |problem: String| advise(format!("`{}` is no affine transform: {problem}", path.display()), HINT);
        let names = file.names();
        let (parts, unused): (Vec<String>, Vec<String>) = names.into_iter().partition(|name| PARTS.contains(&name.as_str()));
        if let Some(missing) = PARTS[..3].iter().find(|part| !parts.iter().any(|name| name == *part)) {
            return Err(refused(format!("it has no `{missing}`")));
        }
        let mut read = |name: &str| {
            let problem = format!("`{}` is no affine transform: `{name}` cannot be read", path.display());
            file.array(name).map_err(|error| error.context(Advice { problem, hint: HINT.to_owned() }))
        };
        let weights = read("weights")?;
        let [mean, std] = [read("mean")?, read("std")?];
        let bias = if parts.iter().any(|name| name == "bias") { Some(read("bias")?) } else { None };
        for (name, array) in [("weights", Some(&weights)), ("mean", Some(&mean)), ("std", Some(&std)), ("bias", bias.as_ref())] {
            if array.is_some_and(|array| !array.iter().all(|value| value.is_finite())) {
                return Err(refused(format!("`{name}` has infinities or NaN")));
            }
        }
        let shape = |array: &ArrayD<f64>| format!("{:?}", array.shape());
        let &[units, outputs] = weights.shape() else {
            return Err(refused(format!("`weights` has the shape {}, and not two axes", shape(&weights))));
        };
        if units == 0 || outputs == 0 {
            return Err(refused(format!("`weights` has the shape {}", shape(&weights))));
        }
        for (name, array) in [("mean", &mean), ("std", &std)] {
            if !(array.len() == 1 || array.shape() == [units]) {
                let problem = format!("`{name}` has the shape {}, and is to be one number or {}", shape(array), count(units));
                return Err(refused(problem));
            }
        }
        if let Some(bias) = bias.as_ref().filter(|bias| bias.shape() != [outputs]) {
            return Err(refused(format!("`bias` has the shape {}, and `weights` {}", shape(bias), shape(&weights))));
        }
        if std.iter().any(|std| *std <= 0.0) {
            return Err(refused("`std` has numbers that are not above 0".to_owned()));
        }
        let weights = weights.into_dimensionality::<Ix2>()?;
        Ok(Transform {
            mean: mean.into_iter().collect(),
            std: std.into_iter().collect(),
            weights: weights.t().iter().copied().collect(),
            bias: bias.map_or_else(|| vec![0.0; outputs], |bias| bias.into_iter().collect()),
            units,
            unused,
        })
    }

    /// The numbers of a row that was transformed.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Of at most [`ROWS`] rows `[n, units]`, `[n, outputs]`; all sums are in float64.
    pub(crate) fn apply(&self, rows: &[f64]) -> Result<Vec<f64>> {
        let n = rows.len() / self.units;
        assert!(n <= ROWS && rows.len() == n * self.units, "whole rows, and not too many");
        let mut scaled = Vec::with_capacity(ROWS * self.units);
        for row in rows.chunks_exact(self.units) {
            let each = row.iter().zip(self.mean.iter().cycle()).zip(self.std.iter().cycle());
            scaled.extend(each.map(|((value, mean), std)| (value - mean) / std));
        }
        scaled.resize(ROWS * self.units, 0.0);
        let mut sums = vec![0.0; ROWS * self.outputs()];
        multiply(Block::new(&scaled, self.units), Block::new(&self.weights, self.units), &mut sums)?;
        sums.truncate(n * self.outputs());
        sums.iter_mut().zip(self.bias.iter().cycle()).for_each(|(sum, bias)| *sum += bias);
        Ok(sums)
    }
}

/// The arrays of a transform; all but the last have to be there.
const PARTS: [&str; 4] = ["weights", "mean", "std", "bias"];

const HINT: &str = "np.savez(FILE, weights=…, mean=…, std=…, bias=…) of arrays of float32 or float64 makes one: docs/aligning.md";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn read(name: &str) -> Result<Transform> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/align/{name}.npz"));
        Transform::read(&path, fs::read(&path).unwrap())
    }

    /// The same as in `make_align_fixtures.py`.
    fn features(rows: usize, units: usize) -> Vec<f64> {
        let value = |i: usize, j: usize| ((i * 7919 + j * 104_729 + i * i * j * 31) % 1013) as f64 - 300.0;
        (0..rows).flat_map(|i| (0..units).map(move |j| value(i, j) / 64.0)).collect()
    }

    #[test]
    fn rows_are_those_of_numpy() {
        let fixtures = include_str!("../tests/fixtures/align.json");
        for case in serde_json::from_str::<Vec<serde_json::Value>>(fixtures).unwrap() {
            let name = case["name"].as_str().unwrap();
            let transform = read(name).unwrap();
            let rows = features(case["rows"].as_u64().unwrap() as usize, transform.units);
            let found: Vec<f64> = rows.chunks(ROWS * transform.units).flat_map(|rows| transform.apply(rows).unwrap()).collect();
            let expected = serde_json::from_value::<Vec<Vec<f64>>>(case["aligned"].clone()).unwrap().concat();
            assert_eq!(found.len(), expected.len(), "{name}");
            let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
            let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(off < 1e-12 * scale, "{name}: {off:e} of {scale}");
        }
    }

    #[test]
    fn a_row_does_not_depend_on_those_beside_it() {
        let transform = read("one-axis").unwrap();
        let rows = features(ROWS, transform.units);
        let together = transform.apply(&rows).unwrap();
        let alone = rows.chunks(transform.units).flat_map(|row| transform.apply(row).unwrap());
        assert!(alone.zip(&together).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}
