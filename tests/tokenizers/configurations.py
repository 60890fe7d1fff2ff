# SPDX-License-Identifier: Apache-2.0
"""Random configurations of tokenizer.json: chains of normalizers, pre-tokenizers, post-processors and decoders, added tokens with
random flags, truncation and padding, over small trained models. Some make no sense; all of them are defined."""
import base64, json
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from kinds import charsmap, unigram_vocab
from texts import WORDS, corpus

BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
PATTERNS = [{"Regex": p} for p in (r"\s+", r" ?\p{L}+| ?\p{N}+|[^\s\p{L}\p{N}]+", r"\p{N}{1,3}", r"[^\S\r\n]", r"(?i:'s|'t)", r"\w+|[^\w\s]+", r"\p{Lu}?\p{Ll}+",
            r"[一-龥]", r"\p{Han}|\p{Hiragana}", r"\d(?=\d)", r"(?<=a)b", r"\p{M}+", r"\b", r".", r"[a-f&&[^c]]+", r"\p{P}|\p{S}", r"(?:a|ab)(?:c|bcd)?", r"$", r"\h+", r"[[:punct:]]+")] + \
           [{"String": s} for s in (" ", "a", "▁", "é", "th", "\n", ".", "  ")]


def model_pool(rng):
    """One trained model of each sort, as objects of tokenizer.json."""
    texts = corpus(rng)

    def trained(model, trainer, pre=None):
        t = Tokenizer(model)
        if pre is not None: t.pre_tokenizer = pre
        t.train_from_iterator(texts, trainer)
        return json.loads(t.to_str())["model"]

    special = ["<unk>", "<s>", "</s>"]
    byte_names = ["<0x%02X>" % i for i in range(256)]
    pool = {
        "byte-level": trained(models.BPE(), trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=special,
                              show_progress=False), pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "characters": trained(models.BPE(unk_token="<unk>"), trainers.BpeTrainer(vocab_size=500, special_tokens=special + byte_names, limit_alphabet=200,
                              show_progress=False), pre_tokenizers.Metaspace()),
        "affixes": trained(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"),
                           trainers.BpeTrainer(vocab_size=500, special_tokens=special, limit_alphabet=100, continuing_subword_prefix="##",
                                               end_of_word_suffix="</w>", show_progress=False), pre_tokenizers.Whitespace()),
        "wordpiece": trained(models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False),
                             pre_tokenizers.BertPreTokenizer()),
        "words": trained(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=400, special_tokens=special, show_progress=False),
                         pre_tokenizers.Whitespace()),
        "unigram": {"type": "Unigram", "unk_id": 0, "vocab": [list(x) for x in unigram_vocab(rng)], "byte_fallback": False},
    }
    pool["unigram-bytes"] = dict(pool["unigram"], vocab=pool["unigram"]["vocab"] + [[b, -20.0 - i % 3] for i, b in enumerate(byte_names)], byte_fallback=True)
    return pool


def vary(rng, model):
    m = dict(model)
    if m["type"] == "BPE":
        m["fuse_unk"], m["byte_fallback"], m["ignore_merges"] = (rng.random() < 0.4 for _ in range(3))
        if rng.random() < 0.2: m["unk_token"] = None
    if m["type"] == "WordPiece":
        m["max_input_chars_per_word"] = rng.choice([100, 7, 0])
        m["continuing_subword_prefix"] = rng.choice(["##", "##", "@", ""])
    return m


def normalizer(rng, maps):
    k = rng.randrange(16)
    if k < 4: return {"type": ["NFC", "NFD", "NFKC", "NFKD"][k]}
    if k < 9: return {"type": ["Lowercase", "StripAccents", "Nmt", "ByteLevel", "Lowercase"][k - 4]}
    if k == 9: return {"type": "Strip", "strip_left": rng.random() < 0.5, "strip_right": rng.random() < 0.5}
    if k == 10: return {"type": "Prepend", "prepend": rng.choice(["▁", " ", "ab", "é"])}
    if k == 11: return {"type": "Precompiled", "precompiled_charsmap": maps}
    if k == 12: return {"type": "BertNormalizer", "clean_text": rng.random() < 0.5, "handle_chinese_chars": rng.random() < 0.5,
                        "strip_accents": rng.choice([None, True, False]), "lowercase": rng.random() < 0.5}
    # Without empty matches: where one is replaced at the end of a text, the peer indexes beyond it and panics.
    pattern = rng.choice([p for p in PATTERNS if p.get("Regex") not in ("$", r"\b")])
    return {"type": "Replace", "pattern": pattern, "content": rng.choice(["", " ", "▁", "x", "abc", "ﬁ", "\u0301"])}


def metaspace(rng):
    return {"type": "Metaspace", "replacement": rng.choice(["▁", "▁", "_", "é"]), "prepend_scheme": rng.choice(["always", "first", "never"]), "split": rng.random() < 0.6}


def byte_level(rng):
    return {"type": "ByteLevel", "add_prefix_space": rng.random() < 0.5, "trim_offsets": rng.random() < 0.5, "use_regex": rng.random() < 0.6}


def pretokenizer(rng):
    k = rng.randrange(16)
    if k < 4: return {"type": ["BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts"][k]}
    if k == 4: return {"type": "Digits", "individual_digits": rng.random() < 0.5}
    if k == 5: return {"type": "Punctuation", "behavior": rng.choice(BEHAVIORS)}
    if k == 6: return {"type": "CharDelimiterSplit", "delimiter": rng.choice(["a", " ", "▁", "é"])}
    if k == 7: return {"type": "FixedLength", "length": rng.randrange(1, 9)}
    if k < 10: return metaspace(rng)
    if k < 12: return byte_level(rng)
    return {"type": "Split", "pattern": rng.choice(PATTERNS), "behavior": rng.choice(BEHAVIORS), "invert": rng.random() < 0.3}


