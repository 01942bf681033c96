//! Random weights: bit for bit those of `torch.manual_seed(seed)` and torchvision's constructor.

use crate::{registry, table};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use tch::{Device, Kind, Tensor};
use thingsvision::models::Architecture;
use thingsvision::registry::Entry;

#[test]
fn seeded_weights_equal_pytorch_to_the_bit() {
    let registry = registry();
    let mut met = HashSet::new();
    // Many are one network with several weights.
    let mut drawn = HashMap::new();
    for row in &table("seeded_weights.tsv") {
        let [name, seed, digest, sum] = &row[..] else { panic!("{row:?}") };
        met.insert(name.clone());
        let architecture = &registry.choose(name).unwrap().entry.architecture;
        let expected = [digest, sum];
        if let Some(same) = drawn.insert(format!("{architecture:?}, {seed}"), expected) {
            assert_eq!(same, expected, "{name}, seed {seed}");
            continue;
        }
        let state = architecture.seeded_weights(seed.parse().unwrap()).unwrap();
        let (mut sha, mut total, mut scale) = (Sha256::new(), 0.0, 0.0);
        for (k, entry) in architecture.manifest().unwrap().tensors.iter().enumerate() {
            let tensor = &state[&entry.key];
            // These are drawn by `erfinv`, of which libtorch gives other last digits on processors of other makers: each value is
            // counted times one that depends on its place.
            let is_in_sum = if is_drawn_anew(architecture) {
                entry.shape.len() >= 2 && entry.key != "patch_embed.proj.weight"
            } else {
                is_truncated(name, &entry.key, &entry.shape)
            };
            if is_in_sum {
                let places = Tensor::arange(tensor.numel() as i64, (Kind::Int64, Device::Cpu)) * 7919 + k as i64 * 104_729;
                let products = places.remainder(1000).to_kind(Kind::Double) - 499.5;
                let products = products * tensor.to_kind(Kind::Double).flatten(0, -1);
                total += products.sum(Kind::Double).double_value(&[]);
                scale += products.square().sum(Kind::Double).double_value(&[]);
                continue;
            }
            let mut bytes = vec![0; tensor.numel() * entry.kind.elt_size_in_bytes()];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            sha.update(&bytes);
        }
        assert_eq!(format!("{:x}", sha.finalize()), *digest, "{name}, seed {seed}");
        // Other draws would be off by about the deviation of a sum of random numbers, which `scale` is the square of.
        let expected: f64 = sum.parse().unwrap();
        assert!((total - expected).abs() <= 1e-5 * scale.sqrt(), "{name}, seed {seed}: {total} instead of {expected}");
    }
    let is_met = |entry: &Entry| {
        // As `LARGE` and `LARGE_VIT` of make_fixtures.py: of these a smaller one differs in numbers alone.
        let most = if is_drawn_anew(&entry.architecture) { 50_000_000 } else { 150_000_000 };
        let has_small = is_drawn_anew(&entry.architecture) || entry.name.starts_with("openclip-");
        met.contains(&entry.name) || has_small && entry.architecture.manifest().unwrap().parameters() > most
    };
    assert!(registry.models.iter().all(is_met), "a network has no digest");
}

/// Whether nearly all weights are drawn by `erfinv`.
fn is_drawn_anew(architecture: &Architecture) -> bool {
    matches!(architecture.family_name(), "timmvit" | "eva" | "timmconvnext")
}

/// As `is_truncated` of make_fixtures.py.
fn is_truncated(name: &str, key: &str, shape: &[i64]) -> bool {
    if key == "conv_proj.weight" || key.ends_with("relative_position_bias_table") {
        return true;
    }
    let in_swin = name.starts_with("swin") && key != "features.0.0.weight";
    let drawn_anew = in_swin || ["convnext", "googlenet", "inception"].iter().any(|family| name.starts_with(family));
    key.ends_with("weight") && shape.len() >= 2 && drawn_anew
}
