//! Module names and classes in the order of `named_modules()`, keys and shapes in that of `state_dict()`.

use crate::{every_model, input_size, table};
use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::collections::HashMap;
use thingsvision::models::Model;
use thingsvision::readout::Places;
use thingsvision::registry::Registry;

#[test]
fn every_model_has_the_modules_and_tensors_of_pytorch() {
    // Networks that differ from a listed one in numbers have a digest: `make_fixtures.py structure NAME` gives the list behind it.
    let digests: HashMap<String, Vec<String>> =
        table("structure/digests.tsv").into_iter().map(|row| (row[0].clone(), row)).collect();
    let met = Cell::new(0);
    every_model(|entry| {
        let manifest = entry.architecture.manifest().unwrap();
        let modules = manifest.modules.iter().map(|module| vec!["module".into(), module.name.clone(), module.class.clone()]);
        let tensors = manifest.tensors.iter().map(|tensor| {
            let shape: Vec<_> = tensor.shape.iter().map(i64::to_string).collect();
            vec!["tensor".into(), tensor.key.clone(), shape.join("x")]
        });
        let found: Vec<Vec<String>> = modules.chain(tensors).collect();
        if let Some(row) = digests.get(&entry.name) {
            let text: String = found.iter().map(|line| line.join("\t") + "\n").collect();
            let digest = format!("{:x}", Sha256::digest(&text));
            assert_eq!([found.len().to_string(), digest], row[1..], "in {}: the lists differ\n{text}", entry.name);
            met.set(met.get() + 1);
            return;
        }
        let expected = table(&format!("structure/{}.tsv", entry.name));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "in {}", entry.name);
        }
        assert_eq!(found.len(), expected.len(), "in {}", entry.name);
    });
    assert_eq!(met.get(), digests.len(), "networks of digests.tsv that the registry has");
}

/// Addresses, hashes, numbers of parameters and preprocessing are torchvision's own.
#[test]
fn published_weights_of_torchvision_are_as_it_says() {
    // Its classifier has no numbers, which is refused.
    const LEFT_OUT: [&str; 1] = ["vgg16.imagenet1k_features"];
    let registry = Registry::load(None).unwrap();
    let rows = table("published.tsv");
    for row in &rows {
        let [name, tag, url, parameters, licence, numbers @ ..] = &row[..] else { panic!("{row:?}") };
        let name = format!("{name}.{tag}");
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let choice = registry.choose(&name).unwrap();
        assert_eq!(choice.weights.url.as_ref(), Some(url), "{name}");
        let sha256 = choice.weights.sha256.as_deref().unwrap();
        assert!(sha256.len() >= 8 && url.ends_with(&format!("-{sha256}.pth")), "{name}: {sha256}");
        let manifest = choice.architecture().manifest().unwrap();
        assert_eq!(manifest.parameters().to_string(), *parameters, "{name}");
        assert_eq!(licence != "-", choice.licence().contains("CC-BY-NC"), "{name}");
        let recipe = serde_json::to_value(choice.preprocessing.unwrap()).unwrap();
        let mut found = vec![recipe["resize"].to_string(), recipe["crop"].to_string()];
        found.push(recipe["interpolation"].as_str().unwrap().to_owned());
        let values =
            ["mean", "std"].map(|key| recipe[key].as_array().unwrap().iter().map(|value| value.to_string()).collect::<Vec<_>>());
        found.extend(values.into_iter().flatten());
        assert_eq!(found, numbers, "{name}");
    }
    let known: usize =
        registry.models.iter().filter(|entry| entry.source == "torchvision").map(|entry| entry.weights.len()).sum();
    assert_eq!(known, rows.len() - LEFT_OUT.len());
}

