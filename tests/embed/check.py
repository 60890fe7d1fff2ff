# SPDX-License-Identifier: Apache-2.0
"""embed, rerank and classify: golden answers, texts in any company, and what is wrong with folders and requests.

    check.py OLIVINE FIXTURES TMP PEBBLE

FIXTURES: the unpacked embed.tar.xz (make_fixtures.py); PEBBLE: a language model."""
import json, math, os, random, shutil, signal, subprocess, sys, time

OLIVINE, FIXTURES, TMP, PEBBLE = (os.path.abspath(a) for a in sys.argv[1:5])
failed = 0


class Failure(Exception):
    pass


def run(*args, stdin="", timeout=120):
    p = subprocess.run([OLIVINE, *args], input=stdin.encode(), capture_output=True, timeout=timeout, cwd=FIXTURES)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def expect(condition, what):
    if not condition:
        raise Failure(what)


def lines(args, items, code=0):
    got, out, err = run(*args, "--jsonl", "--no-cache", stdin="".join(json.dumps(i) + "\n" for i in items))
    expect(got == code, f"{args}: exit {got}, expected {code}: {err.strip()[-300:]}")
    return [json.loads(l) for l in out.splitlines()]


def fails(code, *parts, args, stdin=""):
    got, out, err = run(*args, stdin=stdin)
    last = err.strip().splitlines()[-1] if err.strip() else ""
    expect(got == code, f"{args}: exit {got}, expected {code}: {last}")
    for p in parts:
        expect(p in last, f"{args}: '{p}' is not in '{last}'")


def distance(a, b):
    """Greatest difference of the numbers in two answers of equal form."""
    if isinstance(b, dict):
        expect(isinstance(a, dict) and sorted(a) == sorted(b), f"keys {sorted(a)}, expected {sorted(b)}")
        return max((distance(a[k], b[k]) for k in b), default=0)
    if isinstance(b, list):
        expect(isinstance(a, list) and len(a) == len(b), f"a list of {len(a)}, expected {len(b)}")
        return max((distance(x, y) for x, y in zip(a, b)), default=0)
    if isinstance(b, float):
        return abs(a - b)
    expect(a == b, f"{a!r}, expected {b!r}")
    return 0


def copy(name, to, **files):
    """A fixture's copy with files replaced: text, an object, or None to leave one out."""
    folder = os.path.join(TMP, to)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(os.path.join(FIXTURES, name), folder)
    for path, value in files.items():
        path = os.path.join(folder, path)
        if value is None:
            os.remove(path)
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(value if isinstance(value, str) else json.dumps(value))
    return folder


def read(name, file):
    with open(os.path.join(FIXTURES, name, file)) as f:
        return json.load(f)


with open(os.path.join(FIXTURES, "golden.json")) as f:
    GOLDEN = json.load(f)


def golden():
    """As transformers and sentence-transformers in f32."""
    by_args = {}
    for case in GOLDEN:
        by_args.setdefault(tuple(case["args"]), []).append(case)
    for isa in ([], ["--isa", "avx2"], ["--isa", "scalar"]):
        worst = 0
        for args, cases in by_args.items():
            got = lines([*args, *isa], [c["line"] for c in cases])
            for g, c in zip(got, cases):
                worst = max(worst, distance(g, c["want"]))
        expect(worst <= 1e-4, f"{isa}: max|d| {worst:.3g}")


def company():
    """A text's bits do not depend on the others, on the threads, or on the batch size."""
    case = next(c for c in GOLDEN if c["args"] == ["embed", "embed-bert"])
    texts = case["line"]["text"]
    together = lines(["embed", "embed-bert", "--threads", "2"], [{"text": texts}])[0]["embeddings"]
    alone = [r["embedding"] for r in lines(["embed", "embed-bert", "--threads", "1"], [{"text": t} for t in texts])]
    expect(together == alone, "texts together and alone differ")
    turned = lines(["embed", "embed-bert", "--batch-size", "2"], [{"text": texts[::-1]}])[0]["embeddings"]
    expect(turned[::-1] == together, "the order of texts changes their numbers")


