"""The Python module in the wheel, as a notebook uses it: python test_module.py REPOSITORY, with the wheel installed."""

import collections
import contextlib
import io
import json
import os
import pathlib
import pickle
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import zipfile
from unittest import mock

import numpy

import thingsvision_rs as tv
from thingsvision_rs import program

REPOSITORY = pathlib.Path(sys.argv.pop(1)).resolve()
EXAMPLES = REPOSITORY / "examples"


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="a folder ")
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)

    def extract(self, **flags):
        return tv.extract(model="alexnet", images=EXAMPLES / "images", weights="random", quiet=True, **flags)


class Runs(InAFolder):
    def test_a_run_is_a_mapping_from_layers_to_mapped_arrays(self):
        run = self.extract(layers=["features.12", "classifier.*"], seed=3)
        self.assertEqual(list(run)[:2], ["features.12", "classifier.0"])
        self.assertEqual(run["features.12"].shape, (48, 256, 6, 6))
        self.assertIsInstance(run["features.12"], numpy.memmap)
        self.assertFalse(run["features.12"].flags.writeable)
        self.assertEqual(len(run.images), 48)
        self.assertEqual(run.record["weights"]["seed"], 3)
        rows = run["classifier.2"].astype(float)
        numpy.testing.assert_allclose(run.rdm("classifier.2"), 1 - numpy.corrcoef(rows), atol=1e-6)
        again = tv.load(run.directory)
        numpy.testing.assert_array_equal(again["classifier.2"], run["classifier.2"])
        self.assertIn("48 images", repr(again))

    def test_a_list_of_models_gives_a_list_of_runs(self):
        runs = tv.extract(model=["alexnet", "cornet-z"], images=EXAMPLES / "images", weights="random", quiet=True, out="here")
        self.assertEqual([run.record["model"] for run in runs], ["alexnet", "cornet-z"])
        self.assertEqual(runs[0].directory.parent, pathlib.Path("here"))

    def test_names_of_images_are_the_programs(self):
        os.mkdir("pictures")
        names = ["b c.jpg", "ä.jpg", "a\u2028b.jpg"]
        source = next((EXAMPLES / "images").rglob("*.jp*g"))
        for name in names:
            pathlib.Path("pictures", name).write_bytes(source.read_bytes())
        run = tv.extract("alexnet", "pictures", weights="random", on_constant="nan", quiet=True)
        self.assertEqual(sorted(run.images), sorted(names))

    def test_an_unknown_layer_of_a_run_is_named_with_those_there_are(self):
        with self.assertRaisesRegex(KeyError, "the run has no layer conv1; it has classifier.5"):
            self.extract()["conv1"]
        with self.assertRaisesRegex(tv.ThingsvisionError, "no RDM of classifier.5"):
            self.extract(rdm="none", out="bare").rdm("classifier.5")

    def test_a_folder_that_is_no_run_is_said_so(self):
        with self.assertRaisesRegex(tv.ThingsvisionError, "is no finished run"):
            tv.load(EXAMPLES)

    def test_tables(self):
        run = self.extract(layers="features.12")
        try:
            table = run.to_dataframe("features.12")
            self.assertEqual((table.shape, list(table.index)), ((48, 9216), run.images))
            array = run.to_xarray("features.12")
            self.assertEqual(array.dims, ("image", "axis_1", "axis_2", "axis_3"))
            self.assertEqual(list(array["image"].values), run.images)
        except ImportError as error:
            self.fail(f"the test needs pandas and xarray: {error}")


