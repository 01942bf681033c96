//! Models by the names that torchvision and OpenAI's CLIP give them, and the preprocessing that belongs to their weights.

use thingsvision::images::Size;
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
