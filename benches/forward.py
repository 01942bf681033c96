"""The forward pass of `forward.rs` in plain PyTorch: eager, contiguous images, its own allocator, all cores, no gradients.

    python benches/forward.py MODEL [BATCH_SIZE] [SECONDS]

A line of JSON: images per second after a first pass that is not counted. Needs torch and torchvision; CLIP and CORnet come
from examples/pytorch_models.py.
"""

import json
import pathlib
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "examples"))
import pytorch_models  # noqa: E402

name, batch, seconds = sys.argv[1], int((sys.argv + [None, "32"])[2] if len(sys.argv) > 2 else 32), 10.0
if len(sys.argv) > 3:
    seconds = float(sys.argv[3])
model = pytorch_models.build(name, 0)
size = 288 if name == "clip-rn50x4" else 224
images = torch.rand(batch, 3, size, size)
with torch.no_grad():
    pytorch_models.run(model, images)
    start, passes = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        pytorch_models.run(model, images)
        passes += 1
    rate = passes * batch / (time.perf_counter() - start)
print(json.dumps({"model": name, "batch": batch, "images_per_second": rate}))
