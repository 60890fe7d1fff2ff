#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of speculative decoding: models/pebble alone, with guesses from the text, with those of tests/data/pebble-draft and with
both, over 50 prompts; runs are interleaved and ratios taken within a round. Each answer must be the same tokens as without.
usage: speculate.py [ROUNDS] (OLIVINE names the program, default build/olivine)"""
import json
import os
import statistics
import subprocess
import sys

root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
olivine = os.environ.get("OLIVINE", root + "/build/olivine")
rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
golden = [json.loads(l) for l in open(root + "/models/pebble/golden.jsonl", encoding="utf-8")]
words = open(root + "/models/pebble/stories.txt", encoding="utf-8").read().split()
prompts = [{"ids": g["prompt_ids"]} for g in golden][:20]
prompts += [{"prompt": " ".join(words[i * 397:i * 397 + 60])} for i in range(50 - len(prompts))]
DRAFT = ["--draft-model", root + "/tests/data/pebble-draft"]
KINDS = {"alone": ([], {}), "prompt lookup": ([], {"prompt_lookup_num_tokens": 8, "max_ngram_size": 3}), "draft model": (DRAFT, {}),
         "both": (DRAFT, {"prompt_lookup_num_tokens": 6, "max_ngram_size": 3}),
         "draft model, while sure": (DRAFT, {"num_assistant_tokens": 12, "assistant_confidence_threshold": 0.5})}


def run(options, extra):
    lines = [{**p, "max_new_tokens": 80, "do_sample": False, **extra} for p in prompts]
    p = subprocess.run([olivine, "generate", root + "/models/pebble", "--jsonl", *options],
                       input="".join(json.dumps(l) + "\n" for l in lines).encode(), capture_output=True, check=True)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    made = [(len(o["ids"]) - 1, o["tokens_per_s"]) for o in out if o["tokens_per_s"] > 0]
    return [o["ids"] for o in out], sum(n for n, _ in made) / sum(n / s for n, s in made), out


ratios, notes, differ = {k: [] for k in KINDS}, {}, 0
for _ in range(rounds):
    speeds, texts = {}, {}
    for kind, (options, extra) in KINDS.items():
        texts[kind], speeds[kind], out = run(options, extra)
        drafted, accepted = (sum(o.get(k, 0) for o in out) for k in ("drafted_tokens", "accepted_tokens"))
        notes[kind] = "%.0f tokens/s" % speeds[kind] + (", %d of %d guesses right" % (accepted, drafted) if drafted else "")
    for kind in KINDS:
        ratios[kind].append(speeds[kind] / speeds["alone"])
        differ += sum(a != b for a, b in zip(texts[kind], texts["alone"]))
for kind in KINDS:
    print("%-24s %.2f x (%s)" % (kind, statistics.median(ratios[kind]), notes[kind]))
print("%d of %d answers differ" % (differ, rounds * len(prompts) * (len(KINDS) - 1)))
sys.exit(differ > 0)
