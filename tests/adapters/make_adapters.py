# SPDX-License-Identifier: Apache-2.0
"""Makes tests/data/adapters.tar.xz with torch, transformers and peft: LoRA adapters of random values for folders of
tests/data/llm.tar.xz, and the logits that the model has with them. Usage: make_adapters.py LLM_FOLDER OUT_FOLDER"""
import json
import os
import sys

import numpy
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

source, out = sys.argv[1:3]
CASES = {
    "llama-gqa-llama3rope": dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"]),
    "qwen2": dict(r=8, lora_alpha=16, target_modules="all-linear", use_rslora=True),
    "qwen3": dict(r=5, lora_alpha=10, target_modules=r".*\.(1|0)\.self_attn\.(k|o)_proj", rank_pattern={"o_proj": 3},
                  alpha_pattern={r"layers\.1\.self_attn\.k_proj": 40}),
    "phi3": dict(r=4, lora_alpha=8, target_modules=["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]),
    "gpt2": dict(r=4, lora_alpha=4, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True),
    "falcon": dict(r=4, lora_alpha=8, target_modules=["query_key_value", "dense"]),
    "gpt_neox": dict(r=4, lora_alpha=8, target_modules=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]),
    "mixtral": dict(r=4, lora_alpha=8, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "lm_head"]),
}
os.makedirs(out, exist_ok=True)
for number, (name, settings) in enumerate(CASES.items()):
    torch.manual_seed(number)
    base = AutoModelForCausalLM.from_pretrained(os.path.join(source, name), dtype=torch.float32, attn_implementation="eager")
    model = get_peft_model(base, LoraConfig(init_lora_weights=False, task_type="CAUSAL_LM", **settings)).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if "lora_" in key:
                value.copy_(torch.randn_like(value) * 0.08)
    folder = os.path.join(out, name)
    model.save_pretrained(folder)
    if os.path.exists(os.path.join(folder, "README.md")):
        os.remove(os.path.join(folder, "README.md"))
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(os.path.join(source, name), dtype=torch.float32, attn_implementation="eager"), folder).eval()
    prompt = json.load(open(os.path.join(source, name, "golden", "prompts.json")))["prompts"][1]
    with torch.no_grad():
        logits = model(torch.tensor([prompt])).logits[0].numpy()
    numpy.save(os.path.join(folder, "logits.npy"), logits.astype(numpy.float32))
    plain = numpy.load(os.path.join(source, name, "golden", "logits_1.npy"))
    print(name, "moved logits by", float(abs(logits - plain).max()))
