"""Where same_output.py runs a case: a folder of its own with the inputs, in which a build does what cases.txt says."""

import dataclasses
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import time

import inputs

CASES = pathlib.Path(__file__).parent / "cases.txt"
# Seconds after which a command is killed.
PATIENCE = 300


@dataclasses.dataclass
class Case:
    name: str
    lines: list[str] = dataclasses.field(default_factory=list)


def read_cases() -> list[Case]:
    cases = []
    for line in CASES.read_text().splitlines():
        if line.startswith("== "):
            cases.append(Case(line[3:].strip()))
        elif line.strip() and not line.startswith("#"):
            cases[-1].lines += expand(line)
    return cases


def expand(line: str) -> list[str]:
    """`each a b: models {}` stands for two lines."""
    if not line.startswith("each "):
        return [line]
    words, rest = line[5:].split(": ", 1)
    return [part.replace("{}", word) for word in shlex.split(words) for part in rest.split(" ;; ")]


@dataclasses.dataclass
class Lab:
    """A folder in which one build runs one case."""

    program: pathlib.Path
    folder: pathlib.Path
    said: pathlib.Path
    count: int = 0

    def start(self, line: str, **options) -> subprocess.Popen:
        unset = ("THINGSVISION_", "XDG_", "TORCH_", "NO_COLOR", "CLICOLOR")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
        environment |= {"THINGSVISION_OFFLINE": "1", "THINGSVISION_CACHE": "cache", "HOME": str(self.folder / "home")}
        environment["COLUMNS"] = "100"
        # Records keep the words of the command.
        words = ["thingsvision", *shlex.split(line)]
        options |= {"executable": self.program, "cwd": self.folder, "env": environment, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(words, **options)

    def run(self, line: str):
        """Runs a command line and writes down what it said."""
        process = self.start(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        said = b"--- stdout\n" + out + b"--- stderr\n" + err
        self.write(f"thingsvision {line}\nexit {process.returncode}\n", said)

    def write(self, line_and_status: str, said: bytes = b""):
        self.count += 1
        (self.said / f"{self.count:03}.txt").write_bytes(line_and_status.encode() + said)

    def in_silence(self, line: str) -> subprocess.Popen:
        return self.start(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def do(self, line: str, written: list):
        """A line of a case: a command line of the program, or one of the verbs that cases.txt explains."""
        verb, _, rest = line.partition(" ")
        if line.startswith("    "):
            written[-1].open("a").write(line[4:] + "\n")
        elif verb == ">":
            written.append(self.folder / rest)
            written[-1].parent.mkdir(exist_ok=True)
            written[-1].write_text("")
        elif verb == "copy":
            source, to = rest.split()
            source, to = inputs.REPOSITORY / source, self.folder / to
            shutil.copytree(source, to) if source.is_dir() else shutil.copy(source, to)
        elif verb == "!":
            self.write(f"{line}\nexit {subprocess.run(['bash', '-c', rest], cwd=self.folder).returncode}\n")
        elif verb == "kill":
            self.kill(rest)
        elif verb == "together":
            both = [self.in_silence(rest) for _ in range(2)]
            self.write(f"{line}\nexit {[status_of(process) for process in both]}\n")
        elif verb == "silent":
            self.write(f"{line}\nexit {status_of(self.in_silence(rest))}\n")
        else:
            self.run(line)

    def kill(self, line: str):
        """Kills a run when its first rows are written."""
        process, begun = self.in_silence(line), time.monotonic()
        while process.poll() is None and not self.has_rows() and time.monotonic() - begun < PATIENCE:
            time.sleep(0.002)
        process.kill()
        if process.wait() >= 0:
            print(f"    note: this ended before it could be killed: {line}")

    def has_rows(self) -> bool:
        try:
            return any("rows" in journal.read_text() for journal in self.folder.glob("*/*.partial/done*.txt"))
        except FileNotFoundError:
            return False


def status_of(process: subprocess.Popen) -> int:
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def run_case(program: pathlib.Path, case: Case, given: pathlib.Path, to: pathlib.Path):
    """Runs `case` and moves its folder to `to`, unless what is there was made of the same."""
    copied = [inputs.REPOSITORY / line.split()[1] for line in case.lines if line.startswith("copy ")]
    made_of = "\n".join([*(hash_of(path) for path in (program, pathlib.Path(__file__), given, *copied)), *case.lines])
    stamp = to.with_name(to.name + ".stamp")
    if stamp.exists() and stamp.read_text() == made_of:
        return
    stamp.unlink(missing_ok=True)
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    (to / "said").mkdir()
    with tempfile.TemporaryDirectory(prefix="same-output-") as folder:
        shutil.copytree(given, folder, dirs_exist_ok=True)
        lab, written = Lab(program, pathlib.Path(folder), to / "said"), []
        for line in case.lines:
            lab.do(line, written)
        shutil.copytree(folder, to / "lab", symlinks=True)
    stamp.write_text(made_of)


def hash_of(path: pathlib.Path) -> str:
    """Of a file, or of all files in a folder."""
    files = sorted(file for file in [path, *path.rglob("*")] if file.is_file())
    hashes = [f"{file.relative_to(path)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
