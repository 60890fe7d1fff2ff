# SPDX-License-Identifier: Apache-2.0
"""Logits of checkpoints in the formats of the hub against golden ones, and broken ones. Prints PASS and FAIL lines."""
import array
import json
import os
import random
import shutil
import struct
import subprocess
import sys

program, root, tmp = sys.argv[1:4]


def say(ok, name, detail=""):
    print(("PASS " if ok else "FAIL ") + "checkpoints " + name + (": " + detail if detail else ""), flush=True)


def floats(path, skip_header):
    data = open(path, "rb").read()
    start = 10 + struct.unpack_from("<H", data, 8)[0] if skip_header else 0
    values = array.array("f")
    values.frombytes(data[start:])
    return values


def run(args, text=None):
    return subprocess.run([program] + args, input=text, capture_output=True, text=True)


prompts = json.load(open(root + "/prompts.json"))


def logits(model, *options):
    out = os.path.join(tmp, "logits")
    lines = "".join(json.dumps({"ids": p}) + "\n" for p in prompts)
    r = run(["logits", model, "--jsonl", "--output-dir", out, *options], lines)
    if r.returncode:
        return None, r.stderr.strip()
    values = array.array("f")
    for i in range(len(prompts)):
        values.extend(floats("%s/logits_%d.npy" % (out, i), True))
    return values, ""


def deviation(got, want):
    """Root of the mean square of the difference, in that of the golden logits; infinite when shapes differ or a number is none."""
    if len(got) != len(want):
        return float("inf")
    total = sum((a - b) ** 2 for a, b in zip(got, want))
    size = sum(b * b for b in want)
    return (total / size) ** 0.5 if total == total else float("inf")


def check(name):
    folder = os.path.join(root, name)
    want = floats(folder + "/golden.f32", False)
    for label, limit, options in (("f32", 2e-6, ["--precision", "f32"]), ("default", 2e-2, [])):
        got, text = logits(folder, *options)
        d = deviation(got, want) if got else float("inf")
        say(d <= limit, "%s %s" % (name, label), text or "relative deviation %.1e" % d)


# What the weights of a checkpoint are in memory: as narrow as in the file.
KINDS = {"awq-4": "u4 g32 zp", "bnb-fp4": "table4", "bnb-int8": "int8 sym per-row", "bnb-nf4": "nf4", "ct-fp8-block": "f8e4m3 g32",
         "ct-fp8-row": "f8e4m3 per-row", "ct-int4": "int4 sym g32", "ct-int4-act": "int4 sym g32", "ct-int4-asym": "u4 g32 zp",
         "ct-int8-row": "int8 sym per-row", "ct-mxfp4": "f4e2m1 g32", "ct-nvfp4": "f4e2m1 g16", "ct-w8a8": "int8 sym per-row",
         "fp8-block": "f8e4m3", "fp8-e5m2": "table8", "gptq-2": "u4 g32 zp", "gptq-3": "int4 sym g32", "gptq-4": "int4 sym g32",
         "gptq-4-act": "int4 sym g32", "gptq-8-act": "u8 g32 zp", "pt-zip": "bf16"}


def check_kind(name):
    r = run(["inspect", os.path.join(root, name)])
    lines = [l for l in r.stdout.splitlines() if l.startswith("weights")]
    say(r.returncode == 0 and any(KINDS[name] in l for l in lines), "%s holds %s" % (name, KINDS[name]), " ".join(lines + [r.stderr]).strip()
        if r.returncode or not any(KINDS[name] in l for l in lines) else "")


# ---- checkpoints that are broken, or of another kind

def copy(name, to):
    out = os.path.join(tmp, to)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(os.path.join(root, name), out)
    return out


def refused(folder, label, code, *words):
    r = run(["inspect", folder])
    last = r.stderr.strip().splitlines()[-1] if r.stderr.strip() else ""
    ok = r.returncode == code and all(w in r.stderr for w in words)
    say(ok, label, "" if ok else "exit code %d, '%s'" % (r.returncode, last))


def read_tensors(path):
    data = open(path, "rb").read()
    n = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + n])
    return {k: (v["dtype"], v["shape"], data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]]) for k, v in header.items()}


def write_tensors(path, tensors):
    header, at = {}, 0
    for k, (dtype, shape, b) in tensors.items():
        header[k] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(b)]}
        at += len(b)
    h = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(h)) + h + b"".join(b for _, _, b in tensors.values()))


def set_config(folder, **changes):
    path = folder + "/config.json"
    c = json.load(open(path))
    c.update(changes)
    json.dump(c, open(path, "w"))


def check_configs():
    f = copy("gptq-4", "unknown")
    set_config(f, quantization_config={"quant_method": "nosuch"})
    refused(f, "unknown method", 3, "'nosuch'", "gptq", "awq", "compressed-tensors", "bitsandbytes")
    f = copy("gptq-4", "own-file")  # as the first tools wrote it
    c = json.load(open(f + "/config.json"))["quantization_config"]
    set_config(f, quantization_config=None)
    del c["quant_method"]
    json.dump(c, open(f + "/quantize_config.json", "w"))
    os.rename(f + "/model.safetensors", f + "/gptq_model-4bit-32g.safetensors")
    got, text = logits(f, "--precision", "f32")
    want = floats(f + "/golden.f32", False)
    say(bool(got) and deviation(got, want) <= 2e-6, "quantize_config.json", text)


