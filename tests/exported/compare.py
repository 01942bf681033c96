"""Compares every module call of exported networks in thingsvision with PyTorch's.

    python tests/exported/compare.py --thingsvision target/release/thingsvision --write docs/exported.md
    python tests/exported/compare.py --thingsvision target/release/thingsvision resnet swin      # those whose name has it
    python tests/exported/compare.py --thingsvision target/release/thingsvision --transformers --write docs/exported_transformers.md

Each network is made with random weights, exported by examples/export_model.py, scripted and traced, and run by the program on
noise. The same images go through the network in PyTorch, in evaluation mode and one batch, with a forward hook on every
module; what the hook sees, cloned, is compared with what the program stored. Needs torch, torchvision, timm, open_clip_torch; with
--transformers those of transformers_networks.py, and transformers alone.
Fails if a value differs by more than 1e-5 of the layer's largest, or a call lacks without a reason.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))
import export_model
from export_model import export, named_tensors

TOLERANCE = 1e-5
# Enough that an axis of the images is not taken for another.
IMAGES = 3

# The network, and the side of its images: small ones, as far as the network takes them.
NETWORKS = {
    "torchvision:alexnet": 64,
    "torchvision:convnext_tiny": 64,
    "torchvision:densenet121": 64,
    "torchvision:efficientnet_b0": 64,
    "torchvision:googlenet": 64,
    "torchvision:inception_v3": 96,
    "torchvision:maxvit_t": 224,
    "torchvision:mnasnet0_5": 64,
    "torchvision:mobilenet_v2": 64,
    "torchvision:mobilenet_v3_small": 64,
    "torchvision:regnet_y_400mf": 64,
    "torchvision:resnet18": 64,
    "torchvision:resnext50_32x4d": 64,
    "torchvision:shufflenet_v2_x0_5": 64,
    "torchvision:squeezenet1_1": 64,
    "torchvision:swin_t": 224,
    "torchvision:swin_v2_t": 256,
    "torchvision:vgg11_bn": 64,
    "torchvision:vit_b_32": 96,
    "timm:vit_tiny_patch16_224": 96,
    "timm:deit_tiny_patch16_224": 96,
    "timm:deit_tiny_distilled_patch16_224": 96,
    "timm:vit_small_patch14_reg4_dinov2": 98,
    "timm:vit_small_patch16_dinov3": 96,
    "timm:eva02_tiny_patch14_224": 98,
    "timm:cait_xxs24_224": 96,
    "timm:xcit_nano_12_p16_224": 96,
    "timm:swin_tiny_patch4_window7_224": 224,
    "timm:convnext_atto": 64,
    "timm:efficientnet_b0": 64,
    "timm:mobilenetv3_small_050": 64,
    "timm:resnet26d": 64,
    "timm:mixer_s32_224": 224,
    "timm:poolformer_s12": 64,
    "timm:mobilevit_xxs": 64,
    "timm:pit_ti_224": 224,
    "timm:hrnet_w18_small": 64,
    "timm:tnt_s_patch16_224": 224,
    "timm:crossvit_9_240": 240,
    "timm:coat_lite_tiny": 224,
    "timm:hiera_tiny_224": 224,
    "open_clip:ViT-S-32-alt": 224,
    "open_clip:RN50": 96,
}
WAYS = ("scripted", "traced")
# Of networks that no library makes by name.
MAKERS = {}
# Networks that thingsvision has itself, as it calls them.
BUILT_IN = {"torchvision:alexnet": "alexnet", "torchvision:resnet50": "resnet50"}


@dataclasses.dataclass
class Row:
    """What came of one network, exported in one way."""

    network: str
    way: str
    side: int
    # Executions of modules in PyTorch.
    calls: int = 0
    exact: int = 0
    close: int = 0
    worst: float = 0.0
    worst_layer: str = ""
    # By reason, calls whose outputs the program does not give.
    refused: dict = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    # Tensors of calls that give several, which the file does not give.
    unseen: list = dataclasses.field(default_factory=list)
    failures: list = dataclasses.field(default_factory=list)
    note: str = ""


# ---- the program -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Program:
    """The program under test, and where it writes."""

    path: str
    folder: pathlib.Path

    def run(self, *arguments) -> str:
        done = subprocess.run([self.path, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"`thingsvision {arguments[0]}` failed ({done.returncode}): {done.stderr.strip()}")
        return done.stdout

    def layers(self, model) -> list[dict]:
        return json.loads(self.run("layers", "--model", model, "--json"))

    def extract(self, model, names, images, *options) -> pathlib.Path:
        """The folder of the run that has the layers `names` of all images, of one batch."""
        wanted = [flag for name in names for flag in ("--layer", name)]
        out = tempfile.mkdtemp(dir=self.folder)
        self.run("extract", "-q", "--model", model, *options, *wanted, "--images", images, "--out", out, "--rdm", "none",
                 "--readout", "none", "--batch-size", IMAGES, "--workers", 1, "--device", "cpu")
        (run,) = [path.parent for path in pathlib.Path(out).rglob("run.json")]
        return run


def noise(folder: pathlib.Path, side: int) -> pathlib.Path:
    """A folder of pictures of the very size that the network takes, so that nothing is resized."""
    images = folder / f"noise-{side}"
    if not images.exists():
        images.mkdir()
        for seed in range(IMAGES):
            pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(images / f"{seed}.png")
    return images


def usable(layers: list[dict]) -> list[str]:
    """By the names under which they are extracted, all tensors of all calls."""
    names = []
    for layer in layers:
        for call in range(layer["calls"]):
            for element in layer["elements"][call]:
                names.append(tensor_name(layer["layer"], call, element))
    return names


def tensor_name(layer: str, call: int, element: str) -> str:
    return f"{layer}@{call}" + (f":{element}" if element else "")


# ---- PyTorch beside it -----------------------------------------------------------------------------------------------------


def compare_calls(row: Row, model: torch.nn.Module, layers: list[dict], run: pathlib.Path):
    """Runs the network in PyTorch on what the program showed its own, and compares each call as it comes."""
    listed = {layer["layer"]: layer for layer in layers}
    names = {module: name or "output" for name, module in model.named_modules()}
    seen = collections.Counter()

    def after(module, args, output):
        name = names[module]
        compare_call(row, listed.get(name), name, seen[name], named_tensors(output), run)
        seen[name] += 1

    with export_model.hooks(names, after), torch.no_grad():
        model(torch.from_numpy(np.load(run / "input.npy")))
    row.calls = seen.total()
    for name, layer in listed.items():
        if name != "input" and layer["calls"] > seen[name]:
            row.failures.append(f"{name}: {layer['calls']} calls, {seen[name]} in PyTorch")


def compare_call(row: Row, layer: dict | None, name: str, call: int, tensors, run: pathlib.Path):
    if layer is None or call >= layer["calls"]:
        row.failures.append(f"{name}@{call}: not in the file")
        return
    elements = layer["elements"][call]
    if not elements:
        row.refused[layer["unusable"] or "no reason given"].append(f"{name}@{call}")
        return
    pairs, unseen = pair(tensors, elements)
    row.unseen += [tensor_name(name, call, element) for element in unseen]
    differences = [compare_tensor(row, tensor, tensor_name(name, call, element), run) for tensor, element in pairs]
    if not differences or len(pairs) != len(elements):
        row.failures.append(f"{name}@{call}: gives {elements}, in PyTorch {[element for element, _ in tensors]}")
    elif None not in differences:
        row.exact += max(differences) == 0
        row.close += max(differences) > 0


def pair(tensors, elements: list[str]):
    """Each tensor of PyTorch with the program's of the same place, and the places that the program does not have."""
    if len(tensors) == 1 and tensors[0][0] == "" and "0" in elements:
        # Scripted GoogLeNet and Inception give their auxiliary outputs too, which are None.
        return [(tensors[0][1], "0")], []
    pairs = [(tensor, element) for element, tensor in tensors if element in elements]
    return pairs, [element for element, _ in tensors if element not in elements]


