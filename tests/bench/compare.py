#!/usr/bin/env python3
"""Tilewright's latency against ONNX Runtime and OpenVINO, on the models of the catalogue.

usage: compare.py [MODEL...] [--threads 1,2] [--peers onnxruntime,openvino] [--rounds 7] [--seconds 0.5] [--json FILE] ...

MODEL: names of tests/models/catalogue.json, at their usual size (default: the nine that speed is judged by).
needs: pip install -r tests/requirements.txt -r tests/bench/requirements.txt

Every engine works in a process of its own, pinned to the same cores. They take turns, round by round, so that a slow minute of the
machine hits all of them; an engine's figure is the median over rounds of the median latency in a round. `ratio` is the better
peer's latency by ours: above 1, Tilewright is faster. Kernels are compiled cold, in an empty cache. A model whose outputs
disagree with ONNX Runtime's has no ratio and makes the exit status 1. Peers are called from Python: about 0.01 ms of each run.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "models"))
import catalogue
from reference import Reference, disagreement

JUDGED = ["resnet50", "mobilenet_v2", "bert_base", "minilm_l6", "gpt2_prefill64", "whisper_tiny_enc", "magika", "ppocr4_det", "ppocr4_rec"]


def cores_for(threads):
    return sorted(os.sched_getaffinity(0))[:threads]


def prepare_onnxruntime(model, inputs, threads):
    """A function that runs the model once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def prepare_openvino(model, inputs, threads):
    import openvino

    properties = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    properties |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    compiled = openvino.Core().compile_model(model, "CPU", properties)
    request = compiled.create_infer_request()
    for port in compiled.inputs:
        name = next(name for name in inputs if name in port.get_names())
        request.set_tensor(port, openvino.Tensor(inputs[name]))
    return request.infer


PEERS = {"onnxruntime": prepare_onnxruntime, "openvino": prepare_openvino}


def serve_peer(peer, model, inputs, threads):
    """The process of one peer: a line of input asks for a round of so many seconds, a line of output answers."""
    threads = int(threads)
    os.sched_setaffinity(0, cores_for(threads))
    with np.load(inputs) as stored:
        step = PEERS[peer](model, {name: stored[name] for name in stored.files}, threads)
    step()
    print("ready", flush=True)
    for line in sys.stdin:
        times, end = [], time.perf_counter() + float(line)
        while time.perf_counter() < end or len(times) < 3:
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) * 1e3)
        print(statistics.median(times), flush=True)


