# SPDX-License-Identifier: Apache-2.0
"""Random valid nodes for every version of every operator of ai.onnx: CASES[name](draw) gives a Case.

A generator sees the version of the operator in draw.version and takes what the standard said then. Numbers are small, so
that sums of products in single precision stay within the tolerance of the comparison."""
import numpy as np
from onnx import TensorProto, helper

NUMERIC = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
CASES = {}
# Operators that must take tensors without elements.
EMPTY = {"Abs", "Add", "Sub", "Mul", "And", "Cast", "Concat", "Cos", "Equal", "Exp", "Expand", "Flatten", "Floor", "Identity", "LeakyRelu", "Less", "Max", "Neg", "Not",
         "Relu", "Shape", "Sigmoid", "Size", "Softplus", "Sqrt", "Sum", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where", "NonZero", "Clip", "Erf", "ReduceSum",
         "LogSoftmax", "Softmax"}
MOVED = NUMERIC + ["bool", "str"]  # types of operators that only move elements


class Case:
    """inputs: arrays, None (omitted) or lists (sequences); constants: numbers of inputs that are initializers. modern: name,
    opset and case that mean the same, for versions that other programs do not run (rightly). skip: outputs not asked for."""

    def __init__(self, inputs, outputs=1, constants=(), modern=None, skip=(), **attrs):
        self.inputs, self.outputs, self.constants, self.modern = inputs, outputs, set(constants), modern
        self.skip = skip
        self.attrs = {k: v for k, v in attrs.items() if v is not None}


