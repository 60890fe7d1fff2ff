#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Inferred shapes beside those of onnx.shape_inference (with data propagation): where onnx knows a type, a rank or a size,
we know the same.

Usage: shapes.py RUNNER DATA [--verbose]      DATA: a folder KIND/VECTOR/model.onnx"""
import collections
import glob
import os
import subprocess
import sys

try:
    import onnx
except ImportError as missing:
    print(f"SKIP onnx-shapes: {missing}")
    sys.exit(77)

NAMES = {"float": "f32", "double": "f64", "float16": "f16", "bfloat16": "bf16", "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8", "int4": "i4",
         "int2": "i2", "uint64": "u64", "uint32": "u32", "uint16": "u16", "uint8": "u8", "uint4": "u4", "uint2": "u2", "bool": "bool", "string": "string",
         "complex64": "c64", "complex128": "c128", "float8e4m3fn": "f8e4m3fn", "float8e4m3fnuz": "f8e4m3fnuz", "float8e5m2": "f8e5m2",
         "float8e5m2fnuz": "f8e5m2fnuz", "float4e2m1": "f4e2m1", "float8e8m0": "f8e8m0"}


# A size that nothing but a declaration inside a loop's body says, on which we do not rely.
DECLARED_ONLY = {("test_loop11", "res_scan")}


def pools_up(model):
    return any(a.name == "ceil_mode" and a.i for n in model.graph.node for a in n.attribute)


def their_types(model):
    """name -> (element type, dims or None); dims: int, or None for what onnx does not know as a number"""
    del model.graph.value_info[:]
    for v in model.graph.output:
        if v.type.HasField("tensor_type"):
            v.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    producers = {o: n.op_type for n in inferred.graph.node for o in n.output}
    result = {}
    for v in list(inferred.graph.value_info) + list(inferred.graph.output):
        if v.name not in producers or not v.type.HasField("tensor_type"):
            continue
        t = v.type.tensor_type
        code = NAMES.get(onnx.TensorProto.DataType.Name(t.elem_type).lower(), "?")
        dims = [d.dim_value if d.HasField("dim_value") else None for d in t.shape.dim] if t.HasField("shape") else None
        if producers.get(v.name) == "Attention" and dims and dims[-1] == 0:
            dims[-1] = None  # onnx takes a size that it does not know for 0
        if producers.get(v.name) == "AveragePool" and pools_up(inferred):
            dims = None  # before opset 19 onnx counts windows that begin in the padding at the end, which nobody runs
        if producers.get(v.name) == "ConvTranspose" and dims and None in dims:
            dims = dims[:2] + [None] * (len(dims) - 2)  # a gap: output_shape alone, of an input of unknown sizes
        result[v.name] = code, dims
    return result


def our_types(runner, data):
    out = subprocess.run([runner, data, "--types"], capture_output=True, text=True, errors="replace", check=False).stdout
    result = collections.defaultdict(dict)
    for line in out.splitlines():
        if line.startswith("TYPE\t"):
            _, vector, name, kind, code, *dims = line.split("\t")
            result[vector][name] = code, None if dims == ["?"] else [int(d) if d.isdigit() else None for d in dims]
    return result


def difference(ours, theirs):
    if theirs[0] not in ("?", "undefined") and ours[0] != theirs[0]:
        return f"type {ours[0]}, {theirs[0]} expected"
    if theirs[1] is None:
        return None
    if ours[1] is None or len(ours[1]) != len(theirs[1]):
        return f"dims {ours[1]}, {theirs[1]} expected"
    if any(b is not None and a != b for a, b in zip(ours[1], theirs[1])):
        return f"dims {ours[1]}, {theirs[1]} expected"
    return None


def main():
    runner, data = sys.argv[1:3]
    ours = our_types(runner, data)
    compared = failed = more = 0
    by_op = collections.Counter()
    for path in sorted(glob.glob(os.path.join(data, "*", "*", "model.onnx"))):
        vector = path.split(os.sep)[-2]
        try:
            model = onnx.load(path, load_external_data=False)
            theirs = their_types(model)
        except Exception:
            continue
        producers = {o: n.op_type for n in model.graph.node for o in n.output}
        for name, t in theirs.items():
            if name not in ours.get(vector, {}) or (vector, name) in DECLARED_ONLY:
                continue  # renamed, folded or of a function
            compared += 1
            why = difference(ours[vector][name], t)
            if why:
                failed += 1
                by_op[producers.get(name)] += 1
                print(f"FAIL onnx-shapes/{vector}/{name} ({producers.get(name)}): {why}")
    print(f"{compared} values compared, {failed} differ: {dict(by_op)}")
    print(f"{'FAIL' if failed else 'PASS'} onnx-shapes")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
