"""What `cargo bench --bench rdm` measures, with NumPy, SciPy and rsatoolbox: python benches/rdm.py [STIMULI UNITS]"""

import sys
import time

import numpy as np
import rsatoolbox
from scipy.spatial.distance import pdist

n, d = (int(argument) for argument in sys.argv[1:3]) if len(sys.argv) > 2 else (8192, 4096)
x = np.random.default_rng(0).random((n, d), dtype=np.float32)


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


square = np.random.default_rng(1).random((4096, 4096), dtype=np.float32)
rate = 2 * 4096**3 / min(seconds(lambda: square @ square) for _ in range(3))
print(f"float32 matrix product: {rate / 1e9:.0f} GFLOP/s")
print(f"1 - np.corrcoef(x, dtype=np.float32), {n} × {d}: {min(seconds(lambda: 1 - np.corrcoef(x, dtype=np.float32)) for _ in range(3)):.2f} s")
if n <= 2000:
    data = rsatoolbox.data.Dataset(x)
    print(f"rsatoolbox calc_rdm(x, 'correlation'), {n} × {d}: {seconds(lambda: rsatoolbox.rdm.calc_rdm(data, 'correlation')):.2f} s")
    print(f"SciPy pdist(x, 'correlation'), {n} × {d}: {seconds(lambda: pdist(x, 'correlation')):.2f} s")
