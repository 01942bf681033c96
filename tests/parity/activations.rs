//! The output of every call of every module, for seeded weights and a closed-form input.

use crate::{input_size, registry, table};
use std::cell::LazyCell;
use tch::{Device, Kind, Tensor};
use thingsvision::models::{Architecture, Model};
use thingsvision::nn::{Plan, StateDict};
use thingsvision::registry::{Choice, Registry};

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

/// As `COMPARED` of make_fixtures.py: the others differ from one of these in numbers only.
const COMPARED: [&str; 61] = [
    "alexnet",
    "vgg11",
    "vgg13-bn",
    "vgg16-bn",
    "vgg19-bn",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "wide-resnet50-2",
    "resnext50-32x4d",
    "cornet-s",
    "cornet-z",
    "cornet-r",
    "cornet-rt",
    "clip-rn",
    "clip-rn50x4",
    "clip-vit",
    "clip-vit-b-16",
    "clip-vit-l-14",
    "openclip-rn50",
    "openclip-vit-b-32",
    "openclip-vit-b-32.laion400m_e32",
    "small-openclip-vit",
    "small-openclip-rn",
    "vit-b-16",
    "vit-b-32",
    "densenet121",
    "squeezenet1-0",
    "squeezenet1-1",
    "googlenet",
    "googlenet.imagenet1k_v1",
    "inception-v3",
    "mobilenet-v2",
    "mobilenet-v3-small",
    "mnasnet0-5",
    "shufflenet-v2-x0-5",
    "efficientnet-b0",
    "efficientnet-v2-s",
    "regnet-x-400mf",
    "regnet-y-400mf",
    "convnext-tiny",
    "swin-t",
    "swin-v2-t",
    "maxvit-t",
    "vit-tiny-patch16",
    "deit-tiny-distilled",
    "deit3-small",
    "dino-vits16",
    "dinov2-vits14",
    "dinov2-vits14-reg",
    "siglip-base-patch16",
    "dinov3-vits16",
    "dinov3-vits16plus",
    "eva02-tiny",
    "eva02-base",
    "dinov3-convnext-tiny",
    "convnext-v2-atto",
    "convnext-v2-tiny",
    "mae-vitb16-finetuned",
];

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

/// All outputs wanted, so nothing is computed together: with PyTorch's operations, and with the fast kernels, of convolutions both.
#[test]
fn every_call_of_every_module_equals_pytorch() {
    for name in COMPARED {
        let expected = table(&format!("activations/{name}.tsv"));
        for model in three_ways(name) {
            compare_every_call(name, &model, input_size(name), &expected);
        }
    }
}

/// As `OTHER_SIZES` of make_fixtures.py.
const OTHER_SIZES: [(&str, usize); 3] = [("vit-tiny-patch16", 288), ("dino-vits16", 250), ("eva02-tiny", 280)];

#[test]
fn positions_are_interpolated_as_upstream_does() {
    for (name, side) in OTHER_SIZES {
        let model = network(name);
        assert!(model.trace([side; 2]).unwrap().interpolation.is_some(), "{name}");
        assert_eq!(model.trace(input_size(name)).unwrap().interpolation, None, "{name}");
        compare_every_call(name, &model, [side; 2], &table(&format!("activations/{name}.{side}.tsv")));
    }
}

#[test]
fn a_network_of_every_family_is_compared() {
    let families = |names: &[&str]| -> Vec<&str> { names.iter().map(|name| architecture(name).family_name()).collect() };
    let (compared, fused) = (families(&COMPARED), families(&FUSED));
    for entry in &Registry::load(None).unwrap().models {
        let family = entry.architecture.family_name();
        assert!(compared.contains(&family), "{family}");
        assert!(fused.contains(&family), "{family}, fused");
    }
}

/// What the upstream constructor makes, or, of a name with a tag, what these weights are for.
fn architecture(name: &str) -> Architecture {
    let registry = registry();
    let choice = registry.choose(name).unwrap();
    let as_trained = Choice { activation: choice.weights.activation, ..choice };
    if choice.tagged { as_trained.architecture() } else { choice.entry.architecture.clone() }
}

