# SPDX-License-Identifier: Apache-2.0
"""Checks of the command line: exit codes, messages, JSON lines, interrupted work, equal bytes."""
import array, json, os, random, shutil, signal, struct, subprocess, sys, time

OLIVINE, ROOT, TMP = (os.path.abspath(a) for a in sys.argv[1:4])
MODEL = os.path.join(ROOT, "models", "pebble")
failed = 0


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def run(*args, stdin="", timeout=120):
    p = subprocess.run([OLIVINE, *args], input=stdin.encode(), capture_output=True, timeout=timeout, cwd=TMP)
    return p.returncode, p.stdout.decode("utf-8", "replace"), p.stderr.decode("utf-8", "replace")


def expect(condition, what):
    if not condition:
        raise Failure(what)


def fails(code, *parts, args, stdin=""):
    """The command ends with `code`, and the last line on stderr says each of the parts."""
    got, out, err = run(*args, stdin=stdin)
    last = err.strip().splitlines()[-1] if err.strip() else ""
    expect(got == code, f"{args}: exit {got}, expected {code}: {last}")
    expect(last, f"{args}: no message on stderr")
    for p in parts:
        expect(p in last, f"{args}: '{p}' is not in '{last}'")
    return last


def lines(args, stdin, code):
    got, out, err = run(*args, stdin=stdin)
    expect(got == code, f"{args}: exit {got}, expected {code}: {err.strip()[-200:]}")
    return [json.loads(l) for l in out.splitlines()]


def tree(folder):
    return {f: open(os.path.join(folder, f), "rb").read() for f in sorted(os.listdir(folder))}


def same_tree(a, b):
    ta, tb = tree(a), tree(b)
    expect(sorted(ta) == sorted(tb), f"files differ: {sorted(set(ta) ^ set(tb))}")
    for f in ta:
        expect(ta[f] == tb[f], f"{f} differs")


COMMANDS = ["verify", "auto-opt", "generate", "chat", "eval", "benchmark", "inspect", "embed", "rerank", "classify", "infer", "compare", "logits", "tokenize", "detokenize",
            "template", "devices", "doctor"]
GREEDY = ["--max-new-tokens", "12", "--do-sample", "false"]


# ---- wrong usage ----

def usage():
    code, out, err = run()
    expect(code == 2 and "COMMAND" in out + err, f"no command: exit {code}")
    fails(2, "generat0", "generate", args=["generat0"])
    fails(2, "zzzzzzzz", args=["zzzzzzzz"])
    fails(2, "--max-new-tokns", "did you mean", args=["generate", MODEL, "-p", "x", "--max-new-tokns", "3"])
    fails(2, args=["generate", MODEL, "-p", "x", "--qqqqqqq"])
    fails(2, args=["generate", MODEL, "-p"])
    fails(2, args=["generate", MODEL, "-p", "x", "--threads", "many"])
    fails(2, args=["generate", MODEL, "-p", "x", "--threads", "-1"])
    fails(2, "other", args=["generate", MODEL, "-p", "x", "other"])
    fails(2, "model", args=["generate"])
    fails(2, "prompt", args=["generate", MODEL])
    fails(2, "temperature", args=["generate", MODEL, "-p", "x", "--temperature", "-3"])
    fails(2, "precision", args=["generate", MODEL, "-p", "x", "--precision", "f7"])
    fails(2, args=["auto-opt", "-m", MODEL, "-o", "never", "--precision", "int4", "--group-size", "33"])
    expect(not os.path.exists(os.path.join(TMP, "never")), "wrong usage left a folder")


def models():
    fails(1, "nowhere", args=["generate", "nowhere", "-p", "x"])
    fails(1, args=["inspect", "nowhere/atall/x"])
    os.mkdir(os.path.join(TMP, "empty"))
    code, _, err = run("generate", "empty", "-p", "x")
    expect(code in (1, 3) and "empty" in err, f"an empty folder: exit {code}: {err}")
    odd = os.path.join(TMP, "odd")
    os.mkdir(odd)
    config = json.load(open(os.path.join(MODEL, "config.json")))
    config["model_type"] = "warbler"
    json.dump(config, open(os.path.join(odd, "config.json"), "w"))
    shutil.copy(os.path.join(MODEL, "model.safetensors"), odd)
    fails(3, "warbler", "llama", "qwen3", args=["generate", odd, "-p", "x"])


def help_texts():
    code, out, _ = run("--help")
    expect(code == 0 and all(c in out for c in COMMANDS), "olivine --help lacks a command")
    code, out, _ = run("--version")
    expect(code == 0 and out.startswith("olivine "), "--version")
    for c in COMMANDS:
        code, out, err = run(c, "--help")
        expect(code == 0, f"{c} --help: exit {code}")
        expect("example" in out and f"olivine {c}" in out, f"{c} --help has no example")


