# SPDX-License-Identifier: Apache-2.0
"""Cuts and flips bits in the files of model folders, then looks at them and generates with them: whatever the damage, the
program ends by itself, in time, and says why when it fails."""
import json, os, random, shutil, subprocess, sys, tarfile

OLIVINE, ROOT, TMP = (os.path.abspath(a) for a in sys.argv[1:4])
SEED = int(os.environ.get("SEED", "20240611"))
EACH = int(os.environ.get("MUTATIONS", "12" if os.environ.get("OLIVINE_FULL") == "1" else "4"))
ENV = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
failed = 0


def sources():
    """Folders to damage: a real model, one in two shards with an index, one for onnxruntime-genai."""
    pebble, sharded = os.path.join(ROOT, "models", "pebble"), os.path.join(TMP, "sharded")
    with tarfile.open(os.path.join(ROOT, "tests", "data", "ortgenai.tar.xz")) as t:
        t.extractall(TMP, [m for m in t.getmembers() if m.name.startswith(("ortgenai/llama-int4/", "./ortgenai/llama-int4/"))
                           and not m.name.endswith(".npy")])
    os.mkdir(sharded)
    for f in ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copy(os.path.join(pebble, f), sharded)
    data = open(os.path.join(pebble, "model.safetensors"), "rb").read()
    head = int.from_bytes(data[:8], "little")
    tensors = {k: v for k, v in json.loads(data[8:8 + head]).items() if k != "__metadata__"}
    names, weight_map = sorted(tensors), {}
    for part, some in enumerate((names[::2], names[1::2])):
        file, header, body = f"model-{part + 1:05}-of-00002.safetensors", {}, b""
        for n in some:
            a, b = tensors[n]["data_offsets"]
            header[n] = dict(tensors[n], data_offsets=[len(body), len(body) + b - a])
            body += data[8 + head + a:8 + head + b]
            weight_map[n] = file
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        open(os.path.join(sharded, file), "wb").write(len(text).to_bytes(8, "little") + text + body)
    json.dump({"metadata": {"total_size": len(data) - 8 - head}, "weight_map": weight_map},
              open(os.path.join(sharded, "model.safetensors.index.json"), "w"))
    return pebble, sharded, os.path.join(TMP, "ortgenai", "llama-int4")


def damage(data, rng, structured):
    """The bytes with one kind of damage, and its name. `structured`: only so many first bytes hold structure; half of the
    damage goes there."""
    near = min(len(data), structured or len(data))
    reach = near if rng.random() < 0.7 else len(data)
    kind = rng.choice(("cut", "flip", "flips", "fill", "remove", "repeat", "empty"))
    at = rng.randrange(reach)
    if kind == "cut":
        return data[:at], f"cut at {at}"
    if kind == "empty":
        return (b"", "emptied") if rng.random() < 0.3 else (data[:8], "cut at 8")
    if kind == "remove":
        n = rng.randrange(1, 64)
        return data[:at] + data[at + n:], f"{n} bytes removed at {at}"
    if kind == "repeat":
        n = rng.randrange(1, 64)
        return data[:at + n] + data[at:], f"{n} bytes repeated at {at}"
    out = bytearray(data)
    if kind == "fill":
        n, v = rng.randrange(1, 16), rng.choice((0, 0xff, 0x7f, 0x39))
        out[at:at + n] = bytes([v]) * len(out[at:at + n])
        return bytes(out), f"{n} bytes of {v:#x} at {at}"
    count = 1 if kind == "flip" else rng.randrange(2, 30)
    for _ in range(count):
        at = rng.randrange(reach)
        out[at] ^= 1 << rng.randrange(8)
    return bytes(out), f"{count} bits flipped, one at {at}"


def attempt(args, what):
    try:
        p = subprocess.run([OLIVINE, *args], capture_output=True, timeout=30, env=ENV, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"{what}: {args[0]} runs for more than 30 s"
    err = p.stderr.decode("utf-8", "replace").strip()
    if p.returncode < 0 or p.returncode in (134, 139):
        return f"{what}: {args[0]} ended by signal {-p.returncode}: {err[-200:]}"
    if "AddressSanitizer" in err or "runtime error:" in err:
        return f"{what}: {args[0]}: {err[:300]}"
    if p.returncode and not err:
        return f"{what}: {args[0]} ended with {p.returncode} without a message"
    if p.returncode and (p.returncode > 4 or "olivine: error: " not in err):
        return f"{what}: {args[0]} ended with {p.returncode}: {err[-200:]}"
    return None


def check(folder, file, rng, structured=0):
    """Damages one file EACH times; the first trouble, or None."""
    copy = os.path.join(TMP, "damaged")
    good = open(os.path.join(folder, file), "rb").read()
    for _ in range(EACH):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.jsonl", "*.npy", "golden*", "stories.txt"))
        data, what = damage(good, rng, structured)
        open(os.path.join(copy, file), "wb").write(data)
        for args in (["inspect", copy], ["generate", copy, "-p", "One day", "--max-new-tokens", "4", "--threads", "1"],
                     ["chat", copy, "-p", "Hi", "--max-new-tokens", "4", "--threads", "1"]):
            trouble = attempt(args, what)
            if trouble:
                return trouble
    return None


print(f"seed {SEED}", flush=True)
pebble, sharded, ort = sources()
header = int.from_bytes(open(os.path.join(pebble, "model.safetensors"), "rb").read(8), "little") + 8
TARGETS = [(pebble, "model.safetensors", header), (sharded, "model-00002-of-00002.safetensors", header // 2),
           (sharded, "model.safetensors.index.json", 0), (pebble, "config.json", 0), (pebble, "generation_config.json", 0),
           (pebble, "tokenizer.json", 4000), (pebble, "tokenizer_config.json", 0), (pebble, "chat_template.jinja", 0),
           (ort, "model.onnx", 0), (ort, "model.onnx.data", 0), (ort, "genai_config.json", 0), (ort, "tokenizer.json", 2000),
           (sharded, "config.json", 0), (ort, "chat_template.jinja", 0), (ort, "model.onnx", 3000)]
for number, (folder, file, structured) in enumerate(TARGETS):
    name = f"{os.path.basename(folder)}/{file}" + (" head" if folder == ort and structured == 3000 else "")
    trouble = check(folder, file, random.Random(SEED + 1000 * number), structured)
    if trouble:
        failed = 1
    print(f"FAIL {name}: seed {SEED}: {trouble}".replace("\n", " ") if trouble else f"PASS {name}", flush=True)
sys.exit(failed)