def options():
    """Normalization, dimensions, prompts, plain output, weights in int8 and int4."""
    case = next(c for c in GOLDEN if c["args"] == ["embed", "embed-bert"])
    text = case["line"]["text"][0]
    base = lines(["embed", "embed-bert"], [{"text": text}])[0]["embedding"]
    expect(abs(math.fsum(v * v for v in base) - 1) < 1e-5, "the folder's normalization is not done")
    raw = lines(["embed", "embed-bert", "--no-normalize"], [{"text": text}])[0]["embedding"]
    norm = math.sqrt(math.fsum(v * v for v in raw))
    expect(abs(norm - 1) > 1e-3 and max(abs(a / norm - b) for a, b in zip(raw, base)) < 1e-6, "--no-normalize")
    short = lines(["embed", "embed-bert", "--dimensions", "5"], [{"text": text}])[0]["embedding"]
    norm = math.sqrt(math.fsum(v * v for v in raw[:5]))
    expect(len(short) == 5 and max(abs(a / norm - b) for a, b in zip(raw, short)) < 1e-6, "--dimensions")
    prompts = read("embed-bert", "config_sentence_transformers.json")["prompts"]
    named = lines(["embed", "embed-bert", "--prompt-name", "query"], [{"text": text}])
    given = lines(["embed", "embed-bert", "--prompt", prompts["query"]], [{"text": text}])
    joined = lines(["embed", "embed-bert"], [{"text": prompts["query"] + text}])
    expect(named == given == joined and named[0]["embedding"] != base, "prompts")
    code, out, _ = run("embed", "embed-bert", text, text)
    rows = [[float(v) for v in l.split()] for l in out.splitlines()]
    expect(code == 0 and len(rows) == 2 and rows[0] == rows[1] and max(abs(a - b) for a, b in zip(rows[0], base)) < 1e-7, "plain output")
    code, out, _ = run("embed", "embed-bert", "--json", stdin=text + "\n\n" + text + "\n")
    expect(code == 0 and [json.loads(l)["embedding"] for l in out.splitlines()] == [base, base], "lines of standard input")
    folder = copy("embed-bert", "lower", **{"sentence_bert_config.json": {"max_seq_length": 20, "do_lower_case": True}})
    expect(lines(["embed", folder], [{"text": text.upper()}])[0]["embedding"] == base, "do_lower_case")
    for weights, least in (("int8", 0.99), ("int4", 0.8)):
        got = lines(["embed", "embed-bert", "--weights", weights], [{"text": text}])[0]["embedding"]
        expect(math.fsum(a * b for a, b in zip(got, base)) > least, f"--weights {weights} resembles too little")
    got = lines(["classify", "classify-electra", "--top-k", "2"], [{"text": "w5"}])[0]["labels"]
    expect(len(got) == 2 and got[0]["score"] >= got[1]["score"], "--top-k")
    got = lines(["classify", "classify-electra", "--function-to-apply", "sigmoid"], [{"text": "w5"}])[0]["labels"]
    expect(all(0 < l["score"] < 1 for l in got) and abs(sum(l["score"] for l in got) - 1) > 1e-3, "--function-to-apply")
    code, out, _ = run("rerank", "classify-distilbert", "-q", "w5 w6", "w7", "w8 w9 w10", "w5 w6", "--top-n", "2")
    expect(code == 0 and len(out.splitlines()) == 2, "rerank --top-n")


def folders():
    """What a folder lacks or says wrongly."""
    folder = copy("embed-bert", "no-modules", **{"modules.json": None, "1_Pooling/config.json": None})
    code, out, err = run("embed", folder, "w5 w6")
    expect(code == 0 and "mean of its rows" in err, f"without modules.json: exit {code}: {err}")
    folder = copy("embed-bert", "no-pooling", **{"1_Pooling/config.json": None})
    expect(lines(["embed", folder], [{"text": "w5"}])[0]["embedding"], "a Pooling module without a config is the mean")
    modules = read("embed-bert", "modules.json")
    broken = [
        (3, ["modules.json", "WeightedLayerPooling"], {"modules.json": [*modules[:1], {"path": "1_X", "type": "x.WeightedLayerPooling"}]}),
        (1, ["modules.json", "no plain name"], {"modules.json": [*modules[:1], {"path": "../x", "type": "a.Pooling"}]}),
        (1, ["modules.json", "list"], {"modules.json": {"a": 1}}),
        (1, ["modules.json"], {"modules.json": "[{"}),
        (3, ["pooling_mode", "median"], {"1_Pooling/config.json": {"pooling_mode": "median"}}),
        (1, ["max_seq_length"], {"sentence_bert_config.json": {"max_seq_length": "long"}}),
        (1, ["tokenizer"], {"tokenizer.json": None, "tokenizer_config.json": None}),
        (3, ["is_decoder"], {"config.json": dict(read("embed-bert", "config.json"), is_decoder=True)}),
        (3, ["position_embedding_type"], {"config.json": dict(read("embed-bert", "config.json"), position_embedding_type="relative_key")}),
        (1, ["shape"], {"config.json": dict(read("embed-bert", "config.json"), vocab_size=7)}),
        (1, ["max_position_embeddings"], {"config.json": dict(read("embed-bert", "config.json"), max_position_embeddings=0)}),
    ]
    for code, parts, files in broken:
        fails(code, *parts, args=("embed", copy("embed-bert", "broken", **files), "w5"))
    dense = read("embed-mpnet", "2_Dense/config.json")
    fails(1, "in_features", args=("embed", copy("embed-mpnet", "broken", **{"2_Dense/config.json": dict(dense, in_features=3)}), "w5"))
    fails(3, "activation_function", args=("embed", copy("embed-mpnet", "broken", **{"2_Dense/config.json": dict(dense, activation_function="os.system")}), "w5"))
    fails(1, "2_Dense", args=("embed", copy("embed-mpnet", "broken", **{"2_Dense/model.safetensors": None}), "w5"))


