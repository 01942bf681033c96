//! Models by the names that torchvision and OpenAI's CLIP give them, the preprocessing that belongs to their weights, and their layers
//! as users name them: calls, globs, wrong ones.

use anyhow::Result;
use thingsvision::error::hint_of;
use thingsvision::extract::resolve;
use thingsvision::images::Size;
use thingsvision::models::Model;
use thingsvision::registry::Registry;

#[test]
fn names_forgive_case_and_hyphens() {
    let registry = Registry::load(None).unwrap();
    assert_eq!(registry.choose("AlexNet").unwrap().name(), "alexnet");
    assert_eq!(registry.choose("ResNet50.IMAGENET1K-V2").unwrap().name(), "resnet50.imagenet1k_v2");
    assert_eq!(registry.choose("resnet50").unwrap().weights.tag, "imagenet1k_v1");
    for (name, model) in [
        ("clip-rn50", "clip-rn"),
        ("CLIP_RN50x4", "clip-rn50x4"),
        ("clip-ViT-B/32", "clip-vit"),
        ("ViT-B/32", "clip-vit"),
        ("vit_b_32", "vit-b-32"),
        ("ViT-L/16", "vit-l-16"),
        ("clip-ViT-L/14@336px", "clip-vit-l-14-336px"),
        ("vgg16_bn", "vgg16-bn"),
    ] {
        assert_eq!(registry.choose(name).unwrap().name(), model, "{name}");
    }
}

#[test]
fn preprocessing_belongs_to_the_weights() {
    let registry = Registry::load(None).unwrap();
    assert_eq!(registry.choose("resnet50").unwrap().preprocessing.unwrap().resize, Size::Shorter(256));
    assert_eq!(registry.choose("resnet50.imagenet1k_v2").unwrap().preprocessing.unwrap().resize, Size::Shorter(232));
}

fn resolve_in(model: &str, wanted: &[&str]) -> Result<Vec<(String, usize)>> {
    let registry = Registry::load(None)?;
    let network = Model::without_weights(&registry.choose(model)?.entry.architecture)?;
    let wanted: Vec<_> = wanted.iter().map(|&wanted| wanted.to_owned()).collect();
    let layers = resolve(model, network.manifest(), &network.trace([64, 64])?, &wanted)?;
    Ok(layers.into_iter().map(|layer| (layer.name, layer.call)).collect())
}

