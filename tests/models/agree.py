#!/usr/bin/env python3
"""The model suite: does Tilewright compute what ONNX Runtime computes, from one artifact, for every size and thread count?

usage: agree.py [--driver build/bin/tilewright] [--assets .assets] [--filter REGEX] [--first] [--offline] [--results FILE.json] [--options "..."]

Per model of catalogue.json: compile it once; the artifact imports nothing (`artifact`); for each of its sizes the outputs agree
with ONNX Runtime (`agrees`) and are the same bits with one thread and two (`threads`); `run MODEL.onnx` gives the same bits as the
artifact (`direct`). What agreement means is in reference.py. Each of these is a test.
"""
import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np

import catalogue
import fetch
from reference import Reference, disagreement

COMMAND_SECONDS = 300


class Failed(Exception):
    """A command that did not do its work; says which and why."""


def run_command(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise Failed(f"{' '.join(map(str, command[:2]))}: {problem}") from None
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        raise Failed(f"{' '.join(map(str, command[:2]))}: exit status {done.returncode}\n{said}")
    return done.stdout


class Tilewright:
    def __init__(self, driver, options):
        self.driver, self.options = driver, options

    def compile(self, model, artifact):
        run_command([self.driver, "compile", model, "-o", artifact, *self.options])

    def run(self, model, inputs, scratch, threads):
        """{output: array} of a model or an artifact."""
        outputs = scratch / "outputs.npz"
        outputs.unlink(missing_ok=True)
        command = [self.driver, "run", model, "--inputs", inputs, "--outputs", outputs, "--threads", str(threads)]
        # An artifact was compiled with the options already.
        run_command(command + (self.options if model.suffix == ".onnx" else []))
        with np.load(outputs) as stored:
            return {name: stored[name] for name in stored.files}


def same_bits(first, second):
    """"" where two results are the same, NaNs and signs of zeros included."""
    if set(first) != set(second):
        return "other outputs"
    for name, values in first.items():
        other = second[name]
        if values.dtype != other.dtype or values.shape != other.shape or values.tobytes() != other.tobytes():
            return f"output {name} is not the same"
    return ""


class Suite:
    """Runs tests one by one, prints each model's outcome, remembers what failed."""

    def __init__(self):
        self.passed = self.skipped = 0
        self.failures = []

    def test(self, name, function):
        """Count one test: function() returns "" or what is wrong. Returns whether it passed."""
        try:
            problem = function()
        except (Failed, fetch.FetchError, zipfile.BadZipFile, OSError, ValueError, RuntimeError) as error:
            problem = str(error) or type(error).__name__
        if problem:
            self.failures.append({"name": name, "message": problem})
        else:
            self.passed += 1
        return not problem

    def skip(self):
        self.skipped += 1

    def write(self, path):
        result = {"passed": self.passed, "failed": len(self.failures), "skipped": self.skipped, "failures": self.failures}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1))


class ModelTest:
    """One model's tests, in a scratch folder of its own."""

    def __init__(self, suite, tilewright, entry, path, assets, scratch):
        self.suite, self.tilewright, self.entry, self.path = suite, tilewright, entry, path
        self.assets, self.scratch = assets, scratch
        self.artifact = scratch / "model.so"

    def run(self):
        if not self.suite.test(f"{self.entry['name']} compile", self.compile):
            return
        self.suite.test(f"{self.entry['name']} artifact", self.imports)
        for number, size in enumerate(catalogue.sizes(self.entry)):
            self.run_size(size, direct=number == 0)

    def compile(self):
        self.tilewright.compile(self.path, self.artifact)
        return ""

    def imports(self):
        names = run_command(["nm", "-D", "--undefined-only", self.artifact]).split()
        return f"the artifact imports {' '.join(names)}" if names else ""

    def run_size(self, size, direct):
        """The tests of one size; those that compare runs with each other need the first run."""
        label = catalogue.size_label(size)
        name = f"{self.entry['name']}{'[' + label + ']' if label else ''}"
        file = self.scratch / "inputs.npz"
        first = {}

        def agrees():
            inputs = catalogue.make_inputs(self.entry, self.path, size)
            np.savez(file, **inputs)
            first.update(self.tilewright.run(self.artifact, file, self.scratch, threads=1))
            reference = Reference.cached(self.assets / "references", self.entry, label, self.path, inputs)
            return disagreement(reference, first, self.entry.get("quantised", False))

        def same(model, threads):
            if not first:
                return "there is nothing to compare with: the first run failed"
            return same_bits(first, self.tilewright.run(model, file, self.scratch, threads))

        self.suite.test(f"{name} agrees", agrees)
        self.suite.test(f"{name} threads", lambda: same(self.artifact, 2))
        if direct:
            self.suite.test(f"{name} direct", lambda: same(self.path, 1))


def model_path(entry, assets, problems):
    """Path of the model's file. Raises what kept it from being fetched."""
    if entry["name"] in problems:
        raise problems[entry["name"]]
    return catalogue.ensure_model(entry, assets)


def test_model(suite, tilewright, entry, assets, problems):
    """All tests of one model; returns what to print. `problems`: {model: why it could not be fetched}."""
    failures = len(suite.failures)
    paths = []
    if suite.test(f"{entry['name']} available", lambda: paths.append(model_path(entry, assets, problems)) or ""):
        with tempfile.TemporaryDirectory(prefix="tilewright-models-") as scratch:
            ModelTest(suite, tilewright, entry, paths[0], assets, pathlib.Path(scratch)).run()
    failed = suite.failures[failures:]
    return "agrees" if not failed else "FAILED " + "; ".join(f["name"] + ": " + f["message"] for f in failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", type=pathlib.Path, default=pathlib.Path("build/bin/tilewright"))
    parser.add_argument("--assets", type=pathlib.Path, default=pathlib.Path(".assets"))
    parser.add_argument("--filter", default="", help="only models whose names match")
    parser.add_argument("--first", action="store_true", help="only the first of them")
    parser.add_argument("--offline", action="store_true", help="skip models that would have to be fetched")
    parser.add_argument("--results", type=pathlib.Path, help="write counts and failures to this file")
    parser.add_argument("--options", default="", help="more options for compiling, e.g. \"--target cpu:haswell\"")
    options = parser.parse_args()
    suite = Suite()
    tilewright = Tilewright(options.driver.resolve(), shlex.split(options.options))
    entries = [entry for entry in catalogue.load_catalogue() if re.search(options.filter, entry["name"])]
    entries = entries[:1] if options.first else entries
    trained = [entry for entry in entries if "wheel" in entry]
    problems = {} if options.offline else fetch.fetch(trained, catalogue.models_folder(options.assets))
    agree = 0
    for entry in entries:
        start = time.monotonic()
        if options.offline and not catalogue.is_here(entry, options.assets):
            suite.skip()
            outcome = "skipped: not here, and --offline"
        else:
            outcome = test_model(suite, tilewright, entry, options.assets, problems)
        agree += outcome == "agrees"
        print(f"   {entry['name']:22} {time.monotonic() - start:6.1f} s  {outcome}", flush=True)
    print(f"   {agree} agree of {len(entries)}")
    if options.results:
        suite.write(options.results)
    return 1 if suite.failures else 0


if __name__ == "__main__":
    sys.exit(main())