def tasks():
    """Models that are not made for the task."""
    fails(3, "is an encoder", "embed", args=("generate", "embed-bert", "-p", "w5"))
    fails(3, "no classifier", args=("classify", "embed-bert", "w5"))
    fails(3, "3 labels", args=("rerank", "classify-roberta", "-q", "w5", "w6"))
    fails(3, "no classifier", args=("rerank", PEBBLE, "-q", "a", "b"))
    code, out, err = run("embed", PEBBLE, "One day a fox", "--quiet")
    expect(code == 0 and len(out.split()) > 10, f"rows of a decoder: exit {code}: {err}")


def requests():
    """What is wrong with a line or an argument."""
    got = lines(["embed", "embed-bert"], [{"text": 5}, {"texts": "w5"}, {"text": ["w5", 7]}, {"text": "w5", "prompt_name": "nope"}, {"text": []},
                                          {"text": "w5"}], code=1)
    kinds = ["error" if "error" in g else "embedding" if "embedding" in g else "embeddings" for g in got]
    expect(kinds == ["error"] * 4 + ["embeddings", "embedding"], f"answers are {kinds}")
    expect("query" in got[3]["error"]["message"], "the known prompts are not named")
    got = lines(["rerank", "classify-distilbert"], [{"query": "w5"}, {"documents": ["w5"]}, {"query": "w5", "documents": []}], code=1)
    expect("error" in got[0] and "error" in got[1] and got[2] == {"results": []}, f"rerank: {got}")
    got = lines(["classify", "classify-roberta"], [{"pair": "w5"}, {"text": "w5", "pair": 3}, {"text": "w5"}], code=1)
    expect("error" in got[0] and "error" in got[1] and len(got[2]["labels"]) == 3, f"classify: {got}")
    fails(2, "query", args=("rerank", "classify-distilbert", "w5"))
    fails(2, "dimensions", args=("embed", "embed-bert", "w5", "--dimensions", "100000"))
    fails(2, "softmax", args=("classify", "classify-roberta", "w5", "--function-to-apply", "tanh"))
    fails(2, "no text", args=("embed", "embed-bert"))


def interrupt():
    """Ctrl-C ends a long call after the texts that are being computed."""
    line = " ".join(["w5"] * 18) + "\n"
    path = os.path.join(TMP, "many.txt")
    with open(path, "w") as f:
        f.write(line * 400000)
    with open(path) as f:
        p = subprocess.Popen([OLIVINE, "embed", "embed-bert", "--threads", "1"], stdin=f, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=FIXTURES)
        time.sleep(1.5)
        expect(p.poll() is None, "400,000 texts are done in 1.5 s: the test needs more of them")
        p.send_signal(signal.SIGINT)
        err = p.communicate(timeout=30)[1].decode()
    expect(p.returncode == 130 and "interrupted" in err, f"exit {p.returncode}: {err}")


def mutations():
    """Configs with values changed at random: an answer or one line of error, never a crash."""
    rng = random.Random(11)
    values = [None, True, -1, 0, 1, 3, 10 ** 6, 2 ** 31, 2 ** 62, 1e300, -0.5, "", "gelu", "relative_key", [], {}, [1, 2], {"a": 1}]
    for name, files in (("embed-bert", ["config.json", "1_Pooling/config.json", "sentence_bert_config.json"]), ("embed-mpnet", ["config.json", "2_Dense/config.json", "modules.json"]),
                        ("embed-modernbert", ["config.json"]), ("classify-albert", ["config.json"])):
        for _ in range(40):
            file = rng.choice(files)
            j = read(name, file)
            part = rng.choice(j) if isinstance(j, list) else j
            part[rng.choice(list(part))] = rng.choice(values)
            folder = copy(name, "mutated", **{file: j})
            code, out, err = run("classify" if "classify" in name else "embed", folder, "w5 w6 w7", "--no-cache")
            expect(code in (0, 1, 2, 3), f"{file} {json.dumps(j)}: exit {code}")
            expect(code == 0 or "olivine: error: " in err, f"{file}: exit {code} without a message")
    for name in ("embed-bert", "classify-roberta"):
        whole = open(os.path.join(FIXTURES, name, "model.safetensors"), "rb").read()
        for size in (0, 7, 100, len(whole) // 2, len(whole) - 1):
            folder = copy(name, "cut")
            with open(os.path.join(folder, "model.safetensors"), "wb") as f:
                f.write(whole[:size])
            fails(1, "safetensors", args=("classify" if "classify" in name else "embed", folder, "w5"))


for name, check in (("golden", golden), ("company", company), ("options", options), ("folders", folders), ("tasks", tasks),
                    ("requests", requests), ("interrupt", interrupt), ("mutations", mutations)):
    try:
        check()
        print(f"PASS embed-{name}", flush=True)
    except (Failure, OSError, ValueError, KeyError, IndexError, subprocess.TimeoutExpired) as e:
        failed = 1
        print(f"FAIL embed-{name}: {type(e).__name__} {str(e)[:600]}".replace("\n", " "), flush=True)
sys.exit(failed)
