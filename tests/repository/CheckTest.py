"""Tests of the repository's rules, each with a violation, and of the summary that closes ./run-tests."""
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parents[1] / "scripts"))
import check
import summarise


class Rules(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def problems(self, rule):
        return list(check.RULES[rule](check.Repository(self.root)))

    def assert_dependency(self, file, header, allowed):
        self.write(file, f"#include {header}\n")
        found = [problem for problem in self.problems("dependencies") if problem.startswith(file + ":")]
        self.assertEqual(found == [], allowed, f"{file} includes {header}: {found}")

    def test_rooms_may_include_what_the_table_allows_and_no_more(self):
        self.write("runtime/include/tilewright/artifact.h", "")
        self.assert_dependency("passes/A.cpp", '"ir/Graph.h"', True)
        self.assert_dependency("passes/A.cpp", '"codegen/space/Space.h"', True)
        self.assert_dependency("passes/A.cpp", '"codegen/emit/Emitter.h"', False)
        self.assert_dependency("codegen/emit/A.cpp", '"codegen/schedule/Schedule.h"', True)
        self.assert_dependency("codegen/emit/A.cpp", '"codegen/space/Space.h"', False)
        self.assert_dependency("passes/A.cpp", '"codegen/target/Target.h"', True)
        self.assert_dependency("passes/A.cpp", '"codegen/machine/Backend.h"', False)
        self.assert_dependency("codegen/artifact/B.cpp", '"tilewright/artifact.h"', True)
        self.assert_dependency("codegen/artifact/B.cpp", '"frontend/Importer.h"', False)
        self.assert_dependency("codegen/artifact/B.cpp", '"codegen/machine/Backend.h"', True)
        self.assert_dependency("codegen/machine/B.cpp", '"codegen/artifact/Link.h"', False)
        self.assert_dependency("codegen/gpu/B.cpp", '"codegen/lower/Lowering.h"', True)
        self.assert_dependency("codegen/gpu/B.cpp", '"codegen/machine/Backend.h"', False)
        self.assert_dependency("ir/C.cpp", '"passes/Passes.h"', False)
        self.assert_dependency("runtime/src/D.cpp", '"ir/Graph.h"', False)
        self.assert_dependency("tests/ir/E.cpp", '"ir/Graph.h"', True)
        self.assert_dependency("compiler/F.cpp", '"passes/Pipeline.h"', True)

    def test_a_relative_include_of_another_room_is_seen(self):
        self.write("codegen/target/Target.h", "")
        self.assert_dependency("frontend/A.cpp", '"../codegen/target/Target.h"', False)

    def test_no_arrow_of_the_table_goes_up(self):
        self.assertEqual(check.arrows_up(check.ROOMS), [])
        self.assertEqual(check.arrows_up({"low": {"high"}, "high": {"low"}}), ["low -> high"])

    def test_libraries_stay_at_home(self):
        self.assert_dependency("runtime/src/A.cpp", '"llvm/ADT/StringRef.h"', False)
        self.assert_dependency("runtime/src/A.cpp", "<fmt/format.h>", False)
        self.assert_dependency("runtime/src/A.cpp", "<vector>", True)
        self.assert_dependency("tools/B.cpp", '"mlir/IR/Value.h"', False)
        self.assert_dependency("tools/B.cpp", "<fmt/format.h>", True)
        self.assert_dependency("ir/C.cpp", '"mlir/IR/Value.h"', True)
        self.assert_dependency("frontend/reader/D.cpp", '"llvm/ADT/StringRef.h"', False)
        self.assert_dependency("frontend/reader/D.cpp", "<protozero/pbf_reader.hpp>", True)
        self.assert_dependency("passes/E.cpp", "<protozero/pbf_reader.hpp>", False)

    def test_lengths(self):
        self.write("ir/Short.cpp", "\n" * check.MAX_LINES)
        self.assertEqual(self.problems("lengths"), [])
        self.write("ir/Long.cpp", "\n" * (check.MAX_LINES + 1))
        self.assertEqual(len(self.problems("lengths")), 1)

    def test_a_folder_is_described_by_itself_or_from_above(self):
        self.write("ir/README.md", "| `interpreter/` | slow and obvious |")
        self.write("ir/interpreter/CMakeLists.txt", "")
        self.assertEqual(self.problems("readmes"), [])
        self.write("ir/other/CMakeLists.txt", "")
        self.write("passes/Pass.cpp", "")
        self.assertEqual([problem.split("/ has")[0] for problem in self.problems("readmes")], ["ir/other", "passes"])

    def test_links(self):
        self.write("README.md", "[a](ir/README.md#b) [b](https://example.org/x) [c](gone.md)")
        self.write("ir/README.md", "[up](../README.md)")
        self.assertEqual(self.problems("links"), ["README.md:1: there is no gone.md"])

    def test_leftovers(self):
        self.write("ir/A.cpp", "// a todo list is fine\nint x; // TO" + "DO: more\n")
        self.write("ir/B.py", 'open("../sha' + 'red/x")\n')
        self.write("ir/C.bin", "\0TO" + "DO")
        self.assertEqual([problem.split(": ")[0] for problem in self.problems("leftovers")], ["ir/A.cpp:2", "ir/B.py:1"])

    def test_formatting(self):
        self.write(".clang-format", "BasedOnStyle: LLVM\n")
        self.write("ir/A.cpp", "int x = 1;\n")
        self.assertEqual(self.problems("formatting"), [])
        self.write("ir/A.cpp", "int   x=1;\n")
        self.assertEqual(len(self.problems("formatting")), 1)

    def test_examples(self):
        self.write("README.md", "Text.\n```cpp\nint main() { return 0; }\n```\n")
        self.assertEqual(self.problems("examples"), [])
        self.write("README.md", "```cpp\nint main() { return 0 }\n```\n")
        self.assertEqual(len(self.problems("examples")), 1)
        self.write("README.md", "No example.")
        self.assertEqual(len(self.problems("examples")), 1)

    def test_codes(self):
        self.write("tools/README.md", "TW50xx the command line; TW4101-4102 threads.\n")
        self.write("tools/Run.cpp", 'error("TW5001", 1); reportError(e, TW_IO, 4101, "x");\n')
        self.assertEqual(self.problems("codes"), [])
        self.write("tools/Run.cpp", 'error("TW5101", 1); fail(TW_IO, 4103, "x"); fail(1005, "x");\n')
        self.assertEqual(len(self.problems("codes")), 3)
        self.write("tools/README.md", "TW5101, TW41xx, TW1005; TW5102 never happens.\n")
        self.assertEqual(self.problems("codes"), ["tools/README.md: nothing reports TW5102"])

    def test_promises(self):
        self.write("tools/CommandLine.cpp", 'add("--jobs"); getenv("' + 'TILEWRIGHT_HOME");\n')
        self.write("tools/README.md", "`--jobs`, TILEWRIGHT_HOME\n")
        self.assertEqual(self.problems("promises"), [])
        self.write("tools/README.md", "`--speed`, TILEWRIGHT_SPEED\n")
        self.assertEqual(len(self.problems("promises")), 4)
        self.write("tools/README.md", "`--jobs`, TILEWRIGHT_HOME\n")
        self.write("CMakeLists.txt", "option(TILEWRIGHT_IDLE \"does nothing\" ON)\n")
        self.assertEqual(self.problems("promises"), ["CMake's TILEWRIGHT_IDLE is set, and nothing reads it"])

    def test_pipes(self):
        self.write("run-tests", "apt-cache policy x | awk '{ print }'\ngrep -q x file # not | grep -q\n")
        self.assertEqual(self.problems("pipes"), [])
        self.write("run-tests", "apt-cache policy x | grep -q y\nps | grep -iq y\nls | head -n 1\nls | sed 1q\n")
        self.assertEqual(len(self.problems("pipes")), 4)


class Summary(unittest.TestCase):
    junit = """<testsuite>
      <testcase name="a" status="run"/><testcase name="b" status="fail"><failure/><system-out>why</system-out></testcase>
      <testcase name="c" status="notrun"><skipped message="Unable to find executable"/></testcase>
      <testcase name="d" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>
      <testcase name="e" status="disabled"/></testsuite>"""

    def summarise(self, files, suites):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for file, text in files.items():
                (folder / file).write_text(text)
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                status = summarise.main([name, *suites])
            return status, output.getvalue().splitlines()

    def test_a_test_that_could_not_start_has_failed(self):
        status, lines = self.summarise({"unit.xml": self.junit}, ["unit"])
        self.assertEqual((status, lines[-1]), (1, "1 passed, 2 failed, 2 skipped"))
        self.assertIn("      why", lines)

    def test_suites_add_up(self):
        good = json.dumps({"passed": 3, "failed": 0, "skipped": 0, "failures": []})
        status, lines = self.summarise({"models.json": good, "fresh.json": good}, ["models", "fresh"])
        self.assertEqual((status, lines[-1]), (0, "6 passed, 0 failed"))

    def test_what_was_left_out_is_said(self):
        skipped = {"passed": 0, "failed": 0, "skipped": 1, "failures": [], "skips": [{"name": "a", "message": "no root"}]}
        status, lines = self.summarise({"fresh.json": json.dumps(skipped)}, ["fresh"])
        self.assertEqual((status, lines[-1]), (1, "0 passed, 0 failed, 1 skipped"))
        self.assertIn("   skipped fresh: a: no root", lines)

    def test_a_suite_without_result_has_failed(self):
        self.assertEqual(self.summarise({}, ["models"])[1][-1], "0 passed, 1 failed")
        self.assertEqual(self.summarise({"models.json": "{"}, ["models"])[1][-1], "0 passed, 1 failed")

    def test_nothing_run_is_no_success(self):
        self.assertEqual(self.summarise({"unit.xml": "<testsuite/>"}, ["unit"])[0], 1)


if __name__ == "__main__":
    unittest.main()
