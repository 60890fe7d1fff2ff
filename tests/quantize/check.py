# SPDX-License-Identifier: Apache-2.0
"""Quantizes small networks, runs them, and holds the error against what NNCF 3 reaches with the same calibration data.

usage: check.py OLIVINE REPOSITORY FOLDER
"""
import json
import os
import subprocess
import sys
import tarfile

try:
    import numpy as np
except ImportError:
    print("SKIP quantize: numpy is not installed")
    sys.exit(0)

OLIVINE, REPO, TMP = sys.argv[1:4]
NNCF = {"cnn": 7.00e-6, "bert": 3.82e-5}  # error energy over output energy of NNCF's ONNX backend, performance preset
failed = 0


def judge(name, ok, detail):
    global failed
    failed += not ok
    print(f"{'PASS' if ok else 'FAIL'} quantize {name}: {detail}")


def call(*args):
    return subprocess.run([OLIVINE, *args], cwd=TMP, capture_output=True, text=True)


def quantize(*args):
    r = call("quantize", *args)
    if r.returncode:
        raise SystemExit(f"FAIL quantize {' '.join(args)}: {r.stderr.strip()}")


def run(model, feeds):
    out = os.path.join(TMP, "out")
    args = []
    for k, v in feeds.items():
        np.save(os.path.join(TMP, f"in_{k}.npy"), v)
        args += ["--input", f"{k}=in_{k}.npy"]
    r = call("infer", model, *args, "--json", "-o", out)
    if r.returncode:
        raise SystemExit(f"FAIL quantize infer {model}: {r.stderr.strip()}")
    return np.load(os.path.join(TMP, next(iter(json.loads(r.stdout)["outputs"].values()))))


def error(model, reference, samples):
    a = np.concatenate([run(model, s) for s in samples])
    b = np.concatenate([run(reference, s) for s in samples])
    return float(((a - b) ** 2).sum() / (b**2).sum())


def samples_of(name):
    d = np.load(os.path.join(TMP, name + ".npz"))
    return [{k: d[k][i] for k in d.files} for i in range(len(d[d.files[0]]))]


def check_networks():
    for name, options in (("cnn", []), ("bert", ["--model-type", "transformer"])):
        samples = samples_of(name)[:8]
        for bias in ("fast", "full"):
            quantize(name + ".onnx", "--dataset", name + ".npz", "-o", "q.onnx", "--bias-correction", bias, *options)
            e = error("q.onnx", name + ".onnx", samples)
            judge(f"{name}, {bias} bias correction", e <= NNCF[name], f"error {e:.3g}, NNCF {NNCF[name]:.3g}")
        quantize(name + ".onnx", "--dataset", name + ".npz", "-o", "q.xml", *options)
        e = error("q.xml", name + ".onnx", samples)
        judge(f"{name} as IR", e <= NNCF[name], f"error {e:.3g}")


def check_digits():
    model = os.path.join(REPO, "tests/data/digits/digits.onnx")
    x, y = np.load(os.path.join(TMP, "digits-test.npz"))["image"], np.load(os.path.join(TMP, "digits-labels.npy"))
    float_right = (run(model, {"image": x}).argmax(1) == y).mean()
    for options in ([], ["--preset", "mixed"], ["--range-estimator", "mean_minmax"], ["--overflow-fix", "enable"]):
        quantize(model, "--dataset", "digits-calibration.npy", "-o", "d.onnx", *options)
        right = (run("d.onnx", {"image": x}).argmax(1) == y).mean()
        judge(f"digits {' '.join(options)}", right >= float_right - 0.005, f"{right:.4f} right, {float_right:.4f} in float")
    small = os.path.getsize(os.path.join(TMP, "d.onnx")) + (os.path.getsize(os.path.join(TMP, "d.onnx.data")) if os.path.exists(os.path.join(TMP, "d.onnx.data")) else 0)
    judge("digits, size", small < 0.5 * os.path.getsize(model), f"{small} bytes")


def check_control():
    model = os.path.join(REPO, "tests/data/digits/digits.onnx")
    quantize(model, "--dataset", "digits-calibration.npy", "--subset-size", "20", "-o", "d.onnx", "--max-drop", "0.0001", "--report", "r.json")
    r = json.load(open(os.path.join(TMP, "r.json")))["accuracy_control"]
    judge("accuracy control", r["quantized"] < r["wanted"] <= r["reached"] and r["reverted"], f"{r['quantized']:.6f} to {r['reached']:.6f} by {len(r['reverted'])} layers")
    quantize(model, "--dataset", "digits-calibration.npy", "--subset-size", "4", "-o", "d.onnx", "--max-drop", "0", "--report", "r.json")
    r = json.load(open(os.path.join(TMP, "r.json")))["accuracy_control"]
    judge("accuracy control, all back to float", r["reached"] == 1, f"{r['reached']:.6f}")


