//! When the samples of a recording were taken, and which of them are pooled into one RDM.

use super::times;
use crate::error::advise;
use anyhow::Result;
use std::fmt::{self, Display};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

/// The times of the samples, in ms.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Times {
    /// Evenly spaced.
    Every {
        /// Of the first sample.
        start: f64,
        /// From one sample to the next.
        step: f64,
    },
    /// One a line in this file.
    File(PathBuf),
}

impl FromStr for Times {
    type Err = String;

    fn from_str(text: &str) -> Result<Times, String> {
        let is_numbers = text.contains(':') && text.chars().all(|c| c.is_ascii_digit() || "+-.eE: ".contains(c));
        if !is_numbers {
            return Ok(Times::File(text.into()));
        }
        let numbers: Option<Vec<f64>> = text.split(':').map(|number| number.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[start, step]) if start.is_finite() && step.is_finite() && step > 0.0 => Ok(Times::Every { start, step }),
            _ => Err("the time of the first sample and the step to the next are needed, in ms: -100:4".into()),
        }
    }
}

impl TryFrom<String> for Times {
    type Error = String;

    fn try_from(text: String) -> Result<Times, String> {
        text.parse()
    }
}

impl From<Times> for String {
    fn from(times: Times) -> String {
        times.to_string()
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Times::Every { start, step } => write!(f, "{start}:{step}"),
            Times::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Times {
    /// Of this many samples.
    pub(super) fn of(&self, samples: usize) -> Result<Vec<f64>> {
        match self {
            Times::Every { start, step } => Ok((0..samples).map(|sample| rounded(start + step * sample as f64)).collect()),
            Times::File(path) => times::read_for(path, samples),
        }
    }
}

/// Without the last digits, in which 0.1 · 3 is not 0.3.
fn rounded(time: f64) -> f64 {
    // Nor with the sign of −0.
    (time * 1e9).round() / 1e9 + 0.0
}

/// How far, in samples, a window may be from a whole number of them, for the spacing may be given with few digits.
const ROUNDING: f64 = 0.05;

/// How far, in samples, times of a file may be from evenly spaced ones, for they may be rounded to ms.
const UNEVEN: f64 = 0.3;

/// The samples that are pooled into each RDM.
#[derive(Debug, PartialEq)]
pub(super) struct Windows {
    /// Of each window the mean of the times of its samples.
    pub(super) times: Vec<f64>,
    /// In samples.
    pub(super) width: usize,
    step: usize,
    /// The samples after the last whole window, if one would begin among them.
    pub(super) left: usize,
}

impl Windows {
    /// Windows of so many ms, so many ms apart, over samples taken at `times`: without a window single samples, without a step
    /// windows side by side. Fails if they are no whole numbers of samples, or the first does not fit.
    pub(super) fn new(times: &[f64], window: Option<f64>, step: Option<f64>) -> Result<Windows> {
        let samples = |flag: &str, length: Option<f64>| length.map(|length| whole(flag, length, times)).transpose();
        let width = samples("window", window)?.unwrap_or(1);
        let step = samples("step", step)?.unwrap_or(width);
        let count = (times.len() - width) / step + 1;
        let mean = |samples: &[f64]| rounded(samples.iter().sum::<f64>() / samples.len() as f64);
        let centres = (0..count).map(|number| mean(&times[number * step..number * step + width])).collect();
        let next = count * step;
        Ok(Windows { times: centres, width, step, left: times.len().saturating_sub(next) })
    }

    pub(super) fn samples(&self, window: usize) -> Range<usize> {
        window * self.step..window * self.step + self.width
    }
}

/// So many ms in samples.
fn whole(flag: &str, length: f64, times: &[f64]) -> Result<usize> {
    if !(length > 0.0 && length.is_finite()) {
        return Err(advise(format!("a {flag} of {length} ms has no samples"), "give a number of ms above 0"));
    }
    let spacing = spacing(times)?;
    let samples = length / spacing;
    let nearest = samples.round().max(1.0);
    if (samples - nearest).abs() > ROUNDING {
        let [below, above] =
            [samples.floor().max(1.0), samples.ceil().max(1.0)].map(|count| rounded(count * spacing).to_string());
        let near = if below == above { below } else { format!("{below} or {above}") };
        return Err(advise(
            format!("a {flag} of {length} ms is no whole number of samples, which are {} ms apart", rounded(spacing)),
            format!("give a multiple, such as --{flag} {near}"),
        ));
    }
    if nearest > times.len() as f64 {
        return Err(advise(
            format!("a {flag} of {length} ms is longer than the data, {} times {} ms apart", times.len(), rounded(spacing)),
            "give a shorter one, in ms; look whether the times are in ms, and whether the last axis is that of times",
        ));
    }
    Ok(nearest as usize)
}

/// The ms from one sample to the next.
fn spacing(times: &[f64]) -> Result<f64> {
    if times.len() < 2 {
        return Err(advise("there is one time only, and no window of several", "leave out --window and --step"));
    }
    // The line of least squares, for the ends alone may be rounded.
    let count = times.len() as f64;
    let (middle, mean) = ((count - 1.0) / 2.0, times.iter().sum::<f64>() / count);
    let from_middle = |sample: usize| sample as f64 - middle;
    let along: f64 = times.iter().enumerate().map(|(sample, time)| from_middle(sample) * (time - mean)).sum();
    let spacing = along / (0..times.len()).map(|sample| from_middle(sample).powi(2)).sum::<f64>();
    let is_uneven = |(sample, time): (usize, &f64)| (time - mean - spacing * from_middle(sample)).abs() > UNEVEN * spacing;
    if !times.iter().enumerate().any(is_uneven) {
        return Ok(spacing);
    }
    let step = |sample: &usize| (times[*sample] - times[sample - 1] - spacing).abs();
    let sample = (1..times.len()).max_by(|a, b| step(a).total_cmp(&step(b))).unwrap_or(0);
    Err(advise(
        format!("the times are not evenly spaced: sample {sample}, counting from 0, is at {} ms", times[sample]),
        "leave out --window and --step, for an RDM of each time",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_whole_numbers_of_samples() {
        let times = "-100:4".parse::<Times>().unwrap().of(10).unwrap();
        assert_eq!((times[0], times[9]), (-100.0, -64.0));
        let windows = |window, step| Windows::new(&times, window, step).unwrap();
        assert_eq!(windows(None, None).times, times);
        assert_eq!(windows(Some(16.0), None), Windows { times: vec![-94.0, -78.0], width: 4, step: 4, left: 2 });
        assert_eq!(windows(Some(12.0), Some(8.0)).times, [-96.0, -88.0, -80.0, -72.0]);
        assert_eq!((windows(Some(12.0), Some(8.0)).left, windows(Some(40.0), None).left), (2, 0));
        assert_eq!(windows(None, Some(20.0)).times, [-100.0, -80.0]);
        assert_eq!(windows(Some(12.0), Some(8.0)).samples(1), 2..5);
    }

    #[test]
    fn times_rounded_to_ms_are_evenly_spaced_and_those_with_a_gap_are_not() {
        let rounded: Vec<f64> = (0..100).map(|sample| (f64::from(sample) * 1000.0 / 512.0).round()).collect();
        assert_eq!(Windows::new(&rounded, Some(19.53), None).unwrap().width, 10);
        let gap: Vec<f64> = (0..100).map(|sample| if sample < 50 { sample } else { sample + 1 }.into()).collect();
        assert!(Windows::new(&gap, Some(10.0), None).unwrap_err().to_string().contains("not evenly spaced"));
        assert_eq!(Windows::new(&gap, None, None).unwrap().times, gap);
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for text in ["-100:4", "0:1.953125", "my/times.txt", "1:2:x"] {
            assert_eq!(text.parse::<Times>().unwrap().to_string(), text);
        }
        for text in ["1:2:3", "0:0", "0:-4", ":", "1:"] {
            assert!(text.parse::<Times>().is_err(), "{text}");
        }
    }
}
