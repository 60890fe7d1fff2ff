# SPDX-License-Identifier: Apache-2.0
"""Experts of gpt-oss in 4-bit floats: rounds them in a model, and writes a folder of such a model as its publisher does."""
import glob, json, os

import torch
from safetensors.torch import load_file, save_file

GROUP = 32
VALUES = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def codes_of(x):
    """[..., K] -> codes u8 [..., K / 32, 32] and exponents plus 127 [..., K / 32]. Values of the grid are kept exactly."""
    g = x.float().reshape(*x.shape[:-1], -1, GROUP)
    top = g.abs().amax(-1).clamp(min=2.0**-100)
    exponent = torch.floor(torch.log2(top)) - 2  # the largest value becomes one of 4 to 8: 6 is the largest code
    exponent = torch.where(top / 2**exponent > 6, exponent + 1, exponent)
    scaled = g / (2**exponent).unsqueeze(-1)
    magnitude = (scaled.abs().unsqueeze(-1) - VALUES).abs().argmin(-1)
    return (magnitude + 8 * (scaled < 0)).to(torch.uint8), (exponent + 127).to(torch.uint8)


def values_of(codes, exponents, shape):
    sign = 1 - 2.0 * (codes >= 8)
    return (sign * VALUES[(codes & 7).long()] * 2.0 ** (exponents.float() - 127).unsqueeze(-1)).reshape(shape)


def fits(config):
    return config["hidden_size"] % GROUP == 0 and config["intermediate_size"] % GROUP == 0


def is_experts(name):
    return name.endswith(("experts.gate_up_proj", "experts.down_proj"))


def round_experts(model):
    for name, p in model.named_parameters():
        if is_experts(name):
            rows = p.transpose(1, 2).contiguous()
            p.copy_(values_of(*codes_of(rows), rows.shape).transpose(1, 2))


def quantize_folder(folder):
    tensors = {}
    for path in glob.glob(os.path.join(folder, "*.safetensors*")):
        if path.endswith(".safetensors"):
            tensors |= load_file(path)
        os.remove(path)
    out = {}
    for name, t in tensors.items():
        if not is_experts(name):
            out[name] = t
            continue
        codes, exponents = codes_of(t.transpose(1, 2).contiguous())
        out[name + "_blocks"] = (codes[..., 0::2] | codes[..., 1::2] << 4).contiguous()
        out[name + "_scales"] = exponents.contiguous()
    save_file(out, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    path = os.path.join(folder, "config.json")
    with open(path) as f:
        config = json.load(f)
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head", "model.embed_tokens"]}
    with open(path, "w") as f:
        json.dump(config, f, indent=1)
