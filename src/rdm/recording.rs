//! Measurements over time, such as EEG and MEG: `[trials, channels, times]` of one subject, `[subjects, trials, channels, times]` of
//! several, where they lie.

use super::windows::Windows;
use crate::error::advise;
use crate::npy::Matrix;
use crate::{arrays, memory};
use anyhow::Result;
use std::ops::Range;
use std::path::Path;

pub(super) struct Recording {
    matrix: Matrix,
    pub(super) subjects: usize,
    pub(super) trials: usize,
    pub(super) channels: usize,
    /// Samples.
    pub(super) times: usize,
}

/// Patterns of this many bytes are made at a time, for each pass over the file is as long as the file.
const AT_ONCE: usize = 256 << 20;

impl Recording {
    /// Opens the array at `path`.
    pub(super) fn open(path: &Path) -> Result<Recording> {
        let (sizes, matrix) = arrays::with_sizes(path)?;
        let [subjects, trials, channels, times] = match sizes[..] {
            [trials, channels, times] => [1, trials, channels, times],
            [subjects, trials, channels, times] => [subjects, trials, channels, times],
            _ => {
                return Err(advise(
                    format!("`{}` has {} axes, {sizes:?}; with --times it has three or four", path.display(), sizes.len()),
                    "give [trials, channels, times] of one subject, or [subjects, trials, channels, times]",
                ));
            }
        };
        if sizes.contains(&0) {
            return Err(advise(format!("`{}` is empty: its shape is {sizes:?}", path.display()), "check how the file was made"));
        }
        let recording = Recording { matrix, subjects, trials, channels, times };
        // The patterns, their deviations and the points made of them.
        memory::check(&format!("one time of `{}`", path.display()), 4 * recording.size() as u64)?;
        Ok(recording)
    }

    /// The bytes of the patterns of one window.
    fn size(&self) -> usize {
        self.trials.saturating_mul(self.channels).saturating_mul(size_of::<f64>())
    }

    /// Ranges of windows whose patterns fit into memory together.
    pub(super) fn passes(&self, windows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let at_once = (AT_ONCE / self.size()).max(1);
        (0..windows).step_by(at_once).map(move |first| first..windows.min(first + at_once))
    }

    /// The patterns `[trials, channels]` of a subject in each of the windows `pass`: the mean over the samples.
    pub(super) fn patterns(&self, subject: usize, windows: &Windows, pass: Range<usize>) -> Vec<Matrix> {
        let span = windows.samples(pass.start).start..windows.samples(pass.end - 1).end;
        let mut patterns: Vec<Vec<f64>> = pass.clone().map(|_| Vec::with_capacity(self.trials * self.channels)).collect();
        let mut course = Vec::with_capacity(span.len());
        for row in 0..self.trials * self.channels {
            course.clear();
            self.append(subject * self.trials * self.channels + row, &span, &mut course);
            for (window, pattern) in pass.clone().zip(&mut patterns) {
                let samples = windows.samples(window);
                pattern.push(mean(&course[samples.start - span.start..samples.end - span.start]));
            }
        }
        patterns.into_iter().map(|pattern| Matrix::from_rows(self.trials, self.channels, pattern)).collect()
    }

    /// Appends samples of a channel in a trial, both counted as one over all subjects.
    fn append(&self, number: usize, samples: &Range<usize>, to: &mut Vec<f64>) {
        let start = number * self.times;
        let (row, column) = (start / self.matrix.columns, start % self.matrix.columns);
        self.matrix.append(row, column + samples.start..column + samples.end, to);
    }

    /// Whether it looks as a movie of RDMs does: the first trial symmetric, with zeros on the diagonal.
    pub(super) fn are_rdms(&self) -> bool {
        let n = self.channels;
        let mut values = Vec::new();
        if n == self.times && n > 2 {
            (0..n).for_each(|channel| self.append(channel, &(0..n), &mut values));
        }
        !values.is_empty() && (0..n).all(|i| values[i * n + i] == 0.0 && (0..i).all(|j| values[i * n + j] == values[j * n + i]))
    }
}

fn mean(samples: &[f64]) -> f64 {
    samples.iter().sum::<f64>() / samples.len() as f64
}
