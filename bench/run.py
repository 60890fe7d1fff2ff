# SPDX-License-Identifier: Apache-2.0
"""Speed against the peers, interleaved: one process per engine, one of them running at a time, the others stopped. Each round
runs every engine once in changing order; ratios are taken within a round; medians with a bootstrap interval are printed and
written to docs/measured/. usage: run.py [--shapes 135m,1b] [--rounds 9] [--threads 2] [--prompt 512] [--new 64] [--quick]
[--peers ort-genai,openvino-genai]
Needs the program at build/olivine. Peers come from the package index into build/bench-env and are left out, with a notice, where
that cannot be reached."""
import argparse, json, os, statistics, subprocess, sys, time

from rounds import BUILD, ENV, OLIVINE, ROOT, Engine, machine, median_interval

PYTHON = os.path.join(ENV, "bin", "python")
HERE = os.path.join(ROOT, "bench")


def have(module):
    return subprocess.run([PYTHON, "-c", "import " + module], capture_output=True).returncode == 0


def prepare_env(peers):
    """Installs what the asked-for peers need; gives those that can run."""
    if not os.path.exists(PYTHON):
        subprocess.run([sys.executable, "-m", "venv", ENV], check=True)
    packages = {"ort-genai": ["onnxruntime-genai", "numpy"],
                "openvino-genai": ["torch==2.13.0", "optimum-intel", "nncf", "openvino", "openvino-genai", "numpy"]}
    modules = {"ort-genai": "onnxruntime_genai", "openvino-genai": "openvino_genai"}
    good = []
    for p in peers:
        base = p.replace("-f32", "")
        if not have(modules[base]):
            subprocess.run([PYTHON, "-m", "pip", "install", "-q"] + packages[base], stderr=subprocess.DEVNULL)
        if have(modules[base]):
            good.append(p)
        else:
            print(f"SKIP {p}: its package cannot be installed here")
    return good


def prepare_models(shape, peers):
    """Folder per engine, made once: our int4 folder (the same files for onnxruntime-genai), and the IR export."""
    source = os.path.join(BUILD, "bench-models", shape)
    ours = source + "-int4"
    if not os.path.exists(os.path.join(source, "model.safetensors")):
        subprocess.run([PYTHON, os.path.join(HERE, "shapes.py"), source, shape], check=True)
    if not os.path.exists(ours):
        subprocess.run([OLIVINE, "auto-opt", "-m", source, "-o", ours, "--precision", "int4", "--quiet"], check=True)
    folders = {"olivine": ours, "ort-genai": ours}
    if any(p.startswith("openvino") for p in peers):
        ir = source + "-ov"
        if not os.path.exists(os.path.join(ir, "openvino_model.bin")):
            subprocess.run([os.path.join(ENV, "bin", "optimum-cli"), "export", "openvino", "-m", source, "--task", "text-generation-with-past",
                            "--weight-format", "int4", "--sym", "--group-size", "32", "--ratio", "1.0", ir], check=True)
        folders["openvino-genai"] = folders["openvino-genai-f32"] = ir
    return folders


def command_of(name, folder, args):
    if name == "olivine":
        return [OLIVINE, "benchmark", folder, "--slices", "--prompt-tokens", str(args.prompt), "--new-tokens", str(args.new),
                "--threads", str(args.threads)]
    return [PYTHON, os.path.join(HERE, "worker.py"), name, folder, str(args.prompt), str(args.new), str(args.threads)]


