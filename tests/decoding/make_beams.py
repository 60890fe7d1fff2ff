#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/data/beams.json: beam search of transformers (float32) over models of tests/data/llm.tar.xz.
Usage: make_beams.py FOLDER_OF_MODELS OUT"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM

out = []
for name in ("llama2-mha", "qwen3", "gpt2"):
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1] + "/" + name, dtype=torch.float32)
    model.generation_config.pad_token_id = 0
    prompts = [[5, 9, 2 + 11, 40], [7, 19, 23, 31, 8, 3, 77, 101, 6, 55, 12, 91, 33, 20, 64, 71, 18, 29, 44, 90]]
    for prompt in prompts:
        ids = torch.tensor([prompt])
        with torch.no_grad():
            logits = model(ids).logits[0, -1]
        frequent = [int(t) for t in torch.topk(logits, 40).indices[[7, 21]]]
        cases = [{"num_beams": 2}, {"num_beams": 4, "length_penalty": 0.6}, {"num_beams": 3, "early_stopping": True},
                 {"num_beams": 4, "early_stopping": "never", "length_penalty": 1.5}, {"num_beams": 16, "length_penalty": -0.5},
                 {"num_beams": 5, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2}, {"num_beams": 4, "min_new_tokens": 6}]
        for i, c in enumerate(cases):
            # Frequent tokens as ends, so that texts end at different lengths.
            more = [int(t) for t in torch.topk(logits, 60).indices[3 + i:60:6]][:14]
            c = {"eos_token_id": frequent + more if i % 2 else frequent, "max_new_tokens": 16,
                 "num_return_sequences": c["num_beams"], **c}
            with torch.no_grad():
                r = model.generate(ids, do_sample=False, return_dict_in_generate=True, output_scores=True, attention_mask=torch.ones_like(ids), **c)
            seqs = []
            for s in r.sequences[:, len(prompt):].tolist():
                end = next((k + 1 for k, t in enumerate(s) if t in c["eos_token_id"]), len(s))
                seqs.append(s[:end])
            out.append({"model": name, "ids": prompt, **c, "want": seqs, "scores": [round(float(x), 5) for x in r.sequences_scores]})
with open(sys.argv[2], "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(o) for o in out) + "\n]\n")
