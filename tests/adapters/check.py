# SPDX-License-Identifier: Apache-2.0
"""Adapters applied at run time: logits as PEFT has them, by folder kind and by row, and clear refusals."""
import array
import json
import os
import shutil
import struct
import subprocess
import sys

program, tmp, pebble = sys.argv[1:4]
failed = False


def say(ok, name, detail=""):
    global failed
    failed |= not ok
    print(("PASS " if ok else "FAIL ") + "adapters " + name + (": " + detail if detail else ""))


def npy(path):
    data = open(path, "rb").read()
    values = array.array("f")
    values.frombytes(data[10 + struct.unpack_from("<H", data, 8)[0]:])
    return values


def run(args, items=()):
    text = "".join(json.dumps(x) + "\n" for x in items)
    return subprocess.run([program] + args, input=text, capture_output=True, text=True)


def logits(model, ids, *adapters, extra=("--precision", "f32"), item=None):
    out = os.path.join(tmp, "logits")
    args = ["logits", model, "--jsonl", "--output-dir", out] + list(extra)
    for a in adapters:
        args += ["--adapter", a]
    r = run(args, [dict({"ids": ids}, **(item or {}))])
    return npy(out + "/logits_0.npy") if r.returncode == 0 else r.stderr + r.stdout


def distance(a, b):
    if isinstance(a, str) or len(a) != len(b):
        return float("inf")
    return max(abs(x - y) for x, y in zip(a, b))


def find(root, name):
    for folder, names, files in os.walk(root):
        if os.path.basename(folder) == name and "config.json" in files and "adapters" not in folder:
            return folder
    sys.exit("no fixture " + name)


def against_peft():
    root = os.path.join(tmp, "adapters")
    for name in sorted(os.listdir(root)):
        base, adapter = find(tmp, name), os.path.join(root, name)
        ids = json.load(open(base + "/golden/prompts.json"))["prompts"][1]
        golden = npy(adapter + "/logits.npy")
        got = logits(base, ids, adapter)
        d = distance(got, golden)
        say(d < 2e-3, "logits/" + name, got.strip() if isinstance(got, str) else "largest deviation %.1e" % d)
        if name in ("qwen2", "phi3", "llama-gqa-llama3rope"):
            out = os.path.join(tmp, "og-" + name)
            r = run(["auto-opt", "-m", base, "-o", out, "--use_ort_genai", "--precision", "fp32", "--force"])
            got = logits(out, ids, adapter) if r.returncode == 0 else r.stderr
            d = distance(got, golden)
            say(d < 2e-3, "onnx/" + name, got.strip() if isinstance(got, str) else "largest deviation %.1e" % d)
            got = logits(out, ids, adapter + "=0")
            say(distance(got, npy(base + "/golden/logits_1.npy")) < 2e-3, "scale-0/" + name)


def greedy(extra, name, wrong):
    lines = [json.loads(x) for x in open(os.path.join(tmp, "lora", "golden.jsonl"))]
    items = [{"messages": [{"role": "user", "content": x["prompt"]}], "max_new_tokens": 32, "adapter": a} for x in lines for a in ("lora", None)]
    r = run(["generate", pebble, "--jsonl", "--greedy", "--adapter", os.path.join(tmp, "lora")] + extra, items)
    got = [json.loads(x) for x in r.stdout.splitlines()]
    if len(got) != len(items):
        return say(False, name, r.stderr.strip())
    bad = 0
    for i, x in enumerate(lines):
        for k, key in enumerate(("with_ids", "without_ids")):
            n = min(len(x[key]), len(got[2 * i + k].get("ids", [])))
            bad += n < min(len(x[key]), 32) or got[2 * i + k]["ids"][:n] != x[key][:n]
    say(bad <= wrong, name, "%d of %d texts differ" % (bad, len(items)))


def mixing():
    ids, lora = [1, 495, 273, 206, 391, 297, 270, 468, 303, 448, 296, 94, 309, 38, 2, 206, 1, 72, 997, 80, 306, 1682, 206], os.path.join(tmp, "lora")
    other = os.path.join(tmp, "other")
    shutil.copytree(lora, other)
    d = distance(logits(pebble, ids, lora), npy(lora + "/logits.npy"))
    say(d < 2e-3, "pebble/logits", "largest deviation %.1e" % d)
    halves, whole = logits(pebble, ids, lora + "=0.5", other + "=0.5"), logits(pebble, ids, lora)
    say(distance(halves, whole) < 2e-3, "two halves are one whole")
    chosen = logits(pebble, ids, lora, other, item={"adapter": "other=2"})
    say(distance(chosen, logits(pebble, ids, other + "=2")) == 0, "a line chooses")
    say(distance(logits(pebble, ids, lora, item={"adapter": None}), logits(pebble, ids)) == 0, "a line without")
    one, two = logits(pebble, ids, lora, extra=("--threads", "1", "--weights", "int4")), logits(pebble, ids, lora, extra=("--threads", "2", "--weights", "int4"))
    say(distance(one, two) == 0, "the same bits on one and two threads")


def refused():
    lora = os.path.join(tmp, "lora")
    cases = {"use_dora": True, "modules_to_save": ["lm_head"], "bias": "all", "peft_type": "IA3", "r": 16, "lora_alpha": "x",
             "alora_invocation_tokens": [1, 2], "rank_pattern": {"(": 4}, "alpha_pattern": {"(a+)+b": 3, "q_proj": -1}, "kasa_config": {"x": 1}}
    for key, value in cases.items():
        folder = os.path.join(tmp, "bad")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(lora, folder)
        config = json.load(open(folder + "/adapter_config.json"))
        config[key] = value
        json.dump(config, open(folder + "/adapter_config.json", "w"))
        r = run(["generate", pebble, "-p", "x", "--adapter", folder])
        word = "rank" if key == "r" else key.replace("alora_invocation_tokens", "aLoRA")
        say(r.returncode in (1, 2, 3) and word in r.stderr, "refused/" + key, r.stderr.strip())
    data = open(lora + "/adapter_model.safetensors", "rb").read()
    for name, bad in (("short", data[:3000]), ("empty", b""), ("renamed", data.replace(b"q_proj", b"z_proj"))):
        open(folder + "/adapter_model.safetensors", "wb").write(bad)
        shutil.copy(lora + "/adapter_config.json", folder)
        r = run(["generate", pebble, "-p", "x", "--adapter", folder])
        say(r.returncode in (1, 3) and folder in r.stderr, "refused/" + name, r.stderr.strip())
    r = run(["generate", find(tmp, "qwen2"), "-p", "x", "--adapter", lora])
    say(r.returncode in (1, 3) and "module" in r.stderr, "refused/another model", r.stderr.strip())


against_peft()
greedy(["--precision", "f32"], "pebble/tokens", 0)
greedy(["--weights", "int8"], "pebble/tokens-int8", 6)
mixing()
refused()
sys.exit(failed)
