//! Weights from files, models of one's own, and what odd weights do.

use crate::assert_output;
use crate::lab::Lab;
use safetensors::tensor::{Dtype, TensorView};
use sha2::Digest;
use std::fs;
use std::path::Path;
use tch::Kind;
use thingsvision::npy;
use thingsvision::registry::Registry;

#[test]
fn pretrained_weights_are_not_replaced_by_random_ones() {
    assert_output!(Lab::new().fail("extract --model alexnet --images images"), @"
    error: the weights of `alexnet` are not on this machine, and --offline or THINGSVISION_OFFLINE is set

    hint: download https://download.pytorch.org/models/alexnet-owt-7be5be79.pth elsewhere and run
          thingsvision weights import alexnet-owt-7be5be79.pth --model alexnet
    ");
}

#[test]
fn weights_come_from_a_file_or_not_at_all() {
    let lab = Lab::new();
    let extract = "extract --model alexnet --images images --weights";
    assert_output!(lab.fail(&format!("{extract} randm")), @"
    error: there is no weights file `randm`

    hint: `--weights` takes `pretrained`, `random`, or the path of a .pth, .pt or .safetensors file
    ");
    let checkpoint = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints/zip.pth");
    fs::copy(checkpoint, lab.path("mine.pth")).unwrap();
    assert_output!(lab.fail(&format!("{extract} mine.pth")), @"
    error: the weights in `mine.pth` do not fit `alexnet`: of 16 tensors: 16 missing (features.0.weight, features.0.bias, features.3.weight, …), 6 unexpected (0.weight, 1.bias, 1.num_batches_tracked, …)

    hint: it must hold the weights of `alexnet` (torchvision)
    ");
    assert!(lab.fail(&format!("{extract} images/a/one.png")).contains("cannot read weights from `images/a/one.png`"));
}

/// Writes ResNet-18 weights to `path`: those of the seed, or zeros.
fn save_resnet18(path: &Path, seed: Option<u64>) {
    save("resnet18", path, seed);
}

/// Writes weights of a model to `path`: those of the seed, or zeros.
fn save(model: &str, path: &Path, seed: Option<u64>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let registry = Registry::load(None).unwrap();
    let architecture = &registry.choose(model).unwrap().entry.architecture;
    let state = seed.map(|seed| architecture.seeded_weights(seed).unwrap());
    let tensors: Vec<_> =
        architecture.manifest().unwrap().tensors.iter().filter(|tensor| tensor.kind == Kind::Float).cloned().collect();
    let bytes = tensors.iter().map(|entry| {
        let mut bytes = vec![0; entry.shape.iter().product::<i64>() as usize * 4];
        if let Some(state) = &state {
            state[&entry.key].copy_data_u8(&mut bytes, state[&entry.key].numel());
        }
        bytes
    });
    let bytes: Vec<_> = bytes.collect();
    let views = tensors.iter().zip(&bytes).map(|(entry, bytes)| {
        let shape = entry.shape.iter().map(|&size| size as usize).collect();
        (entry.key.as_str(), TensorView::new(Dtype::F32, shape, bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

#[test]
fn weights_from_a_file_give_the_bytes_of_the_same_weights_drawn() {
    let lab = Lab::new();
    save_resnet18(&lab.path("mine.safetensors"), Some(5));
    let extract = "extract --model resnet18 --images images --layer layer2 --weights";
    assert_eq!(lab.succeed(&format!("{extract} mine.safetensors")).stdout, "activations/resnet18.mine\n");
    lab.succeed(&format!("{extract} random --seed 5"));
    assert_eq!(lab.bytes("activations/resnet18.mine/layer2.npy"), lab.bytes("activations/resnet18.random-5/layer2.npy"));
}

#[test]
fn weights_of_another_model_are_recognised() {
    let lab = Lab::new();
    save_resnet18(&lab.path("mine.safetensors"), Some(5));
    assert_output!(lab.fail("extract --model resnet34 --images images --weights mine.safetensors"), @"
    error: the weights in `mine.safetensors` do not fit `resnet34`: of 218 tensors: 80 missing (layer1.2.conv1.weight, layer1.2.bn1.weight, layer1.2.bn1.bias, …)

    hint: the file fits `resnet18`, `robust-resnet18`
    ");
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let lab = Lab::new();
    save_resnet18(&lab.path("mine.safetensors"), Some(5));
    let mut bytes = lab.bytes("mine.safetensors");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(lab.path("mine.safetensors"), bytes).unwrap();
    let said = lab.fail("extract --model resnet18 --images images --weights mine.safetensors");
    assert!(said.contains("in `mine.safetensors` has values that are not finite"), "{said}");
}

#[test]
fn constant_rows_have_no_rdm_but_the_activations_are_whole() {
    let lab = Lab::new();
    save_resnet18(&lab.path("zero.safetensors"), None);
    let outcome =
        lab.run("-q extract --model resnet18 --images images --layer input --layer layer2 --layer fc --weights zero.safetensors");
    assert_eq!(outcome.code, Some(1));
    assert_output!(outcome, @"
    exit Some(1)
    --- stdout
    activations/resnet18.zero
    --- stderr
    error: the activations are whole, but there is no RDM of `layer2`, `fc`: all units have the same value, so a correlation is not defined, in `a/one.png`, `a/two.png`, `b/five.jpg`, `b/four.png`, `b/three.png`

    hint: take another layer for an RDM, store NaN for these stimuli (--on-constant nan), or leave them out (--on-constant drop)
    ");
    insta::assert_debug_snapshot!(lab.names("activations/resnet18.zero"), @r#"
    [
        "fc.npy",
        "images.sha256",
        "images.txt",
        "input.npy",
        "input.rdm.npy",
        "layer2.npy",
        "run.json",
    ]
    "#);
    let record: serde_json::Value = serde_json::from_slice(&lab.bytes("activations/resnet18.zero/run.json")).unwrap();
    assert_eq!(record["complete"], true);
    assert_eq!(record["layers"][1]["rdm"], serde_json::Value::Null);
}

#[test]
fn constant_rows_get_nan_on_request() {
    let lab = Lab::new();
    save_resnet18(&lab.path("zero.safetensors"), None);
    lab.succeed("extract --model resnet18 --images images --layer fc --weights zero.safetensors --on-constant nan");
    let rdm = npy::read(&lab.path("activations/resnet18.zero/fc.rdm.npy")).unwrap();
    for ((i, j), distance) in (0..5).flat_map(|i| (0..5).map(move |j| (i, j))).zip(&rdm) {
        assert!(if i == j { *distance == 0.0 } else { distance.is_nan() }, "{i} {j} {distance}");
    }
}

#[test]
fn a_registry_adds_models_of_ones_own() {
    let lab = Lab::new();
    save_resnet18(&lab.path("mine/weights.safetensors"), Some(2));
    let registry = |sha256: &str| {
        let text = format!(
            r#"
            [[model]]
            name = "my-resnet"
            architecture = {{ family = "resnet", block = "basic", depths = [2, 2, 2, 2] }}
            default_layer = "layer4"
            [[model.weights]]
            tag = "mine"
            file = "weights.safetensors"
            {sha256}
            preprocessing = "small"
            [preprocessing.small]
            resize = 64
            interpolation = "lanczos"
            crop = 48
            mean = [0.5, 0.5, 0.5]
            std = [0.5, 0.5, 0.5]
            "#
        );
        fs::write(lab.path("mine/models.toml"), text).unwrap();
    };
    registry("");
    let extract = "extract --registry mine/models.toml --model my_resnet --images images";
    lab.succeed(&format!("{extract} --weights pretrained"));
    assert_eq!(npy::read(&lab.path("activations/my-resnet/layer4.npy")).unwrap().shape(), [5, 512, 2, 2]);
    assert!(lab.succeed("models --registry mine/models.toml").stdout.contains("my-resnet"));
    registry("sha256 = \"0123\"");
    assert!(lab.fail(&format!("{extract} --force")).contains("is not the file of the registry"));
    registry("shasum = \"0123\"");
    let said = lab.fail(&format!("{extract} --force"));
    assert!(said.contains("the registry `mine/models.toml` cannot be used") && said.contains("unknown field `shasum`"), "{said}");
}

#[test]
fn a_network_that_overflows_is_an_error_that_counts() {
    let lab = Lab::new();
    save_resnet18(&lab.path("large.safetensors"), Some(3));
    let mut bytes = lab.bytes("large.safetensors");
    let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize + 8;
    for value in bytes[header..].as_chunks_mut::<4>().0 {
        // Variances stay what they are.
        let number = f32::from_le_bytes(*value);
        *value = if number == 1.0 { number } else { number * 1e12 }.to_le_bytes();
    }
    fs::write(lab.path("large.safetensors"), bytes).unwrap();
    let extract = "-q extract --model resnet18 --images images --layer layer3 --layer fc --weights large.safetensors --rdm none";
    let outcome = lab.run(extract);
    assert_eq!((outcome.code, &*outcome.stdout), (Some(1), "activations/resnet18.large\n"), "{outcome}");
    assert!(outcome.stderr.starts_with("error: there are infinities or NaN among the activations: `"), "{outcome}");
    let counts = || -> Vec<u64> {
        let record: serde_json::Value = serde_json::from_slice(&lab.bytes("activations/resnet18.large/run.json")).unwrap();
        let layers = record["layers"].as_array().unwrap();
        layers.iter().map(|layer| layer["nonfinite"].as_u64().unwrap_or(0)).collect()
    };
    let fused = counts();
    let of = |layer: &str| {
        let values = thingsvision::npy::read(&lab.path(&format!("activations/resnet18.large/{layer}.npy"))).unwrap();
        values.iter().filter(|value| !value.is_finite()).count() as u64
    };
    assert_eq!(fused, [of("layer3"), of("fc")]);
    assert!(fused[1] > 0, "{fused:?}");
    // Again it is told, unless it is wanted; and modules by themselves overflow at the same places.
    assert_eq!(lab.run(extract).code, Some(1));
    lab.succeed(&format!("{extract} --allow-nonfinite"));
    let said = lab.succeed(&format!("{} --allow-nonfinite --exact --force", extract.trim_start_matches("-q ")));
    assert!(said.stderr.contains("there are infinities or NaN among the activations: `"), "{said}");
    assert_eq!(counts()[1], fused[1]);
}

/// A registry of ResNet-18 with two published files, by their hashes.
fn registry_of(lab: &Lab, files: [&str; 2]) {
    let hash = |file: &str| format!("{:x}", sha2::Sha256::digest(lab.bytes(file)));
    let mut text = "[[model]]\nname = 'mine'\narchitecture = { family = 'resnet', depths = [2, 2, 2, 2], block = 'basic' }\n\
                    default_layer = 'fc'\nlicence = 'ours'\ncitation = 'us'\n"
        .to_owned();
    for (file, (tag, preprocessing)) in files.iter().zip([("v1", "imagenet"), ("v2", "imagenet-v2")]) {
        let hash = hash(file);
        text += &format!("[[model.weights]]\ntag = '{tag}'\nsha256 = '{hash}'\npreprocessing = '{preprocessing}'\n");
    }
    fs::write(lab.path("my.toml"), text).unwrap();
}

#[test]
fn a_file_that_is_known_by_its_hash_brings_what_belongs_to_it() {
    let lab = Lab::new();
    save_resnet18(&lab.path("one.safetensors"), Some(1));
    save_resnet18(&lab.path("two.safetensors"), Some(2));
    save_resnet18(&lab.path("three.safetensors"), Some(3));
    registry_of(&lab, ["one.safetensors", "two.safetensors"]);
    let extract = |model: &str, file: &str| {
        lab.run(&format!("--registry my.toml extract --model {model} --weights {file} --images images/a --layer fc --rdm none"))
    };
    let record = |folder: &str| -> serde_json::Value {
        serde_json::from_slice(&lab.bytes(&format!("activations/{folder}/run.json"))).unwrap()
    };
    let said = extract("mine", "two.safetensors");
    assert!(said.stderr.contains("…, that of v2)\n") && said.stderr.contains("resize 232 "), "{said}");
    let found = record("mine.two");
    assert_eq!((&found["weights"]["tag"], &found["weights"]["licence"]), (&"v2".into(), &"ours".into()));
    assert_eq!((&found["weights"]["citation"], &found["preprocessing"]["resize"]), (&"us".into(), &232.into()));
    assert!(extract("mine", "one.safetensors").stderr.contains("resize 256 "));
    extract("mine", "three.safetensors");
    assert_eq!(record("mine.three")["weights"]["tag"], serde_json::Value::Null);
    assert_output!(extract("mine.v1", "two.safetensors"), @"
    exit Some(1)
    --- stdout
    --- stderr
    error: `two.safetensors` is the file of `mine.v2`, by its SHA-256, and not of `mine.v1`

    hint: take --model mine.v2
    ");
    assert!(extract("resnet18", "two.safetensors").stderr.ends_with("hint: take --model mine\n"));
    // ResNet-18 has a double in timm.
    let said = extract("resnet18", "three.safetensors").stderr;
    assert!(
        said.contains("keys and shapes are those of timm's resnetblur18 too: nothing in the file tells which it is\n"),
        "{said}"
    );
    assert!(!extract("mine", "three.safetensors").stderr.contains("keys and shapes"));
}

#[test]
fn whether_a_network_rescales_images_is_told_by_its_name() {
    let lab = Lab::new();
    // With the auxiliary classifiers, as published files have them: torchvision drops these when it has loaded one.
    save("googlenet", &lab.path("mine.safetensors"), Some(0));
    let extract = |model: &str| {
        format!("extract --images images/a --rdm none --weights mine.safetensors --layer conv1.conv --model {model}")
    };
    assert_output!(lab.fail(&extract("googlenet")), @"
    error: `mine.safetensors` does not tell whether its network rescales images itself (torchvision's transform_input)

    hint: torchvision's pretrained ones do, and those trained on from them: --model googlenet.imagenet1k_v1; for one that does not, write a registry with its architecture (docs/models.md)
    ");
    lab.succeed(&extract("googlenet.imagenet1k_v1"));
    let registry = "[[model]]\nname = \"plain\"\narchitecture = { family = \"googlenet\" }\ndefault_layer = \"avgpool\"\n\
                    [[model.weights]]\ntag = \"own\"\npreprocessing = \"imagenet\"\n";
    fs::write(lab.path("my.toml"), registry).unwrap();
    lab.succeed(&format!("--registry my.toml {}", extract("plain")));
    let values = |run: &str| thingsvision::npy::read(&lab.path(&format!("activations/{run}/conv1.conv.npy"))).unwrap();
    assert_ne!(values("googlenet.imagenet1k_v1.mine"), values("plain.mine"));
    // Random weights are those of the constructor, which rescales nothing; of the tag, those of the network that the tag is for.
    let layers = |model: &str| {
        lab.succeed(&format!("extract --images images/a --rdm none --weights random --layer conv1.conv --model {model}"))
    };
    layers("googlenet");
    layers("googlenet.imagenet1k_v1");
    assert_eq!(values("googlenet.random-0"), values("plain.mine"));
    assert_ne!(values("googlenet.imagenet1k_v1.random-0"), values("plain.mine"));
}

#[test]
fn numbers_that_no_checkpoint_tells_are_recorded_and_are_those_of_the_tag() {
    let lab = Lab::new();
    let registry = |model: &str| fs::write(lab.path("my.toml"), format!("[[model]]\n{model}")).unwrap();
    let weights = |tag: &str| format!("[[model.weights]]\ntag = \"{tag}\"\npreprocessing = \"clip\"\n");
    let extract = |model: &str| {
        format!("--registry my.toml extract --model {model} --weights random --images images/a --rdm none --crop 32")
    };
    let record = |run: &str| -> serde_json::Value {
        serde_json::from_slice(&fs::read(lab.path(&format!("activations/{run}/run.json"))).unwrap()).unwrap()
    };
    let clip = |activation: &str| {
        let numbers = "family = \"clip\", tower = \"vit\", patch = 16, resolution = 32, depth = 1, width = 64, outputs = 8";
        format!("architecture = {{ {numbers}, activation = \"{activation}\" }}\n")
    };
    let (quick, gelu) = (clip("quickgelu"), clip("gelu"));
    registry(&format!("name = \"mine\"\ndefault_layer = \"visual\"\n{quick}{}{}{gelu}", weights("one"), weights("two")));
    lab.succeed(&extract("mine.one"));
    lab.succeed(&extract("mine.two"));
    assert_eq!(record("mine.one.random-0")["activation"], "quickgelu");
    assert_eq!(record("mine.two.random-0")["activation"], "gelu");
    // The same name for a network of other numbers: what is there is not what is asked for.
    let net = |eps: &str| {
        let stages = "stages = [[\"separate\", 1, 3, 1, 8, 1]], stem = 8, classes = 2";
        format!(
            "name = \"net\"\ndefault_layer = \"avgpool\"\narchitecture = {{ family = \"efficientnet\", {stages}, eps = {eps} }}\n{}",
            weights("one")
        )
    };
    registry(&net("1e-3"));
    lab.succeed(&extract("net"));
    assert_eq!(lab.succeed(&extract("net")).stdout, "activations/net.random-0\n");
    registry(&net("1e-5"));
    assert!(
        lab.fail(&extract("net")).contains("there is another run in `activations/net.random-0`: architecture: Efficientnet(")
    );
}

#[test]
fn a_name_that_may_be_that_of_weights_is_refused() {
    let lab = Lab::new();
    let entry = |name: &str, tags: &[&str]| {
        let head =
            format!("[[model]]\nname = \"{name}\"\narchitecture = {{ family = \"alexnet\" }}\ndefault_layer = \"avgpool\"\n");
        head + &tags
            .iter()
            .map(|tag| format!("[[model.weights]]\ntag = \"{tag}\"\npreprocessing = \"clip\"\n"))
            .collect::<String>()
    };
    for (registry, said) in [
        (entry("resnet50-imagenet1k-v2", &["mine"]), "the name `resnet50-imagenet1k-v2` may be a model or a model with a tag"),
        (entry("mine", &["lr0.1", "lr0-1"]), "the tags `lr0.1` and `lr0-1` are one name"),
    ] {
        fs::write(lab.path("my.toml"), registry).unwrap();
        let error = lab.fail("--registry my.toml models");
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn an_activation_function_that_no_checkpoint_tells_is_told() {
    let lab = Lab::new();
    let registry = Registry::load(None).unwrap();
    let architecture = &registry.choose("clip-vit").unwrap().entry.architecture;
    let state = architecture.seeded_weights(0).unwrap();
    let bytes: Vec<_> = state
        .iter()
        .map(|(key, tensor)| {
            let mut bytes = vec![0; tensor.numel() * 4];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            (key, tensor.size().iter().map(|size| *size as usize).collect::<Vec<_>>(), bytes)
        })
        .collect();
    let views =
        bytes.iter().map(|(key, shape, bytes)| (key.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, &lab.path("vit.safetensors")).unwrap();
    let extract = "extract --model clip-vit --weights vit.safetensors --images images/a --rdm none";
    assert_output!(lab.fail(extract), @"
    error: `vit.safetensors` fits `clip-vit`, but does not tell which activation function its weights were trained with

    hint: say it: --activation quickgelu (as OpenAI's, and OpenCLIP's that are called so) or --activation gelu (OpenCLIP's others, as all of LAION's); a registry may say it too
    ");
    let values = |out: &str| thingsvision::npy::read(&lab.path(&format!("{out}/visual.npy"))).unwrap();
    let said = lab.succeed(&format!("{extract} --activation gelu --out gelu"));
    assert!(said.stderr.contains("with gelu, which no checkpoint tells\n"), "{said}");
    lab.succeed(&format!("{extract} --activation quickgelu --out quick"));
    lab.succeed("extract --model clip-vit --weights random --images images/a --rdm none --out random");
    assert_eq!(values("quick/clip-vit.vit"), values("random/clip-vit.random-0"));
    assert_ne!(values("gelu/clip-vit.vit"), values("quick/clip-vit.vit"));
    let path = lab.path("quick/clip-vit.vit/run.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(record["activation"], "quickgelu");
    // As before it was recorded.
    record.as_object_mut().unwrap().remove("activation");
    fs::write(&path, record.to_string()).unwrap();
    let said = lab.succeed(&format!("{extract} --activation quickgelu --out quick"));
    assert!(said.stderr.contains("is there already"), "{said}");
    assert!(lab.fail(&format!("{extract} --activation gelu --out quick")).contains("activation: gelu, was null"));
    let wrong = "extract --model alexnet --weights random --activation gelu --images images";
    assert!(lab.fail(wrong).contains("--activation is of no effect on `alexnet`"));
    // The registry may say it.
    let text = "[[model]]\nname = 'mine'\narchitecture = { family = 'clip', tower = 'vit', patch = 32, resolution = 224, depth = 12, \
                width = 768, outputs = 512, activation = 'gelu' }\ndefault_layer = 'visual'\n\
                [[model.weights]]\ntag = 'a'\nfile = 'vit.safetensors'\npreprocessing = 'clip'\n";
    fs::write(lab.path("my.toml"), text).unwrap();
    lab.succeed("--registry my.toml extract --model mine --images images/a --rdm none");
    assert_eq!(values("activations/mine"), values("gelu/clip-vit.vit"));
    fs::write(lab.path("my.toml"), text.replace(", activation = 'gelu'", "")).unwrap();
    let said = lab.fail("--registry my.toml extract --model mine --images images/a --rdm none --out other");
    assert!(said.contains("`mine` fits `mine`, but does not tell") || said.contains("does not tell which activation"), "{said}");
}

#[test]
fn a_tag_given_for_a_file_is_recognised() {
    let lab = Lab::new();
    assert_output!(lab.fail("extract --model resnet50 --images images --weights IMAGENET1K_V2"), @"
    error: there is no weights file `IMAGENET1K_V2`

    hint: published weights are named with the model: --model resnet50.imagenet1k_v2
    ");
}
