#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/searches.json: what transformers (float32) generates over models of tests/data/llm.tar.xz by contrastive
search, diverse beam search, guidance and the rules for tokens in generation_config.json.
Usage: make_searches.py FOLDER_OF_MODELS OUT. Needs transformers 4.55: later ones have no contrastive and no diverse beam search."""
import json
import sys

import torch
from transformers import AutoModelForCausalLM

PROMPTS = [[5, 9, 13, 40], [7, 19, 23, 31, 8, 3, 77, 101, 6, 55, 12, 91, 33, 20, 64, 71, 18, 29, 44, 90], [33]]
out = []
for name in ("llama2-mha", "qwen3", "gpt2"):
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1] + "/" + name, torch_dtype=torch.float32)
    model.generation_config.pad_token_id = 0
    for number, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        with torch.no_grad():
            plain = model.generate(ids, do_sample=False, max_new_tokens=12, attention_mask=torch.ones_like(ids), eos_token_id=None)[0].tolist()
            ranked = [int(t) for t in torch.topk(model(ids).logits[0, -1], 80).indices]
        made = plain[len(prompt):]
        late = made[5]
        cases = [{"penalty_alpha": 0.6, "top_k": 4}, {"penalty_alpha": 0.3, "top_k": 8, "repetition_penalty": 1.2},
                 {"penalty_alpha": 0.9, "top_k": 20, "eos_token_id": [late]},
                 {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 1.0}, {"num_beams": 6, "num_beam_groups": 3, "diversity_penalty": 0.3,
                  "eos_token_id": ranked[5:60:9]}, {"num_beams": 4, "num_beam_groups": 4, "diversity_penalty": 5.0, "length_penalty": 0.4},
                 {"num_beams": 8, "num_beam_groups": 2, "diversity_penalty": 0.7, "early_stopping": True, "eos_token_id": ranked[3:50:7]},
                 {"num_beams": 6, "num_beam_groups": 2, "diversity_penalty": 0.7, "early_stopping": "never", "eos_token_id": ranked[2:40:6],
                  "length_penalty": 2.0, "repetition_penalty": 1.4},
                 {"guidance_scale": 1.5}, {"guidance_scale": 3.0, "repetition_penalty": 1.1}, {"guidance_scale": 0.5},
                 {"suppress_tokens": made[:3]}, {"begin_suppress_tokens": ranked[:4]}, {"bad_words_ids": [[made[0]], made[1:3], made[2:5]]},
                 {"sequence_bias": [[[made[0]], -2.5], [[made[1], made[2]], -9.0], [[ranked[9]], 2.0]]},
                 {"forced_eos_token_id": 11}, {"forced_bos_token_id": 17}, {"forced_bos_token_id": 17, "begin_suppress_tokens": [made[0], made[1]]},
                 {"eos_token_id": [late], "min_length": len(prompt) + 8}, {"eos_token_id": [late, made[7]], "min_new_tokens": 7},
                 {"eos_token_id": [ranked[20]], "exponential_decay_length_penalty": [2, 1.5]}, {"remove_invalid_values": True},
                 {"num_beams": 3, "renormalize_logits": True, "repetition_penalty": 1.6, "suppress_tokens": ranked[:3]},
                 {"num_beams": 3, "bad_words_ids": [made[:2], [made[3]]], "no_repeat_ngram_size": 3}]
        for c in cases:
            if name != "llama2-mha" and c.keys() & {"suppress_tokens", "forced_eos_token_id", "remove_invalid_values"}:
                continue
            given = {"eos_token_id": None, "max_new_tokens": 16, "do_sample": False, "num_return_sequences": c.get("num_beams", 1), **c}
            real = {**given, "exponential_decay_length_penalty": tuple(c["exponential_decay_length_penalty"])} if "exponential_decay_length_penalty" in c else given
            with torch.no_grad():
                r = model.generate(ids, return_dict_in_generate=True, output_scores=True, attention_mask=torch.ones_like(ids), **real)
            seqs = []
            for s in r.sequences[:, len(prompt):].tolist():
                end = next((k + 1 for k, t in enumerate(s) if t in (c.get("eos_token_id") or [])), len(s))
                seqs.append(s[:end])
            entry = {"model": name, "ids": prompt, **{k: v for k, v in given.items() if k != "eos_token_id" or v}, "want": seqs}
            if "num_beams" in c:
                entry["scores"] = [round(float(x), 5) for x in r.sequences_scores]
            out.append(entry)
with open(sys.argv[2], "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(o) for o in out) + "\n]\n")
print(len(out), "searches")
