#!/usr/bin/env python3
"""Hold the repository to its own rules. Python's standard library only.

usage: check.py RULE [--root FOLDER]       prints what breaks the rule and returns 1, or prints nothing
rules: dependencies   rooms include only what the table below allows
       lengths        source files of at most 700 lines
       readmes        every part of the repository is described
       links          links between the project's own documents lead somewhere
       leftovers      nothing is left to do, nothing points outside the repository
       formatting     C++ is as clang-format writes it
       examples       C++ in the README compiles
       codes          error codes in documents are reported somewhere, and those in sources are documented
       promises       options and variables in documents are read, and those that are read are documented
       pipes          no reader in a script's pipeline leaves before its writer
"""
import argparse
import fnmatch
import os
import pathlib
import re
import shutil
import subprocess
import sys

# Which rooms a room may include from, beside itself; only rooms that stand above it, so that no arrow goes up. A path belongs to the room
# with the longest name that it lies in. Some folders are open to every room: the runtime's public headers are the interface that
# generated code, the compiler and the driver share.
CODEGEN = [f"codegen/{part}" for part in ("target", "schedule", "space", "emit", "program", "lower", "machine", "cache", "artifact", "gpu")]
ROOMS = {
    "files": set(),
    "runtime": set(),
    "ir": set(),
    "frontend": {"ir", "files"},
    "codegen/target": set(),
    "codegen/schedule": {"ir", "codegen/target"},
    "codegen/space": {"ir", "codegen/target", "codegen/schedule"},
    # Emitters obey schedules; they must not see how one is chosen.
    "codegen/emit": {"ir", "codegen/target", "codegen/schedule"},
    "codegen/program": {"ir", "codegen/target", "codegen/emit"},
    "codegen/lower": {"codegen/target"},
    "codegen/machine": {"codegen/target", "codegen/lower"},
    "codegen/cache": {"files", "codegen/target"},
    "codegen/artifact": {"files", "codegen/target", "codegen/lower", "codegen/machine"},
    "codegen/gpu": {"ir", "codegen/target", "codegen/schedule", "codegen/emit", "codegen/lower"},
    "passes": {"ir", "codegen/target", "codegen/schedule", "codegen/space"},
    "compiler": {"files", "ir", "frontend", "passes", *CODEGEN},
    "tools": {"compiler", "files"},
    "examples": set(),
    "tests": {"files", "runtime", "ir", "frontend", "passes", *CODEGEN, "compiler", "tools", "examples"},
}
PUBLIC_FOLDERS = ("runtime/include/",)

# Libraries with a home: path of the header -> patterns of the folders that may include it.
COMPILER = ["ir/*", "frontend/*", "passes/*", "codegen/*", "compiler/*", "tests/*", "cmake/*"]
LIBRARIES = {
    "mlir/*": COMPILER,
    "llvm/*": COMPILER,
    "llvm-c/*": COMPILER,
    "lld/*": ["codegen/artifact/*", "tests/codegen/*"],
    "protozero/*": ["frontend/reader/*", "tools/support/*", "tests/*"],
    "onnx/*": [],
    "fmt/*": ["tools/*", "tests/tools/*", "tests/hostile/*"],
    "CLI/*": ["tools/CommandLine.*"],
    "nlohmann/*": ["tools/*", "examples/*", "tests/*"],
    "gtest/*": ["tests/*", "examples/*Test.cpp"],
    "gmock/*": ["tests/*", "examples/*Test.cpp"],
    "benchmark/*": ["tests/bench/*"],
    "dnnl*": ["tests/bench/*"],
}
# Parts of a room that must build without the room's own libraries.
PLAIN_PARTS = {"frontend/reader/*": ["mlir/*", "llvm/*", "ir/*"]}

SOURCES = ("*.h", "*.hpp", "*.c", "*.cpp", "*.td", "*.py", "*.sh")
MAX_LINES = 700
# Tables of facts may be longer: path -> lines.
TABLES = {}
MAX_LINES_OF_A_TABLE = 1500


