# SPDX-License-Identifier: Apache-2.0
"""Compares the program with recorded cases. usage: check.py OLIVINE FOLDER (one folder a tokenizer inside).

cases.jsonl: text, pair, ids, ids_plain, decoded, decoded_skip, offsets, type_ids. In texts above 1,500 characters an absent
ids_plain equals ids, decoded equals text, decoded_skip equals decoded. stream.jsonl: ids and the increments of text."""
import json, os, subprocess, sys

PROGRAM, ROOT = sys.argv[1:3]


def read(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return [json.loads(l) for l in f.read().split("\n") if l]


def ask(command, folder, items, *flags):
    data = "".join(json.dumps(x) + "\n" for x in items).encode()
    r = subprocess.run([PROGRAM, command, "--model", folder, "--jsonl", *flags], input=data, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, check=False)
    got = [json.loads(l) for l in r.stdout.decode().split("\n") if l]
    if len(got) != len(items): print("  %s: %d answers to %d lines: %s" % (command, len(got), len(items), r.stderr.decode()[-300:]))
    return got + [{}] * (len(items) - len(got))


def check_cases(name, folder):
    cases = read(os.path.join(folder, "cases.jsonl"))
    items = [{k: c[k] for k in ("text", "pair") if c.get(k) is not None} for c in cases]
    ids = [{"ids": c["ids_plain"] if name.startswith("spm") and "ids_plain" in c else c["ids"]} for c in cases]
    full, plain = ask("tokenize", folder, items, "--type-ids"), ask("tokenize", folder, items, "--no-special")
    text, skip = ask("detokenize", folder, ids), ask("detokenize", folder, ids, "--skip-special")
    bad = 0
    for c, f, p, t, s in zip(cases, full, plain, text, skip):
        long = len(c["text"]) > 1500
        decoded = c.get("decoded", c["text"] if long else None)
        want = [("ids", f.get("ids"), c["ids"]), ("ids without special", p.get("ids"), c.get("ids_plain", c["ids"] if long else None)),
                ("offsets", f.get("offsets"), c.get("offsets")), ("type ids", f.get("type_ids"), c.get("type_ids")),
                ("decoded", t.get("text"), decoded)]
        if not name.startswith("spm"): want.append(("decoded_skip", s.get("text"), c.get("decoded_skip", decoded if long else None)))
        wrong = [w for w in want if w[2] is not None and w[1] != w[2]]
        bad += bool(wrong)
        if wrong and bad <= 3: print("  %s %r: %s is %.300r, want %.300r" % (name, c["text"][:60], *wrong[0]))
    return len(cases), bad


def check_streams(name, folder):
    path = os.path.join(folder, "stream.jsonl")
    if not os.path.exists(path): return 0, 0
    n = bad = 0
    for flag in (False, True):
        rows = [r for r in read(path) if bool(r["skip_special_tokens"]) == flag]
        got = ask("detokenize", folder, [{"ids": r["ids"]} for r in rows], "--stream", *(["--skip-special"] if flag else []))
        for r, g in zip(rows, got):
            n += 1
            pieces = g.get("pieces", [])
            pieces = pieces + [""] * (len(r["increments"]) - len(pieces))
            if pieces == r["increments"]: continue
            bad += 1
            if bad <= 3: print("  %s stream %s: %.300r, want %.300r" % (name, r["ids"][:20], pieces, r["increments"]))
    return n, bad


def main():
    failed = 0
    for name in sorted(os.listdir(ROOT)):
        folder = os.path.join(ROOT, name)
        if not os.path.exists(os.path.join(folder, "cases.jsonl")): continue
        (n, bad), (m, worse) = check_cases(name, folder), check_streams(name, folder)
        failed += bad + worse
        print("%s tokenizers/%s (%d cases, %d streams%s)" % ("FAIL" if bad + worse else "PASS", name, n, m,
              ", %d wrong" % (bad + worse) if bad + worse else ""), flush=True)
    sys.exit(1 if failed else 0)


main()
