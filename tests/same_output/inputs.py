"""What same_output.py gives the program: pictures, arrays, tables and weights, the same every time."""

import array
import collections
import json
import math
import pathlib
import pickle
import random
import shutil
import struct
import sys
import types
import zipfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def write_npy(path, values, shape, kind="f"):
    """An array of float32 (`f`), float64 (`d`), int64 (`q`) or bytes (`B`)."""
    name = {"f": "<f4", "d": "<f8", "q": "<i8", "B": "|u1"}[kind]
    header = f"{{'descr': '{name}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + array.array(kind, values).tobytes())


def write_hdf5(path, shape, data, names):
    """Bytes of this shape as an HDF5 file with the same data set under each name."""

    def message(kind, body):
        body += bytes(-len(body) % 8)
        return struct.pack("<HHB3x", kind, len(body), 0) + body

    def header(*messages):
        return struct.pack("<BxHII4x", 1, len(messages), 1, len(b"".join(messages))) + b"".join(messages)

    def dataset(place):
        space = struct.pack(f"<BBB5x{len(shape)}Q", 1, len(shape), 0, *shape)
        byte = struct.pack("<BBBBIHH", 0x10, 0, 0, 0, 1, 0, 8)
        return header(message(1, space), message(3, byte), message(8, struct.pack("<BBQQ", 3, 1, place, len(data))))

    def root(places):
        links = [struct.pack("<BBB", 1, 0, len(name)) + name.encode() + struct.pack("<Q", place) for name, place in places]
        about = [message(2, struct.pack("<BBQQ", 0, 0, none, none)), message(10, bytes(2))]
        return header(*about, *[message(6, link) for link in links])

    none, start = 2**64 - 1, 96
    first = start + len(root([(name, 0) for name in names]))
    places = [first + number * len(dataset(0)) for number in range(len(names) + 1)]
    body = root(list(zip(names, places))) + dataset(places[-1]) * len(names) + data
    ends = struct.pack("<8BHHIQQQQ", 0, 0, 0, 0, 0, 8, 8, 0, 4, 16, 0, 0, none, start + len(body), none)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + ends + struct.pack("<QQII16x", 0, start, 0, 0) + body)


def write_safetensors(path, tensors):
    header, place = {}, 0
    for name, (shape, values) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [place, place + 4 * len(values)]}
        place += 4 * len(values)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(values.tobytes() for _, values in tensors.values()))


def write_checkpoint(path, tensors):
    """The tensors as torch.save writes a state dict."""
    made = {name: types.ModuleType(name) for name in ("torch", "torch._utils")}
    rebuild = made["torch._utils"]._rebuild_tensor_v2 = lambda *parts: None
    storage = made["torch"].FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    rebuild.__module__, rebuild.__name__, rebuild.__qualname__ = "torch._utils", *["_rebuild_tensor_v2"] * 2

    class Tensor:
        def __init__(self, number, shape, count):
            strides = [1]
            for size in reversed(shape[1:]):
                strides.insert(0, strides[0] * size)
            self.parts = (Stored(number, count), 0, tuple(shape), tuple(strides), False, collections.OrderedDict())

        def __reduce__(self):
            return rebuild, self.parts

    Stored = collections.namedtuple("Stored", "number count")
    Pickler = type("Pickler", (pickle.Pickler,), {"persistent_id": lambda _, value: (
        ("storage", storage, str(value.number), "cpu", value.count) if isinstance(value, Stored) else None)})
    sys.modules.update(made)
    state = {name: Tensor(number, shape, len(values)) for number, (name, (shape, values)) in enumerate(tensors.items())}
    with zipfile.ZipFile(path, "w") as file:
        with file.open(zipfile.ZipInfo("archive/data.pkl"), "w") as text:
            Pickler(text, protocol=2).dump(state)
        for number, (_, values) in enumerate(tensors.values()):
            file.writestr(zipfile.ZipInfo(f"archive/data/{number}"), values.tobytes())
        file.writestr(zipfile.ZipInfo("archive/version"), "3\n")
    for name in made:
        del sys.modules[name]