fn network(name: &str) -> Model {
    let [default, ..] = three_ways(name);
    default
}

/// By default, direct and exact, each with memory of its own: what is laid out for one is not for another.
fn three_ways(name: &str) -> [Model; 3] {
    let architecture = architecture(name);
    let weights = lively_weights(&architecture);
    let model = || {
        let weights = weights.iter().map(|(key, tensor)| (key.clone(), tensor.shallow_clone())).collect();
        Model::new(&architecture, weights, Device::Cpu).unwrap()
    };
    [model(), model().direct(), model().exact()]
}

fn compare_every_call(name: &str, model: &Model, size: [usize; 2], expected: &[Vec<String>]) {
    let trace = model.trace(size).unwrap();
    // PyTorch has no hook on the input, which is our first call.
    assert_eq!(trace.calls.len() - 1, expected.len(), "number of calls in {name}");
    let calls: Vec<_> = (1..trace.calls.len()).collect();
    let mut seen = 0;
    let mut compare = |slot: usize, y: &Tensor| {
        let call = &trace.calls[slot + 1];
        let module = &model.manifest().modules[call.module.0].name;
        assert_eq!(y.size()[1..], call.shape[1..], "{name}: {module} in the dry run");
        check(&format!("{name} call {slot}"), module, y, &expected[slot]);
        seen += 1;
        Ok(())
    };
    model.run(&Plan::new(&trace, &calls), &test_input(size[0] as i64), &mut compare).unwrap();
    assert_eq!(seen, expected.len());
}

/// One of each family and kind of block.
const FUSED: [&str; 34] = [
    "alexnet",
    "vgg11",
    "vgg16-bn",
    "resnet18",
    "resnet50",
    "resnext50-32x4d",
    "cornet-s",
    "cornet-z",
    "cornet-rt",
    "clip-rn",
    "clip-vit",
    "small-openclip-rn",
    "small-openclip-vit",
    "vit-b-32",
    "densenet121",
    "squeezenet1-0",
    "googlenet",
    "inception-v3",
    "mobilenet-v2",
    "mobilenet-v3-small",
    "mnasnet0-5",
    "shufflenet-v2-x0-5",
    "efficientnet-b0",
    "regnet-y-400mf",
    "convnext-tiny",
    "swin-t",
    "swin-v2-t",
    "maxvit-t",
    "vit-tiny-patch16",
    "dino-vits16",
    "dinov2-vits14",
    "dinov3-vits16plus",
    "convnext-v2-atto",
    "convnext-v2-tiny",
];

/// Of the layer's scale.
const FUSED_TOLERANCE: f64 = 1e-5;

/// Modules that are computed together give what they give one by one, whichever outputs are wanted. Both are as far from
/// float64, half as far as is allowed; where both happen to be so on different sides, float64 is what counts.
#[test]
fn fused_equals_plain() {
    for network_name in FUSED {
        let size = input_size(network_name);
        let [fused, direct, plain] = three_ways(network_name);
        let trace = plain.trace(size).unwrap();
        let images = test_input(size[0] as i64);
        let outputs = |model: &Model, calls: &[usize]| {
            let mut kept = Vec::new();
            let plan = Plan::new(&trace, calls);
            let mut keep = |_, y: &Tensor| {
                kept.push(y.contiguous());
                Ok(())
            };
            model.run(&plan, &model.take(&images).unwrap(), &mut keep).unwrap();
            kept
        };
        let all: Vec<_> = (0..trace.calls.len()).collect();
        let expected = outputs(&plain, &all);
        let float64 = LazyCell::new(|| {
            let architecture = architecture(network_name);
            let weights = lively_weights(&architecture);
            outputs(&Model::of_kind(&architecture, weights, Device::Cpu, Kind::Double).unwrap(), &all)
        });
        let sets = [(0, 1), (0, 3), (1, 3), (2, 3), (3, 7), (trace.calls.len() - 1, 1)];
        for (first, step) in sets {
            let calls: Vec<_> = (first..trace.calls.len()).step_by(step).collect();
            for (call, y) in calls.iter().zip(outputs(&fused, &calls)).chain(calls.iter().zip(outputs(&direct, &calls))) {
                let name = plain.manifest().layer_name(trace.calls[*call].module);
                let scale = expected[*call].abs().max().double_value(&[]);
                let error = |other: &Tensor| (&y - other).abs().max().double_value(&[]);
                let bound = FUSED_TOLERANCE * scale;
                let is_close = error(&expected[*call]) <= bound || error(&float64[*call]) <= bound;
                assert!(is_close, "{network_name}, {name}, call {call}: {} of {scale}", error(&expected[*call]));
            }
        }
    }
}

