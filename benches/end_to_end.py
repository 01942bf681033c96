"""What one would write without a toolbox: the activations of one layer for a folder of images, in plain PyTorch.

    python benches/end_to_end.py MODEL LAYER FOLDER OUT.npy

torchvision's preprocessing, a DataLoader with a worker for each core, batches of 32, a forward hook; random weights.
"""

import os
import pathlib
import sys

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "examples"))
import pytorch_models  # noqa: E402

PREPROCESS = Compose([Resize(256), CenterCrop(224), ToTensor(), Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])


class Images(torch.utils.data.Dataset):
    def __init__(self, folder: str):
        self.paths = sorted(pathlib.Path(folder).iterdir())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        return PREPROCESS(Image.open(self.paths[i]).convert("RGB"))


def main(name: str, layer: str, folder: str, out: str) -> None:
    model, kept = pytorch_models.build(name, 0), []
    model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: kept.append(output.numpy().copy()))
    with torch.no_grad():
        for images in torch.utils.data.DataLoader(Images(folder), batch_size=32, num_workers=os.cpu_count()):
            pytorch_models.run(model, images)
    np.save(out, np.concatenate(kept))


if __name__ == "__main__":
    main(*sys.argv[1:])
