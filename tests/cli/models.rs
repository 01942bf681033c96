//! `thingsvision models`, `layers`, and help.

use crate::assert_output;
use crate::lab::Lab;

#[test]
fn models_are_listed() {
    assert_output!(Lab::new().succeed("models"), @"
    exit Some(0)
    --- stdout
    model                 weights                         input    default layer     outputs   parameters
    alexnet               imagenet1k_v1                   224 px   classifier.5        4,096       61.1 M
    vgg11                 imagenet1k_v1                   224 px   classifier.4        4,096      132.9 M
    vgg11-bn              imagenet1k_v1                   224 px   classifier.4        4,096      132.9 M
    vgg13                 imagenet1k_v1                   224 px   classifier.4        4,096      133.0 M
    vgg13-bn              imagenet1k_v1                   224 px   classifier.4        4,096      133.1 M
    vgg16                 imagenet1k_v1                   224 px   classifier.4        4,096      138.4 M
    vgg16-bn              imagenet1k_v1                   224 px   classifier.4        4,096      138.4 M
    vgg19                 imagenet1k_v1                   224 px   classifier.4        4,096      143.7 M
    vgg19-bn              imagenet1k_v1                   224 px   classifier.4        4,096      143.7 M
    resnet18              imagenet1k_v1                   224 px   avgpool               512       11.7 M
    resnet34              imagenet1k_v1                   224 px   avgpool               512       21.8 M
    resnet50              imagenet1k_v1 (imagenet1k_v2)   224 px   avgpool             2,048       25.6 M
    resnet101             imagenet1k_v1 (imagenet1k_v2)   224 px   avgpool             2,048       44.5 M
    resnet152             imagenet1k_v1 (imagenet1k_v2)   224 px   avgpool             2,048       60.2 M
    wide-resnet50-2       imagenet1k_v1 (imagenet1k_v2)   224 px   avgpool             2,048       68.9 M
    resnext50-32x4d       imagenet1k_v1 (imagenet1k_v2)   224 px   avgpool             2,048       25.0 M
    cornet-s              imagenet                        224 px   decoder.avgpool       512       53.4 M
    cornet-z              imagenet                        224 px   decoder.avgpool       512        2.1 M
    cornet-r              imagenet                        224 px   decoder.avgpool       512        5.2 M
    cornet-rt             imagenet                        224 px   decoder.avgpool       512        5.2 M
    clip-rn               openai                          224 px   visual              1,024       38.3 M
    clip-rn101            openai                          224 px   visual                512       56.3 M
    clip-rn50x4           openai                          288 px   visual                640       87.1 M
    clip-rn50x16          openai                          384 px   visual                768      167.3 M
    clip-rn50x64          openai                          448 px   visual              1,024      420.4 M
    clip-vit              openai                          224 px   visual                512       87.8 M
    clip-vit-b-16         openai                          224 px   visual                512       86.2 M
    clip-vit-l-14         openai                          224 px   visual                768      304.0 M
    clip-vit-l-14-336px   openai                          336 px   visual                768      304.3 M
    vit-b-16              imagenet1k_v1                   224 px   encoder.ln            768       86.6 M
    vit-b-32              imagenet1k_v1                   224 px   encoder.ln            768       88.2 M
    vit-l-16              imagenet1k_v1                   224 px   encoder.ln          1,024      304.3 M
    --- stderr

    32 models. `thingsvision models resnet50` shows sources, licence, citation and preprocessing; any of them also runs untrained: --weights random
    ");
}

#[test]
fn one_model_is_shown_with_its_sources() {
    assert_output!(Lab::new().succeed("models ResNet50"), @"
    exit Some(0)
    --- stdout
    model               resnet50
    names and numbers   torchvision
    default layer       avgpool (2,048 values)
    parameters          25,557,032
    licence             BSD-3-Clause (code); the weights may be bound by the terms of ImageNet
    citation            He et al. 2016, Deep residual learning for image recognition, CVPR
    weights             resnet50.imagenet1k_v1
      file              https://download.pytorch.org/models/resnet50-0676ba61.pth
      sha256            0676ba61…
      pixels            resize 256 (bilinear), crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225
    weights             resnet50.imagenet1k_v2
      file              https://download.pytorch.org/models/resnet50-11ad3fa6.pth
      sha256            11ad3fa6…
      pixels            resize 232 (bilinear), crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225
    --- stderr
    ");
}

#[test]
fn models_as_json_can_be_parsed() {
    let models: serde_json::Value = serde_json::from_str(&Lab::new().succeed("models --json").stdout).unwrap();
    assert_eq!(models[0]["model"], "alexnet");
    assert_eq!(models[0]["parameters"], 61_100_840);
}

#[test]
fn layers_are_listed() {
    assert_output!(Lab::new().succeed("layers --model alexnet"), @"
    exit Some(0)
    --- stdout
      layer            module              output          calls    per image
      input            Tensor              3 × 224 × 224       1   588.00 KiB
      features         Sequential          256 × 6 × 6         1    36.00 KiB
        features.0     Conv2d              64 × 55 × 55        1   756.25 KiB
        features.1     ReLU                64 × 55 × 55        1   756.25 KiB
        features.2     MaxPool2d           64 × 27 × 27        1   182.25 KiB
        features.3     Conv2d              192 × 27 × 27       1   546.75 KiB
        features.4     ReLU                192 × 27 × 27       1   546.75 KiB
        features.5     MaxPool2d           192 × 13 × 13       1   126.75 KiB
        features.6     Conv2d              384 × 13 × 13       1   253.50 KiB
        features.7     ReLU                384 × 13 × 13       1   253.50 KiB
        features.8     Conv2d              256 × 13 × 13       1   169.00 KiB
        features.9     ReLU                256 × 13 × 13       1   169.00 KiB
        features.10    Conv2d              256 × 13 × 13       1   169.00 KiB
        features.11    ReLU                256 × 13 × 13       1   169.00 KiB
        features.12    MaxPool2d           256 × 6 × 6         1    36.00 KiB
      avgpool          AdaptiveAvgPool2d   256 × 6 × 6         1    36.00 KiB
      classifier       Sequential          1000                1     3.91 KiB
        classifier.0   Dropout             9216                1    36.00 KiB
        classifier.1   Linear              4096                1    16.00 KiB
        classifier.2   ReLU                4096                1    16.00 KiB
        classifier.3   Dropout             4096                1    16.00 KiB
        classifier.4   Linear              4096                1    16.00 KiB
    *   classifier.5   ReLU                4096                1    16.00 KiB   default
        classifier.6   Linear              1000                1     3.91 KiB
      output           AlexNet             1000                1     3.91 KiB
    --- stderr

    25 layers. Globs work: --layer 'layer4.*' is all below layer4, for * crosses dots; 'layer4.?' one level. A module that is called more than once gives its last output; NAME@0 is the first call.
    ");
}

#[test]
fn layers_as_json_have_the_shape_of_each_call() {
    let layers: serde_json::Value = serde_json::from_str(&Lab::new().succeed("layers --model resnet18 --json").stdout).unwrap();
    let relu = layers.as_array().unwrap().iter().find(|layer| layer["layer"] == "layer2.0.relu").unwrap();
    assert_eq!(relu["calls"], 2);
    assert_eq!(relu["shape"], serde_json::json!([128, 28, 28]));
    assert_eq!(relu["bytes"], 128 * 28 * 28 * 4);
}

#[test]
fn recurrent_and_never_called_modules_are_marked() {
    let lab = Lab::new();
    let row = |model: &str, layer: &str| {
        let table = lab.succeed(&format!("layers --model {model}")).stdout;
        table.lines().find(|line| line.split_whitespace().next() == Some(layer)).unwrap().trim().to_owned()
    };
    assert_output!(row("cornet-s", "V4.output"), @"V4.output         Identity            256 × 14 × 14        4   196.00 KiB   V4.output@0 … @3");
    assert_output!(row("cornet-rt", "V4.conv_input"), @"V4.conv_input     Conv2d              256 × 14 × 14       4   196.00 KiB   V4.conv_input@0 … @3");
    assert_output!(row("clip-vit", "visual.transformer.resblocks.0.attn.out_proj"), @"visual.transformer.resblocks.0.attn.out_proj    NonDynamicallyQuantizableLinear   never called        0");
    assert_output!(row("clip-rn", "visual.attnpool.q_proj"), @"visual.attnpool.q_proj              Linear            never called         0");
}

#[test]
fn a_wrong_model_is_answered_with_near_names() {
    assert_output!(Lab::new().fail("layers --model resnet51"), @"
    error: there is no model `resnet51`

    hint: did you mean `resnet50`, `resnet18` or `resnet34`? `thingsvision models` lists all; examples/export_model.py exports others of PyTorch's libraries
    ");
}

#[test]
fn wrong_usage_exits_with_2() {
    let lab = Lab::new();
    for arguments in [
        "",
        "extract",
        "extract --model alexnet --images images --batch-size 0",
        "rsa",
        "extract --model alexnet --images images --device gpu",
    ] {
        assert_eq!(lab.run(arguments).code, Some(2), "{arguments}");
    }
}

#[test]
fn the_help_of_every_command_names_its_flags() {
    let lab = Lab::new();
    assert!(lab.succeed("--help").stdout.contains("thingsvision rsa --behavior my-rdm.npy"));
    assert!(lab.succeed("extract --help").stdout.contains("torch.manual_seed(N)"));
    let help = lab.succeed("rdm --help").stdout;
    // Lines are as wide as a terminal.
    let words: Vec<_> = help.split_whitespace().collect();
    assert!(words.join(" ").contains("1 − r, r = Σ(x−x̄)(y−ȳ) / √(Σ(x−x̄)² Σ(y−ȳ)²)"), "{help}");
}

#[test]
fn a_name_of_two_schools_is_refused_with_both() {
    let lab = Lab::new();
    assert_output!(lab.fail("extract --model ViT-B-32 --weights random --images images"), @"
    error: `ViT-B-32` may be `clip-vit` (OpenAI CLIP) or `vit-b-32` (torchvision)

    hint: say which: --model clip-vit or --model vit-b-32
    ");
    for (name, model) in
        [("vit_b_32", "vit-b-32"), ("vit-b-32", "vit-b-32"), ("ViT-B/32", "clip-vit"), ("ViT-L-14", "clip-vit-l-14")]
    {
        let said = lab.succeed(&format!("models {name}")).stdout;
        assert!(said.lines().next().unwrap().ends_with(&format!(" {model}")), "{name}: {said}");
    }
    let said = lab.fail("models resnet-50");
    assert!(said.contains("`resnet50`") && said.contains("examples/export_model.py"), "{said}");
}