class Repository:
    """The files of the repository: those under version control, or all where there is none."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.files = sorted(f for f in self.list_files() if (self.root / f).is_file())

    def list_files(self):
        git = ["git", "-c", "safe.directory=*", "-C", str(self.root), "ls-files", "--cached", "--others", "--exclude-standard"]
        if (self.root / ".git").exists() and shutil.which("git"):
            return subprocess.run(git, check=True, capture_output=True, text=True).stdout.splitlines()
        hidden = ("build", "build-", ".venv", ".assets", ".git", "__pycache__")
        found = (path.relative_to(self.root) for path in self.root.rglob("*"))
        return [str(p) for p in found if not p.parts[0].startswith("build") and not set(p.parts) & set(hidden)]

    def matching(self, *patterns):
        return [file for file in self.files if any(fnmatch.fnmatch(os.path.basename(file), p) for p in patterns)]

    def lines(self, file):
        return (self.root / file).read_text(errors="replace").splitlines()

    def includes(self, file):
        """[(line number, header)] of a C or C++ file."""
        pattern = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')
        matches = ((number, pattern.match(line)) for number, line in enumerate(self.lines(file), 1))
        return [(number, match.group(1)) for number, match in matches if match]

    def resolve(self, file, header):
        """The repository's file that an include means, or None: beside the file, from the root, or one of the include folders."""
        include_folders = [os.path.dirname(file), "", "runtime/include", "runtime/src", "tools", "tests/runtime", "compiler"]
        for folder in include_folders:
            path = os.path.normpath(os.path.join(folder, header))
            if (self.root / path).is_file():
                return path
        return None


def room_of(path):
    """The room that a path lies in: the one with the longest name, or its first folder where no room has it."""
    parts = path.split("/")
    folders = ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
    return next((folder for folder in folders if folder in ROOMS), parts[0])


def wrong_room(file, target):
    """Whether `file` must not include `target`, both of this repository."""
    room, other = room_of(file), room_of(target)
    if room not in ROOMS or other not in ROOMS or other == room or target.startswith(PUBLIC_FOLDERS):
        return False
    return other not in ROOMS[room]


def wrong_library(file, header):
    return any(
        fnmatch.fnmatchcase(header, pattern) and not any(fnmatch.fnmatchcase(file, home) for home in homes)
        for pattern, homes in LIBRARIES.items()
    )


def breaks_plain_part(file, header):
    return any(
        fnmatch.fnmatchcase(file, part) and any(fnmatch.fnmatchcase(header, banned) for banned in headers)
        for part, headers in PLAIN_PARTS.items()
    )


def arrows_up(rooms):
    """What a table of rooms allows and should not: a room below the one that includes it, or one that is not there."""
    order = list(rooms)
    return [f"{room} -> {other}" for room in order for other in sorted(rooms[room]) if other not in order[: order.index(room)]]


def check_dependencies(repository):
    for arrow in arrows_up(ROOMS):
        yield f"the table of rooms has an arrow that goes up: {arrow}"
    for file in repository.matching("*.h", "*.hpp", "*.c", "*.cpp"):
        for number, header in repository.includes(file):
            # A generated header is not among the files; its path starts with its room all the same.
            target = repository.resolve(file, header) or header
            if wrong_room(file, target) or wrong_library(file, header) or breaks_plain_part(file, header):
                yield f"{file}:{number}: {room_of(file)}/ must not include {header}"


def check_lengths(repository):
    for file in repository.matching(*SOURCES):
        limit = min(TABLES.get(file, MAX_LINES), MAX_LINES_OF_A_TABLE)
        count = len(repository.lines(file))
        if count > limit:
            yield f"{file}: {count} lines, at most {limit}: does one thing live here, or several?"


def described(repository, folder):
    """A folder has a README, or the README of the folder above names it."""
    if f"{folder}/README.md" in repository.files:
        return True
    above = os.path.join(os.path.dirname(folder), "README.md")
    return above in repository.files and f"`{os.path.basename(folder)}/" in "\n".join(repository.lines(above))