def compare_tensor(row: Row, wanted: torch.Tensor, name: str, run: pathlib.Path) -> float | None:
    """The difference in units of the layer's largest value; `None` and a failure if it is no rounding."""
    got = torch.from_numpy(np.load(run / f"{name}.npy"))
    turned = batch_first(wanted, got.shape)
    if turned is None:
        row.failures.append(f"{name}: shape {list(got.shape)}, in PyTorch {list(wanted.shape)}")
        return None
    difference = export_model.relative_difference(turned.float(), got)
    if difference > row.worst:
        row.worst, row.worst_layer = difference, name
    if not difference <= TOLERANCE:
        row.failures.append(f"{name}: differs by {difference:.2g}")
        return None
    return difference


def batch_first(x: torch.Tensor, shape) -> torch.Tensor | None:
    """As the program has it: `[L, N, D]` as `[N, L, D]`, and `[N * k, …]` as `[N, k, …]`."""
    if x.shape == shape:
        return x
    for axis in (axis for axis in range(x.ndim) if x.shape[axis] % IMAGES == 0):
        moved = x.movedim(axis, 0)
        for turned in (moved, moved.unflatten(0, (IMAGES, -1))):
            if turned.shape == shape:
                return turned
    return None


# ---- rows ------------------------------------------------------------------------------------------------------------------


