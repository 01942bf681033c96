//! `thingsvision models`, `layers`, and help.

use crate::assert_output;
use crate::lab::Lab;

#[test]
fn models_are_listed() {
    assert_output!(Lab::new().succeed("models"), @"
    exit Some(0)
    --- stdout
    family         models                                                     names and numbers of
    alexnet        alexnet                                                    torchvision
    vgg            vgg11 vgg11-bn vgg13 vgg13-bn vgg16 vgg16-bn vgg19         torchvision
                   vgg19-bn
    resnet         resnet18 resnet34 resnet50 resnet101 resnet152             torchvision
                   wide-resnet50-2 resnext50-32x4d resnext101-32x8d
                   resnext101-64x4d wide-resnet101-2
    cornet         cornet-s cornet-z cornet-r cornet-rt                       the published CORnet
    clip           clip-rn clip-rn101 clip-rn50x4 clip-rn50x16 clip-rn50x64   OpenAI CLIP
                   clip-vit clip-vit-b-16 clip-vit-l-14 clip-vit-l-14-336px
    clip           openclip-rn50 openclip-rn101 openclip-rn50x4               OpenCLIP
                   openclip-rn50x16 openclip-rn50x64 openclip-vit-b-32
                   openclip-vit-b-32-256 openclip-vit-b-16
                   openclip-vit-b-16-plus-240 openclip-vit-l-14
                   openclip-vit-l-14-336 openclip-vit-h-14
                   openclip-vit-h-14-378 openclip-vit-g-14
                   openclip-vit-bigg-14
    vit            vit-b-16 vit-b-32 vit-l-16 vit-l-32 vit-h-14               torchvision
    timmvit        vit-tiny-patch16 vit-small-patch16 vit-small-patch32       timm
                   vit-base-patch8 vit-base-patch16 vit-base-patch32
                   vit-large-patch16 vit-large-patch32 vit-huge-patch14
                   deit-tiny deit-tiny-distilled deit-small
                   deit-small-distilled deit-base deit-base-distilled
                   deit3-small deit3-medium deit3-base deit3-large
                   deit3-huge siglip-base-patch16 siglip-large-patch16
                   siglip-so400m-patch14 siglip-so400m-patch16
                   siglip2-base-patch32 siglip2-base-patch16
                   siglip2-large-patch16 siglip2-so400m-patch14
                   siglip2-so400m-patch16 siglip2-giantopt-patch16
    eva            dinov3-vits16 dinov3-vits16plus dinov3-vitb16              timm
                   dinov3-vitl16 dinov3-vith16plus dinov3-vit7b16
                   eva02-tiny eva02-small eva02-base eva02-large
    timmconvnext   dinov3-convnext-tiny dinov3-convnext-small                 timm
                   dinov3-convnext-base dinov3-convnext-large
                   convnext-v2-atto convnext-v2-femto convnext-v2-pico
                   convnext-v2-nano convnext-v2-tiny convnext-v2-base
                   convnext-v2-large convnext-v2-huge
    timmvit        dino-vits16 dino-vits8 dino-vitb16 dino-vitb8              DINO
    timmvit        dinov2-vits14 dinov2-vits14-reg dinov2-vitb14              DINOv2
                   dinov2-vitb14-reg dinov2-vitl14 dinov2-vitl14-reg
                   dinov2-vitg14 dinov2-vitg14-reg
    timmvit        mae-vitb16 mae-vitl16 mae-vith14 mae-vitb16-finetuned      timm (weights: MAE)
                   mae-vitl16-finetuned mae-vith14-finetuned
    densenet       densenet121 densenet161 densenet169 densenet201            torchvision
    inception      inception-v3                                               torchvision
    googlenet      googlenet                                                  torchvision
    squeezenet     squeezenet1-0 squeezenet1-1                                torchvision
    mobilenetv2    mobilenet-v2                                               torchvision
    mobilenetv3    mobilenet-v3-small mobilenet-v3-large                      torchvision
    mnasnet        mnasnet0-5 mnasnet0-75 mnasnet1-0 mnasnet1-3               torchvision
    shufflenet     shufflenet-v2-x0-5 shufflenet-v2-x1-0 shufflenet-v2-x1-5   torchvision
                   shufflenet-v2-x2-0
    efficientnet   efficientnet-b0 efficientnet-b1 efficientnet-b2            torchvision
                   efficientnet-b3 efficientnet-b4 efficientnet-b5
                   efficientnet-b6 efficientnet-b7 efficientnet-v2-s
                   efficientnet-v2-m efficientnet-v2-l
    regnet         regnet-x-400mf regnet-x-800mf regnet-x-1-6gf               torchvision
                   regnet-x-3-2gf regnet-x-8gf regnet-x-16gf regnet-x-32gf
                   regnet-y-400mf regnet-y-800mf regnet-y-1-6gf
                   regnet-y-3-2gf regnet-y-8gf regnet-y-16gf regnet-y-32gf
                   regnet-y-128gf
    convnext       convnext-tiny convnext-small convnext-base                 torchvision
                   convnext-large
    swin           swin-t swin-s swin-b swin-v2-t swin-v2-s swin-v2-b         torchvision
    maxvit         maxvit-t                                                   torchvision
    resnet         simclr-rn50 mocov2-rn50 swav-rn50 pirl-rn50 jigsaw-rn50    torchvision (weights: VISSL)
                   rotnet-rn50
    resnet         barlowtwins-rn50                                           torchvision (weights: Barlow Twins)
    resnet         vicreg-rn50                                                torchvision (weights: VICReg)
    resnet         dino-rn50                                                  torchvision (weights: DINO)
    resnet         robust-resnet50 robust-resnet18 robust-wide-resnet50-2     torchvision (weights: robust-models-transfer)
    resnet         resnet50-sin                                               torchvision (weights: texture-vs-shape)
    alexnet        alexnet-sin                                                torchvision (weights: texture-vs-shape)
    vgg            vgg16-sin                                                  torchvision (weights: texture-vs-shape)
    alexnet        alexnet-ecoset                                             torchvision (weights: ecoset)
    vgg            vgg16-ecoset vgg16bn-ecoset                                torchvision (weights: ecoset)
    resnet         resnet50-ecoset                                            torchvision (weights: ecoset)
    inception      inception-ecoset                                           torchvision (weights: ecoset)
    alexnet        alexnet-places365                                          torchvision (weights: Places365)
    resnet         resnet18-places365 resnet50-places365                      torchvision (weights: Places365)
    densenet       densenet161-places365                                      torchvision (weights: Places365)
    --- stderr

    202 models. `thingsvision models swin` shows those that have a word in their name, family, source, weights, licence or citation; `thingsvision models resnet50` everything about one, `--long` a line for each. Any also runs untrained: --weights random
    ");
}

#[test]
fn one_model_is_shown_with_its_sources() {
    assert_output!(Lab::new().succeed("models ResNet50"), @"
    exit Some(0)
    --- stdout
    model               resnet50
    family              resnet
    names and numbers   torchvision
    default layer       avgpool (2,048 values)
    parameters          25,557,032
    licence             BSD-3-Clause (code); the weights may be bound by the terms of ImageNet
    citation            He et al. 2016, Deep residual learning for image recognition, CVPR
    weights             resnet50.imagenet1k_v1
      file              https://download.pytorch.org/models/resnet50-0676ba61.pth
      sha256            0676ba61…
      pixels            resize 256 (bilinear), crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225
      transform         gLocal of `avgpool`: thingsvision align
    weights             resnet50.imagenet1k_v2
      file              https://download.pytorch.org/models/resnet50-11ad3fa6.pth
      sha256            11ad3fa6…
      pixels            resize 232 (bilinear), crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225
      transform         gLocal of `avgpool`: thingsvision align
    --- stderr
    ");
}

#[test]
fn models_are_searched() {
    let lab = Lab::new();
    assert_output!(lab.succeed("models Swin"), @"
    exit Some(0)
    --- stdout
    model       weights         input    default layer   outputs   parameters   source        licence
    swin-t      imagenet1k_v1   224 px   flatten             768       28.3 M   torchvision   BSD-3-Clause
    swin-s      imagenet1k_v1   224 px   flatten             768       49.6 M   torchvision   BSD-3-Clause
    swin-b      imagenet1k_v1   224 px   flatten           1,024       87.8 M   torchvision   BSD-3-Clause
    swin-v2-t   imagenet1k_v1   256 px   flatten             768       28.4 M   torchvision   BSD-3-Clause
    swin-v2-s   imagenet1k_v1   256 px   flatten             768       49.7 M   torchvision   BSD-3-Clause
    swin-v2-b   imagenet1k_v1   256 px   flatten           1,024       87.9 M   torchvision   BSD-3-Clause
    --- stderr

    6 models. `thingsvision models NAME` shows the sources, licence, citation and preprocessing of one. A licence of weights stands after that of the code; weights may be bound by further terms
    ");
    assert_output!(lab.succeed("models swag"), @"
    exit Some(0)
    --- stdout
    model            weights                                                                              input    default layer   outputs   parameters   source        licence
    vit-b-16         imagenet1k_v1 (imagenet1k_swag_e2e_v1) (imagenet1k_swag_linear_v1)                   224 px   encoder.ln          768       86.6 M   torchvision   BSD-3-Clause, CC-BY-NC-4.0
    vit-l-16         imagenet1k_v1 (imagenet1k_swag_e2e_v1) (imagenet1k_swag_linear_v1)                   224 px   encoder.ln        1,024      304.3 M   torchvision   BSD-3-Clause, CC-BY-NC-4.0
    vit-h-14         imagenet1k_swag_linear_v1 (imagenet1k_swag_e2e_v1)                                   224 px   encoder.ln        1,280      632.0 M   torchvision   BSD-3-Clause, CC-BY-NC-4.0
    regnet-y-16gf    imagenet1k_v1 (imagenet1k_v2) (imagenet1k_swag_e2e_v1) (imagenet1k_swag_linear_v1)   224 px   avgpool           3,024       83.6 M   torchvision   BSD-3-Clause, CC-BY-NC-4.0
    regnet-y-32gf    imagenet1k_v1 (imagenet1k_v2) (imagenet1k_swag_e2e_v1) (imagenet1k_swag_linear_v1)   224 px   avgpool           3,712      145.0 M   torchvision   BSD-3-Clause, CC-BY-NC-4.0
    regnet-y-128gf   imagenet1k_swag_linear_v1 (imagenet1k_swag_e2e_v1)                                   224 px   avgpool           7,392      644.8 M   torchvision   BSD-3-Clause, CC-BY-NC-4.0
    --- stderr

    6 models. `thingsvision models NAME` shows the sources, licence, citation and preprocessing of one. A licence of weights stands after that of the code; weights may be bound by further terms
    ");
    assert_output!(lab.succeed("models inception_v3"), @"
    exit Some(0)
    --- stdout
    model               inception-v3
    family              inception
    names and numbers   torchvision
    default layer       avgpool (2,048 values)
    parameters          27,161,264
    licence             BSD-3-Clause (code); the weights may be bound by the terms of ImageNet
    citation            Szegedy et al. 2016, Rethinking the Inception architecture for computer vision, CVPR
    weights             inception-v3.imagenet1k_v1
      file              https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth
      sha256            0cc3c7bd…
      pixels            resize 342 (bilinear), crop 299, mean 0.485 0.456 0.406, std 0.229 0.224 0.225
      network           brings images to another mean and deviation itself (transform_input); with --weights random it does not
    --- stderr
    ");
    assert_output!(lab.fail("models nonsense"), @"
    error: there is no model `nonsense`

    hint: `thingsvision models` lists all; examples/export_model.py exports others of PyTorch's libraries
    ");
    // Names with dots, as torchvision's files have them.
    for (written, name) in [
        ("squeezenet1.1", "squeezenet1-1"),
        ("regnet_y_1.6gf.imagenet1k_v2", "regnet-y-1-6gf"),
        ("EfficientNet_B0", "efficientnet-b0"),
    ] {
        let found = lab.succeed(&format!("models {written}")).stdout;
        assert!(found.starts_with(&format!("model               {name}\n")), "{written}: {found}");
    }
    // OpenCLIP's name, and no torchvision.
    assert_output!(lab.fail("layers --model ViT-L-16"), @"
    error: `ViT-L-16` is how OpenCLIP writes a network of its own, which is not here

    hint: of torchvision there is --model vit-l-16; examples/export_model.py exports OpenCLIP's
    ");
    let long = lab.succeed("models --long").stdout;
    assert_eq!(long.lines().count(), 203);
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
    error: `ViT-B-32` may be `clip-vit` (OpenAI CLIP), `openclip-vit-b-32` (OpenCLIP) or `vit-b-32` (torchvision)

    hint: say which: --model clip-vit, --model openclip-vit-b-32 or --model vit-b-32
    ");
    assert_output!(lab.fail("layers --model ViT-L-14"), @"
    error: `ViT-L-14` may be `clip-vit-l-14` (OpenAI CLIP) or `openclip-vit-l-14` (OpenCLIP)

    hint: say which: --model clip-vit-l-14 or --model openclip-vit-l-14
    ");
    for (name, model) in [
        ("vit_b_32", "vit-b-32"),
        ("vit-b-32", "vit-b-32"),
        ("ViT-B/32", "clip-vit"),
        ("ViT-L/14", "clip-vit-l-14"),
        ("vit-l-14", "clip-vit-l-14"),
        ("ViT-g-14", "openclip-vit-g-14"),
    ] {
        let said = lab.succeed(&format!("models {name}")).stdout;
        assert!(said.lines().next().unwrap().ends_with(&format!(" {model}")), "{name}: {said}");
    }
    let said = lab.fail("models resnet-50");
    assert!(said.contains("`resnet50`") && said.contains("examples/export_model.py"), "{said}");
}
