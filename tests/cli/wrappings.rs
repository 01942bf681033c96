//! One network in the wrappings in which people hold their weights: what is accepted gives PyTorch's activations, what is several names
//! its choices, what does not fit says why. `fixtures/make_wrappings.py` makes the files.

use crate::assert_output;
use crate::lab::Lab;
use serde_json::Value;
use std::fs;
use std::path::Path;
use thingsvision::npy;

const REGISTRY: &str = r#"
[preprocessing.plain]
resize = 32
interpolation = "bilinear"
crop = 32
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]

[[model]]
name = "net"
architecture = { family = "regnet", depths = [1, 1, 1, 1], widths = [8, 8, 8, 8], group_widths = [2, 2, 2, 2], classes = 5 }
default_layer = "avgpool"
[[model.weights]]
tag = "own"
preprocessing = "plain"

[[model]]
name = "tokens"
architecture = { family = "vit", patch = 8, resolution = 32, depth = 2, heads = 2, width = 8, mlp_width = 12, classes = 5 }
default_layer = "encoder.ln"
[[model.weights]]
tag = "own"
preprocessing = "plain"

[[model]]
name = "clip"
architecture = { family = "clip", tower = "vit", patch = 8, resolution = 32, depth = 1, width = 8, head_width = 4, outputs = 4, activation = "gelu" }
default_layer = "visual"
[[model.weights]]
tag = "own"
preprocessing = "plain"

[[model]]
name = "rotary"
architecture = { family = "eva", patch = 8, resolution = 32, depth = 2, heads = 2, width = 16, mlp_width = 24, mlp = "swiglu", rope_type = "dinov3", qkv_bias = false, init_values = 1e-05, num_reg_tokens = 4, use_fc_norm = false, classes = 0, eps = 1e-05 }
default_layer = "norm"
[[model.weights]]
tag = "own"
preprocessing = "plain"

[[model]]
name = "convnext"
architecture = { family = "timmconvnext", depths = [1, 2, 1, 1], dims = [4, 4, 8, 8], ls_init_value = 1e-6, classes = 5 }
default_layer = "head.flatten"
[[model.weights]]
tag = "own"
preprocessing = "plain"

[[model]]
name = "convnextv2"
architecture = { family = "timmconvnext", depths = [1, 2, 1, 1], dims = [4, 4, 8, 8], use_grn = true, conv_mlp = true, classes = 5 }
default_layer = "head.flatten"
[[model.weights]]
tag = "own"
preprocessing = "plain"

[[model]]
name = "torchvision"
architecture = { family = "convnext", depths = [1, 2, 1, 1], widths = [4, 4, 8, 8], classes = 5 }
default_layer = "classifier.1"
[[model.weights]]
tag = "own"
preprocessing = "plain"
"#;

/// A folder with all wrappings, an image and a registry.
fn lab() -> Lab {
    let lab = Lab::new();
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wrappings.zip");
    zip::ZipArchive::new(fs::File::open(archive).unwrap()).unwrap().extract(lab.path("")).unwrap();
    fs::create_dir(lab.path("shown")).unwrap();
    fs::rename(lab.path("one.png"), lab.path("shown/one.png")).unwrap();
    fs::write(lab.path("my.toml"), REGISTRY).unwrap();
    lab
}

fn extract(model: &str, file: &str, layers: &str) -> String {
    let layers: String = layers.split(' ').map(|layer| format!(" --layer {layer}")).collect();
    format!("--registry my.toml extract --model {model} --weights {file}{layers} --images shown --rdm none --force")
}

fn golden(lab: &Lab) -> Value {
    serde_json::from_slice(&lab.bytes("golden.json")).unwrap()
}

/// Fails unless the activations in `run` are those of PyTorch.
fn check(lab: &Lab, run: &str, golden: &Value, layers: &str) {
    for layer in layers.split(' ') {
        let found = npy::read(&lab.path(&format!("{run}/{layer}.npy"))).unwrap();
        let expected: Vec<f64> = golden[layer].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
        assert_eq!(found.len(), expected.len(), "{run} {layer}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs() <= 1e-4 * scale, "{run} {layer}: {found} is not {expected}");
        }
    }
}

