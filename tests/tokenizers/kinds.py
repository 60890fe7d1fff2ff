# SPDX-License-Identifier: Apache-2.0
"""Small tokenizers of every kind that tokenizer.json can hold, trained on random text."""
import base64, json, struct
import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from texts import WORDS, corpus


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


def character_kinds():
    """Texts of tokenizer.json, each with one step or class; the ids and offsets show what it does to each character."""
    from tokenizers import AddedToken
    P, N = pre_tokenizers, normalizers
    out = {}
    alphabet = {c: i for i, c in enumerate(sorted(P.ByteLevel.alphabet()))}
    for name, n in {"NFC": N.NFC(), "NFD": N.NFD(), "NFKC": N.NFKC(), "NFKD": N.NFKD(), "Lowercase": N.Lowercase(), "StripAccents": N.StripAccents(), "Nmt": N.Nmt(),
                    "Strip": N.Strip(), "Bert": N.BertNormalizer(lowercase=False), "BertLower": N.BertNormalizer(), "ByteLevel": N.ByteLevel()}.items():
        t = Tokenizer(models.BPE(alphabet, []))
        t.normalizer, t.pre_tokenizer = n, P.ByteLevel(add_prefix_space=False, use_regex=False)
        out["normalizer-" + name] = t.to_str()
    t = Tokenizer(models.BPE(alphabet, []))
    t.pre_tokenizer = P.ByteLevel(add_prefix_space=False)
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    out["byte-level"] = t.to_str()
    t.add_tokens([AddedToken("a", single_word=True), AddedToken("b", lstrip=True, rstrip=True)])
    out["words-around-added-tokens"] = t.to_str()
    steps = {"Whitespace": P.Whitespace(), "WhitespaceSplit": P.WhitespaceSplit(), "Bert": P.BertPreTokenizer(), "Punctuation": P.Punctuation(),
             "Digits": P.Digits(), "Scripts": P.UnicodeScripts(), "Metaspace": P.Metaspace()}
    for p in (r"\p{L}", r"\p{N}", r"\p{P}", r"\p{S}", r"\p{M}", r"\p{Z}", r"\p{C}", r"\p{Lu}", r"\p{Ll}", r"\p{Lt}", r"\p{Lm}", r"\p{Lo}", r"\p{Nd}", r"\s", r"\S+", r"\w", r"\W",
              r"\d", r"\h", r"\b", r".", r"(?i)[a-z]", r"(?i:k|s|é|я|ω)", r"[[:punct:]]", r"[[:space:]]", r"[[:alpha:]]", r"[[:alnum:]]", r"[[:upper:]]", r"[[:lower:]]",
              r"[[:word:]]", r"[[:cntrl:]]", r"\p{Alpha}", r"\p{Han}", r"\p{Latin}", r"\p{Cyrillic}", r"\p{Greek}", r"\p{Arabic}", r"\p{Hiragana}", r"\p{Katakana}", r"\p{Hangul}",
              r"\p{Thai}", r"[^\s\p{L}\p{N}]+", r"[\p{P}\p{S}]+", r"[一-龥぀-ゟ゠-ヿ]+"):
        steps[p] = P.Split(Regex(p), "isolated")
    for name, p in steps.items():
        t = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
        t.pre_tokenizer = p
        out["pre-tokenizer-" + name] = t.to_str()
    return out
