# SPDX-License-Identifier: Apache-2.0
"""The ONNX backend vectors on disk."""
import os

import onnx
from onnx import numpy_helper


def cases(root):
    """(name, model file, folders of data) of every vector with inputs and outputs of tensors."""
    for group in ("node", "simple", "pytorch-converted", "pytorch-operator", "real"):
        folder = os.path.join(root, group)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            model = os.path.join(folder, name, "model.onnx")
            sets = sorted(d for d in os.listdir(os.path.join(folder, name)) if d.startswith("test_data_set"))
            if os.path.exists(model) and sets:
                yield f"{group}/{name}", model, [os.path.join(folder, name, d) for d in sets]


def load(folder, kind):
    """The tensors kind_0.pb, kind_1.pb, … of a folder; None when one of them is no tensor."""
    out = []
    while os.path.exists(path := os.path.join(folder, f"{kind}_{len(out)}.pb")):
        with open(path, "rb") as f:
            data = f.read()
        try:
            out.append(numpy_helper.to_array(onnx.TensorProto.FromString(data)))
        except Exception:
            return None
    return out
