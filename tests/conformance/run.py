#!/usr/bin/env python3
"""The conformance suite: the ONNX project's own test cases through `tilewright test`.

usage: run.py [--driver build/bin/tilewright] [--assets .assets] [--filter REGEX] [--every N] [--first] [--options "..."]
              [--results FILE.json]

Each case is judged by its own data.json; tolerances.txt lists those that are judged more loosely, and why.
A case passes, or is refused as unsupported with a clear error (counted as skipped). It must not crash, and it may fail only
where known_failures.txt says why. floors.txt keeps what has been reached: per kind, at least so many cases pass.
"""
import argparse
import collections
import json
import pathlib
import re
import shlex
import subprocess
import sys

import cases

HERE = pathlib.Path(__file__).resolve().parent


def read_table(path):
    """{first word: rest of the line} of a file with comments."""
    lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
    return {words[0]: words[1] if len(words) > 1 else "" for words in (line.split(None, 1) for line in lines if line)}


def run_driver(driver, folders, options=()):
    """[{"dir", "status", "message"}]. Raises ValueError where the driver did not report."""
    command = [driver, "test", "--json", *options, *folders]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        report = json.loads(done.stdout)
        found = report["cases"]
        if report["total"] != len(found) or done.returncode not in (0, 1, 3):
            raise ValueError("its counts do not fit its cases")
        return found
    except (ValueError, KeyError) as problem:
        raise ValueError(f"tilewright test ended with status {done.returncode} without a whole report: {problem}") from None


def chosen_folders(root, options):
    """What to give the driver: the kinds' folders where all are wanted, or the cases that are."""
    if wants_all(options):
        return [root / kind for kind in cases.KINDS]
    folders = [case for kind in cases.KINDS for case in sorted((root / kind).iterdir())]
    matching = [case for case in folders if re.search(options.filter, f"{case.parent.name}/{case.name}")]
    return matching[:1] if options.first else matching[:: options.every]


def wants_all(options):
    return not options.filter and options.every == 1 and not options.first


def read_tolerances(path):
    """{KIND/NAME: (relative, absolute)}. Raises ValueError for a line without numbers or without a reason."""
    found = {}
    for name, rest in read_table(path).items():
        words = rest.split(None, 2)
        if len(words) < 3:
            raise ValueError(f"{path.name}: {name} needs a relative and an absolute tolerance, and a reason")
        found[name] = (float(words[0]), float(words[1]))
    return found


def grant_tolerances(root, tolerances):
    """Write them beside the cases, where the driver reads them, and take back what an earlier list granted. Returns the names of
    those that are not there."""
    kept = root / "strict.json"  # {KIND/NAME: what the package's own data.json says}
    for name, text in (json.loads(kept.read_text()) if kept.exists() else {}).items():
        (root / name / "data.json").write_text(text)
    there = {name: limits for name, limits in tolerances.items() if (root / name).is_dir()}
    kept.write_text(json.dumps({name: (root / name / "data.json").read_text() for name in there}))
    for name, (relative, absolute) in there.items():
        (root / name / "data.json").write_text(json.dumps({"rtol": relative, "atol": absolute}))
    return sorted(set(tolerances) - set(there))


class Judge:
    """Sorts results into passed, failed and skipped."""

    def __init__(self, known_failures):
        self.known = known_failures
        self.passed = self.skipped = 0
        self.failures = []
        self.passed_by_kind = collections.Counter()

    def fail(self, name, message):
        self.failures.append({"name": name, "message": message})

    def judge(self, name, status, message):
        """One case, called KIND/NAME."""
        if status == "passed":
            self.passed += 1
            self.passed_by_kind[name.split("/")[0]] += 1
            if name in self.known:
                self.fail(name, "passes: take it out of known_failures.txt")
        elif status == "unsupported" or (status == "failed" and name in self.known):
            self.skipped += 1
        else:
            self.fail(name, f"{status}: {message}")

    def check_tolerances(self, missing):
        for name in missing:
            self.fail(name, "is in tolerances.txt, but there is no such case")

    def check_completeness(self, seen, counts):
        """Every case was reported, and what is listed exists."""
        wanted = sum(counts.values())
        if len(seen) != wanted:
            self.fail("completeness", f"{len(seen)} cases were reported instead of {wanted}")
        for name in set(self.known) - seen:
            self.fail(name, "is in known_failures.txt, but there is no such case")

    def check_floors(self, floors):
        for kind, floor in floors.items():
            if self.passed_by_kind[kind] < int(floor):
                self.fail(f"floor of {kind}", f"{self.passed_by_kind[kind]} cases pass, and {floor} did before")

    def result(self):
        return {"passed": self.passed, "failed": len(self.failures), "skipped": self.skipped, "failures": self.failures}


def run(options):
    root = (options.assets / "conformance").resolve()
    counts = cases.ensure_cases(root)
    judge = Judge(read_table(HERE / "known_failures.txt"))
    judge.check_tolerances(grant_tolerances(root, read_tolerances(HERE / "tolerances.txt")))
    found = run_driver(options.driver.resolve(), chosen_folders(root, options), shlex.split(options.options))
    names = [str(pathlib.Path(case["dir"]).resolve().relative_to(root)) for case in found]
    for name, case in zip(names, found):
        judge.judge(name, case["status"], case["message"])
    if wants_all(options):
        judge.check_completeness(set(names), counts)
        judge.check_floors(read_table(HERE / "floors.txt"))
    for kind, count in counts.items():
        print(f"   {kind}: {judge.passed_by_kind[kind]} pass of {count}")
    return judge.result()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", type=pathlib.Path, default=pathlib.Path("build/bin/tilewright"))
    parser.add_argument("--assets", type=pathlib.Path, default=pathlib.Path(".assets"))
    parser.add_argument("--filter", default="", help="only cases whose KIND/NAME match")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth of them")
    parser.add_argument("--first", action="store_true", help="only the first of them")
    parser.add_argument("--options", default="", help="more options for the driver, e.g. --options=--no-folding")
    parser.add_argument("--results", type=pathlib.Path, help="write counts and failures to this file")
    options = parser.parse_args()
    try:
        result = run(options)
    except (OSError, ValueError) as problem:
        result = {"passed": 0, "failed": 1, "skipped": 0, "failures": [{"name": "suite", "message": str(problem)}]}
    print(f"   {result['passed']} pass, {result['failed']} fail, {result['skipped']} are refused as unsupported or known to fail")
    if options.results:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(result, indent=1))
    else:
        print("".join(f"   {failure['name']}: {failure['message']}\n" for failure in result["failures"]), end="")
    return 1 if result["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