/// Weights as training leaves them: batch norms know their inputs, whose channels differ by 1e4 in scale and have means beside 0;
/// one in 16 is dead.
fn trained_like(name: &str, images: &Tensor) -> StateDict {
    let architecture = architecture(name);
    let mut weights = architecture.seeded_weights(0).unwrap();
    let double = |weights: &StateDict| {
        let weights = weights.iter().map(|(key, tensor)| (key.clone(), tensor.shallow_clone())).collect();
        Model::of_kind(&architecture, weights, Device::Cpu, Kind::Double).unwrap()
    };
    let model = double(&weights);
    let size = [images.size()[2] as usize, images.size()[3] as usize];
    let (trace, manifest) = (model.trace(size).unwrap(), architecture.manifest().unwrap());
    let module = |call: usize| manifest.modules.get(trace.calls[call].module.0);
    for call in 1..trace.calls.len() {
        let Some(norm) = module(call).filter(|entry| entry.class == "BatchNorm2d") else { continue };
        let conv = module(call - 1).unwrap();
        assert_eq!(conv.class, "Conv2d");
        let mut input = None;
        let mut keep = |_, y: &Tensor| {
            input = Some(y.copy());
            Ok(())
        };
        let model = double(&weights);
        model.run(&Plan::new(&trace, &[call - 1]), &model.take(images).unwrap(), &mut keep).unwrap();
        let channels = input.unwrap().transpose(0, 1).flatten(1, -1);
        let (c, float) = (channels.size()[0], |tensor: Tensor| tensor.to_kind(Kind::Float));
        let mut seed = call as f64;
        let mut drawn = |from: f64, to: f64| {
            seed += 0.1;
            chaos(seed, &[c]).abs() * (to - from) + from
        };
        let dead = Tensor::arange(c, (Kind::Int64, Device::Cpu)).remainder(16).eq(5).to_kind(Kind::Float);
        let scale = Tensor::from(10.0f32).pow(&drawn(-2.0, 2.0)) * (1.0 - &dead);
        let (mean, var) = (float(channels.mean_dim(1, false, Kind::Double)), float(channels.var_dim(1, false, false)));
        let mut set = |key: String, tensor: Tensor| weights.insert(key, tensor);
        let kernel = format!("{}.weight", conv.name);
        set(format!("{}.running_mean", norm.name), mean * &scale);
        set(format!("{}.running_var", norm.name), var * &scale * &scale);
        set(format!("{}.weight", norm.name), drawn(0.1, 2.0));
        set(format!("{}.bias", norm.name), drawn(-0.5, 0.5));
        let scaled = &weights[&kernel] * scale.view([-1, 1, 1, 1]);
        weights.insert(kernel, scaled);
        let bias = format!("{}.bias", conv.name);
        if let Some(tensor) = weights.get(&bias) {
            let scaled = tensor * &scale;
            weights.insert(bias, scaled);
        }
    }
    weights
}

