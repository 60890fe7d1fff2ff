# SPDX-License-Identifier: Apache-2.0
"""A peer in its own process: prints "ready", then answers each line of standard input with one JSON result.
usage: worker.py ort-genai|openvino-genai FOLDER PROMPT_TOKENS NEW_TOKENS THREADS"""
import json, sys, time
import numpy as np

kind, folder, n_prompt, n_new, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
start = time.perf_counter()


def random_ids(seed):
    return np.random.default_rng(seed).integers(8, 2000, n_prompt)


def ort_genai():
    import onnxruntime_genai as og
    config = og.Config(folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    model = og.Model(config)

    def run(seed):
        params = og.GeneratorParams(model)
        params.set_search_options(max_length=n_prompt + n_new, min_length=n_prompt + n_new, do_sample=False)
        generator = og.Generator(model, params)
        t0 = time.perf_counter()
        generator.append_tokens(random_ids(seed).astype("int32"))
        generator.generate_next_token()
        t1 = time.perf_counter()
        for _ in range(n_new - 1):
            generator.generate_next_token()
        return t1 - t0, time.perf_counter() - t1

    return run


def openvino_genai(hint):
    import openvino as ov
    import openvino_genai as g
    properties = {"INFERENCE_NUM_THREADS": threads}
    if hint:
        properties["INFERENCE_PRECISION_HINT"] = hint
    pipe = g.LLMPipeline(folder, "CPU", **properties)

    def run(seed):
        config = g.GenerationConfig(max_new_tokens=n_new, ignore_eos=True, do_sample=False)
        ids = ov.Tensor(random_ids(seed).astype("int64")[None])
        mask = ov.Tensor(np.ones((1, n_prompt), "int64"))
        metrics = pipe.generate(g.TokenizedInputs(ids, mask), config).perf_metrics
        return metrics.get_ttft().mean / 1e3, metrics.get_tpot().mean / 1e3 * (n_new - 1)

    return run


run = ort_genai() if kind == "ort-genai" else openvino_genai("f32" if kind.endswith("-f32") else None)
load = time.perf_counter() - start
print("ready", flush=True)
seed = 0
for line in sys.stdin:
    prefill, decode = run(seed)
    seed += 1
    peak = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) / 1024
    print(json.dumps({"load_ms": load * 1e3, "ttft_ms": prefill * 1e3, "prefill_tokens_per_s": n_prompt / prefill,
                      "decode_tokens_per_s": (n_new - 1) / decode if n_new > 1 else 0, "peak_rss_mb": peak}), flush=True)
