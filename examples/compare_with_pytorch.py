"""Compares a run of `thingsvision extract` with PyTorch, layer by layer.

    pip install torch==2.11.0 torchvision==0.26.0 pillow==13.0.0 numpy clip-anytorch==2.6.0 "setuptools<81"
    thingsvision extract --model alexnet --weights random --seed 0 --layer input --layer '*' --images my-images/
    python examples/compare_with_pytorch.py activations/alexnet.random-0 …

The network is made by its authors' PyTorch code from the same seed, or gets the same weights file; the images are read by
Pillow and prepared by torchvision's transforms. Prints the largest difference of each layer in units of the layer's scale
(its largest absolute value; `--worst` prints only the worst layer), and fails if one is above 1e-4 (1e-3 in float16).
"""

import json
import pathlib
import sys

import numpy as np
import pytorch_models
import torch
from PIL import Image, ImageOps
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

TOLERANCE = {"f32": 1e-4, "f16": 1e-3}


def transform(recipe: dict) -> Compose:
    crop = [CenterCrop(recipe["crop"])] if recipe["crop"] else []
    return Compose([
        Resize(recipe["resize"], InterpolationMode(recipe["interpolation"])),
        *crop,
        ToTensor(),
        Normalize(recipe["mean"], recipe["std"]),
    ])


def opener(run: dict):
    """A function from the ID of a row to its image."""
    (kind, origin), = run["image_origin"].items()
    if kind == "stack":
        if origin["dataset"]:
            import h5py

            stack = h5py.File(origin["file"])[origin["dataset"]]
        else:
            stack = np.load(origin["file"], mmap_mode="r")
        return lambda id: Image.fromarray(stack[int(id)])

    def path(id: str) -> pathlib.Path:
        if kind == "list":
            return pathlib.Path(origin["root"]) / id
        if len(origin) == 1:
            return pathlib.Path(origin[0]) / id
        # With several folders an ID begins with the name of its folder.
        name, rest = id.split("/", 1)
        return next(pathlib.Path(folder) for folder in origin if pathlib.Path(folder).name == name) / rest

    def open_image(id: str) -> Image.Image:
        # An opened file, as torchvision's ImageFolder does: of some TIFFs a path gives another orientation.
        image = Image.open(open(path(id), "rb"))
        return (ImageOps.exif_transpose(image) if run["exif_orientation"] else image).convert("RGB")

    return open_image


def build(run: dict) -> torch.nn.Module:
    model = pytorch_models.build(run["model"], run["weights"].get("seed", 0))
    if run["weights"]["kind"] == "file":
        pytorch_models.load_weights(model, run["weights"]["path"])
    elif run["weights"]["kind"] != "random":
        sys.exit("compare a run of --weights random, or of a weights file that is named by its path")
    pytorch_models.set_activation(model, run.get("activation"))
    return model


def readout(kind: str, output: torch.Tensor, stored: list[int]) -> torch.Tensor:
    # Swin and ConvNeXt have maps whose channels come last.
    places = (1, 2) if output.dim() == 4 and list(output.shape[-1:]) == stored and output.shape[1] != stored[0] else (2, 3)
    cls, patches = (output[:, 0], output[:, 1:].mean(1)) if output.dim() == 3 else (None, None)
    return {
        "none": lambda: output,
        "flatten": lambda: output.flatten(1),
        "mean": lambda: output.mean(places) if output.dim() == 4 else output,
        "max": lambda: output.amax(places) if output.dim() == 4 else output,
        "cls": lambda: cls,
        "patches": lambda: patches,
        "cls+patches": lambda: torch.cat([cls, patches], 1),
    }[kind]()


def compare(folder: pathlib.Path) -> tuple[dict[str, float], float]:
    """The largest difference of each layer, in units of its largest absolute value, and how large it may be."""
    run = json.loads((folder / "run.json").read_text())
    ids = (folder / "images.txt").read_text().removesuffix("\n").split("\n")
    if "averaged" in run:
        sys.exit(f"{folder}: its rows are means; compare a run without --average-by")
    prepare, open_image, model = transform(run["preprocessing"]), opener(run), build(run)
    outputs: dict[str, list[torch.Tensor]] = {}

    def keep(name: str):
        # Cloned: PyTorch's ReLUs work in place and would change what was kept.
        return lambda module, inputs, output: outputs.setdefault(name, []).append(pytorch_models.activation(model, name, output).clone())

    for name, module in pytorch_models.modules(model):
        module.register_forward_hook(keep(name))

    stored = {layer["name"]: np.load(folder / layer["file"], mmap_mode="r") for layer in run["layers"]}
    worst, scale = dict.fromkeys(stored, 0.0), dict.fromkeys(stored, 0.0)
    step = run["batch_size"]
    for first in range(0, len(ids), step):
        images = torch.stack([prepare(open_image(id)) for id in ids[first:first + step]])
        count = len(images)
        if run["exact"]:
            # The last batch is as large as the others, for the same last digits.
            images = torch.cat([images, torch.zeros(step - count, *images.shape[1:])])
        outputs.clear()
        with torch.no_grad():
            outputs["output"] = [pytorch_models.run(model, images)]
        outputs["input"] = [images]
        for layer, rows in stored.items():
            name, _, call = layer.partition("@")
            expected = readout(run["readout"], outputs[name][int(call) if call else -1], list(rows.shape[1:]))[:count].numpy()
            found = rows[first:first + step].astype(np.float32)
            difference = float(np.abs(found - expected).max())
            # NaN where PyTorch has a number is as far off as can be.
            worst[layer] = max(worst[layer], np.inf if np.isnan(difference) else difference)
            scale[layer] = max(scale[layer], float(np.abs(expected).max()))
    return {layer: worst[layer] / (scale[layer] or 1.0) for layer in stored}, TOLERANCE[run["dtype"]]


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    failed = False
    for argument in sys.argv[1:]:
        if argument == "--worst":
            continue
        differences, tolerance = compare(pathlib.Path(argument))
        if "--worst" not in sys.argv:
            for layer, difference in differences.items():
                print(f"{layer:32} {difference:.1e}")
        layer = max(differences, key=differences.get)
        print(f"{argument}: {len(differences)} layers, largest difference {differences[layer]:.1e} of the scale, at {layer}")
        failed |= differences[layer] > tolerance
    sys.exit(failed)
