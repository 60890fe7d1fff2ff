#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speculative decoding with models/pebble: the tokens are the same as without, greedy (50 prompts), sampled with a seed, under
a constraint and with a length limit; guesses are accepted. Prints the speed of each."""
import json
import subprocess
import sys

olivine, root = sys.argv[1:3]
DRAFT = ["--draft-model", root + "/tests/data/pebble-draft"]
golden = [json.loads(l) for l in open(root + "/models/pebble/golden.jsonl", encoding="utf-8")][:20]
schema = {"type": "object", "properties": {"answer": {"type": "string", "maxLength": 30},
                                           "n": {"type": "integer", "minimum": 0, "maximum": 999}},
          "required": ["answer", "n"], "additionalProperties": False}
STORY = "One day a fox found a red ball. The fox liked the red ball. One day a fox found"
words = open(root + "/models/pebble/stories.txt", encoding="utf-8").read().split()
STARTS = [" ".join(words[i * 397:i * 397 + 4 + i * 2]) for i in range(28)]
MODES = {
    "greedy": {"do_sample": False},
    "sampled": {"do_sample": True, "temperature": 0.9, "top_k": 40, "repetition_penalty": 1.1},
    "mirostat": {"do_sample": True, "mirostat": 2, "top_k": 0},
    "schema": {"do_sample": False, "json_schema": schema},
    "limit": {"do_sample": False, "max_new_tokens": 7, "ignore_eos": True},
}


def run(mode, options, extra):
    lines = [{"ids": g["prompt_ids"], "seed": i, **MODES[mode], **extra} for i, g in enumerate(golden)]
    for text in (STORY, "One day", *(STARTS if mode == "greedy" else [])):
        lines.append({"prompt": text, "max_new_tokens": 100, "seed": 7, **MODES[mode], **extra})
    p = subprocess.run([olivine, "generate", root + "/models/pebble", "--jsonl", *options],
                       input="".join(json.dumps(l) + "\n" for l in lines).encode(), capture_output=True)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    if len(out) != len(lines) or any("error" in o for o in out):
        sys.exit("FAIL decoding/speculation: %s %s" % (p.stderr.decode(), [o["error"] for o in out if "error" in o][:2]))
    return out


def speed(out):
    seconds = sum((len(o["ids"]) - 1) / o["tokens_per_s"] for o in out if o["tokens_per_s"] > 0)
    return sum(len(o["ids"]) - 1 for o in out) / seconds


failed = 0
for mode in MODES:
    base = run(mode, [], {})
    kinds = {"lookup": ([], {"prompt_lookup_num_tokens": 8}), "draft": (DRAFT, {}),
             "draft of 15": (DRAFT, {"num_assistant_tokens": 15}),
             "draft while sure": (DRAFT, {"num_assistant_tokens": 12, "assistant_confidence_threshold": 0.5}),
             "both": (DRAFT, {"prompt_lookup_num_tokens": 4, "max_ngram_size": 3})}
    for name, (options, extra) in kinds.items():
        out = run(mode, options, extra)
        differ = [i for i, (a, b) in enumerate(zip(base, out)) if a["ids"] != b["ids"] or a["finish_reason"] != b["finish_reason"]]
        drafted, accepted = (sum(o.get(k, 0) for o in out) for k in ("drafted_tokens", "accepted_tokens"))
        ok = not differ and accepted > 0
        failed += not ok
        print("%s decoding/speculation/%s/%s (%d of %d guesses right, %.2f x the speed)%s" %
              ("PASS" if ok else "FAIL", mode, name, accepted, drafted, speed(out) / speed(base),
               "" if ok else " differ: %s" % differ))
p = subprocess.run([olivine, "generate", root + "/models/pebble", "-p", "a", "--prompt-lookup-num-tokens", "16"],
                   capture_output=True)
if p.returncode == 0 or b"prompt_lookup_num_tokens" not in p.stderr:
    failed += 1
    print("FAIL decoding/speculation: 16 guesses were not refused")
sys.exit(failed > 0)