def check_evil():
    for name in ("bad-posix-system", "bad-old-posix-system"):
        f = copy("pt-zip", name)
        shutil.copy(os.path.join(corpus, "pytorch", name), f + "/pytorch_model.bin")
        refused(f, name, 1, "posix.system", "refused")
    for name, words in (("bad-compressed", "compressed"), ("bad-big-endian", "byte order"), ("bad-beyond-storage", "storage"),
                        ("bad-torchscript", "TorchScript"), ("bad-cut", "truncated")):
        f = copy("pt-zip", name)
        shutil.copy(os.path.join(corpus, "pytorch", name), f + "/pytorch_model.bin")
        refused(f, name, 3 if name in ("bad-compressed", "bad-big-endian", "bad-torchscript") else 1, words)


def clear(r):
    """A message of the program, or a model that was read: nothing else."""
    return r.returncode == 0 or (r.returncode in (1, 3) and r.stderr.startswith("olivine: error:") and len(r.stderr.strip().splitlines()) == 1)


def change(tensors, rng):
    """One lie about one tensor; the file around it stays sound."""
    k = rng.choice([n for n in tensors if "layers" in n])
    dtype, shape, b = tensors[k]
    kind = rng.randrange(6)
    if kind == 0:
        del tensors[k]
    elif kind == 1:
        tensors[k] = (dtype, shape[::-1], b)
    elif kind == 2 and len(shape) == 2:
        tensors[k] = (dtype, [shape[0] * shape[1]], b)
    elif kind == 3:
        tensors[k] = ("U8", [len(b)], b)
    elif kind == 4 and shape and shape[0] > 1:
        tensors[k] = (dtype, [shape[0] - 1] + shape[1:], b[:len(b) // shape[0] * (shape[0] - 1)])
    else:
        b = bytearray(b)
        for _ in range(min(len(b), 8)):
            b[rng.randrange(len(b))] = rng.randrange(256)
        tensors[k] = (dtype, shape, bytes(b))
    return "%s of %s" % (("without", "turned", "flat", "bytes", "shorter", "noise")[kind], k)


def check_mutations(name, count):
    rng = random.Random(name)
    tensors = read_tensors("%s/%s/model.safetensors" % (root, name))
    f = copy(name, "mutated")
    for _ in range(count):
        t = dict(tensors)
        what = change(t, rng)
        write_tensors(f + "/model.safetensors", t)
        r = run(["logits", f, "--jsonl", "--output-dir", tmp + "/logits", "--no-cache"], json.dumps({"ids": [1, 2]}) + "\n")
        if not clear(r):
            say(False, "%s %s" % (name, what), "exit code %d, %s" % (r.returncode, r.stderr.strip()[-300:]))
            return
    say(True, "%s: %d lies give clear errors" % (name, count))


# ---- what is made of them

def written(name):
    """Logits of the folder for onnxruntime-genai that the checkpoint becomes; 4-bit integers in the order of columns stay."""
    out = os.path.join(tmp, "written")
    shutil.rmtree(out, ignore_errors=True)
    r = run(["auto-opt", "-m", os.path.join(root, name), "-o", out, "--use_ort_genai", "--precision", "int4", "--force"])
    got, text = logits(out, "--precision", "f32") if r.returncode == 0 else (None, r.stderr.strip()[-300:])
    return got, text


corpus = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../fuzz/corpus")
names = [n for n in sorted(os.listdir(root)) if os.path.exists("%s/%s/golden.f32" % (root, n))]
for name in names:
    check(name)
for name in sorted(KINDS):
    check_kind(name)
check_configs()
check_evil()
for name in names:
    if not name.startswith("pt-"):
        check_mutations(name, 60 if os.environ.get("OLIVINE_FULL") == "1" else 8)
want = {n: floats("%s/%s/golden.f32" % (root, n), False) for n in ("gptq-4", "gptq-4-act", "fp8-block", "pt-zip")}
for name in want:  # table and head become int4, so that the logits move
    got, text = written(name)
    d = deviation(got, want[name]) if got else float("inf")
    say(d <= 0.3, name + " written for onnxruntime-genai", text or "relative deviation %.1e" % d)


def tokenizer(folder):
    """64 letters: the GGUF writer takes the tokenizer along."""
    letters = [chr(33 + i) for i in range(64)]
    json.dump({"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
               "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(letters)}, "merges": []}},
              open(folder + "/tokenizer.json", "w"))


for name in ("gptq-4-act", "bnb-nf4", "pt-old"):
    f, out = copy(name, "to-gguf"), os.path.join(tmp, "out.gguf")
    tokenizer(f)
    r = run(["convert", f, "-o", out, "--format", "gguf", "--outtype", "f32"])
    got, text = logits(out, "--precision", "f32") if r.returncode == 0 else (None, r.stderr.strip()[-300:])
    d = deviation(got, floats("%s/%s/golden.f32" % (root, name), False)) if got else float("inf")
    say(d <= 2e-6, name + " written as GGUF", text or "relative deviation %.1e" % d)
