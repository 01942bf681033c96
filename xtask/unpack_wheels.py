"""Unpacks what the program needs of libtorch: python unpack_wheels.py WHEEL_FOLDER TARGET_FOLDER

Headers, the libraries that run networks on the CPU, and the licences of all this. The CUDA kernels (hundreds of MB) and the
Python bindings stay behind; `--device cuda` finds the kernels in a full torch installation.
"""

import pathlib
import re
import shutil
import sys
import zipfile

LEFT_OUT = ("cuda", "nvrtc", "nvshmem", "python", "libshm")
CUDA_LIBRARIES = ("libcupti.so.13", "libcudart.so.13")


def wanted(name: str) -> str | None:
    """The place of a wheel's member in the target folder, or None."""
    if name.startswith("torch/include/") and not name.endswith("/"):
        return name.removeprefix("torch/")
    file = name.rsplit("/", 1)[-1]
    if ".dist-info/" in name and re.search("licen[cs]e|notice", file, re.IGNORECASE):
        return "licences/" + name.replace(".dist-info/", "/").replace("/licenses/", "/")
    if name.startswith("torch/lib/") and (".so" in file or ".dylib" in file):
        return None if any(word in file for word in LEFT_OUT) else f"lib/{file}"
    return f"lib/{file}" if file in CUDA_LIBRARIES else None


wheels, target = map(pathlib.Path, sys.argv[1:])
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            place = wanted(member.filename)
            if place is None:
                continue
            path = target / place
            path.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
