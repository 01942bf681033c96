"""Makes the files beside it: tiny exported networks, images, and what PyTorch's modules give for them.

    python tests/exported/make_fixtures.py

Needs torch 2.11.0, torchvision 0.26.0, pillow and numpy. `goldens.json` has for each network that is to run

    calls         every call that a forward hook sees, in the order in which they end: the layer, its call, the element of a
                  tuple or dictionary, PyTorch's shape, and the values for the 3 images of `images/`, images first; `values`
                  is null where there is not one value for each image
    never_called  modules without a call: the network has no use for them

and `others.json` says what is special about the other files; most are to be refused.
"""

import json
import os
import pathlib
import re
import sys
import warnings
import zipfile
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
import torchvision  # noqa: F401, registers torchvision::nms
from PIL import Image
from torch import Tensor, nn

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parents[1] / "examples"))
import export_model  # noqa: E402
from export_model import named_tensors  # noqa: E402

SIDE = 32
IMAGES = 3
PREPARED = {"resize": [SIDE, SIDE], "crop": "none", "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


# ---- networks that run -----------------------------------------------------------------------------------------------------


def lively(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    """Statistics as after training."""
    nn.init.uniform_(norm.running_mean, -0.5, 0.5)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.uniform_(norm.bias, -0.5, 0.5)
    return norm


class ConvNet(nn.Module):
    """One ReLU for all, in place behind a batch norm; modules that compute nothing; a sum."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.bn1 = lively(nn.BatchNorm2d(4))
        self.relu = nn.ReLU(inplace=True)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), lively(nn.BatchNorm2d(4)), nn.ReLU(inplace=True), nn.Identity())
        self.identity = nn.Identity()
        self.down = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.body(x) + x)
        x = self.relu(self.down(self.identity(x)))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(self.dropout(x))


class Block(nn.Module):
    """Attention, which returns its weights too if asked to, and a perceptron."""

    def __init__(self, need_weights: bool, batch_first: bool):
        super().__init__()
        self.need_weights = need_weights
        self.norm1 = nn.LayerNorm(8)
        self.attn = nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.norm2 = nn.LayerNorm(8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Dropout(0.1), nn.Linear(16, 8))

    def forward(self, x):
        y = self.norm1(x)
        y, weights = self.attn(y, y, y, need_weights=self.need_weights)
        if weights is not None:
            y = y * (1 + weights.amax(2).reshape(y.shape[0], y.shape[1], 1))
        x = x + y
        return x + self.mlp(self.norm2(x))


class Tokens(nn.Module):
    """A vision transformer with a class token and two registers after it."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.reg_token = nn.Parameter(torch.randn(1, 2, 8))
        self.blocks = nn.ModuleList([Block(True, True), Block(False, True)])
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        n = x.shape[0]
        x = torch.cat([self.cls_token.expand(n, -1, -1), self.reg_token.expand(n, -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class SequenceFirst(nn.Module):
    """Tokens [L, N, D]; windows folded into the axis of the images, before and behind it."""

    # Where a layer's images are not on the first axis.
    AXES = {"embed": 1, "block": 1}
    CROSSED = ["crossed"]

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.embed = nn.Linear(8, 8)
        self.block = Block(False, False)
        self.windows = nn.Linear(8, 8)
        self.crossed = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.embed(self.patches(x).flatten(2).permute(2, 0, 1))
        x = self.block(x)
        n, d = x.shape[1], x.shape[2]
        # [16, N, D] as 4 windows of 4 tokens: [N * 4, 4, D], all of an image beside each other …
        x = x.transpose(0, 1).reshape(n * 4, 4, d)
        x = torch.relu(self.windows(x)).reshape(n, 4, 4, d)
        # … and [4 * N, 4, D], where those of an image lie apart.
        x = self.crossed(x.transpose(0, 1).reshape(4 * n, 4, d)).reshape(4, n, 4, d).transpose(0, 1)
        return self.head(self.norm(x.reshape(n, 16, d)).mean(1))


class Pyramid(nn.Module):
    def forward(self, x) -> Tuple[Tensor, List[Tensor]]:
        return x.mean((2, 3)), [x, nn.functional.max_pool2d(x, 2)]


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 2, 1)

    def forward(self, x) -> Dict[str, Tensor]:
        return {"out": self.conv(x), "aux": x[:, :2] + 1}


class Auxiliary(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 5)

    def forward(self, x) -> Tuple[Tensor, Optional[Tensor]]:
        auxiliary: Optional[Tensor] = None
        if self.training:
            auxiliary = x
        return self.fc(x), auxiliary


class Tuples(nn.Module):
    """Modules that give several tensors."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, stride=4)
        self.pyramid = Pyramid()
        self.named = Named()
        self.auxiliary = Auxiliary()

    def forward(self, x):
        mean, levels = self.pyramid(self.conv(x))
        named = self.named(levels[1])
        x = mean + levels[0].mean((2, 3)) + torch.cat([named["out"], named["aux"]], 1).mean((2, 3))
        return self.auxiliary(x)[0]


class Shared(nn.Module):
    """A module of two names, both used, and one that is called by its second name alone."""

    def __init__(self):
        super().__init__()
        self.unused_name = nn.Conv2d(3, 4, 8, stride=8)
        self.conv = nn.Sequential(self.unused_name)
        self.first = nn.Sequential(nn.Conv2d(4, 4, 1))
        self.second = self.first
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.act(self.first(self.conv(x)))
        return self.act(self.second(x)).mean((2, 3))


class Several(nn.Module):
    """A module that gives something else in each call: nothing, a tensor, several in other places, its input."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([0.5]))

    def forward(self, x, call: int):
        if call == 0:
            return None
        y = x * self.scale
        return [y, (x, {"a": y + 1, "b": None}), (None, y, [x, y - 1])][call - 1]


class Calls(nn.Module):
    """Only to be traced."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)
        self.several = Several()
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.conv(x)
        self.several(x, 0)
        y = self.several(x, 1)
        z, named = self.several(y, 2)
        _, u, rest = self.several(z, 3)
        x = rest[1] + u + named["a"] + rest[0]
        return self.head(x.mean((2, 3)))


class Stateful(nn.Module):
    """Keeps tensors on itself meanwhile, and counts in a buffer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.skip = torch.zeros(1)
        self.register_buffer("count", torch.zeros(1))
        self.fc = nn.Linear(3, 5)

    def forward(self, x):
        self.skip = x
        self.count.add_(1)
        for i in range(10):
            x = self.conv(x).tanh()
        return self.fc((x + self.skip * self.count).mean((2, 3)))


class Reserved(nn.Module):
    """Modules with the names that the program has for the images and the network's output."""

    def __init__(self):
        super().__init__()
        self.input = nn.Conv2d(3, 4, 8, stride=8)
        self.output = nn.ReLU()

    def forward(self, x):
        return self.output(self.input(x)).mean((2, 3))


class Bias(nn.Module):
    """A table that does not depend on the images."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(16, 16))

    def forward(self) -> Tensor:
        return torch.tanh(self.table)


class Unused(nn.Module):
    """A module that is never called, and one whose output has no images."""

    SHARED = ["bias"]

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, stride=8)
        self.never = nn.Linear(8, 8)
        self.bias = Bias()
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.softmax(x @ x.transpose(1, 2) + self.bias(), 2) @ x
        return self.head(x.mean(1))


class Warns(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        warnings.warn("a warning of the network")
        print("a line that the network prints", x.shape[0])
        return self.conv(x).mean((2, 3))


# ---- networks that do not --------------------------------------------------------------------------------------------------


class FixedBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)
        self.fc = nn.Linear(64, 5)

    def forward(self, x):
        return self.fc(self.conv(x).reshape(2, -1))


class Mixing(nn.Module):
    """What it gives for an image depends on the images beside it."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        x = self.conv(x).mean((2, 3))
        return x - x.mean(0, keepdim=True)


class Extremes(nn.Module):
    """The images are scaled by the extremes of all of them."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        return self.conv((x - x.min()) / (x.max() - x.min())).mean((2, 3))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)
        self.text = nn.Embedding(10, 4)

    def forward(self, image, text):
        return self.conv(image).mean((2, 3)) + self.text(text).mean(1)


class CudaConstant(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        return self.conv(x).mean((2, 3)) + torch.arange(4, device=torch.device("cuda:0"))


class ForeignOps(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        x = self.conv(x)
        boxes = x.mean((2, 3))
        return x.mean((2, 3)) + torch.ops.torchvision.nms(boxes, boxes[:, 0], 0.5).sum()


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        if x.shape[2] != 48:
            raise ValueError(f"this network takes pictures of 48 pixels, not {x.shape[2]}")
        return self.conv(x).mean((2, 3))


class Asserts(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        assert x.shape[2] == 48, "Input height doesn't match model (48)."
        return self.conv(x).mean((2, 3))


# ---- files -----------------------------------------------------------------------------------------------------------------


def without_paths():
    """Scripted files quote their sources; these then begin with the file's name, wherever it lies."""
    import torch._sources
    import torch.jit.frontend

    original = torch._sources.get_source_lines_and_file

    def shortened(*arguments, **options):
        lines, first, name = original(*arguments, **options)
        return lines, first, os.path.basename(name or "")

    torch._sources.get_source_lines_and_file = shortened
    torch.jit.frontend.get_source_lines_and_file = shortened


def strip(path: pathlib.Path):
    """Leaves out of a traced file where its operations stood in Python, which is in absolute paths."""
    with zipfile.ZipFile(path) as archive:
        parts = [(part, archive.read(part)) for part in archive.infolist() if not part.filename.endswith(".debug_pkl")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for part, content in parts:
            archive.writestr(zipfile.ZipInfo(part.filename), content)
    torch.jit.load(str(path))


def make_images():
    (HERE / "images").mkdir(exist_ok=True)
    for seed in range(IMAGES):
        pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(HERE / "images" / f"{seed}.png")


def batch() -> Tensor:
    """The images as the program shows them to the networks."""
    pixels = np.stack([np.asarray(Image.open(HERE / "images" / f"{seed}.png")) for seed in range(IMAGES)])
    mean, std = (torch.tensor(PREPARED[key]).view(3, 1, 1) for key in ("mean", "std"))
    # In another order of the memory PyTorch would round otherwise.
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255 - mean) / std


def running(name: str, network, seed: int, trace=False, **options) -> dict:
    """Writes the network to `name`.pt, and returns what its modules give."""
    path = HERE / f"{name}.pt"
    made = export_model.export(network, path, random=True, seed=seed, trace=trace, **PREPARED, **options)
    assert made.way == ("traced" if trace else "scripted"), made.reason
    if trace:
        strip(path)
    return golden(made.model)


def golden(model: nn.Module) -> dict:
    root = "network_output" if hasattr(model, "output") else "output"
    names = {module: name or root for name, module in model.named_modules()}
    calls, counts = [], {}

    def after(module, args, output):
        name = names[module]
        number = counts.get(name, 0)
        counts[name] = number + 1
        for element, tensor in named_tensors(output):
            calls.append({"layer": name, "call": number, "element": element, "class": type(module).__name__} | values(model, name, tensor))

    with export_model.hooks(names, after), torch.no_grad():
        model(batch())
    never = [name for name in names.values() if name not in counts]
    return {"calls": calls, "never_called": never}


def values(model: nn.Module, name: str, tensor: Tensor) -> dict:
    """The values of a layer with the images first, and the shape that they then have."""
    first = name.partition(".")[0]
    of = {"pytorch_shape": list(tensor.shape), "shape": None, "values": None}
    if first in getattr(model, "SHARED", ()) or first in getattr(model, "CROSSED", ()):
        return of
    axis = getattr(model, "AXES", {}).get(first, 0)
    tensor = tensor.movedim(axis, 0)
    if tensor.shape[0] != IMAGES:
        tensor = tensor.unflatten(0, (IMAGES, -1))
    return of | {"shape": list(tensor.shape), "values": [float(str(np.float32(value))) for value in tensor.flatten().tolist()]}


def seeded(network) -> nn.Module:
    torch.manual_seed(0)
    return network().eval().requires_grad_(False)


def save(module, name: str, kind: str = "scripted", record=True):
    """As `export` writes it, but without a look at what it gives."""
    record = {
        "format": 1,
        "name": name,
        "source": "make_fixtures.py",
        "exported": f"{kind} by torch {export_model.plain_version(torch.__version__)}",
        "weights": "random, seed 0",
        "licence": "",
        "citation": "",
        "preprocessing": export_model.prepared(None, interpolation=None, **PREPARED),
        "default_layer": "output",
        "default_readout": "none",
    } if record else None
    path = HERE / f"{name}.pt"
    extra = {export_model.RECORD: json.dumps(record, indent=1)} if record else {}
    torch.jit.save(module, str(path), _extra_files=extra)
    if kind == "traced":
        strip(path)


def make_refused() -> dict:
    script = torch.jit.script
    x = torch.zeros(2, 3, SIDE, SIDE)
    torch.manual_seed(0)
    save(torch.jit.trace(seeded(ConvNet).train(), x, check_trace=False), "training", "traced")
    save(torch.jit.trace(seeded(FixedBatch), x, check_trace=False), "fixed_batch", "traced")
    save(torch.jit.freeze(script(seeded(ConvNet))), "frozen")
    save(torch.jit.optimize_for_inference(script(seeded(ConvNet))), "optimised")
    save(script(seeded(ConvNet).half()), "half")
    save(script(seeded(ConvNet).double()), "double")
    save(torch.jit.trace(seeded(ConvNet), x), "bare", "traced", record=False)
    for network, name in [(TwoInputs, "two_inputs"), (CudaConstant, "cuda_constant"), (ForeignOps, "foreign_ops"),
                          (Raises, "raises"), (Asserts, "asserts"), (Mixing, "mixing"),
                          (Extremes, "extremes"), (Stateful, "stateful")]:
        save(script(seeded(network)), name)
    torch.save(seeded(ConvNet).state_dict(), HERE / "weights_only.pth")
    program = torch.export.export(seeded(ConvNet), (x,), dynamic_shapes={"x": {0: torch.export.Dim("images")}})
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, HERE / "program.pt2")
    return {
        "training.pt": "traced while in training: dropout is drawn anew in each run",
        "fixed_batch.pt": "traced with 2 images, runs with no other number",
        "frozen.pt": "torch.jit.freeze left one module of all",
        "optimised.pt": "torch.jit.optimize_for_inference; torch.jit.load does not load it either",
        "half.pt": "weights in float16",
        "double.pt": "weights in float64",
        "bare.pt": "ConvNet of seed 0 as torch.jit.trace makes it, without thingsvision.json: runs if told how images are prepared",
        "stateful.pt": "writes to its attributes: in PyTorch what it gives changes from batch to batch",
        "two_inputs.pt": "forward(image, text)",
        "cuda_constant.pt": "makes a tensor on cuda:0, whatever the device of the images",
        "foreign_ops.pt": "uses torchvision::nms, which libtorch does not have",
        "raises.pt": "raises ValueError for pictures of this size",
        "asserts.pt": "an assertion fails for pictures of this size",
        "mixing.pt": "what it gives for an image depends on the images beside it",
        "extremes.pt": "the same, by their minimum and maximum",
        "weights_only.pth": "a state dict",
        "program.pt2": "torch.export.save",
    }


def main():
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    torch.set_num_threads(1)
    without_paths()
    make_images()
    goldens = {
        "scripted.pt": running("scripted", ConvNet, 0),
        "traced.pt": running("traced", ConvNet, 0, trace=True),
        "tokens.pt": running("tokens", Tokens, 1, tokens="cls+2"),
        "sequence_first.pt": running("sequence_first", SequenceFirst, 2),
        "tuples.pt": running("tuples", Tuples, 3),
        "traced_tuples.pt": running("traced_tuples", Tuples, 3, trace=True),
        "shared.pt": running("shared", Shared, 4),
        "traced_shared.pt": running("traced_shared", Shared, 4, trace=True),
        "unused.pt": running("unused", Unused, 5),
        "reserved.pt": running("reserved", Reserved, 7),
        "calls.pt": running("calls", Calls, 8, trace=True),
        "prints.pt": running("prints", Warns, 6),
    }
    write("goldens.json", goldens)
    write("others.json", make_refused())


def write(name: str, content: dict):
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (HERE / name).write_text(compact(text) + "\n")


def compact(text: str) -> str:
    """Lists of numbers in one line."""
    return re.sub(r"\[\s+([-\d.,e\s]+?)\s+\]", lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", text)


if __name__ == "__main__":
    export_model.same_bytes_each_time()
    main()