class Forms(InAFolder):
    """Runs whose features are in each form of file, and what else reads these, against the same run in NumPy's form."""

    LAYERS = ["features.12", "classifier.5"]
    NAMES = ["=1+1.jpg", 'a, "b" #c.jpg', "z #1.jpg", "ä 二.jpg"]

    def setUp(self):
        super().setUp()
        os.mkdir("pictures")
        for name, source in zip(self.NAMES, sorted((EXAMPLES / "images").rglob("*.jpg"))[::10]):
            shutil.copy(source, pathlib.Path("pictures", name))

    def run_in(self, form, **flags):
        folder = "-".join([form, *map(str, flags.values())])
        return tv.extract("alexnet", "pictures", weights="random", layers=self.LAYERS, format=form, out=folder, quiet=True, **flags)

    def each(self, form, dtypes=("f32", "f16"), **flags):
        """The file of every layer of runs in a form, and the array that is to be in it."""
        for dtype in dtypes:
            run, plain = self.run_in(form, dtype=dtype, **flags), self.run_in("npy", dtype=dtype)
            for layer, entry in zip(self.LAYERS, run.record["layers"]):
                yield run.directory / entry["file"], layer, plain[layer]

    def assert_same(self, values, expected, file=None):
        """To the bit, in whatever order the numbers lie."""
        self.assertEqual((values.shape, values.dtype), (expected.shape, expected.dtype), file)
        self.assertTrue(values.tobytes() == expected.tobytes(), f"the numbers differ: {file}")

    def test_a_run_in_any_form_has_the_numbers_of_one_in_numpys(self):
        both = ("f32", "f16")
        forms = [("hdf5", both, {}), ("hdf5", both, {"one_file": True}), ("mat", ("f32",), {}), ("pt", both, {}), ("csv", both, {})]
        for form, dtypes, flags in forms:
            for file, layer, expected in self.each(form, dtypes, **flags):
                self.assertEqual(file.suffix, {"hdf5": ".h5"}.get(form, f".{form}"))
                self.assertEqual(file.stem, "features" if flags else layer)
                run = tv.load(file.parent)
                self.assertEqual((list(run), run.images), (self.LAYERS, self.NAMES))
                self.assert_same(run[layer], expected, file)
                self.assertEqual(isinstance(run[layer], numpy.memmap), form != "csv")
                self.assertFalse(run[layer].flags.writeable)
                self.assertEqual(run.rdm(layer).shape, (4, 4))
                self.assertEqual(list(run.to_dataframe(layer).index), self.NAMES)

    def test_rows_of_an_average(self):
        shutil.copytree(EXAMPLES / "images", "folders")
        for form in ["hdf5", "mat", "pt", "csv"]:
            runs = [tv.extract("alexnet", "folders", weights="random", average_by="folder", format=name, out=name, quiet=True)
                    for name in [form, "npy"]]
            self.assertEqual(len(runs[0].images), 6)
            self.assert_same(runs[0]["classifier.5"], runs[1]["classifier.5"])

    def test_h5py_reads_them(self):
        import h5py

        for file, layer, expected in [*self.each("hdf5"), *self.each("hdf5", one_file=True)]:
            with h5py.File(file) as opened:
                self.assertEqual(set(opened), {"features", "images"})
                self.assertEqual(list(opened["images"].asstr()[:]), self.NAMES)
                self.assert_same(opened[f"features/{layer}" if file.name == "features.h5" else "features"][:], expected, file)

    def test_scipy_reads_them(self):
        import scipy.io

        for file, _, expected in self.each("mat", ["f32"]):
            read = scipy.io.loadmat(file)
            self.assertEqual(read["images"].shape, (4, 1))
            self.assertEqual([str(cell.item()) for cell in read["images"][:, 0]], self.NAMES)
            self.assert_same(read["features"], expected, file)

    def test_pandas_reads_them(self):
        import pandas

        for file, _, expected in self.each("csv"):
            table = pandas.read_csv(file, index_col="image")
            # A spreadsheet would take it for a formula.
            self.assertEqual(list(table.index), ["'=1+1.jpg", *self.NAMES[1:]])
            self.assertEqual(list(table.columns), [str(column) for column in range(table.shape[1])])
            self.assert_same(table.to_numpy(numpy.float32), expected.reshape(4, -1).astype(numpy.float32), file)

    def test_torch_reads_them(self):
        import torch

        if not hasattr(torch, "load"):
            self.skipTest("the torch here is libtorch alone")
        for file, layer, expected in self.each("pt"):
            read = torch.load(file, weights_only=True)
            self.assertEqual(list(read), ["features", "images", "layer"])
            self.assertEqual((read["images"], read["layer"]), (self.NAMES, layer))
            self.assert_same(read["features"].numpy(), expected, file)

    def test_files_for_torch_are_archives_with_a_pickle(self):
        """What torch.load does, where there is none."""
        class Pickle(pickle.Unpickler):
            def find_class(self, module, name):
                return collections.OrderedDict if name == "OrderedDict" else lambda *arguments: arguments

            def persistent_load(self, key):
                return key

        for file, layer, expected in self.each("pt"):
            with zipfile.ZipFile(file) as archive:
                self.assertIsNone(archive.testzip())
                read = Pickle(archive.open("archive/data.pkl")).load()
                bytes_of_numbers = archive.read("archive/data/0")
            self.assertEqual((read["images"], read["layer"]), (self.NAMES, layer))
            storage, start, shape, _, _, _ = read["features"]
            self.assertEqual((storage[2:], start, shape), (("0", "cpu", expected.size), 0, expected.shape))
            self.assertTrue(bytes_of_numbers == expected.tobytes(), f"the numbers differ: {file}")

    def test_a_file_that_was_cut_off_is_said_so(self):
        for form, dtypes in [("hdf5", ("f32", "f16")), ("mat", ("f32",)), ("pt", ("f32", "f16"))]:
            for file, layer, expected in self.each(form, dtypes):
                run = tv.load(file.parent)
                end = run.record["layers"][self.LAYERS.index(layer)]["offset"] + expected.nbytes
                os.truncate(file, end)
                self.assert_same(run[layer], expected, file)
                os.truncate(file, end - 1)
                with self.assertRaisesRegex(tv.ThingsvisionError, f"{re.escape(file.name)} does not hold"):
                    run[layer]

    def written(self, form, shape, contents, **layer):
        """A run of three images that was written by hand."""
        pathlib.Path("images.txt").write_text("a\nb\nc\n")
        pathlib.Path("x").write_bytes(contents)
        layers = [{"name": "x", "file": "x", "shape": shape, **layer}]
        pathlib.Path("run.json").write_text(json.dumps(dict(complete=True, format=form, dtype="f32", images=3, layers=layers)))
        return tv.load(".")["x"]

    def test_numbers_that_no_network_gives(self):
        values = numpy.array([numpy.nan, numpy.inf, -numpy.inf, -0.0, 1e-45, 3.4028235e38], numpy.float32)
        text = 'image,0,1\n"a ""#"", \n",NaN,Inf\n\'=b,-Inf,-0\n,1e-45,3.4028235e38\n'
        self.assert_same(self.written("csv", [2], text.encode()), values.reshape(3, 2))
        self.assert_same(self.written("csv", [2, 1], text.encode()), values.reshape(3, 2, 1))
        self.assert_same(self.written("pt", [2], b"xyz" + values.tobytes(), offset=3), values.reshape(3, 2))
        self.assert_same(self.written("mat", [2], b"xyz" + values.tobytes(), offset=3), values.reshape(2, 3).T)

    def test_rows_of_a_single_number(self):
        values = numpy.array([1.5, 2, 0.1], numpy.float32)
        self.assert_same(self.written("csv", [], b"image,0\na,1.5\nb,2\nc,0.1\n"), values)
        for form in ["hdf5", "mat", "pt"]:
            self.assert_same(self.written(form, [], values.tobytes(), offset=0), values)

    def test_a_table_that_was_changed_is_said_so(self):
        table = "image,0,1\na,1,2\nb,3,4\nc,5,6\n"
        self.written("csv", [2], table.encode())
        for before, after in [("c,5,6\n", ""), ("c,5,6\n", "c,5,6\nd,7,8\n"), ("3,4", "3,4,5"), ("3,4", "3"), ("3,4", "3,four"),
                              ("3,4", "3,"), (",6\n", ""), ("b,3,4\n", "b"), ("b,", "\udcff,"), (table, "image,0\na,1\nb,2\nc,3\n"),
                              (table, "image,0\n" + "a,1\n" * 6)]:
            with self.subTest(after=after), self.assertRaisesRegex(tv.ThingsvisionError, r"x does not hold the \[3, 2\] numbers"):
                self.written("csv", [2], table.replace(before, after).encode(errors="surrogateescape"))