def exported_row(program: Program, source: str, side: int, way: str) -> Row:
    row = Row(source, way, side)
    path = program.folder / "network.pt"
    options = {"random": True, "seed": 0, "size": side, "resize": [side, side], "crop": "none"}
    if source in MAKERS:
        options |= {"mean": [0.5] * 3, "std": [0.5] * 3}
    made = export(MAKERS.get(source, source), path, trace=way == "traced", **options)
    if made.way != way:
        row.note = f"cannot be scripted ({made.reason})"
        return row
    layers = program.layers(path)
    run = program.extract(path, ["input", *(name for name in usable(layers) if not name.startswith("input@"))], noise(program.folder, side))
    compare_calls(row, made.model, layers, run)
    return row


def built_in_row(program: Program, source: str, name: str) -> Row:
    """The program's own network against the export of PyTorch's, of the same seed."""
    row = Row(source, f"scripted, and built in (`--model {name} --exact`)", 224)
    path = program.folder / "network.pt"
    export(source, path, random=True, seed=0, resize=[224, 224], crop="none")
    images = noise(program.folder, 224)
    names = ["input", *(layer for layer in usable(program.layers(path)) if not layer.startswith("input@"))]
    exported = program.extract(path, names, images)
    own = ["--weights", "random", "--seed", 0, "--exact", "--resize", 224, "--crop", 224]
    built_in = program.extract(name, names, images, *own)
    mine = {layer["layer"] for layer in program.layers(name) if layer["calls"]}
    for layer in program.layers(path):
        if layer["calls"] and layer["layer"] not in mine:
            row.failures.append(f"{layer['layer']}: not in the built-in network")
    for layer in names:
        difference = compare_tensor(row, torch.from_numpy(np.load(exported / f"{layer}.npy")), layer, built_in)
        row.calls += layer != "input"
        row.exact += layer != "input" and difference == 0
        row.close += layer != "input" and bool(difference)
    return row


def attempt(make, source: str, way: str, side: int) -> Row:
    """A row; what goes wrong on the way is a failure of it."""
    begin = time.monotonic()
    try:
        row = make()
    except (RuntimeError, OSError, ValueError, KeyError, export_model.ExportError) as error:
        row = Row(source, way, side, failures=[f"{type(error).__name__}: {error}"])
    print(f"{line(row)}   ({time.monotonic() - begin:.0f} s)", flush=True)
    for failure in row.failures[:5]:
        print(f"    {failure}", flush=True)
    return row


# ---- the report ------------------------------------------------------------------------------------------------------------

HEAD = ("network", "exported", "side", "module calls", "exactly equal", "largest difference of the others", "refused", "failures")


def line(row: Row) -> str:
    if row.note:
        return "| " + " | ".join([row.network, row.note, str(row.side), *[""] * 5]) + " |"
    refused = sum(map(len, row.refused.values()))
    worst = f"{row.worst:.1e} ({row.close} calls; `{row.worst_layer}`)" if row.worst else ""
    counts = [row.calls, row.exact, worst, refused or "", len(row.failures) or ""]
    return "| " + " | ".join([row.network, row.way, str(row.side), *map(str, counts)]) + " |"


