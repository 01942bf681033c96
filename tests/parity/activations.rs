//! The output of every call of every module, for seeded weights and a closed-form input.

use crate::{every_model, input_size, table};
use tch::{Device, Kind, Tensor};
use thingsvision::models::{Architecture, Model};
use thingsvision::nn::{Plan, StateDict};

/// Of the layer's scale, its largest absolute value.
const TOLERANCE: f64 = 1e-4;

/// As `test_input` of make_fixtures.py.
fn test_input(side: i64) -> Tensor {
    let mut values = Vec::new();
    for n in 0..2 {
        for c in 0..3 {
            for h in 0..side {
                for w in 0..side {
                    let whole = (h * 7 + w * 13 + c * 29 + n * 31 + (h * w) % 17 * 5) % 101;
                    values.push(whole as f32 / 50.0 - 1.0);
                }
            }
        }
    }
    Tensor::from_slice(&values).view([2, 3, side, side])
}

/// These differ from a model that is compared in numbers only.
const NOT_COMPARED: [&str; 9] =
    ["vgg11-bn", "vgg13", "vgg16", "vgg19", "clip-rn101", "clip-rn50x16", "clip-rn50x64", "clip-vit-l-14-336px", "vit-l-16"];

/// Seeded weights with `enliven` of make_fixtures.py.
fn lively_weights(architecture: &Architecture) -> StateDict {
    let mut weights = architecture.seeded_weights(0).unwrap();
    for (k, entry) in architecture.manifest().unwrap().tensors.iter().enumerate().filter(|(_, entry)| entry.kind == Kind::Float) {
        let value = &weights[&entry.key];
        let vector = entry.shape.len() == 1;
        if vector || value.numel() > 1 && value.max().equal(&value.min()) {
            let (scale, offset) = if vector { (1.0, 0.5) } else { (0.1f32, 0.0) };
            let pattern = |i: usize| ((i * 7919 + k * 104_729) % 1000) as f32 / 1000.0 * scale + offset;
            let values: Vec<f32> = (0..value.numel()).map(pattern).collect();
            weights.insert(entry.key.clone(), Tensor::from_slice(&values).view(&entry.shape[..]));
        }
    }
    weights
}

#[test]
fn every_call_of_every_module_equals_pytorch() {
    every_model(|entry| {
        if NOT_COMPARED.contains(&entry.name.as_str()) {
            return;
        }
        let file = format!("activations/{}.tsv", entry.name);
        let size = input_size(&entry.name);
        let model = Model::new(&entry.architecture, lively_weights(&entry.architecture), Device::Cpu).unwrap();
        let trace = model.trace(size).unwrap();
        let expected = table(&file);
        // PyTorch has no hook on the input, which is our first call.
        assert_eq!(trace.calls.len() - 1, expected.len(), "number of calls in {}", entry.name);
        let calls: Vec<_> = (1..trace.calls.len()).collect();
        let mut seen = 0;
        let mut compare = |slot: usize, y: &Tensor| {
            let module = &model.manifest.modules[trace.calls[slot + 1].module.0].name;
            check(&format!("{} call {slot}", entry.name), module, y, &expected[slot]);
            seen += 1;
            Ok(())
        };
        model.run(&Plan::new(&trace, &calls), &test_input(size[0] as i64), &mut compare).unwrap();
        assert_eq!(seen, expected.len());
    });
}

fn check(place: &str, module: &str, y: &Tensor, expected: &[String]) {
    assert_eq!(module, expected[0], "{place}");
    let shape: Vec<_> = y.size().iter().map(i64::to_string).collect();
    assert_eq!(shape.join("x"), expected[1], "{place}, {module}");
    let numbers: Vec<f64> = expected[2..].iter().map(|number| number.parse().unwrap()).collect();
    let [scale, mean, samples @ ..] = &numbers[..] else { panic!("{expected:?}") };
    let y = y.to_kind(tch::Kind::Double).flatten(0, -1);
    let near = |found: f64, expected: f64, what: &str| {
        assert!((found - expected).abs() <= TOLERANCE * scale, "{place}, {module}, {what}: {found} instead of {expected}");
    };
    near(y.abs().max().double_value(&[]), *scale, "largest absolute value");
    near(y.mean(None).double_value(&[]), *mean, "mean");
    for (i, &sample) in samples.iter().enumerate() {
        let at = (2 * i + 1) * y.numel() / (2 * samples.len());
        near(y.double_value(&[at as i64]), sample, &format!("value {at}"));
    }
}
