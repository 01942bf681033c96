//! `thingsvision extract`: its files and its promises.

use crate::assert_output;
use crate::lab::Lab;
use std::fs;
use thingsvision::nn::rows_stand_alone;
use thingsvision::npy;

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
      pixels    resize 256 (bilinear), crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225
      layers    8 in one pass, which stops after classifier.6
      images    5 in 2 folders of 2 to 3: 1 JPEG, 4 PNG
      writes    1.55 MB to activations ([space] free)
      runs on   cpu, [workers], batches of 2
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
        "images.sha256",
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
    assert_eq!(
        lab.names("activations/alexnet.random-0"),
        ["classifier.5.npy", "classifier.5.rdm.npy", "images.sha256", "images.txt", "run.json"]
    );
}

#[test]
fn the_record_says_how_it_was_made() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --layer avgpool --seed 3 --readout max --dtype f16 --rdm none --out o"));
    let mut record: serde_json::Value = serde_json::from_slice(&lab.bytes("o/alexnet.random-3/run.json")).unwrap();
    assert_eq!(record["program"], format!("thingsvision {}", env!("CARGO_PKG_VERSION")));
    record["program"] = "…".into();
    record["seconds"] = "…".into();
    record["image_origin"] = "…".into();
    record["directory"] = "…".into();
    record["command"][0] = "…".into();
    // Not every processor has a kernel for them.
    let winograd = record.as_object_mut().unwrap().shift_remove("winograd");
    #[cfg(target_arch = "x86_64")]
    let has_kernel = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let has_kernel = false;
    assert_eq!(winograd, has_kernel.then(|| serde_json::json!(["features.6", "features.8", "features.10"])));
    // Another processor gives other last digits.
    record["layers"][0]["blake3"] = "…".into();
    assert_output!(serde_json::to_string_pretty(&record).unwrap(), @r#"
    {
      "program": "…",
      "libtorch": "2.11.0",
      "complete": true,
      "command": [
        "…",
        "extract",
        "--model",
        "alexnet",
        "--weights",
        "random",
        "--images",
        "images",
        "--layer",
        "avgpool",
        "--seed",
        "3",
        "--readout",
        "max",
        "--dtype",
        "f16",
        "--rdm",
        "none",
        "--out",
        "o"
      ],
      "request": {
        "models": [
          "alexnet"
        ],
        "layers": [
          "avgpool"
        ],
        "weights": "random",
        "activation": null,
        "seed": 3,
        "out": "o",
        "readout": "max",
        "tokens": null,
        "dtype": "f16",
        "format": "npy",
        "one_file": false,
        "average_by": null,
        "rdm": "none",
        "on_constant": "error",
        "allow_nonfinite": false,
        "device": "auto",
        "precision": "fp32",
        "batch_size": null,
        "workers": null,
        "exact": false,
        "force": false,
        "shard": null,
        "join": false,
        "images": [
          "images"
        ],
        "image_list": null,
        "dataset": null,
        "channels_first": false,
        "indices": null,
        "skip_unreadable": false,
        "exif_orientation": false,
        "max_pixels": 178956970,
        "texts": null,
        "templates": [],
        "truncate": false,
        "tokenizer": null,
        "pixels": {
          "resize": null,
          "crop": null,
          "interpolation": null,
          "no_crop": false,
          "squash": false,
          "preprocess": null,
          "mean": null,
          "std": null,
          "pillow_12": false
        },
        "registry": null,
        "cache": null,
        "offline": false
      },
      "directory": "…",
      "model": "alexnet",
      "weights": {
        "kind": "random",
        "seed": 3
      },
      "architecture": "Alexnet(Config { classes: 1000 })",
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
        ],
        "pillow": 13
      },
      "readout": "max",
      "tokens": "cls",
      "dtype": "f16",
      "device": "cpu",
      "precision": "fp32",
      "batch_size": 2,
      "exact": false,
      "image_origin": "…",
      "exif_orientation": false,
      "max_pixels": 178956970,
      "skip_unreadable": false,
      "images": 5,
      "images_sha256": "7fdfb4725dfb83113e5aef91ae3fd2cc708e03a818d6c9137b1006eaf553389e",
      "contents_sha256": "12fd244ad493c3d809c7f4246fae61a81f226be601ebfcde76339ee32092931e",
      "skipped_images": [],
      "damaged_images": [],
      "on_constant": "error",
      "layers": [
        {
          "name": "avgpool",
          "shape": [
            256
          ],
          "file": "avgpool.npy",
          "rdm": null,
          "blake3": "…"
        }
      ],
      "seconds": "…"
    }
    "#);
}