def report(rows: list[Row], version: str) -> str:
    libraries = [sys.modules.get(name) for name in ("torch", *export_model.LIBRARIES)]
    versions = ", ".join(f"{module.__name__} {export_model.plain_version(module.__version__)}" for module in libraries if module)
    total = lambda count: sum(map(count, rows))
    summary = (f"Of {total(lambda row: row.calls)} calls {total(lambda row: row.exact)} are exactly equal, {total(lambda row: row.close)} differ within "
               f"the tolerance, {total(lambda row: sum(map(len, row.refused.values())))} are refused, "
               f"{total(lambda row: len(row.failures))} fail.")
    table = "\n".join(["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD), *map(line, rows)])
    reasons = collections.Counter()
    examples = {}
    for row in rows:
        for reason, calls in row.refused.items():
            reasons[reason] += len(calls)
            examples.setdefault(reason, f"`{calls[0]}` of {row.network}, {row.way}")
    refused = "\n".join(f"* {reason}: {count} calls, such as {examples[reason]}" for reason, count in reasons.most_common()) or "None."
    unseen = collections.Counter(f"{row.network}, {row.way}" for row in rows for _ in row.unseen)
    unseen = "\n".join(f"* {network}: {count}" for network, count in unseen.items()) or "None."
    failures = "\n".join(f"* {row.network}, {row.way}: {failure}" for row in rows for failure in row.failures) or "None."
    return f"""# Exported networks against PyTorch

Written by `tests/exported/compare.py` with {version}, {versions}, on {platform.machine()}.

Networks with random weights, exported by `examples/export_model.py`, {IMAGES} images of noise in one batch, one thread. Every
call of every module in the program is compared with what a forward hook sees in PyTorch's network. Differences are in units
of the layer's largest value; more than {TOLERANCE:g}, and a call that is not in the file, is a failure. The program takes numbers
below 1.2e-38 for 0, PyTorch does not; differences of 1e-40 come from that.

{summary}

{table}

## Refused

Calls whose outputs are not one value for each image, by reason:

{refused}

## Tensors that were not compared

Of calls that give several tensors, those that the program refuses:

{unseen}

## Failures

{failures}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="only networks whose name contains one of these")
    parser.add_argument("--thingsvision", required=True, metavar="PATH", help="the program")
    parser.add_argument("--transformers", action="store_true", help="the families of Hugging Face's transformers instead")
    parser.add_argument("--write", metavar="FILE", help="where to write the table, for example docs/exported.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    networks, built_in = NETWORKS, BUILT_IN
    if options.transformers:
        import transformers_networks

        MAKERS.update(transformers_networks.NETWORKS)
        networks, built_in = dict.fromkeys(MAKERS, transformers_networks.SIDE), {}
    wanted = lambda source: not options.names or any(name in source for name in options.names)
    with tempfile.TemporaryDirectory() as folder:
        program = Program(str(pathlib.Path(options.thingsvision).resolve()), pathlib.Path(folder))
        print("| " + " | ".join(HEAD) + " |")
        rows = []
        for source, side in networks.items():
            for way in WAYS:
                if wanted(source):
                    rows.append(attempt(lambda: exported_row(program, source, side, way), source, way, side))
                    clear(program.folder)
        for source, name in built_in.items():
            if wanted(source):
                rows.append(attempt(lambda: built_in_row(program, source, name), source, "built in", 224))
                clear(program.folder)
        if options.write:
            pathlib.Path(options.write).write_text(report(rows, program.run("--version").strip()))
    failed = [row for row in rows if row.failures]
    print(f"{len(rows) - len(failed)} of {len(rows)} without failures")
    sys.exit(bool(failed))


def clear(folder: pathlib.Path):
    """Removes what the last network left, which may be gigabytes."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if not any(part.startswith("noise-") for part in path.parts):
            path.rmdir() if path.is_dir() else path.unlink()


if __name__ == "__main__":
    main()