def template(rng):
    def pieces(sequences):
        out = []
        for s in sequences:
            for _ in range(rng.choice([0, 1, 1, 2])): out.append({"SpecialToken": {"id": rng.choice(["<s>", "</s>", "multi"]), "type_id": rng.randrange(3)}})
            out.append({"Sequence": {"id": s, "type_id": rng.randrange(3)}})
        if rng.random() < 0.7: out.append({"SpecialToken": {"id": "</s>", "type_id": rng.randrange(2)}})
        return out
    return {"type": "TemplateProcessing", "single": pieces("A"), "pair": pieces(rng.choice(["AB", "AB", "BA"])),
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]},
                               "multi": {"id": "multi", "ids": [1, 2], "tokens": ["<s>", "</s>"]}}}


def postprocessor(rng):
    k = rng.randrange(8)
    if k < 3: return template(rng)
    if k == 3: return {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]}
    if k == 4: return {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": rng.random() < 0.7, "add_prefix_space": rng.random() < 0.5}
    if k == 5: return byte_level(rng)
    return {"type": "Sequence", "processors": [byte_level(rng), rng.choice([template(rng), byte_level(rng)])]}


def decoder(rng):
    k = rng.randrange(14)
    if k < 2: return {"type": "ByteFallback"}
    if k < 4: return {"type": "Fuse"}
    if k == 4: return {"type": "WordPiece", "prefix": rng.choice(["##", "@", ""]), "cleanup": rng.random() < 0.5}
    if k == 5: return {"type": "BPEDecoder", "suffix": rng.choice(["</w>", "e"])}
    if k == 6: return {"type": "CTC", "pad_token": rng.choice(["<unk>", "a"]), "word_delimiter_token": rng.choice(["|", "▁"]), "cleanup": rng.random() < 0.5}
    if k == 7: return {"type": "Strip", "content": rng.choice([" ", "▁", "a"]), "start": rng.randrange(3), "stop": rng.randrange(3)}
    if k < 10: return metaspace(rng)
    if k == 10: return byte_level(rng)
    return {"type": "Replace", "pattern": rng.choice(PATTERNS), "content": rng.choice(["", " ", "▁", "xy"])}


def chain(rng, make, key, most):
    n = rng.randrange(most + 1)
    if n == 0: return None
    if n == 1: return make(rng)
    return {"type": "Sequence", key: [make(rng) for _ in range(n)]}


def added(rng, model):
    names = ["<s>", "</s>", "<mask>", "fox", "<|a|>", "<|ab|>", "é", "İ", " x", "the ", "\u0301b", "日本", "\n\n", "--", "QUICK", "ﬁ", "  ", "a", "ab", "1"] + WORDS[:8]
    known = model["vocab"] if isinstance(model["vocab"], dict) else {p[0]: i for i, p in reversed(list(enumerate(model["vocab"])))}
    chosen = {"<s>", "</s>"} | {rng.choice(names) for _ in range(rng.choice([0, 1, 3, 6]))}
    out, next_id = [], len(model["vocab"])
    for n in sorted(chosen, key=lambda n: known.get(n, 1 << 30)):
        i = known.get(n)
        if i is None: i, next_id = next_id, next_id + 1
        special = rng.random() < 0.5
        out.append({"id": i, "content": n, "single_word": rng.random() < 0.3, "lstrip": rng.random() < 0.3, "rstrip": rng.random() < 0.3,
                    "normalized": rng.random() < 0.5, "special": special})
    return sorted(out, key=lambda a: a["id"])


def configuration(rng, pool):
    """Text of a tokenizer.json."""
    rules = {"ﬁ": "fi", "½": "1/2", "é": "e", "e\u0301": "E", "\u200b": "", "\t": " ", "\n": " ", "Å": "A\u030a", "👍🏽": "+1", "क्षि": "ks", "a": "bb"}
    maps = base64.b64encode(charsmap({k: v for k, v in rules.items() if rng.random() < 0.6} or {"a": "b"})).decode()
    model = vary(rng, pool[rng.choice(sorted(pool))])
    t = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added(rng, model),
         "normalizer": chain(rng, lambda r: normalizer(r, maps), "normalizers", 4), "pre_tokenizer": chain(rng, pretokenizer, "pretokenizers", 3),
         "post_processor": postprocessor(rng) if rng.random() < 0.7 else None, "decoder": chain(rng, decoder, "decoders", 4), "model": model}
    if rng.random() < 0.2: t["truncation"] = {"direction": rng.choice(["Left", "Right"]), "max_length": rng.choice([0, 4, 9, 30]),
                                               "strategy": rng.choice(["LongestFirst", "OnlyFirst", "OnlySecond"]), "stride": 0}
    if rng.random() < 0.2: t["padding"] = {"strategy": rng.choice(["BatchLongest", {"Fixed": 12}]), "direction": rng.choice(["Left", "Right"]),
                                            "pad_to_multiple_of": rng.choice([None, 8]), "pad_id": 0, "pad_type_id": rng.randrange(2), "pad_token": "<unk>"}
    return json.dumps(t, ensure_ascii=rng.random() < 0.5)