class Draw:
    def __init__(self, rng, schema):
        self.rng, self.schema, self.version = rng, schema, schema.since_version

    def int(self, low, high):
        """low <= result <= high"""
        return int(self.rng.integers(low, high + 1))

    def flip(self):
        return bool(self.rng.integers(0, 2))

    def pick(self, items):
        return items[self.int(0, len(items) - 1)]

    def shape(self, low=1, high=4, most=4):
        """Sizes of 1 to `most`, seldom one of 0 (since opset 7, before which nobody spoke of that)."""
        s = [self.int(1, most) for _ in range(self.int(low, high))]
        if self.version >= 7 and self.schema.name in EMPTY and self.int(0, 9) == 0:
            s[self.int(0, len(s) - 1)] = 0
        return tuple(s)

    def dtype(self, among=NUMERIC, of="T"):
        """A type that the constraint of the schema allows; float32 half of the time."""
        allowed = [t for c in self.schema.type_constraints if c.type_param_str == of for t in c.allowed_type_strs]
        names = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(string)": "str"}
        allowed = {names.get(t, t.removeprefix("tensor(").removesuffix(")")) for t in allowed}
        fit = [t for t in among if t in allowed]
        if "float32" in fit and (self.flip() or self.version < 7):
            return np.dtype("float32")
        return np.dtype(self.pick(fit)) if fit else np.dtype("float32")

    def array(self, shape, dtype="float32", low=-2.0, high=2.0):
        dtype = np.dtype(dtype)
        if dtype.kind in "US":
            return self.words(shape)
        if dtype == bool:
            return self.rng.integers(0, 2, shape).astype(bool)
        if dtype.kind == "u":
            return self.rng.integers(max(int(low), 0), max(int(high), 1) + 3, shape).astype(dtype)
        if dtype.kind == "i":
            return self.rng.integers(int(low) - 2, int(high) + 3, shape).astype(dtype)
        return (self.rng.random(shape) * (high - low) + low).astype(dtype)

    def words(self, shape, words=("a", "b", "olive", "", "Ärger", "x y")):
        return np.array([self.pick(words) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)

    def axis(self, rank, negative=True):
        return self.int(-rank if negative and self.version >= 11 else 0, rank - 1)

    def axes(self, rank, low=1):
        n = self.int(low, rank)
        return [int(a) - (rank if self.version >= 11 and self.flip() else 0) for a in sorted(self.rng.choice(rank, n, replace=False))]


def case(*names):
    def add(fn):
        for name in names:
            CASES[name] = fn
        return fn
    return add


def ints(*values):
    return np.array(values, dtype=np.int64)


# ---- elementwise ----

RANGES = {"Acos": (-1, 1), "Asin": (-1, 1), "Atanh": (-0.9, 0.9), "Acosh": (1, 4), "Log": (0.1, 4), "Sqrt": (0, 4), "Reciprocal": (0.5, 3)}
UNARY = {"Elu": ["alpha"], "LeakyRelu": ["alpha"], "ThresholdedRelu": ["alpha"], "Celu": ["alpha"], "Selu": ["alpha", "gamma"],
         "HardSigmoid": ["alpha", "beta"], "Shrink": ["bias", "lambd"], "Swish": ["alpha"]}


@case("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor",
      "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu", "Shrink",
      "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "Identity",
      "BitwiseNot", "Not", "IsNaN", "IsInf", "Size", "Gelu")
def unary(d):
    name = d.schema.name
    t = np.dtype(bool) if name == "Not" else d.dtype(["float32", "float64", "float16"] if name == "Erf" else NUMERIC, of="T1" if name in ("IsNaN", "IsInf") else "V" if name == "Identity" and d.version > 13 else "T")
    low, high = RANGES.get(name, (-2, 2))
    if t.kind == "u":
        low = 0
    x = d.array(d.shape(), t, low, high)
    if name in ("IsNaN", "IsInf") and x.dtype.kind == "f":
        x[tuple(0 for _ in x.shape)] = d.pick([np.nan, np.inf, -np.inf])
    attrs = {a: float(np.float32(d.rng.random() + 0.25)) for a in UNARY.get(name, []) if a in d.schema.attributes and d.flip()}
    if name == "Celu" and not attrs:
        attrs = {"alpha": 1.0}
    if name == "IsInf":
        attrs = {"detect_negative": d.int(0, 1), "detect_positive": d.int(0, 1)}
    if name == "Gelu" and d.flip():
        attrs = {"approximate": d.pick(["none", "tanh"])}
    return Case([x], **attrs)


BINARY_BOOL = ("And", "Or", "Xor")


@case("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual",
      "Mod", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "PRelu")
def binary(d):
    name = d.schema.name
    t = np.dtype(bool) if name in BINARY_BOOL else d.dtype()
    if name == "Mod" and t.kind == "f":
        t = np.dtype("int32")
    shape = d.shape(1, 4)
    attrs = {}
    if name == "PRelu" or d.version >= 7:
        other = tuple(n if d.flip() else 1 for n in shape[d.int(0, len(shape)):])
    else:
        start = d.int(0, len(shape) - 1)
        other = shape[start:d.int(start + 1, len(shape))]
        if other != shape:
            attrs = {"broadcast": 1, "axis": start} if d.flip() or start + len(other) != len(shape) else {"broadcast": 1}
    if name == "PRelu" and d.version < 7:
        other = (shape[1],) if len(shape) > 1 and d.flip() else (1,)
    a, b = d.array(shape, t), d.array(other, t)
    if name in ("Div", "Mod"):
        b = np.where(b == 0, np.ones_like(b), b)
        if name == "Div" and t.kind == "i":
            a, b = np.abs(a), np.abs(b)
    if name == "Pow":
        a, b = np.abs(a) + np.ones_like(a), np.abs(b)
    if name == "BitShift":
        attrs["direction"] = d.pick(["LEFT", "RIGHT"])
    if d.version >= 7 and name not in ("PRelu", "Pow") and d.flip():
        a, b = (a, b) if name in ("Div", "Mod") else (b, a)
    modern = None
    if d.version < 7:
        at = 1 if name == "PRelu" and other != (1,) else attrs.get("axis", len(shape) - len(other))
        modern = name, 13, Case([a, b.reshape(other + (1,) * (len(shape) - at - len(other)))])
    return Case([a, b], modern=modern, **attrs)


@case("Max", "Min", "Sum", "Mean")
def variadic(d):
    t, shape = d.dtype(), d.shape()
    shapes = [shape] + [shape if d.version < 8 else tuple(n if d.flip() else 1 for n in shape[d.int(0, len(shape) - 1):]) for _ in range(d.int(0, 2))]
    return Case([d.array(s, t) for s in shapes])


@case("Where")
def where(d):
    shape, t = d.shape(), d.dtype(MOVED)
    part = lambda: tuple(n if d.flip() else 1 for n in shape)
    return Case([d.array(part(), bool), d.array(part(), t), d.array(part(), t)])


@case("Clip")
def clip(d):
    t = d.dtype()
    x = d.array(d.shape(), t, -3, 3)
    if d.version < 11:
        a = {"min": -1.0 if d.flip() else None, "max": 1.5 if d.flip() else None}
        return Case([x], modern=("Clip", 6, Case([x], **a)), **a)
    return Case([x, np.array(1 if t.kind == "u" else -1, t) if d.flip() else None, np.array(2, t) if d.flip() else None])


@case("SwiGLU")
def swiglu(d):
    s, t = d.shape(), d.dtype()
    return Case([d.array(s, t), d.array(s, t)], alpha=1.5 if d.flip() else None)


@case("Cast")
def cast(d):
    pairs = [("float32", TensorProto.INT32), ("int32", TensorProto.FLOAT), ("float32", TensorProto.DOUBLE), ("int64", TensorProto.FLOAT16),
             ("bool", TensorProto.FLOAT), ("float32", TensorProto.BOOL), ("float64", TensorProto.INT64), ("uint8", TensorProto.FLOAT),
             ("float16", TensorProto.FLOAT), ("int32", TensorProto.UINT8), ("float32", TensorProto.FLOAT16), ("float64", TensorProto.FLOAT)]
    if d.version >= 9:
        pairs += [("int64", TensorProto.STRING), ("bool", TensorProto.INT64)]
    t, to = d.pick(pairs)
    x = d.array(d.shape(), t, 0 if to == TensorProto.UINT8 else -9, 9)
    if to == TensorProto.UINT8:
        x = np.abs(x)
    return Case([x], to=to if d.version >= 6 else TensorProto.DataType.Name(to), modern=("Cast", 9, Case([x], to=to)))


@case("CastLike")
def cast_like(d):
    return Case([d.array(d.shape(), d.pick(["float32", "int32", "float64"])), d.array((1,), d.pick(["float32", "int64", "float16"]))])


@case("BitCast")
def bit_cast(d):
    return Case([d.array(d.shape(), "float32")], to=d.pick([TensorProto.INT32, TensorProto.UINT32]))


# ---- reductions ----

@case("ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
def reduce(d):
    name, t = d.schema.name, d.dtype(["float32", "float64", "int32", "int64"])
    if name in ("ReduceLogSum", "ReduceLogSumExp", "ReduceL2", "ReduceMean"):
        t = np.dtype("float32")
    x = d.array(d.shape(), t, 0.5 if name == "ReduceLogSum" else -2, 2)
    axes, keep = d.axes(x.ndim) if d.flip() else None, d.int(0, 1) if d.flip() else None
    if "axes" in d.schema.attributes:
        return Case([x], axes=axes, keepdims=keep)
    noop = 1 if axes is None and d.flip() else None
    return Case([x, ints(*axes) if axes else None], constants=[1], keepdims=keep, noop_with_empty_axes=noop)


@case("ArgMax", "ArgMin")
def arg(d):
    x = d.array(d.shape(), d.dtype(["float32", "float64", "int32"]))
    if d.flip():
        x = np.round(x).astype(x.dtype)  # ties
    return Case([x], axis=d.axis(x.ndim), keepdims=d.int(0, 1), select_last_index=d.int(0, 1) if d.version >= 12 else None)


@case("TopK")
def topk(d):
    x = np.arange(np.prod(s := d.shape(1, 3, 5)), dtype=np.float32)
    x = d.rng.permutation(x).reshape(s)
    axis = d.axis(x.ndim)
    k = d.int(1, x.shape[axis])
    if d.version < 10:
        return Case([x], 2, axis=axis, k=k)
    return Case([x, ints(k)], 2, constants=[1] if d.flip() else [], axis=axis, largest=d.int(0, 1) if d.version >= 11 else None)


@case("CumSum", "CumProd")
def cumulate(d):
    x = d.array(d.shape(), d.dtype(["float32", "float64", "int32", "int64"]))
    return Case([x, np.array(d.axis(x.ndim), np.int32)], constants=[1], exclusive=d.int(0, 1), reverse=d.int(0, 1))


@case("Softmax", "LogSoftmax", "Hardmax")
def softmax(d):
    x = d.array(d.shape(1, 4), d.dtype(["float32", "float64"]) if d.version >= 13 else "float32")
    if d.version < 13 and x.ndim < 2:
        x = x[None]
    return Case([x], axis=d.axis(x.ndim) if d.flip() else None)


# ---- shape ----

@case("Reshape")
def reshape(d):
    x = d.array((2, 3, 4), d.dtype(MOVED))
    to = d.pick([[4, 6], [-1, 4], [0, -1], [24], [0, 0, 2, 2], [2, 1, -1]])
    if d.version < 5:
        return Case([x], shape=to)
    return Case([x, ints(*to)], constants=[1] if d.flip() else [], allowzero=0 if d.version >= 14 and d.flip() else None)


@case("Flatten")
def flatten(d):
    x = d.array(d.shape(2, 4), d.dtype(MOVED))
    return Case([x], axis=d.axis(x.ndim) if d.flip() else None)


@case("Squeeze")
def squeeze(d):
    x = d.array((1, 3, 1, 2), d.dtype(MOVED))
    axes = d.pick([[0], [2], [0, 2]])
    if d.version < 13:
        return Case([x], axes=axes)
    return Case([x, ints(*axes) if d.flip() else None], constants=[1])


@case("Unsqueeze")
def unsqueeze(d):
    x = d.array(d.shape(1, 3), d.dtype(MOVED))
    axes = d.pick([[0], [1], [0, 2]])
    return Case([x], axes=axes) if d.version < 13 else Case([x, ints(*axes)], constants=[1])


@case("Transpose")
def transpose(d):
    x = d.array(d.shape(), d.dtype(MOVED))
    return Case([x], perm=[int(i) for i in d.rng.permutation(x.ndim)] if d.flip() else None)


@case("Concat")
def concat(d):
    shape, t = d.shape(2, 4), d.dtype(MOVED)
    axis = d.axis(len(shape)) if d.version >= 4 or d.flip() else None
    at = 1 if axis is None else axis % len(shape)
    part = lambda: tuple(d.int(1, 3) if i == at else n for i, n in enumerate(shape))
    return Case([d.array(part(), t) for _ in range(d.int(1, 3))], axis=axis)


@case("Split")
def split(d):
    x, axis = d.array((4, 6), d.dtype(MOVED)), d.int(0, 1)
    n = x.shape[axis]
    parts = [1, n - 3, 2] if d.flip() else None
    if d.version >= 18 and parts is None:
        return Case([x], 2, axis=axis, num_outputs=2)
    outputs = 3 if parts else 2
    if d.version >= 13:
        return Case([x, ints(*parts) if parts else None], outputs, constants=[1], axis=axis)
    return Case([x], outputs, axis=axis, split=parts, modern=("Split", 11, Case([x], outputs, axis=axis, split=parts)))


@case("Slice")
def slices(d):
    x = d.array((4, 5, 3), d.dtype(MOVED))
    n = d.int(1, 3)
    axes = [int(a) for a in sorted(d.rng.choice(3, n, replace=False))]
    starts, ends = [d.int(-5, 2) for _ in axes], [d.pick([-1, 2, 3, 1000]) for _ in axes]
    if d.version < 10:
        return Case([x], starts=starts, ends=ends, axes=axes)
    inputs = [x, ints(*starts), ints(*ends), ints(*axes), ints(*[d.pick([1, 2, -1]) for _ in axes]) if d.flip() else None]
    return Case(inputs, constants=[1, 2, 3, 4] if d.flip() else [])


@case("Gather", "GatherElements")
def gather(d):
    x = d.array(d.shape(1, 3), d.dtype(MOVED))
    axis = d.axis(x.ndim)
    low = -x.shape[axis] if d.version >= 11 else 0
    shape = d.shape(1, 2) if d.schema.name == "Gather" else tuple(d.int(1, 3) if i == axis % x.ndim else n for i, n in enumerate(x.shape))
    index = d.rng.integers(low, x.shape[axis], shape).astype(d.pick(["int64", "int32"]))
    return Case([x, index], axis=axis)


@case("GatherND")
def gather_nd(d):
    x = d.array((2, 3, 4), d.dtype(MOVED))
    b = d.int(0, 1) if d.version >= 12 else 0
    k = d.int(1, 3 - b)
    index = np.stack([d.rng.integers(0, x.shape[b + i], (2, 2)) for i in range(k)], -1).astype(np.int64)
    return Case([x, index], batch_dims=b or None)


@case("Scatter", "ScatterElements")
def scatter(d):
    x = d.array((3, 4), d.dtype(["float32", "float64", "int32", "int64"]))
    axis, rows = d.axis(2), 2
    shape = (rows, 4) if axis % 2 == 0 else (3, rows)
    index = np.stack([d.rng.permutation(x.shape[axis])[:rows] for _ in range(shape[1 - axis % 2])], 1 if axis % 2 == 0 else 0).astype(np.int64)
    how = d.pick(["none", "add", "mul"] + (["max", "min"] if d.version >= 18 else [])) if d.version >= 16 else None
    inputs = [x, index, d.array(shape, x.dtype)]
    return Case(inputs, axis=axis, reduction=how, modern=("ScatterElements", 11, Case(inputs, axis=axis)) if not how else None)


@case("ScatterND")
def scatter_nd(d):
    x = d.array((4, 3), d.dtype(["float32", "float64", "int32", "int64"]))
    index = d.rng.permutation(4)[:2].reshape(2, 1).astype(np.int64)
    how = d.pick(["none", "add", "mul"] + (["max", "min"] if d.version >= 18 else [])) if d.version >= 16 else None
    return Case([x, index, d.array((2, 3), x.dtype)], reduction=how)


@case("Shape")
def shape(d):
    start, end = (d.int(-2, 1) if d.flip() else None, d.int(0, 3) if d.flip() else None) if d.version >= 15 else (None, None)
    return Case([d.array(d.shape(), d.dtype(MOVED))], start=start, end=end)


@case("Expand")
def expand(d):
    shape = d.shape()
    return Case([d.array(tuple(n if d.flip() else 1 for n in shape), d.dtype(MOVED)), ints(*shape)], constants=[1] if d.flip() else [])


@case("Tile")
def tile(d):
    x = d.array(d.shape(1, 3), d.dtype())
    if d.version < 6:
        n, axis = d.int(1, 3), d.int(0, x.ndim - 1)
        modern = "Tile", 13, Case([x, ints(*[n if i == axis else 1 for i in range(x.ndim)])])
        return Case([x, np.array(n, x.dtype), np.array(axis, x.dtype)], constants=[1, 2] if d.flip() else [], modern=modern)
    return Case([x, ints(*[d.int(1, 3) for _ in x.shape])], constants=[1] if d.flip() else [])


@case("Pad")
def pad(d):
    x = d.array((2, 3, 4), d.dtype(["float32", "float64"]))
    mode = d.pick(["constant", "reflect", "edge"] + (["wrap"] if d.version >= 19 else []))
    pads = [d.int(0, 1) for _ in range(6)]
    if d.version < 11:
        return Case([x], mode=mode, value=1.5 if d.flip() else None, **{"paddings" if d.version < 2 else "pads": pads})
    axes = None
    if mode == "constant" and d.flip():
        pads[2], pads[5] = -1, d.int(-2, 2)  # negative pads cut
    if d.version >= 18 and d.flip():
        axes, pads = [0, -1], [1, 1, 0, 1]
    return Case([x, ints(*pads), np.array(1.5, x.dtype) if d.flip() and mode == "constant" else None, ints(*axes) if axes else None],
                constants=[1, 3] if d.flip() else [], mode=mode)


@case("DepthToSpace", "SpaceToDepth")
def space(d):
    x = d.array((1, 8, 2, 4), d.dtype(["float32", "float64"]))
    mode = d.pick(["DCR", "CRD"]) if d.schema.name == "DepthToSpace" and d.version >= 11 else None
    return Case([x], blocksize=2, mode=mode)


@case("Compress")
def compress(d):
    x = d.array((3, 4), d.dtype(MOVED))
    axis = d.pick([0, 1, None])
    return Case([x, d.array((d.int(2, 12 if axis is None else x.shape[axis]),), bool)], axis=axis)


@case("NonZero")
def non_zero(d):
    return Case([d.array(d.shape(), d.pick(["float32", "int32", "bool"]))])


@case("Trilu")
def trilu(d):
    return Case([d.array(d.shape(2, 3), d.dtype(["float32", "float64", "int64"])), np.array(d.int(-2, 2), np.int64) if d.flip() else None], upper=d.int(0, 1))


@case("EyeLike")
def eye(d):
    return Case([d.array((3, 4), d.dtype(of="T1"))], k=d.int(-2, 2), dtype=TensorProto.FLOAT if d.flip() else None)


@case("OneHot")
def one_hot(d):
    index = d.rng.integers(-3 if d.version >= 11 else 0, 4, d.shape(1, 2)).astype(d.pick(["int64", "float32", "int32"]))
    return Case([index, np.array(4, np.int64), np.array([1, 5], d.pick(["float32", "int64"]))], constants=[1] if d.flip() else [], axis=d.pick([-1, 0, 1]))


@case("ConstantOfShape")
def constant_of_shape(d):
    t = d.pick([TensorProto.FLOAT, TensorProto.INT64])
    return Case([ints(*d.shape())], constants=[0] if d.flip() else [], value=helper.make_tensor("v", t, [1], [3]) if d.flip() else None)


@case("Constant")
def constant(d):
    if d.version >= 12:
        return Case([], **d.pick([{"value_float": 1.5}, {"value_ints": [1, 2]}, {"value_int": 7}, {"value_floats": [1.5, 2.5]}]))
    return Case([], value=helper.make_tensor("v", TensorProto.FLOAT, [2], [1.0, 2.0]))


@case("Range")
def span(d):
    t = np.dtype(d.pick(["float32", "int64", "int32", "float64"]))
    return Case([np.array(1, t), np.array(d.int(3, 9), t), np.array(d.int(1, 3), t)], constants=[0, 1, 2] if d.flip() else [])


@case("ReverseSequence")
def reverse_sequence(d):
    return Case([d.array((4, 3, 2), "float32"), d.rng.integers(1, 5, (3,)).astype(np.int64)], time_axis=0, batch_axis=1)


@case("Unique")
def unique(d):
    axis = d.pick([None, 0, 1])
    x = d.array((4, 3), d.pick(["float32", "int64", "float64"]))
    x = np.round(x)
    if axis == 0:
        x[2] = x[0]
    return Case([x], 4, axis=axis, sorted=1 if axis is not None else d.int(0, 1))


@case("CenterCropPad")
def center_crop_pad(d):
    x = d.array((4, 5, 3))
    return Case([x, ints(d.int(2, 7), d.int(2, 7))], axes=d.pick([[0, 1], [1, 2], [-1, 0]])) if d.flip() else Case([x, ints(*[d.int(2, 6) for _ in range(3)])])


@case("Col2Im")
def col2im(d):
    return Case([d.array((2, 3 * 4, 9)), ints(4, 4), ints(2, 2)], constants=[1, 2] if d.flip() else [])


@case("TensorScatter")
def tensor_scatter(d):
    return Case([d.array((2, 3, 5, 2)), d.array((2, 3, 2, 2)), ints(1, 3)], mode=d.pick(["linear", "circular"]))


# ---- products, windows, norms ----

@case("MatMul")
def matmul(d):
    t = d.dtype(["float32", "float64", "int32"])
    a, b = d.pick([((2, 3), (3, 4)), ((2, 2, 3), (3, 4)), ((3,), (3, 2)), ((2, 1, 2, 3), (4, 3, 2)), ((2, 3), (3,)), ((3,), (3,))])
    return Case([d.array(a, t), d.array(b, t)])


@case("MatMulInteger")
def matmul_integer(d):
    zero = lambda: np.array(d.int(0, 9), np.uint8) if d.flip() else None
    return Case([d.array((2, 3), "uint8", 0, 99), d.array((3, 4), "uint8", 0, 99), zero(), zero()])


@case("QLinearMatMul")
def qlinear_matmul(d):
    one = lambda v: np.array(v, np.float32)
    z = lambda: np.array(d.int(90, 140), np.uint8)
    return Case([d.array((2, 3), "uint8", 0, 240), one(0.05), z(), d.array((3, 4), "uint8", 0, 240), one(0.03), z(), one(0.2), z()])


@case("Gemm")
def gemm(d):
    ta, tb = d.int(0, 1), d.int(0, 1)
    c = d.pick([(2, 4), (1, 4), (4,), (2, 1), None]) if d.version >= 7 else d.pick([(2, 4), (4,)])
    if c is None and d.version < 11:
        c = (4,)
    t = d.dtype(["float32", "float64"])
    inputs = [d.array((3, 2) if ta else (2, 3), t), d.array((4, 3) if tb else (3, 4), t), d.array(c, t) if c else None]
    a = {"transA": ta, "transB": tb, "alpha": 0.5 if d.flip() else None, "beta": 2.0 if d.flip() else None}
    return Case(inputs, broadcast=1 if d.version < 7 and c != (2, 4) else None, modern=("Gemm", 11, Case(inputs, **a)), **a)


@case("Einsum")
def einsum(d):
    eq, shapes = d.pick([("ij,jk->ik", [(2, 3), (3, 4)]), ("bij,bjk", [(2, 2, 3), (2, 3, 2)]), ("ii->i", [(3, 3)]), ("...ij->...ji", [(2, 3, 4)]), ("i,j->ij", [(2,), (3,)]), ("ij->", [(2, 3)]), ("bhsd,bhtd->bhst", [(1, 2, 3, 4), (1, 2, 2, 4)]),
                         ("i,ij,j->", [(2,), (2, 3), (3,)]), ("...i,...i->...", [(2, 3), (2, 3)]), ("ij,kj", [(2, 3), (4, 3)])])
    return Case([d.array(s) for s in shapes], equation=eq)


@case("Det")
def det(d):
    return Case([d.array(d.pick([(3, 3), (2, 2, 2), (1, 1)]))])


def window_attrs(d, spatial, kernel, dilations=True, ceil=False):
    a = {"kernel_shape": kernel}
    if d.flip():
        a["strides"] = [d.int(1, 2) for _ in range(spatial)]
    if dilations and d.flip():
        a["dilations"] = [d.int(1, 2) for _ in range(spatial)]
    if d.flip():
        a["pads"] = [d.int(0, 1) for _ in range(2 * spatial)]
    elif d.flip() and not a.get("dilations"):
        a["auto_pad"] = d.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
    if ceil and d.flip():
        a["ceil_mode"] = 1
    return a


@case("Conv")
def conv(d):
    n, group = d.int(1, 2), d.pick([1, 2])
    kernel = [d.int(1, 3) for _ in range(n)]
    t = d.dtype(["float32", "float64"])
    x, w = d.array((2, 4) + (6,) * n, t), d.array((4, 4 // group, *kernel), t)
    return Case([x, w, d.array((4,), t) if d.flip() else None], group=group, **window_attrs(d, n, kernel))


@case("ConvTranspose")
def conv_transpose(d):
    n, group = d.int(1, 2), d.pick([1, 2])
    kernel = [d.int(1, 3) for _ in range(n)]
    a = window_attrs(d, n, kernel)
    a.pop("auto_pad", None)
    if all(k == 1 for k in kernel):
        a.pop("pads", None)
    if d.flip() and "strides" in a:
        a["output_padding"] = [s - 1 for s in a["strides"]]
    elif d.flip() and "dilations" not in a:
        a.pop("pads", None)
        if d.flip():
            a["auto_pad"] = d.pick(["SAME_UPPER", "SAME_LOWER"]) if d.version >= 11 else "VALID"
        else:
            a["output_shape"] = [3 * s + k for s, k in zip(a.get("strides", [1] * n), kernel)]
    return Case([d.array((1, 4) + (4,) * n), d.array((4, 3, *kernel)), d.array((3 * group,)) if d.flip() else None], group=group, **a)


@case("ConvInteger")
def conv_integer(d):
    return Case([d.array((1, 2, 5, 5), "uint8", 0, 99), d.array((3, 2, 2, 2), "uint8", 0, 99), np.array(7, np.uint8) if d.flip() else None], **window_attrs(d, 2, [2, 2]))


@case("QLinearConv")
def qlinear_conv(d):
    one = lambda v: np.array(v, np.float32)
    return Case([d.array((1, 2, 5, 5), "uint8", 0, 240), one(0.05), np.array(120, np.uint8), d.array((3, 2, 2, 2), "uint8", 0, 240), one(0.03), np.array(110, np.uint8),
                 one(0.3), np.array(128, np.uint8)], **window_attrs(d, 2, [2, 2]))


@case("DeformConv")
def deform_conv(d):
    return Case([d.array((1, 2, 4, 4)), d.array((3, 2, 2, 2)), d.array((1, 8, 3, 3), low=-1, high=1), d.array((3,)) if d.flip() else None,
                 d.array((1, 4, 3, 3)) if d.flip() else None], kernel_shape=[2, 2], pads=[0, 0, 0, 0])


@case("AveragePool", "MaxPool", "LpPool")
def pool(d):
    name, n = d.schema.name, d.int(1, 2)
    if name == "LpPool" and d.version < 2:
        n = 2
    kernel = [d.int(1, 3) for _ in range(n)]
    known = d.schema.attributes
    a = window_attrs(d, n, kernel, "dilations" in known, "ceil_mode" in known)
    a["pads"] = [min(p, k - 1) for p, k in zip(a["pads"], kernel * 2)] if "pads" in a else None
    if name == "AveragePool" and d.version < 7:
        a["pads"] = None  # whether padding counts was not said
        a.pop("auto_pad", None)
    if "count_include_pad" in known and d.flip():
        a["count_include_pad"] = 1
    if name == "LpPool":
        a["p"] = d.int(1, 3) if d.version >= 2 else 2.0
    if name == "LpPool" and a.get("ceil_mode"):
        a.pop("ceil_mode")
    if name == "AveragePool" and a.get("ceil_mode") and a.get("count_include_pad"):
        a.pop("count_include_pad")
    outputs = 2 if name == "MaxPool" and d.version >= 8 and d.flip() else 1
    x = d.array((1, 3) + (7,) * n, d.dtype(["float32", "float64"]))
    modern = None
    if name == "LpPool" and d.version < 2:
        modern = name, 11, Case([x], **{**a, "p": 2})
    return Case([x], outputs, modern=modern, **a)


@case("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(d):
    p = None
    if d.schema.name == "GlobalLpPool":
        p = d.int(1, 3) if d.version >= 2 else 2.0
    x = d.array((2, 3, 4, 2))
    return Case([x], p=p, modern=("GlobalLpPool", 2, Case([x], p=int(p))) if p else None)


@case("MaxUnpool")
def max_unpool(d):
    index = np.array([[[[0, 3], [9, 14]]]], np.int64)
    return Case([d.array((1, 1, 2, 2)), index], kernel_shape=[2, 2], strides=[2, 2])


@case("MaxRoiPool")
def max_roi_pool(d):
    rois = np.array([[0, 0, 0, 5, 5], [0, 1, 2, 4, 3]], np.float32)
    inputs, a = [d.array((1, 2, 6, 6)), rois], {"pooled_shape": [2, 2], "spatial_scale": d.pick([1.0, 0.5])}
    return Case(inputs, modern=("MaxRoiPool", 7, Case(inputs, **a)), **a)


@case("RoiAlign")
def roi_align(d):
    rois = np.array([[0, 0, 5, 5], [1, 2, 4, 3]], np.float32)
    a = {"coordinate_transformation_mode": d.pick(["half_pixel", "output_half_pixel"])} if d.version >= 16 else {}
    return Case([d.array((1, 2, 6, 6)), rois, ints(0, 0)], output_height=2, output_width=3, sampling_ratio=d.int(0, 2), spatial_scale=0.75, **a)


@case("BatchNormalization")
def batch_norm(d):
    x = d.array((2, 3, 4, 2))
    c = [d.array((3,)) for _ in range(3)] + [d.array((3,), low=0.5, high=2)]
    a = {"epsilon": 1e-3} if d.flip() else {}
    if d.version < 7:
        a["is_test"] = 1
    if d.version < 6:
        a["consumed_inputs"] = [0, 0, 0, 1, 1]
    training = d.version >= 14 and d.flip()
    if training:
        a["training_mode"] = 1
    modern = "BatchNormalization", 9, Case([x, *c], **({"epsilon": 1e-3} if "epsilon" in a else {}))
    return Case([x, *c], 3 if training else 1, modern=None if training else modern, **a)


@case("InstanceNormalization")
def instance_norm(d):
    return Case([d.array((2, 3, 4, 2)), d.array((3,)), d.array((3,))], epsilon=1e-3)


@case("GroupNormalization")
def group_norm(d):
    n = 2 if d.version < 21 else 4
    return Case([d.array((2, 4, 3, 2)), d.array((n,)), d.array((n,))], num_groups=2)


@case("LayerNormalization", "RMSNormalization")
def layer_norm(d):
    x, axis = d.array((2, 3, 4)), d.pick([-1, 1, 2])
    scale = d.array(x.shape[axis % 3:])
    inputs = [x, scale] + ([d.array(scale.shape)] if d.schema.name == "LayerNormalization" and d.flip() else [])
    return Case(inputs, axis=axis, epsilon=1e-3)


@case("LRN")
def lrn(d):
    return Case([d.array((1, 5, 2, 2))], size=d.pick([3, 5]), alpha=0.3, beta=0.75, bias=1.5)


@case("LpNormalization")
def lp_norm(d):
    return Case([d.array((3, 4))], axis=d.pick([0, 1, -1]), p=d.int(1, 2))


@case("MeanVarianceNormalization")
def mvn(d):
    return Case([d.array((2, 3, 4, 2))], axes=[0, 2, 3] if d.flip() else None)


@case("Dropout")
def dropout(d):
    x, two = d.array(d.shape()), 2 if d.flip() and d.version >= 10 else 1
    if d.version < 12:
        return Case([x], two, ratio=0.3, is_test=1 if d.version < 7 else None, modern=("Dropout", 10, Case([x], ratio=0.3)) if two == 1 else None)
    return Case([x, np.array(0.3, np.float32) if d.flip() else None], two)


@case("Upsample", "Resize")
def resize(d):
    x, mode = d.array((1, 2, 3, 4)), d.pick(["nearest", "linear"])
    if d.schema.name == "Upsample" and d.version == 1:
        modern = "Upsample", 9, Case([x, np.array([1, 1, 3, 2], np.float32)], constants=[1], mode=mode)
        return Case([x], mode="bilinear" if mode == "linear" else mode, width_scale=2.0, height_scale=3.0, modern=modern)
    scales = [1.0, 1.0, d.pick([2.0, 1.5, 3.0]), 2.0]
    if d.version == 7 and d.schema.name == "Upsample":
        return Case([x], mode=mode, scales=scales)
    scales = np.array(scales, np.float32)
    if d.version <= 10:
        return Case([x, scales], constants=[1], mode=mode)
    a = {"mode": d.pick([mode, "cubic"]), "coordinate_transformation_mode": d.pick(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"])}
    if a["mode"] == "nearest":
        a["nearest_mode"] = d.pick(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
    if a["mode"] == "cubic" and d.flip():
        a["cubic_coeff_a"] = -0.5
        a["exclude_outside"] = d.int(0, 1)
    if d.version >= 18 and a["mode"] != "nearest" and d.flip():
        a["antialias"] = 1
    if d.version >= 18 and d.flip():
        a["keep_aspect_ratio_policy"] = d.pick(["not_larger", "not_smaller"])
        return Case([x, None, None, ints(d.int(2, 7), d.int(2, 7))], constants=[3], axes=[2, 3], **a)
    if d.version >= 18 and d.flip():
        a["axes"] = [2, 3]
        return Case([x, None, None, ints(d.int(2, 7), d.int(2, 7))], constants=[3], **a)
    if d.flip():
        return Case([x, np.zeros(0, np.float32) if d.version < 13 else None, np.zeros(0, np.float32) if d.version < 13 else None, ints(1, 2, d.int(2, 7), d.int(2, 7))], constants=[1, 2, 3], **a)
    return Case([x, np.zeros(0, np.float32) if d.version < 13 else None, scales], constants=[1, 2], **a)


@case("GridSample")
def grid_sample(d):
    new = d.version >= 20
    return Case([d.array((1, 2, 4, 5)), d.array((1, 3, 2, 2), low=-1.2, high=1.2)], align_corners=d.int(0, 1),
                mode=d.pick(["nearest", "linear" if new else "bilinear"]), padding_mode=d.pick(["zeros", "border", "reflection"]))


@case("AffineGrid")
def affine_grid(d):
    n = d.int(2, 3)
    return Case([d.array((2, n, n + 1)), ints(2, 1, *[d.int(2, 4) for _ in range(n)])], align_corners=d.int(0, 1))


@case("NonMaxSuppression")
def nms(d):
    at = d.rng.random((1, 6, 2)).astype(np.float32)
    boxes = np.concatenate([at, at + 0.3], -1)
    return Case([boxes, d.rng.random((1, 2, 6)).astype(np.float32), ints(3), np.array([0.4], np.float32), np.array([0.1], np.float32)])


# ---- sequences of steps ----

@case("RNN", "GRU", "LSTM")
def recurrent(d):
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[d.schema.name]
    way = d.pick(["forward", "reverse", "bidirectional"])
    n, hidden, size, t, b = 2 if way == "bidirectional" else 1, 3, 2, 4, 2
    inputs = [d.array((t, b, size)), d.array((n, gates * hidden, size)), d.array((n, gates * hidden, hidden)), d.array((n, 2 * gates * hidden)) if d.flip() else None,
              d.rng.integers(1, t + 1, (b,)).astype(np.int32) if d.flip() else None, d.array((n, b, hidden)) if d.flip() else None]
    a = {"hidden_size": hidden, "direction": way}
    if d.schema.name == "LSTM":
        inputs += [d.array((n, b, hidden)) if inputs[-1] is not None else None]
    if d.schema.name == "GRU" and d.version >= 3 and d.flip():
        a["linear_before_reset"] = 1
    if d.schema.name == "LSTM" and inputs[-1] is not None and d.flip():
        inputs += [d.array((n, 3 * hidden))]  # peepholes
    if d.flip():
        a["clip"] = 0.5
    if d.flip():
        others = {"RNN": [["Relu"], ["Sigmoid"], ["Softsign"]], "GRU": [["Sigmoid", "Relu"], ["HardSigmoid", "Tanh"]],
                  "LSTM": [["Sigmoid", "Relu", "Tanh"], ["HardSigmoid", "Tanh", "Softsign"]]}
        a["activations"] = d.pick(others[d.schema.name]) * n
    outputs = 3 if d.schema.name == "LSTM" else 2
    modern = d.schema.name, 7, Case(inputs, outputs, **a)
    return Case(inputs, outputs, modern=modern, output_sequence=1 if d.version < 7 else None, **a)


# ---- quantization ----

@case("QuantizeLinear", "DequantizeLinear")
def quantize(d):
    if d.version >= 21 and d.flip():
        return blocked(d)
    per_axis = d.version >= 13 and d.flip()
    n = 3 if per_axis else None
    scale = d.array((3,), low=0.02, high=0.2) if per_axis else np.array(0.05, np.float32)
    t = d.pick(["uint8", "int8"])
    zero = None if d.flip() else d.array((3,) if n else (), t, 0, 5)
    axis = 1 if per_axis else None
    if d.schema.name == "QuantizeLinear":
        return Case([d.array((2, 3, 4), low=-6, high=6), scale.reshape(scale.shape), zero], axis=axis)
    return Case([d.array((2, 3, 4), t, 0, 99), scale, zero if zero is not None or not n else zero], axis=axis)


def blocked(d):
    """Scales and zero points for blocks of two along an axis, and 16-bit integers."""
    axis, t = d.int(0, 1), d.pick(["int8", "uint8", "int16", "uint16"])
    shape = (4, 6)
    scale = d.array(tuple(n // 2 if i == axis else n for i, n in enumerate(shape)), low=0.02, high=0.2)
    zero = d.array(scale.shape, t, 0, 5) if d.flip() else None
    if d.schema.name == "DequantizeLinear":
        return Case([d.array(shape, t, 0, 99), scale, zero], axis=axis, block_size=2)
    code = helper.np_dtype_to_tensor_dtype(np.dtype(t)) if zero is None else None
    return Case([d.array(shape, low=-6, high=6), scale, zero], axis=axis, block_size=2, output_dtype=code)


@case("DynamicQuantizeLinear")
def dynamic_quantize(d):
    return Case([d.array(d.shape(), low=-3, high=5)], 3)


# ---- losses, signals, text ----

@case("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(d):
    x, target = d.array((3, 4, 2)), d.rng.integers(0, 4, (3, 2)).astype(np.int64)
    if d.flip():
        target[0, 0] = -1
    outputs = 2 if d.schema.name[0] == "S" and d.flip() else 1
    return Case([x, target, d.array((4,), low=0.5, high=1.5) if d.flip() else None], outputs, reduction=d.pick(["none", "sum", "mean"]), ignore_index=-1)


@case("DFT")
def dft(d):
    x = d.array((1, d.pick([4, 6, 5]), d.pick([3, 8]), d.pick([1, 2])))
    axis = d.int(1, 2)
    one = d.int(0, 1) if x.shape[-1] == 1 else 0
    a = {"inverse": d.int(0, 1) if not one else 0, "onesided": one}
    length = np.array(d.int(3, 8), np.int64) if d.flip() else None
    return Case([x, length], axis=axis, **a) if d.version < 20 else Case([x, length, np.array(axis, np.int64)], constants=[2], **a)


@case("STFT")
def stft(d):
    return Case([d.array((1, 20, 1)), np.array(4, np.int64), d.array((8,), low=0, high=1), np.array(8, np.int64)], constants=[1, 3], onesided=d.int(0, 1))


@case("MelWeightMatrix")
def mel(d):
    return Case([np.array(v, np.int64) for v in (d.int(4, 8), 64, 8192)] + [np.array(v, np.float32) for v in (100.0, 4000.0)], constants=range(5) if d.flip() else [])


@case("HannWindow", "HammingWindow", "BlackmanWindow")
def windows(d):
    return Case([np.array(d.int(4, 10), np.int64)], constants=[0] if d.flip() else [], periodic=d.int(0, 1))


@case("StringConcat")
def string_concat(d):
    s = d.shape()
    return Case([d.words(s), d.words(s[1:] or (1,))])


@case("StringNormalizer")
def string_normalizer(d):
    return Case([d.words((4,), ("monday", "tuesday", "Wednesday"))], case_change_action=d.pick(["LOWER", "UPPER", "NONE"]), is_case_sensitive=d.int(0, 1), stopwords=["monday"])


@case("StringSplit")
def string_split(d):
    return Case([d.words((3,), ("a,b", "a", "x,,y", "p q"))], 2, delimiter=d.pick([",", None]), maxsplit=d.pick([1, None]))


@case("RegexFullMatch")
def regex_full_match(d):
    return Case([d.words((4,), ("abc", "ab1", "", "aac"))], pattern=d.pick(["a.*", "[a-c]+", r"ab\d"]))


@case("TfIdfVectorizer")
def tfidf(d):
    return Case([d.rng.integers(0, 8, (2, 6)).astype(np.int64)], mode=d.pick(["TF", "IDF", "TFIDF"]), min_gram_length=d.int(1, 2), max_gram_length=2, max_skip_count=d.int(0, 3),
                ngram_counts=[0, 4], ngram_indexes=[0, 1, 2, 3, 4, 5, 6], pool_int64s=[2, 3, 5, 4, 5, 6, 7, 2, 6, 7], weights=[0.5, 1.0, 2.0, 1.5, 1.0, 3.0, 2.5])


# ---- attention ----

@case("Attention")
def attention(d):
    heads, kv, s, n, size = 4, d.pick([4, 2]), d.int(1, 3), d.int(2, 4), 3
    flat = d.flip()
    q, k, v = ((2, s, heads * size), (2, n, kv * size), (2, n, kv * size)) if flat else ((2, heads, s, size), (2, kv, n, size), (2, kv, n, size))
    past = d.int(1, 3) if d.flip() else 0
    mask = d.pick([None, "bool", "float32"])
    inputs = [d.array(q), d.array(k), d.array(v), None]
    if mask:
        inputs[3] = d.array(d.pick([(), (heads,), (2, heads), (1, 1), (2, 1)]) + (s, n + past), mask)
        if mask == "bool":
            inputs[3][..., 0] = True
    if past:
        inputs += [d.array((2, kv, past, size)), d.array((2, kv, past, size))]
    a = {"q_num_heads": heads, "kv_num_heads": kv} if flat else {}
    if d.flip():
        a["scale"] = 0.4
    if d.flip():
        a["softcap"] = 2.0
    if d.flip() and not mask:
        a["is_causal"] = 1
    if d.version >= 24 and not past and d.flip():
        inputs += [None] * (6 - len(inputs)) + [ints(d.int(s, n) if s <= n else n, n)]
        a.pop("is_causal", None)
    outputs = 3 if past else 1
    if d.flip():
        outputs, a["qk_matmul_output_mode"] = 4, d.int(0, 3)
        if not past:
            return Case(inputs, outputs, skip=[1, 2], **a)
    return Case(inputs, outputs, **a)


@case("RotaryEmbedding")
def rotary(d):
    x = d.array((2, 3, 4, 6))
    return Case([x, d.array((8, 3), low=-1, high=1), d.array((8, 3), low=-1, high=1), d.rng.integers(0, 8, (2, 4)).astype(np.int64)], interleaved=d.int(0, 1))


@case("LinearAttention")
def linear_attention(d):
    rule = d.pick(["linear", "gated", "delta", "gated_delta"])
    return Case([d.array((1, 3, 4 * 2)), d.array((1, 3, 2 * 2), low=-0.7, high=0.7), d.array((1, 3, 2 * 3)), d.array((1, 2, 2, 3)) if d.flip() else None,
                 d.array((1, 3, 2), low=-1, high=0) if rule[0] == "g" else None, d.array((1, 3, 2), low=0, high=1) if "delta" in rule else None], 2,
                q_num_heads=4, kv_num_heads=2, update_rule=rule)


@case("CausalConvWithState")
def causal_conv(d):
    return Case([d.array((2, 3, 4)), d.array((3, 1, 3)), d.array((3,)) if d.flip() else None, d.array((2, 3, 2)) if d.flip() else None], 2, activation=d.pick(["none", "silu"]))


# ---- sequences ----

@case("SequenceConstruct")
def sequence_construct(d):
    return Case([d.array(d.shape()) for _ in range(d.int(1, 3))])


@case("SequenceLength")
def sequence_length(d):
    return Case([[d.array((2,)) for _ in range(d.int(1, 3))]])


@case("SequenceAt")
def sequence_at(d):
    return Case([[d.array((2, 3)) for _ in range(3)], np.array(d.int(-3, 2), np.int64)])


@case("SequenceInsert", "SequenceErase")
def sequence_change(d):
    place = np.array(d.int(-3, 2), np.int64) if d.flip() else None
    items = [d.array((2,)) for _ in range(3)]
    return Case([items, d.array((2,)), place] if d.schema.name == "SequenceInsert" else [items, place])


@case("ConcatFromSequence")
def concat_from_sequence(d):
    return Case([[d.array((2, 3)) for _ in range(3)]], axis=d.pick([0, 1, -1]), new_axis=d.int(0, 1))


@case("SplitToSequence")
def split_to_sequence(d):
    return Case([d.array((4, 6)), d.pick([None, np.array(2, np.int64), ints(1, 3)])], axis=0, keepdims=d.int(0, 1))
