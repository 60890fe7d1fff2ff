# SPDX-License-Identifier: Apache-2.0
"""Checks of the command compress. usage: check.py OLIVINE ROOT TMP"""
import array, html.parser, json, os, random, subprocess, sys

OLIVINE, ROOT, TMP = (os.path.abspath(a) for a in sys.argv[1:4])
PEBBLE = os.path.join(ROOT, "models", "pebble")
MODES = {"int8_asym": 40, "int8_sym": 40, "int4_sym": 17, "int4_asym": 17, "int3_sym": 9, "int2_sym": 2, "nf4": 18, "mxfp4": 16, "nvfp4": 17, "fp4": 15,
         "mxfp8_e4m3": 28, "fp8_e4m3": 28, "cb4": 16, "adaptive_codebook": 18, "codebook": 6}  # dB of the worst layer, at least
failed = 0


def report(name, ok, detail=""):
    global failed
    failed |= not ok
    print(("PASS " if ok else "FAIL ") + name + ("" if ok else ": " + str(detail)[:400].replace("\n", " ")), flush=True)


def run(*args):
    p = subprocess.run([OLIVINE, *args], capture_output=True, timeout=300, cwd=TMP)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


def port(dims, name=None):
    names = f' names="{name}"' if name else ""
    return f'<port id="{{}}" precision="FP32"{names}>' + "".join(f"<dim>{d}</dim>" for d in dims) + "</port>"


def write_ir(stem, sizes):
    """x [-1, k0] times [k1, k0], [k2, k1], ... transposed, as IR; rows of 100 are no multiple of a group."""
    rng, data, layers, edges, x = random.Random(7), b"", [], [], (0, 0)
    layers.append(f'<layer id="0" name="x" type="Parameter" version="opset1"><data shape="?,{sizes[0]}" element_type="f32"/><output>'
                  + port((-1, sizes[0]), "x").format(0) + "</output></layer>")
    for i, (k, n) in enumerate(zip(sizes, sizes[1:])):
        w = array.array("f", [rng.gauss(0, 0.05) for _ in range(n * k)])
        at, c, m = len(data), 2 * i + 1, 2 * i + 2
        data += w.tobytes()
        layers.append(f'<layer id="{c}" name="w{i}" type="Const" version="opset1"><data element_type="f32" shape="{n}, {k}" offset="{at}" size="{4 * n * k}"/>'
                      + "<output>" + port((n, k)).format(0) + "</output></layer>")
        layers.append(f'<layer id="{m}" name="m{i}" type="MatMul" version="opset1"><data transpose_a="false" transpose_b="true"/><input>'
                      + port((-1, k)).format(0) + port((n, k)).format(1) + "</input><output>" + port((-1, n), f"m{i}").format(2) + "</output></layer>")
        edges += [(x[0], x[1], m, 0), (c, 0, m, 1)]
        x = (m, 2)
    last = 2 * len(sizes) - 1
    layers.append(f'<layer id="{last}" name="y" type="Result" version="opset1"><input>' + port((-1, sizes[-1])).format(0) + "</input></layer>")
    edges.append((x[0], x[1], last, 0))
    text = "".join(f'<edge from-layer="{a}" from-port="{b}" to-layer="{c}" to-port="{d}"/>' for a, b, c, d in edges)
    open(stem + ".xml", "w").write(f'<?xml version="1.0"?><net name="m" version="11"><layers>{"".join(layers)}</layers><edges>{text}</edges></net>')
    open(stem + ".bin", "wb").write(data)


def tree(path):
    """Bytes of a folder's files, or of a model file and what lies beside it."""
    stem = path[:-4] if path.endswith(".xml") else path
    files = [os.path.join(path, f) for f in sorted(os.listdir(path))] if os.path.isdir(path) else [f for f in (path, stem + ".bin", path + ".data") if os.path.exists(f)]
    return [open(f, "rb").read() for f in files]


def mode_args(mode):
    return ["--mode", mode] + (["--codebook", "-2,-1,-0.5,0,0.5,1,2"] if mode == "codebook" else [])


def types(model):
    for mode, least in MODES.items():
        out = os.path.join(TMP, mode)
        for threads in "12":
            code, text, err = run("compress", model, "-o", f"{out}-{threads}.xml", *mode_args(mode), "--threads", threads, "-q", "--report", f"{mode}-{threads}.json")
            if code:
                break
        if code:
            report("compress " + mode, False, err)
            continue
        tensors = json.load(open(os.path.join(TMP, f"{mode}-1.json")))["tensors"]
        snr = [t["snr_db"] for t in tensors if t.get("type") == mode]
        ok = len(snr) >= 2 and min(snr) >= least
        same = tree(out + "-1.xml")[-1] == tree(out + "-2.xml")[-1] and open(os.path.join(TMP, f"{mode}-1.json")).read() == open(os.path.join(TMP, f"{mode}-2.json")).read()
        report("compress " + mode, ok and same, f"{snr}, the same bytes: {same}")


