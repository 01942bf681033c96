"""Runs of the program, and what they wrote, as NumPy arrays and tables."""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from . import program

if TYPE_CHECKING:
    import numpy
    import pandas
    import xarray

Path = Union[str, "os.PathLike[str]"]


class ThingsvisionError(Exception):
    """The program failed, or cannot run here. The text is what it said, with its hint; `status` is its exit status."""

    def __init__(self, message: str, status: Optional[int] = None):
        super().__init__(message)
        self.status = status


class Run(Mapping[str, "numpy.ndarray"]):
    """What one extraction wrote: a mapping from the names of layers to their activations.

    `run["avgpool"]` is a read-only array `[images, …]` that is mapped from its file, not loaded; that of a table, `format="csv"`, is
    in memory, and read anew each time. Row i belongs to `run.images[i]`.
    """

    def __init__(self, directory: Path):
        self.directory = pathlib.Path(directory)
        record = self.directory / "run.json"
        if not record.is_file():
            raise ThingsvisionError(f"{self.directory} is no finished run: it has no run.json")
        #: How the run was made: the content of run.json.
        self.record: Dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        if not self.record.get("complete"):
            raise ThingsvisionError(f"{self.directory} is not finished; thingsvision resume {self.directory} goes on with it")
        #: The stimulus of each row: images by their paths, or folders.
        self.images: List[str] = (self.directory / "images.txt").read_text(encoding="utf-8").split("\n")[:-1]
        self._layers: Dict[str, Dict[str, Any]] = {layer["name"]: layer for layer in self.record["layers"]}

    def __getitem__(self, layer: str) -> "numpy.ndarray":
        entry, form = self._entry(layer), self.record.get("format", "npy")
        file = self.directory / entry["file"]
        if form == "npy":
            return _load(file)
        import numpy

        numbers, shape = "<f2" if self.record["dtype"] == "f16" else "<f4", (self.record["images"], *entry["shape"])
        try:
            if form != "csv":
                # Fails if the file ends before the numbers do.
                return numpy.memmap(file, numbers, "r", entry["offset"], shape, "F" if form == "mat" else "C")
            # Of each name one letter is kept. A row too many would be read, and seen.
            values = numpy.loadtxt(file, [("image", "U1"), ("numbers", numbers, shape[1:])], comments=None, delimiter=",", quotechar='"',
                                   skiprows=1, max_rows=shape[0] + 1, ndmin=1, encoding="utf-8")["numbers"].reshape(shape).copy()
            values.flags.writeable = False
            return values
        except (KeyError, ValueError):
            raise ThingsvisionError(f"{file} does not hold the {list(shape)} numbers of run.json: it was changed or cut off") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}: {len(self.images)} images, layers {', '.join(self)})"

    def rdm(self, layer: str) -> "numpy.ndarray":
        """The RDM of a layer, `[images, images]`, as the run stored it."""
        file = self._entry(layer).get("rdm")
        if file is None:
            raise ThingsvisionError(f"the run has no RDM of {layer}; rdm() makes one")
        return _load(self.directory / file)

    def to_xarray(self, layer: str) -> "xarray.DataArray":
        """The activations as an array with the images as coordinates. Needs xarray."""
        import xarray

        values = self[layer]
        axes = ["image", *(f"axis_{axis}" for axis in range(1, values.ndim))]
        return xarray.DataArray(values, dims=axes, coords={"image": self.images}, name=layer)

    def to_dataframe(self, layer: str) -> "pandas.DataFrame":
        """The activations as a table, a row an image, further axes flattened. Needs pandas."""
        import pandas

        values = self[layer]
        return pandas.DataFrame(values.reshape(len(values), -1), index=pandas.Index(self.images, name="image"))

    def _entry(self, layer: str) -> Dict[str, Any]:
        if layer not in self._layers:
            raise KeyError(f"the run has no layer {layer}; it has {', '.join(self)}")
        return self._layers[layer]


def load(directory: Path) -> Run:
    """The run in a folder that `extract` made, here or elsewhere."""
    return Run(directory)


def extract(model: Union[Path, Sequence[Path]], images: Union[Path, Sequence[Path], None] = None, *,
            layers: Union[str, Sequence[str]] = (), quiet: bool = False, **flags: Any) -> Union[Run, List[Run]]:
    """Runs `thingsvision extract` and returns the run, or the list of runs if `model` is a list.

    A run that is there already and would be the same is not made again. `flags` are the flags of the command:
    `weights="random", seed=3, out="activations", readout="cls", average_by="folder", batch_size=16, force=True`.
    """
    words = ["extract", *_flags({"model": model, "images": images, "layer": layers, **flags})]
    runs = [Run(directory) for directory in _lines(command(*words, quiet=quiet))]
    return runs[0] if isinstance(model, (str, os.PathLike)) else runs


