"""What `cargo bench --bench rsa` measures, with NumPy, SciPy and rsatoolbox 0.3.2: python benches/rsa.py

Few repetitions are timed, and their time is scaled to 10,000 permutations and 1,000 bootstraps."""

import time

import numpy as np
import scipy.stats
from rsatoolbox.inference import eval_bootstrap_pattern, eval_dual_bootstrap
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform

random = np.random.default_rng(1)


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def permutations(n: int = 1854, count: int = 30) -> None:
    a, b = (squareform(random.random(n * (n - 1) // 2)) for _ in range(2))
    upper = np.triu_indices(n, 1)
    x = a[upper] - a[upper].mean()
    x /= np.linalg.norm(x)

    def permute() -> None:
        for _ in range(count):
            order = random.permutation(n)
            y = b[np.ix_(order, order)][upper]
            y = y - y.mean()
            x @ (y / np.linalg.norm(y))

    print(f"10000 permutations, n = {n}, pearson, 1 model × 1 target, NumPy: {seconds(permute) / count * 10000:.0f} s")
    print(f"Spearman once, n = {n}, SciPy: {seconds(lambda: scipy.stats.spearmanr(a[upper], b[upper])):.2f} s")
    print(f"Kendall once, n = {n}, SciPy: {seconds(lambda: scipy.stats.kendalltau(a[upper], b[upper])):.2f} s")


def bootstraps(n: int = 118, subjects: int = 15, models: int = 8) -> None:
    data = RDMs(random.random((subjects, n * (n - 1) // 2)))
    fixed = [ModelFixed(f"model {k}", random.random(n * (n - 1) // 2)) for k in range(models)]
    for method, count in [("corr", 50), ("spearman", 20), ("rho-a", 20), ("tau-a", 3)]:
        for ceiling in (True, False):
            work = lambda: eval_bootstrap_pattern(fixed, data, method=method, N=count, boot_noise_ceil=ceiling)
            kind = "with" if ceiling else "without"
            print(f"1000 bootstraps over stimuli, {method}, rsatoolbox, {kind} noise ceiling: {seconds(work) / count * 1000:.0f} s")
    work = lambda: eval_dual_bootstrap(fixed, data, method="corr", N=20, k_rdm=1, k_pattern=1)
    print(f"1000 bootstraps over both, corr, rsatoolbox: {seconds(work) / 20 * 1000:.0f} s")


permutations()
bootstraps()
