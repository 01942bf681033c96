"""How long PyTorch takes for `torch.load` and `load_state_dict`: python benches/loading.py FILE MODEL"""

import pathlib
import statistics
import sys
import time

import torch

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "examples"))
import pytorch_models  # noqa: E402

file, name = sys.argv[1:]
model = pytorch_models.build(name, 0)
seconds = []
for _ in range(6):
    start = time.perf_counter()
    pytorch_models.load_weights(model, file)
    seconds.append(time.perf_counter() - start)
print(f"{name}: median {statistics.median(seconds[1:]):.3f} s, torch.load and load_state_dict")