def spellings():
    want = run("generate", MODEL, "-p", "One day", *GREEDY)
    expect(want[0] == 0 and want[1].strip(), f"generate: {want}")
    for args in (["--max_new_tokens=12", "--do_sample=false"], ["--max-new-tok", "12", "--do-s", "false"],
                 ["--max_new-tokens", "12", "--do-sample=false"]):
        have = run("generate", MODEL, "-p", "One day", *args)
        expect(have[:2] == want[:2], f"{args}: {have}")
    for args in (["-m", MODEL], ["--model", MODEL], ["--model_name_or_path", MODEL], [f"--model={MODEL}"]):
        have = run("generate", *args, "-p", "One day", *GREEDY)
        expect(have[:2] == want[:2], f"{args}: {have}")
    fails(2, args=["generate", MODEL, "-p", "x", "--t", "1"])  # several options begin like this


# ---- JSON lines ----

def json_lines():
    items = [{"prompt": "One day", "max_new_tokens": 4}, {"ids": [1, 999999], "max_new_tokens": 4}, {"ids": [-1]},
             {"ids": []}, {"ids": "x"}, {"ids": list(range(3)) * 200, "max_new_tokens": 4}, {"nothing": 1},
             {"prompt": "x", "temperature": "hot"}, {"messages": [{"role": "user", "content": "Hi"}], "max_new_tokens": 4}]
    text = "".join(json.dumps(i) + "\n" for i in items) + "no json\n[1]\n" + json.dumps(items[0]) + "\n"
    out = lines(["generate", MODEL, "--jsonl"], text, 1)
    expect(len(out) == 12, f"{len(out)} lines for 12 items")
    good = [i for i, o in enumerate(out) if "error" not in o]
    expect(good == [0, 8, 11], f"items {good} were answered")
    for i, o in enumerate(out):
        if "error" in o:
            expect(o["error"]["code"] and o["error"]["message"], f"item {i} has an empty error")
    expect("vocabulary" in out[1]["error"]["message"] and "vocabulary" in out[2]["error"]["message"], "ids outside: " + str(out[1]))
    expect("context" in out[5]["error"]["message"], "too long: " + str(out[5]))
    expect(out[0]["ids"] == out[11]["ids"] and len(out[0]["ids"]) <= 4, "an item changed after errors")
    expect(out[0]["finish_reason"] in ("length", "stop"), out[0])
    ids = lines(["tokenize", "--model", MODEL, "--jsonl"], '{"text":"caf\\u00e9 au lait"}\n{"tex":1}\n', 1)
    expect("error" in ids[1] and len(ids[0]["ids"]) == len(ids[0]["offsets"]), ids)
    back = lines(["detokenize", "--model", MODEL, "--jsonl", "--skip-special"],
                 json.dumps({"ids": ids[0]["ids"]}) + '\n{"ids":[99999999]}\n{"ids":[-5]}\n', 1)
    expect(back[0]["text"] == "café au lait" and "error" in back[1] and "error" in back[2], back)


def context():
    long = "fox " * 700
    fails(1, "context", args=["generate", MODEL, "-p", long])


# ---- generation ----