def folders():
    for mode in ("int8_sym", "int4_asym", "int4_sym"):
        outs = []
        for threads in "12":
            outs.append(os.path.join(TMP, f"pebble-{mode}-{threads}"))
            code, _, err = run("compress", PEBBLE, "-o", outs[-1], "--format", "ort-genai", "--mode", mode, "--threads", threads, "-q")
            if code:
                return report("compress folder " + mode, False, err)
        report("compress folder " + mode, tree(outs[0]) == tree(outs[1]), "bytes differ")
    sizes = {}
    for mode in ("q4_0", "q4_k_m", "q6_k", "q8_0"):
        path = os.path.join(TMP, mode + ".gguf")
        code, _, err = run("compress", PEBBLE, "-o", path, "--format", "gguf", "--mode", mode, "-q")
        text = run("generate", "--model", path, "--prompt", "Once upon a time", "--max-new-tokens", "8", "--do-sample", "false")
        sizes[mode] = os.path.getsize(path) if code == 0 else 0
        report("compress gguf " + mode, code == 0 and text[0] == 0 and len(text[1].strip()) > 0, err + text[2])
    report("compress gguf sizes", sizes["q4_0"] < sizes["q4_k_m"] < sizes["q6_k"] < sizes["q8_0"], sizes)


def budgets(model):
    for bits in (4.7, 5.3, 7):
        code, _, err = run("compress", PEBBLE, "-o", f"bits{bits}", "--format", "ort-genai", "--mode", "int4_sym", "--all-layers", "--bits", str(bits), "-q", "--report", "bits.json")
        got = json.load(open(os.path.join(TMP, "bits.json")))["bits"] if code == 0 else 0
        report(f"compress --bits {bits}", 0.995 * bits <= got <= bits, f"{got} {err}")
    code, _, err = run("compress", model, "-o", "budget.xml", "--mode", "int4_sym", "--all-layers", "--budget", "40KB", "-q", "--report", "budget.json")
    r = json.load(open(os.path.join(TMP, "budget.json"))) if code == 0 else {"bits": 0, "weights": 0}
    got = r["bits"] * r["weights"] / 8
    report("compress --budget", 0.9 * 40e3 <= got <= 40e3, f"{got} {err}")


class Page(html.parser.HTMLParser):
    """Counts the rows of the page, which must read nothing from elsewhere."""
    rows, outside = 0, False

    def handle_starttag(self, tag, attrs):
        self.rows += tag == "tr"
        self.outside |= tag in ("script", "link", "img", "iframe") or any(k in ("src", "href") for k, _ in attrs)


def reports(model):
    code, _, err = run("compress", model, "-o", "page.xml", "--mode", "int4_sym", "-q", "--report", "page.html", "--fail-if", "snr<5,bits>9")
    page = Page()
    page.feed(open(os.path.join(TMP, "page.html")).read())
    report("compress --report html", code == 0 and page.rows == 5 and not page.outside, f"{code} {page.rows} {err}")
    for condition, want in {"snr<60": 4, "snr<=5": 0, "bits>4": 4, "size<1MB": 4, "kept>0": 0, "mean_snr>=10dB": 4, "snr": 2, "speed<3": 2, "snr<x": 2}.items():
        code, _, err = run("compress", model, "-o", "page.xml", "--mode", "int4_sym", "-q", "--fail-if", condition)
        report(f"compress --fail-if {condition}", code == want and (code == 0 or "fail-if" in err), f"{code} {err}")


def errors(model):
    cases = {"no budget fits": (["--mode", "int4_sym", "--bits", "2"], 2, "at least"), "scope without match": (["--mode", "int4_sym", "--ignored-scope", "none"], 2, "matches none"),
             "metric without data": (["--mode", "int4_sym", "--ratio", "0.5", "--sensitivity-metric", "max_activation_variance"], 2, "needs data"),
             "unknown mode": (["--mode", "int5"], 2, "int4_sym"), "group of mxfp4": (["--mode", "mxfp4", "--group-size", "64"], 2, "groups of 32"),
             "ratio with budget": (["--mode", "int4_sym", "--ratio", "0.5", "--bits", "5"], 2, "--ratio"), "codebook without values": (["--mode", "codebook"], 2, "--codebook"),
             "falling codebook": (["--mode", "codebook", "--codebook", "1,0"], 2, "ascending"), "gguf type": (["--mode", "q4_k_m"], 2, "gguf")}
    for name, (args, want, part) in cases.items():
        code, _, err = run("compress", model, "-o", "bad.xml", "-q", *args)
        report("compress: " + name, code == want and part in err and not os.path.exists(os.path.join(TMP, "bad.xml")), f"{code} {err}")


