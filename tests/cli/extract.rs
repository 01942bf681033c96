//! `thingsvision extract`: its files, its promises, and what bad input gets.

use crate::assert_output;
use crate::lab::Lab;
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use std::path::Path;
use tch::Kind;
use thingsvision::npy;
use thingsvision::registry::Registry;

const EXTRACT: &str = "extract --model alexnet --weights random --images images";

#[test]
fn a_run_says_what_it_does_and_writes_one_file_a_layer() {
    let lab = Lab::new();
    assert_output!(lab.succeed(&format!("{EXTRACT} --layer features.2 --layer classifier.*")), @"
    exit Some(0)
    --- stdout
    activations/alexnet.random-0
    --- stderr
      model     alexnet, weights random, seed 0 (as torch.manual_seed(0))
      pixels    as Pillow 13 and torchvision: resize 256 (bilinear), crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225
      layers    8 in one pass, which stops after classifier.6
      images    5 in 2 folders: 1 JPEG, 4 PNG
      writes    1.55 MB to activations ([space] free)
      runs on   cpu, [workers], batches of 16
      took      [time], [rate]; summed over workers: decoding [time], network [time], writing [time]
      RDMs      8 of 5 × 5, 1 − Pearson's r, in [time]
    ");
    insta::assert_debug_snapshot!(lab.names("activations/alexnet.random-0"), @r#"
    [
        "classifier.0.npy",
        "classifier.0.rdm.npy",
        "classifier.1.npy",
        "classifier.1.rdm.npy",
        "classifier.2.npy",
        "classifier.2.rdm.npy",
        "classifier.3.npy",
        "classifier.3.rdm.npy",
        "classifier.4.npy",
        "classifier.4.rdm.npy",
        "classifier.5.npy",
        "classifier.5.rdm.npy",
        "classifier.6.npy",
        "classifier.6.rdm.npy",
        "features.2.npy",
        "features.2.rdm.npy",
        "images.txt",
        "run.json",
    ]
    "#);
    assert_eq!(
        fs::read_to_string(lab.path("activations/alexnet.random-0/images.txt")).unwrap(),
        "a/one.png\na/two.png\nb/five.jpg\nb/four.png\nb/three.png\n"
    );
    assert_eq!(npy::read(&lab.path("activations/alexnet.random-0/features.2.npy")).unwrap().shape(), [5, 64, 27, 27]);
    assert_eq!(npy::read(&lab.path("activations/alexnet.random-0/features.2.rdm.npy")).unwrap().shape(), [5, 5]);
}

#[test]
fn the_default_is_the_penultimate_layer() {
    let lab = Lab::new();
    assert_eq!(lab.succeed(EXTRACT).stdout, "activations/alexnet.random-0\n");
    assert_eq!(lab.names("activations/alexnet.random-0"), ["classifier.5.npy", "classifier.5.rdm.npy", "images.txt", "run.json"]);
}

#[test]
fn the_record_says_how_it_was_made() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --layer avgpool --seed 3 --readout max --dtype f16 --rdm none --out o"));
    let mut record: serde_json::Value = serde_json::from_slice(&lab.bytes("o/alexnet.random-3/run.json")).unwrap();
    record["seconds"] = "…".into();
    record["image_root"] = "…".into();
    assert_output!(serde_json::to_string_pretty(&record).unwrap(), @r#"
    {
      "program": "thingsvision 0.1.0",
      "libtorch": "2.11.0",
      "complete": true,
      "model": "alexnet",
      "weights": {
        "kind": "random",
        "seed": 3
      },
      "preprocessing": {
        "resize": 256,
        "interpolation": "bilinear",
        "crop": 224,
        "mean": [
          0.485,
          0.456,
          0.406
        ],
        "std": [
          0.229,
          0.224,
          0.225
        ]
      },
      "readout": "max",
      "dtype": "f16",
      "device": "cpu",
      "batch_size": 16,
      "image_root": "…",
      "images": 5,
      "images_sha256": "7fdfb4725dfb83113e5aef91ae3fd2cc708e03a818d6c9137b1006eaf553389e",
      "layers": [
        {
          "name": "avgpool",
          "shape": [
            256
          ],
          "file": "avgpool.npy",
          "rdm": null
        }
      ],
      "seconds": "…"
    }
    "#);
}

#[test]
fn bytes_do_not_depend_on_the_number_of_workers() {
    let lab = Lab::new();
    let extract = format!("{EXTRACT} --layer features.0 --layer features.12 --layer classifier.4 --batch-size 2");
    lab.succeed(&format!("{extract} --workers 1 --out one"));
    lab.succeed(&format!("{extract} --workers 2 --out two"));
    lab.succeed(&format!("{extract} --workers 3 --out three"));
    for file in lab.names("one/alexnet.random-0").iter().filter(|file| file.ends_with(".npy")) {
        let one = lab.bytes(&format!("one/alexnet.random-0/{file}"));
        assert_eq!(one, lab.bytes(&format!("two/alexnet.random-0/{file}")), "{file}");
        assert_eq!(one, lab.bytes(&format!("three/alexnet.random-0/{file}")), "{file}");
    }
}

#[test]
fn a_row_does_not_depend_on_the_images_after_it() {
    let lab = Lab::new();
    let extract = "extract --model resnet18 --weights random --layer layer1 --layer avgpool --batch-size 4 --rdm none";
    lab.succeed(&format!("{extract} --images images --out five"));
    fs::remove_file(lab.path("images/b/three.png")).unwrap();
    lab.succeed(&format!("{extract} --images images --out four"));
    lab.succeed(&format!("{extract} --images images/a --out two"));
    for layer in ["layer1", "avgpool"] {
        let rows = |out: &str| npy::read(&lab.path(&format!("{out}/resnet18.random-0/{layer}.npy"))).unwrap();
        let (five, four, two) = (rows("five"), rows("four"), rows("two"));
        assert_eq!(five.slice(ndarray::s![..4, .., .., ..]), four.slice(ndarray::s![.., .., .., ..]), "{layer}");
        assert_eq!(five.slice(ndarray::s![..2, .., .., ..]), two.slice(ndarray::s![.., .., .., ..]), "{layer}");
    }
}

#[test]
fn readouts_are_what_numpy_would_make_of_the_activations() {
    let lab = Lab::new();
    for readout in ["none", "flatten", "mean", "max"] {
        lab.succeed(&format!("{EXTRACT} --layer features.5 --rdm none --readout {readout} --out {readout}"));
    }
    let read = |readout: &str| npy::read(&lab.path(&format!("{readout}/alexnet.random-0/features.5.npy"))).unwrap();
    let whole = read("none");
    assert_eq!(read("flatten").shape(), [5, 192 * 13 * 13]);
    assert_eq!(read("flatten").into_iter().collect::<Vec<_>>(), whole.clone().into_iter().collect::<Vec<_>>());
    let (mean, max) = (read("mean"), read("max"));
    for ((image, channel), map) in
        (0..5).flat_map(|n| (0..192).map(move |c| (n, c))).map(|at| (at, whole.slice(ndarray::s![at.0, at.1, .., ..])))
    {
        assert!((mean[[image, channel]] - map.mean().unwrap()).abs() < 1e-6);
        assert_eq!(max[[image, channel]], map.iter().copied().fold(f64::MIN, f64::max));
    }
}

#[test]
fn float16_is_float32_rounded() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --dtype f16 --out half"));
    lab.succeed(&format!("{EXTRACT} --out whole"));
    let read = |out: &str| npy::read(&lab.path(&format!("{out}/alexnet.random-0/classifier.5.npy"))).unwrap();
    for (half, whole) in read("half").into_iter().zip(read("whole")) {
        assert_eq!(half, half::f16::from_f64(whole).to_f64());
    }
}

#[test]
fn pretrained_weights_are_not_replaced_by_random_ones() {
    assert_output!(Lab::new().fail("extract --model alexnet --images images"), @"
    error: pretrained weights of `alexnet` cannot be fetched by this version

    hint: download https://download.pytorch.org/models/alexnet-owt-7be5be79.pth and give the file: --weights FILE;
          or run the untrained network: --weights random --seed 0
    ");
}

#[test]
fn a_run_is_replaced_only_by_force() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    let before = lab.bytes("activations/alexnet.random-0/classifier.5.npy");
    assert_output!(lab.fail(&format!("{EXTRACT} --layer features.0")), @"
    error: there is already a run in `activations/alexnet.random-0`

    hint: replace it with --force, or keep it and name another place with --out
    ");
    assert_eq!(lab.bytes("activations/alexnet.random-0/classifier.5.npy"), before);
    lab.succeed(&format!("{EXTRACT} --layer features.12 --force"));
    assert_eq!(lab.names("activations/alexnet.random-0"), ["features.12.npy", "features.12.rdm.npy", "images.txt", "run.json"]);
}

#[test]
fn force_does_not_touch_other_files() {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("activations/alexnet.random-0")).unwrap();
    fs::write(lab.path("activations/alexnet.random-0/notes.txt"), "mine").unwrap();
    assert_output!(lab.fail(&format!("{EXTRACT} --force")), @"
    error: `activations/alexnet.random-0` holds other files and no run

    hint: name another place with --out; --force replaces runs only
    ");
    assert_eq!(lab.names("activations/alexnet.random-0"), ["notes.txt"]);
}

#[test]
fn wrong_layers_are_answered_with_near_names() {
    let lab = Lab::new();
    assert_output!(lab.fail(&format!("{EXTRACT} --layer clasifier.5")), @"
    error: `alexnet` has no layer `clasifier.5`

    hint: did you mean `classifier.5`, `classifier.0` or `classifier.1`? `thingsvision layers --model alexnet` lists all 25
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --layer features.0@1")), @"
    error: `features.0` has no call 1

    hint: it is called once: `features.0`
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --layer layer4.*")), @"
    error: `alexnet` has no layer like `layer4.*`

    hint: `thingsvision layers --model alexnet` lists all
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --layer classifier.5 --readout mean")), @"
    error: `classifier.5` gives no picture to take a mean or maximum over: its shape is [4096]

    hint: readouts that fit: none or flatten; give layers of different kinds runs of their own
    ");
    assert!(lab.names("activations").is_empty());
}

#[test]
fn folders_without_images_are_refused() {
    let lab = Lab::new();
    fs::create_dir(lab.path("empty")).unwrap();
    let extract = "extract --model alexnet --weights random --images";
    assert_output!(lab.fail(&format!("{extract} empty")), @"
    error: there are no images in `empty`

    hint: give the folder that holds the JPEG or PNG files; its sub-folders are searched too
    ");
    assert_output!(lab.fail(&format!("{extract} imagse")), @"
    error: `imagse` does not exist

    hint: `--images` takes a folder of JPEG and PNG files
    ");
    assert_output!(lab.fail(&format!("{extract} images/a/one.png")), @"
    error: `images/a/one.png` is not a folder

    hint: `--images` takes a folder of JPEG and PNG files
    ");
}

#[test]
fn what_is_not_an_image_stops_the_run_before_it_starts() {
    let lab = Lab::new();
    fs::write(lab.path("images/notes.txt"), "not an image").unwrap();
    assert_output!(lab.fail(EXTRACT), @"
    error: `images/notes.txt` is not a JPEG or PNG image

    hint: take it out of the folder (or convert it); nothing is left out by itself
    ");
    fs::write(lab.path("images/notes.txt"), "").unwrap();
    assert_output!(lab.fail(EXTRACT), @"
    error: `images/notes.txt` is empty

    hint: take it out of the folder (or convert it); nothing is left out by itself
    ");
    fs::rename(lab.path("images/notes.txt"), lab.path("images/.hidden")).unwrap();
    assert!(lab.succeed(EXTRACT).stderr.contains("(1 hidden left out)"));
}

#[test]
fn a_truncated_image_stops_the_run_and_nothing_is_left_that_looks_whole() {
    let lab = Lab::new();
    let whole = lab.bytes("images/b/five.jpg");
    let truncated = |length: usize| {
        fs::write(lab.path("images/b/five.jpg"), &whole[..length]).unwrap();
        let said = lab.fail(&format!("-q {EXTRACT}"));
        assert!(lab.names("activations").is_empty(), "{:?}", lab.names("activations/alexnet.random-0"));
        said
    };
    let said = truncated(whole.len() / 2);
    assert_output!(said, @"
    error: `images/b/five.jpg` is damaged: the file ends in the middle of the picture

    hint: replace the file, or take it out of the folder; no image is left out by itself
    ");
    assert_eq!(truncated(whole.len() - 2), said);
    assert_eq!(truncated(whole.len() * 9 / 10), said);
    fs::write(lab.path("images/b/five.jpg"), &whole[..20]).unwrap();
    assert!(lab.fail(EXTRACT).contains("`images/b/five.jpg` is damaged"));

    fs::write(lab.path("images/b/five.jpg"), &whole).unwrap();
    let png = lab.bytes("images/a/one.png");
    fs::write(lab.path("images/a/one.png"), &png[..png.len() / 2]).unwrap();
    assert!(lab.fail(EXTRACT).contains("`images/a/one.png` is damaged"));
    assert!(lab.names("activations").is_empty());
}

#[test]
fn results_do_not_go_among_the_images() {
    let lab = Lab::new();
    assert_output!(lab.fail(&format!("{EXTRACT} --out images/results")), @"
    error: the run's folder `images/results/alexnet.random-0` would lie among the images in `images`

    hint: name another place with --out
    ");
    assert!(!lab.path("images/results").exists());
}

#[test]
fn cuda_without_a_driver_fails_with_the_reason() {
    if std::path::Path::new("/dev/nvidiactl").exists() {
        eprintln!("not run: this machine has an NVIDIA device");
        return;
    }
    let said = Lab::new().fail(&format!("{EXTRACT} --device cuda"));
    assert!(said.contains("CUDA cannot be used: there is no NVIDIA driver") && said.contains("--device cpu"), "{said}");
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
    error: the weights in `mine.pth` do not fit `alexnet`: of 16 tensors: 16 missing (features.0.weight, features.0.bias, features.3.weight, …), 7 unexpected (0.weight, 1.bias, 1.num_batches_tracked, …)

    hint: the file must hold the state dict of `alexnet` (torchvision) and nothing else
    ");
    assert!(lab.fail(&format!("{extract} images/a/one.png")).contains("cannot read weights from `images/a/one.png`"));
}

/// Writes ResNet-18 weights to `path`: those of the seed, or zeros.
fn save_resnet18(path: &Path, seed: Option<u64>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let registry = Registry::load(None).unwrap();
    let architecture = &registry.choose("resnet18").unwrap().entry.architecture;
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

    hint: take another layer for an RDM, leave these stimuli out, or store NaN for them: --on-constant nan
    ");
    insta::assert_debug_snapshot!(lab.names("activations/resnet18.zero"), @r#"
    [
        "fc.npy",
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
fn several_models_in_one_run_give_what_each_gives_alone() {
    let lab = Lab::new();
    let common = "--weights random --images images --rdm none --batch-size 3";
    // Two kinds of preprocessing, three models.
    let models = ["alexnet", "clip-vit", "resnet18"];
    let together = lab.succeed(&format!("extract --model alexnet --model clip-vit --model resnet18 {common} --out together"));
    assert_eq!(together.stdout.lines().count(), 3);
    for model in models {
        let folder = lab.succeed(&format!("extract --model {model} {common} --out alone")).stdout.trim().to_owned();
        for file in lab.names(&folder).iter().filter(|file| file.ends_with(".npy")) {
            let same = format!("{}/{file}", folder.replace("alone", "together"));
            assert_eq!(lab.bytes(&format!("{folder}/{file}")), lab.bytes(&same), "{same}");
        }
    }
    assert!(lab.fail(&format!("extract --model alexnet --model AlexNet {common}")).contains("asked for twice"));
}

#[test]
fn token_readouts_are_what_numpy_would_make_of_the_tokens() {
    let lab = Lab::new();
    let extract = "extract --model clip-vit --weights random --images images/a --rdm none --layer visual.ln_pre";
    for readout in ["none", "cls", "patches", "cls+patches"] {
        lab.succeed(&format!("{extract} --readout {readout} --out {readout}"));
    }
    let read = |readout: &str| npy::read(&lab.path(&format!("{readout}/clip-vit.random-0/visual.ln_pre.npy"))).unwrap();
    let (tokens, cls, patches, both) = (read("none"), read("cls"), read("patches"), read("cls+patches"));
    assert_eq!(tokens.shape(), [2, 50, 768]);
    for (i, d) in (0..2).flat_map(|i| (0..768).map(move |d| (i, d))) {
        let mean = (1..50).map(|token| tokens[[i, token, d]]).sum::<f64>() / 49.0;
        assert_eq!(cls[[i, d]], tokens[[i, 0, d]]);
        assert_eq!(both[[i, d]], tokens[[i, 0, d]]);
        assert!((both[[i, 768 + d]] - mean).abs() < 1e-6);
        assert!((patches[[i, d]] - mean).abs() < 1e-6);
    }
}

#[test]
fn the_default_of_a_vision_transformer_is_its_class_token() {
    let lab = Lab::new();
    lab.succeed("extract --model vit-b-32 --weights random --images images/a --rdm none");
    assert_eq!(npy::read(&lab.path("activations/vit-b-32.random-0/encoder.ln.npy")).unwrap().shape(), [2, 768]);
}

#[test]
fn readouts_that_do_not_fit_are_refused_with_those_that_do() {
    let lab = Lab::new();
    let extract = "extract --model clip-vit --weights random --images images";
    assert_output!(lab.fail(&format!("{extract} --layer visual.conv1 --readout cls")), @"
    error: `visual.conv1` gives no tokens: its shape is [768, 7, 7]

    hint: readouts that fit: none, flatten, mean or max; give layers of different kinds runs of their own
    ");
    assert_output!(lab.fail(&format!("{extract} --layer visual --readout cls")), @"
    error: `visual` gives no tokens: its shape is [512]

    hint: readouts that fit: none or flatten; give layers of different kinds runs of their own
    ");
    assert_output!(lab.fail(&format!("{extract} --layer visual.ln_pre --readout max")), @"
    error: `visual.ln_pre` gives no picture to take a mean or maximum over: its shape is [50, 768]

    hint: readouts that fit: none, flatten, cls, patches or cls+patches; give layers of different kinds runs of their own
    ");
}

#[test]
fn a_module_that_is_never_called_is_refused() {
    let lab = Lab::new();
    let extract = "extract --model clip-vit --weights random --images images";
    assert_output!(lab.fail(&format!("{extract} --layer visual.transformer.resblocks.3.attn.out_proj")), @"
    error: `visual.transformer.resblocks.3.attn.out_proj` is never called by the network, so it has no output

    hint: its parent `visual.transformer.resblocks.3.attn` uses its weights
    ");
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
