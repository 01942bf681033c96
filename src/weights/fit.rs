//! Which tensor of a checkpoint is which of a network: checkpoints nest state dicts in other things and prefix or rename
//! their keys. The ways that are known are data, `[checkpoints]` in `models.toml`.

use crate::models::Layout;
use crate::nn::Manifest;
use crate::registry::Checkpoints;
use std::collections::HashMap;

/// For each key of the network the name of the tensor in the file; or the faults of the way that comes nearest.
pub fn fit(
    manifest: &Manifest,
    layout: &Layout,
    tensors: &[(String, Vec<i64>)],
    ways: &Checkpoints,
) -> Result<HashMap<String, String>, String> {
    let mut nearest: Option<([usize; 2], String)> = None;
    for prefix in ways.prefixes() {
        let (names, twice) = names_under(&prefix, layout, tensors, ways);
        if names.is_empty() && nearest.is_some() {
            continue;
        }
        let shapes = names.iter().map(|(key, (_, shape))| (key.as_str(), shape.as_slice())).collect();
        let (mut faults, mut description) = manifest.faults(&shapes);
        if let [(key, one, other), ..] = &twice[..] {
            let both = format!("`{one}` and `{other}` both stand for `{key}`");
            description = if faults == [0, 0] { both } else { format!("{both}; {description}") };
            faults[1] += twice.len();
        }
        if faults == [0, 0] {
            return Ok(names.into_iter().map(|(key, (name, _))| (key, name.to_owned())).collect());
        }
        if nearest.as_ref().is_none_or(|(fewest, _)| faults < *fewest) {
            nearest = Some((faults, description));
        }
    }
    Err(nearest.map(|(_, description)| description).unwrap_or_default())
}

/// Tensors by their keys in the network: of each the name and shape in the file.
type Names<'a> = HashMap<String, (&'a str, &'a Vec<i64>)>;

/// The tensors below `prefix`; what is of no use to the network, as CLIP's text tower, is left out. Then keys that two stand for,
/// with these.
fn names_under<'a>(
    prefix: &str,
    layout: &Layout,
    tensors: &'a [(String, Vec<i64>)],
    ways: &Checkpoints,
) -> (Names<'a>, Vec<(String, &'a str, &'a str)>) {
    let below = tensors.iter().filter_map(|(name, shape)| Some((name.strip_prefix(prefix)?, name, shape)));
    let renamed = below.map(|(key, name, shape)| {
        let key = ways.renames.iter().fold(key.to_owned(), |key, [from, to]| key.replace(from, to));
        let key = layout.renames.iter().fold(key, |key, [from, to]| key.replace(from, to));
        (key, (name.as_str(), shape))
    });
    let is_of_use = |key: &str| key.starts_with(layout.prefix) && !layout.ignored.iter().any(|ignored| key.starts_with(ignored));
    let (mut names, mut twice) = (Names::new(), Vec::new());
    for (key, tensor) in renamed.filter(|(key, _)| is_of_use(key)) {
        if let Some((other, _)) = names.insert(key.clone(), tensor) {
            let mut both = [tensor.0, other];
            both.sort();
            twice.push((key, both[0], both[1]));
        }
    }
    twice.sort();
    (names, twice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Entry, Registry};

    /// The keys and shapes of a model's state dict, each key changed by `rename`.
    fn file(entry: &Entry, rename: impl Fn(&str) -> String) -> Vec<(String, Vec<i64>)> {
        let manifest = entry.architecture.manifest().unwrap();
        manifest.tensors.iter().map(|tensor| (rename(&tensor.key), tensor.shape.clone())).collect()
    }

    fn fit_to(registry: &Registry, model: &str, file: &[(String, Vec<i64>)]) -> Result<HashMap<String, String>, String> {
        let architecture = &registry.choose(model).unwrap().entry.architecture;
        fit(&architecture.manifest().unwrap(), &architecture.layout(), file, &registry.checkpoints)
    }

    type Rename = fn(&str) -> String;

    #[test]
    fn state_dicts_are_found_in_everything_they_are_published_in() {
        let registry = Registry::load(None).unwrap();
        let cases: [(&str, Rename, bool); 7] = [
            ("resnet50", str::to_owned, false),
            ("cornet-s", |key| format!("state_dict.module.{key}"), true),
            ("vgg16", |key| format!("state_dict.{}", key.replace("features.", "features.module.")), true),
            ("resnet50", |key| format!("classy_state_dict.base_model.model.trunk._feature_blocks.{key}"), true),
            ("vit-b-32", |key| key.replace(".mlp.0.", ".mlp.linear_1."), false),
            ("clip-vit", |key| format!("state_dict.module.{key}"), true),
            ("densenet121", |key| key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."), false),
        ];
        for (model, rename, is_nested) in cases {
            let entry = registry.choose(model).unwrap().entry;
            let mut tensors = file(entry, rename);
            if is_nested {
                tensors.push(("optimizer.state.0.momentum_buffer".into(), vec![3]));
            }
            let example = rename("conv1.weight");
            let names = fit_to(&registry, model, &tensors).unwrap_or_else(|faults| panic!("{model} {example}: {faults}"));
            assert_eq!(names.len(), entry.architecture.manifest().unwrap().tensors.len(), "{model} {example}");
            assert!(names.iter().all(|(key, name)| rename(key) == *name), "{model} {example}");
        }
    }

    #[test]
    fn counters_may_be_absent_and_text_towers_are_left_out() {
        let registry = Registry::load(None).unwrap();
        let mut tensors = file(registry.choose("clip-rn").unwrap().entry, str::to_owned);
        tensors.retain(|(name, _)| !name.ends_with("num_batches_tracked"));
        tensors.push(("token_embedding.weight".into(), vec![49408, 512]));
        fit_to(&registry, "clip-rn", &tensors).unwrap();
    }

    #[test]
    fn two_names_of_one_tensor_are_a_fault() {
        let registry = Registry::load(None).unwrap();
        let mut tensors = file(registry.choose("vgg11").unwrap().entry, str::to_owned);
        tensors.push(("features.module.0.bias".into(), vec![64]));
        let faults = fit_to(&registry, "vgg11", &tensors).unwrap_err();
        assert_eq!(faults, "`features.0.bias` and `features.module.0.bias` both stand for `features.0.bias`");
    }

    #[test]
    fn one_wrong_key_is_a_fault() {
        let registry = Registry::load(None).unwrap();
        let entry = registry.choose("alexnet").unwrap().entry;
        let mut tensors = file(entry, str::to_owned);
        tensors[0].1[0] += 1;
        let faults = fit_to(&registry, "alexnet", &tensors).unwrap_err();
        assert_eq!(faults, "of 16 tensors: 1 of another shape (features.0.weight is [65, 3, 11, 11] instead of [64, 3, 11, 11])");
        tensors.remove(0);
        tensors.push(("classifier.7.weight".into(), vec![1]));
        let faults = fit_to(&registry, "alexnet", &tensors).unwrap_err();
        assert_eq!(faults, "of 16 tensors: 1 missing (features.0.weight), 1 unexpected (classifier.7.weight)");
    }
}
