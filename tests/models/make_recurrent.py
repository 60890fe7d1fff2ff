#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes tiny models with recurrent layers and what transformers computes from them.

    make_recurrent.py OUT [FAMILY...]
    make_recurrent.py --beams OUT > recurrent-beams.json

Writes OUT/FAMILY/{config.json, model.safetensors, golden/...} in the form that tests/models/families.c reads. Weights are
seeded random numbers of few bits, stored as bf16 and computed with in f32. Greedy tokens come from decoding with the state
and must be those of a full recomputation. tests/data/llm-recurrent.tar.xz was made with transformers 5.24, torch 2.13:

    tar -cJf llm-recurrent.tar.xz --sort=name --owner=0 --group=0 --mtime=@0 --transform 's,^\\.,llm,' -C OUT .

The second form searches with three beams from the longer prompts of every folder (tests/decoding/check_recurrent.py).
"""
import copy
import inspect
import json
import os
import shutil
import sys

import numpy as np
import torch
import transformers

VOCAB = 96
SIZES = dict(vocab_size=VOCAB, hidden_size=32, bos_token_id=1, eos_token_id=2, pad_token_id=0)
ATTENTION = dict(num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256)
MAMBA2 = dict(mamba_n_heads=6, mamba_d_head=8, mamba_n_groups=2, mamba_d_state=12, mamba_d_conv=4, mamba_chunk_size=16)
DELTA = dict(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=12, linear_value_head_dim=8, head_dim=16,
             layer_types=["linear_attention", "linear_attention", "full_attention"], num_hidden_layers=3)
EXPERTS = dict(num_experts=6, num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=24)

FAMILIES = {
    "mamba": ("Mamba", dict(num_hidden_layers=3, state_size=9, expand=2, time_step_rank=5)),
    "falcon_mamba": ("FalconMamba", dict(num_hidden_layers=2, state_size=8, expand=2, time_step_rank=4, use_bias=True)),
    "mamba2": ("Mamba2", dict(num_hidden_layers=3, state_size=12, num_heads=8, head_dim=8, n_groups=2, chunk_size=16)),
    "lfm2": ("Lfm2", dict(num_hidden_layers=4, intermediate_size=96, block_multiple_of=16, conv_L_cache=3,
                          layer_types=["conv", "full_attention", "conv", "conv"], **ATTENTION)),
    "lfm2_moe": ("Lfm2Moe", dict(num_hidden_layers=3, intermediate_size=48, conv_L_cache=3, num_dense_layers=1, conv_bias=True,
                                 num_experts=6, num_experts_per_tok=2, moe_intermediate_size=16, norm_topk_prob=True,
                                 layer_types=["conv", "full_attention", "conv"], **ATTENTION)),
    "falcon_h1": ("FalconH1", dict(num_hidden_layers=2, intermediate_size=48, mamba_d_ssm=48, mamba_rms_norm=False,
                                   lm_head_multiplier=0.5, embedding_multiplier=2.0, mlp_multipliers=[0.75, 0.5],
                                   key_multiplier=0.5, attention_out_multiplier=0.75, attention_in_multiplier=1.25,
                                   ssm_multipliers=[0.5, 0.75, 1.25, 1.5, 0.625], ssm_in_multiplier=1.25,
                                   ssm_out_multiplier=0.75, mamba_proj_bias=True, **MAMBA2, **ATTENTION)),
    "falcon_h1_norm": ("FalconH1", dict(num_hidden_layers=2, intermediate_size=48, mamba_d_ssm=48, mamba_rms_norm=True,
                                        mamba_norm_before_gate=False, **MAMBA2, **ATTENTION)),
    "bamba": ("Bamba", dict(num_hidden_layers=3, intermediate_size=48, mamba_expand=2, attn_layer_indices=[1],
                            **{**MAMBA2, "mamba_n_heads": 8}, **ATTENTION)),
    "granitemoehybrid": ("GraniteMoeHybrid",
                         dict(num_hidden_layers=3, intermediate_size=16, shared_intermediate_size=24, num_local_experts=4,
                              num_experts_per_tok=2, layer_types=["mamba", "attention", "mamba"], embedding_multiplier=3.0,
                              logits_scaling=2.0, residual_multiplier=0.5, attention_multiplier=0.2, mamba_expand=2,
                              **{**MAMBA2, "mamba_n_heads": 8}, **ATTENTION)),
    "granitemoehybrid_dense": ("GraniteMoeHybrid",
                               dict(num_hidden_layers=3, intermediate_size=16, shared_intermediate_size=24,
                                    num_local_experts=0, num_experts_per_tok=0, position_embedding_type="rope",
                                    layer_types=["mamba", "attention", "mamba"], mamba_expand=2,
                                    **{**MAMBA2, "mamba_n_heads": 8}, **ATTENTION)),
    "qwen3_next": ("Qwen3Next", dict(intermediate_size=48, mlp_only_layers=[0], **DELTA, **EXPERTS, **ATTENTION)),
    "qwen3_5_text": ("Qwen3_5Text", dict(intermediate_size=48, **DELTA, **ATTENTION)),
    "qwen3_5_moe_text": ("Qwen3_5MoeText", dict(**DELTA, **EXPERTS, **ATTENTION)),
    "rwkv": ("Rwkv", dict(num_hidden_layers=3, intermediate_size=48, rescale_every=2)),
}
SPECIAL = {"qwen3_5_text": "Qwen3_5ForCausalLM", "qwen3_5_moe_text": "Qwen3_5MoeForCausalLM"}


def fill(model, seed):
    """Numbers of few bits: multiples of 1/64, near what the parameter is like in trained models."""
    rng = np.random.default_rng(seed)
    state = model.state_dict()
    for name in sorted(state):
        p = state[name]
        v = rng.standard_normal(tuple(p.shape))
        last = name.rsplit(".", 1)[-1]
        if last == "A_log":
            v = rng.uniform(-1, 1.5, tuple(p.shape))
        elif last in ("dt_bias", "time_decay") or name.endswith("dt_proj.bias"):
            v = rng.uniform(-2.5, 0.5, tuple(p.shape))
        elif last.startswith("time_mix"):
            v = rng.uniform(0, 1, tuple(p.shape))
        elif p.ndim >= 2 and ("conv" in name or "embed" in name):
            v *= 0.4
        elif p.ndim >= 2:
            v *= 0.9 / np.sqrt(p.shape[-1])
        elif last == "D" or (last == "weight" and p.ndim == 1):
            v = 1 + 0.15 * v
        else:
            v *= 0.15
        p.copy_(torch.from_numpy(np.round(np.clip(v, -2.5, 2.5) * 64) / 64))


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0].float()


def decode(model, ids, n):
    """Greedy tokens with the state carried along, and the lead of each over the second."""
    tokens, margins = [], []
    places = "position_ids" in inspect.signature(model.forward).parameters
    with torch.no_grad():
        out = model(torch.tensor([ids]), use_cache=True)
        for i in range(n):
            top = torch.topk(out.logits[0, -1].float(), 2)
            tokens.append(int(top.indices[0]))
            margins.append(float(top.values[0] - top.values[1]))
            kept = next(k for k in ("cache", "state", "past_key_values") if k in out and out[k] is not None)
            more = {kept: out[kept]}
            if places:
                more["position_ids"] = torch.tensor([[len(ids) + i]])
            out = model(torch.tensor([[tokens[-1]]]), use_cache=True, **more)
    return tokens, margins


def recompute(model, ids, n):
    text = list(ids)
    for _ in range(n):
        text.append(int(logits_of(model, text)[-1].argmax()))
    return text[len(ids):]


def make(out, name, seed):
    kind, settings = FAMILIES[name]
    config = getattr(transformers, kind + "Config")(**{**SIZES, **settings})
    cls = getattr(transformers, SPECIAL.get(name, kind + "ForCausalLM"))
    torch.manual_seed(seed)
    model = cls(config).eval().float()
    fill(model, seed)
    model.tie_weights()
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "golden"))
    # before anything runs: rwkv halves its weights when it does
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    for v in model.state_dict().values():
        assert torch.equal(v, v.bfloat16().float())
    rng = np.random.default_rng(seed + 1)
    prompts = [[int(t) for t in rng.integers(3, VOCAB, n)] for n in (1, 7, 24)]
    greedy = []
    for i, ids in enumerate(prompts):
        np.save(os.path.join(folder, "golden", f"logits_{i}.npy"), logits_of(model, ids).numpy())
        tokens, margins = decode(model, ids, 48)
        again = recompute(model, ids, 48)
        same = next((k for k in range(48) if tokens[k] != again[k]), 48)
        assert same == 48 or margins[same] < 1e-3, f"{name}: decoding leaves the recomputation at {same} ({margins[same]})"
        greedy.append(dict(prompt=i, tokens=tokens[:same], margins=[round(m, 5) for m in margins[:same]]))
    for file, value in (("prompts.json", dict(prompts=prompts)), ("greedy.json", greedy)):
        with open(os.path.join(folder, "golden", file), "w") as f:
            json.dump(value, f)
    for file in os.listdir(folder):
        if file not in ("config.json", "model.safetensors", "golden"):
            os.remove(os.path.join(folder, file))
    n = sum(p.numel() for p in model.parameters())
    print(f"{name}: {n} parameters, smallest lead {min(min(g['margins']) for g in greedy if g['margins']):.4f}, "
          f"{len(set(sum((g['tokens'] for g in greedy), [])))} different tokens", flush=True)


def beams(out):
    found = {}
    for name in sorted(set(FAMILIES) - {"rwkv"}):  # whose state its class does not reorder
        model = transformers.AutoModelForCausalLM.from_pretrained(os.path.join(out, name), dtype=torch.float32).eval()
        prompts = json.load(open(os.path.join(out, name, "golden", "prompts.json")))["prompts"][1:]
        found[name] = []
        for ids in prompts:
            g = model.generate(torch.tensor([ids]), num_beams=3, num_return_sequences=3, max_new_tokens=16, do_sample=False,
                               eos_token_id=None, return_dict_in_generate=True, output_scores=True)
            found[name].append(dict(prompt=ids, sequences=[s.tolist()[len(ids):] for s in g.sequences],
                                    scores=[round(s, 5) for s in g.sequences_scores.tolist()]))
    json.dump(found, sys.stdout)


def main():
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    if sys.argv[1] == "--beams":
        return beams(sys.argv[2])
    names = sys.argv[2:] or list(FAMILIES)
    for name in names:
        make(sys.argv[1], name, 1000 + list(FAMILIES).index(name))


if __name__ == "__main__":
    main()
