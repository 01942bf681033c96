//! The operators that the code of a network may have: those of `operators.txt`, which says why, and no others.

use crate::torchscript::Script;
use anyhow::Result;
use std::collections::HashSet;

const LIST: &str = include_str!("operators.txt");

fn allowed() -> HashSet<&'static str> {
    LIST.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace()).collect()
}

/// The first operator, or type of a value, in all that `script` holds that is not in the list, and where it stands.
pub fn foreign(script: &Script) -> Result<Option<(String, String)>> {
    let allowed = allowed();
    let found = script.operators()?.into_iter().find(|(operator, _)| !allowed.contains(operator.as_str()));
    Ok(found.map(|(operator, place)| (operator, plain_name(&place))))
}

/// `__torch__.timm.layers.___torch_mangle_3.Mlp.forward` as Python has it: `timm.layers.Mlp.forward`.
fn plain_name(name: &str) -> String {
    let is_own = |part: &&str| *part != "__torch__" && !part.starts_with("___torch_mangle_");
    name.split('.').filter(is_own).collect::<Vec<_>>().join(".")
}
