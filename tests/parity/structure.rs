//! Module names and classes in the order of `named_modules()`, keys and shapes in that of `state_dict()`.

use crate::{every_model, input_size, table};
use thingsvision::models::Model;
use thingsvision::readout::Places;

#[test]
fn every_model_has_the_modules_and_tensors_of_pytorch() {
    every_model(|entry| {
        let manifest = entry.architecture.manifest().unwrap();
        let modules = manifest.modules.iter().map(|module| vec!["module".into(), module.name.clone(), module.class.clone()]);
        let tensors = manifest.tensors.iter().map(|tensor| {
            let shape: Vec<_> = tensor.shape.iter().map(i64::to_string).collect();
            vec!["tensor".into(), tensor.key.clone(), shape.join("x")]
        });
        let found: Vec<Vec<String>> = modules.chain(tensors).collect();
        let expected = table(&format!("structure/{}.tsv", entry.name));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "in {}", entry.name);
        }
        assert_eq!(found.len(), expected.len(), "in {}", entry.name);
    });
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
