# SPDX-License-Identifier: Apache-2.0
"""Random texts through the program and through the PyPI package `tokenizers`: ids, offsets, type ids and decoded text must
be equal, for small tokenizers of every kind that tokenizer.json can hold.

usage: differential.py OLIVINE [--count N] [--seed S] [--kind NAME]
"""
import argparse, base64, json, os, random, struct, subprocess, sys, tempfile
try:
    import tokenizers
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
except ImportError:
    print("SKIP tokenizers/differential (the package `tokenizers` is not installed)")
    sys.exit(0)

WORDS = ("the quick brown fox jumps over lazy dog it's I'LL we've don't can't Hello World TEST 'S 'Re naïve café Straße "
         "ﬁne Ǆ İstanbul ΑΣ ς привет мир Ёлка 日本語 カタカナ ひらがな 한국어 각 안녕 مرحبا שלום हिन्दी क्षि ไทย ∑∀ Ⅷ ½ x² 123 4567 "
         "٣٤٥ 3.14 1e-9 <s> </s> <mask> [MASK] <|endoftext|> ##ing ... !!! ?! -- __init__ a.b/c\\d {x:1} 👍🏽 👨‍👩‍👧 é e\u0301 a\u0300\u0316b "
         "\u1e9b\u0323 ① ﷺ Å ﹏ ＡＢＣ １２３ \u200b \u200d \ufeff \xa0 \u3000 \u2028 \x85 \x00 \x01 \x7f \ufffd ▁ ▁▁ Ġ ſ 'ſ K").split(" ")
SPACES = [" ", " ", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", " \n ", "\u3000", "\xa0", ""]


def text(rng):
    out = []
    for _ in range(rng.randrange(0, 14)):
        k = rng.random()
        if k < 0.55:
            out.append(rng.choice(WORDS))
        elif k < 0.75:
            out.append("".join(chr(rng.randrange(33, 127)) for _ in range(rng.randrange(1, 9))))
        elif k < 0.85:
            base = rng.choice([0xA0, 0x100, 0x370, 0x400, 0x590, 0x900, 0x1100, 0x1E00, 0x2000, 0x3040, 0x4E00, 0xAC00, 0xFB00,
                               0xFF00, 0x1F600])
            out.append("".join(chr(base + rng.randrange(0, 96)) for _ in range(rng.randrange(1, 5))))
        else:
            out.append(rng.choice(["'s", "'T", "'ll", ",", ".", "ing", "un", "0", "99", "a" * 40, "\u0301", "Z"]))
        out.append(rng.choice(SPACES))
    s = "".join(out)
    return "".join(c for c in s if not 0xD800 <= ord(c) < 0xE000)


def corpus(rng):
    return [text(rng) for _ in range(400)]


def train(model, trainer, rng, pre=None, norm=None):
    t = Tokenizer(model)
    if pre is not None: t.pre_tokenizer = pre
    if norm is not None: t.normalizer = norm
    t.train_from_iterator(corpus(rng), trainer)
    return t


def unigram_vocab(rng):
    """Pieces of words with random scores; a few equal ones, so that ties are met."""
    pieces = {}
    for w in WORDS * 3:
        w = rng.choice(["▁", ""]) + w
        for _ in range(3):
            i = rng.randrange(len(w)) if w else 0
            k = w[i:i + rng.randrange(1, 6)]
            if k: pieces.setdefault(k, rng.choice([-1.5, -3.0, -rng.random() * 12]))
    for c in "abcdefghijklmnopqrstuvwxyz▁.,":
        pieces.setdefault(c, -8.0 - rng.random())
    return [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0)] + sorted(pieces.items())


def charsmap(rules):
    """A SentencePiece charsmap: a double array built by trial, and the replacements."""
    keys = sorted((k.encode() if isinstance(k, str) else k, v) for k, v in rules.items())
    texts, where = b"", {}
    for k, v in keys:
        where[k] = len(texts)
        texts += v.encode() + b"\0"
    units, used = {0: 0}, {0}

    def place(node, prefix):
        kids = sorted({k[len(prefix)] for k in where if len(k) > len(prefix) and k.startswith(prefix)})
        leaf = prefix in where
        labels = ([0] if leaf else []) + kids
        if not labels: return
        offset = 1
        while True:
            at = node ^ offset
            if offset < (1 << 21) and all((at ^ c) not in used for c in labels): break
            offset += 1
        at = node ^ offset
        units[node] = units.get(node, 0) | (offset << 10) | ((1 << 8) if leaf else 0)
        for c in labels: used.add(at ^ c)
        if leaf: units[at] = (1 << 31) | where[prefix]
        for c in kids: units[at ^ c] = c
        for c in kids: place(at ^ c, prefix + bytes([c]))

    place(0, b"")
    n = (max(units) | 255) + 1
    blob = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(n))
    return struct.pack("<I", len(blob)) + blob + texts


