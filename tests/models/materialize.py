#!/usr/bin/env python3
"""Give the graphs in architectures/ their weights, the same on every machine.

usage: materialize.py FOLDER [NAME...]     writes FOLDER/NAME.onnx (default: every architecture, 2.5 GB)
       materialize.py --list

A graph is committed without its large weights; the table beside it says how each was distributed (mean, standard deviation,
smallest, largest). A weight is drawn from that normal distribution, cut off at both ends, by a generator seeded with its name.
"""
import csv
import pathlib
import sys
import zlib

import numpy as np
import onnx

ARCHITECTURES = pathlib.Path(__file__).resolve().parent / "architectures"


def architectures():
    return sorted(path.stem for path in ARCHITECTURES.glob("*.onnx"))


def draw(row):
    """The weight that a row of the table describes."""
    generator = np.random.default_rng(zlib.crc32(row["name"].encode()))
    shape = [int(dim) for dim in row["dims"].split("x")]
    values = generator.standard_normal(shape, dtype=np.float32)
    values *= np.float32(row["std"])
    values += np.float32(row["mean"])
    np.clip(values, np.float32(row["min"]), np.float32(row["max"]), out=values)
    return values.astype(row["dtype"], copy=False)


def materialize(name, folder):
    """Write FOLDER/NAME.onnx, unless it is there; returns its path."""
    path = pathlib.Path(folder) / f"{name}.onnx"
    if path.exists():
        return path
    model = onnx.load(ARCHITECTURES / f"{name}.onnx")
    with open(ARCHITECTURES / f"{name}.weights.tsv", newline="") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            model.graph.initializer.append(onnx.numpy_helper.from_array(draw(row), row["name"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(model.SerializeToString())
    part.rename(path)
    return path


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(architectures()))
        return 0
    if not arguments or arguments[0].startswith("-"):
        print(__doc__)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    for name in arguments[1:] or architectures():
        print(materialize(name, arguments[0]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
