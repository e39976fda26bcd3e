"""What ONNX Runtime computes, and whether other results agree with it.

The reference is ONNX Runtime without its optimisations. How much its own optimisations change a value (`spread`) tells how well
conditioned the model is: results may differ from the reference by four times as much.

A model quantised while it runs is worse conditioned than its optimisations show: they leave its kernels alone. A value half-way
between two steps moves a whole step for a difference in the last place of a float, and every later step follows. So the spread
of a quantised model also covers ONNX Runtime's results for the same model with each Sigmoid written out as 1 / (1 + exp(-x)),
which is what its definition says. ddddocr_old_int8 at width 233 shows why: the first difference is 1.2e-7 in a Sigmoid (ONNX
Runtime's is off by up to 1e5 units in the last place for small results, ours by 1.8), it moves one of 89,856 bytes by one step in the second
DynamicQuantizeLinear, and 20 layers later the outputs differ by 3.6 % of the largest. ONNX Runtime with the Sigmoids
written out is 3.6 % from itself too, and 0.14 % from ours. There results may differ by one and a half spreads.
"""
import hashlib
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

RELATIVE = 1e-3
OF_LARGEST = 1e-4
OF_LARGEST_QUANTISED = 2e-2
SMALLEST = 1e-7
SPREADS = 4
SPREADS_QUANTISED = 1.5
RULES = 2  # counts on when references would be computed differently


def run_onnxruntime(model, inputs, optimised):
    """{output: array}; `model` is a path or a serialised model."""
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, session.run(names, inputs))))


def with_sigmoids_written_out(path):
    """The serialised model with each Sigmoid of its main graph as 1 / (1 + exp(-x))."""
    model = onnx.load(path)
    nodes = []
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Sigmoid" or node.domain:
            nodes.append(node)
            continue
        minus, power, total = (f"sigmoid_{number}_{part}" for part in ("minus", "power", "total"))
        nodes += [
            helper.make_node("Neg", [node.input[0]], [minus]),
            helper.make_node("Exp", [minus], [power]),
            helper.make_node("Add", [power, "sigmoid_one"], [total]),
            helper.make_node("Div", ["sigmoid_one", total], [node.output[0]]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(numpy_helper.from_array(np.float32(1), "sigmoid_one"))
    return model.SerializeToString()


def largest(values, default=0.0):
    """The largest finite magnitude."""
    magnitudes = np.abs(np.asarray(values, dtype=np.float64))
    finite = magnitudes[np.isfinite(magnitudes)]
    return float(finite.max()) if finite.size else default


class Reference:
    """Reference outputs and their spreads, kept on disk: the big models take seconds each."""

    def __init__(self, outputs, spreads):
        self.outputs, self.spreads = outputs, spreads

    @staticmethod
    def compute(path, inputs, quantised=False):
        plain = run_onnxruntime(str(path), inputs, optimised=False)
        others = [run_onnxruntime(str(path), inputs, optimised=True)]
        if quantised:
            others.append(run_onnxruntime(with_sigmoids_written_out(path), inputs, optimised=False))
        with np.errstate(all="ignore"):
            spreads = {
                name: max(largest(values.astype(np.float64) - other[name]) for other in others) if values.dtype.kind == "f" else 0.0
                for name, values in plain.items()
            }
        return Reference(plain, spreads)

    @staticmethod
    def cached(folder, entry, label, path, inputs):
        """Of one model and size; computed anew for another catalogue entry, input or version of ONNX Runtime."""
        key = hashlib.sha256(json.dumps([RULES, entry, onnxruntime.__version__, np.__version__]).encode())
        for name, values in sorted(inputs.items()):
            key.update(name.encode() + values.tobytes())
        file = pathlib.Path(folder) / f"{entry['name']}-{label or 'fixed'}-{key.hexdigest()[:16]}.npz"
        if file.exists():
            with np.load(file) as stored:
                outputs = {name[4:]: stored[name] for name in stored.files if name.startswith("out:")}
                return Reference(outputs, {name: float(stored["spread:" + name]) for name in outputs})
        reference = Reference.compute(path, inputs, entry.get("quantised", False))
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in file.parent.glob(f"{entry['name']}-{label or 'fixed'}-*.npz"):
            old.unlink()
        part = file.with_suffix(".part.npz")
        arrays = {"out:" + name: values for name, values in reference.outputs.items()}
        np.savez(part, **arrays, **{"spread:" + name: spread for name, spread in reference.spreads.items()})
        part.rename(file)
        return reference


def disagreement(reference, results, quantised=False):
    """"" where `results` ({output: array}) agree with the reference, else what is wrong: names, types and shapes the same, NaNs
    in the same places, floats within the tolerance, everything else equal."""
    if set(results) != set(reference.outputs):
        return f"outputs {sorted(results)} instead of {sorted(reference.outputs)}"
    for name, wanted in reference.outputs.items():
        found = results[name]
        if found.dtype != wanted.dtype or found.shape != wanted.shape:
            return f"output {name}: {found.dtype}{list(found.shape)} instead of {wanted.dtype}{list(wanted.shape)}"
        if wanted.dtype.kind != "f":
            differ = int((found != wanted).sum())
            if differ:
                return f"output {name}: {differ} of {wanted.size} values differ"
            continue
        scale = largest(wanted)
        of_largest, spreads = (OF_LARGEST_QUANTISED, SPREADS_QUANTISED) if quantised else (OF_LARGEST, SPREADS)
        tolerance = max(SMALLEST, scale * of_largest, spreads * reference.spreads[name])
        if not np.allclose(found, wanted, rtol=RELATIVE, atol=tolerance, equal_nan=True):
            with np.errstate(all="ignore"):
                worst = largest(found.astype(np.float64) - wanted)
            if not np.array_equal(np.isnan(found), np.isnan(wanted)):
                return f"output {name}: NaNs in other places"
            return f"output {name}: off by {worst:.3g} where the largest value is {scale:.3g} and {tolerance:.3g} is allowed"
    return ""