def make(folder):
    """`images`, two of each folder of examples/images; `made`, arrays; `weights`, those of a cornet-z. The same every time."""
    draw = random.Random(0)
    made = folder / "made"
    made.mkdir()
    (folder / "weights").mkdir()
    pictures = [path for kind in sorted((REPOSITORY / "examples/images").iterdir()) for path in sorted(kind.iterdir())[:2]]
    ids = [f"{path.parent.name}/{path.name}" for path in pictures]
    for path, name in zip(pictures, ids):
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "images" / name)
    n = len(ids)
    noise = lambda *shape: [draw.gauss(0, 1) for _ in range(math.prod(shape))]
    distance = lambda seed, i, j: 0.0 if i == j else 1 + (i + j) * (i * j + seed) % 11 + (abs(i // 2 - j // 2) > 0) * 5

    write_npy(made / "x.npy", noise(n, 40), (n, 40))
    for subject in range(1, 5):
        write_npy(made / f"sub-{subject}.npy", noise(n, 30), (n, 30))
        write_npy(made / f"rdm-{subject}.npy", [distance(subject, i, j) for i in range(n) for j in range(n)], (n, n), "d")
    write_npy(made / "rdms.npy", [distance(s, i, j) for s in range(4) for i in range(n) for j in range(n)], (4, n, n), "d")
    write_npy(made / "similarity.npy", [-distance(1, i, j) for i in range(n) for j in range(n)], (n, n), "d")
    write_npy(made / "asymmetric.npy", [i - 2 * j for i in range(n) for j in range(n)], (n, n), "d")
    write_npy(made / "six.npy", [distance(1, i, j) for i in range(6) for j in range(6)], (6, 6), "d")
    write_npy(made / "flat.npy", [0.5 if i == 3 else draw.random() for i in range(n) for _ in range(8)], (n, 8))
    write_npy(made / "nan.npy", [float("nan") if i == 5 else draw.random() for i in range(n) for _ in range(8)], (n, 8))
    for subject in (1, 2):
        write_npy(made / f"betas-{subject}.npy", noise(24, 20), (24, 20))
    write_npy(made / "residuals.npy", noise(60, 20), (60, 20))
    stack = draw.randbytes(5 * 40 * 50 * 3)
    write_npy(made / "stack.npy", stack, (5, 40, 50, 3), "B")
    write_npy(made / "gray.npy", stack[:2000], (1, 40, 50), "B")
    write_hdf5(made / "one.h5", (5, 40, 50, 3), stack, ["imgBrick"])
    write_hdf5(made / "two.h5", (5, 40, 50, 3), stack, ["other", "imgBrick"])
    triplets = [draw.sample(range(n), 3) for _ in range(400)]
    write_npy(made / "triplets.npy", [number for three in triplets for number in three], (400, 3), "q")
    texts = {
        "ids.txt": ids,
        "conditions.txt": [f"c{row % 6}" for row in range(24)],
        "runs.txt": [f"run{row // 6}" for row in range(24)],
        "kinds.csv": ["stimulus,category", *[f"{name},{'round' if name[0] in 'br' else 'other'}" for name in ids]],
        "labels.txt": [name.split("/")[0] for name in ids],
        "embedding.txt": [" ".join(f"{abs(draw.gauss(0, 1)):.6f}" for _ in range(9)) for _ in range(n)],
        "x.csv": [",a,b,c,d,e,f,g,h", *[name + "".join(f",{draw.gauss(0, 1):.6f}" for _ in range(8)) for name in ids]],
        "triplets.txt": [" ".join(map(str, three)) for three in triplets],
        "triplets.tsv": ["first\tsecond\todd", *["\t".join(ids[number] for number in three) for three in triplets]],
        "list.txt": ["../images/" + name for name in ids[::-2]],
        "list.csv": ["number,path", *[f"{number},{name}" for number, name in enumerate(ids[::-3])]],
    }
    for name, lines in texts.items():
        (made / name).write_text("\n".join(lines) + "\n")
    for subject in range(1, 5):
        shutil.copy(made / "ids.txt", made / f"rdm-{subject}.ids.txt")

    layout = [line.split("\t") for line in (REPOSITORY / "tests/fixtures/structure/cornet-z.tsv").read_text().splitlines()]
    shapes = {name: [int(size) for size in shape.split("x")] for kind, name, shape in layout if kind == "tensor"}
    tensors = {name: (shape, array.array("f", (draw.uniform(-0.1, 0.1) for _ in range(math.prod(shape)))))
               for name, shape in shapes.items()}
    write_safetensors(folder / "weights/mine.safetensors", tensors)
    write_checkpoint(folder / "weights/mine.pth", tensors)
