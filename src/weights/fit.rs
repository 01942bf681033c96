//! Which tensor of a checkpoint is which of a network: checkpoints nest state dicts in other things and prefix or rename
//! their keys. The ways that are known are data, `[checkpoints]` in `models.toml`.

use crate::nn::Manifest;
use crate::registry::Checkpoints;
use std::collections::HashMap;

/// For each key of the network the name of the tensor in the file; or the faults of the way that comes nearest.
pub fn fit(
    manifest: &Manifest,
    scope: &str,
    tensors: &[(String, Vec<i64>)],
    ways: &Checkpoints,
) -> Result<HashMap<String, String>, String> {
    let mut nearest: Option<([usize; 2], String)> = None;
    for prefix in ways.prefixes() {
        let names = names_under(&prefix, scope, tensors, ways);
        let shapes = names.iter().map(|(key, (_, shape))| (key.as_str(), shape.as_slice())).collect();
        let (faults, description) = manifest.faults(&shapes);
        if faults == [0, 0] {
            return Ok(names.into_iter().map(|(key, (name, _))| (key, name.to_owned())).collect());
        }
        if nearest.as_ref().is_none_or(|(fewest, _)| faults < *fewest) {
            nearest = Some((faults, description));
        }
    }
    Err(nearest.map(|(_, description)| description).unwrap_or_default())
}

/// The tensors below `prefix` by their keys in the network, which are within `scope`: CLIP's text tower is left out.
fn names_under<'a>(
    prefix: &str,
    scope: &str,
    tensors: &'a [(String, Vec<i64>)],
    ways: &Checkpoints,
) -> HashMap<String, (&'a str, &'a Vec<i64>)> {
    let below = tensors.iter().filter_map(|(name, shape)| Some((name.strip_prefix(prefix)?, name, shape)));
    let renamed = below.map(|(key, name, shape)| {
        let key = ways.renames.iter().fold(key.to_owned(), |key, [from, to]| key.replace(from, to));
        (key, (name.as_str(), shape))
    });
    renamed.filter(|(key, _)| key.starts_with(scope)).collect()
}
