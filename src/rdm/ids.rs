//! The stimulus IDs of an RDM or of features: one a line in a text file beside it, `name.ids.txt` for `name.npy`.

use crate::error::advise;
use crate::hash::sha256_of_file;
use crate::plain_file;
use crate::run::read_record;
use crate::{arrays, atomic_file};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where the IDs of the file `path`, which may be `FILE:NAME`, lie if it has any.
pub fn beside(path: &Path) -> PathBuf {
    arrays::with_ending(&arrays::split(path).0, "ids.txt")
}

/// The IDs of `n` stimuli of the file `path`: those beside it, or those of the run whose folder it lies in.
pub fn of(path: &Path, n: usize) -> Result<Option<Vec<String>>> {
    let own = beside(path);
    if own.exists() {
        return read_for(&own, n).map(Some);
    }
    let run = path.parent().unwrap_or(path);
    let images = run.join("images.txt");
    if !run.join("run.json").is_file() || !images.exists() {
        return Ok(None);
    }
    let record = read_record(run)?;
    if record.shard.is_some() {
        return Ok(None);
    }
    let ids = read(&images)?;
    let is_its_own = record.layers.iter().any(|layer| [Some(&layer.file), layer.rdm.as_ref()].contains(&name_of(path).as_ref()));
    let is_as_written = sha256_of_file(&images).is_ok_and(|hash| hash == record.images_sha256);
    if is_its_own && (!is_as_written || ids.len() != n) {
        return Err(advise(
            format!(
                "`{}` is not what the run wrote: nobody knows which rows of `{}` are which",
                images.display(),
                path.display()
            ),
            "make the run again, or put back the images.txt that it had",
        ));
    }
    Ok(Some(ids).filter(|ids| is_as_written && ids.len() == n))
}

fn name_of(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_string_lossy().into_owned())
}

/// Reads IDs, one a line.
pub fn read(path: &Path) -> Result<Vec<String>> {
    let text = plain_file::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => {
            advise(format!("cannot read `{}`: {error}", path.display()), "give a text file (UTF-8) with one name a line")
        }
        _ => arrays::cannot_read(path),
    })?;
    // Editors put a mark before the first letter.
    Ok(text.trim_start_matches('\u{feff}').lines().map(|line| line.trim().to_owned()).collect())
}

/// Reads IDs, one a line, of which none comes twice.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let names = read(path)?;
    check_unique(&names, &path.display().to_string())?;
    Ok(names)
}

/// Reads the IDs of `rows` rows; a repeated ID or another number of them is an error.
pub fn read_for(path: &Path, rows: usize) -> Result<Vec<String>> {
    let ids = read(path)?;
    if ids.len() != rows {
        return Err(advise(
            format!("`{}` names {} stimuli, but there are {rows}", path.display(), ids.len()),
            "give one ID a line, in the order of the rows",
        ));
    }
    check_unique(&ids, &path.display().to_string())?;
    Ok(ids)
}

/// Fails if an ID in the file `name` comes twice.
pub fn check_unique(ids: &[String], name: &str) -> Result<()> {
    let mut first = HashMap::new();
    for (row, id) in ids.iter().enumerate() {
        if let Some(before) = first.insert(id, row) {
            return Err(advise(
                format!("`{name}` names `{id}` twice, in rows {before} and {row}, counting from 0"),
                "stimuli are aligned by their IDs, which must differ: average repeats with `rdm --conditions`, or rename them",
            ));
        }
    }
    Ok(())
}

/// What messages call a row: by its ID, if it has one.
pub(crate) fn name(ids: Option<&[String]>, row: usize) -> String {
    ids.map_or_else(|| format!("row {row}"), |ids| format!("`{}`", ids[row]))
}

/// Where `own` has each of the `common` IDs, if they are the same in any order.
pub fn order(common: &[String], own: &[String]) -> Option<Vec<usize>> {
    let places: HashMap<&String, usize> = own.iter().zip(0..).collect();
    let order = common.iter().map(|id| places.get(id).copied()).collect();
    if common.len() == own.len() { order } else { None }
}

/// Writes the IDs beside `path`. Without any, those beside it were of what was there before, and are removed; returns
/// whether there were some.
pub fn write(path: &Path, ids: Option<&[String]>) -> Result<bool> {
    let beside = beside(path);
    match ids {
        Some(ids) => atomic_file::write(&beside, atomic_file::lines(ids).as_bytes()).map(|()| false),
        None if beside.is_file() => {
            std::fs::remove_file(&beside).with_context(|| format!("cannot remove `{}`", beside.display()))?;
            Ok(true)
        }
        None => Ok(false),
    }
}
