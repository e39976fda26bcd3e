"""The models that tests and benchmarks use, as catalogue.json lists them, with inputs made for them.

An entry: `name`; `purpose`, what it exercises; where it comes from, `wheel` (see fetch.py) or `skeleton` (see materialize.py);
`inputs`, {pattern of names: {"shape", "values"}}; `sizes`, values of the names in shapes: the first is the usual one, all of
them are served by one artifact; `quantised`, true for models computed in 8 bits, which are compared more loosely.

A shape may leave its input's declared one out, where that is fixed. Values: ["normal", scale], ["uniform"] (0 to 1),
["integers", low, high), ["constant", number or name of a size], ["arange"]. Default: normal for floats, ones for the rest.
"""
import fnmatch
import json
import pathlib
import zlib

import numpy as np
import onnx

import fetch
import materialize

HERE = pathlib.Path(__file__).resolve().parent


def load_catalogue():
    return json.loads((HERE / "catalogue.json").read_text())


def sizes(entry):
    """[{name of a dimension: size}], the usual one first; [{}] for a model without dynamic dimensions."""
    return entry.get("sizes", [{}])


def size_label(size):
    return ",".join(f"{name}={value}" for name, value in size.items())


def models_folder(assets):
    """Where the trained models lie."""
    return pathlib.Path(assets) / "models"


def is_here(entry, assets):
    """Whether the model can be had without fetching."""
    return "skeleton" in entry or all((models_folder(assets) / file[0]).exists() for file in fetch.wanted_files(entry))


def ensure_model(entry, assets):
    """Path of the entry's ONNX file below `assets`, made or fetched where it is not there. Raises what kept it from being."""
    if "skeleton" in entry:
        return materialize.materialize(entry["name"], pathlib.Path(assets) / "architectures")
    problems = fetch.fetch([entry], models_folder(assets))
    if problems:
        raise problems[entry["name"]]
    return models_folder(assets) / f"{entry['name']}.onnx"


def declared_inputs(entry, path):
    """The graph's inputs that are not constants, from the small file where there is one."""
    source = HERE / entry["skeleton"] if "skeleton" in entry else path
    graph = onnx.load(source, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def resolve(value, size):
    return size[value] if isinstance(value, str) else value


def make_values(kind, arguments, shape, generator):
    if kind == "normal":
        return generator.standard_normal(shape) * arguments[0]
    if kind == "uniform":
        return generator.random(shape)
    if kind == "integers":
        return generator.integers(arguments[0], arguments[1], shape)
    if kind == "constant":
        return np.full(shape, arguments[0])
    if kind == "arange":
        return np.arange(int(np.prod(shape))).reshape(shape)
    raise ValueError(f"the catalogue has values of an unknown kind: {kind}")


def make_input(entry, declared, size):
    """One input, the same on every machine: its generator is seeded with the names of model and input, and the size."""
    tensor = declared.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    spec = next((s for pattern, s in entry.get("inputs", {}).items() if fnmatch.fnmatchcase(declared.name, pattern)), {})
    shape = [resolve(dim, size) for dim in spec.get("shape", [dim.dim_value for dim in tensor.shape.dim])]
    if "shape" not in spec and any(dim.WhichOneof("value") != "dim_value" for dim in tensor.shape.dim):
        raise ValueError(f"{entry['name']}: the catalogue must give the shape of '{declared.name}'")
    default = ["normal", 1.0] if dtype.kind == "f" else ["constant", 1]
    kind, *arguments = [resolve(v, size) if k else v for k, v in enumerate(spec.get("values", default))]
    seed = zlib.crc32(f"{entry['name']}/{declared.name}/{size_label(size)}".encode())
    return np.asarray(make_values(kind, arguments, shape, np.random.default_rng(seed)), dtype=dtype)


def make_inputs(entry, path, size):
    """{name: array} for one size. Raises ValueError where the catalogue does not fit the model."""
    declared = declared_inputs(entry, path)
    for pattern in entry.get("inputs", {}):
        if not any(fnmatch.fnmatchcase(value.name, pattern) for value in declared):
            raise ValueError(f"{entry['name']}: no input is named '{pattern}'")
    return {value.name: make_input(entry, value, size) for value in declared}
