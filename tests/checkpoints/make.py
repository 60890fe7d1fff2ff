# SPDX-License-Identifier: Apache-2.0
"""Makes tiny llama models in the checkpoint formats of the hub, with golden logits of the very weights that they hold.

    python make.py OUT

Needs torch and transformers. Layouts are written here from their definitions; golden logits come from transformers in
f32 over the dequantized weights. tests/data/checkpoints.tar.xz holds OUT (tar --sort=name --mtime=@0 --owner=0 --group=0
--numeric-owner)."""
import json
import os
import sys

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

HIDDEN, INTER, HEADS, KV, VOCAB = 64, 96, 4, 2, 64
PROMPTS = [[1, 5, 9, 2, 60, 33, 7, 7, 12, 40, 3], [63, 0, 17]]
LINEARS = {"self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
           "self_attn.o_proj": (64, 64), "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96)}
CONFIG = dict(vocab_size=VOCAB, hidden_size=HIDDEN, intermediate_size=INTER, num_hidden_layers=1, num_attention_heads=HEADS,
              num_key_value_heads=KV, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=False,
              bos_token_id=1, eos_token_id=2)
FP4 = [0, .5, 1, 1.5, 2, 3, 4, 6]
FP4 = torch.tensor(FP4 + [-x for x in FP4])
out = sys.argv[1] if len(sys.argv) > 1 else None


def base():
    """bf16 values in f32: what every format starts from, and keeps for the tensors that it does not quantize."""
    g = torch.Generator().manual_seed(20)
    rand = lambda *s: torch.randn(*s, generator=g)
    w = {"model.embed_tokens.weight": rand(VOCAB, HIDDEN), "lm_head.weight": rand(VOCAB, HIDDEN) * .2,
         "model.norm.weight": 1 + rand(HIDDEN) * .1,
         "model.layers.0.input_layernorm.weight": 1 + rand(HIDDEN) * .1,
         "model.layers.0.post_attention_layernorm.weight": 1 + rand(HIDDEN) * .1}
    for name, shape in LINEARS.items():
        w["model.layers.0.%s.weight" % name] = rand(*shape) * .15
    return {k: v.to(torch.bfloat16).float() for k, v in w.items()}


def golden(folder, weights, model=None):
    model = (model or LlamaForCausalLM(LlamaConfig(**CONFIG))).float().eval()
    missing, extra = model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    assert not extra and not missing, (missing, extra)
    with torch.no_grad():
        rows = [model(torch.tensor([p])).logits[0] for p in PROMPTS]
    with open(folder + "/golden.f32", "wb") as f:
        f.write(torch.cat(rows).numpy().astype("<f4").tobytes())


def folder_of(name, quantization=None, **more):
    folder = os.path.join(out, name)
    os.makedirs(folder)
    config = dict(CONFIG, model_type="llama", architectures=["LlamaForCausalLM"], hidden_act="silu", torch_dtype="bfloat16",
                  rope_theta=10000.0)
    config.update(more)
    if quantization:
        config["quantization_config"] = quantization
    with open(folder + "/config.json", "w") as f:
        json.dump(config, f)
    return folder


# ---- safetensors, in which types of numpy that torch lacks do not matter

TYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int32: "I32", torch.int64: "I64",
         torch.int8: "I8", torch.uint8: "U8", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2"}


def raw(t):
    t = t.contiguous()
    return t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b""


def write_safetensors(path, tensors):
    header, data = {}, b""
    for k in sorted(tensors):
        b = raw(tensors[k])
        header[k] = {"dtype": TYPES[tensors[k].dtype], "shape": list(tensors[k].shape), "data_offsets": [len(data), len(data) + len(b)]}
        data += b
    h = json.dumps(header).encode()
    h += b" " * (-len(h) % 8)
    with open(path, "wb") as f:
        f.write(len(h).to_bytes(8, "little") + h + data)


# ---- packing

def stream(codes, bits):
    """Rows of codes as rows of 32-bit words, from the lowest bit on, codes straddling words where they must."""
    codes = codes.to(torch.int64).numpy()
    n, k = codes.shape
    words = np.zeros((n, (k * bits + 31) // 32 + 1), dtype=np.uint64)
    for j in range(k):
        at, low = divmod(j * bits, 32)
        v = codes[:, j].astype(np.uint64) << np.uint64(low)
        words[:, at] |= v & np.uint64(0xffffffff)
        words[:, at + 1] |= v >> np.uint64(32)
    return torch.from_numpy(words[:, :(k * bits + 31) // 32].astype(np.uint32).view(np.int32).copy())


def affine(w, bits, group, symmetric, dtype=torch.float16):
    """Unsigned codes, scales [n, g] and zero points [n, g]; group_of: columns of a group lie together."""
    n, k = w.shape
    g = w.reshape(n, k // group, group)
    top = (1 << bits) - 1
    if symmetric:
        scale = g.abs().amax(2) * 2 / top
        zero = torch.full_like(scale, 1 << (bits - 1))
    else:
        low, high = g.amin(2).clamp(max=0), g.amax(2).clamp(min=0)
        scale = (high - low) / top
        zero = None
    scale = scale.clamp(min=1e-4).to(dtype).float()
    if zero is None:
        zero = torch.round(-low / scale).clamp(0, top)
    codes = (torch.round(g / scale[:, :, None]) + zero[:, :, None]).clamp(0, top)
    return codes.reshape(n, k), scale, zero


def value(codes, scale, zero):
    n, k = codes.shape
    g = scale.shape[1]
    return ((codes.reshape(n, g, -1) - zero[:, :, None]) * scale[:, :, None]).reshape(n, k)


# ---- the formats: each gives the tensors that stand for a weight, and the weight's value

def gptq(w, bits, group, symmetric, act_order=False, v2=False, seed=0):
    n, k = w.shape
    group = k if group < 0 else group
    g = torch.Generator().manual_seed(seed + k)
    order = torch.randperm(k, generator=g) if act_order else torch.arange(k)
    codes, scale, zero = affine(w[:, order], bits, group, symmetric)
    v = torch.empty_like(w)
    v[:, order] = value(codes, scale, zero)
    at = torch.empty_like(codes)
    at[:, order] = codes
    g_idx = torch.empty(k, dtype=torch.int32)
    g_idx[order] = (torch.arange(k) // group).to(torch.int32)
    stored = zero if v2 else (zero - 1) % (1 << bits)
    return {".qweight": stream(at, bits).T.contiguous(), ".qzeros": stream(stored.T.contiguous(), bits),
            ".scales": scale.T.contiguous().half(), ".g_idx": g_idx}, v


def awq_pack(codes):
    """[k, n] → words of eight, element i at nibble [0, 4, 1, 5, 2, 6, 3, 7][i]."""
    k, n = codes.shape
    words = np.zeros((k, n // 8), dtype=np.uint32)
    c = codes.to(torch.int64).numpy().astype(np.uint32).reshape(k, n // 8, 8)
    for i, at in enumerate([0, 4, 1, 5, 2, 6, 3, 7]):
        words |= c[:, :, i] << np.uint32(4 * at)
    return torch.from_numpy(words.view(np.int32).copy())


def awq(w, group):
    codes, scale, zero = affine(w, 4, group, False)
    return {".qweight": awq_pack(codes.T), ".qzeros": awq_pack(zero.T), ".scales": scale.T.contiguous().half()}, value(codes, scale, zero)


def packed(w, bits, group, symmetric, act_order=False):
    n, k = w.shape
    group = k if group < 0 else group
    order = torch.randperm(k, generator=torch.Generator().manual_seed(k)) if act_order else torch.arange(k)
    codes, scale, zero = affine(w[:, order], bits, group, symmetric, torch.bfloat16)
    v, at, g_idx = torch.empty_like(w), torch.empty_like(codes), torch.empty(k, dtype=torch.int32)
    v[:, order] = value(codes, scale, zero)
    at[:, order] = codes
    g_idx[order] = (torch.arange(k) // group).to(torch.int32)
    t = {".weight_packed": stream(at, bits), ".weight_scale": scale.bfloat16(), ".weight_shape": torch.tensor([n, k])}
    if not symmetric:
        t[".weight_zero_point"] = stream(zero.T.contiguous(), bits).T.contiguous()
    if act_order:
        t[".weight_g_idx"] = g_idx
    return t, v


def integers(w, per_row, zeros=False):
    n, k = w.shape
    x = w if per_row else w.reshape(1, -1)
    if zeros:
        codes, scale, zero = affine(x, 8, x.shape[1], False, torch.bfloat16)
        v = value(codes, scale, zero).reshape(n, k)
        return {".weight": (codes - 128).to(torch.int8).reshape(n, k), ".weight_scale": scale.bfloat16().reshape(-1, 1),
                ".weight_zero_point": (zero - 128).to(torch.int8).reshape(-1, 1)}, v
    scale = (x.abs().amax(1, keepdim=True) / 127).bfloat16().float()
    codes = torch.round(x / scale).clamp(-128, 127)
    return {".weight": codes.to(torch.int8).reshape(n, k), ".weight_scale": scale.bfloat16().reshape(-1, 1) if per_row
            else scale.bfloat16().reshape(1)}, (codes * scale).reshape(n, k)


def floats8(w, block, suffix=".weight_scale", scale_type=torch.float32, dtype=torch.float8_e4m3fn):
    """block: (rows, columns) that share a scale; the edges may be smaller."""
    n, k = w.shape
    bn, bk = min(block[0], n), min(block[1], k)
    a, b = -(-n // bn), -(-k // bk)
    scale = torch.empty(a, b)
    for i in range(a):
        for j in range(b):
            scale[i, j] = w[i * bn:(i + 1) * bn, j * bk:(j + 1) * bk].abs().max() / torch.finfo(dtype).max
    scale = scale.to(scale_type).float()
    full = scale.repeat_interleave(bn, 0)[:n].repeat_interleave(bk, 1)[:, :k]
    codes = (w / full).to(dtype)
    s = scale.to(scale_type)
    return {".weight": codes, suffix: s.reshape(1) if s.numel() == 1 else s}, codes.float() * full


def nibbles4(w):
    """Nearest code of the 4-bit float."""
    return (w[..., None] - FP4).abs().argmin(-1)


def nvfp4(w):
    n, k = w.shape
    g = w.reshape(n, k // 16, 16)
    total = (6 * 448) / w.abs().max()
    scale = (g.abs().amax(2) / 6 * total).to(torch.float8_e4m3fn)
    s = scale.float() / total
    codes = nibbles4(g / s[:, :, None].clamp(min=1e-9))
    v = (FP4[codes] * (scale.float() * (1 / total))[:, :, None]).reshape(n, k)
    c = codes.reshape(n, k // 2, 2)
    return {".weight_packed": (c[:, :, 0] | c[:, :, 1] << 4).to(torch.uint8), ".weight_scale": scale,
            ".weight_global_scale": total.reshape(1)}, v


def mxfp4(w):
    n, k = w.shape
    g = w.reshape(n, k // 32, 32)
    e = torch.floor(torch.log2(g.abs().amax(2))) - 2
    codes = nibbles4(g / torch.exp2(e)[:, :, None])
    c = codes.reshape(n, k // 2, 2)
    return {".weight_packed": (c[:, :, 0] | c[:, :, 1] << 4).to(torch.uint8), ".weight_scale": (e + 127).to(torch.uint8)}, \
        (FP4[codes] * torch.exp2(e)[:, :, None]).reshape(n, k)


NF4 = torch.tensor([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                    0.7229568362236023, 1.0])
BNB_FP4 = torch.tensor([0, 0.0052083333, 0.6666667, 1, 0.3333333, 0.5, 0.1666667, 0.25])
BNB_FP4 = torch.cat([BNB_FP4, -BNB_FP4])


def bnb4(w, kind, double):
    n, k = w.shape
    table = NF4 if kind == "nf4" else BNB_FP4
    flat = w.reshape(-1)
    blocks = torch.nn.functional.pad(flat, (0, -flat.numel() % 64)).reshape(-1, 64)
    absmax = blocks.abs().amax(1)
    state = {"quant_type": kind, "blocksize": 64, "dtype": "bfloat16", "shape": [n, k]}
    t = {}
    if double:
        offset = absmax.mean()
        levels = torch.cat([-torch.logspace(-6, 0, 127, 2).flip(0), torch.zeros(1), torch.logspace(-6, 0, 128, 2)])
        rest = torch.nn.functional.pad(absmax - offset, (0, -absmax.numel() % 256)).reshape(-1, 256)
        nested = rest.abs().amax(1)
        codes = ((rest / nested[:, None])[:, :, None] - levels).abs().argmin(-1)
        absmax = (levels[codes] * nested[:, None]).reshape(-1)[:absmax.numel()] + offset
        t[".weight.absmax"] = codes.reshape(-1)[:absmax.numel()].to(torch.uint8)
        t[".weight.nested_absmax"], t[".weight.nested_quant_map"] = nested, levels
        state.update(nested_blocksize=256, nested_dtype="float32", nested_offset=offset.item())
    else:
        t[".weight.absmax"] = absmax
    codes = ((blocks / absmax[:, None])[:, :, None] - table).abs().argmin(-1)
    v = (table[codes] * absmax[:, None]).reshape(-1)[:n * k].reshape(n, k)
    c = codes.reshape(-1)[:n * k].reshape(-1, 2)
    t[".weight"] = (c[:, 0] << 4 | c[:, 1]).to(torch.uint8).reshape(-1, 1)
    t[".weight.quant_map"] = table
    t[".weight.quant_state.bitsandbytes__" + kind] = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
    return t, v


def bnb8(w):
    scb = w.abs().amax(1)
    codes = torch.round(w * (127 / scb)[:, None]).to(torch.int8)
    return {".weight": codes, ".SCB": scb, ".weight_format": torch.tensor(0, dtype=torch.uint8)}, codes.float() * (scb * (1 / 127))[:, None]


def compressed(form, **weights):
    return {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "ignore": ["lm_head"],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": dict({"symmetric": True, "type": "int"}, **weights)}}}


def quantized(name, config, method):
    folder = folder_of(name, config)
    tensors, values = {}, {}
    for k, v in base().items():
        stem = k[:-7]
        if any(stem.endswith(l) for l in LINEARS):
            parts, values[k] = method(v)
            tensors.update({stem + s: t for s, t in parts.items()})
        else:
            tensors[k], values[k] = v.bfloat16(), v
    write_safetensors(folder + "/model.safetensors", tensors)
    golden(folder, values)


def quantized_formats():
    g = lambda bits, **more: dict({"quant_method": "gptq", "bits": bits, "group_size": 32, "desc_act": False, "sym": True}, **more)
    quantized("gptq-4", g(4), lambda w: gptq(w, 4, 32, True))
    quantized("gptq-4-asym", g(4, sym=False), lambda w: gptq(w, 4, 32, False))
    quantized("gptq-4-act", g(4, desc_act=True), lambda w: gptq(w, 4, 32, True, True))
    quantized("gptq-4-v2-row", g(4, group_size=-1, checkpoint_format="gptq_v2", sym=False), lambda w: gptq(w, 4, -1, False, v2=True))
    quantized("gptq-2", g(2, sym=False), lambda w: gptq(w, 2, 32, False))
    quantized("gptq-3", g(3), lambda w: gptq(w, 3, 32, True))
    quantized("gptq-8-act", g(8, desc_act=True, sym=False), lambda w: gptq(w, 8, 32, False, True))
    quantized("awq-4", {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"}, lambda w: awq(w, 32))
    quantized("ct-int4", compressed("pack-quantized", num_bits=4, strategy="group", group_size=32), lambda w: packed(w, 4, 32, True))
    quantized("ct-int4-asym", compressed("pack-quantized", num_bits=4, strategy="group", group_size=32, symmetric=False),
              lambda w: packed(w, 4, 32, False))
    quantized("ct-int4-act", compressed("pack-quantized", num_bits=4, strategy="group", group_size=32, actorder="group"),
              lambda w: packed(w, 4, 32, True, True))
    quantized("ct-int8-row", compressed("pack-quantized", num_bits=8, strategy="channel"), lambda w: packed(w, 8, -1, True))
    quantized("ct-w8a8", compressed("int-quantized", num_bits=8, strategy="channel"), lambda w: integers(w, True))
    quantized("ct-w8-tensor", compressed("int-quantized", num_bits=8, strategy="tensor"), lambda w: integers(w, False))
    quantized("ct-w8-zero", compressed("int-quantized", num_bits=8, strategy="channel", symmetric=False), lambda w: integers(w, True, True))
    quantized("ct-fp8-tensor", compressed("float-quantized", num_bits=8, type="float", strategy="tensor"),
              lambda w: floats8(w, (999, 999), scale_type=torch.bfloat16))
    quantized("ct-fp8-row", compressed("float-quantized", num_bits=8, type="float", strategy="channel"),
              lambda w: floats8(w, (1, 999), scale_type=torch.bfloat16))
    quantized("ct-fp8-block", compressed("float-quantized", num_bits=8, type="float", strategy="block", block_structure=[32, 32]),
              lambda w: floats8(w, (32, 32)))
    quantized("ct-nvfp4", compressed("nvfp4-pack-quantized", num_bits=4, type="float", strategy="tensor_group", group_size=16), nvfp4)
    quantized("ct-mxfp4", compressed("mxfp4-pack-quantized", num_bits=4, type="float", strategy="group", group_size=32), mxfp4)
    quantized("fp8-block", {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3", "weight_block_size": [48, 64]},
              lambda w: floats8(w, (48, 64), ".weight_scale_inv"))
    quantized("fp8-e5m2", {"quant_method": "fp8", "activation_scheme": "dynamic"},
              lambda w: floats8(w, (999, 999), ".weight_scale_inv", dtype=torch.float8_e5m2))
    b = lambda **k: dict({"quant_method": "bitsandbytes"}, **k)
    quantized("bnb-nf4", b(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True), lambda w: bnb4(w, "nf4", True))
    quantized("bnb-fp4", b(load_in_4bit=True, bnb_4bit_quant_type="fp4"), lambda w: bnb4(w, "fp4", False))
    quantized("bnb-int8", b(load_in_8bit=True), bnb8)


def experts_gptq():
    """A mixture of experts whose matrices are ordered by activation, each in its own way."""
    moe = dict(num_local_experts=4, num_experts_per_tok=2, intermediate_size=64)
    folder = folder_of("gptq-experts", {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True, "sym": True},
                       model_type="mixtral", architectures=["MixtralForCausalLM"], sliding_window=None, rope_theta=1e6, **moe)
    tensors, values = {}, {}
    rand = lambda *s, g=torch.Generator().manual_seed(9): (torch.randn(*s, generator=g) * .15).bfloat16().float()
    for k, v in base().items():
        if ".mlp." not in k:
            tensors[k], values[k] = v.bfloat16(), v
    at = "model.layers.0.block_sparse_moe."
    gate = rand(4, HIDDEN)
    tensors[at + "gate.weight"], values["model.layers.0.mlp.gate.weight"] = gate.bfloat16(), gate
    parts = {w: [] for w in ("w1", "w2", "w3")}
    for e in range(4):
        for i, w in enumerate(parts):
            t, v = gptq(rand(64, 64), 4, 32, True, e != 0, seed=10 * e + i)
            tensors.update({"%sexperts.%d.%s%s" % (at, e, w, suffix): x for suffix, x in t.items()})
            parts[w].append(v)
    values["model.layers.0.mlp.experts.gate_up_proj"] = torch.stack([torch.cat([a, b]) for a, b in zip(parts["w1"], parts["w3"])])
    values["model.layers.0.mlp.experts.down_proj"] = torch.stack(parts["w2"])
    write_safetensors(folder + "/model.safetensors", tensors)
    golden(folder, values, MixtralForCausalLM(MixtralConfig(**dict(CONFIG, sliding_window=None, **moe))))


# ---- PyTorch

def pytorch_formats():
    w = base()
    qkv = torch.cat([w["model.layers.0.self_attn.%s_proj.weight" % x] for x in "qkv"])
    views = dict(w)  # q, k and v share a storage; gate is transposed, up has holes
    for x, part in zip("qkv", qkv.split([64, 32, 32])):
        views["model.layers.0.self_attn.%s_proj.weight" % x] = part
    views["model.layers.0.mlp.gate_proj.weight"] = w["model.layers.0.mlp.gate_proj.weight"].T.contiguous().T
    views["model.layers.0.mlp.up_proj.weight"] = torch.stack([w["model.layers.0.mlp.up_proj.weight"]] * 2, 2)[:, :, 1]
    views["model.norm.weight"] = torch.nn.Parameter(w["model.norm.weight"].double())
    views["lm_head.weight"] = w["lm_head.weight"].bfloat16()
    views["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.arange(8)  # passed over
    for name, new in (("pt-zip", True), ("pt-old", False)):
        folder = folder_of(name)
        torch.save(torch.nn.Module.state_dict(torch.nn.Module()) | views, folder + "/pytorch_model.bin", _use_new_zipfile_serialization=new)
        golden(folder, w)
    folder = folder_of("pt-shards")
    names = sorted(w)
    weight_map = {}
    for i in range(2):
        file = "pytorch_model-%05d-of-00002.bin" % (i + 1)
        torch.save({n: torch.nn.Parameter(w[n].bfloat16()) for n in names[i::2]}, folder + "/" + file)
        weight_map.update({n: file for n in names[i::2]})
    with open(folder + "/pytorch_model.bin.index.json", "w") as f:
        json.dump({"metadata": {"total_size": 1}, "weight_map": weight_map}, f)
    golden(folder, w)
    folder = folder_of("pt-nested")
    torch.save({"epoch": 3, "lr": 1e-3, "state_dict": {n: t.bfloat16() for n, t in w.items()}}, folder + "/model.pt")
    golden(folder, w)


if __name__ == "__main__":
    os.makedirs(out)
    with open(out + "/prompts.json", "w") as f:
        json.dump(PROMPTS, f)
    pytorch_formats()
    quantized_formats()
    experts_gptq()
