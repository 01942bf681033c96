//! Exported networks that a registry or a study names.

use crate::assert_output;
use crate::exported::lab;
use sha2::{Digest, Sha256};
use std::fs;
use thingsvision::npy;

#[test]
fn a_registry_lists_exported_networks_like_any_weights() {
    let lab = lab(&["traced.pt"]);
    let sha256 = format!("{:x}", Sha256::digest(lab.bytes("nets/traced.pt")));
    let registry = |sha256: &str| {
        format!(
            r#"
            [preprocessing.small]
            resize = 32
            interpolation = "bilinear"
            crop = 32
            mean = [0.5, 0.5, 0.5]
            std = [0.5, 0.5, 0.5]

            [[model]]
            name = "mine"
            architecture = {{ family = "exported" }}
            default_layer = "avgpool"
            default_readout = "flatten"
            weights = [{{ tag = "a", file = "nets/traced.pt", sha256 = "{sha256}", preprocessing = "small" }}]
            "#
        )
    };
    fs::write(lab.path("my.toml"), registry(&sha256)).unwrap();
    assert_eq!(lab.succeed("extract --registry my.toml --model mine --images images").stdout, "activations/mine\n");
    assert_eq!(npy::read(&lab.path("activations/mine/avgpool.npy")).unwrap().shape(), [5, 6]);
    assert!(lab.succeed("layers --registry my.toml --model mine.a").stdout.contains("* avgpool"));
    fs::write(lab.path("my.toml"), registry("abcd")).unwrap();
    assert!(
        lab.fail("extract --registry my.toml --model mine --images images --force").contains("is not the file of the registry")
    );
}

#[test]
fn what_a_registry_does_not_say_the_file_says() {
    let lab = lab(&["tokens.pt"]);
    let registry = r#"
        [[model]]
        name = "mine"
        architecture = { family = "exported" }
        licence = "mine"
        weights = [{ tag = "a", file = "nets/tokens.pt" }, { tag = "b", url = "http://127.0.0.1:9/tokens.pt" }]
        "#;
    fs::write(lab.path("my.toml"), registry).unwrap();
    assert_output!(lab.succeed("--registry my.toml models mine"), @"
    exit Some(0)
    --- stdout
    model               mine
    family              exported
    names and numbers   make_fixtures.py:Tokens, scripted by torch 2.11.0
    default layer       norm, readout cls
    parameters          2,829
    licence             mine
    citation
    weights             mine.a
      file              nets/tokens.pt
      pixels            resize to 32 × 32 (bilinear), no crop, mean 0.5 0.5 0.5, std 0.25 0.25 0.25
    weights             mine.b
      file              http://127.0.0.1:9/tokens.pt
      pixels            not known; --preprocess says it
    --- stderr
    ");
    assert_output!(lab.succeed("--registry my.toml models mine.b"), @"
    exit Some(0)
    --- stdout
    model               mine
    family              exported
    names and numbers
    default layer       in its file
    parameters          2,829
    licence             mine
    citation
    weights             mine.a
      file              nets/tokens.pt
      pixels            in its file
    weights             mine.b
      file              http://127.0.0.1:9/tokens.pt
      pixels            in its file
    --- stderr
    ");
    lab.succeed("--registry my.toml extract --model mine --images images --rdm none");
    lab.succeed("extract --model nets/tokens.pt --images images --rdm none");
    assert!(lab.bytes("activations/mine/norm.npy") == lab.bytes("activations/tokens/norm.npy"));
    let record = String::from_utf8(lab.bytes("activations/mine/run.json")).unwrap();
    for part in ["\"tokens\": \"cls+2\"", "\"licence\": \"mine\"", "make_fixtures.py:Tokens, scripted by torch"] {
        assert!(record.contains(part), "{part}: {record}");
    }
}

#[test]
fn a_study_takes_exported_networks_beside_others() {
    let lab = lab(&["tokens.pt", "bare.pt"]);
    let distance = |(i, j): (usize, usize)| if i == j { 0.0 } else { 1.0 + ((i + j) * (i * j + 1) % 11) as f64 };
    npy::write(&lab.path("behavior.npy"), &ndarray::Array2::from_shape_fn((5, 5), distance).into_dyn()).unwrap();
    let study = r#"
        out = "out"
        permutations = 0
        bootstrap = 0
        clusters = 2
        models = [
            { model = "nets/tokens.pt", layers = ["blocks.?", "norm"], readout = "cls+patches" },
            { model = "nets/bare.pt", layers = ["body"], preprocess = "half" },
            { model = "alexnet", weights = ["random"] },
        ]
        [[dataset]]
        name = "pictures"
        images = "images"
        behavior = "behavior.npy"
    "#;
    // The network of `bare.pt` can be shown larger pictures than those that it was made for.
    fs::write(lab.path("study.toml"), study).unwrap();
    lab.succeed("study study.toml");
    let results = String::from_utf8(lab.bytes("out/results.csv")).unwrap();
    assert_eq!(results.lines().count(), 1 + 3 + 1 + 1, "{results}");
    assert!(lab.succeed("study study.toml").stderr.contains("nothing has changed"));
    let record = String::from_utf8(lab.bytes("out/activations/pictures/tokens/run.json")).unwrap();
    for part in ["\"kind\": \"exported\"", "\"tokens\": \"cls+2\"", "scripted by torch"] {
        assert!(record.contains(part), "{part}: {record}");
    }
}
