# SPDX-License-Identifier: Apache-2.0
"""Random texts through the program and through the peers' own packages: ids, offsets, type ids, decoded text and streams must be
equal. Groups: kinds (tokenizers of every kind), recorded (the folders of --root), random (random configurations), characters (every
code point; takes no --count), spm (raw
SentencePiece models beside the package sentencepiece), tiktoken (beside the package tiktoken).

usage: differential.py OLIVINE [--count N] [--seed S] [--root FOLDER] [--group NAME] [--kind NAME]
"""
import argparse, base64, json, os, random, re, subprocess, sys, tempfile, unicodedata
try:
    import tokenizers
    from tokenizers import Tokenizer
    from tokenizers.decoders import DecodeStream
    from configurations import configuration, model_pool
    from kinds import character_kinds, kinds
except ImportError:
    print("SKIP tokenizers/differential: the package `tokenizers` is not installed")
    sys.exit(0)
from texts import text

CHUNK = 10000


def lines(args, items):
    data = "".join(json.dumps(x) + "\n" for x in items)
    r = subprocess.run(args, input=data.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    got = [json.loads(l) for l in r.stdout.decode().split("\n") if l]
    if len(got) != len(items):
        print("  %s: %d answers to %d lines: %s" % (" ".join(args), len(got), len(items), r.stderr.decode()[-300:]))
        got += [{"error": "no answer"}] * (len(items) - len(got))
    return got


def caught(fn, *args, **kw):
    """What fn gives, or None where it raises: a panic in the peer's Rust is no Exception."""
    try:
        return fn(*args, **kw)
    except BaseException as e:
        if isinstance(e, (KeyboardInterrupt, SystemExit)): raise
        return None


class HuggingFace:
    """The package tokenizers."""
    specials = skips = pairs = True

    def __init__(self, t):
        self.t = t
        self.names = [a.content for a in t.get_added_tokens_decoder().values() if a.content]

    def encode(self, a, b, special):
        e = caught(self.t.encode, a, b, add_special_tokens=special)
        return None if e is None else {"ids": e.ids, "offsets": [list(o) for o in e.offsets], "type_ids": e.type_ids}

    def decode(self, ids, skip): return caught(self.t.decode, ids, skip_special_tokens=skip)

    def stream(self, ids):
        """Piece of each id; None where the peer's stream gives up or its pieces are not the text of the ids (its window forgets what
        came before, which some decoders look at: CTC, Strip, WordPiece's clean-up, byte tokens that turn out malformed)."""
        s = DecodeStream(skip_special_tokens=False)
        pieces = caught(lambda: [s.step(self.t, i) or "" for i in ids])
        return pieces if pieces is not None and (self.decode(ids, False) or "").startswith("".join(pieces)) else None

    def some_ids(self, rng):
        n = self.t.get_vocab_size()
        ids = [rng.randrange(n) for _ in range(rng.randrange(1, 12))]
        return [i for i in ids if self.t.id_to_token(i) is not None]


class Report:
    def __init__(self, name):
        self.name, self.bad, self.count, self.unjudged = name, 0, 0, 0

    def differ(self, what, where, got, want):
        """got, want: two lists (shown around the first difference), or anything else (shown whole)."""
        self.bad += 1
        if self.bad > 3: return
        at = ""
        if isinstance(got, list) and isinstance(want, list):
            k = next((i for i, (x, y) in enumerate(zip(got, want)) if x != y), min(len(got), len(want)))
            at, got, want = " from place %d of %d and %d on" % (max(0, k - 3), len(got), len(want)), got[max(0, k - 3):k + 9], want[max(0, k - 3):k + 9]
        print("  %s: %.600s\n    %s%s\n      got  %.500s\n      want %.500s" % (self.name, where, what, at, json.dumps(got), json.dumps(want)), flush=True)

    def end(self):
        print("%s tokenizers/differential/%s (%d texts, %d differ, %d the peer failed on)" %
              ("FAIL" if self.bad else "PASS", self.name, self.count, self.bad, self.unjudged), flush=True)
        return self.bad


def compare_texts(program, path, peer, count, rng, rep):
    texts = [text(rng, peer.names) for _ in range(count)]
    pairs = [text(rng, peer.names) if peer.pairs and rng.random() < 0.2 else None for _ in texts]
    return compare_encodings(program, path, peer, texts, pairs, rep)


def compare_encodings(program, path, peer, texts, pairs, rep):
    items = [{"text": a} if b is None else {"text": a, "pair": b} for a, b in zip(texts, pairs)]
    ask = [program, "tokenize", "--model", path, "--jsonl", "--type-ids"]
    got = lines(ask, items) if peer.specials else lines(ask + ["--no-special"], items)
    plain = lines(ask + ["--no-special"], items[::4]) if peer.specials else []
    rep.count += len(texts)
    for i, (a, b, g) in enumerate(zip(texts, pairs, got)):
        for special in (True, False) if peer.specials and i % 4 == 0 else (peer.specials,):
            want, have = peer.encode(a, b, special), plain[i // 4] if plain and not special else g
            if want is None:
                rep.unjudged += 1
                continue
            wrong = [k for k in want if have.get(k) != want[k]]
            if wrong: rep.differ("%s%s" % (wrong[0], "" if special else " without special tokens"), "text %r pair %r" % (a, b), have.get(wrong[0], have), want[wrong[0]])
    return [g["ids"] for g in got if "ids" in g]


def compare_ids(program, path, peer, ids, rng, rep):
    """Decoding: of encoded texts, and of ids in no order."""
    ids = ids + [peer.some_ids(rng) for _ in range(len(ids) // 4)]
    items = [{"ids": x} for x in ids]
    back = lines([program, "detokenize", "--model", path, "--jsonl"], items)
    skip = lines([program, "detokenize", "--model", path, "--jsonl", "--skip-special"], items) if peer.skips else None
    pieces = lines([program, "detokenize", "--model", path, "--jsonl", "--stream"], items[1::2])
    for i, x in enumerate(ids):
        want = peer.decode(x, False)
        if want is not None and back[i].get("text") != want: rep.differ("decoded", "ids %s" % x, back[i], want)
        if skip:
            want = peer.decode(x, True)
            if want is not None and skip[i].get("text") != want: rep.differ("decoded without special tokens", "ids %s" % x, skip[i], want)
        if i % 2:
            want, have = peer.stream(x), pieces[i // 2].get("pieces")
            if want is not None and (have is None or have[:len(x)] != want): rep.differ("stream", "ids %s" % x, have, want)


def compare(program, path, name, peer, count, seed, rep=None):
    rng, own = random.Random("%s %s" % (seed, name)), rep is None
    rep = rep or Report(name)
    for done in range(0, count, CHUNK):
        ids = compare_texts(program, path, peer, min(CHUNK, count - done), rng, rep)
        compare_ids(program, path, peer, ids[::2] if count > 500 else ids, rng, rep)
    return rep.end() if own else 0


def saved(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "tokenizer.json"), "w", encoding="utf-8") as f: f.write(data)
    return path


def fixed_kinds(o, folder):
    return sum(compare(o.program, saved(folder, n, t.to_str()), n, HuggingFace(t), o.count, o.seed)
               for n, t in kinds(random.Random(o.seed)).items() if o.kind in (None, n))


def recorded(o, folder):
    bad = 0
    for n in sorted(os.listdir(o.root)) if o.root else []:
        path = os.path.join(o.root, n)
        file = os.path.join(path, "tokenizer.json")
        if os.path.exists(file) and o.kind in (None, n): bad += compare(o.program, path, n, HuggingFace(Tokenizer.from_file(file)), o.count, o.seed)
    return bad


def well_defined(t):
    """No added token is normalized to nothing (the peer's search then finds it at every place, and cuts all texts to characters),
    and no two are normalized alike (which one the peer then finds changes from process to process)."""
    if t.normalizer is None: return True
    names = [caught(t.normalizer.normalize_str, a.content) for a in t.get_added_tokens_decoder().values() if a.normalized]
    return "" not in names and len(set(names)) == len(names)


def random_configurations(o, folder):
    """As many texts as a kind gets, 20 to a configuration."""
    pool, bad = model_pool(random.Random(o.seed)), 0
    rep = Report("random configurations")
    for i in range(max(1, o.count // 20)) if o.kind is None else [int(o.kind)]:
        data = configuration(random.Random("%s configuration %d" % (o.seed, i)), pool)
        t = caught(Tokenizer.from_str, data)
        if t is None or not well_defined(t): continue
        path, before = saved(folder, "configuration", data), rep.bad
        rep.name = "random configuration %d" % i
        compare(o.program, path, "configuration %d" % i, HuggingFace(t), 20, o.seed, rep)
        if rep.bad > before and o.keep: saved(o.keep, str(i), data)
    rep.name = "random-configurations"
    return rep.end()


def every_character(o, folder):
    """Code points between letters and alone, through every step and class that looks at characters: each, or below the full
    tier's count one in 16 of the large uniform blocks and every one in 4 of the others, which ones the seed says."""
    uniform = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xF8FF), (0x17000, 0x18CFF), (0x20000, 0xE0000), (0xE0200, 0x10FFFF))
    rng = random.Random("%s characters" % o.seed)
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and
              (o.count >= 100000 or rng.random() < (0.02 if any(a <= c <= b for a, b in uniform) else 1.0 if o.count >= 20000 else 0.25))]
    def texts_of(points):
        parts = [points[i:i + 32] for i in range(0, len(points), 32)]
        return ["".join("a%s" % chr(c) for c in p) for p in parts] + ["".join("%c a%cb " % (c, c) for c in p) for p in parts]
    bad, all_texts = 0, texts_of(points)
    # Scripts and the property Alphabetic of characters newer than the pattern library's tables are not known to us: what
    # stands for such a character shares its category alone. Alphabetic came to some marks later than the marks themselves.
    old = [c for c in points if unicodedata.category(chr(c)) != "Cn"]
    old_texts, no_marks = texts_of(old), texts_of([c for c in old if unicodedata.category(chr(c))[0] != "M"])
    for name, data in character_kinds().items():
        if o.kind not in (None, name): continue
        texts = no_marks if "Alpha}" in name else old_texts if re.search(r"\[\[:(alpha|alnum|lower|upper|word):|p\{[A-Z][a-z]{3,}", name) else all_texts
        rep = Report("characters/" + name)
        path = saved(folder, name, data)
        for i in range(0, len(texts), CHUNK):
            part = texts[i:i + CHUNK]
            compare_encodings(o.program, path, HuggingFace(Tokenizer.from_str(data)), part, [None] * len(part), rep)
        bad += rep.end()
    return bad


class SentencePiece:
    specials = skips = pairs = False

    def __init__(self, path):
        import sentencepiece
        self.p = sentencepiece.SentencePieceProcessor(model_file=path)
        self.names = [self.p.id_to_piece(i) for i in range(min(8, self.p.vocab_size()))]

    def encode(self, a, b, special):
        return {"ids": self.p.encode(a)}

    def decode(self, ids, skip): return self.p.decode(ids)
    def stream(self, ids): return None
    def some_ids(self, rng): return [rng.randrange(self.p.vocab_size()) for _ in range(rng.randrange(1, 12))]


class Tiktoken:
    specials, skips, pairs = True, False, False

    def __init__(self, path):
        import tiktoken
        with open(os.path.join(path, "ranks.tiktoken"), "rb") as f: ranks = {base64.b64decode(l.split()[0]): int(l.split()[1]) for l in f.read().splitlines() if l}
        with open(os.path.join(path, "tiktoken.json"), encoding="utf-8") as f: c = json.load(f)
        self.e = tiktoken.Encoding("it", pat_str=c["pat_str"], mergeable_ranks=ranks, special_tokens=c["special_tokens"])
        self.names = list(c["special_tokens"])

    def encode(self, a, b, special):
        return {"ids": caught(self.e.encode, a, allowed_special="all") if special else self.e.encode_ordinary(a)}

    def decode(self, ids, skip): return self.e.decode(ids)
    def stream(self, ids): return None
    def some_ids(self, rng): return [rng.randrange(self.e.max_token_value + 1 - len(self.names)) for _ in range(rng.randrange(1, 12))]


def raw_models(o, folder, group, file, make):
    bad = 0
    for n in sorted(os.listdir(o.root)) if o.root else []:
        path = os.path.join(o.root, n, file)
        if not os.path.exists(path) or o.kind not in (None, n): continue
        try: peer = make(os.path.join(o.root, n) if group == "tiktoken" else path)
        except ImportError:
            print("SKIP tokenizers/differential/%s: the package %s is not installed" % (group, file.split(".")[-1] if group == "tiktoken" else "sentencepiece"))
            return bad
        bad += compare(o.program, path, "%s/%s" % (group, n), peer, o.count, o.seed)
    return bad


GROUPS = {"kinds": fixed_kinds, "recorded": recorded, "random": random_configurations,
          "characters": every_character,
          "spm": lambda o, f: raw_models(o, f, "spm", "tokenizer.model", SentencePiece),
          "tiktoken": lambda o, f: raw_models(o, f, "tiktoken", "ranks.tiktoken", Tiktoken)}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("program")
    ap.add_argument("--count", type=int, default=2000)
    ap.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    ap.add_argument("--root", help="folder with one recorded tokenizer in each folder")
    ap.add_argument("--group", choices=sorted(GROUPS))
    ap.add_argument("--kind", help="only this one (a number for random configurations)")
    ap.add_argument("--keep", help="folder for configurations that differ")
    o = ap.parse_args()
    os.environ["RUST_BACKTRACE"] = "0"
    sys.stdout, _ = os.fdopen(os.dup(1), "w", encoding="utf-8"), os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # where the peer's panics go
    print("differential: seed %d, tokenizers %s" % (o.seed, tokenizers.__version__), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bad = sum([run(o, folder) for name, run in GROUPS.items() if o.group in (None, name)])
    sys.exit(1 if bad else 0)


main()
