"""The networks of thingsvision in PyTorch, as their authors' code makes them, for comparison.

torchvision, OpenAI's CLIP (the package clip-anytorch) and OpenCLIP (open_clip_torch) are used as they are. CORnet is written here
anew, from the papers and from the names and shapes of the published weights. Vision transformers beside torchvision's are in
vision_transformers.py.
"""

import math
import re

import torch
import torchvision
from torch import nn

import vision_transformers

CLIP_RESNETS = {
    "clip-rn": dict(embed_dim=1024, image_resolution=224, vision_layers=(3, 4, 6, 3), vision_width=64, text_width=512),
    "clip-rn101": dict(embed_dim=512, image_resolution=224, vision_layers=(3, 4, 23, 3), vision_width=64, text_width=512),
    "clip-rn50x4": dict(embed_dim=640, image_resolution=288, vision_layers=(4, 6, 10, 6), vision_width=80, text_width=640),
    "clip-rn50x16": dict(embed_dim=768, image_resolution=384, vision_layers=(6, 8, 18, 8), vision_width=96, text_width=768),
    "clip-rn50x64": dict(embed_dim=1024, image_resolution=448, vision_layers=(3, 15, 36, 10), vision_width=128, text_width=1024),
}
CLIP_VITS = {
    "clip-vit": dict(embed_dim=512, image_resolution=224, vision_layers=12, vision_width=768, patch=32, text_width=512),
    "clip-vit-b-16": dict(embed_dim=512, image_resolution=224, vision_layers=12, vision_width=768, patch=16, text_width=512),
    "clip-vit-l-14": dict(embed_dim=768, image_resolution=224, vision_layers=24, vision_width=1024, patch=14, text_width=768),
    "clip-vit-l-14-336px": dict(embed_dim=768, image_resolution=336, vision_layers=24, vision_width=1024, patch=14, text_width=768),
}
# By OpenCLIP's names.
OPENCLIP = {
    "openclip-rn50": "RN50",
    "openclip-rn101": "RN101",
    "openclip-rn50x4": "RN50x4",
    "openclip-rn50x16": "RN50x16",
    "openclip-rn50x64": "RN50x64",
    "openclip-vit-b-32": "ViT-B-32",
    "openclip-vit-b-32-256": "ViT-B-32-256",
    "openclip-vit-b-16": "ViT-B-16",
    "openclip-vit-b-16-plus-240": "ViT-B-16-plus-240",
    "openclip-vit-l-14": "ViT-L-14",
    "openclip-vit-l-14-336": "ViT-L-14-336",
    "openclip-vit-h-14": "ViT-H-14",
    "openclip-vit-h-14-378": "ViT-H-14-378",
    "openclip-vit-g-14": "ViT-g-14",
    "openclip-vit-bigg-14": "ViT-bigG-14",
}
# OpenCLIP's ViT-g-14 and RN50, of which little is left (tests/fixtures/small.toml).
SMALL = {
    "small-openclip-vit": dict(
        embed_dim=48,
        vision_cfg=dict(image_size=70, layers=3, width=88, head_width=22, mlp_ratio=4.3637, patch_size=14),
        text_cfg=dict(context_length=7, vocab_size=50, width=32, heads=2, layers=1),
    ),
    "small-openclip-rn": dict(
        embed_dim=48,
        vision_cfg=dict(image_size=64, layers=[1, 2, 1, 1], width=16, patch_size=None),
        text_cfg=dict(context_length=7, vocab_size=50, width=32, heads=2, layers=1),
    ),
}
# torchvision's networks with other weights: whose network, and for how many classes (0: `fc` is the identity).
SELF_SUPERVISED = ["simclr", "mocov2", "swav", "pirl", "jigsaw", "rotnet", "barlowtwins", "vicreg", "dino"]
OTHERS = {
    **{f"{method}-rn50": ("resnet50", 0) for method in SELF_SUPERVISED},
    **{f"robust-{network}": (network, 1000) for network in ["resnet18", "resnet50", "wide-resnet50-2"]},
    **{f"{network}-sin": (network, 1000) for network in ["resnet50", "alexnet", "vgg16"]},
    **{f"{network}-ecoset": (network, 565) for network in ["alexnet", "vgg16", "resnet50"]},
    "vgg16bn-ecoset": ("vgg16-bn", 565),
    "inception-ecoset": ("inception-v3", 565),
    **{f"{network}-places365": (network, 365) for network in ["alexnet", "resnet18", "resnet50", "densenet161"]},
}


