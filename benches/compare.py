"""Compares thingsvision with PyTorch on this machine and writes benches/RESULTS.md. `cargo xtask bench` calls it.

    python benches/compare.py PROGRAM FORWARD [--rounds 3] [--toolbox PYTHON]

PROGRAM is the built thingsvision, FORWARD the built bench `forward`. Both sides of a comparison run in turn, round by round;
a ratio is the median of those of the rounds. Needs torch, torchvision, Pillow, NumPy, and for CLIP clip-anytorch.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MODELS = ["alexnet", "vgg16-bn", "vgg19-bn", "resnet50", "cornet-s", "clip-rn", "clip-vit", "vit-base-patch16", "dinov2-vits14"]
WHOLE = {"alexnet": "classifier.5", "resnet50": "avgpool", "vgg16-bn": "classifier.4", "cornet-s": "decoder.avgpool"}
IMAGES = 128
SECONDS = "6"


def output(*command) -> dict:
    """The last line of JSON that a command prints."""
    text = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    return json.loads(text.strip().splitlines()[-1])


def measure(*command) -> tuple[float, float]:
    """Seconds by the clock and peak memory in MB of a whole process."""
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return time.perf_counter() - start, usage.ru_maxrss / 1000


def median(values) -> float:
    return statistics.median(values)


def ratio(larger: list[float], smaller: list[float]) -> float:
    return median([a / b for a, b in zip(larger, smaller)])


def forward(binary: str, rounds: int) -> list[str]:
    """A table of the forward pass alone."""
    lines = ["| model | GFLOP/image | PyTorch, images/s | thingsvision, images/s | ratio | GFLOP/s | of a matrix product's |"]
    lines.append("|---|---|---|---|---|---|---|")
    for model in MODELS:
        theirs, ours = [], []
        for _ in range(rounds):
            theirs.append(output(sys.executable, HERE / "forward.py", model, 32, SECONDS))
            ours.append(output(binary, model, 16, os.cpu_count(), SECONDS))
        gflop = theirs[0]["gflop_per_image"]
        product = median([run["product_gflops"] for run in theirs])
        theirs, ours = ([run["images_per_second"] for run in runs] for runs in (theirs, ours))
        rate = median(ours)
        cells = [f"{gflop:.1f}", f"{median(theirs):.1f}", f"{rate:.1f}", f"**{ratio(ours, theirs):.2f}**"]
        cells += [f"{rate * gflop:.0f}", f"{100 * rate * gflop / product:.0f} %"]
        lines.append(f"| {model} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def whole(program: str, rounds: int, toolbox: str | None, work: pathlib.Path) -> list[str]:
    """A table of whole processes: a folder of JPEGs to a file of features."""
    lines = ["| model, layer | thingsvision | PyTorch script | ratio | Python toolbox | ratio |", "|---|---|---|---|---|---|"]
    for model, layer in WHOLE.items():
        ours, plain, other = [], [], []
        for _ in range(rounds):
            ours.append(measure(*extract(program, model, work), "--layer", layer))
            plain.append(measure(sys.executable, HERE / "end_to_end.py", model, layer, work / "images", work / "out.npy"))
            if toolbox:
                name = model.replace("-", "_")
                other.append(measure(toolbox, HERE / "toolbox.py", name, layer, work / "images", work / "toolbox"))
        cells = [cell(ours), cell(plain), f"**{seconds_ratio(plain, ours):.2f}**"]
        cells += [cell(other), f"**{seconds_ratio(other, ours):.2f}**"] if toolbox else ["not run", ""]
        lines.append(f"| {model}, {layer} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return lines


def extract(program: str, model: str, work: pathlib.Path) -> list:
    common = ["--weights", "random", "--images", work / "images", "--rdm", "none", "--force", "--out", work / "out"]
    return [program, "-q", "extract", "--model", model, *common]


def cell(runs: list[tuple[float, float]]) -> str:
    return f"{median([seconds for seconds, _ in runs]):.1f} s, {median([memory for _, memory in runs]):,.0f} MB"


def seconds_ratio(theirs, ours) -> float:
    return ratio([seconds for seconds, _ in theirs], [seconds for seconds, _ in ours])


def layers(program: str, rounds: int, work: pathlib.Path) -> list[str]:
    """What many layers cost, without and with writing all of them."""
    sets = {
        "layer4, mean": ["--layer", "layer4", "--readout", "mean"],
        "all of layer1 to layer4, mean": ["--layer", "layer*", "--readout", "mean"],
        "all of layer1 to layer4, whole (18 GB)": ["--layer", "layer*"],
    }
    lines = ["| ResNet50 | seconds | ratio |", "|---|---|---|"]
    runs = {name: [] for name in sets}
    for _ in range(rounds):
        for name, options in sets.items():
            if "GB" in name and shutil.disk_usage(work).free < 40e9:
                continue
            shutil.rmtree(work / "out", ignore_errors=True)
            os.sync()
            runs[name].append(measure(*extract(program, "resnet50", work), *options))
    shutil.rmtree(work / "out", ignore_errors=True)
    one = runs["layer4, mean"]
    for name, found in runs.items():
        if found:
            lines.append(f"| {name} | {median([seconds for seconds, _ in found]):.1f} | {seconds_ratio(found, one):.2f} |")
            print(lines[-1], flush=True)
    return lines


def images(work: pathlib.Path) -> None:
    subprocess.run([sys.executable, HERE / "make_photos.py", work / "photos"], check=True, stdout=subprocess.DEVNULL)
    photos = sorted((work / "photos" / "500x375").iterdir())
    (work / "images").mkdir()
    (work / "toolbox").mkdir()
    for i in range(IMAGES):
        shutil.copy(photos[i % len(photos)], work / "images" / f"{i:03}.jpg")


def machine() -> str:
    import torch

    info = pathlib.Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    name = names[0] if names else platform.machine()
    return f"{os.cpu_count()} cores of {name} ({torch.backends.cpu.get_cpu_capability()}), PyTorch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("forward")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--toolbox", help="a Python with thingsvision 2.7.3")
    arguments = parser.parse_args()
    text = [f"# Measured by `cargo xtask bench`\n\n{machine()}; {time.strftime('%Y-%m-%d')}; medians of {arguments.rounds} rounds in turn.\n"]
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        images(work)
        text.append("## Forward pass alone\n\nPyTorch: eager, contiguous, batches of 32, its own allocator, all cores. thingsvision: batches of 16, a\n"
                    "worker a core. A matrix product: 2048³ in float32 by PyTorch, all cores.\n")
        text += forward(arguments.forward, arguments.rounds)
        text.append(f"\n## Whole processes: {IMAGES} JPEGs of 500 × 375, random weights, one layer\n\n"
                    "Start-up included, and peak memory of the main process. PyTorch script: `benches/end_to_end.py`.\n")
        text += whole(arguments.program, arguments.rounds, arguments.toolbox, work)
        text.append(f"\n## Many layers in one pass: ResNet50, {IMAGES} images, whole processes\n")
        text += layers(arguments.program, arguments.rounds, work)
    (HERE / "RESULTS.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
