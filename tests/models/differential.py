# SPDX-License-Identifier: Apache-2.0
"""Random small models of every family against transformers in float32.

    differential.py OLIVINE [--families a,b] [--count N] [--seed S] [--keep DIR] [--no-weights]

For each family COUNT random configurations: the folder is written as transformers writes it (one or several files, f32, bf16 or f16,
config.json in the older or newer style), read back by transformers (eager attention) and by OLIVINE --precision f32, and the logits of
prompts of 1, 7 and 40 tokens and of a left-padded batch are held against each other (max|d| <= 2e-3), and greedy answers at every step
where the margin is above that. int8 and int4 weights must run, be finite, and resemble. A failing case is named by its own seed:
repeat it with --families F --count 1 --seed S. One line PASS or FAIL per family; SKIP for what this transformers does not have."""
import argparse, glob, json, os, random, re, shutil, subprocess, sys, tempfile, warnings

BOUND = 2e-3
NEW_TOKENS = 10

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

try:
    import numpy as np
    import torch
    import transformers
except ImportError as e:
    print(f"SKIP models/differential: {e.name} is not installed")
    sys.exit(0)
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, CONFIG_MAPPING

import mxfp4
import random_configs

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)
torch.set_grad_enabled(False)


class Wrong(Exception):
    pass


class Encoder(Exception):
    pass


def randomize(model, generator):
    """Weights of a scale at which every part of the model counts."""
    for name, p in list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if n.endswith("bias")]:
        noise = torch.randn(p.shape, generator=generator)
        if p.dim() < 2:
            p.copy_(p + 0.2 * noise if p.dim() and bool((p == p.flatten()[0]).all()) else 0.2 * noise)
        elif "embed" in name or "wte" in name or "wpe" in name:
            p.copy_(0.7 * noise)
        else:
            p.copy_(noise * (1.2 / p.shape[-1] ** 0.5))


def write_folder(family, rng, folder):
    keys = random_configs.make(family, rng)
    config = CONFIG_MAPPING[family](**keys)
    model = AutoModelForCausalLM.from_config(config)
    randomize(model, torch.Generator().manual_seed(rng.randrange(1 << 30)))
    if family == "gpt_oss" and mxfp4.fits(keys):
        mxfp4.round_experts(model)
    dtype = rng.choice([torch.float32, torch.bfloat16, torch.float16])
    model.to(dtype).save_pretrained(folder, max_shard_size=rng.choice(["60KB", "5GB"]))
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        written = json.load(f)
    style = rng.choice(["older", "newer"])
    if style == "older":
        written = random_configs.older_style(written)
        with open(path, "w") as f:
            json.dump(written, f, indent=1)
    return written


def nest_folder(folder, family, prefix):
    """The model as the language model of one that sees images, under either spelling of its tensors' names."""
    tensors = {}
    for path in glob.glob(os.path.join(folder, "*.safetensors*")):
        if path.endswith(".safetensors"):
            tensors |= load_file(path)
        os.remove(path)
    out = {}
    for name, t in tensors.items():
        if prefix == "language_model.":
            name = prefix + name
        elif name.startswith("model."):
            name = prefix + name.removeprefix("model.")
        out[name] = t
    save_file(out, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    with open(path, "w") as f:
        json.dump({"model_type": random_configs.NESTED[family], "text_config": config}, f, indent=1)


def load_reference(folder, config):
    # eager attention of falcon adds ALiBi twice
    attention = "sdpa" if config["model_type"] == "falcon" and config["alibi"] else "eager"
    more = {"experts_implementation": "eager"} if any("experts" in k for k in config) else {}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention, **more).eval()


def prompts_of(rng, vocab):
    return [[rng.randrange(3, vocab) for _ in range(n)] for n in (1, 7, 40)]