def rdm(features: Path, *, quiet: bool = False, **flags: Any) -> "numpy.ndarray":
    """Runs `thingsvision rdm`, `rdm("voxels.mat", metric="euclidean", out="voxels.rdm.npy")`, and returns the RDM that it wrote."""
    (file,) = _lines(command("rdm", *_flags(flags), "--", features, quiet=quiet))
    return _load(file)


def rsa(behavior: Any = None, fmri: Any = None, runs: Union[Run, Path, Sequence[Union[Run, Path]]] = (), *, out: Optional[Path] = None,
        quiet: bool = False, **flags: Any) -> Union["pandas.DataFrame", List[Dict[str, Any]]]:
    """Runs `thingsvision rsa` and returns its table, a row for each layer and target, with `regress` for each target, whose
    predictors are a list: a DataFrame if pandas is installed, else a list of dictionaries.

    `behavior` and `fmri` are files of RDMs, or lists of them; `runs` are runs or files of RDMs. Without `out` no files are kept.
    """
    runs = [runs] if isinstance(runs, (Run, str, os.PathLike)) else runs
    with tempfile.TemporaryDirectory() as unwanted:
        out = pathlib.Path(unwanted) / "rsa" if out is None else out
        words = ["rsa", "--json", *_flags({"behavior": behavior, "fmri": fmri, "out": out, **flags}), "--"]
        rows = json.loads(command(*words, *(run.directory if isinstance(run, Run) else run for run in runs), quiet=quiet))
    rows = rows["scores"] if isinstance(rows, dict) else rows
    if importlib.util.find_spec("pandas") is None:
        return rows
    import pandas

    return pandas.DataFrame(rows)


def command(*words: Any, quiet: bool = False) -> str:
    """Runs `thingsvision` with these words, `command("models", "resnet50")`, and returns what it prints.

    What the program says on the way goes to stderr, progress too; `quiet` keeps it back. An interrupt stops the program, which
    keeps what was done. Raises `ThingsvisionError` if it fails.
    """
    try:
        variables = program.environment()
    except program.Unusable as error:
        raise ThingsvisionError(str(error)) from None
    process = subprocess.Popen(
        [str(program.PROGRAM), *map(_text, words)], env={**variables, "THINGSVISION_PROGRESS": "lines"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="surrogateescape",
        # An interrupt reaches the program once: from here.
        start_new_session=True,
    )
    said: List[str] = []
    with process:
        listener = threading.Thread(target=_listen, args=(process.stderr, said, quiet), daemon=True)
        listener.start()
        try:
            printed = process.stdout.read()
            status = process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
        finally:
            listener.join()
    if status != 0:
        starts = [number for number, line in enumerate(said) if line.startswith("error: ")] or [0]
        raise ThingsvisionError("".join(said[starts[-1]:]).removeprefix("error: ").strip(), status)
    return printed


def _load(file: Path) -> "numpy.ndarray":
    import numpy

    return numpy.load(file, mmap_mode="r", allow_pickle=False)


def _listen(stream: IO[str], said: List[str], quiet: bool) -> None:
    """Passes on what the program says. Progress stays on one line."""
    open_line = False
    for line in stream:
        progress = line.startswith("progress:")
        if not progress:
            said.append(line)
        if not quiet:
            sys.stderr.write("\r" + line[len("progress:"):].rstrip("\n") if progress else "\n" * open_line + line)
            sys.stderr.flush()
            open_line = progress
    if open_line:
        sys.stderr.write("\n")


def _lines(text: str) -> List[str]:
    """Not `splitlines`, which also splits within names."""
    return text.split("\n")[:-1]


def _flags(flags: Mapping[str, Any]) -> List[str]:
    """`{"batch_size": 8, "layer": ["a", "b"], "exact": True}` as words."""
    words: List[str] = []
    for name, value in flags.items():
        flag = "--" + name.replace("_", "-")
        one_word = isinstance(value, (str, bytes, os.PathLike)) or not hasattr(value, "__iter__")
        if hasattr(value, "__array__") and not one_word:
            raise TypeError(f"{name}: an array is given where the program takes the name of a file; save it with numpy.save")
        for one in [value] if one_word else value:
            if one is True:
                words.append(flag)
            elif one is not None and one is not False:
                # As one word, so that a value may begin with a hyphen.
                words.append(f"{flag}={_text(one)}")
    return words


def _text(word: Any) -> str:
    return os.fspath(word) if isinstance(word, (str, os.PathLike)) else str(word)