def kinds(rng):
    from tokenizers.trainers import BpeTrainer, WordLevelTrainer, WordPieceTrainer
    BL, P, N, D = pre_tokenizers.ByteLevel, pre_tokenizers, normalizers, decoders
    alphabet = BL.alphabet()
    byte_bpe = lambda pre, norm=None: train(models.BPE(), BpeTrainer(vocab_size=700, initial_alphabet=alphabet, show_progress=False,
                                            special_tokens=["<|endoftext|>", "<s>", "</s>"]), rng, pre, norm)
    llama3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    o200k = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
             r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"
             r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    bloom = r" ?[^(\s|[.,!?…。，、।۔،])]+"
    out = {}
    t = byte_bpe(BL(add_prefix_space=False)); t.decoder = D.ByteLevel(); t.post_processor = processors.ByteLevel(trim_offsets=True)
    out["gpt2"] = t
    t = byte_bpe(BL(add_prefix_space=True)); t.decoder = D.ByteLevel()
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 1), trim_offsets=True, add_prefix_space=True)
    t.add_special_tokens([tokenizers.AddedToken("<mask>", lstrip=True, special=True)])
    out["roberta"] = t
    for name, pattern, norm in [("llama3", llama3, None), ("qwen2", llama3.replace("{1,3}", ""), N.NFC()), ("o200k", o200k, None), ("bloom", bloom, None)]:
        t = byte_bpe(P.Sequence([P.Split(Regex(pattern), "isolated"), BL(add_prefix_space=False, use_regex=False)]), norm)
        t.decoder = D.ByteLevel()
        t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A </s>:1 $B:1 </s>:1", special_tokens=[("<s>", 1), ("</s>", 2)])])
        out[name] = t
    t = byte_bpe(P.Sequence([P.Digits(individual_digits=True), P.Punctuation("merged_with_next"), BL(add_prefix_space=False)]))
    t.decoder = D.ByteLevel(); out["digits"] = t
    t = byte_bpe(P.Sequence([P.Split(Regex(r"\s+$|\p{N}{1,3}+|\b"), "merged_with_previous"), BL(add_prefix_space=False, use_regex=False)]))
    out["boundaries"] = t
    t = train(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), BpeTrainer(vocab_size=500, show_progress=False,
              special_tokens=["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)]), rng, None,
              N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")]))
    t.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    out["llama2"] = t
    t = train(models.BPE(unk_token="<unk>", fuse_unk=False, continuing_subword_prefix="##", end_of_word_suffix="</w>"),
              BpeTrainer(vocab_size=500, show_progress=False, special_tokens=["<unk>"], continuing_subword_prefix="##", end_of_word_suffix="</w>",
                         limit_alphabet=80), rng, P.Whitespace(), N.NFKC())
    t.decoder = D.BPEDecoder("</w>"); out["bpe-affixes"] = t
    for cased in (True, False):
        t = train(models.WordPiece(unk_token="[UNK]"), WordPieceTrainer(vocab_size=600, show_progress=False,
                  special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]), rng, P.BertPreTokenizer(), N.BertNormalizer(lowercase=not cased))
        t.decoder = D.WordPiece(); t.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        if cased:
            t.enable_truncation(24); t.enable_padding(length=24, pad_id=0)
        else:
            t.enable_truncation(15, strategy="longest_first", direction="left"); t.enable_padding(pad_to_multiple_of=8, direction="left", pad_id=0)
        out["bert-cased" if cased else "bert-uncased"] = t
    t = train(models.WordLevel(unk_token="<unk>"), WordLevelTrainer(vocab_size=400, show_progress=False, special_tokens=["<unk>"]), rng,
              P.Sequence([P.WhitespaceSplit(), P.Punctuation("contiguous"), P.FixedLength(7)]),
              N.Sequence([N.NFD(), N.StripAccents(), N.Lowercase(), N.Strip()]))
    out["wordlevel"] = t
    t = train(models.WordLevel(unk_token="<unk>"), WordLevelTrainer(vocab_size=400, show_progress=False, special_tokens=["<unk>"]), rng,
              P.Sequence([P.UnicodeScripts(), P.CharDelimiterSplit("a")]), N.Sequence([N.Nmt(), N.NFKD(), N.Strip(True, False)]))
    t.decoder = D.CTC("<unk>", "|", True); out["scripts"] = t
    rules = {"ﬁ": "fi", "Ⅷ": "VIII", "½": "1/2", "①": "1", "é": "e", "e\u0301": "E", "\u200b": "", "\t": " ", "\n": " ", "Å": "A\u030a", "👍🏽": "+1", "क्षि": "ks"}
    maps = base64.b64encode(charsmap(rules)).decode()
    for scheme in ("always", "first", "never"):
        t = Tokenizer(models.Unigram(unigram_vocab(rng), 0))
        t.pre_tokenizer, t.normalizer = P.Metaspace("▁", scheme, scheme != "first"), N.Replace(Regex(" {2,}"), " ")
        t.decoder = D.Metaspace("▁", scheme)
        t.add_tokens([tokenizers.AddedToken("fox", single_word=True), tokenizers.AddedToken("<mask>", rstrip=True, normalized=False)])
        if scheme != "never":
            j = json.loads(t.to_str())
            j["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": maps}, j["normalizer"]]}
            t = Tokenizer.from_str(json.dumps(j))
        out["unigram-" + scheme] = t
    j = json.loads(out["unigram-always"].to_str())
    j["normalizer"] = None
    j["model"]["vocab"] += [["<0x%02X>" % i, -30.0] for i in range(256)]
    j["model"]["byte_fallback"] = True
    j["decoder"] = {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}]}
    out["unigram-bytes"] = Tokenizer.from_str(json.dumps(j))
    return out


