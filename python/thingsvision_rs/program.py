"""The program thingsvision, and the libtorch of the package torch that it runs with."""

import os
import pathlib
import re
import sys
from importlib.util import find_spec
from typing import Dict, NoReturn

#: The releases of torch that the program runs with.
SERIES = "2.11"

PROGRAM = pathlib.Path(__file__).with_name("bin") / "thingsvision"


class Unusable(Exception):
    """The program cannot run in this installation."""


def environment() -> Dict[str, str]:
    """The variables to start the program with.

    Raises `Unusable` if there is no torch, or another than the program was built for. torch itself is not imported, for that
    takes seconds.
    """
    remedy = f"pip install 'torch=={SERIES}.*'"
    spec = find_spec("torch")
    if spec is None or not spec.submodule_search_locations:
        raise Unusable(f"thingsvision needs the package torch, {SERIES}, which is not installed: {remedy}")
    torch = pathlib.Path(list(spec.submodule_search_locations)[0])
    try:
        found = re.search(r"^__version__ = ['\"]([^'\"]+)", (torch / "version.py").read_text(), re.MULTILINE)
    except OSError:
        found = None
    version = found.group(1) if found else "of unknown version"
    if not version.startswith(f"{SERIES}."):
        raise Unusable(f"thingsvision needs torch {SERIES}, and the torch in {torch} is {version}: {remedy}")
    variables = dict(os.environ)
    # The program looks beside its own package, but first where this variable leads, which may be another libtorch. And torch may
    # lie elsewhere, for example in the system's packages.
    before = variables.get("LD_LIBRARY_PATH")
    if before or torch.resolve() != (PROGRAM.parents[2] / "torch").resolve():
        variables["LD_LIBRARY_PATH"] = f"{torch / 'lib'}:{before}" if before else str(torch / "lib")
    return variables


def main() -> NoReturn:
    """Becomes the program."""
    try:
        variables = environment()
    except Unusable as error:
        sys.exit(f"error: {error}")
    os.execve(PROGRAM, ["thingsvision", *sys.argv[1:]], variables)
