# SPDX-License-Identifier: Apache-2.0
"""Makes vectors in the form of the ONNX backend tests for operators of ai.onnx.ml and com.microsoft: one node each, random
attributes and inputs of a fixed seed, outputs by onnxruntime.

usage: make.py FOLDER    (FOLDER/node/NAME/model.onnx, test_data_set_0/*.pb; packed as tests/data/onnx-vectors.tar.xz)"""
import os
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

ML, MS = "ai.onnx.ml", "com.microsoft"
rng = np.random.default_rng(5)
skipped = []


def f(*shape, scale=1.0):
    return (rng.normal(size=shape) * scale).astype("f4")


def q(kind, *shape):
    lo, hi = (0, 256) if kind == "u1" else (-127, 128)
    return rng.integers(lo, hi, size=shape).astype(kind)


def s(v):
    return np.array(v, "f4")


def z(v, kind="u1"):
    return np.array(v, kind)


def floats(*shape):
    return [float(v) for v in f(*shape).reshape(-1)]


def vector(folder, name, op, inputs, outputs, domain=MS, version=1, constant=(), **attrs):
    """inputs: arrays (None: omitted); those at the places `constant` become initializers. outputs: element types."""
    names = ["" if x is None else "x%d" % i for i, x in enumerate(inputs)]
    outs = ["y%d" % i for i in range(len(outputs))]
    values = {n: (x if x.dtype == object else np.asarray(x)) for n, x in zip(names, inputs) if n}
    def kind(x):
        return T.STRING if x.dtype == object else h.np_dtype_to_tensor_dtype(x.dtype)
    fixed = {"x%d" % i for i in constant}
    graph = h.make_graph([h.make_node(op, names, outs, name=op, domain=domain, **attrs)], name,
                         [h.make_tensor_value_info(n, kind(x), list(x.shape)) for n, x in values.items() if n not in fixed],
                         [h.make_tensor_value_info(o, t, None) for o, t in zip(outs, outputs)],
                         [nh.from_array(x, n) for n, x in values.items() if n in fixed])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 18), h.make_opsetid(domain, version)], ir_version=9)
    data = model.SerializeToString()
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    given = {n: x for n, x in values.items() if n not in fixed}
    try:
        got = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, given)
    except Exception as e:
        skipped.append("%s: %s" % (name, str(e).splitlines()[0][:140]))
        return
    path = os.path.join(folder, "node", name)
    os.makedirs(os.path.join(path, "test_data_set_0"), exist_ok=True)
    with open(os.path.join(path, "model.onnx"), "wb") as out:
        out.write(data)
    for stem, arrays in (("input", given.values()), ("output", got)):
        for i, x in enumerate(arrays):
            with open(os.path.join(path, "test_data_set_0", "%s_%d.pb" % (stem, i)), "wb") as out:
                out.write(nh.from_array(np.asarray(x)).SerializeToString())


