"""Times ridge of 4,000 images × 1,024 units × 4,000 targets, 13 penalties by 5 folds, in himalaya, or leave-one-out in scikit-learn.

    ../shared/tools/pytorch benches/encode.py data        # x.npy, y.npy, lists and names, in the current folder
    ../shared/tools/pytorch benches/encode.py himalaya
    ../shared/tools/pytorch benches/encode.py sklearn
    thingsvision encode x.npy --targets y.npy --train train.txt --test test.txt [--choose leave-one-out]
"""

import resource
import sys
import time

import numpy as np

IMAGES, OTHERS, UNITS, TARGETS = 4000, 100, 1024, 4000
ALPHAS = 10.0 ** np.arange(-3, 10)


def data():
    random = np.random.default_rng(0)
    x = random.standard_normal((IMAGES + OTHERS, UNITS)).astype("f4")
    weights = random.standard_normal((UNITS, TARGETS)).astype("f4") / 32
    y = (x @ weights) * np.linspace(0, 1, TARGETS) + random.standard_normal((IMAGES + OTHERS, TARGETS)) * 2
    np.save("x.npy", x)
    np.save("y.npy", y.astype("f4"))
    names = [f"image-{number:05}\n" for number in range(IMAGES + OTHERS)]
    for file, some in [("x.ids", names), ("y.ids", names), ("train", names[:IMAGES]), ("test", names[IMAGES:])]:
        with open(f"{file}.txt", "w") as lines:
            lines.writelines(some)


def fit(model):
    x, y = (np.load(f"{name}.npy")[:IMAGES].astype("f8") for name in "xy")
    start = time.perf_counter()
    model.fit(x, y)
    seconds, memory = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{seconds:.1f} s, {memory:.2f} GB")


if sys.argv[1] == "data":
    data()
elif sys.argv[1] == "himalaya":
    from himalaya.ridge import RidgeCV

    fit(RidgeCV(alphas=ALPHAS, fit_intercept=True, cv=5, solver_params={"warn": False}))
else:
    from sklearn.linear_model import RidgeCV

    fit(RidgeCV(alphas=ALPHAS, alpha_per_target=True))
