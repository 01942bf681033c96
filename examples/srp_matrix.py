"""The matrix of a sparse random projection that `thingsvision extract --reduce srp` used, made again.

    python3 srp_matrix.py activations/alexnet.srp-500/features.12.srp.json

writes features.12.srp.npz, which `scipy.sparse.load_npz` reads: a matrix R [components, units] with `features @ R.T` the stored rows.
"""

import hashlib
import json
import sys

import numpy as np
import scipy.sparse


def splitmix64(key, count):
    """The first `count` random numbers of the stream `key`."""
    z = np.uint64(key) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def srp_matrix(layer, components, units, seed):
    """R [components, units]: elements are 0, or with the probability 1 / sqrt(units) plus or minus sqrt(sqrt(units) / components)."""
    density = 1 / np.sqrt(units)
    key = int.from_bytes(hashlib.sha256(f"{seed} {layer}".encode()).digest()[:8], "little")
    # The probability of 1, 2, ... zeros before the next element.
    zeros = np.cumprod(np.full(int(np.ceil(38 / density)), 1 - density))
    rows, columns, signs = [], [], []
    for row, row_key in enumerate(splitmix64(key, components)):
        numbers = splitmix64(row_key, int(units * density + 20 * np.sqrt(units * density) + 50))
        uniform = ((numbers >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        gaps = np.searchsorted(-zeros, -uniform, side="left")
        places = np.cumsum(gaps + 1) - 1
        assert places[-1] >= units
        is_inside = places < units
        columns.append(places[is_inside])
        signs.append(1 - 2.0 * (numbers[is_inside] & np.uint64(1)).astype(np.float64))
        rows.append(np.full(is_inside.sum(), row))
    scale = np.sqrt(np.sqrt(units) / components)
    values = np.concatenate(signs) * scale
    return scipy.sparse.csr_matrix((values, (np.concatenate(rows), np.concatenate(columns))), shape=(components, units))


if __name__ == "__main__":
    path = sys.argv[1]
    with open(path, encoding="utf-8") as file:
        made = json.load(file)
    matrix = srp_matrix(made["layer"], made["components"], made["units"], made["seed"])
    scipy.sparse.save_npz(path.removesuffix(".json") + ".npz", matrix)
