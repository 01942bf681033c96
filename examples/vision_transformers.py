"""The vision transformers and the ConvNeXts of timm's layout of thingsvision in PyTorch, for comparison.

Those of timm are used as they are. Those of DINO and DINOv2 are written here anew, from the names and shapes of the published
weights and what the papers say; they are the networks of the authors' code, module for module and draw for draw.
"""

import torch
from torch import nn

# For each model the architectures of timm whose weights it has; the first is what `build` makes. Then what timm calls weights
# that are models of their own here.
_FAMILIES = {
    "vit-tiny-patch16": ["vit_tiny_patch16_224", "vit_tiny_patch16_384"],
    "vit-small-patch16": ["vit_small_patch16_224", "vit_small_patch16_384"],
    "vit-small-patch32": ["vit_small_patch32_224", "vit_small_patch32_384"],
    "vit-base-patch8": ["vit_base_patch8_224"],
    "vit-base-patch16": ["vit_base_patch16_224", "vit_base_patch16_384"],
    "vit-base-patch32": ["vit_base_patch32_224", "vit_base_patch32_384"],
    "vit-large-patch16": ["vit_large_patch16_224", "vit_large_patch16_384"],
    "vit-large-patch32": ["vit_large_patch32_224", "vit_large_patch32_384"],
    "vit-huge-patch14": ["vit_huge_patch14_224"],
    "deit-tiny": ["deit_tiny_patch16_224"],
    "deit-tiny-distilled": ["deit_tiny_distilled_patch16_224"],
    "deit-small": ["deit_small_patch16_224"],
    "deit-small-distilled": ["deit_small_distilled_patch16_224"],
    "deit-base": ["deit_base_patch16_224", "deit_base_patch16_384"],
    "deit-base-distilled": ["deit_base_distilled_patch16_224", "deit_base_distilled_patch16_384"],
    "deit3-small": ["deit3_small_patch16_224", "deit3_small_patch16_384"],
    "deit3-medium": ["deit3_medium_patch16_224"],
    "deit3-base": ["deit3_base_patch16_224", "deit3_base_patch16_384"],
    "deit3-large": ["deit3_large_patch16_224", "deit3_large_patch16_384"],
    "deit3-huge": ["deit3_huge_patch14_224"],
    "siglip-base-patch16": [f"vit_base_patch16_siglip_{side}" for side in (224, 256, 384, 512)],
    "siglip-large-patch16": [f"vit_large_patch16_siglip_{side}" for side in (256, 384)],
    "siglip-so400m-patch14": [f"vit_so400m_patch14_siglip_{side}" for side in (224, 378, 384)],
    "siglip-so400m-patch16": ["vit_so400m_patch16_siglip_256"],
    "siglip2-base-patch32": ["vit_base_patch32_siglip_256"],
    "siglip2-base-patch16": [f"vit_base_patch16_siglip_{side}" for side in (224, 256, 384, 512)],
    "siglip2-large-patch16": [f"vit_large_patch16_siglip_{side}" for side in (256, 384, 512)],
    "siglip2-so400m-patch14": [f"vit_so400m_patch14_siglip_{side}" for side in (224, 378)],
    "siglip2-so400m-patch16": [f"vit_so400m_patch16_siglip_{side}" for side in (256, 384, 512)],
    "siglip2-giantopt-patch16": [f"vit_giantopt_patch16_siglip_{side}" for side in (256, 384)],
    "dinov3-vits16": ["vit_small_patch16_dinov3"],
    "dinov3-vits16plus": ["vit_small_plus_patch16_dinov3"],
    "dinov3-vitb16": ["vit_base_patch16_dinov3"],
    "dinov3-vitl16": ["vit_large_patch16_dinov3"],
    "dinov3-vith16plus": ["vit_huge_plus_patch16_dinov3"],
    "dinov3-vit7b16": ["vit_7b_patch16_dinov3"],
    "eva02-tiny": ["eva02_tiny_patch14_224", "eva02_tiny_patch14_336"],
    "eva02-small": ["eva02_small_patch14_224", "eva02_small_patch14_336"],
    "eva02-base": ["eva02_base_patch14_224", "eva02_base_patch14_448"],
    "eva02-large": ["eva02_large_patch14_224", "eva02_large_patch14_448"],
    "mae-vitb16": ["vit_base_patch16_224"],
    "mae-vitl16": ["vit_large_patch16_224"],
    "mae-vith14": ["vit_huge_patch14_224"],
    "mae-vitb16-finetuned": ["vit_base_patch16_224"],
    "mae-vitl16-finetuned": ["vit_large_patch16_224"],
    "mae-vith14-finetuned": ["vit_huge_patch14_224"],
    **{f"dinov3-convnext-{size}": [f"convnext_{size}"] for size in ("tiny", "small", "base", "large")},
    **{f"convnext-v2-{size}": [f"convnextv2_{size}"] for size in ("atto", "femto", "pico", "nano", "tiny", "base", "large", "huge")},
}