class Analyses(InAFolder):
    def test_rsa_gives_the_table_of_the_program(self):
        run = self.extract(layers=["features.12", "classifier.5"])
        table = tv.rsa(behavior=EXAMPLES / "behavior.npy", runs=[run], quiet=True, compare="spearman")
        self.assertEqual(list(table["layer"]), ["features.12", "classifier.5"])
        behavior = numpy.load(EXAMPLES / "behavior.npy")
        pairs = numpy.triu_indices(48, 1)
        ranks = [values.argsort().argsort() for values in (behavior[pairs], run.rdm("classifier.5")[pairs])]
        self.assertAlmostEqual(table["score"][1], numpy.corrcoef(ranks)[0, 1], places=2)
        self.assertEqual(os.listdir("."), ["activations"], "tables that nobody asked for are left behind")
        tv.rsa(behavior=[EXAMPLES / "behavior.npy"], runs=run.directory, out="scores", quiet=True)
        self.assertTrue(os.path.exists("scores.csv"))

    def test_rsa_gives_the_scores_beside_differences_and_over_time(self):
        run = self.extract(layers=["features.12", "classifier.5"])
        behavior = EXAMPLES / "behavior.npy"
        table = tv.rsa(behavior=behavior, runs=[run], quiet=True, bootstrap=40, differences=True)
        self.assertEqual(list(table["layer"]), ["features.12", "classifier.5"])
        table = tv.rsa(behavior=behavior, runs=[run], quiet=True, control=run.directory / "features.12.rdm.npy")
        self.assertEqual(list(table["layer"]), ["classifier.5"])
        numpy.save("movie.npy", numpy.stack([numpy.load(behavior)] * 3))
        table = tv.rsa(meg="movie.npy", runs=[run], quiet=True)
        self.assertEqual(list(table["time"]), [0, 0, 1, 1, 2, 2])
        table = tv.rsa(behavior=behavior, quiet=True, regress_layers="*", fit="non-negative")
        self.assertEqual(len(table["predictors"][0]), 2)

    def test_rsa_without_pandas_gives_dictionaries(self):
        run = self.extract()
        with mock.patch("importlib.util.find_spec", lambda name: None if name == "pandas" else object()), \
                mock.patch.object(program, "environment", lambda: dict(os.environ)):
            rows = tv.rsa(behavior=EXAMPLES / "behavior.npy", runs=run, quiet=True)
        self.assertEqual(rows[0]["layer"], "classifier.5")

    def test_an_array_is_no_file(self):
        with self.assertRaisesRegex(TypeError, "behavior: an array is given"):
            tv.rsa(behavior=numpy.zeros((3, 3)), runs=[])

    def test_rdm_of_a_file(self):
        numpy.save("-x.npy", numpy.random.default_rng(0).normal(size=(5, 7)))
        rdm = tv.rdm("-x.npy", metric="euclidean", out="y.npy", quiet=True)
        self.assertEqual(rdm.shape, (5, 5))

    def test_any_other_command(self):
        self.assertIn("alexnet", tv.command("models"))


