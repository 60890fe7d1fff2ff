# SPDX-License-Identifier: Apache-2.0
"""Logits and tokens of GGUF files against golden ones, and of files that were written here. Prints PASS and FAIL lines."""
import array
import json
import os
import struct
import subprocess
import sys

program, root, tmp = sys.argv[1:4]
failed = False


def say(ok, name, detail=""):
    global failed
    failed |= not ok
    print(("PASS " if ok else "FAIL ") + "gguf " + name + (": " + detail if detail else ""))


def npy(path):
    data = open(path, "rb").read()
    start = 10 + struct.unpack_from("<H", data, 8)[0]
    values = array.array("f")
    values.frombytes(data[start:])
    return values


def run(args, text=None):
    return subprocess.run([program] + args, input=text, capture_output=True, text=True)


def distance(model, prompts, golden):
    out = os.path.join(tmp, "logits")
    lines = "".join(json.dumps({"ids": p}) + "\n" for p in prompts)
    r = run(["logits", model, "--jsonl", "--output-dir", out, "--precision", "f32"], lines)
    if r.returncode:
        return float("inf"), r.stderr.strip()
    worst = 0.0
    for i in range(len(prompts)):
        a, b = npy("%s/logits_%d.npy" % (out, i)), npy(golden % i)
        if len(a) != len(b):
            return float("inf"), "%d values, expected %d" % (len(a), len(b))
        worst = max(worst, max(abs(x - y) for x, y in zip(a, b)))
    return worst, "largest deviation %.1e" % worst


def greedy(model, prompts, golden):
    """Steps that differ where the golden margin is above what f32 rounding can turn."""
    want = json.load(open(golden))
    lines = "".join(json.dumps({"ids": p}) + "\n" for p in prompts)
    n = len(want[0]["tokens"])
    r = run(["generate", model, "--jsonl", "--greedy", "--ignore-eos", "--precision", "f32", "--max-new-tokens", str(n)], lines)
    got = [json.loads(line).get("ids", []) for line in r.stdout.splitlines()]
    if len(got) != len(want):
        return False, "%d answers, expected %d %s" % (len(got), len(want), r.stderr.strip())
    for i, (a, w) in enumerate(zip(got, want)):
        for k, token in enumerate(w["tokens"]):
            if k >= len(a) or a[k] != token:
                if w["margins"][k] <= 2e-3:
                    break
                return False, "prompt %d, step %d" % (i, k)
    return True, "%d tokens each" % n


for name in sorted(os.listdir(root)):
    folder = os.path.join(root, name)
    prompts = json.load(open(folder + "/prompts.json"))
    prompts = prompts["prompts"] if isinstance(prompts, dict) else prompts
    for kind in ("F32", "Q8_0", "Q4_0"):
        model = "%s/%s-%s.gguf" % (folder, name, kind)
        if not os.path.exists(model):
            continue
        worst, text = distance(model, prompts, folder + "/logits_" + kind + "_%d.npy")
        say(worst <= 2e-3, name + " " + kind, text)
        same, text = greedy(model, prompts, folder + "/greedy_" + kind + ".json")
        say(same, name + " " + kind + " greedy", text)
    r = run(["tokenize", model, "Hello world, it's 2024!"])
    say(r.returncode == 0 and r.stdout.strip() != "", name + " tokenizer", r.stderr.strip())
    cut = os.path.join(tmp, "cut.gguf")
    data = open(model, "rb").read()
    for size in (0, 4, 23, 24, 100, len(data) // 2, len(data) - 1):
        open(cut, "wb").write(data[:size])
        r = run(["inspect", cut])
        good = r.returncode in (1, 3) and r.stderr.startswith("olivine: error:")
        say(good, "%s cut to %d bytes" % (name, size), "" if good else "exit code %d" % r.returncode)

folders = os.path.join(tmp, "llm")
for name in sorted(os.listdir(folders)) if os.path.isdir(folders) else []:
    folder = os.path.join(folders, name)
    model = os.path.join(tmp, name + ".gguf")
    r = run(["convert", folder, "-o", model, "--outtype", "f32"])
    if r.returncode == 3:
        say(not os.path.exists(model), name + " refused", r.stderr.strip()[-100:])
        continue
    if r.returncode:
        say(False, name + " written", r.stderr.strip())
        continue
    prompts = json.load(open(folder + "/golden/prompts.json"))["prompts"]
    worst, text = distance(model, prompts, folder + "/golden/logits_%d.npy")
    say(worst <= 2e-3, name + " written and read", text)
    text = "Hello  world, it's 2024!\n été 你好"
    a, b = run(["tokenize", folder, text]), run(["tokenize", model, text])
    say(a.returncode == 0 and a.stdout == b.stdout, name + " tokens as in the folder", b.stderr.strip())
    os.remove(model)
sys.exit(failed)
