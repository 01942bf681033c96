"""Compares a run of `thingsvision extract` with PyTorch, layer by layer.

    pip install torch==2.11.0 torchvision==0.26.0 pillow numpy
    thingsvision extract --model alexnet --weights random --seed 0 --layer input --layer '*' --images my-images/
    python examples/compare_with_pytorch.py activations/alexnet.random-0

The network is made by torchvision from the same seed, or gets the same weights file; the images are read by Pillow and
prepared by torchvision's transforms. Prints the largest difference of each layer in units of the layer's scale (its
largest absolute value), and fails if one is above 1e-4.
"""

import json
import pathlib
import sys

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

TOLERANCE = 1e-4

folder = pathlib.Path(sys.argv[1])
run = json.loads((folder / "run.json").read_text())
ids = (folder / "images.txt").read_text().splitlines()

recipe = run["preprocessing"]
prepare = Compose([
    Resize(recipe["resize"], InterpolationMode(recipe["interpolation"])),
    CenterCrop(recipe["crop"]),
    ToTensor(),
    Normalize(recipe["mean"], recipe["std"]),
])

name = run["model"].split(".")[0]
torch.manual_seed(run["weights"].get("seed", 0))
model = torchvision.models.get_model(name, weights=None)
if run["weights"]["kind"] == "file":
    model.load_state_dict(torch.load(run["weights"]["path"], weights_only=True))
model.eval()

outputs: dict[str, list[torch.Tensor]] = {}


def keep(layer: str):
    # Cloned: PyTorch's ReLUs work in place and would change what was kept.
    return lambda module, inputs, output: outputs.setdefault(layer, []).append(output.detach().clone())


for layer, module in model.named_modules():
    module.register_forward_hook(keep(layer or "output"))

stored = {layer["name"]: np.load(folder / layer["file"], mmap_mode="r") for layer in run["layers"]}
worst = {layer: 0.0 for layer in stored}
scale = {layer: 0.0 for layer in stored}
step = run["batch_size"]
for first in range(0, len(ids), step):
    batch = ids[first:first + step]
    images = torch.stack([prepare(Image.open(pathlib.Path(run["image_root"]) / id).convert("RGB")) for id in batch])
    outputs.clear()
    outputs["input"] = [images]
    with torch.no_grad():
        model(images)
    for layer, rows in stored.items():
        base, _, call = layer.partition("@")
        expected = outputs[base][int(call) if call else -1].numpy()
        found = rows[first:first + step].astype(np.float32).reshape(expected.shape)
        worst[layer] = max(worst[layer], float(np.abs(found - expected).max()))
        scale[layer] = max(scale[layer], float(np.abs(expected).max()))

for layer in stored:
    print(f"{layer:32} {worst[layer] / scale[layer]:.1e}")
largest = max(worst[layer] / scale[layer] for layer in stored)
print(f"{len(stored)} layers, {len(ids)} images: largest difference {largest:.1e} of the layer's scale")
sys.exit(largest > TOLERANCE)
