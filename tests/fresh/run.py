#!/usr/bin/env python3
"""The suite of fresh machines: ./quickstart and ./run-tests where nothing is installed, in a clean clone of the last commit.

usage: run.py [--folder build/fresh] [--filter REGEX] [--offline] [--results FILE.json]
              [--no-cache]
       run.py --try COMMAND [--user root|member|asked|stranger] [--no-network]      one command in a machine of its own

Both commands run as root and as a user with sudo, each once as the first on its machine; what they print is checked, and kept in
FOLDER/logs. Before that come situations that must end at once, with a message that says why. Where this machine does not let us
make another one, every test counts as skipped, with the reason.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import machine

SUITES = ["unit", "kernels", "sanitizers", "models", "conformance"]
# What ./quickstart must say of the repository's own files.
ANSWERS = {
    "README.md": "markdown",
    "CMakeLists.txt": "cmake",
    "CMakePresets.json": "json",
    "quickstart": "shell",
    "runtime/include/tilewright.h": "c",
    "tools/main.cpp": "cpp",
    "tests/models/agree.py": "python",
    "tests/tools/data/stored.npz": "npz",
}
QUICKSTART = "./quickstart"
RUN_TESTS = "./run-tests --first " + " ".join(f"--only {suite}" for suite in SUITES)
# Nothing that cannot succeed takes longer to say so.
SECONDS_TO_REFUSE = 60


def quickstart_problem(status, output):
    if status:
        return f"exit status {status}"
    lines = [line.split() for line in output.splitlines()]
    said = {words[0]: words[1] for words in lines if len(words) > 1 and words[0] in ANSWERS}
    wrong = [f"{file} is {said.get(file, 'not mentioned')}" for file, kind in ANSWERS.items() if said.get(file) != kind]
    return ", ".join(wrong)


def run_tests_problem(status, output):
    """It passes, and every suite ran something."""
    last = output.strip().splitlines()[-1:] or [""]
    found = re.fullmatch(r"(\d+) passed, 0 failed(, \d+ skipped)?", last[0])
    if status or not found:
        return f"exit status {status}, and the last line is: {last[0]}"
    idle = [line.strip() for line in output.splitlines() if re.match(r"\s+[\w-]+: +0 passed", line)]
    return f"nothing ran: {', '.join(idle)}" if idle else ""


def refusal_problem(*said):
    """A judge of a command that must fail, and say each of `said`."""

    def judge(status, output):
        missing = [text for text in said if text not in output]
        if status == 124:
            return "it does not end"
        return f"exit status {status} without the words: {'; '.join(missing)}" if not status or missing else ""

    return judge


WITHOUT_LLVM = r"printf 'Package: llvm-22*\nPin: release *\nPin-Priority: -1\n' >/etc/apt/preferences.d/none; "
# Name: user, command, whether there is a network, what it must say. They change nothing that the next one needs.
REFUSALS = {
    "no right to sudo": ("stranger", "./run-tests", True, ["sudo", "apt-get install"]),
    "sudo asks, and nobody is there": ("asked", "./quickstart", True, ["sudo", "apt-get install"]),
    "no network": ("member", "./quickstart", False, ["package lists could not be read", "online"]),
    "no network, offline": ("member", "./run-tests --offline", False, ["--offline"]),
    "sources without LLVM 22": ("root", WITHOUT_LLVM + "./quickstart; status=$?; rm /etc/apt/preferences.d/none; exit $status", True,
                                ["do not offer LLVM 22"]),
}


class Suite:
    def __init__(self, options):
        self.options = options
        self.passed, self.failures, self.skips = 0, [], []

    def wants(self, name):
        return re.search(self.options.filter, name)

    def test(self, host, name, user, command, judge, network=True, limit=1500):
        if not self.wants(name):
            return
        start = time.monotonic()
        status, output = host.run(command, user, network, limit)
        (host.logs / f"{re.sub(r'[^a-z0-9]+', '-', name)}.log").write_text(output)
        problem = judge(status, output)
        if problem:
            tail = "\n".join(output.strip().splitlines()[-15:])
            self.failures.append({"name": name, "message": f"{problem}\n{tail}"})
        else:
            self.passed += 1
        print(f"   {name}: {time.monotonic() - start:.1f} s, {'FAILED: ' + problem if problem else 'as it must be'}", flush=True)

    def run_refusals(self, host):
        for name, (user, command, network, said) in REFUSALS.items():
            host.give_project_to(user)
            self.test(host, name, user, command, refusal_problem(*said), network, SECONDS_TO_REFUSE)

    def run(self, base):
        """The tests, on two machines: each command is the first on one of them."""
        arguments = self.options.folder, base, self.options.cache
        with machine.Machine("root", *arguments) as host:
            self.test(host, "root: quickstart", "root", QUICKSTART, quickstart_problem)
            self.test(host, "root: run-tests after it", "root", RUN_TESTS, run_tests_problem)
        with machine.Machine("user", *arguments) as host:
            self.run_refusals(host)
            host.give_project_to("member")
            self.test(host, "user: run-tests", "member", RUN_TESTS, run_tests_problem)
            self.test(host, "user: quickstart after it", "member", QUICKSTART, quickstart_problem)

    def skip(self, reason):
        names = ["root: quickstart", "root: run-tests after it", "user: run-tests", "user: quickstart after it", *REFUSALS]
        self.skips = [{"name": name, "message": reason} for name in names if self.wants(name)]
        print(f"   skipped: {reason}")

    def result(self):
        return {"passed": self.passed, "failed": len(self.failures), "skipped": len(self.skips), "failures": self.failures,
                "skips": self.skips}


def cache_folder():
    """The compiler cache to lend: the one that builds here use."""
    if not shutil.which("ccache"):
        return None
    done = subprocess.run(["ccache", "--get-config", "cache_dir"], capture_output=True, text=True)
    folder = pathlib.Path(done.stdout.strip() or "/nowhere")
    return folder if done.returncode == 0 and folder.is_dir() else None


def try_command(options, base):
    """One command by hand."""
    with machine.Machine("try", options.folder, base, options.cache) as host:
        host.give_project_to(options.user)
        status, output = host.run(options.command, options.user, options.network)
    print(output, end="")
    return status


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=lambda name: pathlib.Path(name).resolve(), default=machine.PROJECT / "build/fresh")
    parser.add_argument("--filter", default="", help="only tests whose names match")
    parser.add_argument("--results", type=pathlib.Path, help="write counts and failures to this file")
    parser.add_argument("--offline", action="store_true", help="skip everything: a fresh machine fetches what it lacks")
    parser.add_argument("--cache", type=pathlib.Path, default=cache_folder(), help="the compiler cache to lend")
    parser.add_argument("--no-cache", dest="cache", action="store_const", const=None)
    parser.add_argument("--try", dest="command", help="run this instead of the suite")
    parser.add_argument("--user", default="root", choices=["root", *machine.Machine.USERS])
    parser.add_argument("--no-network", dest="network", action="store_false")
    return parser.parse_args()


def become_root(options):
    """Start again with sudo where it does not ask; the cache is the one of the user."""
    if os.geteuid() != 0 and shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        lent = [f"{name}={value}" for name, value in os.environ.items() if machine.LENT_VARIABLES.fullmatch(name)]
        arguments = sys.argv + ([] if options.cache is None or "--cache" in sys.argv else ["--cache", str(options.cache)])
        os.execvp("sudo", ["sudo", "-n", "env", *lent, sys.executable, "-B", *arguments])


def give_back(path):
    """What root has written belongs to whom the folder around it belongs to."""
    if path.exists():
        owner = path.parent.stat()
        for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
            os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)


def main():
    options = parse()
    become_root(options)
    suite = Suite(options)
    status = 0
    try:
        if options.offline:
            raise machine.Impossible("--offline: a fresh machine has to fetch what it lacks")
        machine.check_possible()
        options.folder.mkdir(parents=True, exist_ok=True)
        base = machine.make_base(options.folder)
        if options.command:
            return try_command(options, base)
        suite.run(base)
    except machine.Impossible as reason:
        suite.skip(str(reason))
        status = 1 if options.command else 0
    result = suite.result()
    print(f"   {result['passed']} as they must be, {result['failed']} not, {result['skipped']} skipped")
    if options.results:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(result, indent=1))
        give_back(options.results)
    give_back(options.folder)
    return 1 if suite.failures else status


if __name__ == "__main__":
    sys.exit(main())
