#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random nodes of every version of every operator of ai.onnx, run by onnxruntime and by the reference evaluator of onnx,
and by onnx_backend on the reference device and through the plan of the CPU device. A case fails when its result is that of
neither; it is not counted where both others refuse it. Versions that neither runs rightly are held against a newer form.

Usage: differential.py RUNNER [--cases N] [--seed N] [--only OP] [--keep DIR]"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError as missing:
    print(f"SKIP onnx-differential: {missing}")
    sys.exit(77)
from cases import CASES, Draw

warnings.filterwarnings("ignore")
onnxruntime.set_default_logger_severity(4)
# Nothing to compare: numbers drawn at random; what has subgraphs or takes optionals, which the published vectors cover.
LEFT_OUT = {"Bernoulli", "RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Multinomial", "If", "Loop", "Scan",
            "SequenceMap", "SequenceEmpty", "Optional", "OptionalGetElement", "OptionalHasElement", "ImageDecoder"}


def value_info(name, v, symbolic):
    if isinstance(v, list):
        return helper.make_tensor_sequence_value_info(name, helper.np_dtype_to_tensor_dtype(v[0].dtype), None)
    t = TensorProto.STRING if v.dtype == object else helper.np_dtype_to_tensor_dtype(v.dtype)
    return helper.make_tensor_value_info(name, t, [f"{name}_{i}" for i in range(v.ndim)] if symbolic else v.shape)


def make_tensor(v, name):
    if v.dtype == object:
        return helper.make_tensor(name, TensorProto.STRING, v.shape, [str(s).encode() for s in v.flat])
    return numpy_helper.from_array(np.asarray(v), name)


def make_model(op, case, opset, symbolic):
    names = [f"x{i}" if v is not None else "" for i, v in enumerate(case.inputs)]
    while names and not names[-1]:
        names.pop()
    outputs = [f"y{i}" for i in range(case.outputs)]
    node = helper.make_node(op, names, ["" if i in case.skip else o for i, o in enumerate(outputs)], **case.attrs)
    outputs = [o for o in node.output if o]
    given = {n: v for i, (n, v) in enumerate(zip(names, case.inputs)) if n and i not in case.constants}
    constants = [make_tensor(case.inputs[i], names[i]) for i in sorted(case.constants) if i < len(names) and names[i]]
    graph = helper.make_graph([node], "g", [value_info(n, v, symbolic) for n, v in given.items()], [onnx.ValueInfoProto(name=o) for o in outputs], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 3 if opset < 9 else min(model.ir_version, 10)
    if model.ir_version == 3:  # before IR 4 constants are inputs too
        model.graph.input.extend([value_info(c.name, numpy_helper.to_array(c), False) for c in constants])
    return model, given


def run_modern(case):
    name, opset, modern = case.modern
    return run_ort(*make_model(name, modern, opset, False))


def run_ort(model, given):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {k: v for k, v in given.items()})


def run_reference(model, given):
    return ReferenceEvaluator(model).run(None, given)


def put(path, v):
    if isinstance(v, list):
        data = onnx.SequenceProto(name="s", elem_type=onnx.SequenceProto.TENSOR, tensor_values=[make_tensor(np.asarray(t), "") for t in v])
    else:
        v = np.asarray(v)
        data = make_tensor(v.astype(object) if v.dtype.kind in "US" else v, "")
    with open(path, "wb") as f:
        f.write(data.SerializeToString())


def write_vector(root, name, model, given, outputs):
    where = os.path.join(root, "node", name)
    os.makedirs(where + "/test_data_set_0")
    with open(where + "/model.onnx", "wb") as f:
        f.write(model.SerializeToString())
    for i, v in enumerate(given.values()):
        put(f"{where}/test_data_set_0/input_{i}.pb", v)
    for i, v in enumerate(outputs):
        put(f"{where}/test_data_set_0/output_{i}.pb", v)


