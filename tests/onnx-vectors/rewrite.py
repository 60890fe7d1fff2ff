# SPDX-License-Identifier: Apache-2.0
"""ONNX models written again by olivine: accepted by the checker of ONNX, loaded by onnxruntime, same outputs as before.

usage: rewrite.py OLIVINE FOLDER [opset ...]   (FOLDER: models anywhere below, with X.golden.npz and inputs.npz beside them,
or with test_data_set_0/*.pb; opset 0: the newest)"""
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

ort.set_default_logger_severity(4)


def cases(root):
    """path, inputs by name, golden outputs in order (None: as onnxruntime gives for the model as it was)"""
    for path in sorted(glob.glob(os.path.join(root, "**", "*.onnx"), recursive=True)):
        golden, data = path[:-5] + ".golden.npz", os.path.join(os.path.dirname(path), "test_data_set_0")
        graph = onnx.load(path, load_external_data=False).graph
        names = [i.name for i in graph.input if i.name not in {t.name for t in graph.initializer}]
        if os.path.exists(golden):
            given = np.load(os.path.join(os.path.dirname(path), "inputs.npz"))
            yield path, {n: given[n] for n in names}, list(np.load(golden).values())
        elif os.path.isdir(data):
            try:
                load = lambda stem: [numpy_helper.to_array(onnx.load_tensor(p)) for p in sorted(glob.glob(os.path.join(data, stem + "_*.pb")), key=lambda p: int(p.split("_")[-1][:-3]))]  # noqa: E731
                yield path, dict(zip([i.name for i in graph.input], load("input"))), load("output")
            except Exception:  # sequences, optionals
                continue


def accepted(path):
    """Whether the checker takes the model as it was: its own inference refuses some."""
    try:
        onnx.checker.check_model(path, full_check=True)
        return True
    except Exception:
        return False


def run(path, inputs):
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, inputs)


def off(a, b):
    if a.shape != b.shape:
        return float("inf")
    if a.dtype == object or a.dtype.kind in "US":
        return 0.0 if (a.astype(str) == b.astype(str)).all() else float("inf")
    a, b = a.astype("f8"), b.astype("f8")
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    d = np.where(same, 0, np.abs(np.nan_to_num(a, posinf=1e30, neginf=-1e30) - np.nan_to_num(b, posinf=1e30, neginf=-1e30)))
    return float(d.max() / max(1e-6, np.abs(b[np.isfinite(b)]).max() if np.isfinite(b).any() else 1)) if a.size else 0.0


def main():
    olivine, root = sys.argv[1:3]
    bad = False
    for opset in [int(v) for v in sys.argv[3:]] or [0]:
        count = {"same": 0, "refused by olivine": 0, "not run by onnxruntime before": 0, "WRONG": 0}
        for path, inputs, golden in cases(root):
            # half precision and roundings to 8 bits are not the same in every order of operations
            limit = 2e-3 if ".fp16" in path else 2e-2 if "int8" in path else 2e-4
            with tempfile.TemporaryDirectory() as t:
                out = os.path.join(t, "m.onnx")
                r = subprocess.run([olivine, "convert", path, "-o", out] + (["--opset", str(opset)] if opset else []), capture_output=True, text=True)
                if r.returncode:
                    count["refused by olivine"] += 1
                    if "-v" in os.environ.get("REWRITE", ""):
                        print(opset, r.stderr.strip()[-200:])
                    continue
                try:
                    m = onnx.load(out, load_external_data=False)
                    private = any(o.domain not in ("", "ai.onnx", "ai.onnx.ml") for o in m.opset_import)
                    onnx.checker.check_model(out, full_check=not private and accepted(path))
                    got = run(out, inputs)
                    error = max([off(a, b) for a, b in zip(got, golden)] or [0])
                    if error > 2e-4 and len(got) == len(golden):
                        before = run(path, inputs)
                        error = max([off(a, b) for a, b in zip(got, before)] or [0])
                    text = "off by %.1e" % error
                except Exception as e:
                    error, text = float("inf"), str(e).replace("\n", " ")[:230]
                if error > limit:
                    try:
                        run(path, inputs)
                    except Exception:
                        count["not run by onnxruntime before"] += 1
                        continue
                    print("opset %d: %s: %s" % (opset, os.path.relpath(path, root), text))
                    count["WRONG"] += 1
                    bad = True
                else:
                    count["same"] += 1
        print("opset %s: %s" % (opset or "newest", ", ".join("%d %s" % (v, k) for k, v in count.items())))
    return bad


if __name__ == "__main__":
    sys.exit(main())
