# SPDX-License-Identifier: Apache-2.0
"""Encoding speed beside the package tokenizers, one thread each, interleaved: a megabyte of mixed text through every recorded
tokenizer. usage: tokenizing.py LIBRARY [--root FOLDER] [--rounds 7] [--kind NAME] [--json FILE]

LIBRARY: libolivine.so (build/libolivine.so), called in this process, so that only encoding is timed: ids and offsets on our side,
an Encoding object on the other. Ratios are of user time, taken within a round; the median is printed."""
import os
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
import argparse, ctypes, json, random, resource, statistics, sys
from tokenizers import Tokenizer

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "tokenizers"))


class Options(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("pair", ctypes.c_char_p), ("pair_len", ctypes.c_size_t), ("add_special", ctypes.c_bool),
                ("parse_special", ctypes.c_bool), ("want_offsets", ctypes.c_bool), ("want_type_ids", ctypes.c_bool), ("truncate", ctypes.c_bool), ("pad", ctypes.c_bool)]


class Encoding(ctypes.Structure):
    _fields_ = [("ids", ctypes.POINTER(ctypes.c_uint32)), ("count", ctypes.c_size_t), ("offsets", ctypes.c_void_p), ("type_ids", ctypes.c_void_p),
                ("padded", ctypes.c_size_t), ("padded_left", ctypes.c_bool)]


class Olivine:
    def __init__(self, library, path):
        self.lib = ctypes.CDLL(library)
        self.t = ctypes.c_void_p()
        if self.lib.olv_tokenizer_open(path.encode(), ctypes.byref(self.t), None): sys.exit("cannot open " + path)

    def encode(self, lines):
        out, opt = [], Options()
        self.lib.olv_encode_options_init(ctypes.byref(opt))
        opt.want_offsets = opt.want_type_ids = True
        e = Encoding()
        for b in lines:
            if self.lib.olv_tokenizer_encode(self.t, b, ctypes.c_size_t(len(b)), ctypes.byref(opt), ctypes.byref(e), None): sys.exit("cannot encode")
            out.append(e.count)
            self.lib.olv_encoding_deinit(ctypes.byref(e))
        return out


def mixed(seed):
    """About a megabyte: prose with a natural spread of words, code, numbers, and a tenth of other scripts, in paragraphs."""
    rng = random.Random(seed)
    syllables = ["".join(p) for p in zip("bcdfghklmnprstvw" * 5, "aeiou" * 16)] + ["tion", "ing", "er", "ly", "ment", "un", "re", "st", "th", "ea"]
    words = ["".join(rng.choice(syllables) for _ in range(rng.choice([1, 1, 2, 2, 3, 4]))) for _ in range(20000)]
    weights = [1 / (i + 3) for i in range(len(words))]
    other = ["привет мир и ещё слова", "日本語の文章です。", "한국어 문장입니다", "مرحبا بالعالم", "हिन्दी में वाक्य", "ευχαριστώ πολύ", "naïve café Straße", "👍🏽 👩‍👧 🎉", "中文句子没有空格"]
    code = ["for (int i = 0; i < n; i++) {\n        sum += a[i] * b[i];\n    }", "def f(x):\n    return {'k': x, \"v\": [1, 2]}", "https://example.org/a?b=c&d=1#e", "<div class=\"x\">&nbsp;</div>"]
    paragraphs, size = [], 0
    while size < 1 << 20:
        parts = []
        for w in rng.choices(words, weights, k=rng.randrange(40, 160)):
            k = rng.random()
            parts.append(w.capitalize() + rng.choice([".", ",", "!", "'s", ";"]) if k < 0.12 else str(rng.randrange(100000)) if k < 0.15 else rng.choice(other) if k < 0.18 else w)
        if rng.random() < 0.15: parts.append(rng.choice(code))
        paragraphs.append(" ".join(parts) + rng.choice(["\n", "\n\n", ""]))
        size += len(paragraphs[-1].encode())
    return paragraphs


def used():
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def timed(fn):
    before = used()
    got = fn()
    return used() - before, got


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("library")
    ap.add_argument("--root", required=True)
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--kind")
    ap.add_argument("--json")
    o = ap.parse_args()
    text, rows = mixed(1), {}
    size = sum(len(p.encode()) for p in text)
    for name in sorted(os.listdir(o.root)):
        file = os.path.join(o.root, name, "tokenizer.json")
        if not os.path.exists(file) or o.kind not in (None, name): continue
        ours, theirs, lines = Olivine(o.library, file), Tokenizer.from_file(file), [p.encode() for p in text]
        a, b = [], []
        for r in range(o.rounds):
            pair = [lambda: timed(lambda: ours.encode(lines)), lambda: timed(lambda: [len(theirs.encode(p)) for p in text])]
            got = [pair[0](), pair[1]()] if r % 2 else list(reversed([pair[1](), pair[0]()]))
            if got[0][1] != got[1][1]: sys.exit("FAIL %s: not the same numbers of tokens" % name)
            a.append(got[0][0])
            b.append(got[1][0])
        ratio = statistics.median(y / x for x, y in zip(a, b))
        rows[name] = {"olivine_mb_per_s": round(size / statistics.median(a) / 1e6, 1), "tokenizers_mb_per_s": round(size / statistics.median(b) / 1e6, 1), "ratio": round(ratio, 2)}
        print("%-24s olivine %6.1f MB/s  tokenizers %6.1f MB/s  ratio %5.2f" % (name, *rows[name].values()), flush=True)
    if o.json:
        with open(o.json, "w") as f: json.dump({"bytes": size, "rounds": o.rounds, "kinds": rows}, f, indent=1)


main()