def jsonl(olivine, command, folder, items, *flags):
    r = subprocess.run([olivine, command, folder, "--jsonl", "--threads", "1", "--no-cache", *flags], input="".join(json.dumps(i) + "\n" for i in items),
                       capture_output=True, text=True, timeout=300)
    lines = [json.loads(l) for l in r.stdout.splitlines() if l.startswith("{")]
    if r.returncode != 0 or len(lines) != len(items):
        bad = [l for l in lines if "error" in l]
        said = bad[0]["error"] if bad else (r.stderr.strip().splitlines() or ["nothing"])[-1]
        if "is an encoder" in r.stderr:
            raise Encoder
        raise Wrong(f"{command} {' '.join(flags)} ended with {r.returncode}: {said}")
    return lines


def logits_of(olivine, folder, items, *flags):
    with tempfile.TemporaryDirectory() as out:
        return [np.load(l["file"]) for l in jsonl(olivine, "logits", folder, items, "-o", out, *flags)]


def reference(model, ids, mask=None):
    more = {}
    if mask is not None:
        m = torch.tensor([mask])
        more = {"attention_mask": m, "position_ids": (m.cumsum(-1) - 1).clamp(min=0)}
    return model(torch.tensor([ids]), use_cache=False, **more).logits[0].float().numpy()


def padded_batch(model, prompts):
    """The second and third prompt as one left-padded batch; its rows of true tokens."""
    long = len(prompts[2])
    rows = [[0] * (long - len(p)) + p for p in prompts[1:]]
    mask = torch.tensor([[int(i >= long - len(p)) for i in range(long)] for p in prompts[1:]])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    try:
        y = model(torch.tensor(rows), attention_mask=mask, position_ids=positions, use_cache=False).logits
    except TypeError: # a family without position ids
        y = model(torch.tensor(rows), attention_mask=mask, use_cache=False).logits
    return [{"ids": r, "attention_mask": m} for r, m in zip(rows, mask.tolist())], y.float().numpy(), mask.numpy().astype(bool)


def rope_kinds(config):
    r = config.get("rope_parameters") or config.get("rope_scaling") or {}
    sets = [v for v in r.values() if isinstance(v, dict)] or [r]
    return {s.get("rope_type", s.get("type", "default")) for s in sets}


def turning_point(config):
    """Length at which rotations of the whole text change, or None."""
    kinds = rope_kinds(config)
    r = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if "longrope" in kinds:
        return r.get("original_max_position_embeddings") or config.get("original_max_position_embeddings")
    return config["max_position_embeddings"] if "dynamic" in kinds else None


def scores_behind(model, prompt, answer, turn):
    """Scores from which each token of the answer was chosen. Where rotations change with the length, each step has its own
    for what is new, and what is in the cache stays."""
    if turn is None:
        return reference(model, prompt + answer)[len(prompt) - 1:-1]
    y = model(torch.tensor([prompt]), use_cache=True)
    rows = [y.logits[0, -1]]
    for at, token in enumerate(answer[:-1]):
        y = model(torch.tensor([[token]]), past_key_values=y.past_key_values, use_cache=True,
                  position_ids=torch.tensor([[len(prompt) + at]]))
        rows.append(y.logits[0, -1])
    return [r.float().numpy() for r in rows]


def check_greedy(model, prompt, answer, turn):
    for at, row in enumerate(scores_behind(model, prompt, answer, turn)):
        gap = float(row.max() - row[answer[at]])
        if gap > BOUND:
            raise Wrong(f"greedy step {at} of a prompt of {len(prompt)}: token {answer[at]} lies {gap:.4g} below {int(row.argmax())}")