def stop_strings():
    whole = lines(["generate", MODEL, "--jsonl"], json.dumps({"prompt": "One day a fox", "max_new_tokens": 30, "do_sample": False}) + "\n", 0)[0]
    text = whole["text"]
    stop = text[len(text) // 2:len(text) // 2 + 3]
    cut = text[:text.index(stop)]
    item = {"prompt": "One day a fox", "max_new_tokens": 30, "do_sample": False, "stop_strings": [stop]}
    out = lines(["generate", MODEL, "--jsonl"], json.dumps(item) + "\n" + json.dumps({**item, "include_stop_str_in_output": True}) + "\n", 0)
    expect(out[0]["text"] == cut and out[0]["finish_reason"] == "stop", f"{out[0]} for stop '{stop}' in '{text}'")
    expect(out[1]["text"] == cut + stop, out[1])
    code, shown, _ = run("generate", MODEL, "-p", "One day a fox", "--max-new-tokens", "30", "--do-sample", "false", "--stop", stop)
    expect(code == 0 and shown.rstrip("\n") == cut.rstrip("\n"), f"streamed '{shown}' expected '{cut}'")


def lengths():
    base = {"prompt": "What is 2 + 2?", "do_sample": False}
    items = [{**base, "max_new_tokens": 1}, {**base, "max_new_tokens": 7, "ignore_eos": True},
             {**base, "min_new_tokens": 40, "max_new_tokens": 45}, {**base, "max_new_tokens": 0},
             {**base, "min_new_tokens": 9, "max_new_tokens": 3}]
    got = [json.loads(l) for l in run("generate", MODEL, "--jsonl", stdin="".join(json.dumps(i) + "\n" for i in items))[1].splitlines()]
    expect(len(got) == 5, got)
    expect(len(got[0]["ids"]) == 1 and got[0]["finish_reason"] in ("length", "stop"), got[0])
    expect(len(got[1]["ids"]) == 7 and got[1]["finish_reason"] == "length", got[1])
    expect(40 <= len(got[2]["ids"]) <= 45, got[2])
    expect("error" in got[3] or len(got[3]["ids"]) == 0, got[3])
    expect("error" in got[4] and "min_new_tokens" in got[4]["error"]["message"], got[4])


def seeds():
    def sample(seed, threads):
        item = {"prompt": "One day", "max_new_tokens": 24, "do_sample": True, "temperature": 1.5, "seed": seed}
        return lines(["generate", MODEL, "--jsonl", "--threads", str(threads)], json.dumps(item) + "\n", 0)[0]["ids"]
    first = sample(7, 1)
    expect(first == sample(7, 1) == sample(7, 2), "the same seed gives other tokens")
    expect(any(sample(s, 1) != first for s in (8, 9, 10)), "seeds have no effect")


def streaming():
    for extra in (GREEDY, ["--max-new-tokens", "40", "--temperature", "1.2", "--seed", "3"]):
        code, shown, _ = run("generate", MODEL, "-p", "One day a fox", *extra)
        code2, out, _ = run("generate", MODEL, "-p", "One day a fox", *extra, "--json")
        expect(code == code2 == 0, "exit codes")
        expect(shown.rstrip("\n") == json.loads(out)["text"].rstrip("\n"), f"'{shown}' is not the text of {out}")
    p = subprocess.run(f"'{OLIVINE}' generate '{MODEL}' -p 'One day' --max-new-tokens 5 > /dev/full", shell=True, capture_output=True)
    expect(p.returncode == 1 and p.stderr, f"full standard output: exit {p.returncode}")


# ---- auto-opt ----

def output_folders():
    out = os.path.join(TMP, "busy")
    os.mkdir(out)
    open(os.path.join(out, "letter.txt"), "w").write("dear")
    fails(1, "busy", "--force", args=["auto-opt", "-m", MODEL, "-o", out, "--precision", "int4"])
    expect(os.listdir(out) == ["letter.txt"], "the folder was touched")
    code, _, err = run("auto-opt", "-m", MODEL, "-o", out, "--precision", "int4", "--force")
    expect(code == 0 and "genai_config.json" in os.listdir(out), f"--force: exit {code}: {err}")
    code, _, err = run("auto-opt", "-m", MODEL, "-o", "goal", "--precision", "int4", "--goal", "size<1KB")
    expect(code == 4 and not os.path.exists(os.path.join(TMP, "goal")), f"missed goal: exit {code}: {err}")
    code, text, _ = run("auto-opt", "-m", MODEL, "-o", "dry", "--precision", "int4", "--dry-run")
    expect(code == 0 and text and not os.path.exists(os.path.join(TMP, "dry")), "dry run")


def read_only():
    where = os.path.join(TMP, "locked")
    os.mkdir(where)
    os.chmod(where, 0o500)
    try:
        probe = os.path.join(where, "probe")
        try:
            open(probe, "w").close()
            os.unlink(probe)
            where = "/proc/self"  # the superuser writes everywhere but in such places
        except OSError:
            pass
        fails(1, "out", args=["auto-opt", "-m", MODEL, "-o", os.path.join(where, "out"), "--precision", "int4"])
    finally:
        os.chmod(os.path.join(TMP, "locked"), 0o700)


def disk_full():
    where = os.path.join(TMP, "small")
    os.mkdir(where)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", where], capture_output=True).returncode:
        raise Skip("no small file system can be mounted here")
    try:
        out = os.path.join(where, "out")
        last = fails(1, args=["auto-opt", "-m", MODEL, "-o", out, "--precision", "int4"])
        expect("space" in last or "free" in last or "disk" in last, last)
        expect(not os.path.exists(out), "a full disk left an output folder")
    finally:
        subprocess.run(["umount", where], capture_output=True)


def verifies():
    out = os.path.join(TMP, "checked")
    code, _, err = run("auto-opt", "-m", MODEL, "-o", out, "--precision", "int4", "--threads", "1")
    expect(code == 0, err)
    expect(run("verify", out)[0] == 0, "a fresh folder is not verified")
    two = os.path.join(TMP, "checked2")
    expect(run("auto-opt", "-m", MODEL, "-o", two, "--precision", "int4", "--threads", "2")[0] == 0, "--threads 2")
    same_tree(out, two)
    rng = random.Random(5)
    for name in ("model.onnx.data", "model.onnx", "genai_config.json", "tokenizer.json"):
        path = os.path.join(out, name)
        good = open(path, "rb").read()
        at = rng.randrange(len(good))
        open(path, "wb").write(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        fails(1, name, args=["verify", out])
        open(path, "wb").write(good)
    expect(run("verify", out)[0] == 0, "the restored folder is not verified")
    os.unlink(os.path.join(out, "model.onnx.data"))
    fails(1, "model.onnx.data", args=["verify", out])


def big_model():
    """A llama of about 60 MB in f32 with random weights, made once."""
    folder = os.path.join(TMP, "big")
    if os.path.isdir(folder):
        return folder
    os.mkdir(folder)
    hidden, inner, layers, vocab = 512, 1536, 4, 2048
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": hidden, "intermediate_size": inner,
              "num_hidden_layers": layers, "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": vocab,
              "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
              "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32"}
    json.dump(config, open(os.path.join(folder, "config.json"), "w"))
    for f in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(MODEL, f), folder)
    shapes = {"model.embed_tokens.weight": [vocab, hidden], "lm_head.weight": [vocab, hidden], "model.norm.weight": [hidden]}
    for i in range(layers):
        p = f"model.layers.{i}."
        for n in ("q", "k", "v", "o"):
            shapes[f"{p}self_attn.{n}_proj.weight"] = [hidden, hidden]
        shapes.update({p + "mlp.gate_proj.weight": [inner, hidden], p + "mlp.up_proj.weight": [inner, hidden],
                       p + "mlp.down_proj.weight": [hidden, inner], p + "input_layernorm.weight": [hidden],
                       p + "post_attention_layernorm.weight": [hidden]})
    header, at = {}, 0
    for name, shape in shapes.items():
        n = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = random.Random(11)
    pool = array.array("f", (rng.gauss(0, 0.04) for _ in range(65536 + 512)))
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            left = shape[0] * (shape[1] if len(shape) > 1 else 1)
            while left:  # rows are cut from a pool at random places
                n, start = min(left, 65536), rng.randrange(512)
                f.write(pool[start:start + n].tobytes())
                left -= n
    return folder