# Width, depth and number of heads.
_SIZES = {"s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16), "g": (1536, 40, 24)}
_DINO = [f"dino-vit{size}{patch}" for size in "sb" for patch in (16, 8)]
_DINOV2 = [f"dinov2-vit{size}14{registers}" for size in "sblg" for registers in ("", "-reg")]

NAMES = [*_FAMILIES, *_DINO, *_DINOV2]


def timm_weights(name: str) -> dict[str, str]:
    """The tags of a model, each with timm's name of the weights; the one that timm prefers first."""
    import timm.models

    wanted = {}
    for architecture in _FAMILIES[name]:
        side = "" if architecture == _FAMILIES[name][0] else "_" + architecture.rsplit("_", 1)[1]
        known = timm.models._registry.get_arch_pretrained_cfgs(architecture)
        for weights, settings in known.items():
            tag = weights.partition(".")[2]
            if settings.has_weights and _is_of(name, tag):
                wanted[tag.removeprefix("dinov3_") + side] = weights
    return wanted


def _is_of(name: str, tag: str) -> bool:
    """Whether weights of one shape belong to this model."""
    if name.startswith("mae-"):
        return tag == "mae"
    if name.startswith("siglip2-"):
        return tag.startswith("v2_")
    if name.startswith("siglip-"):
        return tag in ("webli", "webli_i18n")
    if name.startswith("dinov3-convnext-"):
        return tag.startswith("dinov3_")
    # FCMAE's by itself has no numbers for the last norm.
    return tag not in ("mae", "dino", "bamboo", "fcmae")


def published(name: str) -> dict[str, list]:
    """For each tag that timm hosts the address, the side of its images, the numbers of classes and parameters, the side that images
    are brought to (or both, as `224x224`), the interpolation, mean and deviation.

    SigLIP's images are prepared as OpenCLIP says, which its authors did, too; timm's settings cut their edges off."""
    import math

    import timm

    if name not in _FAMILIES or name.startswith("mae-"):
        return {}
    found = {}
    for tag, weights in timm_weights(name).items():
        settings = timm.get_pretrained_cfg(weights)
        recipe = timm.data.resolve_data_config(pretrained_cfg=settings.to_dict())
        side = recipe["input_size"][1]
        resize = math.floor(side / recipe["crop_pct"])
        if name.startswith("siglip") or recipe["crop_mode"] == "squash":
            resize = f"{side}x{side}"
        else:
            assert recipe["crop_mode"] == "center", weights
        interpolation, mean, std = (recipe[key] for key in ("interpolation", "mean", "std"))
        if name.startswith("siglip"):
            interpolation, mean, std = _of_open_clip(name, side)
        hub = settings.hf_hub_id if settings.hf_hub_id != "timm/" else f"timm/{weights}"
        address = f"https://huggingface.co/{hub}/resolve/main/model.safetensors"
        with torch.device("meta"):
            model = timm.create_model(weights)
        parameters = sum(value.numel() for value in model.parameters())
        found[tag] = [address, side, model.num_classes, parameters, resize, interpolation, *mean, *std]
    return found


def _of_open_clip(name: str, side: int) -> tuple:
    """Interpolation, mean and deviation of OpenCLIP's model of this school for images of this side."""
    import open_clip

    school = "SigLIP2" if name.startswith("siglip2-") else "SigLIP"
    patch = name.rsplit("patch", 1)[1]
    size = {"base": "B", "large": "L", "so400m": "SO400M", "giantopt": "gopt"}[name.split("-")[1]]
    known = [model for model in open_clip.list_models() if model.startswith(f"ViT-{size}-{patch}-{school}")]
    settings = [open_clip.get_pretrained_cfg(model, "webli") for model in known if open_clip.get_model_config(model)["vision_cfg"]["image_size"] == side]
    assert settings and all(recipe["resize_mode"] == "squash" for recipe in settings), (name, side)
    recipes = {(recipe["interpolation"], tuple(recipe["mean"]), tuple(recipe["std"])) for recipe in settings}
    assert len(recipes) == 1, (name, side)
    return recipes.pop()


def side(name: str) -> int:
    """Of the images that a model is shown."""
    import timm

    if name not in _FAMILIES or name.startswith("mae-"):
        return 224
    return timm.get_pretrained_cfg(next(iter(timm_weights(name).values()))).input_size[1]


def build(name: str, side: int | None = None) -> nn.Module:
    """The network called `name`, made for its usual images or for those with this side."""
    import timm

    options = {} if side is None else {"img_size": side}
    if name in _DINO or name in _DINOV2:
        return dino(name, **options)
    if name.endswith("-finetuned"):
        # As MAE's own code with `--global_pool`.
        return timm.create_model(_FAMILIES[name][0], global_pool="avg", num_classes=1000, **options)
    return timm.create_model(next(iter(timm_weights(name).values())), **options)


def dino(name: str, img_size: int | None = None) -> nn.Module:
    width, depth, heads = _SIZES[name.partition("vit")[2][0]]
    if name in _DINO:
        return VisionTransformer(int(name.partition("vit")[2][1:]), width, depth, heads)
    registers = 4 if name.endswith("-reg") else 0
    return DinoVisionTransformer(width, depth, heads, registers, gated="vitg" in name)


class PatchEmbed(nn.Module):
    def __init__(self, patch: int, width: int, norm: bool):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)
        if norm:
            self.norm = nn.Identity()

    def forward(self, x):
        x = self.proj(x).flatten(2).transpose(1, 2)
        return self.norm(x) if hasattr(self, "norm") else x