/// With such weights PyTorch's own float32 is far from float64; by default a network is at most twice as far, by the root of the
/// mean square of the layer where it is largest. (The single largest difference hangs on one number.)
#[test]
fn with_weights_as_training_leaves_them_float64_is_about_as_near_as_to_pytorch() {
    for name in ["resnet18", "vgg11-bn", "resnet50"] {
        let images = lively_images();
        let size = [images.size()[2] as usize, images.size()[3] as usize];
        let weights = trained_like(name, &images);
        let outputs = |kind: Kind, way: usize| -> Vec<Tensor> {
            let weights = weights.iter().map(|(key, tensor)| (key.clone(), tensor.shallow_clone())).collect();
            let model = Model::of_kind(&architecture(name), weights, Device::Cpu, kind).unwrap();
            let model = [Model::exact, Model::direct, |model| model][way](model);
            let trace = model.trace(size).unwrap();
            let all: Vec<_> = (1..trace.calls.len()).collect();
            let mut kept = Vec::new();
            let mut keep = |_, y: &Tensor| {
                kept.push(y.to_kind(Kind::Double).contiguous());
                Ok(())
            };
            model.run(&Plan::new(&trace, &all), &model.take(&images).unwrap(), &mut keep).unwrap();
            kept
        };
        let expected = outputs(Kind::Double, 0);
        let worst = |found: Vec<Tensor>| {
            let error = |(y, expected): (&Tensor, &Tensor)| {
                let scale = expected.abs().max().double_value(&[]);
                (y - expected).square().mean(Kind::Double).sqrt().double_value(&[]) / scale
            };
            found.iter().zip(&expected).map(error).fold(0.0, f64::max)
        };
        let [pytorch, direct, default] = [0, 1, 2].map(|way| worst(outputs(Kind::Float, way)));
        let said = format!("{name}: PyTorch's order {pytorch:e}, direct {direct:e}, default {default:e}");
        assert!(pytorch > 0.0 && default <= 2.0 * pytorch, "{said}");
    }
}

/// In bfloat16, which has three significant digits, networks give about what they give in float32, and nothing is left out of it.
#[test]
fn bfloat16_is_float32_to_two_digits() {
    const NEAR: f64 = 0.05;
    for name in ["alexnet", "resnet18", "clip-vit", "swin-t", "maxvit-t", "efficientnet-b0"] {
        let size = input_size(name);
        let (architecture, images) = (architecture(name), test_input(size[0] as i64));
        let trace = Model::without_weights(&architecture).unwrap().trace(size).unwrap();
        let [coarse, fine] = [Kind::BFloat16, Kind::Float].map(|kind| {
            let model = Model::of_kind(&architecture, lively_weights(&architecture), Device::Cpu, kind).unwrap();
            let mut kept = None;
            let mut keep = |_, y: &Tensor| {
                kept = Some(y.copy());
                Ok(())
            };
            model.run(&Plan::new(&trace, &[trace.calls.len() - 1]), &model.take(&images).unwrap(), &mut keep).unwrap();
            kept.unwrap()
        });
        assert_eq!(coarse.kind(), Kind::BFloat16);
        let error = (coarse.to_kind(Kind::Float) - &fine).abs().max().double_value(&[]) / fine.abs().max().double_value(&[]);
        assert!(error > 0.0 && error < NEAR, "{name}: {error}");
    }
}

/// Two pictures of smooth waves with a little noise.
fn lively_images() -> Tensor {
    let cpu = (Kind::Float, Device::Cpu);
    let waves = |step: f64| (Tensor::arange(96, cpu) * step).sin();
    let wave = waves(0.11).view([1, 1, 96, 1]) + waves(0.23).view([1, 1, 1, 96]);
    wave * chaos(0.0, &[2, 3, 1, 1]) * 2.0 + chaos(1.0, &[2, 3, 96, 96]) * 0.5
}

/// Numbers from −1 to 1 without order.
fn chaos(seed: f64, shape: &[i64]) -> Tensor {
    let counts = Tensor::arange(shape.iter().product::<i64>(), (Kind::Double, Device::Cpu));
    ((counts * 12.9898 + seed * 78.233).sin() * 43758.5453).frac().to_kind(Kind::Float).reshape(shape)
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
