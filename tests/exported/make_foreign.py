"""Makes foreign/*.pt: networks that try what no network needs, and archives that are not what they seem.

    python tests/exported/make_foreign.py

Needs what make_fixtures.py needs. Loading them in PyTorch, or running them there, may write `written` into the current folder.
"""

import pathlib
import zipfile
from typing import Optional, Tuple

import torch
from torch import Tensor, nn

import make_fixtures
from make_fixtures import seeded

HERE = pathlib.Path(__file__).resolve().parent / "foreign"


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 8, stride=8)

    def forward(self, x):
        return self.conv(x).mean((2, 3))


# ---- what networks do ------------------------------------------------------------------------------------------------------


class Saves(Small):
    def forward(self, x):
        torch.save(x, "written")
        return self.conv(x).mean((2, 3))


class Maps(Small):
    def forward(self, x):
        return self.conv(x).mean((2, 3)) + torch.from_file("written", True, 4)


class Unused(Small):
    """In a method that nothing calls."""

    @torch.jit.export
    def never(self, x):
        torch.save(x, "written")
        return x


def save(x: Tensor) -> Tensor:
    torch.save(x, "written")
    return x


class Function(Small):
    def forward(self, x):
        return self.conv(save(x)).mean((2, 3))


class Branch(Small):
    """In a loop in a branch that is not taken."""

    def forward(self, x):
        if x.shape[0] > 1000000:
            for i in range(3):
                torch.save(x, "written")
        return self.conv(x).mean((2, 3))


class Traced(Small):
    def forward(self, x):
        return self.conv(torch.jit.script(save)(x)).mean((2, 3))


class Profiles(Small):
    def forward(self, x):
        torch.ops.profiler._record_function_enter("name", None)
        return self.conv(x).mean((2, 3))


class Seeds(Small):
    def forward(self, x):
        torch.manual_seed(1)
        return self.conv(x).mean((2, 3))


class Classes(Small):
    def forward(self, x):
        compilation = torch.classes._nnapi.Compilation()
        return self.conv(x).mean((2, 3))


class Floods(Small):
    def forward(self, x):
        for i in range(100000):
            print("a line", i)
        return self.conv(x).mean((2, 3))


class Endless(Small):
    def forward(self, x):
        while bool((x == x).all()):
            x = x + 0
        return self.conv(x).mean((2, 3))


class Waits(Small):
    """Without an end for more images than the program looks at it with."""

    def forward(self, x):
        while x.shape[0] > 2:
            x = x + 0
        return self.conv(x).mean((2, 3))


class Dtype(Small):
    """A dtype that does not exist."""

    def forward(self, x):
        return self.conv(x).mean((2, 3)).to(-1)


class Computed(Small):
    """A dtype that is computed: 6, float32."""

    def forward(self, x):
        return self.conv(x).mean((2, 3)).to(x.shape[1] * 2)


class Beyond(Small):
    """A dtype that exists for batches of one image."""

    def forward(self, x):
        return self.conv(x).mean((2, 3)).to(6 - 1000 * (x.shape[0] - 1))


class Perhaps(Small):
    """A dtype that may be none."""

    def forward(self, x):
        dtype: Optional[int] = None
        if x.shape[0] > 1:
            dtype = x.shape[1] * 1000
        return self.conv(x).mean((2, 3), dtype=dtype)


class Allocates(Small):
    def forward(self, x):
        return self.conv(x).mean((2, 3)) + torch.zeros(1 << 50).sum()


class State(nn.Module):
    """Its code runs while the file is opened."""

    def __init__(self):
        super().__init__()
        self.scale = torch.ones(1)

    @torch.jit.export
    def __getstate__(self) -> Tuple[Tensor, bool]:
        return self.scale, self.training

    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        torch.save(state[0], "written")
        self.scale = state[0]
        self.training = state[1]

    def forward(self, x):
        return x * self.scale


class Opened(Small):
    def __init__(self):
        super().__init__()
        self.state = State()

    def forward(self, x):
        return self.state(self.conv(x)).mean((2, 3))


class Linear(Small):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))


class Default(Small):
    def forward(self, x, other: Optional[Tensor] = None):
        return self.conv(x).mean((2, 3))


class Constant(Small):
    __constants__ = ["number"]

    def __init__(self):
        super().__init__()
        self.number = 3

    def forward(self, x):
        return self.conv(x).mean((2, 3))


class Divides(Small):
    def forward(self, x):
        y = self.conv(x).mean((2, 3))
        return y + 5 % (x.shape[0] - x.shape[0])


class Typed(Small):
    def forward(self, x):
        return self.conv(x).mean((2, 3)).to(torch.int32)


class Hooked(Small):
    """With a hook of the network as a whole."""

    def __init__(self):
        super().__init__()
        self.register_forward_pre_hook(turned)


def turned(self, images: Tuple[Tensor]) -> Tuple[Tensor]:
    return (images[0].flip(3),)


# ---- what archives hold ----------------------------------------------------------------------------------------------------


