//! The times of an RDM movie, in ms: one a line in a text file beside it, `name.times.txt` for `name.npy`.

use super::ids;
use crate::arrays;
use crate::error::advise;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Where the times of the file `path`, which may be `FILE:NAME`, lie if it has any.
pub fn beside(path: &Path) -> PathBuf {
    arrays::with_ending(&arrays::split(path).0, "times.txt")
}

/// The `count` times of the file `path`, in ms and in order, if there are some beside it.
pub(crate) fn of(path: &Path, count: usize) -> Result<Option<Vec<f64>>> {
    let beside = beside(path);
    if beside.exists() { read(&beside, count).map(Some) } else { Ok(None) }
}

/// Reads `count` times, which are finite and increase.
pub(crate) fn read(path: &Path, count: usize) -> Result<Vec<f64>> {
    let lines = ids::read(path)?;
    if lines.len() != count {
        return Err(advise(
            format!("`{}` has {} times, but there are {count}", path.display(), lines.len()),
            "give one time a line, in ms, in the order of the RDMs",
        ));
    }
    let time = |line: &String| line.parse::<f64>().ok().filter(|time| time.is_finite());
    let mut times: Vec<f64> = Vec::with_capacity(count);
    for (number, line) in lines.iter().enumerate() {
        match time(line).filter(|time| times.last().is_none_or(|before| before < time)) {
            Some(time) => times.push(time),
            None => {
                return Err(advise(
                    format!("line {} of `{}` is no time after the one before: `{line}`", number + 1, path.display()),
                    "give one time a line, in ms, each larger than the one before",
                ));
            }
        }
    }
    Ok(times)
}
