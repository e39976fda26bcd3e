#!/usr/bin/env python3
"""Write the test cases of the ONNX project, out of its Python package, as folders that `tilewright test` reads.

usage: cases.py FOLDER

FOLDER/KIND/NAME/ gets model.onnx, data.json (the package's tolerances) and per data set test_data_set_N/input_K.pb and output_K.pb. Kinds:
`node` (one operator each), `simple`, `pytorch-operator` and `pytorch-converted`. Cases that a FOLDER of the same version of the
package holds are left alone; a half-written FOLDER is written again.
"""
import json
import pathlib
import shutil
import sys
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")
STAMP = "complete.stamp"


def serialised(value, declared):
    """The bytes of an input or output, in the message that its declared type calls for."""
    if hasattr(value, "SerializeToString"):
        return value.SerializeToString()
    kind = declared.type.WhichOneof("value")
    if kind == "sequence_type":
        message = numpy_helper.from_list(value, declared.name)
    elif kind == "map_type":
        message = numpy_helper.from_dict(value, declared.name)
    elif kind == "optional_type":
        message = numpy_helper.from_optional(value, declared.name)
    else:
        message = numpy_helper.from_array(np.asarray(value), declared.name)
    return message.SerializeToString()


def write_made(case, folder):
    """A case that the package makes in memory."""
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    graph = case.model.graph
    for number, (inputs, outputs) in enumerate(case.data_sets):
        data = folder / f"test_data_set_{number}"
        data.mkdir()
        for prefix, values, declared in (("input", inputs, graph.input), ("output", outputs, graph.output)):
            for index, (value, info) in enumerate(zip(values, declared)):
                (data / f"{prefix}_{index}.pb").write_bytes(serialised(value, info))


def write_case(case, folder):
    folder.parent.mkdir(parents=True, exist_ok=True)
    if case.model is None:  # It is in the package as files.
        shutil.copytree(case.model_dir, folder)
    else:
        folder.mkdir()
        write_made(case, folder)
    (folder / "data.json").write_text(json.dumps({"rtol": case.rtol, "atol": case.atol}))


def write_all(target):
    """{kind: number of cases}. Raises where a case cannot be written: a case left out would not be missed."""
    counts = {}
    for kind in KINDS:
        cases = [case for case in load_model_tests(kind=kind) if case.model is not None or case.model_dir]
        for case in cases:
            write_case(case, target / kind / case.name)
        counts[kind] = len(cases)
    return counts


def ensure_cases(target):
    """Write the cases unless they are there. Returns {kind: number of cases}."""
    target = pathlib.Path(target)
    stamp = target / STAMP
    if stamp.exists():
        version, counts = json.loads(stamp.read_text())
        if version == onnx.__version__:
            return counts
    if target.exists():
        shutil.rmtree(target)
    print("   writing the cases of the ONNX package", flush=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Some cases overflow or divide by zero on purpose.
        counts = write_all(target)
    stamp.write_text(json.dumps([onnx.__version__, counts]))
    return counts


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    for kind, count in ensure_cases(arguments[0]).items():
        print(f"{kind}: {count} cases")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