def check_readmes(repository):
    inside = [file for file in repository.files if "/" in file]
    rooms = {file.split("/")[0] for file in inside} | {room_of(file) for file in inside}
    parts = {os.path.dirname(file) for file in repository.files if file.endswith("/CMakeLists.txt")}
    parts |= {os.path.dirname(file) for file in repository.files if file.startswith("tests/") and file.count("/") == 2}
    for folder in sorted(rooms | parts):
        if not folder.startswith(".") and not described(repository, folder):
            yield f"{folder}/ has no README.md, and the README above does not name it"


def check_links(repository):
    for file in repository.matching("*.md"):
        for number, line in enumerate(repository.lines(file), 1):
            text = "" if line.startswith("    ") else line  # code: a lambda looks like a link
            for target in re.findall(r"\]\(([^)#\s]+)", text):
                path = os.path.normpath(os.path.join(os.path.dirname(file), target))
                if "://" not in target and not (repository.root / path).exists():
                    yield f"{file}:{number}: there is no {target}"


# Written in pieces, so that this file does not find itself.
LEFTOVERS = [
    (re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b"), "something left to do"),
    (re.compile(r"\.\./sha" + r"red\b|(?<![\w.])/(wor" + r"k|ro" + r"ot)/"), "a path outside the repository"),
    (re.compile(r"^(<{7}|>{7}) "), "a merge that was not finished"),
]


def check_leftovers(repository):
    for file in repository.files:
        content = (repository.root / file).read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            for pattern, what in LEFTOVERS:
                if pattern.search(line):
                    yield f"{file}:{number}: {what}: {line.strip()[:100]}"


def check_formatting(repository):
    tool = shutil.which("clang-format-22")
    if not tool:
        yield "clang-format-22 is not installed"
        return
    files = repository.matching("*.h", "*.hpp", "*.c", "*.cpp")
    for start in range(0, len(files), 100):
        command = [tool, "--dry-run", "--Werror", "--style=file", *files[start : start + 100]]
        done = subprocess.run(command, cwd=repository.root, capture_output=True, text=True)
        places = [line for line in done.stderr.splitlines() if "error:" in line]
        if done.returncode and not places:
            yield f"clang-format-22 failed: {done.stderr.strip()[:300]}"
        first = {}
        for place in places:
            first.setdefault(place.split(":")[0], place)
        for file, place in first.items():
            yield f"{':'.join(place.split(':')[:2])}: run clang-format-22 -i {file}"


def check_examples(repository):
    compiler = shutil.which("clang++-22")
    if not compiler:
        yield "clang++-22 is not installed"
        return
    command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Werror", "-Iruntime/include", "-xc++", "-"]
    examples = re.findall(r"^```cpp\n(.*?)^```", "\n".join(repository.lines("README.md")) + "\n", re.DOTALL | re.MULTILINE)
    if not examples:
        yield "README.md has no example in C++"
    for example in examples:
        done = subprocess.run(command, cwd=repository.root, input=example, capture_output=True, text=True)
        if done.returncode:
            yield f"README.md: an example does not compile:\n{done.stderr.strip()}"


# A code as sources make it: in a text, or as the number that is handed to whatever makes the error.
CODE = re.compile(r"\bTW([1-9]\d{3})\b|\(\s*(?:\w+,\s*)?(?:TW_\w+,\s*)?([1-9]\d{3}),")
CODE_ROOMS = ("codegen/", "compiler/", "files/", "frontend/", "ir/", "passes/", "runtime/", "tools/")


def sources_of(repository, rooms=CODE_ROOMS):
    """{file: its text} of the C++ of these rooms."""
    return {f: "\n".join(repository.lines(f)) for f in repository.matching("*.h", "*.hpp", "*.cpp") if f.startswith(rooms)}


def documents_of(repository):
    return {file: "\n".join(repository.lines(file)) for file in repository.matching("*.md")}


def described_codes(documents):
    """({code: a document that names it}, the ranges [first, last] that documents describe)."""
    named, ranges = {}, []
    for file, text in documents.items():
        for first, last in re.findall(r"\bTW(\d{4})(?:-(\d{4}))?\b", text):
            ranges.append((int(first), int(last or first)))
            if not last:
                named.setdefault(int(first), file)
        ranges += [(int(start + "00"), int(start + "99")) for start in re.findall(r"\bTW(\d\d)xx\b", text)]
        # A table's row may go on with the numbers of its range alone.
        for row in re.findall(r"^\| TW\d{4}-\d{4} \|.*$", text, re.M):
            named.update((int(code), file) for code in re.findall(r"(?<![\d-])(\d{4}) ", row))
    return named, ranges


def check_codes(repository):
    sources = sources_of(repository)
    named, ranges = described_codes(documents_of(repository))
    numbers = {int(n) for text in sources.values() for n in re.findall(r"\b(?:TW)?([1-9]\d{3})\b", text)}
    families = {int(n) for text in sources.values() for n in re.findall(r"\b([1-9]\d)00 \+", text)}  # 4400 + what a run says
    for code, file in sorted(named.items()):
        if code not in numbers and code // 100 not in families:
            yield f"{file}: nothing reports TW{code}"
    made = {int(m[1] or m[2]): file for file, text in sources.items() for m in CODE.finditer(text)}
    for code, file in sorted(made.items()):
        if not any(first <= code <= last for first, last in ranges):
            yield f"{file}: no document says what TW{code} is about"


def check_promises(repository):
    """Options and variables: what documents promise is read somewhere, and what is read is documented."""
    documents, driver = documents_of(repository), "tools/CommandLine.cpp"
    spoken = "\n".join(documents.values())
    programs = [f for f in repository.files if f.endswith((".py", ".sh")) or f in ("run-tests", "quickstart", driver)]
    code = "\n".join("\n".join(repository.lines(file)) for file in programs)
    for file in ("README.md", "tools/README.md", "tests/README.md"):
        for option in sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", documents.get(file, "")))):
            if not re.search(rf"{option}\b", code):
                yield f"{file}: nothing understands {option}"
    if driver in repository.files:
        for option in sorted(set(re.findall(r'"(?:-\w,)?(--[a-z][a-z-]+)"', "\n".join(repository.lines(driver))))):
            if not re.search(rf"{option}\b", documents.get("tools/README.md", "")):
                yield f"tools/README.md does not mention {option}"
    files = [f for f in repository.files if f.endswith((".h", ".cpp", ".py", ".sh", ".cmake", "CMakeLists.txt")) or f == "run-tests"]
    texts = {file: "\n".join(repository.lines(file)) for file in files}
    everything = "\n".join(texts.values())
    for name in sorted(set(re.findall(r"\bTILEWRIGHT_[A-Z_]+\b", spoken))):
        if name not in everything:
            yield f"documents mention {name}, which nothing reads"
    for name in sorted(set(re.findall(r'(?:getenv\("|environ(?:\.get\(|\[)")(TILEWRIGHT_[A-Z_]+)"', everything))):
        if name not in spoken:
            yield f"{name} is read, and no document mentions it"
    for name in sorted(set(re.findall(r"(?:option|set)\((TILEWRIGHT_[A-Z_]+) [^)]*?(?:ON|OFF|CACHE)\b", everything))):
        if len(re.findall(rf"\b{name}\b", everything)) < 2:
            yield f"CMake's {name} is set, and nothing reads it"


def check_pipes(repository):
    """Under pipefail, a reader that leaves before its writer has ended makes a failure of it."""
    early = re.compile(r"(?<!\|)\|\s*(head\b|grep\s+(-\w+\s+)*-\w*q|sed\s+[^|]*\b\d*q\b|awk\s[^|]*\bexit\b)")
    for file in repository.matching("*.sh", "run-tests", "quickstart"):
        for number, line in enumerate(repository.lines(file), 1):
            if early.search(line.split("#", 1)[0]):
                yield f"{file}:{number}: a reader that leaves early: {line.strip()[:100]}"


RULES = {
    "dependencies": check_dependencies,
    "lengths": check_lengths,
    "readmes": check_readmes,
    "links": check_links,
    "leftovers": check_leftovers,
    "formatting": check_formatting,
    "examples": check_examples,
    "codes": check_codes,
    "promises": check_promises,
    "pipes": check_pipes,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rule", choices=RULES)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    options = parser.parse_args()
    repository = Repository(options.root)
    if not repository.files:
        print(f"{options.root} has no files")
        return 2
    problems = list(RULES[options.rule](repository))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
