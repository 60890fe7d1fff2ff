# SPDX-License-Identifier: Apache-2.0
"""Scores of folders written with --qdq in onnxruntime, against ours and against those of the folder with MatMulNBits."""
import json
import os
import subprocess
import sys

import numpy as np
import onnxruntime as ort

PROGRAM, MODEL, TMP = sys.argv[1:4]
IDS = [339, 76, 347, 265, 1251, 17, 45, 99]
CASES = ["int8 --group-size -1", "int4 --group-size -1", "int4", "int4 --asym", "int8 --asym --group-size 64"]


def ours(folder):
    out = os.path.join(TMP, "logits")
    os.makedirs(out, exist_ok=True)
    subprocess.run([PROGRAM, "logits", folder, "--jsonl", "--output-dir", out, "--precision", "f32", "--no-cache"],
                   input=json.dumps({"ids": IDS}) + "\n", text=True, check=True, stdout=subprocess.DEVNULL)
    return np.load(os.path.join(out, "logits_0.npy"))


def theirs(folder):
    options = ort.SessionOptions()  # its optimizer makes products with 8-bit activations of the form
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(os.path.join(folder, "model.onnx"), options, providers=["CPUExecutionProvider"])
    feeds = {}
    for i in session.get_inputs():
        if i.name == "input_ids":
            feeds[i.name] = np.array([IDS], np.int64)
        elif i.name == "attention_mask":
            feeds[i.name] = np.ones((1, len(IDS)), np.int64)
        else:
            feeds[i.name] = np.zeros([1, i.shape[1], 0, i.shape[3]], np.float32)
    return session.run(["logits"], feeds)[0][0]


def main():
    failed = False
    for n, case in enumerate(CASES):
        folders = []
        for form in ["--qdq", "--no-qdq"]:
            folders.append(os.path.join(TMP, f"model{n}{form}"))
            subprocess.run([PROGRAM, "auto-opt", "-m", MODEL, "-o", folders[-1], "--quiet", "--int4-accuracy-level", "1", form,
                            "--precision"] + case.split(), check=True, stdout=subprocess.DEVNULL)
        count = open(os.path.join(folders[0], "model.onnx"), "rb").read().count(b"DequantizeLinear")
        a, b, c = theirs(folders[0]), ours(folders[0]), ours(folders[1])
        good = count > 20 and np.abs(a - b).max() < 1e-3 and np.abs(b - c).max() < 1e-3
        failed |= not good
        print(("PASS qdq " if good else "FAIL qdq ") + case.replace(" ", "_") +
              ("" if good else f": {count} operators, {np.abs(a - b).max()} from onnxruntime, {np.abs(b - c).max()} from MatMulNBits"))
    return failed


sys.exit(main())