/// Addresses, classes, numbers of parameters and preprocessing are timm's; of SigLIP the preprocessing is OpenCLIP's.
#[test]
fn published_weights_of_timm_are_as_it_says() {
    let registry = Registry::load(None).unwrap();
    let rows = table("published_by_timm.tsv");
    for row in &rows {
        let [name, tag, url, side, classes, parameters, numbers @ ..] = &row[..] else { panic!("{row:?}") };
        let name = format!("{name}.{tag}");
        let choice = registry.choose(&name).unwrap();
        assert_eq!(choice.weights.url.as_ref(), Some(url), "{name}");
        let manifest = choice.architecture().manifest().unwrap();
        assert_eq!(manifest.parameters().to_string(), *parameters, "{name}");
        let head = manifest.tensors.iter().find(|tensor| ["head.weight", "head.fc.weight"].contains(&&*tensor.key));
        assert_eq!(head.map_or(0, |tensor| tensor.shape[0]).to_string(), *classes, "{name}");
        let recipe = serde_json::to_value(choice.preprocessing.unwrap()).unwrap();
        let (resize, shown) = match &recipe["resize"] {
            serde_json::Value::Array(sides) => (format!("{}x{}", sides[0], sides[1]), &sides[0]),
            side => (side.to_string(), &recipe["crop"]),
        };
        assert_eq!(shown.to_string(), *side, "{name}");
        let numbers_of = |key: &str| recipe[key].as_array().unwrap().iter().map(|value| value.to_string()).collect::<Vec<_>>();
        let interpolation = recipe["interpolation"].as_str().unwrap().to_owned();
        let found = [vec![resize, interpolation], numbers_of("mean"), numbers_of("std")].concat();
        assert_eq!(found, numbers, "{name}");
    }
    let known: usize = registry.models.iter().filter(|entry| entry.source == "timm").map(|entry| entry.weights.len()).sum();
    assert_eq!(known, rows.len());
}

/// Addresses, activation functions and preprocessing are those of OpenCLIP's own configuration.
#[test]
fn published_weights_of_openclip_are_as_it_says() {
    let registry = Registry::load(None).unwrap();
    let rows = table("openclip.tsv");
    for row in &rows {
        let [name, tag, url, activation, mode, side, interpolation, numbers @ ..] = &row[..] else { panic!("{row:?}") };
        let name = format!("{name}.{tag}");
        let choice = registry.choose(&name).unwrap();
        assert_eq!(choice.weights.url.as_ref(), Some(url), "{name}");
        // OpenAI's addresses have the whole hash, OpenCLIP's releases its beginning.
        let sha256 = choice.weights.sha256.as_deref();
        let is_released = ["openaipublic", "mlfoundations"].iter().any(|publisher| url.contains(publisher));
        assert_eq!(sha256.is_some(), is_released, "{name}");
        assert!(
            sha256.is_none_or(|sha256| url.contains(&format!("/{sha256}/")) || url.contains(&format!("-{sha256}."))),
            "{name}"
        );
        // ResNets have it in their text towers.
        let said = choice.weights.activation.map(|function| serde_json::to_value(function).unwrap());
        assert_eq!(said, Some(activation.as_str().into()), "{name}");
        let recipe = serde_json::to_value(choice.preprocessing.unwrap()).unwrap();
        let side: usize = side.parse().unwrap();
        let [resize, crop] = match mode.as_str() {
            "shortest" => [side.into(), side.into()],
            "squash" => [vec![side, side].into(), serde_json::Value::Null],
            _ => panic!("{mode}"),
        };
        assert_eq!([&recipe["resize"], &recipe["crop"]], [&resize, &crop], "{name}");
        assert_eq!(recipe["interpolation"], interpolation.as_str(), "{name}");
        let values: Vec<f64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
        assert_eq!(serde_json::json!([recipe["mean"], recipe["std"]]), serde_json::json!([values[..3], values[3..]]), "{name}");
    }
    let known: usize = registry.models.iter().filter(|entry| entry.source == "OpenCLIP").map(|entry| entry.weights.len()).sum();
    assert_eq!(known, rows.len());
}

/// Without a tag those are meant with which OpenCLIP began, and OpenAI's where it has no other.
#[test]
fn a_name_of_openclip_without_a_tag_means_its_own_weights() {
    for entry in Registry::load(None).unwrap().models.iter().filter(|entry| entry.source == "OpenCLIP") {
        let first = entry.weights[0].tag.as_str();
        let has = |tag: &str| entry.weights.iter().any(|weights| weights.tag == tag);
        assert!(first == "laion400m_e32" || !has("laion400m_e32"), "{}: {first}", entry.name);
        assert!(first != "openai" || entry.weights.len() == 1, "{}: {first}", entry.name);
    }
}

#[test]
fn every_default_layer_is_there_and_has_the_size_that_the_registry_says() {
    every_model(|entry| {
        let model = Model::without_weights(&entry.architecture).unwrap();
        let trace = model.trace(input_size(&entry.name)).unwrap();
        let wanted = std::slice::from_ref(&entry.default_layer);
        let layers = thingsvision::extract::resolve(&entry.name, model.manifest(), &trace, wanted).unwrap();
        let places = Places { tokens: entry.tokens, ..layers[0].places };
        let row = entry.default_readout.shape(&entry.default_layer, &layers[0].shape, places).unwrap();
        assert_eq!(Some(row.iter().product::<usize>() as i64), entry.outputs, "in {}", entry.name);
    });
}
