#!/usr/bin/env python3
"""Count what the suites of ./run-tests left in a folder, list what failed, and close with "N passed, N failed".

usage: summarise.py FOLDER SUITE...

ctest leaves JUnit files (*.xml), our own suites leave *.json: {"passed": N, "failed": N, "skipped": N,
"failures": [{"name", "message"}]}, and may say with "skips", of the same form, why something was left out. A suite that left nothing, or nothing readable, counts as one failure. The exit status is 1
when anything failed or nothing ran.
"""
import json
import pathlib
import sys
import xml.etree.ElementTree

# The files that each suite must leave.
FILES = {
    "unit": ["unit.xml"],
    "kernels": ["kernels.xml"],
    "sanitizers": ["asan.xml", "asan-conformance.json", "tsan.xml"],
    "models": ["models.json"],
    "conformance": ["conformance.json", "unfolded.json", "oracle.xml"],
    "emulated": ["emulated.json"],
    "fresh": ["fresh.json"],
}
SHOWN_LINES = 30


def read_junit(path):
    """One ctest run. A test without its executable is "skipped" to ctest, and failed to us."""
    result = {"passed": 0, "failed": 0, "skipped": 0, "failures": []}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        skipped = case.find("skipped")
        asked_for = skipped is not None and skipped.get("message", "").startswith("SKIP_")
        if case.get("status") == "run":
            result["passed"] += 1
        elif case.get("status") == "disabled" or asked_for:
            result["skipped"] += 1
        else:
            result["failed"] += 1
            output = case.findtext("system-out", "").strip().splitlines()[-SHOWN_LINES:]
            result["failures"].append({"name": case.get("name"), "message": "\n".join(output)})
    return result


def read_result(path):
    try:
        if path.suffix == ".xml":
            return read_junit(path)
        result = json.loads(path.read_text())
        return {**{key: result[key] for key in ("passed", "failed", "skipped", "failures")}, "skips": result.get("skips", [])}
    except (OSError, ValueError, KeyError, xml.etree.ElementTree.ParseError) as error:
        failure = {"name": path.stem, "message": f"the suite left no readable result: {error}"}
        return {"passed": 0, "failed": 1, "skipped": 0, "failures": [failure]}


def line(result):
    text = f"{result['passed']} passed, {result['failed']} failed"
    return text + (f", {result['skipped']} skipped" if result["skipped"] else "")


def summarise(folder, suites):
    """Print the whole report; return the total."""
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for name in (name for suite in suites for name in FILES[suite]):
        result = read_result(folder / name)
        for failure in result["failures"]:
            message = failure["message"].replace("\n", "\n      ")
            print(f"   FAILED {pathlib.Path(name).stem}: {failure['name']}\n      {message}")
        for skip in result.get("skips", []):
            print(f"   skipped {pathlib.Path(name).stem}: {skip['name']}: {skip['message']}")
        print(f"   {pathlib.Path(name).stem + ':':13} {line(result)}")
        total = {key: total[key] + result[key] for key in total}
    print(line(total))
    return total


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    total = summarise(pathlib.Path(arguments[0]), arguments[1:])
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
