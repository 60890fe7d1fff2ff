# SPDX-License-Identifier: Apache-2.0
"""Hugging Face folders of real shapes with random bf16 weights. usage: shapes.py OUT SHAPE   (135m, 0.5b, 1b)"""
import json, os, shutil, struct, sys
import numpy as np

SHAPES = {
    "135m": dict(vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
                 num_key_value_heads=3, rope_theta=100000.0),
    "0.5b": dict(vocab_size=151936, hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                 num_key_value_heads=2, rope_theta=1000000.0),
    "1b": dict(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
               num_key_value_heads=8, rope_theta=500000.0),
}


def tensors(c):
    h, f = c["hidden_size"], c["intermediate_size"]
    kv = h // c["num_attention_heads"] * c["num_key_value_heads"]
    yield "model.embed_tokens.weight", (c["vocab_size"], h)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        for name, shape in (("self_attn.q_proj", (h, h)), ("self_attn.k_proj", (kv, h)), ("self_attn.v_proj", (kv, h)),
                            ("self_attn.o_proj", (h, h)), ("mlp.gate_proj", (f, h)), ("mlp.up_proj", (f, h)),
                            ("mlp.down_proj", (h, f)), ("input_layernorm", (h,)), ("post_attention_layernorm", (h,))):
            yield p + name + ".weight", shape
    yield "model.norm.weight", (h,)


def write_weights(path, c):
    header, at = {}, 0
    for name, shape in tensors(c):
        n = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(0)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors(c):
            left = int(np.prod(shape))
            while left:
                n = min(left, 1 << 22)
                w = np.ones(n, "f4") if len(shape) == 1 else rng.standard_normal(n, dtype="f4") * 0.02
                out.write((w.view("u4") >> 16).astype("u2").tobytes())
                left -= n


def make(out, shape):
    c = SHAPES[shape]
    os.makedirs(out, exist_ok=True)
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "models", "pebble")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(here, name), out)
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", max_position_embeddings=8192,
                  rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=0, eos_token_id=2, torch_dtype="bfloat16", **c)
    json.dump(config, open(os.path.join(out, "config.json"), "w"), indent=1)
    json.dump({"bos_token_id": 0, "eos_token_id": 2}, open(os.path.join(out, "generation_config.json"), "w"))
    write_weights(os.path.join(out, "model.safetensors"), c)


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2])
