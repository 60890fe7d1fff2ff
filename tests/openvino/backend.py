# SPDX-License-Identifier: Apache-2.0
"""The ONNX backend vectors through OpenVINO: as its own ONNX reader takes them, and as IR that olivine wrote.

    backend.py OLIVINE DATA [--match TEXT] [--every N] [--list] [--own FILE] [--least SHARE]

A vector counts when OpenVINO reads it and gives the expected numbers. SHARE is the part of those that OpenVINO's own reader
gets right which must be right as IR too. --own keeps what the own reader gets right in a file, for the next time.
Exit code 77: no OpenVINO here."""
import argparse
import collections
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import openvino as ov
    from vectors import cases, load
except ImportError as e:
    print(f"SKIP openvino-backend: {e}")
    sys.exit(77)


def same(have, want):
    if have.dtype.kind in "SUO" or want.dtype.kind in "SUO":
        return have.shape == want.shape and [str(v) for v in have.ravel()] == [v.decode() if isinstance(v, bytes) else str(v) for v in want.ravel()]
    if have.shape != want.shape:
        return False
    have, want = have.astype(np.float64), want.astype(np.float64)
    return np.allclose(have, want, rtol=2e-3, atol=1e-4, equal_nan=True)


def evaluate(path, model, sets):
    """Empty when OpenVINO gives the expected numbers for the file, else why not."""
    core = ov.Core()
    try:
        network = core.read_model(path)
        compiled = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    except Exception as e:
        return "read: " + " ".join(str(e).split())[-300:]
    names = [v.name for v in model.graph.input if v.name not in {i.name for i in model.graph.initializer}]
    for folder in sets:
        inputs, wants = load(folder, "input"), load(folder, "output")
        if inputs is None or wants is None:
            return "values that are no tensors"
        feed = {}
        try:
            for name, x in zip(names, inputs):
                for port in compiled.inputs:
                    if name in port.get_names():
                        feed[port] = x if x.dtype.kind in "SUO" else ov.Tensor(np.ascontiguousarray(x).reshape(x.shape))
            result = compiled.create_infer_request().infer(feed)
        except Exception as e:
            return "run: " + " ".join(str(e).split())[-300:]
        for i, want in enumerate(wants):
            try:
                have = result[i]
            except Exception as e:
                return "output: " + str(e)[:200]
            if not same(np.asarray(have), want):
                return f"output {i}: {np.asarray(have).dtype}{list(np.asarray(have).shape)} differs from {want.dtype}{list(want.shape)}"
    return ""


def work(program, names):
    """Prints a line for each vector of `names` (a child process: OpenVINO may take it down)."""
    table = {n: (m, s) for n, m, s in cases(options.data)}
    with tempfile.TemporaryDirectory() as tmp:
        for name in names:
            model, sets = table[name]
            path = model
            print(f"{name}\tstarted", flush=True)
            if program:
                path = os.path.join(tmp, "model.xml")
                done = subprocess.run([program, "convert", model, "-o", path, "--format", "openvino", "--quiet"], capture_output=True, text=True)
                if done.returncode:
                    print(f"{name}\tconvert: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}", flush=True)
                    continue
            print(f"{name}\t{evaluate(path, onnx.load(model), sets)}", flush=True)


def judge(program, names):
    """{name: reason} over child processes; one that dies fails the vector that it was at."""
    result, left = {}, list(names)
    while left:
        with subprocess.Popen([sys.executable, *sys.argv, "--worker", program or "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
            out, _ = child.communicate("\n".join(left))
        for line in out.splitlines():
            name, tab, reason = line.partition("\t")
            if tab:
                result[name] = "crash" if reason == "started" else reason
        rest = [n for n in left if n not in result]
        if len(rest) == len(left):
            result[rest.pop(0)] = "crash"
        left = rest
    return result


parser = argparse.ArgumentParser()
parser.add_argument("program")
parser.add_argument("data")
parser.add_argument("--match", default="")
parser.add_argument("--every", type=int, default=1, metavar="N", help="take one vector of N only")
parser.add_argument("--list", action="store_true", help="say what fails and why")
parser.add_argument("--own", default="")
parser.add_argument("--least", type=float, default=0.95)
parser.add_argument("--worker", default="")
options = parser.parse_args()
if options.worker:
    work("" if options.worker == "-" else options.program, sys.stdin.read().split())
    sys.exit(0)

every = [n for n, _, _ in cases(options.data)]
names = [n for n in every if options.match in n][::options.every]
if options.own and os.path.exists(options.own):
    with open(options.own) as f:
        right = set(f.read().split())
else:
    right = {n for n, reason in judge("", names).items() if not reason}
    if options.own and names == every:
        with open(options.own, "w") as f:
            f.write("\n".join(sorted(right)) + "\n")
ours = judge(options.program, names)
both = [n for n in names if n in right]
kept = [n for n in both if not ours[n]]
if options.list:
    for n in names:
        if ours[n]:
            print(f"{'LOST' if n in right else 'fails'} {n}: {ours[n]}")
    reasons = collections.Counter(ours[n].split(":")[0] for n in both if ours[n])
    print(dict(reasons))
share = len(kept) / len(both) if both else 1.0
print(f"{'PASS' if share >= options.least else 'FAIL'} openvino-backend: of {len(names)} vectors OpenVINO's own reader gets {len(both)} right, "
      f"of these {len(kept)} ({share:.1%}) as IR, and {sum(not r for r in ours.values())} in all")
sys.exit(share < options.least)