class Peer:
    def __init__(self, name, model, inputs, threads):
        command = [sys.executable, __file__, "--serve", name, str(model), str(inputs), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise RuntimeError(f"{name} cannot run the model")

    def round(self, seconds):
        """Median latency in milliseconds."""
        print(seconds, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Tilewright:
    def __init__(self, driver, options, model, inputs, threads, scratch):
        self.driver, self.inputs, self.threads = driver, inputs, threads
        self.artifact, self.outputs = scratch / "model.so", scratch / "outputs.npz"
        start = time.perf_counter()
        self.command("compile", model, "-o", self.artifact, *options, env=os.environ | {"TILEWRIGHT_CACHE_DIR": str(scratch / "cache")})
        self.compile_seconds = time.perf_counter() - start

    def command(self, *arguments, env=None):
        pinned = lambda: os.sched_setaffinity(0, cores_for(self.threads))
        # Compiling may use all cores: it is not what is compared.
        prepare = None if arguments[0] == "compile" else pinned
        done = subprocess.run([self.driver, *map(str, arguments)], capture_output=True, text=True, env=env, preexec_fn=prepare)
        if done.returncode:
            raise RuntimeError(f"tilewright {arguments[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
        return done.stdout

    def round(self, seconds):
        options = ["--inputs", self.inputs, "--threads", self.threads, "--seconds", seconds, "--json"]
        return json.loads(self.command("bench", self.artifact, *options))["median_ms"]

    def run(self):
        self.command("run", self.artifact, "--inputs", self.inputs, "--outputs", self.outputs, "--threads", self.threads)
        with np.load(self.outputs) as stored:
            return {name: stored[name] for name in stored.files}

    def close(self):
        pass


def start_engines(entry, model, inputs, threads, scratch, options, row):
    """{name: engine} of those that can run the model; why the others cannot goes into the row."""
    engines = {}
    for peer in options.peers:
        try:
            engines[peer] = Peer(peer, model, inputs, threads)
        except RuntimeError as problem:
            row["problems"].append(str(problem))
    try:
        ours = Tilewright(options.driver.resolve(), options.options.split(), model, inputs, threads, scratch)
        with np.load(inputs) as stored:
            feeds = {name: stored[name] for name in stored.files}
        reference = Reference.cached(options.assets / "references", entry, catalogue.size_label(catalogue.sizes(entry)[0]), model, feeds)
        wrong = disagreement(reference, ours.run(), entry.get("quantised", False))
        if wrong:
            raise RuntimeError(f"wrong results: {wrong}")
        row["compile_s"] = ours.compile_seconds
        engines["tilewright"] = ours
    except RuntimeError as problem:
        row["problems"].append(str(problem))
    return engines


def compare(entry, threads, options):
    """One row of the table: latencies in milliseconds by engine, and the ratio."""
    row = {"model": entry["name"], "threads": threads, "problems": []}
    model = catalogue.ensure_model(entry, options.assets)
    with tempfile.TemporaryDirectory(prefix="tilewright-bench-") as name:
        scratch = pathlib.Path(name)
        inputs = scratch / "inputs.npz"
        np.savez(inputs, **catalogue.make_inputs(entry, model, catalogue.sizes(entry)[0]))
        engines = start_engines(entry, model, inputs, threads, scratch, options, row)
        times = {engine: [] for engine in engines}
        for _ in range(options.rounds):
            for engine in engines:
                times[engine].append(engines[engine].round(options.seconds))
        for engine in engines.values():
            engine.close()
    row["ms"] = {engine: statistics.median(values) for engine, values in times.items()}
    peers = [row["ms"][peer] for peer in options.peers if peer in row["ms"]]
    if peers and "tilewright" in row["ms"]:
        row["ratio"] = min(peers) / row["ms"]["tilewright"]
    return row


def print_row(row, engines):
    cells = [f"{row['ms'][engine]:11.3f}" if engine in row["ms"] else f"{'-':>11}" for engine in engines]
    ratio = f"{row['ratio']:6.2f} {row['compile_s']:7.1f} s" if "ratio" in row else ""
    print(f"{row['model']:20} {row['threads']:7} {' '.join(cells)} {ratio} {'; '.join(row['problems'])}", flush=True)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=JUDGED)
    parser.add_argument("--driver", type=pathlib.Path, default=pathlib.Path("build/bin/tilewright"))
    parser.add_argument("--assets", type=pathlib.Path, default=pathlib.Path(".assets"))
    parser.add_argument("--threads", type=lambda text: [int(word) for word in text.split(",")], default=[1, 2])
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one engine's turn")
    parser.add_argument("--options", default="", help="more options for compiling")
    parser.add_argument("--json", type=pathlib.Path, help="write all rows to this file")
    return parser, parser.parse_args()


def main():
    if sys.argv[1:2] == ["--serve"]:
        return serve_peer(*sys.argv[2:])
    parser, options = parse_options()
    entries = {entry["name"]: entry for entry in catalogue.load_catalogue()}
    unknown = [name for name in options.models if name not in entries] + [peer for peer in options.peers if peer not in PEERS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; models: {', '.join(entries)}; peers: {', '.join(PEERS)}")
    engines = [*options.peers, "tilewright"]
    print(f"{'model':20} {'threads':7} {' '.join(f'{engine:>11}' for engine in engines)}  ratio   compile")
    rows = []
    for name in options.models:
        for threads in options.threads:
            rows.append(compare(entries[name], threads, options))
            print_row(rows[-1], engines)
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        print(f"ratio: geometric mean {mean:.3f}, lowest {min(ratios):.3f}, over {len(ratios)} of {len(rows)} rows")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0 if len(ratios) == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
