#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generation past the context (--context-shift, --keep, --sinks): after each shift the tokens are those of a fresh prompt that
holds the kept first tokens and the newer half of the rest, bit for bit, for rotated, learned and windowed positions, every type
of cache and with guesses; without the setting, generation ends where the context does."""
import json
import random
import subprocess
import sys
import tarfile
import tempfile

olivine, root = sys.argv[1:3]
failed = 0


def run(model, lines, *options):
    p = subprocess.run([olivine, "generate", model, "--jsonl", "--greedy", "--ignore-eos", "--no-prompt-reuse", *options],
                       input="".join(json.dumps(l) + "\n" for l in lines).encode(), capture_output=True)
    out = [json.loads(l) for l in p.stdout.decode().splitlines()]
    return out if len(out) == len(lines) else sys.exit("FAIL decoding/context: %d %s" % (p.returncode, p.stderr.decode()))


def check(name, good, note=""):
    global failed
    failed += not good
    print("%s decoding/context/%s%s" % ("PASS" if good else "FAIL", name, " (%s)" % note if note else ""))


def windows(prompt, made, context, keep):
    """(prompt of a fresh run, tokens that it must give) from one shift to the next."""
    text, seen, dropped, out = prompt + made, len(prompt), 0, []
    while True:  # `seen` tokens of the text are in the model
        if seen - dropped > context:
            dropped += (context - keep) // 2
        held = text[:keep] + text[keep + dropped:seen]
        until = min(dropped + context + 1, len(text))
        out.append((held, text[seen:until]))
        if until == len(text):
            return out, dropped
        seen = until


def shifted(name, model, context, prompt, keep, n, *options, **fields):
    given = ["--keep", str(keep), "--context-shift"] if keep != 4 else ["--sinks", "4"]
    real_keep = len(prompt) if keep < 0 or keep > len(prompt) else keep
    out = run(model, [{"ids": prompt, "max_new_tokens": n, **fields}], *given, *options)[0]
    if "error" in out or len(out["ids"]) != n or out["finish_reason"] != "length":
        return check(name, False, json.dumps(out)[:200])
    parts, dropped = windows(prompt, out["ids"], context, real_keep)
    # The last token of a window comes from a full context, which a prompt of its own cannot have.
    asks = [{"ids": p, "max_new_tokens": len(want) - (len(p) + len(want) > context)} for p, want in parts]
    refs = run(model, asks, *options)
    good = all(r.get("ids") == want[:a["max_new_tokens"]] for r, a, (_, want) in zip(refs, asks, parts)) and out["dropped_tokens"] == dropped
    check(name, good and len(parts) > 2, "%d tokens, %d shifts" % (n, len(parts) - 1))


rng = random.Random(3)
pebble = root + "/models/pebble"
prompt = [i for g in map(json.loads, open(pebble + "/golden.jsonl", encoding="utf-8")) for i in g["prompt_ids"]][:40]
shifted("sinks of 4", pebble, 512, prompt, 4, 1000)
shifted("keep 0", pebble, 512, prompt, 0, 750)
shifted("keep the prompt", pebble, 512, prompt, -1, 750)
shifted("cache of f16", pebble, 512, prompt, 4, 750, "--kv-cache", "f16")
shifted("cache of int8", pebble, 512, prompt, 4, 750, "--kv-cache", "int8")
shifted("prompt lookup", pebble, 512, prompt, 4, 750, prompt_lookup_num_tokens=8)
shifted("draft model", pebble, 512, prompt, 4, 750, "--draft-model", root + "/tests/data/pebble-draft")
with tempfile.TemporaryDirectory() as tmp:
    models = {"gpt2": 256, "gemma3_text": 512, "phi3": 512}
    with tarfile.open(root + "/tests/data/llm.tar.xz") as t:
        t.extractall(tmp, [m for m in t if m.name.split("/")[1:2] and m.name.split("/")[1] in models])
    for name in ("gpt2", "gemma3_text", "phi3"):
        shifted(name, tmp + "/llm/" + name, models[name], [rng.randrange(5, 90) for _ in range(30)], 4, models[name] * 2 + 50)
plain, shift, free = run(pebble, [{"ids": prompt, "max_new_tokens": 900}, {"ids": prompt, "context_shift": True, "max_new_tokens": -1}, {"ids": prompt, "max_new_tokens": 900, "context_shift": True}])
check("ends without it", len(plain["ids"]) == 512 - len(prompt) and len(shift["ids"]) == len(plain["ids"]) and free["ids"][:len(plain["ids"])] == plain["ids"])
sys.exit(failed > 0)