def lines(args, items):
    data = "".join(json.dumps(x) + "\n" for x in items)
    r = subprocess.run(args, input=data.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    got = [json.loads(l) for l in r.stdout.decode().split("\n") if l]
    if len(got) != len(items): sys.exit("FAIL %s: %d answers to %d lines: %s" % (" ".join(args), len(got), len(items), r.stderr.decode()[-300:]))
    return got


def compare(program, folder, name, t, count, rng):
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    t.save(os.path.join(path, "tokenizer.json"))
    texts = [text(rng) for _ in range(count)]
    pairs = [text(rng) if rng.random() < 0.2 else None for _ in texts]
    items = [{"text": a} if b is None else {"text": a, "pair": b} for a, b in zip(texts, pairs)]
    got = lines([program, "tokenize", "--model", path, "--jsonl", "--type-ids"], items)
    back = lines([program, "detokenize", "--model", path, "--jsonl"], [{"ids": g.get("ids", [])} for g in got])
    skip = lines([program, "detokenize", "--model", path, "--jsonl", "--skip-special"], [{"ids": g.get("ids", [])} for g in got])
    bad = 0
    for a, b, g, d, s in zip(texts, pairs, got, back, skip):
        e = t.encode(a, b) if b is not None else t.encode(a)
        want = {"ids": e.ids, "offsets": [list(o) for o in e.offsets], "type_ids": e.type_ids}
        wd, ws = t.decode(e.ids, skip_special_tokens=False), t.decode(e.ids, skip_special_tokens=True)
        if all(g.get(k) == want[k] for k in want) and d.get("text") == wd and s.get("text") == ws: continue
        bad += 1
        if bad <= 3:
            print("  %s: text %r pair %r" % (name, a, b))
            for k in want:
                if g.get(k) != want[k]: print("    %s\n      got  %s\n      want %s" % (k, json.dumps(g.get(k, g))[:400], json.dumps(want[k])[:400]))
            if d.get("text") != wd: print("    decoded %r, want %r" % (d, wd))
            if s.get("text") != ws: print("    decoded without special %r, want %r" % (s, ws))
    print("%s tokenizers/differential/%s (%d texts, %d differ)" % ("FAIL" if bad else "PASS", name, count, bad), flush=True)
    return bad


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("program")
    ap.add_argument("--count", type=int, default=2000)
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--kind")
    o = ap.parse_args()
    seed = o.seed if o.seed is not None else random.SystemRandom().randrange(1 << 32)
    print("differential: seed %d, tokenizers %s" % (seed, tokenizers.__version__))
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, t in kinds(random.Random(seed)).items():
            if not o.kind or o.kind == name: bad += compare(o.program, folder, name, t, o.count, random.Random("%d %s" % (seed, name)))
    sys.exit(1 if bad else 0)


main()
