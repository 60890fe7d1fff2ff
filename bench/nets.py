# SPDX-License-Identifier: Apache-2.0
"""Float networks against onnxruntime and openvino, interleaved. Four nets with random weights are exported by torch
(ResNet-50, MobileNetV2, ViT-B/16, BERT-base with 128 tokens; batch 1). One process per engine, one of them running at a time,
the others stopped; each round gives every engine the same number of inferences, in changing order; ratios are taken within a
round, of wall time and of CPU time (which a busy machine disturbs less; with one thread it has no waiting in it); medians
with a bootstrap interval go to docs/measured/nets.{md,json}.
With --int8 the nets are those that onnxruntime's quantizer makes of them (QDQ, u8 activations, i8 weights by channel; random
data), and the medians go to docs/measured/nets-int8.{md,json}.
usage: nets.py [--int8] [--nets resnet50,...] [--threads 1,2] [--rounds 9] [--peers onnxruntime,openvino-f32,openvino] [--isa avx2]
Needs the program at build/olivine. Packages come from the package index into build/bench-env; OLIVINE_BENCH_PYTHON names
another interpreter that has them. What cannot be had is left out, with a notice."""
import argparse, json, os, statistics, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from rounds import BUILD, ENV, OLIVINE, ROOT, Engine, machine, median_interval  # noqa: E402

sys.path[:] = [p for p in sys.path if p != HERE]  # packages import modules named like scripts here

PYTHON = os.environ.get("OLIVINE_BENCH_PYTHON", os.path.join(ENV, "bin", "python"))
NETS = ("resnet50", "mobilenetv2", "vitb16", "bertbase128")
INT8 = "-int8"
PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino"}


# ---- in the environment: making nets, serving a peer ----

