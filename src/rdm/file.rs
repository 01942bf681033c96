//! RDMs from a file, with the mistakes that are easily made with such files.

use super::{Rdms, Uninformative, ids, pairs_of, times, varies};
use crate::arrays;
use crate::error::advise;
use crate::memory;
use anyhow::Result;
use ndarray::{ArrayD, ArrayView2, Axis, Ix2};
use std::path::Path;

/// How far from symmetric a matrix may be, as a share of its largest value: the rounding of float32 sums.
pub(super) const ASYMMETRY: f64 = 1e-5;

/// How close to 1 the diagonal of a similarity matrix is.
const SIMILARITY: f64 = 1e-3;

impl Rdms {
    /// Reads `path`, in any format of [`arrays`]: an RDM, square `[N, N]` or condensed `[N (N − 1) / 2]` in SciPy's
    /// order, or one of each subject, `[S, N, N]` or `[S, N (N − 1) / 2]`. Pairs may be NaN, on both sides.
    pub fn read(path: &Path) -> Result<Rdms> {
        check_memory(path)?;
        let labelled = arrays::read(path)?;
        let name = path.display().to_string();
        check_times(path, labelled.values.shape())?;
        // The names of the rows of a table of subjects × pairs are those of the subjects.
        let is_square = matches!(*labelled.values.shape(), [rows, columns] if rows == columns);
        let named = labelled.ids.filter(|_| is_square || labelled.are_rdms);
        let (stimuli, subjects) = from_array(labelled.values, &name)?;
        for pairs in &subjects {
            check_values(stimuli, pairs, &name)?;
        }
        let ids = match named {
            Some(ids) if ids.len() == stimuli => Some(ids),
            Some(ids) => return Err(misfit(&name, ids.len(), stimuli)),
            None => ids::of(path, stimuli)?,
        };
        if let Some(ids) = &ids {
            ids::check_unique(ids, &name)?;
        }
        Ok(Rdms { stimuli, ids, subjects })
    }
}

/// Fails if the RDMs are those of times, which would be taken for subjects.
fn check_times(path: &Path, shape: &[usize]) -> Result<()> {
    let are_times = |&&size: &&usize| matches!(times::of(path, size), Ok(Some(_)));
    match shape.iter().take(2).find(are_times) {
        None => Ok(()),
        Some(times) => Err(advise(
            format!("`{}` is a movie, of RDMs at {times} times, which are no subjects", path.display()),
            "compare models with it by `rsa --meg` or `--eeg`; of one window of times make an RDM with `thingsvision rdm --times \
             --window`; in NumPy `movie[k]` is the RDM at line k of its .times.txt, from 0",
        )),
    }
}

pub(super) fn misfit(name: &str, names: usize, stimuli: usize) -> anyhow::Error {
    advise(
        format!("`{name}` names {names} stimuli, but its RDMs are of {stimuli}"),
        "check how the file was made; of an RDM without names give the numbers alone",
    )
}

/// The number of stimuli and the pairs of each subject.
fn from_array(array: ArrayD<f64>, name: &str) -> Result<(usize, Vec<Vec<f64>>)> {
    if array.is_empty() {
        return Err(advise(
            format!("`{name}` is empty: its shape is {:?}", array.shape()),
            "check how the file was made; one RDM is square, of several subjects [subjects, N, N]",
        ));
    }
    let array = subjects_first(array, name)?;
    match *array.shape() {
        [rows, columns] if rows == columns => Ok((rows, vec![from_square(array.view().into_dimensionality::<Ix2>()?, name)?])),
        // As a column, one pair of each subject would be too few.
        [pairs] | [pairs, 1] => Ok((stimuli_of(pairs, name)?, vec![array.into_iter().collect()])),
        [_, rows, columns] if rows == columns => {
            let square = |square: ndarray::ArrayViewD<f64>| from_square(square.into_dimensionality::<Ix2>()?, name);
            Ok((rows, array.axis_iter(Axis(0)).map(square).collect::<Result<_>>()?))
        }
        [_, pairs] if stimuli_of(pairs, name).is_ok() => {
            Ok((stimuli_of(pairs, name)?, array.outer_iter().map(|pairs| pairs.iter().copied().collect()).collect()))
        }
        [pairs, subjects] if stimuli_of(pairs, name).is_ok() => Err(advise(
            format!("`{name}` is no RDM: its shape is [{pairs}, {subjects}]"),
            format!(
                "as [{subjects}, {pairs}], a row for each subject, it would be one of {} stimuli: transpose it",
                stimuli_of(pairs, name)?
            ),
        )),
        ref shape => Err(advise(
            format!("`{name}` is no RDM: its shape is {shape:?}"),
            "an RDM is square, stimuli × stimuli, or a vector of its pairs; of features make one with `thingsvision rdm`",
        )),
    }
}