def interrupted(kind):
    def check():
        model = big_model()
        whole = os.path.join(TMP, "whole")
        args = ["--precision", "int4", "--threads", "1"]
        if not os.path.isdir(whole):
            start = time.time()
            code, _, err = run("auto-opt", "-m", model, "-o", whole, *args)
            expect(code == 0, err)
            check.__globals__["WHOLE_SECONDS"] = time.time() - start
        out, stopped, done = os.path.join(TMP, "cut" + kind.name), 0, False
        for fraction in (0.1, 0.3, 0.2, 0.5, 0.4):
            p = subprocess.Popen([OLIVINE, "auto-opt", "-m", model, "-o", out, *args], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
            time.sleep(fraction * WHOLE_SECONDS)
            p.send_signal(kind)
            err = p.communicate(timeout=60)[1].decode()
            done = p.returncode == 0
            if done:
                break
            stopped += 1
            expect(p.returncode == (130 if kind == signal.SIGINT else -signal.SIGKILL), f"exit {p.returncode}: {err}")
            expect(not os.path.exists(out), "an unfinished output folder is to be seen")
        expect(stopped, "the work was never interrupted")
        if not done:
            code, _, err = run("auto-opt", "-m", model, "-o", out, *args)
            expect(code == 0, f"continued: exit {code}: {err}")
        same_tree(whole, out)
        left = [f for f in os.listdir(TMP) if f.startswith("cut" + kind.name) and f != "cut" + kind.name]
        left += [f for f in os.listdir(TMP) if f.startswith(".cut" + kind.name)]
        expect(not left, f"left behind: {left}")
    return check


WHOLE_SECONDS = 1.0
CHECKS = [("usage", usage), ("models", models), ("help", help_texts), ("spellings", spellings), ("json-lines", json_lines),
          ("context", context), ("stop-strings", stop_strings), ("lengths", lengths), ("seeds", seeds),
          ("streaming", streaming), ("output-folders", output_folders), ("read-only", read_only), ("disk-full", disk_full),
          ("verify", verifies), ("interrupt", interrupted(signal.SIGINT)), ("kill", interrupted(signal.SIGKILL))]
only = sys.argv[4:]
for name, check in CHECKS:
    if only and name not in only:
        continue
    try:
        check()
        print(f"PASS {name}", flush=True)
    except Skip as e:
        print(f"SKIP {name}: {e}", flush=True)
    except (Failure, subprocess.TimeoutExpired, OSError, ValueError, KeyError, IndexError, AttributeError) as e:
        failed = 1
        print(f"FAIL {name}: {type(e).__name__} {str(e)[:600]}".replace("\n", " "), flush=True)
sys.exit(failed)
