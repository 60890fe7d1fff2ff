# SPDX-License-Identifier: Apache-2.0
"""Safetensors folders and ONNX folders that olivine convert writes."""
import array
import json
import os
import struct
import subprocess
import sys

program, tmp, pebble = sys.argv[1:4]
failed = False
ids = [1, 495, 273, 206, 391, 297, 270, 468, 303, 448]


def say(ok, name, detail=""):
    global failed
    failed |= not ok
    print(("PASS " if ok else "FAIL ") + "convert " + name + (": " + detail if detail else ""), flush=True)


def run(*args, text=None):
    return subprocess.run([program] + list(args), input=text, capture_output=True, text=True)


def npy(path):
    data = open(path, "rb").read()
    values = array.array("f")
    values.frombytes(data[10 + struct.unpack_from("<H", data, 8)[0]:])
    return values


def logits(model, prompt=ids):
    out = os.path.join(tmp, "logits")
    r = run("logits", model, "--jsonl", "--output-dir", out, "--precision", "f32", text=json.dumps({"ids": prompt}) + "\n")
    return npy(out + "/logits_0.npy") if r.returncode == 0 else r.stderr + r.stdout


def distance(a, b):
    if isinstance(a, str) or isinstance(b, str) or len(a) != len(b):
        return float("inf")
    return max(abs(x - y) for x, y in zip(a, b))