/// MATLAB's `[N, N, S]` as `[S, N, N]`. If N is S, what are RDMs, symmetric and 0 on the diagonal, says which it is.
fn subjects_first(array: ArrayD<f64>, name: &str) -> Result<ArrayD<f64>> {
    let &[a, b, c] = array.shape() else { return Ok(array) };
    let turned = |array: &ArrayD<f64>| array.clone().permuted_axes(vec![2, 0, 1]);
    if a != b {
        return Ok(array);
    }
    if a != c {
        return Ok(array.permuted_axes(vec![2, 0, 1]));
    }
    let are_rdms = |array: &ArrayD<f64>| {
        array.axis_iter(Axis(0)).all(|one| one.into_dimensionality::<Ix2>().is_ok_and(|one| from_square(one, name).is_ok()))
    };
    match (are_rdms(&array), are_rdms(&turned(&array))) {
        (true, true) => Err(advise(
            format!("`{name}` has the shape {:?}, so its subjects may be the first axis or the last", array.shape()),
            "leave out a subject, or give a file of each subject",
        )),
        (false, true) => Ok(turned(&array)),
        (_, false) => Ok(array),
    }
}

/// The pairs of a square that is symmetric and has a diagonal of 0 (or NaN).
pub(super) fn from_square(square: ArrayView2<f64>, name: &str) -> Result<Vec<f64>> {
    let n = square.nrows();
    let at = |i: usize, j: usize| square[[i, j]];
    let largest = square.iter().filter(|value| value.is_finite()).fold(0.0, |largest: f64, value| largest.max(value.abs()));
    let differ =
        |a: f64, b: f64| if a.is_nan() || b.is_nan() { a.is_nan() != b.is_nan() } else { (a - b).abs() > ASYMMETRY * largest };
    if let Some((i, j)) = pairs_of(n).find(|&(i, j)| differ(at(i, j), at(j, i))) {
        let is_empty = |value: f64| value == 0.0 || value.is_nan();
        let halves =
            [("below", pairs_of(n).all(|(i, j)| is_empty(at(j, i)))), ("above", pairs_of(n).all(|(i, j)| is_empty(at(i, j))))];
        if let Some((half, _)) = halves.iter().find(|(_, is_empty)| *is_empty) {
            let turned = if *half == "below" { "rdm" } else { "rdm.T" };
            return Err(advise(
                format!("only half of `{name}` is filled: there is nothing {half} the diagonal"),
                format!("give its pairs alone: in NumPy `{turned}[numpy.triu_indices(len(rdm), 1)]`"),
            ));
        }
        return Err(advise(
            format!("`{name}` is not symmetric: {} at row {i}, column {j} but {} at row {j}, column {i}", at(i, j), at(j, i)),
            "the dissimilarity of two stimuli has no direction; average the two halves if that is what you want",
        ));
    }
    check_diagonal(&(0..n).map(|i| at(i, i)).collect::<Vec<_>>(), largest, name)?;
    Ok(pairs_of(n).map(|(i, j)| at(i, j)).collect())
}

fn check_diagonal(diagonal: &[f64], largest: f64, name: &str) -> Result<()> {
    let is_one = |value: &f64| (value - 1.0).abs() < SIMILARITY;
    if !diagonal.is_empty() && diagonal.iter().all(is_one) && largest < 1.0 + SIMILARITY {
        return Err(advise(
            format!("`{name}` looks like a similarity matrix: its diagonal is 1"),
            "an RDM holds dissimilarities, 0 for equal stimuli; of correlations or cosines make one by `1 - matrix`",
        ));
    }
    match diagonal.iter().position(|value| value.abs() > ASYMMETRY * largest) {
        Some(i) => Err(advise(
            format!("the diagonal of `{name}` is not 0: {} at row {i}", diagonal[i]),
            "a stimulus does not differ from itself; is this a matrix of dissimilarities?",
        )),
        None => Ok(()),
    }
}

/// The n of `n (n − 1) / 2` pairs.
pub(super) fn stimuli_of(count: usize, name: &str) -> Result<usize> {
    // Rounded down if there is no such n.
    let n = 1 + ((1 + 8 * count).isqrt() - 1) / 2;
    if n * (n - 1) / 2 == count {
        return Ok(n);
    }
    Err(advise(
        format!("`{name}` is no condensed RDM: {count} is not the number of pairs of any number of stimuli"),
        format!("{n} stimuli have {} pairs, {} have {}", n * (n - 1) / 2, n + 1, n * (n + 1) / 2),
    ))
}

pub(super) fn check_values(stimuli: usize, pairs: &[f64], name: &str) -> Result<()> {
    if stimuli < 4 {
        return Err(advise(
            format!("`{name}` has {stimuli} stimuli; a correlation of so few pairs says nothing"),
            "compare RDMs of at least 4 stimuli, better 20 or more",
        ));
    }
    if let Some(pair) = pairs.iter().position(|pair| pair.is_infinite()) {
        return Err(advise(
            format!("`{name}` has an infinite value at pair {pair}, counting from 0"),
            "find out where it comes from; a missing measurement is NaN",
        ));
    }
    let Some(first) = pairs.iter().find(|pair| pair.is_finite()) else {
        return Err(Uninformative::NoValues(name.to_owned()).advised());
    };
    if !varies(pairs) {
        return Err(Uninformative::AllAlike(name.to_owned(), *first).advised());
    }
    Ok(())
}

/// Fails if there is no memory for the RDM in a NumPy file, as float64 once whole and once as pairs.
pub(super) fn check_memory(path: &Path) -> Result<()> {
    if arrays::kind(path) != "npy" {
        return Ok(());
    }
    // Of float32 this is exact; float64 takes half of it, and smaller types more.
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    memory::check(&format_args!("`{}`", path.display()), size.saturating_mul(3))
}