class Guide(InAFolder):
    def test_the_python_of_the_guide_runs(self):
        shutil.copytree(EXAMPLES, "examples")
        shutil.copytree(EXAMPLES / "images", "my-images")
        text = (REPOSITORY / "docs/languages.md").read_text(encoding="utf-8")
        section = text.split("\n## Python\n")[1].split("\n## ")[0]
        commands, blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL), re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        subprocess.run(["bash", "-euc", commands[0]], check=True, capture_output=True)
        names = {}
        with contextlib.redirect_stderr(io.StringIO()):
            for block in blocks:
                exec(compile(block, "docs/languages.md", "exec"), names)
        self.assertGreaterEqual(len(blocks), 2)
        self.assertEqual(names["features"].shape, (48, 256, 6, 6))
        self.assertEqual(len(names["scores"]), 2)


class Failures(InAFolder):
    def test_an_error_is_an_exception_with_the_programs_words(self):
        with self.assertRaises(tv.ThingsvisionError) as caught:
            tv.extract("alexnett", EXAMPLES / "images", quiet=True)
        self.assertIn("alexnett", str(caught.exception))
        self.assertIn("hint: ", str(caught.exception))
        self.assertFalse(str(caught.exception).startswith("error"))
        self.assertEqual(caught.exception.status, 1)

    def test_a_flag_that_does_not_exist(self):
        with self.assertRaisesRegex(tv.ThingsvisionError, "--bach-size"):
            tv.extract("alexnet", EXAMPLES / "images", bach_size=3, quiet=True)

    def test_notes_and_progress_go_to_stderr(self):
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            tv.extract("alexnet", EXAMPLES / "images", weights="random")
        self.assertIn("48 in 6 folders of 8", said.getvalue())
        self.assertIn("\r  extract", said.getvalue())
        self.assertIn("/48", said.getvalue())

    @unittest.skipUnless(sys.platform == "linux", "elsewhere the program goes on")
    def test_a_program_stops_when_its_python_is_killed(self):
        # Enough work for some seconds.
        for copy in range(10):
            shutil.copytree(EXAMPLES / "images", f"many/{copy}")
        script = "import thingsvision_rs as tv; tv.extract('alexnet', 'many', weights='random', batch_size=1, workers=1)"
        process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        unfinished = pathlib.Path("activations/alexnet.random-0.partial")
        deadline = time.monotonic() + 120
        while not unfinished.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        self.assertIsNone(process.poll())
        process.kill()
        process.wait()
        # In this time it would end by itself. If no image was done, nothing is left of the run.
        time.sleep(20)
        self.assertFalse(pathlib.Path("activations/alexnet.random-0").exists())
        run = tv.extract("alexnet", "many", weights="random", batch_size=1, workers=1, quiet=True)
        self.assertEqual(run["classifier.5"].shape, (480, 4096))

    def test_an_interrupt_stops_the_program_and_the_run_goes_on_later(self):
        # What runs in the background of a shell ignores interrupts, and so does what it starts, if it does not say otherwise.
        script = textwrap.dedent(f"""
            import signal
            import thingsvision_rs as tv
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                tv.extract("alexnet", [{str(EXAMPLES / "images")!r}], weights="random", batch_size=1, workers=1)
            except KeyboardInterrupt:
                print("stopped", flush=True)
        """)
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        journal = pathlib.Path("activations/alexnet.random-0.partial")
        deadline = time.monotonic() + 120
        while not journal.exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=120)
        self.assertEqual(printed, "stopped\n")
        self.assertEqual(self.extract(batch_size=1, workers=1)["classifier.5"].shape, (48, 4096))