def quantized(folder):
    def v(*a, **k):
        vector(folder, *a, **k)
    for k, t in (("u1", T.UINT8), ("i1", T.INT8)):
        p = [s(0.0317), z(11, k), s(0.0523), z(7, k), s(0.0831), z(3, k)]  # scales without ties
        a, b = q(k, 2, 3, 4), q(k, 3, 1)
        v("qlinear_add_" + k, "QLinearAdd", [a, p[0], p[1], b, p[2], p[3], p[4], p[5]], [t])
        v("qlinear_mul_" + k, "QLinearMul", [a, p[0], p[1], b, p[2], p[3], s(0.2), p[5]], [t])
        v("qlinear_sigmoid_" + k, "QLinearSigmoid", [a, p[0], p[1], s(1 / 256), z(0 if k == "u1" else -128, k)], [t], constant=(1, 2, 3, 4))
        v("qlinear_leaky_" + k, "QLinearLeakyRelu", [a, p[0], p[1], p[4], p[5]], [t], constant=(1, 2, 3, 4), alpha=0.2)
        x = q(k, 2, 3, 6, 5)
        v("qlinear_pool_" + k, "QLinearAveragePool", [x, p[0], p[1], s(0.0291), p[5]], [t], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
        v("qlinear_pool_pad_" + k, "QLinearAveragePool", [x, p[0], p[1], s(0.0291), p[5]], [t], kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1, strides=[2, 2])
        v("qlinear_global_" + k, "QLinearGlobalAveragePool", [x, p[0], p[1], s(0.0117), p[5]], [t], channels_last=0)
        v("qlinear_global_last_" + k, "QLinearGlobalAveragePool", [x, p[0], p[1], s(0.0117), p[5]], [t], channels_last=1)
        v("qlinear_concat_" + k, "QLinearConcat", [p[4], p[5], a, p[0], p[1], q(k, 2, 2, 4), p[2], p[3]], [t], axis=1, constant=(0, 1, 3, 4, 6, 7))
        v("qlinear_softmax_" + k, "QLinearSoftmax", [a, p[0], p[1], s(1 / 256), z(0 if k == "u1" else -128, k)], [t], axis=-1, opset=13, constant=(1, 2, 3, 4))
        v("qlinear_softmax_12_" + k, "QLinearSoftmax", [a, p[0], p[1], s(1 / 256), z(0 if k == "u1" else -128, k)], [t], axis=1, opset=12, constant=(1, 2, 3, 4))
        v("qlinear_where_" + k, "QLinearWhere", [rng.random((2, 3, 4)) > 0.5, a, p[0], p[1], q(k, 3, 1), p[2], p[3], p[4], p[5]], [t], constant=(2, 3, 5, 6, 7, 8))
        w = q("i1", 4, 6)
        v("qgemm_" + k, "QGemm", [q(k, 3, 6), p[0], p[1], w, s(0.02), z(0, "i1"), q("i4", 4) * 20, s(0.9), z(100 if k == "u1" else 3, k)], [t], transB=1, constant=(3, 4, 5))
        v("qgemm_float_" + k, "QGemm", [q(k, 3, 6), p[0], p[1], w.T.copy(), f(4) ** 2 * 0.02 + 0.01, z([0] * 4, "i1"), q("i4", 4)], [T.FLOAT], alpha=0.5, constant=(3, 4, 5))
        v("matmul_to_float_" + k, "MatMulIntegerToFloat", [q(k, 2, 3, 5), q(k, 5, 4), s(0.03), f(4) ** 2 + 0.01, z(5, k), None, f(4)], [T.FLOAT])
    x = f(2, 3, 5)
    v("dynamic_matmul", "DynamicQuantizeMatMul", [x, q("i1", 5, 4), s(0.02), z(0, "i1"), f(4)], [T.FLOAT])
    v("dynamic_matmul_columns", "DynamicQuantizeMatMul", [x, q("u1", 5, 4), f(4) ** 2 * 0.1 + 0.01, z([3, 1, 4, 1])], [T.FLOAT])
    v("qattention", "QAttention", [q("u1", 2, 4, 8), q("i1", 8, 24), f(24), s(0.02), s(0.01), None, z(120), z(0, "i1")], [T.FLOAT], num_heads=2)
    v("qattention_mask", "QAttention", [q("u1", 2, 4, 8), q("i1", 8, 24), f(24), s(0.02), s(0.01), np.array([4, 2], "i4"), z(120), z(0, "i1")], [T.FLOAT], num_heads=2)


def fused(folder):
    def v(*a, **k):
        vector(folder, *a, **k)
    x, w, b = f(2, 4, 6, 6), f(6, 4, 3, 3, scale=0.3), f(6)
    for act, params in (("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.75]), ("HardSigmoid", [0.3, 0.4])):
        k = {"activation_params": params} if params else {}
        v("fused_conv_" + act.lower(), "FusedConv", [x, w, b], [T.FLOAT], activation=act, pads=[1, 1, 1, 1], **k)
    v("fused_conv_sum", "FusedConv", [x, w, b, f(2, 6, 3, 3)], [T.FLOAT], activation="Relu", pads=[1, 1, 1, 1], strides=[2, 2])
    v("fused_gemm", "FusedGemm", [f(3, 5), f(4, 5), f(4)], [T.FLOAT], transB=1, alpha=0.5, beta=2.0, activation="LeakyRelu", activation_alpha=0.3)
    v("fused_gemm_plain", "FusedGemm", [f(3, 5), f(5, 4)], [T.FLOAT], activation="Tanh")
    v("fused_matmul", "FusedMatMul", [f(2, 5, 3), f(2, 5, 4)], [T.FLOAT], transA=1, alpha=0.25)
    v("fused_matmul_b", "FusedMatMul", [f(2, 3, 5), f(4, 5)], [T.FLOAT], transB=1)
    v("fused_matmul_batch", "FusedMatMul", [f(3, 2, 5), f(3, 2, 5)], [T.FLOAT], transBatchA=1, transBatchB=1, transB=1)
    v("expand_dims", "ExpandDims", [f(2, 3), np.array(-1, "i4")], [T.FLOAT], constant=(1,))
    ids = rng.integers(0, 9, size=(2, 5)).astype("i4")
    tables = [f(9, 8), f(6, 8), f(2, 8), f(8), f(8)]
    v("embed_norm", "EmbedLayerNormalization", [ids, (ids % 2).astype("i4")] + tables + [(ids > 2).astype("i4")], [T.FLOAT, T.INT32], epsilon=1e-5)
    v("embed_norm_plain", "EmbedLayerNormalization", [ids, None, tables[0], tables[1], None, tables[3], tables[4]], [T.FLOAT, T.INT32])
    v("embed_norm_positions", "EmbedLayerNormalization", [ids, None, tables[0], tables[1], None, tables[3], tables[4], None, (5 - np.arange(5, dtype="i4"))[None]], [T.FLOAT, T.INT32, T.FLOAT])
    x, w, b = f(2, 4, 8), f(8, 24), f(24)
    v("attention", "Attention", [x, w, b], [T.FLOAT], num_heads=2)
    v("attention_causal", "Attention", [x, w, b], [T.FLOAT], num_heads=4, unidirectional=1)
    v("attention_lengths", "Attention", [x, w, b, np.array([4, 2], "i4")], [T.FLOAT], num_heads=2)
    v("attention_keys", "Attention", [x, w, b, np.array([[1, 1, 0, 1], [0, 1, 1, 0]], "i4")], [T.FLOAT], num_heads=2, scale=0.3)
    v("attention_pairs", "Attention", [x, w, b, (rng.random((2, 4, 4)) > 0.4).astype("i4")], [T.FLOAT], num_heads=2, mask_filter_value=-50.0)
    v("attention_bias", "Attention", [x, w, b, None, None, f(2, 2, 4, 4)], [T.FLOAT], num_heads=2)
    v("attention_past", "Attention", [x, w, b, None, f(2, 2, 2, 3, 4)], [T.FLOAT, T.FLOAT], num_heads=2)
    v("attention_past_mask", "Attention", [x, w, b, (rng.random((2, 7)) > 0.3).astype("i4"), f(2, 2, 2, 3, 4)], [T.FLOAT, T.FLOAT], num_heads=2, unidirectional=1)
    v("attention_uneven", "Attention", [x, f(8, 20), f(20)], [T.FLOAT], num_heads=2, qkv_hidden_sizes=[8, 8, 4])
    v("mha", "MultiHeadAttention", [x, f(2, 5, 8), f(2, 5, 8), b], [T.FLOAT], num_heads=2)
    v("skip_norm", "SkipLayerNormalization", [x, f(2, 4, 8), f(8), f(8), f(8)], [T.FLOAT], epsilon=1e-5)
    v("skip_norm_rows", "SkipLayerNormalization", [x, f(4, 8), f(8)], [T.FLOAT])
    v("bias_gelu", "BiasGelu", [x, f(8)], [T.FLOAT])
    v("fast_gelu", "FastGelu", [x, f(8)], [T.FLOAT])
    v("quick_gelu", "QuickGelu", [x], [T.FLOAT], alpha=1.5)


def trees(prefix, targets, mode="BRANCH_LEQ", sign=1, only=None, missing=False):
    a = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    w = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    for t in range(3):
        for n in range(7):
            leaf = n >= 3
            for k, x in zip(a, (t, n, 0 if leaf else int(rng.integers(4)), 0.0 if leaf else float(np.round(rng.normal(), 1)),
                                "LEAF" if leaf else mode, 0 if leaf else 2 * n + 1, 0 if leaf else 2 * n + 2)):
                a[k].append(x)
            for c in (range(targets) if only is None else [only]) if leaf else ():
                for k, x in zip(w, (t, n, c, float(rng.random() - (sign < 0) * 0.5) / 3)):
                    w[k].append(x)
    out = {"nodes_" + k: x for k, x in a.items()}
    out.update({"%s_%s" % (prefix, k): x for k, x in w.items()})
    if missing:
        out["nodes_missing_value_tracks_true"] = [int(m != "LEAF" and rng.integers(2)) for m in a["modes"]]
    return out


def classic(folder):
    def v(name, op, inputs, outputs, version=3, **k):
        vector(folder, "ml_" + name, op, inputs, outputs, domain=ML, version=version, **k)
    x = f(9, 4)
    holes = x.copy()
    holes[::3, 1] = np.nan
    label = [T.INT64, T.FLOAT]
    for post in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
        p = post.lower()
        v("trees_3_" + p, "TreeEnsembleClassifier", [x], label, classlabels_int64s=[4, 5, 6], post_transform=post, **trees("class", 3))
        for sign in (1, -1):
            for only in (0, 1):
                v("trees_2_%s_%d_%d" % (p, sign, only), "TreeEnsembleClassifier", [x], label, classlabels_int64s=[4, 5], post_transform=post, **trees("class", 2, sign=sign, only=only))
        v("trees_sums_" + p, "TreeEnsembleRegressor", [x], [T.FLOAT], n_targets=2, post_transform=post, base_values=[0.5, -0.5], **trees("target", 2))
        v("linear_3_" + p, "LinearClassifier", [x], label, coefficients=floats(12), intercepts=floats(3), classlabels_ints=[1, 2, 3], post_transform=post)
        v("svm_3_" + p, "SVMClassifier", [x], label, kernel_type="RBF", kernel_params=[0.5, 0.0, 3.0], support_vectors=floats(24), coefficients=floats(12), rho=floats(3),
          vectors_per_class=[2, 2, 2], classlabels_ints=[0, 1, 2], post_transform=post)
    for mode in ("LT", "GTE", "GT", "EQ", "NEQ"):
        v("trees_" + mode.lower(), "TreeEnsembleRegressor", [np.round(holes)], [T.FLOAT], n_targets=2, **trees("target", 2, "BRANCH_" + mode, missing=True))
    for how in ("AVERAGE", "MIN", "MAX"):
        v("trees_" + how.lower(), "TreeEnsembleRegressor", [x], [T.FLOAT], n_targets=1, aggregate_function=how, **trees("target", 1, sign=-1))
    v("trees_5", "TreeEnsemble", [np.round(x)], [T.FLOAT], version=5, n_targets=2, aggregate_function=1, tree_roots=[0, 2], nodes_modes=h.make_tensor("m", T.UINT8, [4], [0, 4, 1, 6]),
      nodes_featureids=[0, 1, 2, 3], nodes_splits=nh.from_array(np.array([0.1, 0, 0.3, np.nan], "f4")), nodes_truenodeids=[1, 0, 3, 3], nodes_trueleafs=[0, 1, 0, 1], nodes_falsenodeids=[2, 1, 4, 5],
      nodes_falseleafs=[1, 1, 1, 1], leaf_targetids=[0, 1, 0, 1, 0, 1], leaf_weights=nh.from_array(f(6)), membership_values=nh.from_array(np.array([1, 0, np.nan], "f4")))
    v("linear_1", "LinearClassifier", [x], [T.STRING, T.FLOAT], coefficients=floats(4), intercepts=[0.1], classlabels_strings=["no", "yes"], post_transform="LOGISTIC")
    v("linear_regressor", "LinearRegressor", [x], [T.FLOAT], coefficients=floats(8), intercepts=floats(2), targets=2)
    v("svm_probability", "SVMClassifier", [x], label, kernel_type="POLY", kernel_params=[0.5, 0.1, 2.0], support_vectors=floats(24), coefficients=floats(12), rho=floats(3), vectors_per_class=[2, 2, 2],
      classlabels_ints=[0, 1, 2], prob_a=[-1.2] * 3, prob_b=[0.1] * 3)
    v("svm_2", "SVMClassifier", [x], label, kernel_type="SIGMOID", kernel_params=[0.5, 0.1, 2.0], support_vectors=floats(16), coefficients=floats(4), rho=[0.1], vectors_per_class=[2, 2], classlabels_ints=[0, 1])
    v("svm_linear", "SVMClassifier", [x], label, kernel_type="LINEAR", coefficients=floats(12), rho=[0.2], classlabels_ints=[0, 1, 2])
    for one in (0, 1):
        v("svm_regressor_%d" % one, "SVMRegressor", [x], [T.FLOAT], kernel_type="RBF", kernel_params=[0.5, 0.1, 2.0], support_vectors=floats(12), coefficients=[0.5, -0.2, 1.0], rho=[0.1], n_supports=3, one_class=one)
    zeros = x.copy()
    zeros[2] = 0
    for norm in ("MAX", "L1", "L2"):
        v("normalizer_" + norm.lower(), "Normalizer", [zeros], [T.FLOAT], norm=norm)
    v("scaler", "Scaler", [x], [T.FLOAT], offset=floats(4), scale=floats(4))
    v("scaler_ints", "Scaler", [(x * 4).astype("i8")], [T.FLOAT], offset=[0.5], scale=[3.0])
    v("imputer", "Imputer", [holes], [T.FLOAT], imputed_value_floats=floats(4), replaced_value_float=float("nan"))
    v("imputer_ints", "Imputer", [x.astype("i8")], [T.INT64], imputed_value_int64s=[9], replaced_value_int64=1)
    v("binarizer", "Binarizer", [x], [T.FLOAT], threshold=0.3)
    text, ints, real = np.array([["a", "b"], ["c", "zz"]], object), np.array([[1, 2], [3, 9]], "i8"), np.array([[1.5, 2], [7, 9]], "f4")
    v("label_text", "LabelEncoder", [text], [T.STRING], 2, keys_strings=["a", "b", "c"], values_strings=["x", "y", "z"], default_string="none")
    v("label_text_ints", "LabelEncoder", [text], [T.INT64], 2, keys_strings=["a", "b", "c"], values_int64s=[5, 6, 7])
    v("label_text_floats", "LabelEncoder", [text], [T.FLOAT], 2, keys_strings=["a", "b", "c"], values_floats=[5.0, 6.0, 7.0], default_float=-1.5)
    v("label_ints_text", "LabelEncoder", [ints], [T.STRING], 2, keys_int64s=[1, 2, 3], values_strings=["x", "y", "z"])
    v("label_ints_floats", "LabelEncoder", [ints], [T.FLOAT], 2, keys_int64s=[1, 2, 3], values_floats=[0.5, 1.5, 2.5])
    v("label_floats_ints", "LabelEncoder", [real], [T.INT64], 2, keys_floats=[1.5, 7.0], values_int64s=[3, 4])
    v("label_tensors", "LabelEncoder", [ints], [T.DOUBLE], 4, keys_tensor=nh.from_array(np.array([1, 2, 3], "i8")), values_tensor=nh.from_array(f(3).astype("f8")), default_tensor=nh.from_array(np.array([9.0])))
    v("label_classes", "LabelEncoder", [text], [T.INT64], 1, classes_strings=["a", "b", "c"], default_int64=-5)
    v("categories", "CategoryMapper", [text], [T.INT64], 1, cats_strings=["a", "b"], cats_int64s=[4, 5])
    v("categories_back", "CategoryMapper", [ints], [T.STRING], 1, cats_strings=["a", "b"], cats_int64s=[1, 2])
    v("one_hot", "OneHotEncoder", [ints], [T.FLOAT], cats_int64s=[1, 3], zeros=1)
    v("one_hot_text", "OneHotEncoder", [text], [T.FLOAT], cats_strings=["a", "zz", "q"], zeros=1)
    v("features", "FeatureVectorizer", [x, x[:, :2].copy()], [T.FLOAT], inputdimensions=[4, 2])
    v("extract", "ArrayFeatureExtractor", [x, np.array([2, 0], "i8")], [T.FLOAT])
    v("extract_text", "ArrayFeatureExtractor", [text, np.array([1], "i8")], [T.STRING])


def main():
    quantized(sys.argv[1])
    fused(sys.argv[1])
    classic(sys.argv[1])
    for line in skipped:
        print("not made:", line)


if __name__ == "__main__":
    main()
