# SPDX-License-Identifier: Apache-2.0
"""Writes cases.bin: weights, and the codes, scales and zero points that NNCF 3.4 and ONNX Runtime 1.32 make of them.

usage: make.py (needs numpy, nncf, openvino, onnxruntime)
Record: 8 int32 (source type as in the ONNX list, rows, k, group or -1, type, rounding, scale type, groups of a row), the
source, codes u8 [rows, k] (signed ones plus half the range), scales f32 and zero points u8 [rows, groups].
"""
import os
import struct

import numpy as np
from nncf import CompressWeightsMode
from nncf.quantization.algorithms.weight_compression.config import WeightCompressionConfig
from nncf.quantization.algorithms.weight_compression.weight_lowering import do_integer_quantization
from nncf.tensor import Tensor
from onnxruntime.capi._pybind_state import quantize_matmul_4bits, quantize_matmul_8bits

TYPES = {"int8_sym": 3, "int8_asym": 4, "int4_sym": 5, "int4_asym": 6}
F32, F16, BF16 = 1, 10, 16
rng = np.random.default_rng(20)


def weights(rows, k, source):
    w = (rng.standard_normal((rows, k)) * 0.05).astype(np.float32)
    w[1] = 0
    w[2] = np.abs(w[2]) + np.float32(0.1)
    w[3] = -np.abs(w[3]) - np.float32(0.1)
    w[4] = np.round(w[4] * 64) / 64
    w[5, ::7] *= 40
    w[6] *= np.float32(1e-6)
    w[7] = rng.integers(-8, 9, k) * np.float32(0.125) + np.float32(0.0625)
    if source == F16:
        return w.astype(np.float16)
    if source == BF16:
        return ((w.view(np.uint32) + 0x8000) & 0xFFFF0000).astype(np.uint32).view(np.float32)
    return w


def by_nncf(w, group, name):
    mode = getattr(CompressWeightsMode, name.upper())
    r = do_integer_quantization(Tensor(w), WeightCompressionConfig(mode, group), reduction_axes=1)
    half = 0 if "asym" in name else 1 << (3 if "4" in name else 7)
    codes = (np.array(r.tensor.data).astype(np.int32) + half).reshape(w.shape)
    scales = np.array(r.scale.data).astype(np.float32).reshape(len(w), -1)
    zeros = np.array(r.zero_point.data).reshape(scales.shape) if "asym" in name else np.full(scales.shape, half)
    return codes, scales, zeros


def by_ort(w, group, name):
    bits, sym = (4 if "4" in name else 8), "asym" not in name
    k, n = w.shape[1], w.shape[0]
    blocks, per = -(-k // group), 8 // bits
    wt = np.ascontiguousarray(np.pad(w, ((0, 0), (0, blocks * group - k))).T)
    packed = np.zeros((n, blocks, group // per), np.uint8)
    zeros = np.zeros((n, -(-blocks // per)), np.uint8)
    scales = np.zeros((n, blocks), w.dtype)
    (quantize_matmul_4bits if bits == 4 else quantize_matmul_8bits)(packed, wt, scales, zeros, group, n, k, sym)

    def unpack(a):
        a = a.reshape(n, -1)
        return a if bits == 8 else np.stack([a & 15, a >> 4], -1).reshape(n, -1)

    zeros = np.full(scales.shape, 1 << (bits - 1)) if sym else unpack(zeros)[:, :blocks]
    return unpack(packed)[:, :k], scales.astype(np.float32), zeros


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases.bin"), "wb") as f:
    for group in (16, 32, 64, 128, 256, -1):
        for name, code in TYPES.items():
            for tool in (1, 2):
                for ragged in (False, True):
                    if (ragged and tool == 1) or (group < 0 and tool == 2):
                        continue  # NNCF refuses ragged groups; ONNX Runtime's blocks are no rows
                    source = F32 if group != 32 else (F16 if ragged or tool == 1 else BF16)
                    k = 99 if group < 0 else group * 2 - (5 if ragged else 0)
                    w = weights(8, k, source)
                    scale_type = 0 if source == F16 and tool == 2 else 1
                    q, s, z = (by_nncf if tool == 1 else by_ort)(w, group, name)
                    f.write(struct.pack("<8i", source, 8, k, group, code, tool, scale_type, s.shape[1]))
                    f.write((w.view(np.uint32) >> 16).astype(np.uint16).tobytes() if source == BF16 else w.tobytes())
                    f.write(q.astype(np.uint8).tobytes() + s.tobytes() + z.astype(np.uint8).tobytes())