class Mlp(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * width, width)
        self.drop = nn.Dropout(0)

    def forward(self, x):
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class SwiGLUFFNFused(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        hidden = (int(4 * width * 2 / 3) + 7) // 8 * 8
        self.w12 = nn.Linear(width, 2 * hidden)
        self.w3 = nn.Linear(hidden, width)

    def forward(self, x):
        gate, x = self.w12(x).chunk(2, -1)
        return self.w3(nn.functional.silu(gate) * x)


class Attention(nn.Module):
    """DINO's, which gives its weights, too."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.attn_drop = nn.Dropout(0)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(0)

    def forward(self, x):
        n, tokens, d = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        weights = self.attn_drop((q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5).softmax(-1))
        x = (weights @ v).transpose(1, 2).reshape(n, tokens, d)
        return self.proj_drop(self.proj(x)), weights


class MemEffAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.proj_drop = nn.Dropout(0)

    def forward(self, x):
        n, tokens, d = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        x = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, tokens, d)
        return self.proj_drop(self.proj(x))


class LayerScale(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.drop_path = nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x):
        x = x + self.drop_path(self.attn(self.norm1(x))[0])
        return x + self.drop_path(self.mlp(self.norm2(x)))


class NestedTensorBlock(nn.Module):
    def __init__(self, width: int, heads: int, gated: bool):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = MemEffAttention(width, heads)
        self.ls1 = LayerScale(width)
        self.drop_path1 = nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = SwiGLUFFNFused(width) if gated else Mlp(width)
        self.ls2 = LayerScale(width)
        self.drop_path2 = nn.Identity()

    def forward(self, x):
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


def redraw(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)


def interpolate(positions: torch.Tensor, image: torch.Tensor, patch: int, offset: float, antialias: bool) -> torch.Tensor:
    """Positions `[1, 1 + L, D]` for the grid of patches of an image; the first is the class token's."""
    (h, w), side = image.shape[2:], int((positions.shape[1] - 1) ** 0.5)
    if (h // patch) * (w // patch) == side * side and h == w:
        return positions
    grid = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    if offset:
        size = dict(scale_factor=((h // patch + offset) / side, (w // patch + offset) / side))
    else:
        size = dict(size=(h // patch, w // patch))
    grid = nn.functional.interpolate(grid, mode="bicubic", antialias=antialias, **size)
    return torch.cat([positions[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)


class VisionTransformer(nn.Module):
    """DINO's, for images of 224 × 224 pixels and any others."""

    def __init__(self, patch: int, width: int, depth: int, heads: int):
        super().__init__()
        self.patch = patch
        self.patch_embed = PatchEmbed(patch, width, norm=False)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (224 // patch) ** 2 + 1, width))
        self.pos_drop = nn.Dropout(0)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Identity()
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        redraw(self)

    def forward(self, image):
        x = torch.cat([self.cls_token.expand(len(image), -1, -1), self.patch_embed(image)], 1)
        x = self.pos_drop(x + interpolate(self.pos_embed, image, self.patch, 0.1, antialias=False))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]


class DinoVisionTransformer(nn.Module):
    """DINOv2's, for images of 518 × 518 pixels and any others whose sides are multiples of 14."""

    def __init__(self, width: int, depth: int, heads: int, registers: int, gated: bool):
        super().__init__()
        self.patch_embed = PatchEmbed(14, width, norm=True)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 37 * 37 + 1, width))
        self.register_tokens = nn.Parameter(torch.zeros(1, registers, width)) if registers else None
        self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.blocks = nn.ModuleList([NestedTensorBlock(width, heads, gated) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Identity()
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        nn.init.normal_(self.cls_token, std=1e-6)
        if registers:
            nn.init.normal_(self.register_tokens, std=1e-6)
        redraw(self)

    def forward(self, image):
        x = torch.cat([self.cls_token.expand(len(image), -1, -1), self.patch_embed(image)], 1)
        if self.register_tokens is None:
            x = x + interpolate(self.pos_embed, image, 14, 0.1, antialias=False)
        else:
            x = x + interpolate(self.pos_embed, image, 14, 0, antialias=True)
            x = torch.cat([x[:, :1], self.register_tokens.expand(len(image), -1, -1), x[:, 1:]], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])
