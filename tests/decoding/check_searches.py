#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Contrastive search, diverse beam search, guidance and the token rules of generation_config.json: tokens and scores as
transformers gives them (tests/data/searches.json, made by make_searches.py)."""
import json
import subprocess
import sys
import tarfile
import tempfile

olivine, root = sys.argv[1:3]
cases = json.load(open(root + "/tests/data/searches.json"))
failed = 0


def run(model, lines, *options):
    p = subprocess.run([olivine, "generate", model, "--jsonl", "--precision", "f32", *options],
                       input="".join(json.dumps(l) + "\n" for l in lines).encode(), capture_output=True)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    return out if len(out) == len(lines) else sys.exit("FAIL decoding/searches: %s" % p.stderr.decode())


def kind(c):
    if "num_beam_groups" in c:
        return "diverse beams"
    return "contrastive" if "penalty_alpha" in c else "guidance" if "guidance_scale" in c else "token rules"


def settings(c):
    return {"ignore_eos": "eos_token_id" not in c, **{k: v for k, v in c.items() if k not in ("want", "scores", "model")}}


with tempfile.TemporaryDirectory() as tmp:
    names = sorted({c["model"] for c in cases})
    with tarfile.open(root + "/tests/data/llm.tar.xz") as t:
        t.extractall(tmp, [m for m in t if m.name.split("/")[1:2] and m.name.split("/")[1] in names])
    for name in names:
        for what in ("contrastive", "diverse beams", "guidance", "token rules"):
            mine = [c for c in cases if c["model"] == name and kind(c) == what]
            bad = 0
            for c, out in zip(mine, run(tmp + "/llm/" + name, [settings(c) for c in mine], *(["--penalty-alpha", "0.5"] if what == "contrastive" else []))):
                got = [s["ids"] for s in out.get("sequences", [])] if "scores" in c else [out.get("ids")]
                scores = [s["score"] for s in out.get("sequences", [])] if "scores" in c else []
                if got != c["want"] or any(abs(s - w) > 2e-4 * max(1, abs(w)) for s, w in zip(scores, c.get("scores", []))):
                    bad += 1
                    print("  %s\n  want %s %s\n  got  %s" % (settings(c), c["want"], c.get("scores", ""), json.dumps(out)[:700]))
            failed += bad > 0
            print("%s decoding/searches/%s/%s (%d as transformers)" % ("FAIL" if bad else "PASS", name, what.replace(" ", "-"), len(mine)))
refused = [{"num_beams": 4, "num_beam_groups": 3, "diversity_penalty": 1}, {"num_beams": 4, "num_beam_groups": 2}, {"penalty_alpha": 2},
           {"penalty_alpha": 0.5, "top_k": 4}, {"num_return_sequences": 2}, {"guidance_scale": 2, "num_beams": 2}, {"max_time": -1},
           {"suppress_tokens": ["a"]}, {"bad_words_ids": [[]]}, {"sequence_bias": [[1, 2]]}, {"exponential_decay_length_penalty": [1]},
           {"num_beams": 2, "context_shift": True}, {"forced_eos_token_id": -7}, {"exponential_decay_length_penalty": [1, -1.0]}]
outs = run(root + "/models/pebble", [{"prompt": "a", "max_new_tokens": 3, "do_sample": False, **r} for r in refused])
bad = [r for r, o in zip(refused, outs) if "error" not in o]
failed += len(bad)
print("%s decoding/searches/refusals (%d)%s" % ("FAIL" if bad else "PASS", len(refused), bad or ""))
ask = {"prompt": "One day", "max_new_tokens": 30, "do_sample": True, "temperature": 1.2, "top_k": 0}
several = run(root + "/models/pebble", [{**ask, "seed": 40, "num_return_sequences": 5}])[0]
single = run(root + "/models/pebble", [{**ask, "seed": 40 + i} for i in range(5)])
good = [s["ids"] for s in several["sequences"]] == [s["ids"] for s in single] and several["ids"] == single[0]["ids"] and len({tuple(s["ids"]) for s in single}) > 3
late = run(root + "/models/pebble", [{"prompt": "One day", "max_new_tokens": 400, "ignore_eos": True, "do_sample": False, "max_time": 0.02}])[0]
timely = late["finish_reason"] == "length" and 0 < len(late["ids"]) < 400
failed += (not good) + (not timely)
print("%s decoding/searches/several samples" % ("PASS" if good else "FAIL"))
print("%s decoding/searches/max_time (%d tokens)" % ("PASS" if timely else "FAIL", len(late["ids"])))
sys.exit(failed > 0)
