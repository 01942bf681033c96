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
        // OpenCLIP's names that are nobody else's, and its whole name.
        ("ViT-g-14", "openclip-vit-g-14"),
        ("ViT-bigG-14", "openclip-vit-bigg-14"),
        ("ViT-L-14-336", "openclip-vit-l-14-336"),
        ("OpenCLIP_ViT-B-32", "openclip-vit-b-32"),
        // THINGSvision's.
        ("simclr-rn50", "simclr-rn50"),
        ("mocov2-rn50", "mocov2-rn50"),
        ("swav-rn50", "swav-rn50"),
        ("pirl-rn50", "pirl-rn50"),
        ("jigsaw-rn50", "jigsaw-rn50"),
        ("rotnet-rn50", "rotnet-rn50"),
        ("barlowtwins-rn50", "barlowtwins-rn50"),
        ("vicreg-rn50", "vicreg-rn50"),
        ("dino-rn50", "dino-rn50"),
        ("Alexnet_ecoset", "alexnet-ecoset"),
        ("VGG16_ecoset", "vgg16-ecoset"),
        ("VGG16bn_ecoset", "vgg16bn-ecoset"),
        ("Resnet50_ecoset", "resnet50-ecoset"),
        ("Inception_ecoset", "inception-ecoset"),
        // texture-vs-shape's, robust-models-transfer's and Places365's.
        ("resnet50_trained_on_SIN", "resnet50-sin"),
        ("robust-resnet50.l2_eps0.01", "robust-resnet50.l2_eps0.01"),
        ("alexnet_places365", "alexnet-places365"),
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

/// In the table of the guide, of which each network has a row, and its number of weights if that is not one.
#[test]
fn the_guide_lists_every_network_and_counts_its_weights() {
    let page = include_str!("../../docs/models.md");
    let (_, section) = page.split_once("### What they learnt from\n").unwrap();
    let table = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    let mut listed: Vec<String> = Vec::new();
    for row in table {
        let names = row.split('|').nth(2).unwrap().trim();
        // A number in brackets belongs to the name before it.
        listed.extend(names.replace("` (", "`(").split(' ').map(str::to_owned));
    }
    let mut expected: Vec<String> = Vec::new();
    for entry in &Registry::load(None).unwrap().models {
        let weights = entry.weights.len();
        expected.push(if weights == 1 { format!("`{}`", entry.name) } else { format!("`{}`({weights})", entry.name) });
    }
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&format!("\n| {} networks: ", expected.len())), "{} networks", expected.len());
}

#[test]
fn a_file_of_openclip_may_be_that_of_openais_network() {
    let registry = Registry::load(None).unwrap();
    let entry = |name: &str| registry.choose(name).unwrap().entry;
    // LAION-400M's B/32.
    let sha256 = format!("46683a32{}", "0".repeat(56));
    let name = |model: &str| registry.published(&sha256, entry(model)).map(|found| found.name());
    assert_eq!(name("openclip-vit-b-32").as_deref(), Some("openclip-vit-b-32.laion400m_e32"));
    assert_eq!(name("clip-vit"), None);
    assert!(registry.known_file(&sha256).is_some());
    // OpenAI's own is both's.
    let sha256 = "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af";
    let name = |model: &str| registry.published(sha256, entry(model)).map(|found| found.name());
    assert_eq!(name("openclip-vit-b-32").as_deref(), Some("openclip-vit-b-32.openai"));
    assert_eq!(name("clip-vit").as_deref(), Some("clip-vit.openai"));
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