def similarity(a, b):
    a, b = (x - x.mean(-1, keepdims=True) for x in (a, b))
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def check_case(olivine, family, seed, folder, weights):
    """Writes the case into folder and compares; returns (largest difference, similarity of int8, of int4)."""
    rng = random.Random(f"{family} {seed}")
    config = write_folder(family, rng, folder)
    model = load_reference(folder, config)
    if family == "gpt_oss" and mxfp4.fits(config):
        mxfp4.quantize_folder(folder)
    prompts = prompts_of(rng, config["vocab_size"])
    if family in random_configs.NESTED and rng.random() < 0.4:
        nest_folder(folder, family, rng.choice(["model.language_model.", "language_model."]))
    f32 = ("--precision", "f32", "--kv-cache", "f32")
    want = [reference(model, p) for p in prompts]
    items = [{"ids": p} for p in prompts]
    turn, mask = turning_point(config), None
    if turn is None and random_configs.may_be_padded(config):
        batch, y, mask = padded_batch(model, prompts)
        items += batch
        want += list(y)
    got = logits_of(olivine, folder, items, *f32)
    worst = 0.0
    for i, (g, w) in enumerate(zip(got, want)):
        if g.shape != w.shape:
            raise Wrong(f"item {i}: logits of shape {g.shape}, expected {w.shape}")
        d = np.abs(g - w)
        if i >= len(prompts):
            d = d[mask[i - len(prompts)]]
        if not np.isfinite(d).all() or d.max() > BOUND:
            at = int(np.unravel_index(np.nanargmax(d), d.shape)[0])
            what = f"a prompt of {len(prompts[i])}" if i < len(prompts) else "the padded batch"
            raise Wrong(f"{what}: max|d| {np.nanmax(d):.3g} at row {at}, of logits that deviate by {w.std():.2g}")
        worst = max(worst, float(d.max()))
    greedy = [{"ids": p, "max_new_tokens": NEW_TOKENS, "ignore_eos": True, "do_sample": False} for p in prompts]
    for p, line in zip(prompts, jsonl(olivine, "generate", folder, greedy, *f32)):
        if len(line["ids"]) != NEW_TOKENS:
            raise Wrong(f"{len(line['ids'])} new tokens of {NEW_TOKENS}")
        check_greedy(model, p, line["ids"], turn)
    alike = []
    for kind, least in (("int8", 0.9), ("int4", 0.3)) if weights else ():
        some = logits_of(olivine, folder, [{"ids": p} for p in prompts], "--weights", kind)
        s = similarity(np.concatenate(some), np.concatenate(want[:3]))
        if not s >= least:
            raise Wrong(f"--weights {kind}: correlation {s:.3f} with f32, expected {least}")
        alike.append(s)
    return worst, *alike


def families_of(asked):
    if asked:
        return asked.split(",")
    table = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/formats/huggingface/families.c")
    with open(table) as f:
        names = re.findall(r'\.model_type = "([^"]+)"', f.read())
    if not names:
        raise SystemExit(f"{table} lists no families")
    return names


def main():
    p = argparse.ArgumentParser()
    p.add_argument("olivine")
    p.add_argument("--families", default="")
    p.add_argument("--count", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--keep", default="", help="leave failing folders here")
    p.add_argument("--no-weights", action="store_true", help="no int8 and int4")
    a = p.parse_args()
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, seeds {a.seed} to {a.seed + a.count - 1}", flush=True)
    failed = 0
    for family in families_of(a.families):
        if family not in CONFIG_MAPPING or CONFIG_MAPPING[family] not in AutoModelForCausalLM._model_mapping:
            print(f"SKIP models/differential/{family}: this transformers does not have it", flush=True)
            continue
        results, errors = [], []
        for seed in range(a.seed, a.seed + a.count):
            folder = tempfile.mkdtemp(prefix=f"{family}-{seed}-")
            try:
                results.append(check_case(a.olivine, family, seed, folder, not a.no_weights))
            except Encoder:
                results = []
                break
            except Exception as e: # a case that cannot even be made is a failure, too
                errors.append(f"seed {seed}: {'' if isinstance(e, Wrong) else type(e).__name__ + ': '}{' '.join(str(e).split())[:300]}")
                if a.keep:
                    shutil.copytree(folder, os.path.join(a.keep, f"{family}-{seed}"), dirs_exist_ok=True)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        if not results and not errors:
            print(f"SKIP models/differential/{family}: it is an encoder", flush=True)
        elif errors:
            failed += 1
            print(f"FAIL models/differential/{family}: {len(errors)} of {a.count} differ", *errors, sep="\n    ", flush=True)
        else:
            columns = list(zip(*results))
            rest = "".join(f", {k} {min(c):.3f}" for k, c in zip(("int8", "int4"), columns[1:]))
            print(f"PASS models/differential/{family}: max|d| {max(columns[0]):.1e}{rest}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
