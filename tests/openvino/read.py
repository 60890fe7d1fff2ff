# SPDX-License-Identifier: Apache-2.0
"""IR that OpenVINO makes of the ONNX backend vectors, read and run by olivine and compared with what OpenVINO itself computes.

    read.py OLIVINE DATA [--match TEXT] [--device CPU] [--least SHARE] [--every N]

A vector counts when OpenVINO converts, saves and runs it. SHARE of those must give the same numbers. Prints one line for each
other. Exit code 77: no OpenVINO here."""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import openvino as ov
    from vectors import cases, load
except ImportError as e:
    print(f"SKIP openvino-read: {e}")
    sys.exit(77)


PLAIN = ("f16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "boolean")  # types that NumPy has


def saved(model, path):
    """The model as IR at path; its inputs' and outputs' names. None when OpenVINO does not convert it."""
    try:
        ov.save_model(ov.Core().read_model(model), path, compress_to_fp16=False)
        return ov.Core().read_model(path)
    except Exception:
        return None


def expected(m, inputs):
    """OpenVINO's own outputs in single precision; None when it does not run."""
    try:
        c = ov.Core().compile_model(m, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        r = c.create_infer_request()
        for port, x in zip(c.inputs, inputs):
            r.set_tensor(port, ov.Tensor(np.ascontiguousarray(x)))
        r.infer()
        if any(o.get_element_type().get_type_name() not in PLAIN for o in c.outputs):
            return None
        return [np.array(r.get_tensor(o).data) for o in c.outputs]
    except Exception:
        return None


def run(program, path, device, m, inputs, folder):
    """olivine's outputs in order, or a message."""
    files = {}
    for i, (p, x) in enumerate(zip(m.get_parameters(), inputs)):
        files[p.get_friendly_name()] = os.path.join(folder, f"in{i}.npy")
        np.save(files[p.get_friendly_name()], x)
    r = subprocess.run([program, "infer", path, "--jsonl", "--output-dir", folder, "--device", device, "--precision", "f32"],
                       input=json.dumps({"inputs": files}) + "\n", capture_output=True, text=True, timeout=60)
    try:
        line = json.loads(r.stdout.splitlines()[0])
        return [np.load(f) for f in line["outputs"].values()], None
    except Exception:
        return None, (r.stderr.strip() or r.stdout.strip() or f"exit code {r.returncode}")[-300:]


def same(have, want):
    if have.shape != want.shape or have.dtype != want.dtype:
        return f"{have.dtype}{list(have.shape)}, {want.dtype}{list(want.shape)} expected"
    a, b = have.astype(np.float64), want.astype(np.float64)
    half = want.dtype.itemsize == 2
    if np.allclose(a, b, rtol=1e-2 if half else 1e-4, atol=1e-3 if half else 1e-5 * max(1, np.abs(b[np.isfinite(b)]).max(initial=0)), equal_nan=True):
        return None
    return f"off by {np.nanmax(np.abs(a - b)):.3g}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("data")
    p.add_argument("--match", default="")
    p.add_argument("--device", default="CPU")
    p.add_argument("--least", type=float, default=0)
    p.add_argument("--every", type=int, default=1, help="look at every N-th vector only")
    a = p.parse_args()
    total, good, why = 0, 0, collections.Counter()
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "m.xml")
        for name, model, sets in list(cases(a.data))[:: a.every]:
            inputs = load(sets[0], "input") if a.match in name else None
            if inputs is None or any(x.dtype.kind not in "fiub" for x in inputs):
                continue
            m = saved(model, path)
            want = expected(m, inputs) if m and len(m.get_parameters()) == len(inputs) else None
            if want is None:
                continue
            total += 1
            try:
                have, message = run(a.program, path, a.device, m, inputs, tmp)
            except Exception as e:
                have, message = None, repr(e)[:200]
            if have is not None and len(have) != len(want):
                message = f"{len(have)} outputs, {len(want)} expected"
            elif have is not None:
                message = next(filter(None, (same(h, w) for h, w in zip(have, want))), None)
            good += message is None
            if message:
                print(f"{name}: {message}", flush=True)
    print(f"openvino-read on {a.device}: {good} of {total} right")
    sys.exit(0 if total and good >= a.least * total else 1)


main()
