"""Compares whole networks with PyTorch: every last call of every module, random weights, on photographs.

    venv/bin/python tests/parity/networks.py PROGRAM IMAGES_DIR [NAME …]     (with the packages of tests/fixtures/requirements.txt)

Without names all networks of the registry. For seeds 0 and 1, computed by default, with nothing wanted between (so that modules are
computed together), and with --exact: the largest difference of a layer, in units of its largest value. PyTorch runs on one thread.
Prints a line a network, as the table of docs/numbers.md; fails above 1e-5.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "examples"))
import compare_with_pytorch  # noqa: E402
import numpy as np  # noqa: E402
import pytorch_models  # noqa: E402
import torch  # noqa: E402

# As many as the program takes for a batch: on several, PyTorch may add up in another order.
torch.set_num_threads(1)

WAYS = {"one by one": ["--layer", "input", "--layer", "*"], "together": ["--layer", "output"], "--exact": ["--exact", "--layer", "*"]}


def worst(program: str, images: str, name: str, seed: int, flags: list[str], out: pathlib.Path) -> float:
    command = [program, "extract", "--model", name, "--weights", "random", "--seed", str(seed), "--images", images, "--out", out]
    subprocess.run([*command, "--rdm", "none", "--readout", "none", *flags], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    (folder,) = out.iterdir()
    found = max(differences(folder).values())
    shutil.rmtree(out)
    return found


def differences(folder: pathlib.Path) -> dict[str, float]:
    """As `compare_with_pytorch.compare`, one layer after the other: those of a large network are more than memory holds."""
    run = json.loads((folder / "run.json").read_text())
    ids = (folder / "images.txt").read_text().removesuffix("\n").split("\n")
    prepare, open_image = compare_with_pytorch.transform(run["preprocessing"]), compare_with_pytorch.opener(run)
    model = compare_with_pytorch.build(run)
    images = torch.stack([prepare(open_image(id)) for id in ids])
    assert len(ids) <= run["batch_size"], "more than a batch"
    if run["exact"]:
        images = torch.cat([images, torch.zeros(run["batch_size"] - len(ids), *images.shape[1:])])
    stored = {layer["name"]: np.load(folder / layer["file"], mmap_mode="r") for layer in run["layers"]}
    found = {}

    def look(name: str, output: torch.Tensor) -> None:
        # Of a module that is called again, maybe on other sizes, the last call counts.
        if name in stored and stored[name].shape[1:] == output.shape[1:]:
            expected = output[:len(ids)].numpy()
            difference = float(np.abs(stored[name] - expected).max())
            found[name] = (np.inf if np.isnan(difference) else difference) / (float(np.abs(expected).max()) or 1.0)

    for name, module in pytorch_models.modules(model):
        module.register_forward_hook(lambda _, inputs, output, name=name: look(name, pytorch_models.activation(name, output)))
    look("input", images)
    with torch.no_grad():
        look("output", pytorch_models.run(model, images))
    assert found.keys() == stored.keys()
    return found


def main() -> None:
    program, images, *names = sys.argv[1:]
    if not names:
        listed = subprocess.run([program, "models", "--json"], check=True, capture_output=True, text=True).stdout
        names = [model["model"] for model in json.loads(listed)]
    failed = False
    print("| network | " + " | ".join(WAYS) + " |", "|---|" + "---|" * len(WAYS), sep="\n")
    for name in names:
        found = []
        for flags in WAYS.values():
            with tempfile.TemporaryDirectory() as folder:
                found.append(max(worst(program, images, name, seed, flags, pathlib.Path(folder) / "out") for seed in (0, 1)))
        print(f"| `{name}` | " + " | ".join(f"{value:.1e}" if value else "0" for value in found) + " |", flush=True)
        failed |= max(found) > 1e-5
    sys.exit(failed)


if __name__ == "__main__":
    main()