def export(name, path):
    import torch, transformers as t
    torch.manual_seed(0)
    if name == "bertbase128":
        net, names = t.BertModel(t.BertConfig(attn_implementation="eager")), ["input_ids", "attention_mask"]
        given = (torch.randint(0, 2000, (1, 128)), torch.ones(1, 128, dtype=torch.int64))
    else:
        net = {"resnet50": lambda: t.ResNetForImageClassification(t.ResNetConfig()),
               "mobilenetv2": lambda: t.MobileNetV2ForImageClassification(t.MobileNetV2Config()),
               "vitb16": lambda: t.ViTForImageClassification(t.ViTConfig(attn_implementation="eager", num_labels=1000))}[name]()
        names, given = ["pixel_values"], (torch.randn(1, 3, 224, 224),)
    for m in net.modules():  # statistics as of a trained net: not 0 and 1
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)

    class First(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.m = net

        def forward(self, x, mask=None):
            if mask is None:
                return self.m(x, return_dict=False)[0]
            added = (1 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
            return self.m(x, attention_mask=added, return_dict=False)[0]

    torch.onnx.export(First().eval(), given, path, input_names=names, output_names=["out"], opset_version=17, dynamo=False)


def quantize(path, out):
    import onnxruntime as ort
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process
    given = [(i.name, i.shape, i.type) for i in ort.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()]

    class Data(CalibrationDataReader):
        def __init__(self):
            self.items = iter([inputs_of(path, given, seed) for seed in range(10)])

        def get_next(self):
            return next(self.items, None)

    quant_pre_process(path, out + ".pre", skip_symbolic_shape=True)
    quantize_static(out + ".pre", out, Data(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    os.remove(out + ".pre")


def inputs_of(path, python_inputs, seed=0):
    import numpy as np
    rng = np.random.default_rng(seed)
    out = {}
    for name, shape, kind in python_inputs:
        out[name] = rng.integers(0, 2, shape).astype("int64") if "int" in kind else rng.random(shape, dtype="f4")
    return out


def serve(engine, path, threads):
    import resource
    if engine == "onnxruntime":
        import onnxruntime as ort
        o = ort.SessionOptions()
        o.intra_op_num_threads = threads
        s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
        x = inputs_of(path, [(i.name, i.shape, i.type) for i in s.get_inputs()])
        run = lambda: s.run(None, x)  # noqa: E731
    else:
        import openvino as ov
        p = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        if engine == "openvino-f32":
            p["INFERENCE_PRECISION_HINT"] = "f32"
        c = ov.Core().compile_model(path, "CPU", p)
        x = inputs_of(path, [(i.any_name, list(i.shape), str(i.element_type)) for i in c.inputs])
        r = c.create_infer_request()
        run = lambda: r.infer(x)  # noqa: E731
    run()
    print("ready", flush=True)
    for line in sys.stdin:
        n, wall, u = int(line), time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(n):
            run()
        wall, v = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_SELF)
        cpu = v.ru_utime + v.ru_stime - u.ru_utime - u.ru_stime
        print(json.dumps({"wall_ms": wall * 1e3 / n, "cpu_ms": cpu * 1e3 / n}), flush=True)


# ---- measuring ----

def have(module):
    return subprocess.run([PYTHON, "-c", "import " + module], capture_output=True).returncode == 0


def prepare(peers, nets):
    """Makes the environment and the nets; gives the peers that can run."""
    if not os.path.exists(PYTHON):
        subprocess.run([sys.executable, "-m", "venv", ENV], check=True)
    good = []
    for p in peers:
        package = PACKAGES[p.replace("-f32", "")]
        if not have(package):
            subprocess.run([PYTHON, "-m", "pip", "install", "-q", package, "numpy"], stderr=subprocess.DEVNULL)
        if have(package):
            good.append(p)
        else:
            print(f"SKIP {p}: its package cannot be installed here")
    folder = os.path.join(BUILD, "bench-models", "nets")
    os.makedirs(folder, exist_ok=True)
    nets = sorted(set(n.replace(INT8, "") for n in nets)) + [n for n in nets if n.endswith(INT8)]
    missing = [n for n in nets if not os.path.exists(os.path.join(folder, n + ".onnx"))]
    if missing and not have("torch, transformers, onnx"):
        subprocess.run([PYTHON, "-m", "pip", "install", "-q", "torch==2.13.0", "transformers", "onnx"], stderr=subprocess.DEVNULL)
    for n in missing:
        path = os.path.join(folder, n + ".onnx")
        subprocess.run([PYTHON, os.path.abspath(__file__), *(("--quantize", path.replace(INT8, "")) if n.endswith(INT8) else ("--export", n)), path + ".part"], check=True, stderr=subprocess.DEVNULL)
        os.rename(path + ".part", path)
    return folder, good


def command_of(name, path, threads, isa):
    if name == "olivine":
        return [OLIVINE, "benchmark", "-m", path, "--slices", "--threads", str(threads)] + (["--isa", isa] if isa else [])
    return [PYTHON, os.path.abspath(__file__), "--serve", name, path, str(threads)]


def measure(net, path, threads, peers, args):
    engines = [Engine(n, command_of(n, path, threads, args.isa)) for n in ["olivine"] + peers]
    n = max(2, int(args.slice_ms / engines[0].run(2)["wall_ms"]))
    rounds = []
    for i in range(args.rounds + 1):
        order = engines[i % len(engines):] + engines[:i % len(engines)]
        result = {e.name: e.run(n) for e in order}
        if i:  # the first round warms up
            rounds.append(result)
    for e in engines:
        e.close()
    rows = []
    for e in engines:
        row = {"net": net, "threads": threads, "engine": e.name}
        for key in ("wall_ms", "cpu_ms"):
            row[key] = statistics.median(r[e.name][key] for r in rounds)
            row[key + "_ratio"] = median_interval([r[e.name][key] / r["olivine"][key] for r in rounds])
        rows.append(row)
        print("%-12s %d threads %-13s wall %8.2f ms, %.2f [%.2f..%.2f]   cpu %8.2f ms, %.2f [%.2f..%.2f]" % (
            net, threads, e.name, row["wall_ms"], *row["wall_ms_ratio"], row["cpu_ms"], *row["cpu_ms_ratio"]), flush=True)
    return rows


def render(rows):
    lines = ["| net | threads | engine | ms | it / ours | CPU ms | it / ours |", "|---|---|---|---|---|---|---|"]
    for r in rows:
        lines.append("| %s | %d | %s | %.2f | %.2f [%.2f..%.2f] | %.2f | %.2f [%.2f..%.2f] |" % (
            r["net"], r["threads"], r["engine"], r["wall_ms"], *r["wall_ms_ratio"], r["cpu_ms"], *r["cpu_ms_ratio"]))
    return "\n".join(lines)


def main():
    if sys.argv[1:2] == ["--export"]:
        return export(sys.argv[2], sys.argv[3])
    if sys.argv[1:2] == ["--quantize"]:
        return quantize(sys.argv[2], sys.argv[3])
    if sys.argv[1:2] == ["--serve"]:
        return serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    ap = argparse.ArgumentParser()
    ap.add_argument("--nets", default=",".join(NETS))
    ap.add_argument("--int8", action="store_true", help="the nets in 8 bits")
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--rounds", type=int, default=9)
    ap.add_argument("--peers", default="onnxruntime,openvino-f32,openvino")
    ap.add_argument("--isa", help="upper bound of instruction sets for olivine")
    ap.add_argument("--slice-ms", type=float, default=400, help="about how long an engine runs at a time")
    ap.add_argument("--folder", help="where the nets are (default: made in build/bench-models/nets)")
    ap.add_argument("--no-write", action="store_true", help="leave docs/measured as it is")
    args = ap.parse_args()
    nets = [n + INT8 if args.int8 else n for n in args.nets.split(",")]
    folder, peers = prepare([p for p in args.peers.split(",") if p], [] if args.folder else nets)
    rows = []
    for net in nets:
        for threads in args.threads.split(","):
            rows += measure(net, os.path.join(args.folder or folder, net + ".onnx"), int(threads), peers, args)
    if args.no_write or args.isa:
        return
    out = os.path.join(ROOT, "docs", "measured")
    what, flag, name = ("Networks in 8 bits", " --int8", "nets-int8") if args.int8 else ("Float networks, f32", "", "nets")
    head = (f"# {what}, batch 1\n\nCommand: `bench/nets.py{flag}`. Ratios: the peer's time over ours, within a round, so above 1 we are"
            " the faster; median of %d rounds with its 95%% bootstrap interval. Machine: %s.\n\n" % (args.rounds, machine()))
    with open(os.path.join(out, name + ".md"), "w") as f:
        f.write(head + render(rows) + "\n")
    with open(os.path.join(out, name + ".json"), "w") as f:
        json.dump({"machine": machine(), "rows": rows}, f, indent=1)


if __name__ == "__main__":
    main()
