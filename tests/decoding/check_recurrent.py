#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generation with recurrent states, which cannot be cut: beams are those of transformers; kept prompts, prompts in files and
guesses change no token. A draft model with such states is refused."""
import json
import os
import subprocess
import sys
import tempfile

olivine, root = sys.argv[1:3]
KINDS = {"mamba", "mamba2", "falcon_h1", "lfm2", "qwen3_next", "rwkv"}  # one of each kind of layer
failed = 0


def call(model, lines, *options):
    return subprocess.run([olivine, "generate", model, "--jsonl", "--precision", "f32", *options],
                          input="".join(json.dumps(l) + "\n" for l in lines).encode(), capture_output=True)


def run(model, lines, *options):
    p = call(model, lines, *options)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    return out if len(out) == len(lines) else sys.exit("FAIL decoding/recurrent: %d %s" % (p.returncode, p.stderr.decode()))


def check(name, good, note=""):
    global failed
    failed += not good
    print("%s decoding/recurrent/%s%s" % ("PASS" if good else "FAIL", name, " (%s)" % note if note else ""))


def same(out, want):
    return all("ids" in a and a["ids"] == b["ids"] for a, b in zip(out, want))


def total(out, key):
    return sum(o.get(key, 0) for o in out)


def check_beams(name, model, golden):
    lines = [{"ids": g["prompt"], "num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 16, "ignore_eos": True} for g in golden]
    good = True
    for o, g in zip(run(model, lines), golden):
        found = o.get("sequences", [])
        good &= len(found) == 3
        for s, ids, score in zip(found, g["sequences"], g["scores"]):
            near = min(abs(score - other) for other in g["scores"] if other != score) < 1e-4
            good &= abs(s["score"] - score) < 1e-4 and (s["ids"] == ids or near)
    return good


def check_prompts(model, text):
    """A conversation that grows, the same prompt again, one that leaves it, short ones between."""
    ends = [20, 20, 33, 60, 61, 10, 61, 90, 40, 90]
    lines = [{"ids": text[:n], "max_new_tokens": 9, "seed": n, "do_sample": n == 61, "ignore_eos": True} for n in ends]
    lines.append({"ids": text[:40] + text[:10], "max_new_tokens": 9, "ignore_eos": True})
    lines.append({"ids": text[:40] + text[:11], "max_new_tokens": 9, "num_beams": 2, "ignore_eos": True})
    out, fresh = run(model, lines), run(model, lines, "--no-prompt-reuse")
    return same(out, fresh) and total(fresh, "reused_tokens") == 0, total(out, "reused_tokens")


def check_file(model, text, tmp):
    path = os.path.join(tmp, "prompt")
    first, longer = [{"ids": text[:50], "max_new_tokens": 9}], [{"ids": text[:70], "max_new_tokens": 9}]
    want = run(model, first + longer, "--no-prompt-reuse")
    good = same(run(model, first, "--prompt-cache", path), want[:1])
    for lines, w, reused in ((first, want[:1], 49), (longer, want[1:], 49), (longer, want[1:], 69)):
        out = run(model, lines, "--prompt-cache", path)
        good &= same(out, w) and total(out, "reused_tokens") == reused
    with open(path, "rb") as f:
        data = f.read()
    for bad in (data[:-1], data[:40], data + b"x"):
        with open(path, "wb") as f:
            f.write(bad)
        good &= "error" in run(model, first, "--prompt-cache", path)[0]
    os.remove(path)
    return good


def check_guesses(model, text):
    lines = [{"ids": text[:n] * 2 + text[:5], "max_new_tokens": 40, "seed": n, "do_sample": n == 12, "ignore_eos": True} for n in (5, 12, 24)]
    out = run(model, [{**l, "prompt_lookup_num_tokens": 6, "max_ngram_size": 2} for l in lines])
    return same(out, run(model, lines)), "%d of %d guesses right" % (total(out, "accepted_tokens"), total(out, "drafted_tokens"))


with tempfile.TemporaryDirectory() as tmp:
    subprocess.run(["tar", "-xJf", root + "/tests/data/llm-recurrent.tar.xz", "-C", tmp], check=True)
    with open(root + "/tests/data/recurrent-beams.json") as f:
        beams = json.load(f)
    for name in sorted(os.listdir(tmp + "/llm")):
        model = os.path.join(tmp, "llm", name)
        with open(model + "/golden/greedy.json") as f:
            greedy = json.load(f)
        text = [t for g in greedy for t in g["tokens"]]
        if name in beams:
            check(name + "/beams", check_beams(name, model, beams[name]))
        if name not in KINDS:
            continue
        good, reused = check_prompts(model, text)
        check(name + "/prompts", good and reused > 200, "%d tokens not computed again" % reused)
        check(name + "/file", check_file(model, text, tmp))
        check(name + "/guesses", *check_guesses(model, text))
    p = call(tmp + "/llm/qwen3_next", [{"ids": [5, 6, 7]}], "--draft-model", tmp + "/llm/mamba")
    check("draft model", p.returncode != 0 and b"recurrent" in p.stderr + p.stdout)
sys.exit(failed > 0)