class Installations(unittest.TestCase):
    def environment(self, version):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        torch = pathlib.Path(folder.name, "torch")
        torch.mkdir()
        if version is not None:
            torch.joinpath("version.py").write_text(f"from typing import Optional\n__version__ = '{version}'\n")
        spec = mock.Mock(submodule_search_locations=[str(torch)])
        with mock.patch.object(program, "find_spec", lambda name: spec):
            return torch, program.environment()

    def test_another_torch_is_one_clear_line(self):
        for version in ["2.10.0+cpu", "2.110.0", "3.2.11", None]:
            with self.assertRaisesRegex(program.Unusable, r"^thingsvision needs torch 2\.11, .*pip install 'torch==2\.11\.\*'$"):
                self.environment(version)

    def test_no_torch_is_one_clear_line(self):
        with mock.patch.object(program, "find_spec", lambda name: None):
            with self.assertRaisesRegex(program.Unusable, "which is not installed: pip install"):
                program.environment()

    def test_a_torch_elsewhere_is_led_to(self):
        torch, variables = self.environment("2.11.7+cu130")
        self.assertEqual(variables["LD_LIBRARY_PATH"].split(":")[0], str(torch / "lib"))

    def test_another_libtorch_in_the_environment_is_passed_over(self):
        with mock.patch.dict(os.environ, LD_LIBRARY_PATH="/usr/lib/other-libtorch"):
            variables = program.environment()
        first = pathlib.Path(variables["LD_LIBRARY_PATH"].split(":")[0])
        self.assertEqual(first.resolve(), (program.PROGRAM.parents[2] / "torch/lib").resolve())

    def test_the_command_is_the_program(self):
        said = subprocess.run(["thingsvision", "about"], capture_output=True, text=True, check=True).stdout
        self.assertIn(tv.__version__, said.splitlines()[0])
        folder = next(line for line in said.splitlines() if line.startswith("libtorch folder")).split(maxsplit=2)[2]
        self.assertEqual(pathlib.Path(folder).resolve(), (program.PROGRAM.parents[2] / "torch/lib").resolve())
        wrong = subprocess.run(["thingsvision", "extract"], capture_output=True, text=True)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("Usage: thingsvision extract", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
