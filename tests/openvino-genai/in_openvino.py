# SPDX-License-Identifier: Apache-2.0
"""Folders that olivine writes for OpenVINO GenAI, run by openvino_genai.LLMPipeline in single precision.

    in_openvino.py OLIVINE DATA [--families A,B,...] [--precisions fp32,int4,...] [--model FOLDER]

DATA is a folder with one folder for each family, or llm.tar.xz. Float folders must give the golden tokens, compressed ones
those that olivine gives for the same folder; a difference counts where the scores leave no doubt. FOLDER (models/pebble) is
run with a text. Exit code 77: no openvino_genai here."""
import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile

try:
    import numpy as np
    import openvino as ov
    import openvino_genai as genai
except ImportError as e:
    print(f"SKIP openvino-genai/pipeline: {e}")
    sys.exit(77)

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
DOUBT = 2e-3  # margin of scores below which two runtimes may choose differently
TEXT = "Once upon a time"


def olivine(binary, *args, lines=()):
    r = subprocess.run([binary, *args], input="".join(json.dumps(x) + "\n" for x in lines), capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(f"olivine {args[0]}: {r.stderr.strip()}")
    return [json.loads(x) for x in r.stdout.splitlines()] if lines else r.stdout


def settings(n):
    c = genai.GenerationConfig()
    c.max_new_tokens, c.do_sample, c.ignore_eos, c.apply_chat_template = n, False, True, False
    return c


def peer_tokens(pipe, ids, n):
    x = np.array([ids], dtype=np.int64)
    return list(pipe.generate(genai.TokenizedInputs(ov.Tensor(x), ov.Tensor(np.ones_like(x))), settings(n)).tokens[0])


def margin(binary, folder, ids, tmp):
    out = olivine(binary, "logits", folder, "--jsonl", "--precision", "f32", "--output-dir", tmp, lines=[{"ids": ids}])
    best = np.sort(np.load(out[0]["file"])[-1])[-2:]
    return float(best[1] - best[0])


def differs(binary, folder, ids, want, got, tmp):
    """Place of the first difference that scores do not excuse, or None."""
    k = next((i for i, w in enumerate(want) if i >= len(got) or got[i] != w), None)
    if k is None or (len(got) > k and margin(binary, folder, ids + want[:k], tmp) < DOUBT):
        return None
    return k


def family(binary, source, precision, tmp):
    out = os.path.join(tmp, "out")
    olivine(binary, "auto-opt", "-m", source, "-o", out, "--format", "openvino", "--precision", precision, "--force", "--quiet")
    pipe = genai.LLMPipeline(out, "CPU", **EXACT)
    prompts = json.load(open(os.path.join(source, "golden", "prompts.json")))["prompts"]
    golden = json.load(open(os.path.join(source, "golden", "greedy.json")))
    bad = []
    for ids, g in zip(prompts, golden):
        n = 24
        if precision == "fp32":
            want = g["tokens"][:n]
        else:
            ask = {"ids": ids, "max_new_tokens": n, "ignore_eos": True, "do_sample": False}
            want = olivine(binary, "generate", out, "--jsonl", "--precision", "f32", lines=[ask])[0]["ids"]
        k = differs(binary, out, ids, want, peer_tokens(pipe, ids, n), tmp)
        if k is not None:
            bad.append(f"prompt of {len(ids)}: token {k}")
    return bad


def text(binary, source, precision, tmp):
    """A text through the tokenizer's models of the folder."""
    out = os.path.join(tmp, "out")
    olivine(binary, "auto-opt", "-m", source, "-o", out, "--format", "openvino", "--precision", precision, "--force", "--quiet")
    got = str(genai.LLMPipeline(out, "CPU", **EXACT).generate(TEXT, settings(24)))
    ask = {"prompt": TEXT, "max_new_tokens": 24, "ignore_eos": True, "do_sample": False}
    want = olivine(binary, "generate", out, "--jsonl", "--precision", "f32", lines=[ask])[0]["text"]
    return [] if got == want else [f"text {got!r}, expected {want!r}"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("olivine")
    p.add_argument("data")
    p.add_argument("--families", default="llama2-mha,gemma2,phi,mistral")
    p.add_argument("--precisions", default="fp32,fp16,int8,int4")
    p.add_argument("--model")
    a = p.parse_args()
    good = total = 0
    with tempfile.TemporaryDirectory() as tmp:
        data = a.data
        if tarfile.is_tarfile(data) if os.path.isfile(data) else False:
            tarfile.open(data).extractall(tmp, filter="data")
            data = os.path.join(tmp, "llm")
        jobs = [(family, os.path.join(data, f)) for f in a.families.split(",")] + ([(text, a.model)] if a.model else [])
        for run, source in jobs:
            for precision in a.precisions.split(","):
                try:
                    bad = run(a.olivine, source, precision, tmp)
                except RuntimeError as e:
                    bad = [str(e)]
                total += 1
                good += not bad
                for b in bad:
                    print(f"FAIL openvino-genai/pipeline: {os.path.basename(source)} {precision}: {b}")
    if good == total:
        print(f"PASS openvino-genai/pipeline: {total} folders give the expected tokens")
    return good < total


sys.exit(main())