def build(name: str, seed: int) -> nn.Module:
    """The network called `name`, initialised after `torch.manual_seed(seed)`, in evaluation mode.

    With a tag, as `googlenet.imagenet1k_v1`, it is built as for those weights."""
    torch.manual_seed(seed)
    name, _, tag = name.partition(".")
    if name.startswith("cornet-"):
        model = cornet(name.removeprefix("cornet-"))
    elif name.startswith("clip-"):
        model = clip(**(CLIP_RESNETS | CLIP_VITS)[name])
    elif name in vision_transformers.NAMES:
        model = vision_transformers.build(name)
    elif name in OPENCLIP or name in SMALL:
        model = openclip(name, tag)
    elif name in OTHERS:
        network, classes = OTHERS[name]
        model = torchvision.models.get_model(network.replace("-", "_"), weights=None, num_classes=classes or 1000, **options(network, ""))
        if classes == 0:
            model.fc = nn.Identity()
    else:
        model = torchvision.models.get_model(name.replace("-", "_"), weights=None, **options(name, tag))
    return model.eval()


def options(name: str, tag: str) -> dict:
    """What torchvision sets when it loads the weights `tag`, beside the number of classes."""
    if name == "googlenet":
        return dict(init_weights=True, transform_input=True, aux_logits=False) if tag else dict(init_weights=True)
    if name == "inception-v3":
        return dict(init_weights=True, transform_input=bool(tag))
    if name.startswith("vit-") and tag:
        weights = torchvision.models.get_model_weights(name.replace("-", "_"))[tag.upper()]
        return dict(image_size=weights.meta["min_size"][0])
    return {}