class Bandwidth:
    """What two threads can read from memory at this moment, in GB/s."""
    def __init__(self):
        program = os.path.join(BUILD, "bench", "bench_bandwidth")
        subprocess.run(["ninja", "-C", BUILD, "bench_bandwidth"], check=True, stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def now(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def first_token_s(folder, threads):
    """From process start to the first token of a short prompt, files in the page cache."""
    command = [OLIVINE, "generate", folder, "--jsonl", "--threads", str(threads)]
    times = []
    for _ in range(5):
        t = time.perf_counter()
        subprocess.run(command, input='{"ids":[5,9,40],"max_new_tokens":1}\n', capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - t)
    return statistics.median(times)


def measure(shape, args, peers):
    folders = prepare_models(shape, peers)
    engines = [Engine(n, command_of(n, folders[n], args)) for n in ["olivine"] + peers]
    rounds, memory, bandwidth = [], [], Bandwidth()
    for i in range(args.rounds + 1):
        order = engines if i % 2 else engines[::-1]
        before = bandwidth.now()
        result = {e.name: e.run() for e in order}
        if i:  # the first round warms up
            rounds.append(result)
            memory.append((before + bandwidth.now()) / 2)
    for e in engines + [bandwidth]:
        e.close()
    rows = []
    for e in engines:
        row = {"shape": shape, "engine": e.name, "peak_rss_mb": max(r[e.name]["peak_rss_mb"] for r in rounds)}
        for key in ("prefill_tokens_per_s", "decode_tokens_per_s"):
            row[key] = statistics.median(r[e.name][key] for r in rounds)
            row[key + "_ratio"] = median_interval([r["olivine"][key] / r[e.name][key] for r in rounds])
        rows.append(row)
    size = os.path.getsize(os.path.join(folders["olivine"], "model.onnx.data")) / 2**20
    by_round = [{"memory_gb_per_s": m, **{e.name: r[e.name]["decode_tokens_per_s"] for e in engines}} for m, r in zip(memory, rounds)]
    extra = {"shape": shape, "rounds": by_round, "first_token_s": first_token_s(folders["olivine"], args.threads), "data_mb": size}
    return rows, extra


def render(rows, extras, args):
    lines = ["| shape | engine | prefill %d tok/s | ours / it | decode tok/s | ours / it | peak RSS MB |" % args.prompt, "|---|---|---|---|---|---|---|"]
    for r in rows:
        p, d = r["prefill_tokens_per_s_ratio"], r["decode_tokens_per_s_ratio"]
        lines.append("| %s | %s | %.0f | %.2f [%.2f..%.2f] | %.1f | %.2f [%.2f..%.2f] | %.0f |" % (
            r["shape"], r["engine"], r["prefill_tokens_per_s"], *p, r["decode_tokens_per_s"], *d, r["peak_rss_mb"]))
    for e in extras:
        lines.append("")
        lines += ["| %s, round by round: memory read GB/s | decode of ours tok/s | times the best peer |" % e["shape"], "|---|---|---|"]
        for r in sorted(e["rounds"], key=lambda r: r["memory_gb_per_s"]):
            best = max([v for k, v in r.items() if k not in ("memory_gb_per_s", "olivine")], default=float("nan"))
            lines.append("| %.1f | %.1f | %.2f |" % (r["memory_gb_per_s"], r["olivine"], r["olivine"] / best))
        lines += ["", "%s: first token %.3f s after process start (files in page cache); weights file %.1f MB" % (e["shape"], e["first_token_s"], e["data_mb"])]
    return "\n".join(lines)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--shapes", default="135m,1b")
    ap.add_argument("--rounds", type=int, default=9)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--prompt", type=int, default=512)
    ap.add_argument("--new", type=int, default=64)
    ap.add_argument("--peers", default="ort-genai,openvino-genai,openvino-genai-f32")
    ap.add_argument("--quick", action="store_true", help="135m alone, onnxruntime-genai alone, 5 rounds")
    args = ap.parse_args()
    if args.quick:
        args.shapes, args.peers, args.rounds = "135m", "ort-genai", 5
    peers = prepare_env([p for p in args.peers.split(",") if p])
    rows, extras = [], []
    for shape in args.shapes.split(","):
        r, e = measure(shape, args, peers)
        rows += r
        extras.append(e)
    text = render(rows, extras, args)
    print(machine() + "\n\n" + text)
    out = os.path.join(ROOT, "docs", "measured")
    os.makedirs(out, exist_ok=True)
    head = "# Language models, int4 group 32, %d threads\n\nCommand: `bench/run.py --shapes %s --rounds %d`. Machine: %s.\n\n" % (args.threads, args.shapes, args.rounds, machine())
    open(os.path.join(out, "llm-speed.md"), "w").write(head + text + "\n")
    json.dump({"machine": machine(), "rows": rows, "extra": extras}, open(os.path.join(out, "llm-speed.json"), "w"), indent=1)


if __name__ == "__main__":
    main()