/// Extracts `layers` with the weights in `file`, compares them with PyTorch's, and gives what the record says of the weights.
fn accepted(lab: &Lab, model: &str, file: &str, network: &str, layers: &str) -> Value {
    let run = lab.succeed(&extract(model, file, layers)).stdout.trim().to_owned();
    check(lab, &run, &golden(lab)[network], layers);
    let record: Value = serde_json::from_slice(&lab.bytes(&format!("{run}/run.json"))).unwrap();
    record["weights"].clone()
}

const ALL: &str = "trunk_output avgpool fc";
const TRUNK: &str = "trunk_output avgpool";

#[test]
fn a_whole_network_is_found_in_what_trainings_leave() {
    let lab = lab();
    for (file, key) in [
        ("plain.pth", ""),
        ("lightning.ckpt", "state_dict.model"),
        ("lightning-older.ckpt", "state_dict.model"),
        ("compiled.pth", "_orig_mod"),
        ("compiled-parallel.pth", "model.module._orig_mod"),
        ("robustness.pt", "model.module.model"),
        ("twice.pth", "ema"),
        ("copied.pth", "best"),
        ("easydict.pth", "model"),
        ("companions.pth", "state_dict"),
        ("companions-older.pth", "state_dict"),
        ("optimizer.pth", "model"),
        ("average.pth", "ema.shadow"),
        ("module.pth", ""),
        ("protocol-4.pth", "state_dict"),
        ("model.safetensors.index.json", ""),
    ] {
        let weights = accepted(&lab, "net", file, "net", ALL);
        assert_eq!((&weights["key"], &weights["absent"]), (&key.into(), &Value::Null), "{file}");
    }
    assert!(!lab.path("executed-by-pickle").exists());
}

