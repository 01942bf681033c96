"""The workflow of examples/snakemake with a real Snakemake: a clean run, killed and resumed runs, and changes.

    python3 tests/snakemake/run.py THINGSVISION VENV     # five to eight minutes on two cores; Python 3.11 or newer

VENV is made if it is not there, with the packages of requirements.txt beside this file. The workflow is copied to a folder whose
name has a blank and a quote. Activations, RDMs and scores must have the bytes of thingsvision without Snakemake.
"""

import array
import contextlib
import hashlib
import http.server
import json
import math
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
SHARDS = 3
LAYERS = {"alexnet.random-0": ["features.12", "classifier.5"], "little": ["V4", "decoder.avgpool"]}
OPTIONS = ["--batch-size", "1"]
RSA = ["--compare", "spearman", "--bootstrap", "100"]
# So often thingsvision notes which rows are on the disk.
NOTED_EVERY = 5


class Lab:
    """A folder with the workflow, images and targets."""

    def __init__(self, program, snakemake, place):
        self.program, self.snakemake, self.place = program, snakemake, place
        place.mkdir()
        shutil.copy(EXAMPLES / "snakemake/Snakefile", place)
        shutil.copytree(EXAMPLES / "images", place / "my 'pictures' here")
        shutil.copy(EXAMPLES / "behavior.npy", place / "judged by people.npy")
        for subject in [1, 2]:
            shutil.copy(EXAMPLES / "behavior.npy", place / f"sub {subject}.npy")
        self.config = {
            "program": str(program),
            "images": "my 'pictures' here",
            "out": "the results",
            "shards": SHARDS,
            "models": [
                {"model": "alexnet", "weights": "random", "layers": LAYERS["alexnet.random-0"]},
                {"model": "cornet-z", "weights": "random", "seed": 3, "layers": LAYERS["little"], "name": "little"},
            ],
            "options": OPTIONS,
            "metrics": ["correlation", "euclidean"],
            "rsa": {
                "behavior": {"how alike": "judged by people.npy"},
                "fmri": {"IT": "sub *.npy"},
                "options": RSA,
            },
            "figures": ["bars", "layers"],
            "threads": 2,
        }

    def write_config(self, **changes):
        self.config |= changes
        # JSON is YAML.
        (self.place / "config.yaml").write_text(json.dumps(self.config, indent=1))

    def start(self, *arguments):
        self.write_config()
        command = [self.snakemake, "--cores", "2", *arguments]
        return subprocess.Popen(
            command, cwd=self.place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )

    def run(self, *arguments, fails=False):
        """What Snakemake said, and how many jobs of each rule it began."""
        process = self.start(*arguments)
        said = process.communicate()[0]
        if (process.returncode != 0) != fails:
            raise AssertionError(f"snakemake {arguments} ended with {process.returncode}:\n{said}")
        jobs = {}
        for rule in re.findall(r"^(?:local)?rule (\w+):$", said, re.MULTILINE):
            jobs[rule] = jobs.get(rule, 0) + 1
        return said, jobs

    def thingsvision(self, *arguments):
        subprocess.run([self.program, *arguments], cwd=self.place, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def out(self, path):
        return self.place / "the results" / path

    def logs(self, name):
        return [self.out(f"logs/{name}/shard-{shard}-of-{SHARDS}.log").read_text() for shard in range(1, SHARDS + 1)]

    def compare_with_plain_runs(self):
        """Makes everything anew without Snakemake, and compares all bytes."""
        plain = self.place / "plain"
        shutil.rmtree(plain, ignore_errors=True)
        runs, compared = [], 0
        for model in self.config["models"]:
            layers = [word for layer in model["layers"] for word in ["--layer", layer]]
            seed = model.get("seed", 0)
            weights = ["--weights", "random", "--seed", str(seed)]
            self.thingsvision(
                "extract", "--model", model["model"], *weights, *layers, *OPTIONS, "--images", self.config["images"], "--out", "plain"
            )
            run = f"{model['model']}.random-{seed}"
            name = model.get("name", run)
            runs.append(f"plain/{run}")
            found = sorted(file.name for file in self.out(f"activations/{name}/{run}").iterdir())
            made = sorted(file.name for file in (plain / run).iterdir())
            check(found == made, f"the files of `{name}`: {found}, without Snakemake {made}")
            for file in made:
                if file != "run.json":
                    same(plain / run / file, self.out(f"activations/{name}/{run}/{file}"))
                    compared += 1
            for layer in model["layers"]:
                self.thingsvision("rdm", f"plain/{run}/{layer}.npy", "--metric", "euclidean", "--out", f"plain/{name}.{layer}.rdm.npy")
                same(plain / f"{name}.{layer}.rdm.npy", self.out(f"rdms/euclidean/{name}/{name}.{layer}.rdm.npy"))
                compared += 1
        rdms = [str(file.relative_to(self.place)) for file in sorted(plain.glob("*.rdm.npy"))]
        targets = ["--behavior", "how alike=judged by people.npy", "--fmri", "IT=sub 1.npy,sub 2.npy"]
        for metric, models in [("correlation", runs), ("euclidean", rdms)]:
            self.thingsvision("rsa", *targets, *RSA, "--out", f"plain/{metric}", *models)
            for ending in ["npy", "csv"]:
                same(plain / f"{metric}.{ending}", self.out(f"rsa/{metric}.{ending}"))
                compared += 1
        return compared

    def kill_in_a_shard(self):
        """Starts the workflow, and kills all its processes when a shard has noted rows that are done; returns the shard and these."""
        process = self.start()
        noted_in = lambda: next(iter(self.out("activations").glob("*/*.partial/done.txt")), None)
        try:
            journal = wait_for(noted_in, process)
            # Rows are noted with the first batch that ends some seconds after the start: they pass while everything stands still.
            while not rows_of(journal):
                os.killpg(process.pid, signal.SIGSTOP)
                time.sleep(NOTED_EVERY + 0.5)
                os.killpg(process.pid, signal.SIGCONT)
                until = time.monotonic() + 1
                while not rows_of(journal) and time.monotonic() < until:
                    check(journal.exists(), "the shard ended before it could be killed")
                    time.sleep(0.001)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        check(journal.exists(), "the shard ended before it could be killed")
        return journal.parent, rows_of(journal)


def rows_of(journal):
    try:
        text = journal.read_text()
    except FileNotFoundError:
        return 0
    return sum(int(end) - int(first) for first, end in re.findall(r"^rows (\d+) (\d+)\n", text, re.MULTILINE))


def wait_for(find, process):
    while True:
        if found := find():
            return found
        if process.poll() is not None:
            raise AssertionError(f"snakemake ended early:\n{process.communicate()[0]}")
        time.sleep(0.001)


def check(is_so, words):
    if not is_so:
        raise AssertionError(words)


def same(expected, file):
    check(file.exists(), f"`{file}` is missing")
    check(expected.read_bytes() == file.read_bytes(), f"`{file}` differs from `{expected}`")


def clean_run(lab):
    said, jobs = lab.run()
    expected = {"extract": 2 * SHARDS, "merge": 2, "rdm": 2, "rsa": 2, "figure": 4, "all": 1}
    check(jobs == expected, f"jobs {jobs}, expected {expected}")
    for metric in lab.config["metrics"]:
        for figure in ["bars", "layers"]:
            check(lab.out(f"figures/{metric}-{figure}.svg").stat().st_size > 1000, f"the figure {metric}-{figure} is empty")
    return f"{sum(jobs.values())} jobs; {lab.compare_with_plain_runs()} files have the bytes of runs without Snakemake"


def nothing_to_do(lab):
    said, jobs = lab.run()
    check("Nothing to be done" in said and not jobs, f"there was something to do:\n{said}")
    for shard in lab.out("activations").glob("*/*.shard-*"):
        shutil.rmtree(shard)
    said, jobs = lab.run()
    check("Nothing to be done" in said and not jobs, f"there was something to do without shards:\n{said}")
    _, jobs = lab.run("--forcerun", "extract")
    check(jobs.get("extract") == 2 * SHARDS and jobs.get("merge") == 2, f"jobs {jobs}")
    return f"also when the shards are removed; made anew by force, {lab.compare_with_plain_runs()} files have the same bytes"


def another_target(lab):
    shutil.copy(lab.out("rdms/euclidean/little/little.V4.rdm.npy"), lab.place / "judged by people.npy")
    _, jobs = lab.run()
    expected = {"rsa": 2, "figure": 4, "all": 1}
    check(jobs == expected, f"jobs {jobs}, expected {expected}")
    return f"scores alone are made anew; {lab.compare_with_plain_runs()} files have the same bytes"


def killed_and_resumed(lab):
    partial, kept = lab.kill_in_a_shard()
    check("LockException" in lab.run("--rerun-incomplete", fails=True)[0], "a killed Snakemake left no lock")
    lab.run("--unlock")
    check(rows_of(partial / "done.txt") == kept, "unlocking removed rows that were done")
    _, jobs = lab.run("--rerun-incomplete")
    shard = re.search(r"\.shard-(\d+)-of", partial.name)[1]
    log = lab.logs(partial.parent.name)[int(shard) - 1]
    goes_on = re.search(r"goes on +(\d+) rows? from before", log)
    check(goes_on and int(goes_on[1]) == kept, f"{kept} rows were kept, but the log says:\n{log}")
    return f"{kept} rows of shard {shard} were kept, and not made again; {lab.compare_with_plain_runs()} files have the same bytes"


def another_layer(lab):
    """The configuration changes, is changed again after a kill, and what is there by then is half of each."""
    alexnet = lab.config["models"][0]
    alexnet["layers"] = ["features.5"]
    partial, kept = lab.kill_in_a_shard()
    alexnet["layers"] = ["features.2", "features.12"]
    lab.run("--unlock")
    _, jobs = lab.run("--rerun-incomplete", "--until", "extract")
    check(jobs == {"extract": SHARDS}, f"of one model the shards are made anew: {jobs}")
    check(all("goes on" not in log for log in lab.logs(partial.parent.name)), "rows of another layer were taken over")
    # The shards are new and the run is not: the next start has to see that.
    _, jobs = lab.run()
    expected = {"merge": 1, "rdm": 1, "rsa": 2, "figure": 4, "all": 1}
    check(jobs == expected, f"jobs {jobs}, expected {expected}")
    return f"{kept} rows of another layer were replaced; {lab.compare_with_plain_runs()} files have the same bytes"


def another_image(lab):
    first, second = sorted(lab.place.glob("my 'pictures' here/balls/*.jpg"))[:2]
    # Only the time.
    first.touch()
    _, jobs = lab.run()
    check(jobs.get("extract") == 2 * SHARDS, f"a touched image is looked at: {jobs}")
    logs = lab.logs("alexnet.random-0") + lab.logs("little")
    check(all("is there already" in log and "took" not in log for log in logs), f"rows were made again:\n{logs}")
    # What is in it.
    shutil.copyfile(second, first)
    _, jobs = lab.run()
    check(jobs.get("extract") == 2 * SHARDS, f"a changed image is looked at: {jobs}")
    return f"a touched image makes no row anew, a changed one does; {lab.compare_with_plain_runs()} files have the same bytes"


def a_failing_image(lab):
    """What thingsvision says is shown, and the same command goes on when the image is right again."""
    image = sorted(lab.place.glob("my 'pictures' here/trees/*.jpg"))[-1]
    good = image.read_bytes()
    image.write_bytes(good[: len(good) // 3])
    said, _ = lab.run(fails=True)
    check(image.name in said and "error: " in said, f"the image is not named:\n{said}")
    image.write_bytes(good)
    lab.run()
    return f"a damaged image is named; when it is whole again {lab.compare_with_plain_runs()} files have the same bytes"


def wrong_configs(lab):
    good = json.loads(json.dumps(lab.config))
    with_out = {"model": "alexnet", "layers": ["features.12"], "options": ["--out", "x"]}
    cases = [
        ({"models": []}, "`models` must be a list of at least one model"),
        ({"shards": 0}, "`shards` must be a whole number from 1 on, not 0"),
        ({"shrads": 3}, "has no field `shrads`; is `shards` meant?"),
        ({"images": "nowhere"}, "there is no `nowhere` in"),
        ({"models": [{"model": "alexnet"}, {"model": "alexnet"}]}, "two models are called `alexnet`"),
        ({"models": [with_out]}, "may not hold --out, which the workflow sets"),
        ({"metrics": ["correlatoin"]}, "not `correlatoin`"),
        ({"rsa": {"behavior": ["a.npy"]}}, "must be names with files"),
        ({"rsa": {"fmri": {"IT": "none-*.npy"}}}, "there is no `none-*.npy`"),
    ]
    for changes, words in cases:
        lab.config = good | changes
        said, jobs = lab.run("--dry-run", fails=True)
        check(words in said and "Traceback" not in said and not jobs, f"{changes} is to say `{words}`:\n{said}")
    lab.config = good
    return f"{len(cases)} wrong configurations are refused in words"


def published_weights(lab):
    """Weights that are fetched once, before the shards: from a server here, of a small network made here."""
    shapes = {"V1": (64, 3, 7), "V2": (128, 64, 3), "V4": (256, 128, 3), "IT": (512, 256, 3)}
    tensors = {}
    for area, (to, of, size) in shapes.items():
        tensors |= {f"{area}.conv.weight": (to, of, size, size), f"{area}.conv.bias": (to,)}
    tensors |= {"decoder.linear.weight": (1000, 512), "decoder.linear.bias": (1000,)}
    header, data, state = {}, array.array("f"), 1
    for key, shape in tensors.items():
        start = len(data) * 4
        for _ in range(math.prod(shape)):
            state = state * 1103515245 + 12345 & 0x7FFFFFFF
            data.append((state / 0x7FFFFFFF - 0.5) / 8)
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(data) * 4]}
    text = json.dumps(header).encode()
    weights = struct.pack("<Q", len(text)) + text + data.tobytes()
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(weights)))
            self.end_headers()
            self.wfile.write(weights)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (lab.place / "my models.toml").write_text(
        f"""[[model]]
name = "mine"
architecture = {{ family = "cornet", variant = "z" }}
default_layer = "decoder.avgpool"
[[model.weights]]
tag = "here"
url = "http://127.0.0.1:{server.server_port}/mine.safetensors"
sha256 = "{hashlib.sha256(weights).hexdigest()}"
preprocessing = "imagenet"
"""
    )
    lab.config |= {"registry": "my models.toml", "cache": "my weights", "models": [{"model": "mine", "options": OPTIONS}]}
    lab.config |= {"options": [], "metrics": ["correlation"], "figures": []}
    _, jobs = lab.run()
    expected = {"weights": 1, "extract": SHARDS, "merge": 1, "rsa": 1, "all": 1}
    check(jobs == expected, f"jobs {jobs}, expected {expected}")
    check(asked == ["/mine.safetensors"], f"asked for {asked}")
    server.shutdown()
    return "published weights are fetched once"


