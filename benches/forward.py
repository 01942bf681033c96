"""The forward pass of `forward.rs` in plain PyTorch: eager, contiguous images, its own allocator, all cores, no gradients.

    python benches/forward.py MODEL [BATCH_SIZE] [SECONDS]

A line of JSON: images per second after a first pass that is not counted, the floating-point operations of an image, and the
rate of a matrix product of 2048³. Needs torch and torchvision, and clip-anytorch for CLIP.
"""

import json
import pathlib
import sys
import time

import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "examples"))
import pytorch_models  # noqa: E402
import vision_transformers  # noqa: E402


def rate(seconds: float, work) -> float:
    """Calls of `work` per second, after a first one."""
    work()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        work()
        calls += 1
    return calls / (time.perf_counter() - start)


def side_of(name: str) -> int:
    """Of the images that the weights are for which were published first."""
    if name.startswith("clip-"):
        return (pytorch_models.CLIP_RESNETS | pytorch_models.CLIP_VITS)[name]["image_resolution"]
    if name.startswith("cornet-"):
        return 224
    if name in vision_transformers.NAMES:
        return vision_transformers.side(name)
    return list(torchvision.models.get_model_weights(name.replace("-", "_")))[0].transforms().crop_size[0]


@torch.no_grad()
def main(name: str, batch: str = "32", seconds: str = "10") -> None:
    model = pytorch_models.build(name, 0)
    side = side_of(name)
    images = torch.rand(int(batch), 3, side, side)
    with FlopCounterMode(display=False) as counter:
        pytorch_models.run(model, images[:1])
    matrix = torch.rand(2048, 2048)
    product = rate(1, lambda: matrix @ matrix) * 2 * 2048**3 / 1e9
    images_per_second = rate(float(seconds), lambda: pytorch_models.run(model, images)) * int(batch)
    gflop = counter.get_total_flops() / 1e9
    print(json.dumps(dict(model=name, images_per_second=images_per_second, gflop_per_image=gflop, product_gflops=product)))


if __name__ == "__main__":
    main(*sys.argv[1:])
