# SPDX-License-Identifier: Apache-2.0
"""Folders of OpenVINO GenAI without OpenVINO. Prints PASS and FAIL lines.

    check.py OLIVINE FOLDER

FOLDER holds openvino-genai/NAME (made by optimum-intel, with golden results of OpenVINO) and llm/NAME (families with golden
results of transformers)."""
import array
import json
import os
import re
import shutil
import struct
import subprocess
import sys

program, root = sys.argv[1:3]
FAMILIES = "cohere falcon gemma gemma2 gemma3_text gpt2 gpt_neox granite llama-tied mistral olmo2 opt phi phi3 qwen2 qwen3 smollm3 stablelm starcoder2"
failed = False


def say(ok, name, detail=""):
    global failed
    failed |= not ok
    print(f"{'PASS' if ok else 'FAIL'} openvino-genai/{name}" + (f": {detail}" if detail else ""))


def run(*args, lines=()):
    return subprocess.run([program, *args], input="".join(json.dumps(x) + "\n" for x in lines), capture_output=True, text=True)


def npy(path):
    data = open(path, "rb").read()
    kind = re.search(rb"'descr': '<(..)'", data).group(1).decode()
    values = array.array({"f4": "f", "i8": "q"}[kind])
    values.frombytes(data[10 + struct.unpack_from("<H", data, 8)[0] :])
    return list(values)


def deviation(model, prompts, golden):
    out = os.path.join(root, "logits")
    r = run("logits", model, "--jsonl", "--output-dir", out, "--precision", "f32", lines=[{"ids": p} for p in prompts])
    if r.returncode:
        return float("inf"), r.stderr.strip()
    worst = max(abs(x - y) for i, g in enumerate(golden) for x, y in zip(npy(f"{out}/logits_{i}.npy"), npy(g), strict=True))
    return worst, f"largest deviation {worst:.1e}"


def made_by_optimum(name):
    d = os.path.join(root, "openvino-genai", name)
    ids = npy(d + "/golden_input_ids.npy")
    worst, detail = deviation(d, [ids], [d + "/golden_logits.npy"])
    say(worst < 1e-3, f"{name} logits", detail)
    want = npy(d + "/golden_greedy.npy")
    want = want[len(ids) :] if want[: len(ids)] == ids else want
    ask = {"ids": ids, "max_new_tokens": len(want), "ignore_eos": True, "do_sample": False}
    r = run("generate", d, "--jsonl", "--precision", "f32", lines=[ask])
    got = json.loads(r.stdout)["ids"] if r.returncode == 0 else r.stderr
    say(got == want, f"{name} tokens", f"{len(want)} tokens" if got == want else str(got))


def write(source, out, *more):
    return run("auto-opt", "-m", source, "-o", out, "--format", "openvino", "--force", "--quiet", *more)


def family(name):
    source, out = os.path.join(root, "llm", name), os.path.join(root, "written")
    r = write(source, out, "--precision", "fp32")
    if r.returncode:
        say(False, name, r.stderr.strip())
        return
    prompts = json.load(open(source + "/golden/prompts.json"))["prompts"]
    worst, detail = deviation(out, prompts, [f"{source}/golden/logits_{i}.npy" for i in range(len(prompts))])
    say(worst < 2e-3, name, detail)


def codes():
    """The same codes in both folders give the same tokens."""
    source, got = os.path.join(root, "llm", "qwen3"), []
    for kind in ("openvino", "ort-genai"):
        out = os.path.join(root, kind)
        run("auto-opt", "-m", source, "-o", out, "--format", kind, "--precision", "int4", "--force", "--quiet")
        ask = {"ids": [1, 5, 9], "max_new_tokens": 24, "ignore_eos": True, "do_sample": False}
        got.append(json.loads(run("generate", out, "--jsonl", "--precision", "f32", lines=[ask]).stdout or "{}").get("ids"))
    say(got[0] is not None and got[0] == got[1], "int4 as in an ORT-GenAI folder", "" if got[0] == got[1] else str(got))


def twice():
    """The same bytes when written again, with any number of threads."""
    source, files = os.path.join(root, "llm", "qwen3"), []
    for threads in ("1", "2"):
        out = os.path.join(root, "again" + threads)
        write(source, out, "--precision", "int4", "--threads", threads)
        files.append({f: open(os.path.join(out, f), "rb").read() for f in sorted(os.listdir(out))})
    say(files[0] == files[1] and "openvino_model.bin" in files[0], "equal bytes", f"{len(files[0])} files")


def unwritable():
    """A model that such a folder cannot hold is named, and nothing is left behind."""
    d = os.path.join(root, "recurrent")
    os.makedirs(d, exist_ok=True)
    source = os.path.join(root, "llm", "mamba2")
    r = write(source, os.path.join(d, "out"), "--precision", "fp32")
    left = os.listdir(d)
    say(r.returncode == 3 and "CausalConv" in r.stderr and not left, "recurrent layers are not written", r.stderr.strip() + " " + str(left))


def fails(name, change, *parts, code=(1, 3)):
    """A changed folder is refused in one line that says the parts."""
    d = os.path.join(root, "broken")
    shutil.rmtree(d, ignore_errors=True)
    shutil.copytree(os.path.join(root, "openvino-genai", "qwen3-int8"), d)
    change(d)
    r = run("generate", d, "-p", "a", "--max-new-tokens", "2")
    last = r.stderr.strip().splitlines()[-1] if r.stderr.strip() else ""
    say(r.returncode in code and all(p in last for p in parts), f"refused: {name}", last if r.returncode in code else f"exit {r.returncode}: {last}")


def edit(old, new, count=0):
    def change(d):
        path = os.path.join(d, "openvino_model.xml")
        text = open(path).read()
        assert re.search(old, text), old
        open(path, "w").write(re.sub(old, new, text, count=count))

    return change


for n in sorted(os.listdir(os.path.join(root, "openvino-genai"))):
    made_by_optimum(n)
for n in FAMILIES.split():
    family(n)
codes()
twice()
unwritable()
fails("no data file", lambda d: os.unlink(d + "/openvino_model.bin"), "openvino_model.bin")
fails("no config", lambda d: os.unlink(d + "/config.json"), "config.json")
fails("unknown operation", edit('type="Swish"', 'type="Swosh"'), "Swosh")
fails("another activation", edit('type="Swish" version="opset4"', 'type="Mish" version="opset4"'), "Mish")
fails("cut data file", lambda d: os.truncate(d + "/openvino_model.bin", 1000), "openvino_model.bin")
sys.exit(failed)
