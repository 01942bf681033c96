"""Small networks of the vision families of Hugging Face's transformers, made from configurations, for compare.py.

Needs transformers. ViTMAE is not among them: it masks patches at random, so no file can give what it gives.
"""

import torch
import transformers

# Of the images.
SIDE = 32
TOKENS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": SIDE, "patch_size": 8}
STAGES = {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}
WINDOWS = {"image_size": SIDE, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
# By class.
CONFIGURATIONS = {
    "BeitModel": TOKENS,
    "CLIPVisionModel": TOKENS,
    "CLIPVisionModelWithProjection": TOKENS,
    "ConvNextForImageClassification": STAGES,
    "ConvNextModel": STAGES,
    "ConvNextV2Model": STAGES,
    "Data2VecVisionModel": TOKENS,
    "DeiTModel": TOKENS,
    "Dinov2ForImageClassification": TOKENS,
    "Dinov2Model": TOKENS,
    "Dinov2WithRegistersModel": TOKENS,
    "DINOv3ConvNextModel": STAGES,
    "DINOv3ViTModel": TOKENS,
    # With weights so small as usual what it gives vanishes.
    "EfficientNetModel": {"width_coefficient": 0.25, "depth_coefficient": 0.3, "hidden_dim": 320, "initializer_range": 0.3},
    "FocalNetModel": {"image_size": SIDE, "embed_dim": 8, "depths": [1, 1], "focal_levels": [1, 1], "focal_windows": [3, 3]},
    "IJepaModel": TOKENS,
    "MobileNetV1Model": {"depth_multiplier": 0.25},
    "MobileNetV2Model": {"depth_multiplier": 0.35},
    "PoolFormerModel": {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]},
    "RegNetModel": {"embedding_size": 8, "groups_width": 8, **STAGES},
    "ResNetForImageClassification": {"embedding_size": 8, **STAGES},
    "ResNetModel": {"embedding_size": 8, **STAGES},
    "SegformerModel": {"hidden_sizes": [8, 16, 32, 64]},
    "SiglipVisionModel": TOKENS,
    "SwinModel": WINDOWS,
    "Swinv2Model": WINDOWS,
    "ViTForImageClassification": TOKENS,
    "ViTModel": TOKENS,
    "ViTMSNModel": TOKENS,
}


def make(name: str) -> torch.nn.Module:
    kind = getattr(transformers, name)
    return kind(kind.config_class(**CONFIGURATIONS[name]))


def maker(name: str):
    def made():
        return make(name)

    made.__name__ = made.__qualname__ = name
    return made


NETWORKS = {f"transformers:{name}": maker(name) for name in CONFIGURATIONS}