def onnx_targets(model):
    """Both forms of ONNX files give the same scores, here and in onnxruntime."""
    for mode, group in (("int4_sym", "32"), ("int4_asym", "16"), ("int8_asym", None)):
        paths = [os.path.join(TMP, f"{mode}-{t}.onnx") for t in ("ort", "onnx")]
        for path in paths:
            code, _, err = run("compress", model, "-o", path, "--mode", mode, "-q", "--target", path[:-5].split("-")[-1], *(["--group-size", group] if group else []))
            if code:
                return report("compress onnx " + mode, False, err)
        counts = [open(p, "rb").read().count(b"MatMulNBits") for p in paths]
        code, out, err = run("compare", *paths)
        report("compress onnx " + mode, code == 0 and counts[0] >= 2 and counts[1] == 0, f"{counts} {out[-200:]} {err}")
        try:
            import numpy, onnxruntime
        except ImportError:
            print("SKIP compress onnxruntime: the package onnxruntime is not to be had", flush=True)
            continue
        x = numpy.random.default_rng(2).standard_normal((3, 128), dtype=numpy.float32)
        a, b = (onnxruntime.InferenceSession(p).run(None, {"x": x})[0] for p in paths)
        report("compress onnxruntime " + mode, float(numpy.abs(a - b).max()) < 1e-3 * float(numpy.abs(b).max()), numpy.abs(a - b).max())


def in_openvino(model):
    try:
        import numpy, openvino
    except ImportError:
        return print("SKIP compress openvino: the package openvino is not to be had", flush=True)
    core, x = openvino.Core(), numpy.random.default_rng(1).standard_normal((3, 128), dtype=numpy.float32)
    scores = lambda path: list(core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"})([x]).values())[0]
    want = scores(model)
    for mode, least in MODES.items():
        got = scores(os.path.join(TMP, mode + "-1.xml"))
        noise = float(((got - want) ** 2).sum() / (want**2).sum())
        report("compress openvino " + mode, noise < 10 ** (-(least - 8) / 10), noise)


def with_data():
    """Rounding with data: the same bytes for any number of threads, nearer to the float model than without, clear errors."""
    lines = open(os.path.join(PEBBLE, "calib.txt")).read().splitlines()
    data, held = os.path.join(TMP, "data.txt"), os.path.join(TMP, "held.txt")
    open(data, "w").write("\n".join(lines[:32]) + "\n")
    open(held, "w").write("\n".join(lines[-24:]) + "\n")
    common = ["compress", PEBBLE, "--format", "ort-genai", "--mode", "int4_sym", "--group-size", "32", "--all-layers", "-q", "-o"]
    divergence = {}
    for name, args in {"none": [], "best": ["--profile", "best", "--dataset", data, "--threads", "1"], "gptq": ["--gptq", "--dataset", data],
                       "again": ["--profile", "best", "--dataset", data, "--threads", "3"]}.items():
        rc, _, err = run(*common, "data-" + name, *args)
        if rc:
            return report("compress with data " + name, False, err)
        rc, out, err = run("eval", "data-" + name, "--reference", PEBBLE, "--data", held, "--precision", "f32", "--json")
        divergence[name] = json.loads(out)["kl_mean"] if rc == 0 else float("inf")
    weights = [open(os.path.join(TMP, "data-" + n, "model.onnx.data"), "rb").read() for n in ("best", "again")]
    report("compress with data: threads", weights[0] == weights[1])
    report("compress with data: divergence", divergence["best"] < 0.8 * divergence["none"] and divergence["gptq"] < 0.8 * divergence["none"], divergence)
    for name, text, want in (("empty.txt", "", "empty"), ("bad.jsonl", '{"x":1}\n', "line 1"), ("far.jsonl", '{"ids":[1,99999]}\n', "99999")):
        open(os.path.join(TMP, name), "w").write(text)
        rc, _, err = run(*common, "data-bad", "--gptq", "--dataset", name)
        report("compress with data: " + name, rc in (1, 2) and want in err and not os.path.exists(os.path.join(TMP, "data-bad")), (rc, err))


def main():
    model = os.path.join(TMP, "model.xml")
    write_ir(model[:-4], [128, 160, 160, 100, 64])
    types(model)
    folders()
    budgets(model)
    reports(model)
    errors(model)
    onnx_targets(model)
    with_data()
    in_openvino(model)
    sys.exit(failed)


main()