#[test]
fn bytes_do_not_depend_on_the_number_of_workers_or_the_size_of_batches() {
    let lab = Lab::new();
    let extract = format!("{EXTRACT} --layer features.0 --layer features.12 --layer classifier.4");
    let run = |options: &str, out: &str| {
        lab.succeed(&format!("{extract} {options} --out {out}"));
        let files = lab.names(&format!("{out}/alexnet.random-0")).into_iter().filter(|file| file.ends_with(".npy"));
        files.map(|file| (lab.bytes(&format!("{out}/alexnet.random-0/{file}")), file)).collect::<Vec<_>>()
    };
    let expected = run("--workers 1 --batch-size 2", "one");
    assert!(run("--workers 3 --batch-size 2", "three") == expected, "--workers 3");
    if rows_stand_alone() {
        for (i, options) in ["", "--batch-size 3", "--batch-size 4", "--batch-size 16"].iter().enumerate() {
            assert!(run(options, &i.to_string()) == expected, "{options}");
        }
    } else {
        println!("on this processor the size of batches may show in the last digits: not compared");
    }
    // Each module by itself: the size of a batch may show, the number of workers may not.
    assert!(run("--exact --workers 1", "exact") == run("--exact --workers 2", "exact-2"), "--exact");
}

#[test]
fn a_row_does_not_depend_on_the_images_after_it() {
    let lab = Lab::new();
    // With few numbers an image to multiply, some kernels form sums in another order for few images.
    let extract = "extract --model resnet18 --model regnet-y-400mf --model swin-t --weights random --layer * --resize 70 --crop 64 \
                   --batch-size 4 --rdm none --readout flatten";
    lab.succeed(&format!("{extract} --images images --out five"));
    fs::remove_file(lab.path("images/b/three.png")).unwrap();
    lab.succeed(&format!("{extract} --images images --out four"));
    lab.succeed(&format!("{extract} --images images/a --out two"));
    for model in ["resnet18", "regnet-y-400mf", "swin-t"] {
        let files = lab.names(&format!("five/{model}.random-0")).into_iter().filter(|file| file.ends_with(".npy"));
        for file in files {
            let rows = |out: &str| npy::read(&lab.path(&format!("{out}/{model}.random-0/{file}"))).unwrap();
            let (five, four, two) = (rows("five"), rows("four"), rows("two"));
            assert_eq!(five.slice(ndarray::s![..4, ..]), four.slice(ndarray::s![.., ..]), "{model} {file}");
            assert_eq!(five.slice(ndarray::s![..2, ..]), two.slice(ndarray::s![.., ..]), "{model} {file}");
        }
    }
}

#[test]
fn a_run_is_replaced_only_by_force() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    let before = lab.bytes("activations/alexnet.random-0/classifier.5.npy");
    assert_output!(lab.fail(&format!("{EXTRACT} --layer features.0")), @r#"
    error: there is another run in `activations/alexnet.random-0`: layers: features.0 [64,55,55], was classifier.5 [4096]

    hint: a run has the layers that one command names: name all of them (--layer A --layer B) with --force; or keep it and name another place with --out
    "#);
    assert_eq!(lab.bytes("activations/alexnet.random-0/classifier.5.npy"), before);
    lab.succeed(&format!("{EXTRACT} --layer features.12 --force"));
    assert_eq!(
        lab.names("activations/alexnet.random-0"),
        ["features.12.npy", "features.12.rdm.npy", "images.sha256", "images.txt", "run.json"]
    );
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