#[test]
fn without_a_classifier_all_before_it_is_there() {
    let lab = lab();
    for (file, key, why) in [
        ("vicreg.pth", "model.module.backbone", "the file has no `model.module.backbone.fc.weight`"),
        ("vissl.torch", "classy_state_dict.base_model.model.trunk._feature_blocks", "the file has no"),
        ("moco.pth.tar", "state_dict.module.encoder_q", "the file has no `state_dict.module.encoder_q.fc.weight`"),
        ("swav.pth.tar", "module", "the file has no `module.fc.weight`"),
        ("backbone.pth", "", "the file has no `fc.weight`"),
        ("other-head.pth", "", "the file has no `fc.bias`"),
    ] {
        let weights = accepted(&lab, "net", file, "net", TRUNK);
        assert_eq!(weights["key"], key, "{file}");
        assert!(weights["absent"].as_array().unwrap().contains(&"fc.bias".into()), "{file}");
        for layer in ["fc", "output"] {
            let said = lab.fail(&extract("net", file, layer));
            assert!(said.starts_with(&format!("error: `{layer}` cannot be extracted: {why}")), "{file}: {said}");
        }
        let said = lab.succeed(&extract("net", file, "*"));
        assert!(said.stderr.contains("without `fc`, `output`: the file has no"), "{said}");
        let names = lab.names(said.stdout.trim());
        assert!(names.contains(&"avgpool.npy".into()) && !names.contains(&"fc.npy".into()), "{names:?}");
    }
    assert_output!(lab.fail(&extract("net", "swav.pth.tar", "fc")), @"
    error: `fc` cannot be extracted: the file has no `module.fc.weight`

    hint: take another layer: `thingsvision layers` shows which have a shape
    ");
}

#[test]
fn a_classifier_of_another_size_is_taken_whole() {
    let lab = lab();
    let weights = accepted(&lab, "net", "ten.pth", "ten", "avgpool fc");
    assert_eq!((&weights["classes"], &weights["absent"]), (&10.into(), &Value::Null));
}

#[test]
fn of_several_sets_one_is_picked() {
    let lab = lab();
    for (file, picks) in [
        ("dino.pth", [("teacher", "net"), ("student", "second"), ("teacher.backbone", "net")]),
        ("moco-training.pth.tar", [("encoder_q", "net"), ("state_dict.module.encoder_k", "second"), ("module.encoder_q", "net")]),
        ("timm.pth.tar", [("state_dict_ema", "net"), ("state_dict", "second"), ("state_dict", "second")]),
        ("torchvision.pth", [("model_ema", "net"), ("model", "second"), ("model_ema.module", "net")]),
    ] {
        let said = lab.fail(&extract("net", file, "avgpool"));
        assert!(said.contains(&format!("`{file}` holds 2 sets of weights that fit `net`: `#")), "{said}");
        for (key, network) in picks {
            accepted(&lab, "net", &format!("{file}#{key}"), network, TRUNK);
        }
        let said = lab.fail(&extract("net", &format!("{file}#other"), "avgpool"));
        assert!(said.contains(&format!("nothing under `other` in `{file}` fits `net`")), "{said}");
    }
    assert_output!(lab.fail(&extract("net", "dino.pth", "avgpool")), @"
    error: `dino.pth` holds 2 sets of weights that fit `net`: `#teacher.backbone`, `#student.module.backbone`

    hint: say which: --weights 'dino.pth#teacher.backbone'
    ");
    assert_output!(lab.fail(&extract("net", "timm.pth.tar#momentum", "avgpool")), @"
    error: nothing under `momentum` in `timm.pth.tar` fits `net`

    hint: what fits is `#state_dict`, `#state_dict_ema`
    ");
    // A file that is called so itself.
    fs::copy(lab.path("plain.pth"), lab.path("dino.pth#teacher")).unwrap();
    assert_eq!(accepted(&lab, "net", "dino.pth#teacher", "net", ALL)["key"], "");
    // A registry may say which.
    let registry = REGISTRY.replacen("tag = \"own\"", "tag = \"own\"\nfile = \"dino.pth\"\nkey = \"student\"", 1);
    fs::write(lab.path("my.toml"), registry).unwrap();
    accepted(&lab, "net", "pretrained", "second", TRUNK);
}

#[test]
fn what_is_left_aside_is_counted() {
    let lab = lab();
    let weights = accepted(&lab, "net", "moco-training.pth.tar#encoder_q", "net", TRUNK);
    let expected = serde_json::json!({
        "optimizer": 6,
        "state_dict.module.encoder_k": 88,
        "state_dict.module.encoder_q.fc": 3,
        "state_dict.module.queue": 1,
        "state_dict.module.queue_ptr": 1,
    });
    assert_eq!(weights["left_aside"], expected);
    let said = lab.succeed(&extract("net", "swav.pth.tar", "avgpool"));
    assert!(
        said.stderr.contains("4 tensors of other parts left aside: `module.projection_head`, `module.prototypes`\n"),
        "{said}"
    );
}

#[test]
fn what_does_not_fit_says_why() {
    let lab = lab();
    assert_output!(lab.fail(&extract("net", "squeezed.pth", "avgpool")), @"
    error: the weights in `squeezed.pth` do not fit `net`: of 104 tensors under `state_dict`: 16 unexpected (trunk_output.block1.block1-0.f.se.fc1.bias, trunk_output.block1.block1-0.f.se.fc1.weight, trunk_output.block1.block1-0.f.se.fc2.bias, …)

    hint: it must hold the weights of `net`
    ");
    assert_output!(lab.fail(&extract("tokens", "lightning.ckpt", "encoder.ln")), @"
    error: the weights in `lightning.ckpt` do not fit `tokens`: of 32 tensors: 32 missing (class_token, conv_proj.weight, conv_proj.bias, …), 94 unexpected (callbacks.ModelCheckpoint.best, optimizer_states.0.state.0.exp_avg, optimizer_states.0.state.0.step, …)

    hint: the file fits `net`
    ");
    assert_output!(lab.fail(&extract("net", "vit-timm.pth", "avgpool")), @"
    error: the weights in `vit-timm.pth` do not fit `net`: of 104 tensors: 87 missing (stem.0.weight, stem.1.weight, stem.1.bias, …), 32 unexpected (model.blocks.0.attn.proj.bias, model.blocks.0.attn.proj.weight, model.blocks.0.attn.qkv.bias, …)

    hint: the file fits `tokens`
    ");
}

#[test]
fn what_stands_for_something_else_is_not_read() {
    let lab = lab();
    assert_output!(lab.fail(&extract("net", "negated.pth", "avgpool")), @"
    error: cannot read weights from `negated.pth`: tensor `fc.weight`: it is a view that is negated or conjugated as it is read: save what `resolve_neg().resolve_conj()` gives
    ");
    assert_output!(lab.fail(&extract("net", "collision.pth", "avgpool")), @"
    error: cannot read weights from `collision.pth`: tensor `model.fc.weight`: it is one of two that are called so
    ");
    // What acts on pictures may act between two stages.
    assert_output!(lab.fail(&extract("net", "attention.pth", "avgpool")), @"
    error: the weights in `attention.pth` do not fit `net`: of 104 tensors: 1 unexpected (attention.0.weight)

    hint: it must hold the weights of `net`
    ");
    fs::write(lab.path("page.pth"), "<!DOCTYPE html>\n<html>").unwrap();
    assert!(lab.fail(&extract("net", "page.pth", "avgpool")).contains("it is a web page"));
    // Two networks in one archive, of which libtorch takes another than the list of files does.
    let mut archive = zip::ZipWriter::new(fs::File::create(lab.path("two.pth")).unwrap());
    let mut plain = zip::ZipArchive::new(fs::File::open(lab.path("plain.pth")).unwrap()).unwrap();
    for number in 0..plain.len() {
        archive.raw_copy_file(plain.by_index(number).unwrap()).unwrap();
    }
    archive.start_file("other/data.pkl", zip::write::SimpleFileOptions::default()).unwrap();
    archive.finish().unwrap();
    let said = lab.fail(&extract("net", "two.pth", "avgpool"));
    assert!(said.contains("two.pth`: beside the folder of `torch.save` it holds `other/data.pkl`"), "{said}");
    let mut bytes = fs::read(lab.path("two.pth")).unwrap();
    let (name, same) = (b"other/data.pkl", b"plain/data.pkl");
    for at in 0..bytes.len() - name.len() {
        if bytes[at..].starts_with(name) {
            bytes[at..at + name.len()].copy_from_slice(same);
        }
    }
    fs::write(lab.path("two.pth"), bytes).unwrap();
    let said = lab.fail(&extract("net", "two.pth", "avgpool"));
    assert!(said.contains("two.pth`: two files in the archive have the same name"), "{said}");
}

#[test]
fn a_transformer_is_read_in_the_keys_of_others() {
    let lab = lab();
    let layers = "encoder.layers.encoder_layer_1 encoder.ln";
    for (file, layout) in
        [("vit.pth", Value::Null), ("vit-timm.pth", "timm".into()), ("vit-transformers.pth", "transformers".into())]
    {
        assert_eq!(accepted(&lab, "tokens", file, "vit", &format!("{layers} heads.head"))["layout"], layout, "{file}");
    }
    let said = lab.succeed(&extract("tokens", "vit-transformers.pth", "encoder.ln")).stderr;
    assert!(said.contains("the norms add 1e-6 to variances"), "{said}");
    let weights = accepted(&lab, "tokens", "vit-transformers-model.pth", "vit", layers);
    assert_eq!(weights["layout"], "transformers, without its classifier");
    assert!(lab.fail(&extract("tokens", "vit-transformers-model.pth", "heads")).contains("the file has no `classifier.weight`"));
}

#[test]
fn dinov3_is_read_in_the_keys_of_its_authors_and_of_transformers() {
    let lab = lab();
    let aside = serde_json::json!({ "blocks": 2, "mask_token": 1, "rope_embed": 1 });
    for (file, layout, aside) in
        [("dinov3.pth", "DINOv3", aside), ("dinov3-transformers.pth", "transformers", serde_json::json!({ "embeddings": 1 }))]
    {
        let weights = accepted(&lab, "rotary", file, "dinov3", "blocks.0 blocks.1.mlp norm");
        assert_eq!((&weights["layout"], &weights["left_aside"]), (&layout.into(), &aside), "{file}");
    }
    assert_output!(lab.fail(&extract("rotary", "dinov3-biased.pth", "norm")), @"
    error: `blocks.0.attn.qkv.bias` in `dinov3-biased.pth` is not 0 throughout

    hint: `rotary` has nothing that could hold it: export the network instead
    ");
}

#[test]
fn convnexts_are_read_in_the_keys_of_others() {
    let lab = lab();
    let layers = "stages.1.downsample.1 stages.3 head.flatten";
    for model in ["convnext", "convnextv2"] {
        let all = format!("{layers} head.fc");
        let files = [("-timm", Value::Null), ("", "its authors' own".into()), ("-transformers", "transformers".into())];
        for (file, layout) in files {
            // The first version is in transformers as torchvision's network alone.
            if (model, file) != ("convnext", "-transformers") {
                assert_eq!(accepted(&lab, model, &format!("{model}{file}.pth"), model, &all)["layout"], layout, "{model}{file}");
            }
        }
    }
    assert_eq!(accepted(&lab, "convnext", "convnext-dinov3.pth", "convnext", layers)["layout"], "transformers, of DINOv3");
    // The same in torchvision's modules.
    let golden = golden(&lab);
    for (file, layout) in [("-timm", "timm"), ("", "its authors' own"), ("-transformers", "transformers")] {
        let layers = ["features.2.1", "features.7", "classifier.1", "classifier.2"];
        let theirs = ["stages.1.downsample.1", "stages.3", "head.flatten", "head.fc"];
        let run =
            lab.succeed(&extract("torchvision", &format!("convnext{file}.pth"), &layers.join(" "))).stdout.trim().to_owned();
        let expected = layers.iter().zip(theirs).map(|(layer, theirs)| (layer.to_string(), golden["convnext"][theirs].clone()));
        check(&lab, &run, &Value::Object(expected.collect()), &layers.join(" "));
        let record: Value = serde_json::from_slice(&lab.bytes(&format!("{run}/run.json"))).unwrap();
        assert_eq!(record["weights"]["layout"], layout);
    }
}

#[test]
fn the_image_tower_of_clip_is_read_in_the_keys_of_others() {
    let lab = lab();
    let values = |file: &str| {
        let run = lab.succeed(&extract("clip", file, "visual visual.transformer.resblocks.0")).stdout.trim().to_owned();
        ["visual", "visual.transformer.resblocks.0"].map(|layer| npy::read(&lab.path(&format!("{run}/{layer}.npy"))).unwrap())
    };
    let expected = values("clip.pth");
    assert!(expected[0].iter().all(|value| value.is_finite() && *value != 0.0));
    assert_eq!(values("clip-transformers.safetensors"), expected);
    assert_eq!(values("clip-tower.pth"), expected);
}

#[test]
fn an_index_names_files_beside_it_alone() {
    let lab = lab();
    let index = String::from_utf8(lab.bytes("model.safetensors.index.json")).unwrap();
    let whole = lab.succeed(&extract("net", "model.safetensors.index.json", "fc"));
    assert_eq!(whole.stdout, "activations/net.model.safetensors.index\n");
    for (file, said) in [
        ("../other.safetensors", "it names the file `../other.safetensors`, and may name only files beside it"),
        ("/etc/passwd", "may name only files beside it"),
        (".hidden", "may name only files beside it"),
        ("absent.safetensors", "its file `absent.safetensors`"),
        ("one\\u001b.safetensors", "its file `one\\u{1b}.safetensors`"),
    ] {
        let changed = index.replace("model-00001-of-00002.safetensors", file);
        fs::write(lab.path("changed.json"), changed).unwrap();
        let error = lab.fail(&extract("net", "changed.json", "fc"));
        assert!(error.contains(said), "{file}: {error}");
    }
    // A tensor that is in the other file.
    let changed = index.replacen("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", 1);
    fs::write(lab.path("changed.json"), changed).unwrap();
    assert!(lab.fail(&extract("net", "changed.json", "fc")).contains("its files have not all tensors that the index names"));
}