fn names(model: &str, wanted: &[&str]) -> Vec<String> {
    resolve_in(model, wanted).unwrap().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn layers_come_once_and_in_the_order_of_computation() {
    assert_eq!(
        names("alexnet", &["classifier.6", "features.0", "features.?", "input", "features.0"])[..3],
        ["input", "features.0", "features.1"]
    );
    assert_eq!(names("alexnet", &["output", "features"]), ["features", "output"]);
}

#[test]
fn a_glob_means_every_called_module_but_not_input_and_output() {
    assert_eq!(names("alexnet", &["*"]).len(), 23);
    assert_eq!(names("resnet18", &["layer?.0.relu@0"]).len(), 4);
    assert_eq!(names("resnet18", &["layer1.*.conv?"]), ["layer1.0.conv1", "layer1.0.conv2", "layer1.1.conv1", "layer1.1.conv2"]);
}

#[test]
fn without_a_number_the_last_call_is_meant() {
    let last = resolve_in("resnet50", &["layer1.0.relu"]).unwrap()[0].1;
    assert_eq!(resolve_in("resnet50", &["layer1.0.relu@2"]).unwrap()[0].1, last);
    assert!(resolve_in("resnet50", &["layer1.0.relu@0"]).unwrap()[0].1 < last);
}

#[test]
fn wrong_names_are_answered_with_near_ones() {
    let hint = |wanted| hint_of(&resolve_in("resnet50", &[wanted]).unwrap_err()).unwrap_or_default().to_owned();
    assert!(hint("layer4.2.conv4").contains("`layer4.2.conv3`"), "{}", hint("layer4.2.conv4"));
    assert!(hint("layer1.0.relu@3").contains("`layer1.0.relu@0` to `layer1.0.relu@2`"));
    assert!(hint("conv1@1").contains("called once"));
    assert!(hint("layer9.*").contains("lists all"));
}

fn add(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    std::fs::write(&path, text).unwrap();
    format!("{:#}", Registry::load(Some(&path)).err().unwrap())
}

#[test]
fn nothing_built_in_is_replaced() {
    let model = |names: &str| {
        let architecture = r#"architecture = { family = "alexnet" }"#;
        format!(
            "[[model]]\n{names}\n{architecture}\ndefault_layer = 'x'\nweights = [{{ tag = 'a', preprocessing = 'imagenet' }}]"
        )
    };
    assert!(add(&model("name = 'RN50'")).contains("the name `RN50` is that of `clip-rn`"));
    assert!(add(&model("name = 'clip_vit_b_32'")).contains("is that of `clip-vit`"));
    assert!(add(&model("name = 'mine'\naliases = ['AlexNet']")).contains("is that of `alexnet`"));
    let pixels = "resize = 9\ninterpolation = 'bilinear'\ncrop = 9\nmean = [0, 0, 0]\nstd = [1, 1, 1]";
    assert!(add(&format!("[preprocessing.imagenet]\n{pixels}")).contains("there is already a preprocessing `imagenet`"));
}

#[test]
fn numbers_that_make_no_network_are_refused() {
    let model = |architecture: &str| {
        add(&format!(
            "[[model]]\nname = 'mine'\narchitecture = {{ {architecture} }}\ndefault_layer = 'x'\n\
             weights = [{{ tag = 'a', preprocessing = 'imagenet' }}]"
        ))
    };
    let resnet = "family = 'resnet', block = 'basic'";
    assert!(model(&format!("{resnet}, depths = [2, 2, 2, 2], groups = 0")).contains("must be from 1 to 100000"));
    assert!(model(&format!("{resnet}, depths = [0, 2, 2, 2]")).contains("must be from 1 to 100000"));
    assert!(model("family = 'alexnet', classes = -1").contains("must be from 1 to 100000"));
    let vit = "family = 'vit', resolution = 224, depth = 1, width = 64, mlp_width = 64";
    assert!(model(&format!("{vit}, patch = 0, heads = 2")).contains("must be from 1 to 100000"));
    assert!(model(&format!("{vit}, patch = 32, heads = 5")).contains("64 features cannot be split among 5 heads"));
}

#[test]
fn a_misspelt_entry_is_refused() {
    let text = include_str!("../../models.toml").replace("default_layer", "defualt_layer");
    assert!(add(&text).contains("defualt_layer"));
}

#[test]
fn names_that_become_paths_are_plain() {
    let model = |name: &str, weights: &str| {
        add(&format!(
            "[[model]]\nname = '{name}'\narchitecture = {{ family = 'alexnet' }}\ndefault_layer = 'x'\n\
             weights = [{{ preprocessing = 'imagenet', {weights} }}]"
        ))
    };
    for name in ["", "../x", "..", "a\\b", "a/b"] {
        let said = model(name, "tag = 'a'");
        assert!(said.contains("no folder can be called") || said.contains("must not contain a dot"), "{said}");
    }
    for tag in ["", "..", "../../x", ".x", "a/b"] {
        assert!(model("mine", &format!("tag = '{tag}'")).contains("no folder can be called"), "{tag}");
    }
    assert!(model("mine", "tag = 'a', sha256 = '../../../x'").contains("sha256"));
    assert!(model("mine", "tag = 'a', sha256 = ''").contains("sha256"));
    let deep = "[[model]]\nname = 'mine'\ndefault_layer = 'x'\nweights = [{ tag = 'a', preprocessing = 'imagenet' }]\n\
                architecture = { family = 'resnet', block = 'basic', depths = [100000000, 1, 1, 1] }";
    assert!(add(deep).contains("must be from 1 to 100000"));
}
