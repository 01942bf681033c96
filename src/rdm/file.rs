//! An RDM from a file, with the mistakes that are easily made with such files.

use super::Rdm;
use crate::advice::advise;
use crate::npy;
use anyhow::Result;
use ndarray::ArrayD;
use std::path::Path;

/// How far from symmetric a matrix may be, as a share of its largest value: the rounding of float32 sums.
const ASYMMETRY: f64 = 1e-5;

/// How close to 1 the diagonal of a similarity matrix is.
const SIMILARITY: f64 = 1e-3;

impl Rdm {
    /// Reads `path`: an `.npy` array, square `[N, N]` or condensed `[N (N − 1) / 2]` in SciPy's order.
    pub fn read(path: &Path) -> Result<Rdm> {
        let array = npy::read(path)?;
        let name = path.display();
        match *array.shape() {
            [rows, columns] if rows == columns => Rdm::from_square(&array, &name.to_string()),
            [pairs] => Rdm::from_condensed(array.into_iter().collect(), pairs, &name.to_string()),
            ref shape => Err(advise(
                format!("`{name}` is no RDM: its shape is {shape:?}"),
                "an RDM is square, stimuli × stimuli, or a vector of its pairs; of features make one with `thingsvision rdm`",
            )),
        }
    }

    fn from_square(square: &ArrayD<f64>, name: &str) -> Result<Rdm> {
        let n = square.shape()[0];
        let at = |i: usize, j: usize| square[[i, j]];
        if let Some((i, j)) = all_pairs(n, true).find(|&(i, j)| !at(i, j).is_finite()) {
            return Err(not_finite(name, &format!("row {i}, column {j}")));
        }
        let largest = square.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        if let Some((i, j)) = all_pairs(n, false).find(|&(i, j)| (at(i, j) - at(j, i)).abs() > ASYMMETRY * largest) {
            return Err(advise(
                format!("`{name}` is not symmetric: {} at row {i}, column {j} but {} at row {j}, column {i}", at(i, j), at(j, i)),
                "the dissimilarity of two stimuli has no direction; average the two halves if that is what you want",
            ));
        }
        let diagonal: Vec<f64> = (0..n).map(|i| at(i, i)).collect();
        let is_one = |value: &f64| (value - 1.0).abs() < SIMILARITY;
        if n > 0 && diagonal.iter().all(is_one) && largest < 1.0 + SIMILARITY {
            return Err(advise(
                format!("`{name}` looks like a similarity matrix: its diagonal is 1"),
                "an RDM holds dissimilarities, 0 for equal stimuli; of correlations or cosines make one by `1 - matrix`",
            ));
        }
        if let Some(i) = diagonal.iter().position(|value| value.abs() > ASYMMETRY * largest) {
            return Err(advise(
                format!("the diagonal of `{name}` is not 0: {} at row {i}", diagonal[i]),
                "a stimulus does not differ from itself; is this a matrix of dissimilarities?",
            ));
        }
        Rdm::checked(n, all_pairs(n, false).map(|(i, j)| at(i, j)).collect(), name)
    }

    fn from_condensed(pairs: Vec<f64>, count: usize, name: &str) -> Result<Rdm> {
        // n (n − 1) / 2 = count, solved for n; rounded down if there is no such n.
        let n = 1 + ((1 + 8 * count).isqrt() - 1) / 2;
        if n * (n - 1) / 2 != count {
            let below = (n * (n - 1) / 2, n);
            return Err(advise(
                format!("`{name}` is no condensed RDM: {count} is not the number of pairs of any number of stimuli"),
                format!("{} stimuli have {} pairs, {} have {}", below.1, below.0, n + 1, n * (n + 1) / 2),
            ));
        }
        if let Some(i) = pairs.iter().position(|value| !value.is_finite()) {
            return Err(not_finite(name, &format!("pair {i}")));
        }
        Rdm::checked(n, pairs, name)
    }

    fn checked(stimuli: usize, pairs: Vec<f64>, name: &str) -> Result<Rdm> {
        if stimuli < 4 {
            return Err(advise(
                format!("`{name}` has {stimuli} stimuli; a correlation of so few pairs says nothing"),
                "compare RDMs of at least 4 stimuli, better 20 or more",
            ));
        }
        if pairs.iter().all(|&pair| pair == pairs[0]) {
            return Err(advise(
                format!("all pairs in `{name}` are equally dissimilar ({}), so nothing correlates with it", pairs[0]),
                "check how the file was made",
            ));
        }
        Ok(Rdm { stimuli, pairs })
    }
}

/// `(i, j)` with `i < j`, row by row, and the diagonal and the other half if `whole`.
fn all_pairs(n: usize, whole: bool) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |i| (if whole { 0 } else { i + 1 }..n).map(move |j| (i, j)))
}

fn not_finite(name: &str, place: &str) -> anyhow::Error {
    advise(
        format!("`{name}` has a value that is not finite (NaN or infinite) at {place}, counting from 0"),
        "leave out the stimuli without data, in all RDMs alike",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{arr1, arr2};

    fn read<D: ndarray::Dimension>(array: ndarray::Array<f64, D>) -> Result<Rdm> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rdm.npy");
        npy::write(&path, &array.into_dyn()).unwrap();
        Rdm::read(&path)
    }

    fn problem<D: ndarray::Dimension>(array: ndarray::Array<f64, D>) -> String {
        let error = read(array).unwrap_err().to_string();
        error.split_once("` ").map_or(error.clone(), |(_, problem)| problem.to_owned())
    }

    #[test]
    fn square_and_condensed_give_the_same_pairs() {
        let square = arr2(&[[0., 1., 2., 3.], [1., 0., 4., 5.], [2., 4., 0., 6.], [3., 5., 6., 0.]]);
        let condensed = arr1(&[1., 2., 3., 4., 5., 6.]);
        assert_eq!(read(square).unwrap(), read(condensed).unwrap());
    }

    #[test]
    fn mistakes_are_named() {
        let with = |i: usize, j: usize, value: f64| {
            let mut square = arr2(&[[0., 1., 2., 3.], [1., 0., 4., 5.], [2., 4., 0., 6.], [3., 5., 6., 0.]]);
            square[[i, j]] = value;
            square
        };
        assert_eq!(problem(with(1, 2, 4.5)), "is not symmetric: 4.5 at row 1, column 2 but 4 at row 2, column 1");
        assert_eq!(
            problem(with(3, 0, f64::NAN)),
            "has a value that is not finite (NaN or infinite) at row 3, column 0, counting from 0"
        );
        assert!(problem(with(2, 2, 1.0)).starts_with("is not 0: 1 at row 2"));
        let similarity = arr2(&[[1., 0.5, 0.2, 0.], [0.5, 1., 0.1, 0.], [0.2, 0.1, 1., 0.], [0., 0., 0., 1.]]);
        assert_eq!(problem(similarity), "looks like a similarity matrix: its diagonal is 1");
        assert!(problem(arr1(&[1., 2., 3., 4., 5.])).starts_with("is no condensed RDM: 5 is not the number"));
        assert!(problem(arr1(&[1., 2., 3.])).starts_with("has 3 stimuli"));
        assert!(problem(arr1(&[1.; 6])).starts_with("are equally dissimilar"));
        assert!(problem(arr2(&[[1., 2., 3.], [4., 5., 6.]])).starts_with("is no RDM: its shape is [2, 3]"));
    }
}
