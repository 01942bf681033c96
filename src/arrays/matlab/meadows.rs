//! What the platform Meadows (meadows-research.com) writes: `rdmutv`, the pairs of one participant, and `stimuli`, their names; of
//! several participants `rdmutv_NAME` and `stimuli_NAME`. The pairs are in SciPy's order, as `rsatoolbox.io.meadows` reads them.

use super::value::Value;
use super::{Labelled, Variable, find};
use crate::arrays::Axes;
use crate::error::advise;
use anyhow::Result;
use std::path::Path;

const PAIRS: &str = "rdmutv";
const STIMULI: &str = "stimuli";

/// Whether the variable `name` holds the pairs of a participant, or of several.
pub(super) fn are_pairs(name: &str) -> bool {
    suffix(name).is_some()
}

/// What follows `rdmutv` in a name.
fn suffix(name: &str) -> Option<&str> {
    name.strip_prefix(PAIRS).filter(|suffix| suffix.is_empty() || suffix.starts_with('_'))
}

/// The names of the stimuli of the pairs `name`, if the file has them.
pub(super) fn stimuli(variables: &[Variable], name: &str, path: &Path) -> Result<Option<Vec<String>>> {
    // One list may be that of all.
    let named = suffix(name).into_iter().flat_map(|suffix| [format!("{STIMULI}{suffix}"), STIMULI.to_owned()]);
    let Some((stimuli, value)) = named.into_iter().find_map(|stimuli| find(variables, &stimuli).map(|value| (stimuli, value)))
    else {
        return Ok(None);
    };
    let text = |value: &Value| match value {
        Value::Text(rows) if rows.len() == 1 => Some(rows[0].clone()),
        _ => None,
    };
    let names = match &value {
        Value::Text(rows) => Some(rows.clone()),
        Value::Cells { cells, .. } => cells.iter().map(text).collect(),
        _ => None,
    };
    let no_names = || {
        advise(
            format!("`{stimuli}` in `{}` does not hold a name of each stimulus", path.display()),
            format!("save it as a cell array of texts: `{stimuli} = cellstr(string({stimuli}))`"),
        )
    };
    names.ok_or_else(no_names).map(Some)
}

/// The pairs of all participants, if the file is one of Meadows'.
pub(super) fn participants(variables: &[Variable], path: &Path) -> Result<Option<Labelled>> {
    let of_pairs = variables.iter().filter(|(name, value)| are_pairs(name) && value.array().is_some());
    let (names, cells): (Vec<&String>, Vec<Value>) = of_pairs.map(|(name, value)| (name, value.clone())).unzip();
    let Some(first) = names.first() else { return Ok(None) };
    let ids_of = |name: &&String| stimuli(variables, name, path);
    let of_all: Vec<Option<Vec<String>>> = names.iter().map(ids_of).collect::<Result<_>>()?;
    if let Some((other, _)) = names.iter().zip(&of_all).find(|(_, ids)| **ids != of_all[0]) {
        let path = path.display();
        return Err(advise(
            format!("the stimuli of `{other}` in `{path}` are not those of `{first}` in the same order"),
            format!("name each, then they are aligned: {path}:{first},{path}:{other}"),
        ));
    }
    let value = Value::Cells { sizes: vec![1, cells.len()], cells };
    let values = value.stacked(Axes::Long, &|| format!("the `{PAIRS}` in `{}`", path.display()))?;
    Ok(Some(Labelled { values, ids: of_all.into_iter().next().flatten(), are_rdms: true }))
}
