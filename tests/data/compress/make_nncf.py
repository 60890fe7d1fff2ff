# SPDX-License-Identifier: Apache-2.0
"""Writes nncf.safetensors: the weights of a model's layers, and what NNCF's compress_weights (3.4, through OpenVINO) stores for two of them.

usage: make_nncf.py FOLDER (the IR files linear-*.xml and .bin that NNCF wrote; linear-original has the float weights)
Tensors: "original/LAYER" (f32), and for each case "CASE/LAYER/codes", ".../scales" and, where there are any, ".../zeros",
".../table" and ".../second": the bytes of the IR's constants (U8).
"""
import json
import os
import struct
import sys
import xml.etree.ElementTree as ET

LAYERS = ["a.0", "b.2"]
OTHERS = ["b.0", "a.1", "b.1", "a.2"]  # floats alone: NNCF chooses among all six
CASES = ["int8_sym", "int8_asym", "int2_sym", "int3_sym", "mxfp4", "mxfp8_e4m3", "fp8_e4m3", "fp4", "nvfp4", "int4_sym-g32-all_layers"]
CASES += [f"{t}-{g}" for t in ("int4_sym", "int4_asym", "nf4", "cb4") for g in ("g32", "g128", "gm1")]


def constants(folder, case):
    stem = os.path.join(folder, "linear-" + case)
    data = open(stem + ".bin", "rb").read()
    found = {}
    for layer in ET.parse(stem + ".xml").getroot().iter("layer"):
        if layer.get("type") == "Const":
            d = layer.find("data")
            found[layer.get("name")] = data[int(d.get("offset")):int(d.get("offset")) + int(d.get("size"))]
    return found


tensors = {}
for case in ["original"] + CASES:
    found = constants(sys.argv[1], case)
    for layer in LAYERS + (OTHERS if case == "original" else []):
        name = f"self.{layer}.weight"
        if case == "original":
            tensors[f"original/{layer}"] = found[name]
            continue
        parts = {"codes": found.get(name + "_nncf_codebook_idxs", found.get(name)), "scales": found[name + "/scale"],
                 "zeros": found.get(name + "/zero_point"), "second": found.get(name + "/second_order_scale")}
        if name + "_nncf_codebook_idxs" in found:
            parts["table"] = found[name]
        for part, data in parts.items():
            if data is not None:
                tensors[f"{case}/{layer}/{part}"] = data

header, at = {}, 0
for name, data in tensors.items():
    shape, dtype = ([128, 128], "F32") if name.startswith("original/") else ([len(data)], "U8")
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
    at += len(data)
text = json.dumps(header, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "nncf.safetensors"), "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + b"".join(tensors.values()))