def clip(text_width: int, patch: int | None = None, **options) -> nn.Module:
    import clip.model

    text = dict(context_length=77, vocab_size=49408, transformer_width=text_width, transformer_heads=text_width // 64)
    return clip.model.CLIP(vision_patch_size=patch, transformer_layers=12, **options, **text)


def openclip(name: str, tag: str) -> nn.Module:
    """The whole model as OpenCLIP makes it; of a name with a tag with the activation function of these weights."""
    import open_clip

    if name in SMALL:
        return open_clip.CLIP(**SMALL[name])
    quick_gelu = bool(tag) and open_clip.get_pretrained_cfg(OPENCLIP[name], tag).get("quick_gelu", False)
    return open_clip.create_model(OPENCLIP[name], force_quick_gelu=quick_gelu)


def run(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The forward pass; of CLIP only the image tower."""
    return model.visual(images) if hasattr(model, "visual") else model(images)


def modules(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """`named_modules()`; of CLIP only the image tower."""
    return [(name, module) for name, module in model.named_modules() if in_image_tower(model, name)]


def in_image_tower(model: nn.Module, name: str) -> bool:
    return not hasattr(model, "visual") or name == "visual" or name.startswith("visual.")


def state_dict(model: nn.Module) -> dict[str, torch.Tensor]:
    """`state_dict()`; of CLIP only the image tower."""
    return {key: value for key, value in model.state_dict().items() if in_image_tower(model, key)}


def activation(model: nn.Module, name: str, output) -> torch.Tensor:
    """What thingsvision stores of a module's output: of attention the first of a tuple, and always batch first."""
    output = output[0] if isinstance(output, tuple) else output
    # The transformer of OpenAI's CLIP works on [tokens, images, features].
    is_tokens_first = type(model).__module__ == "clip.model" and name.startswith("visual.transformer")
    return output.transpose(0, 1) if is_tokens_first else output


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


def set_activation(model: nn.Module, function: str | None) -> None:
    """Gives the blocks of CLIP's vision transformer the function that a run recorded: no state dict tells it."""
    for name, module in modules(model):
        if function and name.endswith(".mlp"):
            module.gelu = {"gelu": nn.GELU, "quickgelu": QuickGELU}[function]()


def load_weights(model: nn.Module, path: str) -> None:
    """Weights from a state dict, a checkpoint that nests one, a TorchScript archive or safetensors; of CLIP only the image tower."""
    if path.endswith(".safetensors"):
        import safetensors.torch

        state = safetensors.torch.load_file(path)
    else:
        try:
            state = torch.jit.load(path, map_location="cpu").state_dict()
        except RuntimeError:
            state = torch.load(path, map_location="cpu", weights_only=False)
    if "classy_state_dict" in state:
        state = state["classy_state_dict"]["base_model"]["model"]["trunk"]
    state = state.get("state_dict", state)
    state = state.get("model", state)
    wanted = state_dict(model)
    prefixes = ["module.model.", "module.", "_feature_blocks.", ""]
    prefix = next(prefix for prefix in prefixes if any(key.startswith(prefix) for key in state))
    state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    state = {key.replace("features.module.", "features."): value for key, value in state.items()}
    if hasattr(model, "features") and hasattr(model.features, "denseblock1"):
        # As published, before names with dots were forbidden.
        state = {re.sub(r"(norm|conv)\.([12])\.", r"\1\2.", key): value for key, value in state.items()}
    missing = [key for key in wanted if key not in state and not key.endswith("num_batches_tracked")]
    assert not missing, missing
    model.load_state_dict({key: state[key].float() for key in wanted if key in state}, strict=False)


class Flatten(nn.Module):
    def forward(self, x):
        return x.flatten(1)


def decoder(output: bool) -> nn.Sequential:
    decoder = nn.Sequential()
    decoder.avgpool = nn.AdaptiveAvgPool2d(1)
    decoder.flatten = Flatten()
    decoder.linear = nn.Linear(512, 1000)
    if output:
        decoder.output = nn.Identity()
    return decoder


class CORblock_S(nn.Module):
    """A bottleneck run several times on its own output; weights are shared over time, batch norms are not."""

    def __init__(self, c_in: int, c_out: int, times: int):
        super().__init__()
        self.times = times
        self.conv_input = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.skip = nn.Conv2d(c_out, c_out, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(c_out)
        self.conv1 = nn.Conv2d(c_out, 4 * c_out, 1, bias=False)
        self.nonlin1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * c_out, 4 * c_out, 3, stride=2, padding=1, bias=False)
        self.nonlin2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(4 * c_out, c_out, 1, bias=False)
        self.nonlin3 = nn.ReLU(inplace=True)
        self.output = nn.Identity()
        for time in range(times):
            self.add_module(f"norm1_{time}", nn.BatchNorm2d(4 * c_out))
            self.add_module(f"norm2_{time}", nn.BatchNorm2d(4 * c_out))
            self.add_module(f"norm3_{time}", nn.BatchNorm2d(c_out))

    def forward(self, x):
        x = self.conv_input(x)
        for time in range(self.times):
            norm1, norm2, norm3 = (getattr(self, f"norm{i}_{time}") for i in (1, 2, 3))
            skip = self.norm_skip(self.skip(x)) if time == 0 else x
            self.conv2.stride = (2, 2) if time == 0 else (1, 1)
            x = self.nonlin1(norm1(self.conv1(x)))
            x = self.nonlin2(norm2(self.conv2(x)))
            x = norm3(self.conv3(x)) + skip
            x = self.output(self.nonlin3(x))
        return x


class CORblock_Z(nn.Module):
    def __init__(self, c_in: int, c_out: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2)
        self.nonlin = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.output = nn.Identity()

    def forward(self, x):
        return self.output(self.pool(self.nonlin(self.conv(x))))


class CORblock_R(nn.Module):
    """An area that adds its input and its own last output; without input from below it takes zeros."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int, side: int):
        super().__init__()
        self.shape = (c_out, side, side)
        self.conv_input = nn.Conv2d(c_in, c_out, kernel, stride=stride, padding=kernel // 2)
        self.norm_input = nn.GroupNorm(32, c_out)
        self.nonlin_input = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(32, c_out)
        self.nonlin1 = nn.ReLU(inplace=True)
        self.output = nn.Identity()

    def forward(self, below, state, images):
        if below is None:
            x = torch.zeros(images, *self.shape)
        else:
            x = self.nonlin_input(self.norm_input(self.conv_input(below)))
        x = x if state is None else x + state
        return self.output(self.nonlin1(self.norm1(self.conv1(x))))


class CORblock_RT(CORblock_R):
    pass


class CORnet_R(nn.Module):
    block = CORblock_R
    synchronous = False

    def __init__(self):
        super().__init__()
        self.V1 = self.block(3, 64, 7, 4, 56)
        self.V2 = self.block(64, 128, 3, 2, 28)
        self.V4 = self.block(128, 256, 3, 2, 14)
        self.IT = self.block(256, 512, 3, 2, 7)
        self.decoder = decoder(output=False)

    def forward(self, x):
        areas = [self.V1, self.V2, self.V4, self.IT]
        outputs = [None] * 4
        for time in range(5):
            before = list(outputs)
            for i, area in enumerate(areas):
                if i == 0:
                    below = x
                elif time == 0:
                    below = None
                else:
                    below = (before if self.synchronous else outputs)[i - 1]
                outputs[i] = area(below, before[i], len(x))
        return self.decoder(outputs[3])


class CORnet_RT(CORnet_R):
    block = CORblock_RT
    synchronous = True


def cornet(variant: str) -> nn.Module:
    if variant in ("r", "rt"):
        return CORnet_R() if variant == "r" else CORnet_RT()
    model = nn.Sequential()
    if variant == "s":
        model.V1 = nn.Sequential()
        model.V1.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        model.V1.norm1 = nn.BatchNorm2d(64)
        model.V1.nonlin1 = nn.ReLU(inplace=True)
        model.V1.pool = nn.MaxPool2d(3, stride=2, padding=1)
        model.V1.conv2 = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        model.V1.norm2 = nn.BatchNorm2d(64)
        model.V1.nonlin2 = nn.ReLU(inplace=True)
        model.V1.output = nn.Identity()
        model.V2 = CORblock_S(64, 128, 2)
        model.V4 = CORblock_S(128, 256, 4)
        model.IT = CORblock_S(256, 512, 2)
    else:
        model.V1 = CORblock_Z(3, 64, 7, 2)
        model.V2 = CORblock_Z(64, 128)
        model.V4 = CORblock_Z(128, 256)
        model.IT = CORblock_Z(256, 512)
    model.decoder = decoder(output=True)
    for module in model.modules():
        if variant == "s" and isinstance(module, nn.Conv2d):
            fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, 0, math.sqrt(2 / fan_out))
        if variant == "z" and isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    return model
