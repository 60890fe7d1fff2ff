# SPDX-License-Identifier: Apache-2.0
"""Large tokenizer.json files with made-up vocabularies, for timing how long loading takes. usage: synthetic_tokenizers.py OUT
[--seed N]

OUT/bpe150k: byte-level, 151,643 tokens, 151,387 merges written as strings (as in Qwen2); OUT/pairs150k: the same, merges as
pairs; OUT/bpe128k: 128,000 tokens, ignore_merges (as in Llama 3); OUT/unigram150k: 150,000 pieces with scores."""
import argparse, json, math, os, random

BASE = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
LETTERS = "etaoinshrdlcumwfgypbvkjxqz"


def byte_alphabet():
    extra = iter(range(256, 512))
    return [chr(b) if b in BASE else chr(next(extra)) for b in range(256)]


def bpe(rng, count):
    """Tokens that grow out of each other as training makes them: each merge joins two tokens that are there already."""
    names = byte_alphabet()
    seen, merges = set(names), []
    space = names[32]
    common = [c for c in LETTERS] + [space] * 6 + [c.upper() for c in LETTERS[:12]] + names[0xC3:0xF5]
    short = list(common)
    while len(names) < count:
        a = rng.choice(short) if rng.random() < 0.7 else names[min(int(rng.expovariate(1 / 4000.0)), len(names) - 1)]
        b = rng.choice(common) if rng.random() < 0.4 else rng.choice(short)
        if b.startswith(space) and a != space or len(a) + len(b) > 16 or a + b in seen: continue
        seen.add(a + b)
        names.append(a + b)
        merges.append((a, b))
        if len(a) + len(b) < 7: short.append(a + b)
    return names, merges


def bpe_json(names, merges, pairs, ignore_merges, pattern):
    return {"version": "1.0", "truncation": None, "padding": None,
            "added_tokens": [{"id": len(names) + i, "content": "<|extra_%d|>" % i, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                              "special": True} for i in range(64)],
            "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                                                                    {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}]},
            "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                      "byte_fallback": False, "ignore_merges": ignore_merges, "vocab": {n: i for i, n in enumerate(names)},
                      "merges": [list(m) if pairs else "%s %s" % m for m in merges]}}


def unigram(rng, count):
    pieces = {}
    scripts = [LETTERS, LETTERS.upper(), "абвгдежзийклмнопрст", "αβγδεζηθικλμνξο", "あいうえおかきくけこ", "".join(chr(0x4E00 + i) for i in range(4000))]
    while len(pieces) < count - 3:
        s = rng.choice(scripts[:2] * 6 + scripts)
        w = "".join(rng.choice(s) for _ in range(1 + min(int(rng.expovariate(0.25)), 12)))
        pieces.setdefault(("▁" if rng.random() < 0.5 else "") + w, None)
    vocab = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0]] + [[p, -math.log(i + 2) - rng.random()] for i, p in enumerate(pieces)]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, "post_processor": None,
            "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
            "model": {"type": "Unigram", "unk_id": 0, "vocab": vocab, "byte_fallback": False}}


def write(out, name, data):
    os.makedirs(os.path.join(out, name), exist_ok=True)
    with open(os.path.join(out, name, "tokenizer.json"), "w", encoding="utf-8") as f: json.dump(data, f, ensure_ascii=False, indent=2 if name != "pairs150k" else 1)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("out")
    ap.add_argument("--seed", type=int, default=1)
    o = ap.parse_args()
    rng = random.Random(o.seed)
    llama3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    names, merges = bpe(rng, 151643)
    write(o.out, "bpe150k", bpe_json(names, merges, False, False, llama3.replace("{1,3}", "")))
    write(o.out, "pairs150k", bpe_json(names, merges, True, False, llama3.replace("{1,3}", "")))
    write(o.out, "bpe128k", bpe_json(names[:128000], merges[:128000 - 256], False, True, llama3))
    write(o.out, "unigram150k", unigram(rng, 150000))


main()
