//! RDM movies from a file: an RDM for every time, of one subject or of several.

use super::file::{check_memory, check_values, from_square, misfit, stimuli_of};
use super::{Rdms, ids, times};
use crate::arrays;
use crate::error::advise;
use anyhow::Result;
use ndarray::{ArrayD, ArrayViewD, Axis, Ix2};
use std::path::Path;

/// RDMs of the same stimuli at several times.
pub(crate) struct Movie {
    /// In ms, if they are known.
    pub(crate) times: Option<Vec<f64>>,
    /// Of each time, with the RDM of each subject.
    pub(crate) frames: Vec<Rdms>,
}

/// What a movie is.
const SHAPE: &str = "a movie is [times, N, N], of several subjects [subjects, times, N, N]; or with the pairs of each RDM in SciPy's \
                     order [times, pairs], [subjects, times, pairs]";

impl Movie {
    /// Reads `path`, in any format of [`arrays`].
    pub(crate) fn read(path: &Path) -> Result<Movie> {
        check_memory(path)?;
        let labelled = arrays::read(path)?;
        let name = path.display().to_string();
        let array = subjects_first(labelled.values, &name)?;
        let times = times::of(path, array.len_of(Axis(1)))?;
        let at = |frame: usize| {
            times.as_ref().map_or_else(|| format!("time {frame}, counting from 0"), |times| format!("{} ms", times[frame]))
        };
        let mut frames = Vec::with_capacity(array.len_of(Axis(1)));
        for (number, of_time) in array.axis_iter(Axis(1)).enumerate() {
            let name = format!("{name}` at `{}", at(number));
            let subjects = of_time.axis_iter(Axis(0)).map(|rdm| pairs(rdm, &name)).collect::<Result<Vec<_>>>()?;
            let stimuli = stimuli_of(subjects[0].len(), &name)?;
            subjects.iter().try_for_each(|pairs| check_values(stimuli, pairs, &name))?;
            frames.push(Rdms { stimuli, ids: None, subjects });
        }
        let stimuli = frames[0].stimuli;
        let ids = match labelled.ids.filter(|_| labelled.are_rdms) {
            Some(ids) if ids.len() != stimuli => return Err(misfit(&name, ids.len(), stimuli)),
            Some(ids) => Some(ids),
            None => ids::of(path, stimuli)?,
        };
        if let Some(ids) = &ids {
            ids::check_unique(ids, &name)?;
        }
        frames.iter_mut().for_each(|frame| frame.ids.clone_from(&ids));
        Ok(Movie { times, frames })
    }
}

/// As `[subjects, times, N, N]` or `[subjects, times, pairs]`; MATLAB's `[N, N, times]` and `[N, N, times, subjects]` are turned.
fn subjects_first(array: ArrayD<f64>, name: &str) -> Result<ArrayD<f64>> {
    let wrong = |problem: String| Err(advise(problem, SHAPE));
    let shape = array.shape().to_vec();
    if array.is_empty() {
        return wrong(format!("`{name}` is empty: its shape is {shape:?}"));
    }
    let is_square = |a: usize, b: usize| shape[a] == shape[b];
    let is_condensed = |axis: usize| stimuli_of(shape[axis], name).is_ok();
    match shape.len() {
        2 if is_square(0, 1) => wrong(format!("`{name}` is one RDM of {} stimuli, and a movie has one for each time", shape[0])),
        2 if is_condensed(1) => Ok(array.insert_axis(Axis(0))),
        3 if is_square(1, 2) => Ok(array.insert_axis(Axis(0))),
        3 if is_square(0, 1) => Ok(array.permuted_axes(vec![2, 0, 1]).insert_axis(Axis(0))),
        3 if is_condensed(2) => Ok(array),
        4 if is_square(2, 3) && !(is_square(0, 1) && are_first(&array)) => Ok(array),
        4 if is_square(0, 1) => Ok(array.permuted_axes(vec![3, 2, 0, 1])),
        _ => wrong(format!("`{name}` is no movie of RDMs: its shape is {shape:?}")),
    }
}

/// Whether it is along the first two axes that RDMs lie, of an array in which they may be the last two as well.
fn are_first(array: &ArrayD<f64>) -> bool {
    let is_rdm =
        |square: ArrayViewD<f64>| square.into_dimensionality::<Ix2>().is_ok_and(|square| from_square(square, "").is_ok());
    let last = array.index_axis(Axis(0), 0);
    let turned = array.view().permuted_axes(vec![3, 2, 0, 1]);
    !is_rdm(last.index_axis(Axis(0), 0)) && is_rdm(turned.index_axis(Axis(0), 0).index_axis(Axis(0), 0))
}

/// The pairs of one RDM.
fn pairs(rdm: ArrayViewD<f64>, name: &str) -> Result<Vec<f64>> {
    match rdm.ndim() {
        1 => Ok(rdm.iter().copied().collect()),
        _ => from_square(rdm.into_dimensionality::<Ix2>()?, name),
    }
}
