"""Builds the program for 64-bit Arm Linux, runs it under emulation, and compares what it gives with the program for x86.

    python3 tests/aarch64/run.py target/release/thingsvision                 # an hour on two cores; the report goes to stdout
    python3 tests/aarch64/run.py X86_BINARY --only pixels --keep DIR         # one part; DIR keeps libtorch, the build and all outputs
    python3 tests/aarch64/run.py X86_BINARY --cpu max                        # another processor of qemu's

Needs `rustup target add aarch64-unknown-linux-gnu`, a cross compiler (Debian's g++-aarch64-linux-gnu), qemu-aarch64 (Debian's
qemu-user), and Python with pip alone. libtorch is that of torch's wheel for aarch64, by the hashes in xtask/wheels.txt.
Fails if something differs that should not: pixels, random weights, whatever is computed from the same files, or activations by more
than 1e-4 of a layer's largest value.
"""

import argparse
import array
import ast
import csv
import operator
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = "aarch64-unknown-linux-gnu"
SYSROOT = "/usr/aarch64-linux-gnu"
# Arm's server processors of 2019 to 2022: vectors of 128 bits (NEON), no SVE.
CPU = "neoverse-n1"

# The largest difference of activations, in parts of a layer's largest value.
ACTIVATIONS = 1e-4
# The largest difference of numbers that are computed in another order.
STATISTICS = 1e-12

ALEXNET = "--model alexnet --weights random --seed 3"
RESNET18 = "--model resnet18 --weights random --seed 3"
MEASURES = ("pearson", "spearman", "kendall-tau-a", "kendall-tau-b", "rho-a", "whitened-correlation", "cka")
FIVE = [f"--layer={name}" for name in ("features.2", "features.5", "features.12", "classifier.2", "classifier.5")]


# ---- the program for Arm -----------------------------------------------------------------------------------------------------


def call(command: list, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(list(map(str, command)), text=True, **options)
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, command))}\n{done.stdout or ''}{done.stderr or ''}")
    return done


def fetch_libtorch(place: pathlib.Path) -> pathlib.Path:
    """torch's wheel for aarch64 and the two libraries that it is linked to, unpacked as `cargo xtask libtorch` does."""
    libtorch = place / "libtorch"
    if (libtorch / "build-version").exists():
        return libtorch
    wheels = REPOSITORY / "xtask/wheels.txt"
    pip = "-m pip download --quiet --no-deps --require-hashes --only-binary=:all: --disable-pip-version-check"
    pip += " --python-version 3.12 --implementation cp --abi cp312 --abi none"
    for platform in ("manylinux_2_28_aarch64", "manylinux_2_25_aarch64", "manylinux2014_aarch64"):
        pip += f" --platform {platform}"
    call([sys.executable, *pip.split(), "--dest", place / "wheels", "--requirement", wheels])
    call([sys.executable, REPOSITORY / "xtask/unpack_wheels.py", place / "wheels", libtorch])
    shutil.rmtree(place / "wheels")
    version = re.search(r"^torch==(\S+)", wheels.read_text(), re.MULTILINE)[1]
    # This one is linked to the CUDA kernels, which stay behind, and on aarch64 it holds a few functions of the C++ library, for which
    # the linker would take it.
    (libtorch / "lib/libtorch.so").write_text("INPUT ( -ltorch_cpu )\n")
    (libtorch / "build-version").write_text(version)
    return libtorch


def build(place: pathlib.Path, libtorch: pathlib.Path) -> pathlib.Path:
    tools = {"CC": "gcc", "CXX": "g++", "AR": "ar"}
    environment = os.environ | {f"{name}_{TARGET.replace('-', '_')}": f"aarch64-linux-gnu-{tool}" for name, tool in tools.items()}
    environment |= {f"CARGO_TARGET_{TARGET.upper().replace('-', '_')}_LINKER": "aarch64-linux-gnu-gcc"}
    environment |= {"LIBTORCH": str(libtorch), "CARGO_TARGET_DIR": str(place / "target")}
    call(["cargo", "build", "--release", "--quiet", "--target", TARGET, "--bin", "thingsvision"], cwd=REPOSITORY, env=environment)
    return place / "target" / TARGET / "release/thingsvision"