def rewritten(name: str, source: str, change):
    """The archive `source` with other parts: pairs of the name below its folder and the content, the long ones packed."""
    with zipfile.ZipFile(HERE / f"{source}.pt") as archive:
        names = [part.filename for part in archive.infolist()]
        folder = names[0].partition("/")[0]
        parts = [(part.partition("/")[2], archive.read(part)) for part in names if not part.endswith(".debug_pkl")]
    with zipfile.ZipFile(HERE / f"{name}.pt", "w") as archive:
        for part, content in change(parts):
            # Of 1980, so that the bytes are the same each time.
            info = zipfile.ZipInfo(f"{folder}/{part}")
            info.compress_type = zipfile.ZIP_DEFLATED if len(content) > 20000 else zipfile.ZIP_STORED
            archive.writestr(info, content)


def in_code(old: str, new: str):
    """In the file of code that has it."""

    def change(parts):
        assert sum(old.encode() in content for part, content in parts if part.endswith(".py")) == 1
        return [(part, content.replace(old.encode(), new.encode()) if part.endswith(".py") else content) for part, content in parts]

    return change


def in_values(old: bytes, new: bytes):
    """In the pickle of the network's attributes."""

    def change(parts):
        assert sum(content.count(old) for part, content in parts if part == "data.pkl") == 1
        return [(part, content.replace(old, new) if part == "data.pkl" else content) for part, content in parts]

    return change


def overlapping(name: str, source: str):
    """With files that lie at one place."""
    rewritten(name, source, lambda parts: [*parts, ("data/98", bytes(30000)), ("data/99", bytes(30000))])
    with zipfile.ZipFile(HERE / f"{name}.pt", "a") as archive:
        archive.comment = b" "
        archive.infolist()[-1].header_offset = archive.infolist()[-2].header_offset


def more(part: str, content: bytes):
    return lambda parts: [*parts, (part, content)]


def more_code(content: str):
    return lambda parts: [(part, code + content.encode() if part == "code/__torch__.py" else code) for part, code in parts]


def main():
    torch.set_num_threads(1)
    make_fixtures.without_paths()
    HERE.mkdir(exist_ok=True)
    running = (Small, Floods, Endless, Waits, Allocates, Divides, Typed, Hooked, Computed, Beyond)
    for network in (*running, Saves, Maps, Unused, Function, Branch, Profiles, Seeds, Classes, Opened, Default, Constant, Dtype, Perhaps):
        make_fixtures.save(torch.jit.script(seeded(network)), f"foreign/{network.__name__.lower()}")
    traced = torch.jit.trace(seeded(Traced), torch.zeros(2, 3, 32, 32), check_trace=False)
    make_fixtures.save(traced, "foreign/traced", "traced")
    pathlib.Path("written").unlink()
    quantised = torch.ao.quantization.quantize_dynamic(seeded(Linear), {nn.Linear})
    make_fixtures.save(torch.jit.script(quantised), "foreign/quantised")
    never = "def never(x: Tensor) -> Tensor:\n  _0 = torch.save(x, \"written\")\n  return x\n"
    maps = "torch.from_file(\"written\", True, 4)"
    rewritten("default", "default", in_code("other: Optional[Tensor]=None", f"other: Optional[Tensor]={maps}"))
    rewritten("constant", "constant", in_code("number : Final[int] = 3", f"number : Final[int] = int({maps}.sum())"))
    rewritten("code_unused", "small", more_code(never))
    rewritten("twice", "small", more("constants.pkl", b"\x80\x02)."))
    rewritten("capitals", "small", more("DATA.PKL", b"\x80\x02N."))
    rewritten("old", "small", more("model.json", b"{}"))
    elifs = "".join(f"  elif 2 > {i}:\n    pass\n" for i in range(20000))
    rewritten("elifs", "small", more_code(f"def never(x: Tensor) -> Tensor:\n  if 2 > 3:\n    pass\n{elifs}  return x\n"))
    rewritten("elifs_in_brackets", "small", more_code(f"def never(x: Tensor) -> Tensor:\n  if 2 > 3:\n    pass\n{elifs.replace('elif 2', 'elif(2)')}  return x\n"))
    rewritten("lines", "small", more_code("\n" * (17 << 20)))
    nested = "".join(f"{' ' * i}if 2 > 3:\n" for i in range(2, 600)) + " " * 600 + "pass\n"
    rewritten("indented", "small", more_code(f"def never(x: Tensor) -> Tensor:\n{nested}  return x\n"))
    rewritten("short", "small", lambda parts: [(part, content[:16] if part == "data/0" else content) for part, content in parts])
    # The bias, of four numbers.
    bias = b"tQq\x10K\x00(K\x04t"
    rewritten("longer", "small", in_values(bias, b"tQq\x10K\x00(M\x00\x10t"))
    rewritten("before", "small", in_values(bias, b"tQq\x10J\xf0\xff\xff\xff(K\x04t"))
    rewritten("confused", "small", in_values(b"trainingq\x01\x89", b"trainingq\x01N"))
    padding = b"ctorch.jit._pickle\nbuild_intlist\nq\x14(](K\x00K\x00K\x00K\x00etR"
    rewritten("itself", "small", in_values(padding, b"]q\x14h\x14a"))
    rewritten("deep", "small", in_values(padding, b"]" * 2000 + b"a" * 1999))
    rewritten("typed", "typed", in_code(", 3)\n", ", 27)\n"))
    overlapping("overlapping", "small")
    rewritten("storage", "small", more("data/99", bytes(65 << 20)))


if __name__ == "__main__":
    main()
