//! MATLAB's `.mat`: a matrix, or RDMs as the RSA toolbox keeps them, a structure array with a field `RDM`, or a cell array of matrices;
//! and what Meadows writes. Level 5 (`-v6`, `-v7`) and 7.3, which is HDF5.

pub(crate) mod level5;
mod level73;
mod meadows;
mod value;
pub(crate) mod write;

pub(super) use self::write::write;

use self::value::Value;
use super::{Axes, Labelled, bytes, choose, hdf5, no_such, trimmed};
use crate::error::advise;
use anyhow::{Context, Result};
use std::path::Path;

/// A variable in a file.
type Variable = (String, Value);

/// The array of numbers `name`, which may lead into structures and cells (`results.RDMs(2).RDM`), or the only one.
pub(super) fn read(path: &Path, name: Option<&str>, axes: Axes) -> Result<Labelled> {
    let variables = match hdf5::is_hdf5(path) {
        true => level73::variables(path)?,
        false => level5::variables(&bytes(path)?).with_context(|| format!("cannot read `{}`", path.display()))?,
    };
    if name.is_none()
        && let Some(found) = meadows::participants(&variables, path)?
    {
        return Ok(found);
    }
    let names = arrays(&variables);
    let broken = || variables.iter().find_map(|(name, value)| value.broken_rdm(name));
    if let Some((rdm, what)) = broken().filter(|_| names.is_empty()) {
        return Err(advise(
            format!("`{rdm}` in `{}` is {what}, not an array of real numbers", path.display()),
            "save RDMs of numbers, `full(rdm)` of sparse ones; or name one that is: 'FILE:RDMs(1)'",
        ));
    }
    let name = match name {
        None => choose(path, &names, None)?,
        Some(name) => name,
    };
    let value = find(&variables, name).ok_or_else(|| no_such(path, &names, name))?;
    let array = value.array().ok_or_else(|| not_numbers(path, name, &value))?;
    let ids = match meadows::stimuli(&variables, name, path)? {
        None => images(&variables, name).map(trimmed),
        stimuli => stimuli,
    };
    let are_rdms = !matches!(value, Value::Numbers { .. }) || meadows::are_pairs(name);
    let values = array.stacked(axes, &|| format!("`{name}` in `{}`", path.display()))?;
    let ids = ids.filter(|ids: &Vec<String>| are_rdms || values.shape().first() == Some(&ids.len()));
    Ok(Labelled { values, ids, are_rdms })
}

/// The names of the rows of the file of features at `path`, as [`images`] reads them; of level 5 no more is read than the first variable.
pub(crate) fn names(path: &Path) -> Result<Option<Vec<String>>> {
    let variables = match hdf5::is_hdf5(path) {
        true => level73::variables(path)?,
        false => level5::variables(&level5::first(path)?)?,
    };
    Ok(images(&variables, FEATURES))
}

/// What the features of a run are called.
const FEATURES: &str = "features";

/// The names of the rows of `features` or of an `rdm`, as this program writes them.
fn images(variables: &[Variable], array: &str) -> Option<Vec<String>> {
    let Value::Cells { cells, .. } = find(variables, "images").filter(|_| [FEATURES, "rdm"].contains(&array))? else {
        return None;
    };
    let name = |cell: &Value| match cell {
        Value::Text(rows) if rows.len() == 1 => Some(rows[0].clone()),
        _ => None,
    };
    cells.iter().map(name).collect()
}

/// The variables that hold an array each; if there are none, the fields of structures that do.
fn arrays(variables: &[Variable]) -> Vec<String> {
    let of_themselves = variables.iter().filter(|(_, value)| value.array().is_some());
    let names: Vec<String> = of_themselves.map(|(name, _)| name.clone()).collect();
    if names.is_empty() { variables.iter().flat_map(|(name, value)| value.arrays_within(name)).collect() } else { names }
}

/// What `path` leads to: a variable, then its fields after points (or slashes) and its elements in brackets, from 1.
fn find(variables: &[Variable], path: &str) -> Option<Value> {
    if let Some((_, value)) = variables.iter().find(|(name, _)| name == path) {
        return Some(value.clone());
    }
    let mut found: Option<Value> = None;
    for part in path.split(['.', '/']) {
        let (name, element) = match part.strip_suffix([')', '}']).map(|part| part.split_once(['(', '{'])) {
            None => (part, None),
            Some(split) => split.and_then(|(name, number)| Some((name, Some(number.trim().parse().ok()?))))?,
        };
        let value = match &found {
            None => variables.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone()),
            Some(value) => value.field(name),
        }?;
        found = Some(match element {
            None => value,
            Some(number) => value.element(number)?,
        });
    }
    found
}

fn not_numbers(path: &Path, name: &str, value: &Value) -> anyhow::Error {
    let hint = match &value.arrays_within(name)[..] {
        [] => "save an array of numbers: `full(rdm)` of a sparse matrix, a variable of its own of what an object holds".into(),
        [first, ..] => format!("name what is meant in it: '{}:{first}'", path.display()),
    };
    advise(format!("`{name}` in `{}` is {}, not an array of real numbers", path.display(), value.what()), hint)
}