def check_data():
    """Every source of samples gives the same file."""
    model = os.path.join(REPO, "tests/data/digits/digits.onnx")
    x = np.load(os.path.join(TMP, "digits-calibration.npy"))[:6]
    os.makedirs(os.path.join(TMP, "folder"), exist_ok=True)
    for i, v in enumerate(x):
        np.save(os.path.join(TMP, f"folder/{i}.npy"), v)
    np.savez(os.path.join(TMP, "six.npz"), image=x)
    np.savez_compressed(os.path.join(TMP, "packed.npz"), image=x)
    np.save(os.path.join(TMP, "six.npy"), x)
    np.save(os.path.join(TMP, "wide.npy"), x.astype("f8"))
    with open(os.path.join(TMP, "six.jsonl"), "w") as f:
        for v in x:
            f.write(json.dumps({"image": v[None].tolist()}) + "\n")
    files = {}
    for source in ("six.npy", "wide.npy", "six.npz", "packed.npz", "folder", "six.jsonl"):
        quantize(model, "--dataset", source, "-o", "s.onnx")
        files[source] = open(os.path.join(TMP, "s.onnx"), "rb").read()
    judge("sources of data", len(set(files.values())) == 1, ", ".join(files))


CONFIGS = {
    "plain.yaml": "input_info:\n  sample_size: [1, 1, 16, 16]\n  type: float\ncompression:\n  algorithm: quantization\n  preset: mixed\n"
                  "  initializer:\n    precision:\n      bitwidth_per_scope: [[8, 'default']]\n    range:\n      num_init_samples: 12\ntarget_device: CPU\n",
    "plain.json": '{"input_info": {"sample_size": [1, 1, 16, 16]}, "compression": [{"algorithm": "quantization", "preset": "mixed", '
                  '"initializer": {"range": {"num_init_samples": 12}}}], "target_device": "CPU"}',
}


def check_configs():
    """A config says the same as options do."""
    model = os.path.join(REPO, "tests/data/digits/digits.onnx")
    quantize(model, "--dataset", "digits-calibration.npy", "-o", "c.onnx", "--preset", "mixed", "--subset-size", "12", "--target-device", "cpu")
    wanted = open(os.path.join(TMP, "c.onnx"), "rb").read()
    for name, text in CONFIGS.items():
        open(os.path.join(TMP, name), "w").write(text)
        quantize(model, "--dataset", "digits-calibration.npy", "-o", "c.onnx", "--config", name)
        judge(f"config {name}", open(os.path.join(TMP, "c.onnx"), "rb").read() == wanted, "the same file as by options")


def check_errors():
    model = os.path.join(REPO, "tests/data/digits/digits.onnx")
    x = np.load(os.path.join(TMP, "digits-calibration.npy"))[:4]
    x[2, 0, 3, 3] = np.nan
    np.save(os.path.join(TMP, "nan.npy"), x)
    np.save(os.path.join(TMP, "empty.npy"), x[:0])
    open(os.path.join(TMP, "bad.yaml"), "w").write("target_device: CPU\ncompression:\n  algorithm: quantization\n  initialiser: {}\n")
    open(os.path.join(TMP, "sparse.json"), "w").write('{"compression": {"algorithm": "rb_sparsity"}}')
    cases = [
        (["--dataset", "cnn.npz"], 1, "f32[12,1,3,32,32]"),
        (["--dataset", "nan.npy"], 1, "sample 2: input 'image': element 51 is NaN"),
        (["--dataset", "empty.npy"], 2, "no sample"),
        (["--dataset", "digits-calibration.npy", "--ignored-scope", "type:Cnv"], 2, "did you mean 'Conv'"),
        (["--dataset", "digits-calibration.npy", "--ignored-scope", "re:nothing"], 2, "matches none of"),
        (["--dataset", "digits-calibration.npy", "--config", "bad.yaml"], 2, "bad.yaml:4: unknown key 'initialiser' in compression; did you mean 'initializer'?"),
        (["--dataset", "digits-calibration.npy", "--config", "sparse.json"], 3, "needs training"),
        (["--dataset", "digits-calibration.npy", "--advanced", "presett=mixed"], 2, "did you mean 'preset'"),
    ]
    for args, code, part in cases:
        r = call("quantize", model, "-o", "never.onnx", *args)
        ok = r.returncode == code and part in r.stderr and not os.path.exists(os.path.join(TMP, "never.onnx"))
        judge(f"refusal {args[-1]}", ok, r.stderr.strip().splitlines()[-1] if r.stderr else f"exit {r.returncode}")


with tarfile.open(os.path.join(REPO, "tests/data/quantize.tar.xz")) as t:
    t.extractall(TMP)
check_networks()
check_digits()
check_control()
check_data()
check_configs()
check_errors()
sys.exit(1 if failed else 0)
