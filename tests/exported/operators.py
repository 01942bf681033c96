"""Collects the operators that exported networks use, and compares them with those that the program allows.

    python tests/exported/operators.py                         # every family: hours
    python tests/exported/operators.py --found found.jsonl     # goes on where it was, or reads what is there
    python tests/exported/operators.py swin vit                # those whose name has it
    python tests/exported/operators.py --thingsvision target/release/thingsvision     # and shows each to the program

Of each module of timm.models and of each family of torchvision and open_clip's towers the smallest networks are made with
random weights, exported by examples/export_model.py, scripted and traced, and every operator in the code of the files is
counted, with the sizes of what the files hold. Needs torch, torchvision, timm, open_clip_torch. Fails if
src/models/exported/operators.txt lacks one.
"""

import argparse
import collections
import inspect
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import zipfile

import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "examples"))
import export_model  # noqa: E402

ALLOWED = HERE.parents[1] / "src/models/exported/operators.txt"
# Networks of each module of timm; one has several kinds of blocks.
OF_EACH = 2
# Larger ones take minutes each and have the operators of the smaller.
MOST_PARAMETERS = 120e6
# What networks are shown whose images the program prepares in no way of theirs.
SHOWN = {"resize": [224, 224], "crop": "none", "mean": [0.5] * 3, "std": [0.5] * 3}


# ---- the networks ----------------------------------------------------------------------------------------------------------


def sources() -> list[str]:
    return [*torchvision_sources(), *open_clip_sources(), *timm_sources()]


def torchvision_sources() -> list[str]:
    import torchvision.models

    modules = [torchvision.models, torchvision.models.segmentation]
    names = [name for module in modules for name in torchvision.models.list_models(module)]
    return [f"torchvision:{name}" for name in smallest(names, torchvision_module, torchvision_model)]


def torchvision_module(name: str) -> str:
    import torchvision.models

    return torchvision.models.get_model_builder(name).__module__


def torchvision_model(name: str):
    import torchvision.models

    takes_backbone = "weights_backbone" in inspect.signature(torchvision.models.get_model_builder(name)).parameters
    return torchvision.models.get_model(name, weights=None, **({"weights_backbone": None} if takes_backbone else {}))


def timm_sources() -> list[str]:
    import timm

    module = timm.models._registry._model_to_module
    return [f"timm:{name}" for name in smallest(timm.list_models(), module.get, timm.create_model)]


def open_clip_sources() -> list[str]:
    import open_clip

    def kind(name: str) -> str:
        vision = open_clip.get_model_config(name)["vision_cfg"]
        return " ".join([str(vision.get("timm_model_name", "")).partition("_")[0], *sorted(vision)])

    kinds = collections.defaultdict(list)
    for name in open_clip.list_models():
        kinds[kind(name)].append(name)
    size = lambda name: open_clip.get_model_config(name)["vision_cfg"].get("width", 768)
    found = [min(names, key=size) for names in kinds.values()]
    return [f"open_clip:{name}" for name in found if size(name) <= 1024 and not re.search("-(g|bigG|H)-", name)]


def smallest(names: list[str], kind, make) -> list[str]:
    """Of each kind the networks with the fewest parameters."""
    kinds = collections.defaultdict(list)
    for name in names:
        try:
            with torch.device("meta"):
                count = sum(parameter.numel() for parameter in make(name).parameters())
        except Exception:  # not to be made without memory
            count = 50e6
        if count <= MOST_PARAMETERS:
            kinds[kind(name)].append((count, name))
    ranked = [(rank, name) for found in kinds.values() for rank, (_, name) in enumerate(sorted(found)[:OF_EACH])]
    return [name for _, name in sorted(ranked)]


# ---- what a file holds -----------------------------------------------------------------------------------------------------


def operators(path: pathlib.Path) -> set[str]:
    """Of all methods of all modules, with the functions that they call."""
    found = set()

    def walk(block):
        for node in block.nodes():
            found.add(node.kind())
            for inner in node.blocks():
                walk(inner)

    for module in torch.jit.load(str(path)).modules():
        for name in module._c._method_names():
            graph = module._c._get_method(name).graph
            walk(graph)
            graph = graph.copy()
            torch._C._jit_pass_inline(graph)
            walk(graph)
    return found


