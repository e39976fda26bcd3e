"""Tests of the conformance suite's judge."""
import pathlib
import stat
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import run


class Judge(unittest.TestCase):
    def judged(self, status, known=()):
        judge = run.Judge({name: "reason" for name in known})
        judge.judge("node/a", status, "message")
        return judge.passed, len(judge.failures), judge.skipped

    def test_each_status(self):
        self.assertEqual(self.judged("passed"), (1, 0, 0))
        self.assertEqual(self.judged("failed"), (0, 1, 0))
        self.assertEqual(self.judged("crashed"), (0, 1, 0))
        self.assertEqual(self.judged("unsupported"), (0, 0, 1))

    def test_a_listed_case_may_fail_but_neither_crash_nor_pass(self):
        self.assertEqual(self.judged("failed", ["node/a"]), (0, 0, 1))
        self.assertEqual(self.judged("crashed", ["node/a"]), (0, 1, 0))
        self.assertEqual(self.judged("passed", ["node/a"]), (1, 1, 0))

    def test_floors_and_completeness(self):
        judge = run.Judge({"node/gone": "reason"})
        judge.judge("node/a", "passed", "")
        judge.check_floors({"node": "1"})
        self.assertEqual(judge.failures, [])
        judge.check_floors({"node": "2", "simple": "1"})
        self.assertEqual(len(judge.failures), 2)
        judge.check_completeness({"node/a"}, {"node": 2})
        self.assertEqual([f["name"] for f in judge.failures[2:]], ["completeness", "node/gone"])


class Tolerances(unittest.TestCase):
    def test_a_tolerance_needs_its_reason_and_its_case(self):
        with tempfile.TemporaryDirectory() as folder:
            table, root = pathlib.Path(folder) / "tolerances.txt", pathlib.Path(folder)
            table.write_text("node/a 1e-2 1e-7\n")
            with self.assertRaisesRegex(ValueError, "node/a"):
                run.read_tolerances(table)
            table.write_text("node/a 1e-2 1e-7 because  # of that\nnode/gone 0 0 no reason\n")
            (root / "node/a").mkdir(parents=True)
            (root / "node/a/data.json").write_text("strict")
            self.assertEqual(run.grant_tolerances(root, run.read_tolerances(table)), ["node/gone"])
            self.assertEqual((root / "node/a/data.json").read_text(), '{"rtol": 0.01, "atol": 1e-07}')
            run.grant_tolerances(root, {})
            self.assertEqual((root / "node/a/data.json").read_text(), "strict")

    def test_the_list_is_short_and_readable(self):
        self.assertLess(len(run.read_tolerances(run.HERE / "tolerances.txt")), 20)


class Driver(unittest.TestCase):
    def run_fake(self, script):
        with tempfile.TemporaryDirectory() as folder:
            driver = pathlib.Path(folder) / "driver"
            driver.write_text("#!/bin/sh\n" + script)
            driver.chmod(driver.stat().st_mode | stat.S_IXUSR)
            return run.run_driver(driver, [])

    def test_a_report_is_read_whatever_its_verdict(self):
        found = self.run_fake("""echo '{"total": 1, "cases": [{"dir": "d", "status": "failed", "message": ""}]}'; exit 1""")
        self.assertEqual(found[0]["status"], "failed")

    def test_a_driver_without_a_whole_report_is_an_error(self):
        for script in ("exit 70", "echo '{'", """echo '{"total": 2, "cases": []}'""", """echo '{"total": 0, "cases": []}'; exit 70"""):
            with self.assertRaises(ValueError):
                self.run_fake(script)


if __name__ == "__main__":
    unittest.main()