class Program:
    """One of the two programs; what it writes lies in a folder of its own."""

    def __init__(self, name: str, command: list, place: pathlib.Path):
        self.name, self.command, self.place = name, list(map(str, command)), place / name
        self.place.mkdir(parents=True, exist_ok=True)

    def run(self, arguments: str, *more: str, fails: bool = False) -> str:
        """What it says; all paths are relative to its folder or absolute."""
        command = [*self.command, *arguments.split(), *map(str, more)]
        done = subprocess.run(command, cwd=self.place, text=True, capture_output=True)
        if bool(done.returncode) != fails:
            sys.exit(f"error: {' '.join(command)}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def start(self, arguments: str) -> subprocess.Popen:
        return subprocess.Popen([*self.command, *arguments.split()], cwd=self.place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# ---- comparing -----------------------------------------------------------------------------------------------------------------


def read_npy(path: pathlib.Path) -> tuple[tuple, array.array]:
    with path.open("rb") as file:
        version = file.read(8)[6]
        length = int.from_bytes(file.read(2 if version == 1 else 4), "little")
        header = ast.literal_eval(file.read(length).decode("latin-1"))
        values = array.array({"<f4": "f", "<f8": "d"}[header["descr"]], file.read())
    return header["shape"], values


def difference(a: array.array, b: array.array) -> tuple[float, float]:
    """The largest difference, and the largest value."""
    if a.tobytes() == b.tobytes():
        return 0.0, 1.0
    return max(map(abs, map(operator.sub, a, b))), max(max(a), -min(a))


class Report:
    def __init__(self, place: pathlib.Path):
        self.place, self.faults, self.start = place, 0, time.time()

    def heading(self, text: str):
        print(f"\n{text}\n", flush=True)

    def say(self, text: str):
        print(f"- {text}", flush=True)

    def ask(self, is_so: bool, text: str):
        self.faults += not is_so
        self.say(text if is_so else f"**not so:** {text}")

    def same_bytes(self, names: list[str], what: str):
        paths = [[self.place / side / name for side in ("x86", "aarch64")] for name in names]
        other = [x86.name for x86, arm in paths if x86.read_bytes() != arm.read_bytes()]
        self.ask(not other, f"{what}: {len(names) - len(other)} of {len(names)} files have the same bytes" + (f", not {', '.join(other)}" if other else ""))

    def arrays(self, names: list[str], what: str, bound: float):
        """All arrays against each other; the largest difference in parts of the array's largest value."""
        worst, at, equal = 0.0, "", 0
        for name in names:
            (shape, x86), (other, arm) = [read_npy(self.place / side / name) for side in ("x86", "aarch64")]
            if shape != other:
                self.ask(False, f"{what}: {name} has shape {other}, not {shape}")
                continue
            largest, scale = difference(x86, arm)
            equal += largest == 0
            if not largest / scale <= worst:
                worst, at = largest / scale, name.rsplit("/", 1)[-1]
        text = f"{what}: largest difference {worst:.1e} of the largest value" + (f" (`{at}`)" if at else "")
        self.ask(worst <= bound, f"{text}; {equal} of {len(names)} equal to the bit")


def files_of(folder: pathlib.Path, pattern: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))


def numbers_in(table: pathlib.Path) -> tuple[list, list]:
    """The cells of a table that are numbers, and the others."""
    numbers, words = [], []
    for row in csv.reader(table.open()):
        for cell in row:
            try:
                numbers.append(float(cell))
            except ValueError:
                words.append(cell)
    return numbers, words


# ---- the parts -----------------------------------------------------------------------------------------------------------------


def pixels(report: Report, both: list[Program], images: pathlib.Path, photographs: list[pathlib.Path]):
    """What networks are shown, of every picture that the program reads, and which it refuses."""
    report.heading("Pixels")
    folder = report.place / "pictures"
    folder.mkdir(exist_ok=True)
    for path in [*sorted((REPOSITORY / "tests/fixtures/images").iterdir()), *photographs]:
        shutil.copy(path, folder)
    for model, how in [("alexnet", "bilinear"), ("clip-rn", "bicubic"), ("alexnet --interpolation lanczos --squash", "Lanczos, squashed")]:
        name = re.sub(r"\W+", "-", how)
        for program in both:
            program.run(f"extract --model {model} --weights random --layer input --rdm none --skip-unreadable --images {folder} --out pixels-{name} --force")
        out = files_of(both[0].place, f"pixels-{name}/*/input.npy")[0]
        count = read_npy(both[0].place / out)[0][0]
        report.same_bytes([out], f"preprocessed pixels of {count} pictures ({how})")
        lists = [str(pathlib.Path(out).with_name(file)) for file in ("images.txt", "skipped.txt")]
        report.same_bytes(lists, f"which pictures are read, and why others are not ({how})")


def networks(report: Report, both: list[Program], images: pathlib.Path, photographs: list[pathlib.Path]):
    """Activations of all layers with the same seeds."""
    report.heading("Activations of untrained networks")
    few = report.place / "few"
    few.mkdir(exist_ok=True)
    for path in [*sorted(images.rglob("*.*"))[:: len(list(images.rglob("*.*"))) // 2][:2], *photographs[:2]]:
        shutil.copy(path, few)
    count = len(list(few.iterdir()))
    # All layers, each computed by itself; and the last alone, for which modules are computed together.
    ways = [("", "", "--layer *"), (" --exact", "-exact", "--exact --layer *"), (", the last layer alone", "-last", "--layer output")]
    for model, name in ((ALEXNET, "alexnet"), (RESNET18, "resnet18")):
        for how, ending, flags in ways:
            out = f"networks{ending}"
            for program in both:
                program.run(f"extract {model} {flags} --images {few} --batch-size 2 --out {out} --force")
            files = files_of(both[0].place, f"{out}/{name}.*/*.npy")
            rdms = [file for file in files if file.endswith(".rdm.npy")]
            layers = [file for file in files if file not in rdms]
            report.arrays(layers, f"{name}{how}: {len(layers)} layers of {count} pictures", ACTIVATIONS)
            report.arrays(rdms, f"{name}{how}: their RDMs", ACTIVATIONS)


def statistics(report: Report, both: list[Program], images: pathlib.Path, photographs: list[pathlib.Path]):
    """RDMs, comparisons, tests and pictures of the same files: activations that the program for x86 made."""
    report.heading("From the same activations")
    x86 = both[0]
    x86.run(f"extract {ALEXNET}", *FIVE, "--images", images, "--out", "../same", "--force")
    x86.run(f"extract {RESNET18} --layer layer2 --layer avgpool --images {images} --out ../same --force")
    behaviour, run = REPOSITORY / "examples/behavior.npy", "../same/alexnet.random-3"
    for program in both:
        for metric in ("correlation", "cosine", "euclidean", "cityblock", "spearman", "gaussian"):
            program.run(f"rdm {run}/classifier.5.npy --metric {metric} --out {metric}.rdm.npy")
        program.run(f"rdm {run}/features.2.npy --metric correlation --out large.rdm.npy")
        for compare in MEASURES:
            # Whitened ones take whole matrices, and the bootstrap leaves pairs out.
            bootstrap = "" if compare in ("whitened-correlation", "cka") else "--bootstrap 200 --differences"
            program.run(f"rsa --behavior {behaviour} {run} ../same/resnet18.random-3 --compare {compare} --permutations 1000 {bootstrap} --out {compare}")
        program.run(f"cka {run} ../same/resnet18.random-3 --out cka-features.npy")
        program.run(f"cka --unbiased {run} ../same/resnet18.random-3 --out cka-unbiased.npy")
        program.run(f"plot mds {behaviour} {run} --out map")
        program.run(f"plot rdm {behaviour} {run} --cluster {behaviour} --clusters 4 --out heat")
        program.run("plot bars pearson.json --out bars")
        program.run("plot layers pearson.json --out layers")
    folder = x86.place
    report.arrays(files_of(folder, "*.rdm.npy"), "RDMs by six metrics", 1e-6)
    report.arrays([f"{name}.npy" for name in MEASURES], "scores by seven measures", STATISTICS)
    report.arrays(["cka-features.npy", "cka-unbiased.npy"], "CKA of features", 1e-10)
    tables = [name for name in files_of(folder, "*.csv") if not name.startswith("map")]
    worst, words = 0.0, True
    for name in tables:
        (a, x), (b, y) = [numbers_in(program.place / name) for program in both]
        words &= x == y and len(a) == len(b)
        worst = max([worst, *(abs(p - q) for p, q in zip(a, b) if p == p or q == q)])
    report.ask(words and worst <= STATISTICS, f"scores, p values, intervals and differences in {len(tables)} tables: largest difference {worst:.1e}")
    (a, _), (b, _) = [numbers_in(program.place / "map.points.csv") for program in both]
    largest = max(map(abs, map(operator.sub, a, b))) / max(map(abs, a))
    report.ask(largest <= 1e-6, f"{len(a)} numbers of a map (multidimensional scaling): largest difference {largest:.1e} of the largest")
    report.same_bytes([f"{name}.{ending}" for name in ("map", "heat", "bars", "layers") for ending in ("svg", "png")], "pictures")


def study(report: Report, both: list[Program], images: pathlib.Path, photographs: list[pathlib.Path]):
    """A study from images to figures, each program by itself."""
    report.heading("A study, from pictures to figures")
    text = f"""
        out = "study"
        models = [{{ model = "alexnet", layers = ["features.5", "classifier.5"] }}]
        weights = ["random"]
        permutations = 200
        bootstrap = 100
        [[dataset]]
        name = "objects"
        images = "{images}"
        behavior = "{REPOSITORY / 'examples/behavior.npy'}"
        categories = "folder"
    """
    for program in both:
        shutil.rmtree(program.place / "study", ignore_errors=True)
        (program.place / "study.toml").write_text(text)
        program.run("study study.toml")
    (a, x), (b, y) = [numbers_in(program.place / "study/results.csv") for program in both]
    worst = max([0.0, *(abs(p - q) for p, q in zip(a, b) if p == p or q == q)])
    report.ask(x == y and worst <= 1e-4, f"`results.csv`, {len(a)} numbers: largest difference {worst:.1e}")
    for ending in ("svg", "png"):
        names = files_of(both[0].place, f"study/**/*.{ending}")
        same = [name for name in names if (both[0].place / name).read_bytes() == (both[1].place / name).read_bytes()]
        report.say(f"figures in {ending.upper()}: {len(same)} of {len(names)} have the same bytes")


def exported(report: Report, both: list[Program], images: pathlib.Path, photographs: list[pathlib.Path]):
    """A network exported by PyTorch."""
    report.heading("Networks exported by PyTorch")
    fixtures = REPOSITORY / "tests/exported"
    for program in both:
        program.run(f"extract --model {fixtures / 'scripted.pt'} --layer * --images {fixtures / 'images'} --out exported --force {PIXELS}")
    files = files_of(both[0].place, "exported/*/*.npy")
    layers = [file for file in files if not file.endswith(".rdm.npy")]
    report.arrays(layers, f"`scripted.pt`, {len(layers)} layers", ACTIVATIONS)
    # Whether the network's code is kept from files is a matter of the kernel; emulation has no Landlock.


PIXELS = "--resize 32 --crop 32"


def resume(report: Report, both: list[Program], images: pathlib.Path, photographs: list[pathlib.Path]):
    """A run that is killed, and the same command again."""
    report.heading("A run that is killed goes on")
    arm = both[1]
    command = f"extract {ALEXNET} --layer features.5 --layer classifier.5 --images {images / sorted(os.listdir(images))[0]} --batch-size 1 --out {{}}"
    for name in ("whole", "killed"):
        shutil.rmtree(arm.place / name, ignore_errors=True)
    arm.run(command.format("whole"))
    process = arm.start(command.format("killed"))
    while process.poll() is None and not any("rows" in path.read_text() for path in (arm.place / "killed").rglob("done.txt")):
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = sorted(path.name for path in (arm.place / "killed").rglob("*") if path.is_file())
    said = arm.run(command.format("killed"))
    files = files_of(arm.place / "whole", "**/*.npy")
    same = [name for name in files if (arm.place / "whole" / name).read_bytes() == (arm.place / "killed" / name).read_bytes()]
    report.ask(same == files and bool(files), f"{len(same)} of {len(files)} files have the bytes of a run that was not killed (left: {', '.join(left)})")
    report.say("it said: " + " ".join(said.split())[:300])


PARTS = {part.__name__: part for part in (pixels, networks, statistics, study, exported, resume)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("x86", type=pathlib.Path, help="the program for this machine")
    arguments.add_argument("--only", choices=PARTS, action="append", help="a part; repeat for more")
    arguments.add_argument("--cpu", default=CPU, help=f"a processor that qemu knows [default: {CPU}]")
    arguments.add_argument("--keep", type=pathlib.Path, help="a folder that keeps libtorch, the build, and what was compared")
    arguments.add_argument("--photographs", type=pathlib.Path, help="a folder with more pictures")
    given = arguments.parse_args()
    for tool in ("aarch64-linux-gnu-g++", "qemu-aarch64", "cargo"):
        if not shutil.which(tool):
            sys.exit(f"error: `{tool}` is not there\n\nhint: on Debian, apt-get install g++-aarch64-linux-gnu qemu-user")
    with tempfile.TemporaryDirectory() as temporary:
        place = (given.keep or pathlib.Path(temporary)).resolve()
        place.mkdir(parents=True, exist_ok=True)
        libtorch = fetch_libtorch(place)
        program = build(place, libtorch)
        emulator = ["qemu-aarch64", "-cpu", given.cpu, "-L", SYSROOT, "-E", f"LD_LIBRARY_PATH={libtorch / 'lib'}", program]
        outputs = place / "outputs" / given.cpu.replace(",", "-")
        both = [Program("x86", [given.x86.resolve()], outputs), Program("aarch64", emulator, outputs)]
        report = Report(outputs)
        version = call(["qemu-aarch64", "--version"], capture_output=True).stdout.splitlines()[0]
        print(f"aarch64 under {version}, processor `{given.cpu}`")
        photographs = [path for path in sorted(given.photographs.iterdir()) if path.suffix.lower() in (".jpg", ".jpeg", ".png")] if given.photographs else []
        for name in given.only or PARTS:
            PARTS[name](report, both, REPOSITORY / "examples/images", photographs)
        print(f"\n{(time.time() - report.start) / 60:.0f} minutes")
        sys.exit(f"{report.faults} things differ that should not" if report.faults else 0)


if __name__ == "__main__":
    main()