def sizes(path: pathlib.Path) -> dict[str, int]:
    """The largest files of the archive by ending, in bytes unpacked, how far they were packed, and how many there are."""
    largest = collections.defaultdict(int)
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        largest["entries"] = len(parts)
        for part in parts:
            ending = pathlib.PurePath(part.filename).suffix or "data"
            largest[ending] = max(largest[ending], part.file_size)
            if part.compress_type != zipfile.ZIP_STORED:
                largest["inflated"] += part.file_size
            if ending == ".py":
                largest["all code"] += part.file_size
                largest["lines"] = max(largest["lines"], archive.read(part).count(b"\n"))
                largest["elif"] = max(largest["elif"], archive.read(part).count(b"elif "))
                largest["indent"] = max(largest["indent"], *(len(line) - len(line.lstrip()) for line in archive.read(part).split(b"\n")))
    return dict(largest)


def exported(source: str, path: pathlib.Path, **options) -> export_model.Exported:
    try:
        return export_model.export(source, path, **options)
    except export_model.ExportError as error:
        if "cannot prepare images" not in str(error):
            raise
        return export_model.export(source, path, **options, **SHOWN)


def collect(source: str, way: str, path: pathlib.Path, program: str | None) -> dict:
    row = {"network": source, "way": way}
    try:
        made = exported(source, path, random=True, trace=way == "traced")
        row |= {"made": made.way, "operators": sorted(operators(path)), "sizes": sizes(path)}
    except Exception as error:  # TorchScript has many ways to fail
        return row | {"error": export_model.summary(error)}
    if program:
        told = [] if made.record.get("preprocessing") else ["--preprocess", "half", "--squash", "--crop", str(made.size[0])]
        done = subprocess.run([program, "layers", "--model", path, *told], capture_output=True, text=True)
        row |= {"refused": done.stderr.strip()} if done.returncode else {}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="only networks whose name contains one of these")
    parser.add_argument("--found", type=pathlib.Path, metavar="FILE", help="a line for each network; what it has is not made again")
    parser.add_argument("--read", action="store_true", help="make no network: only read --found")
    parser.add_argument("--thingsvision", metavar="PATH", help="the program, which is to take every file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [json.loads(line) for line in options.found.read_text().splitlines()] if options.found and options.found.exists() else []
    done = {(row["network"], row["way"]) for row in rows}
    exact = options.names and all(":" in name for name in options.names)
    for source in [] if options.read else options.names if exact else sources():
        for way in ("scripted", "traced"):
            if (source, way) in done or options.names and not any(name in source for name in options.names):
                continue
            begin = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                rows.append(collect(source, way, pathlib.Path(folder) / "network.pt", options.thingsvision))
            came = rows[-1].get("refused") or rows[-1].get("error") or rows[-1]["made"]
            print(f"{source} {way}: {came} ({time.monotonic() - begin:.0f} s)", flush=True)
            if options.found:
                with options.found.open("a") as file:
                    print(json.dumps(rows[-1]), file=file)
    sys.exit(report(rows) > 0)


def report(rows: list[dict]) -> int:
    """Prints what was found, and returns how many operators are not allowed and how many files were refused."""
    made = [row for row in rows if "operators" in row]
    counts = collections.Counter(operator for row in made for operator in row["operators"])
    largest = {}
    for row in made:
        for what, size in row["sizes"].items():
            largest[what] = max(largest.get(what, (0, "")), (size, row["network"]))
    networks = {row["network"] for row in made}
    print(f"{len(made)} files of {len(networks)} networks, {len(rows) - len(made)} exports that fail, {len(counts)} operators")
    for what, (size, network) in sorted(largest.items()):
        print(f"largest {what}: {size}, {network}")
    lines = ALLOWED.read_text().splitlines() if ALLOWED.exists() else []
    allowed = {word for line in lines for word in line.partition("#")[0].split()}
    missing = [f"{operator} ({count})" for operator, count in sorted(counts.items()) if operator not in allowed]
    print("not allowed:", " ".join(missing) or "none")
    refused = [row for row in made if "refused" in row]
    for row in refused:
        print(f"refused: {row['network']} {row['way']}: {row['refused']}")
    return len(missing) + len(refused)


if __name__ == "__main__":
    main()
