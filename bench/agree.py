# SPDX-License-Identifier: Apache-2.0
"""Agreement with onnxruntime-genai on int4 folders that `olivine auto-opt` writes, step by step on the peer's own tokens: largest
difference of the logits, and how many steps choose another token although the peer's margin exceeds what the two differ by. Written
with default activations a step may differ when its margin is at most twice the largest difference of that step; with accuracy level 1
(f32 activations) logits differ by at most 2e-3 and tokens where the margin is at most 4e-3.
usage: agree.py FOLDER... [--new 24]     run it with a Python that has onnxruntime-genai and numpy"""
import argparse, json, os, subprocess, sys, tempfile
import numpy as np
import onnxruntime_genai as og

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLIVINE = os.environ.get("OLIVINE", os.path.join(ROOT, "build", "olivine"))
PROMPTS = [[5, 9, 40], list(range(8, 40)), [100]]


def peer_steps(model, prompt, new):
    """The peer's greedy tokens, and the logits that each was chosen from."""
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=len(prompt) + new, min_length=0, do_sample=False)
    generator = og.Generator(model, params)
    generator.append_tokens(np.array(prompt, "int32"))
    ids, logits = [], []
    for _ in range(new):
        logits.append(np.array(generator.get_logits()).reshape(-1)[-model_width(generator):].copy())
        ids.append(int(np.argmax(logits[-1])))
        if generator.is_done():
            break
        generator.append_tokens(np.array(ids[-1:], "int32"))
    return ids, np.stack(logits)


def model_width(generator):
    return np.array(generator.get_logits()).shape[-1]


def our_steps(folder, prompts, sequences, out):
    lines = "".join(json.dumps({"ids": p + s[:-1]}) + "\n" for p, s in zip(prompts, sequences))
    r = subprocess.run([OLIVINE, "logits", folder, "--jsonl", "-o", out], input=lines, capture_output=True, text=True, check=True)
    files = [json.loads(l) for l in r.stdout.splitlines()]
    paths = [next(str(v) for v in f.values() if str(v).endswith(".npy")) for f in files]
    paths = [p if os.path.exists(p) else os.path.join(out, p) for p in paths]
    return [np.load(p).reshape(-1, np.load(p).shape[-1])[len(q) - 1:] for p, q in zip(paths, prompts)]


def judge(source, level, new):
    with tempfile.TemporaryDirectory() as t:
        command = [OLIVINE, "auto-opt", "-m", source, "-o", t + "/m", "--precision", "int4", "--quiet"]
        if level is not None:
            command += ["--int4_accuracy_level", str(level)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        model = og.Model(t + "/m")
        peers = [peer_steps(model, p, new) for p in PROMPTS]
        ours = our_steps(t + "/m", PROMPTS, [ids for ids, _ in peers], t)
    worst = other = unexcused = steps = 0
    for (ids, theirs), mine in zip(peers, ours):
        for i, token in enumerate(ids):
            d = float(np.abs(theirs[i] - mine[i]).max())
            top = np.sort(theirs[i])[-2:]
            margin, allowed = float(top[1] - top[0]), 4e-3 if level == 1 else 2 * d
            worst, steps = max(worst, d), steps + 1
            if int(np.argmax(mine[i])) != token:
                other += 1
                unexcused += margin > allowed
    good = unexcused == 0 and (level != 1 or worst <= 2e-3)
    print("%-4s %-24s level %-7s %3d steps, max |d| %.2e, other token %d, of them above the margin %d" % (
        "ok" if good else "BAD", os.path.basename(os.path.abspath(source)), "default" if level is None else level, steps, worst, other, unexcused))
    return good


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("folders", nargs="+")
    ap.add_argument("--new", type=int, default=24)
    args = ap.parse_args()
    results = [judge(f, level, args.new) for f in args.folders for level in (None, 1)]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
