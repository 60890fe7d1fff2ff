#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Beam search: tokens and scores as transformers gives them (tests/data/beams.json, made by make_beams.py)."""
import json
import subprocess
import sys
import tarfile
import tempfile

olivine, root = sys.argv[1:3]
cases = json.load(open(root + "/tests/data/beams.json"))
failed = 0


def run(model, lines):
    p = subprocess.run([olivine, "generate", model, "--jsonl", "--precision", "f32"],
                       input="".join(json.dumps(l) + "\n" for l in lines).encode(), capture_output=True)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    return out if len(out) == len(lines) else sys.exit("FAIL decoding/beams: %s" % p.stderr.decode())


with tempfile.TemporaryDirectory() as tmp:
    names = sorted({c["model"] for c in cases})
    with tarfile.open(root + "/tests/data/llm.tar.xz") as t:
        t.extractall(tmp, [m for m in t if m.name.split("/")[1:2] and m.name.split("/")[1] in names])
    for name in names:
        mine = [c for c in cases if c["model"] == name]
        bad = 0
        for c, out in zip(mine, run(tmp + "/llm/" + name, [{"do_sample": False, **{k: v for k, v in c.items() if k not in ("want", "scores", "model")}} for c in mine])):
            got = out.get("sequences", [])
            if [s["ids"] for s in got] != c["want"] or any(abs(s["score"] - w) > 2e-4 * max(1, abs(w)) for s, w in zip(got, c["scores"])):
                bad += 1
                setting = {k: v for k, v in c.items() if k not in ("want", "scores", "model", "ids")}
                print("  %s\n  want %s %s\n  got  %s" % (setting, c["want"], c["scores"], json.dumps(out)))
        failed += bad > 0
        print("%s decoding/beams/%s (%d searches as transformers)" % ("FAIL" if bad else "PASS", name, len(mine)))
refused = [{"num_beams": 17}, {"num_beams": 2, "num_return_sequences": 3}, {"num_beams": 2, "do_sample": True, "temperature": 1},
           {"num_beams": 2, "regex": "a"}, {"num_beams": 2, "stop": "a"}, {"num_beams": 2, "early_stopping": "soon"}]
outs = run(root + "/models/pebble", [{"prompt": "a", "max_new_tokens": 3, **r} for r in refused] + [{"prompt": "One day", "num_beams": 4, "max_new_tokens": 20}])
bad = sum("error" not in o for o in outs[:-1]) + (outs[-1].get("text") != outs[-1]["sequences"][0]["text"])
failed += bad
print("%s decoding/beams/refusals" % ("FAIL" if bad else "PASS"))
sys.exit(failed > 0)
