# SPDX-License-Identifier: Apache-2.0
"""A megabyte of any text takes the time of a megabyte: runs, words without end, marks, digits, added tokens, noise.

usage: linear.py OLIVINE --root FOLDER [--limit SECONDS] [--kind NAME] [--sample N [--seed S]]
For every tokenizer of the folder, each text goes through the program in a process of its own; the limit is on its user time,
which holds loading and writing the answer too."""
import argparse, json, os, random, resource, subprocess, sys, tempfile

SIZE = 1 << 20


def fill(s):
    return (s * (SIZE // len(s.encode()) + 1)).encode()[:SIZE].decode("utf-8", "ignore")


def texts(folder):
    rng = random.Random(1)
    added = []
    file = os.path.join(folder, "tokenizer.json")
    if os.path.exists(file):
        with open(file, encoding="utf-8") as f: added = [a["content"] for a in json.load(f).get("added_tokens") or [] if a["content"]]
    noise = "".join(chr(rng.choice([rng.randrange(1, 128), rng.randrange(0x80, 0x800), rng.randrange(0x800, 0xD800), rng.randrange(0xE000, 0x110000)]))
                    for _ in range(SIZE // 2)).encode()[:SIZE].decode("utf-8", "ignore")
    return {"one word": fill("a"), "letters": fill("".join(rng.choice("etaoinshrdlucmfwypvbgkjqxz") for _ in range(9973))), "spaces": fill(" "), "lines": fill("\n"),
            "line ends": fill("\r\n"), "tabs": fill("\t"), "emoji": fill("👍"), "families": fill("👨‍👩‍👧"), "flags": fill("🇩"), "marks": fill("\u0301"), "mixed marks": fill("\u0316\u0301\u0345\u0300"),
            "digits": fill("1"), "added tokens": fill("".join(added[:50]) or "<s>"), "halves of added tokens": fill((added[0] if added else "<s>")[:-1] or "<"), "ab": fill("ab"),
            "ideographs": fill("漢"), "syllables": fill("각"), "jamo": fill("\u1100\u1161\u11a8"), "apostrophes": fill("'"), "capitals": fill("A"), "dots": fill("."), "underlines": fill("_"),
            "noise": noise, "thai": fill("ก"), "spaces and a": fill("  a"), "metaspaces": fill("▁"), "nul": fill("\x00"), "replacement": fill("\ufffd")}


def seconds(args, data):
    """User time of one run, and its exit status."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with tempfile.TemporaryFile() as f:
        f.write(data)
        f.seek(0)
        r = subprocess.run(args, stdin=f, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before, r


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("program")
    ap.add_argument("--root", required=True)
    ap.add_argument("--limit", type=float, default=2.0)
    ap.add_argument("--kind")
    ap.add_argument("--sample", type=int, help="only so many of the texts, drawn for each tokenizer")
    ap.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    ap.add_argument("-v", action="store_true")
    o = ap.parse_args()
    bad = 0
    print("linear: seed %d" % o.seed)
    for name in sorted(os.listdir(o.root)):
        folder = os.path.join(o.root, name)
        if not os.path.isdir(folder) or o.kind not in (None, name): continue
        worst = ("", 0.0)
        failed = []
        rng, all_texts = random.Random("%d %s" % (o.seed, name)), texts(folder)
        for what in rng.sample(sorted(all_texts), o.sample) if o.sample else all_texts:
            text = all_texts[what]
            t, r = seconds([o.program, "tokenize", "--model", folder], text.encode())
            if o.v: print("  %s %s %.3f" % (name, what, t), flush=True)
            worst = max(worst, (what, t), key=lambda x: x[1])
            if r.returncode or t > o.limit: failed.append("%s: %.2f s, exit %d %s" % (what, t, r.returncode, r.stderr.decode()[-200:].strip()))
        bad += bool(failed)
        print("%s tokenizers/linear/%s (slowest: %s, %.2f s%s)" % ("FAIL" if failed else "PASS", name, worst[0], worst[1], "; " + "; ".join(failed) if failed else ""), flush=True)
    sys.exit(1 if bad else 0)


main()
