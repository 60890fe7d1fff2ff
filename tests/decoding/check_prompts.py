#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prompts that are not computed again: with the last prompt kept in memory, and with its state in a file, tokens are those
of a fresh process; files that do not fit are refused."""
import json
import os
import random
import subprocess
import sys
import tempfile

olivine, root = sys.argv[1:3]
model = root + "/models/pebble"
failed = 0


def run(lines, *options):
    p = subprocess.run([olivine, "generate", model, "--jsonl", *options],
                       input="".join(json.dumps(l) + "\n" for l in lines).encode(), capture_output=True)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    return out if len(out) == len(lines) else sys.exit("FAIL decoding/prompts: %d %s" % (p.returncode, p.stderr.decode()))


def check(name, good, note=""):
    global failed
    failed += not good
    print("%s decoding/prompts/%s%s" % ("PASS" if good else "FAIL", name, " (%s)" % note if note else ""))


def same(name, lines, out, want, least):
    differ = [i for i, (a, b) in enumerate(zip(out, want)) if a.get("ids") != b.get("ids") or "ids" not in a]
    reused = sum(o.get("reused_tokens", 0) for o in out)
    check(name, not differ and reused >= least, "%d of %d prompt tokens not computed again%s" %
          (reused, sum(o.get("prompt_tokens", 0) for o in out), " differ: %s" % differ if differ else ""))


golden = [json.loads(l) for l in open(root + "/models/pebble/golden.jsonl", encoding="utf-8")]
chat, lines = [], []
for g in golden[:6]:
    chat = chat + [{"role": "user", "content": g["prompt"]}]
    lines.append({"messages": chat, "max_new_tokens": 40})
    chat = chat + [{"role": "assistant", "content": g["answer"]}]
same("chat turns", lines, run(lines), run(lines, "--no-prompt-reuse"), 200)

rng, lines = random.Random(5), []
ids = [i for g in golden[:12] for i in g["prompt_ids"] + g["answer_ids"]][:420]
for n in [17, 18, 16, 17, 33, 64, 65, 65, 64, 128, 127, 10, 200, 400, 399, 410, 300, 1, 30]:
    tail = [] if n < 100 else [rng.randrange(8, 2000) for _ in range(rng.randrange(3))]
    lines.append({"ids": ids[:n] + tail, "max_new_tokens": 12, "seed": n, "do_sample": n % 3 == 0, "prompt_lookup_num_tokens": n % 5,
                  **({"num_beams": 3, "do_sample": False} if n in (33, 128) else {})})
same("common beginnings", lines, run(lines), run(lines, "--no-prompt-reuse"), 1000)
for kind in ("f16", "int8"):
    same("cache of " + kind, lines, run(lines, "--kv-cache", kind), run(lines, "--no-prompt-reuse", "--kv-cache", kind), 1000)

with tempfile.TemporaryDirectory() as tmp:
    path = tmp + "/prompt"
    long, longer = [{"ids": ids[:300], "max_new_tokens": 12}], [{"ids": ids[:330], "max_new_tokens": 12}]
    want = run(long + longer, "--no-prompt-reuse")
    same("file written", long, run(long, "--prompt-cache", path), want[:1], 0)
    before = open(path, "rb").read()
    same("file read", long, run(long, "--prompt-cache", path), want[:1], 299)
    check("file left as it is", open(path, "rb").read() == before)
    same("file grown", longer, run(longer, "--prompt-cache", path), want[1:], 300)
    same("file of the longer prompt", longer, run(longer, "--prompt-cache", path), want[1:], 329)
    good, bad = open(path, "rb").read(), 0
    damaged = [good[:k] for k in (0, 7, 24, 100, 24 + 330 * 8, len(good) - 1)] + [good + b"x", b"x" * 100]
    damaged += [good[:16] + (2 ** 60).to_bytes(8, "little") + good[24:], good[:24] + b"\xff" * 8 + good[32:]]
    for data in damaged:
        open(path, "wb").write(data)
        bad += "error" not in run(long, "--prompt-cache", path)[0]
    open(path, "wb").write(good)
    bad += "error" not in run(long, "--prompt-cache", path, "--kv-cache", "f16")[0]
    p = subprocess.run([olivine, "generate", root + "/tests/data/pebble-draft", "--jsonl", "--prompt-cache", path],
                       input=json.dumps(long[0]).encode(), capture_output=True)
    bad += b"belongs to another model" not in p.stdout
    check("files that do not fit", not bad, "%d refusals" % (len(damaged) + 2))
sys.exit(failed > 0)