def finite(outputs):
    flat = [t for v in outputs for t in (v if isinstance(v, list) else [v])]
    return all(np.asarray(t).dtype.kind != "f" or not np.isnan(np.asarray(t)).any() for t in flat)


def set_types(model, outputs):
    """The outputs' types, which neither program needs but files should have."""
    try:
        return onnx.shape_inference.infer_shapes(model)
    except Exception:
        return model


def make_cases(root, args):
    """Names of the cases by the number of witnesses that they have; and of versions without a witness."""
    history = {}
    for s in onnx.defs.get_all_schemas_with_history():
        if s.domain == "" and not s.deprecated and s.name not in LEFT_OUT:
            history.setdefault(s.name, []).append(s)
    known, silent, absent = {}, [], []
    for name, schemas in sorted(history.items()):
        if args.only and name != args.only:
            continue
        if name not in CASES:
            absent.append(name)
            continue
        schemas.sort(key=lambda s: s.since_version)
        for k, schema in enumerate(schemas):
            last = schemas[k + 1].since_version - 1 if k + 1 < len(schemas) else onnx.defs.onnx_opset_version()
            heard = False
            for i in range(args.cases):
                rng = np.random.default_rng([args.seed, sum(map(ord, name)) * 1000 + len(name), schema.since_version, i])
                case = CASES[name](Draw(rng, schema))
                opset = int(rng.choice([schema.since_version, last, min(last, max(schema.since_version, 17))]))
                model, given = make_model(name, case, opset, bool(rng.integers(0, 2)))
                vector = f"{name}_{schema.since_version}_{i}"
                witnesses = [("ort", lambda: run_ort(model, given)), ("ref", lambda: run_reference(model, given))]
                if case.modern:
                    witnesses = [("modern", lambda: run_modern(case))]
                for witness, run in witnesses:
                    try:
                        outputs = run()
                        if finite(outputs):
                            write_vector(root, f"{vector}.{witness}", set_types(model, outputs), given, outputs)
                            known.setdefault(vector, []).append(witness)
                            heard = True
                    except Exception:
                        continue
            if not heard:
                silent.append(f"{name}-{schema.since_version}")
    return known, silent, absent


def judge(runner, root, flags):
    """vector.witness -> None or what differs"""
    out = subprocess.run([runner, root, "--verbose", "--loose", *flags], capture_output=True, text=True, errors="replace", check=False)
    if out.returncode < 0:
        print(f"FAIL onnx-differential: the runner died of signal {-out.returncode}")
        sys.exit(1)
    result = {}
    for line in out.stdout.splitlines():
        if line.startswith("PASS node/"):
            result[line[10:]] = None
        elif line.startswith("FAIL node/"):
            name, _, why = line[10:].partition(": ")
            result[name] = why
    return result


def main():
    p = argparse.ArgumentParser()
    p.add_argument("runner")
    p.add_argument("--cases", type=int, default=3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only")
    p.add_argument("--keep")
    args = p.parse_args()
    root = args.keep or tempfile.mkdtemp()
    shutil.rmtree(root, ignore_errors=True)
    print(f"seed {args.seed}, {args.cases} cases of each version")
    known, silent, absent = make_cases(root, args)
    failed = 0
    for device, flags in (("reference", []), ("cpu", ["--cpu"])):
        result = judge(args.runner, root, flags)
        for vector, witnesses in known.items():
            whys = [result.get(f"{vector}.{w}", "no answer") for w in witnesses]
            if all(whys):
                failed += 1
                print(f"FAIL onnx-differential/{vector} on {device}: " + "; ".join(f"{w}: {y}" for w, y in zip(witnesses, whys)))
    both = sum(len(w) == 2 for w in known.values())
    print(f"{len(known)} cases with a witness, {both} with two; versions without: {' '.join(silent) or 'none'}; operators without cases: {' '.join(absent) or 'none'}")
    if not args.keep:
        shutil.rmtree(root)
    print(f"{'FAIL' if failed else 'PASS'} onnx-differential ({failed} failures)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
