//! The times of an RDM movie, in ms: one a line in a text file beside it, `name.times.txt` for `name.npy`.

use super::ids;
use crate::error::advise;
use crate::{arrays, atomic_file};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Where the times of the file `path`, which may be `FILE:NAME`, lie if it has any.
pub(crate) fn beside(path: &Path) -> PathBuf {
    arrays::with_ending(&arrays::split(path).0, "times.txt")
}

/// The times of the `count` RDMs of each subject in the file `path`, if there are some beside it.
pub(crate) fn of(path: &Path, count: usize) -> Result<Option<Vec<f64>>> {
    let own = beside(path);
    if own.exists() { read_for(&own, count).map(Some) } else { Ok(None) }
}

/// Reads this many times, one a line, each later than the one before.
pub(super) fn read_for(path: &Path, count: usize) -> Result<Vec<f64>> {
    let times = read(path)?;
    if times.len() != count {
        return Err(advise(
            format!("`{}` has {} times, but there are {count}", path.display(), times.len()),
            "give one time in ms a line, one for each along the last axis",
        ));
    }
    Ok(times)
}

/// Reads times, one a line, each later than the one before.
pub(crate) fn read(path: &Path) -> Result<Vec<f64>> {
    let lines = ids::read(path)?;
    let number = |(line, text): (usize, &String)| match text.parse() {
        Ok(time) if f64::is_finite(time) => Ok(time),
        _ => Err(advise(
            format!("line {} of `{}` has `{text}` where a time is expected", line + 1, path.display()),
            "give one time in ms a line, with a point in decimals, and nothing else",
        )),
    };
    let times: Vec<f64> = lines.iter().enumerate().map(number).collect::<Result<_>>()?;
    match times.windows(2).position(|pair| pair[0] >= pair[1]) {
        None => Ok(times),
        Some(line) => Err(advise(
            format!("line {} of `{}` has the time {}, after {}", line + 2, path.display(), times[line + 1], times[line]),
            "each time must be later than the one before, as the samples are",
        )),
    }
}

/// Writes the times beside `path`. Without any, those beside it were of what was there before, and are removed; returns whether
/// there were some.
pub(super) fn write(path: &Path, times: Option<&[f64]>) -> Result<bool> {
    let beside = beside(path);
    match times {
        Some(times) => {
            let lines: Vec<String> = times.iter().map(f64::to_string).collect();
            atomic_file::write(&beside, atomic_file::lines(&lines).as_bytes()).map(|()| false)
        }
        None if beside.is_file() => {
            std::fs::remove_file(&beside).with_context(|| format!("cannot remove `{}`", beside.display()))?;
            Ok(true)
        }
        None => Ok(false),
    }
}