def tensors(folder):
    """name -> (type, shape, bytes) of all files, checking that data tile the files exactly."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".safetensors"):
            continue
        data = open(os.path.join(folder, name), "rb").read()
        n = struct.unpack_from("<Q", data)[0]
        header = json.loads(data[8:8 + n])
        header.pop("__metadata__", None)
        at = 0
        for key, t in sorted(header.items(), key=lambda x: x[1]["data_offsets"]):
            first, end = t["data_offsets"]
            assert first == at and n % 8 == 0, (name, key)
            found[key] = (t["dtype"], t["shape"], data[8 + n + first:8 + n + end])
            at = end
        assert at == len(data) - 8 - n, name
    return found


def safetensors():
    source = tensors(pebble)
    out = os.path.join(tmp, "same")
    r = run("convert", pebble, "-o", out, "--format", "safetensors")
    say(r.returncode == 0 and tensors(out) == source, "as-is keeps every bit", r.stderr)
    missing = [f for f in os.listdir(pebble) if f.startswith(("config", "tokenizer", "generation", "chat_template")) and not os.path.exists(os.path.join(out, f))]
    say(not missing, "companions", str(missing))
    say(run("convert", pebble, "-o", out, "--format", "safetensors").returncode == 1, "a folder that is not empty is refused")
    golden = logits(pebble)
    for kind, bound in (("f32", 1e-6), ("f16", 0.2), ("bf16", 2.0)):
        out = os.path.join(tmp, kind)
        r = run("convert", pebble, "-o", out, "--format", "safetensors", "--outtype", kind, "--max-shard-mb", "1")
        d = distance(logits(out), golden) if r.returncode == 0 else float("inf")
        got = tensors(out) if r.returncode == 0 else {}
        index = json.load(open(out + "/model.safetensors.index.json")) if got else {"weight_map": {}}
        say(d <= bound and {t[0] for t in got.values()} == {kind.upper()}, kind, r.stderr or "largest deviation %.1e" % d)
        say(set(index["weight_map"]) == set(source) and len(set(index["weight_map"].values())) > 1, kind + " in shards")
        config = json.load(open(out + "/config.json")) if got else {}
        say(config.get("dtype", config.get("torch_dtype")) == {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}[kind], kind + " in the config")
    say(not [f for f in os.listdir(tmp) if ".part-" in f], "no unfinished folder is left")
    r = run("convert", os.path.join(tmp, "none"), "-o", os.path.join(tmp, "x"), "--format", "safetensors")
    say(r.returncode == 1 and not os.path.exists(os.path.join(tmp, "x")), "no model")
    for bad in (("--outtype", "q8_0"), ("--outtype", "f8"), ("--max-shard-mb", "-1")):
        say(run("convert", pebble, "-o", os.path.join(tmp, "x"), "--format", "safetensors", *bad).returncode == 2, "refused " + " ".join(bad))


def versions():
    """The version of an ONNX file's form: its first field, before the opset's."""
    digits = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "data", "digits", "digits.onnx")
    out = os.path.join(tmp, "digits.onnx")
    for more, version in (((), 8), (("--ir-version", "10"), 10), (("--ir-version", "7"), 7)):
        r = run("convert", digits, "-o", out, "--format", "onnx", "--opset", "17", *more)
        say(r.returncode == 0 and open(out, "rb").read(2) == bytes((8, version)), "ONNX file of IR version %d" % version, r.stderr.strip())
    before = open(out, "rb").read()
    r = run("convert", digits, "-o", out, "--format", "onnx", "--ir-version", "3")
    say(r.returncode == 3 and "4 to 13" in r.stderr and open(out, "rb").read() == before, "IR version 3 is refused and harms nothing")


def find(name):
    for folder, _, files in os.walk(tmp):
        if os.path.basename(folder) == name and "config.json" in files:
            return folder
    sys.exit("no fixture " + name)


def with_transformers():
    try:
        import torch
        from transformers import AutoModelForCausalLM
    except ImportError:
        return print("SKIP convert transformers: Python has no torch and transformers")
    for name, kind in (("qwen3", "f32"), ("phi3", "bf16"), ("gpt2", "f32"), ("mixtral", "f16")):
        source = find(name)
        out = os.path.join(tmp, "hf-" + name)
        r = run("convert", source, "-o", out, "--format", "safetensors", "--outtype", kind, "--max-shard-mb", "1")
        prompt = json.load(open(source + "/golden/prompts.json"))["prompts"][1]
        with torch.no_grad():
            got = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, attn_implementation="eager").eval()(torch.tensor([prompt])).logits[0]
        d = distance(array.array("f", got.flatten().tolist()), npy(source + "/golden/logits_1.npy"))
        say(r.returncode == 0 and d < {"f32": 2e-3, "f16": 0.2, "bf16": 2.0}[kind], "transformers reads %s in %s" % (name, kind), "largest deviation %.1e" % d)


def with_onnxruntime():
    try:
        import numpy
        import onnxruntime
    except ImportError:
        return print("SKIP convert onnxruntime: Python has no onnxruntime")
    for name in ("pebble", "qwen2", "gemma2"):
        source = pebble if name == "pebble" else find(name)
        prompt = ids if name == "pebble" else json.load(open(source + "/golden/prompts.json"))["prompts"][1]
        golden = logits(source, prompt)
        for kind, bound in (("f32", 2e-3), ("f16", 0.25)):
            out = os.path.join(tmp, "onnx-%s-%s" % (name, kind))
            r = run("convert", source, "-o", out, "--format", "onnx", "--outtype", kind)
            if r.returncode:
                say(False, "onnx/%s-%s" % (name, kind), r.stderr.strip())
                continue
            session = onnxruntime.InferenceSession(out + "/model.onnx", providers=["CPUExecutionProvider"])
            feed = {"input_ids": numpy.array([prompt], numpy.int64), "attention_mask": numpy.ones((1, len(prompt)), numpy.int64),
                    "position_ids": numpy.arange(len(prompt), dtype=numpy.int64)[None]}
            wanted = {i.name: i for i in session.get_inputs()}
            feed = {k: v for k, v in feed.items() if k in wanted}
            for key, i in wanted.items():
                if key.startswith("past"):
                    shape = [1 if k == 0 else 0 if k == 2 else d for k, d in enumerate(i.shape)]
                    feed[key] = numpy.zeros(shape, numpy.float16 if "16" in i.type else numpy.float32)
            got = session.run(["logits"], feed)[0].astype(numpy.float32)
            got = array.array("f", got[0].flatten().tolist())
            say(distance(got, golden) < bound, "onnxruntime runs %s in %s" % (name, kind), "largest deviation %.1e" % distance(got, golden))


safetensors()
versions()
with_transformers()
with_onnxruntime()
sys.exit(failed)