def main():
    if len(sys.argv) != 3 or sys.version_info < (3, 11):
        sys.exit(__doc__)
    program, environment = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).absolute()
    requirements = HERE / "requirements.txt"
    installed = environment / "installed.txt"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        venv.create(environment, with_pip=True, clear=True)
        subprocess.run([environment / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "-r", requirements], check=True)
        shutil.copy(requirements, installed)
    snakemake = environment / "bin/snakemake"
    version = subprocess.run([snakemake, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"Snakemake {version}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="thingsvision-snakemake-"))
    print(f"in {folder}, which is kept if something fails", flush=True)
    clean, killed = Lab(program, snakemake, folder / "it's clean"), Lab(program, snakemake, folder / "it's killed")
    steps = [(clean_run, clean), (nothing_to_do, clean), (another_target, clean)]
    steps += [(killed_and_resumed, killed), (another_layer, killed)]
    steps += [(another_image, killed), (a_failing_image, killed), (wrong_configs, killed), (published_weights, killed)]
    for step, lab in steps:
        start = time.monotonic()
        words = step(lab)
        print(f"{step.__name__}: {words} ({time.monotonic() - start:.0f} s)", flush=True)
    shutil.rmtree(folder)
    print(f"{len(steps)} passed, 0 failed")


if __name__ == "__main__":
    main()
