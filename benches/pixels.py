"""How many images per second Pillow and torchvision prepare, on one thread: python benches/pixels.py FOLDER [REPEATS]

A line of JSON for each stage. The time of an image is the least over the repeats (10, unless told), that of a stage the
sum over the images; files are read into memory before.
"""

import io
import json
import pathlib
import sys
import time

import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

BILINEAR = Resize(256, InterpolationMode.BILINEAR)
BICUBIC = Resize(224, InterpolationMode.BICUBIC)
REST = [CenterCrop(224), ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
BILINEAR_CHAIN, BICUBIC_CHAIN = Compose([BILINEAR, *REST]), Compose([BICUBIC, *REST])


def decode(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def seconds(function, argument) -> float:
    start = time.perf_counter()
    function(argument)
    return time.perf_counter() - start


def main() -> None:
    torch.set_num_threads(1)
    folder, repeats = pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 10
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    images = [decode(content) for content in files]
    stages = {
        "decode": (decode, files),
        "resize 256 bilinear": (BILINEAR, images),
        "resize 224 bicubic": (BICUBIC, images),
        "all 256 224 bilinear": (lambda content: BILINEAR_CHAIN(decode(content)), files),
        "all 224 224 bicubic": (lambda content: BICUBIC_CHAIN(decode(content)), files),
    }
    least = {stage: [float("inf")] * len(files) for stage in stages}
    for _ in range(repeats):
        for stage, (function, arguments) in stages.items():
            for i, argument in enumerate(arguments):
                least[stage][i] = min(least[stage][i], seconds(function, argument))
    for stage, times in least.items():
        print(json.dumps({"stage": stage, "images_per_s": round(len(files) / sum(times), 1)}))


if __name__ == "__main__":
    main()
