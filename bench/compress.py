# SPDX-License-Identifier: Apache-2.0
"""Compression to int4: time and memory of `olivine auto-opt` beside onnxruntime-genai's model builder on the same folder, in turn.
usage: compress.py [--shape 135m] [--rounds 3] [--python PY]   PY: a Python with onnxruntime-genai, torch, transformers, onnx"""
import argparse, json, os, resource, shutil, statistics, subprocess, sys, tempfile, threading, time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLIVINE = os.environ.get("OLIVINE", os.path.join(ROOT, "build", "olivine"))


def run(command):
    """Seconds, and the peak of RssAnon + RssShmem in MB (sampled every 10 ms)."""
    start, peak = time.perf_counter(), 0
    p = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ, HF_HUB_OFFLINE="1"))
    errors = []
    reader = threading.Thread(target=lambda: errors.append(p.stderr.read()))
    reader.start()
    while p.poll() is None:
        try:
            status = open(f"/proc/{p.pid}/status").read().splitlines()
            peak = max(peak, sum(int(l.split()[1]) for l in status if l.startswith(("RssAnon", "RssShmem"))) / 1024)
        except OSError:
            pass
        time.sleep(0.01)
    reader.join()
    if p.returncode:
        raise RuntimeError(errors[0].decode()[-400:])
    return time.perf_counter() - start, peak


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--shape", default="135m")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--python", default=os.path.join(ROOT, "build", "bench-env", "bin", "python"))
    args = ap.parse_args()
    source = os.path.join(ROOT, "build", "bench-models", args.shape)
    if not os.path.exists(os.path.join(source, "model.safetensors")):
        subprocess.run([args.python, os.path.join(ROOT, "bench", "shapes.py"), source, args.shape], check=True)
    ours, theirs = [], []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory(dir=os.path.dirname(source)) as t:
            ours.append(run([OLIVINE, "auto-opt", "-m", source, "-o", t + "/ours", "--precision", "int4", "--quiet"]))
            theirs.append(run([args.python, "-m", "onnxruntime_genai.models.builder", "-m", source, "-o", t + "/theirs", "-p", "int4", "-e",
                               "cpu", "-c", t + "/cache"]))
    ratio = statistics.median(b[0] / a[0] for a, b in zip(ours, theirs))
    row = {"shape": args.shape, "olivine_s": statistics.median(a[0] for a in ours), "olivine_mb": max(a[1] for a in ours),
           "builder_s": statistics.median(b[0] for b in theirs), "builder_mb": max(b[1] for b in theirs), "ratio": ratio}
    print("%(shape)s: olivine %(olivine_s).1f s, %(olivine_mb).0f MB; builder %(builder_s).1f s, %(builder_mb).0f MB; %(ratio).1f times faster" % row)
    os.makedirs(os.path.join(ROOT, "docs", "measured"), exist_ok=True)
    json.dump(row, open(os.path.join(ROOT, "docs", "measured", "compress-%s.json" % args.shape), "w"), indent=1)


if __name__ == "__main__":
    main()
