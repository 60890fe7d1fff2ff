# SPDX-License-Identifier: Apache-2.0
"""GGUF files that `olivine convert` writes, in llama.cpp: the 20 golden answers of pebble from its F32 file, and the correlation
of the logits of quantized files with ours of the same file. Prints PASS and FAIL lines, or SKIP without llama-cpp-python.
usage: in_llama.py OLIVINE TMP"""
import json, os, struct, subprocess, sys

try:
    import llama_cpp, numpy as np
except ImportError:
    print("SKIP gguf/llama.cpp: this Python has no llama-cpp-python")
    sys.exit(0)
program, tmp = sys.argv[1:3]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEBBLE = os.path.join(ROOT, "models", "pebble")
failed = False


def say(ok, text):
    global failed
    failed |= not ok
    print("%s gguf/llama.cpp %s" % ("PASS" if ok else "FAIL", text))


def load(path):
    return llama_cpp.Llama(path, n_ctx=512, n_threads=2, logits_all=True, verbose=False, flash_attn=False)


def greedy(model, prompt, n):
    model.reset()
    model.eval(prompt)
    out = []
    for _ in range(n):
        token = int(np.argmax(model.scores[model.n_tokens - 1]))
        out.append(token)
        model.eval([token])
    return out


def ours(path, prompts):
    lines = "".join(json.dumps({"ids": p}) + "\n" for p in prompts)
    r = subprocess.run([program, "logits", path, "--jsonl", "-o", tmp, "--precision", "f32"], input=lines, capture_output=True, text=True, check=True)
    return [np.load(json.loads(l)["file"]) for l in r.stdout.splitlines()]


golden = [json.loads(l) for l in open(os.path.join(PEBBLE, "golden.jsonl"))]
prompts = [g["prompt_ids"] for g in golden]
for kind in ("f32", "f16", "q8_0", "q4_0"):
    path = os.path.join(tmp, "pebble-%s.gguf" % kind)
    subprocess.run([program, "convert", PEBBLE, "-o", path, "--format", "gguf", "--outtype", kind], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    model = load(path)
    if kind == "f32":
        right = sum(greedy(model, g["prompt_ids"], len(g["answer_ids"])) == g["answer_ids"] for g in golden)
        say(right >= 19, "f32: %d of %d golden answers" % (right, len(golden)))
    least = 1.0
    for p, want in zip(prompts, ours(path, prompts)):
        model.reset()
        model.eval(p)
        have = np.array(model.scores[:len(p)])
        least = min(least, float(np.corrcoef(have.ravel(), want.ravel())[0, 1]))
    say(least >= 0.99, "%s: correlation of logits at least %.5f" % (kind, least))
    del model
sys.exit(1 if failed else 0)
