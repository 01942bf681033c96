"""Compares whole networks with PyTorch: every last call of every module, random weights, on photographs.

    venv/bin/python tests/parity/networks.py PROGRAM IMAGES_DIR [NAME …]     (with the packages of tests/fixtures/requirements.txt)

Without names all networks of the registry. For seeds 0 and 1, computed by default, with nothing wanted between (so that modules are
computed together), and with --exact: the largest difference of a layer, in units of its largest value. Prints a line a network, as the
table of docs/numbers.md; fails above 1e-5.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent / "examples"))
import compare_with_pytorch  # noqa: E402

WAYS = {"one by one": ["--layer", "input", "--layer", "*"], "together": ["--layer", "output"], "--exact": ["--exact", "--layer", "*"]}


def worst(program: str, images: str, name: str, seed: int, flags: list[str], out: pathlib.Path) -> float:
    command = [program, "extract", "--model", name, "--weights", "random", "--seed", str(seed), "--images", images, "--out", out]
    subprocess.run([*command, "--rdm", "none", "--readout", "none", *flags], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    (run,) = out.iterdir()
    differences, _ = compare_with_pytorch.compare(run)
    shutil.rmtree(out)
    return max(differences.values())


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
