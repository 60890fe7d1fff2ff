#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the small files of fuzz/corpus that are made by hand: for each fuzz target good ones, from which mutations
start, and bad ones, each broken in one way that its name tells. tests/unit/formats/test_corpus.c reads them all: good-*
must be read, bad-* refused with a message. Needs nothing but Python; the files are always the same."""
import json
import os
import struct

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def put(target, name, data):
    os.makedirs(os.path.join(root, target), exist_ok=True)
    with open(os.path.join(root, target, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


# ---- pickles, by opcode

def text(s):
    b = s.encode()
    return b"X" + struct.pack("<I", len(b)) + b


def number(i):
    return b"J" + struct.pack("<i", i) if -2**31 <= i < 2**31 else b"\x8a\x08" + struct.pack("<q", i)


def named(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def storage(key="0", kind="Float", count=4, old=False):
    return tuple_of(text("storage"), named("torch", kind + "Storage"), text(key), text("cpu"), number(count), *([b"N"] if old else [])) + b"Q"


def tensor(store=None, offset=0, size=(2, 2), stride=(2, 1), f="_rebuild_tensor_v2"):
    return named("torch._utils", f) + tuple_of(store or storage(), number(offset), tuple_of(*map(number, size)),
                                               tuple_of(*map(number, stride)), b"\x89", named("collections", "OrderedDict") + b")R") + b"R"


def dict_of(**items):
    return b"}(" + b"".join(text(k) + v for k, v in items.items()) + b"u"


def pickle(body):
    return b"\x80\x02" + body + b"."


DATA = struct.pack("<4f", 1, 2, 3, 4)


# ---- zip archives, field by field

def archive(entries, zip64=None, directory=None, order=None):
    """entries: (name, data, changes), changes of local or central fields: method, flags, size, central_size, offset."""
    out, central = b"", b""
    for name, data, c in entries:
        n = name.encode()
        offset = c.get("offset", len(out))
        size = c.get("size", len(data))
        if "offset" not in c:
            out += struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, c.get("flags", 0), c.get("method", 0), 0, 0, 0, size, size, len(n), 0) + n + data
        s = c.get("central_size", size)
        extra = c.get("extra", b"")
        central += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 20, 20, c.get("flags", 0), c.get("method", 0), 0, 0, 0, s, s, len(n),
                               len(extra), 0, 0, 0, 0, offset) + n + extra
    at = len(out)
    out += central
    if zip64:
        end64 = len(out)
        out += struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, zip64.get("n", len(entries)), zip64.get("n", len(entries)),
                           zip64.get("bytes", len(central)), zip64.get("offset", at))
        out += struct.pack("<IIQI", 0x07064b50, 0, zip64.get("where", end64), 1)
        return out + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 0xffff, 0xffff, 0xffffffff, 0xffffffff, 0)
    d = directory or {}
    n = d.get("n", len(entries))
    return out + struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, n, n, d.get("bytes", len(central)), d.get("offset", at), 0)


def saved(body, data=DATA, more=(), **k):
    return archive([("m/data.pkl", pickle(body), {}), ("m/byteorder", b"little", {}), ("m/data/0", data, {}), *more], **k)


def saved_old(body, keys=("0",), little=b"\x88", data=None, count=4):
    magic = b"\x80\x02\x8a\x0a" + bytes([0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]) + b"."
    system = pickle(dict_of(protocol_version=number(1001), little_endian=little))
    names = pickle(b"](" + b"".join(text(k) for k in keys) + b"e")
    return magic + pickle(b"M\xe9\x03") + system + pickle(body) + names + (data if data is not None else struct.pack("<q", count) + DATA)


def pytorch():
    t = "pytorch"
    ok = dict_of(w=tensor())
    put(t, "good-zip", saved(ok))
    put(t, "good-zip64", saved(ok, zip64={}))
    put(t, "good-old", saved_old(dict_of(w=tensor(storage(old=True)))))
    put(t, "good-shared", saved(dict_of(a=tensor(), b=tensor(size=(2, 2), stride=(1, 2)), c=tensor(offset=1, size=(3,), stride=(1,)))))
    put(t, "good-strided", saved(dict_of(a=tensor(size=(2, 1), stride=(2, 9)))))
    put(t, "good-parameter", saved(dict_of(w=named("torch._utils", "_rebuild_parameter") + tuple_of(tensor(), b"\x88", named("collections", "OrderedDict") + b")R") + b"R")))
    put(t, "good-nested", saved(dict_of(epoch=number(3), state_dict=ok)))
    put(t, "good-ordered-pairs", saved(named("collections", "OrderedDict") + tuple_of(b"](" + tuple_of(text("w"), tensor()) + b"e") + b"R"))
    put(t, "good-scalar", saved(dict_of(w=tensor(size=(), stride=()))))
    put(t, "good-empty-tensor", saved(dict_of(w=tensor(size=(0, 5), stride=(5, 1)))))
    put(t, "good-pickle-alone", b"PKL" + pickle(ok))
    evil = lambda g, *a: g + tuple_of(*a) + b"R"
    put(t, "bad-posix-system", saved(evil(named("posix", "system"), text("echo"))))
    put(t, "bad-old-posix-system", saved_old(evil(named("posix", "system"), text("echo"))))
    put(t, "bad-nt-system", saved(evil(named("nt", "system"), text("echo"))))
    put(t, "bad-stack-global-eval", saved(text("builtins") + text("eval") + b"\x93" + tuple_of(text("1")) + b"R"))
    put(t, "bad-hooks", saved(dict_of(w=named("torch._utils", "_rebuild_tensor_v2") + tuple_of(evil(named("os", "system"), text("echo"))) + b"R")))
    put(t, "bad-inst", saved(b"(ios\nsystem\n"))
    put(t, "bad-obj", saved(b"(" + named("collections", "OrderedDict") + b"o"))
    put(t, "bad-extension", saved(b"\x82\x01"))
    put(t, "bad-newobj-of-storage", saved(named("torch", "FloatStorage") + b")\x81"))
    put(t, "bad-call-of-text", saved(text("system") + tuple_of(text("echo")) + b"R"))
    put(t, "bad-opcode-bomb", saved(b"]" * 60000))
    put(t, "bad-mark-bomb", saved(b"(" * 60000))
    put(t, "bad-memo-far", saved(b"]r\xf0\xff\xff\xff"))
    put(t, "bad-memo-missing", saved(b"h\x07"))
    laughs = b"]q\x00"
    for i in range(1, 100):
        laughs += b"](" + b"h" + bytes([i - 1]) + (b"h" + bytes([i - 1])) * 9 + b"eq" + bytes([i])
    put(t, "bad-laughs", saved(laughs + b"(" + b"t" + b"\x86"))
    put(t, "bad-self-list", saved(b"]q\x00h\x00a"))
    put(t, "bad-deep-tuples", saved(b")" + b"\x85" * 60000))
    put(t, "bad-dict-bomb", saved(b"](" + (b"K\x01K\x02\x86" * 2000) + b"eq\x00" + named("collections", "OrderedDict") + b"q\x01" + b"h\x01h\x00\x85R" * 8000))
    put(t, "bad-long-text", saved(b"X" + struct.pack("<I", 0xfffffff0)))
    put(t, "bad-huge-integer", saved(dict_of(w=tensor(size=(2**62, 2**62), stride=(1, 1)))))
    put(t, "bad-negative-size", saved(dict_of(w=tensor(size=(-1, 2)))))
    put(t, "bad-negative-stride", saved(dict_of(w=tensor(stride=(-2, 1)))))
    put(t, "bad-beyond-storage", saved(dict_of(w=tensor(size=(3, 2)))))
    put(t, "bad-offset-beyond", saved(dict_of(w=tensor(offset=2**62))))
    put(t, "bad-stride-overflow", saved(dict_of(w=tensor(size=(2, 2), stride=(2**62, 2**62)))))
    put(t, "bad-expanded", saved(dict_of(w=tensor(size=(2**40, 2), stride=(0, 1)))))
    put(t, "bad-rank", saved(dict_of(w=tensor(size=(1,) * 40, stride=(1,) * 40))))
    put(t, "bad-ranks-differ", saved(dict_of(w=tensor(size=(2, 2), stride=(1,)))))
    put(t, "bad-storage-count", saved(dict_of(w=tensor(storage(count=400)))))
    put(t, "bad-storage-missing", saved(dict_of(w=tensor(storage("7")))))
    put(t, "bad-storage-path", saved(dict_of(w=tensor(storage("../data.pkl")))))
    put(t, "bad-storage-id", saved(dict_of(w=tensor(tuple_of(text("module"), b"N", text("0"), text("cpu"), number(4)) + b"Q"))))
    put(t, "bad-untyped", saved(dict_of(w=tensor(tuple_of(text("storage"), named("torch.storage", "UntypedStorage"), text("0"), text("cpu"), number(16)) + b"Q"))))
    put(t, "bad-no-tensors", saved(dict_of(epoch=number(1))))
    put(t, "bad-same-name", saved(b"}(" + text("w") + tensor() + text("w") + tensor() + b"u"))
    put(t, "bad-key", saved(b"}(K\x01" + tensor() + b"u"))
    put(t, "bad-cut-pickle", archive([("m/data.pkl", pickle(ok)[:40], {}), ("m/data/0", DATA, {})]))
    put(t, "bad-no-stop", archive([("m/data.pkl", pickle(ok)[:-1], {}), ("m/data/0", DATA, {})]))
    put(t, "bad-protocol", archive([("m/data.pkl", b"\x80\x00" + ok + b".", {}), ("m/data/0", DATA, {})]))
    put(t, "bad-two-values", saved(ok + b"N"))
    put(t, "bad-pickle-of-system", b"PKL" + pickle(evil(named("posix", "system"), text("echo"))))
    pk = ("m/data.pkl", pickle(ok), {})
    put(t, "bad-big-endian", archive([pk, ("m/byteorder", b"big", {}), ("m/data/0", DATA, {})]))
    put(t, "bad-old-big-endian", saved_old(ok, little=b"\x89"))
    put(t, "bad-old-cut", saved_old(ok)[:-3])
    put(t, "bad-old-count", saved_old(ok, count=2**60))
    put(t, "bad-old-keys", saved_old(ok, keys=("0", "0"), data=(struct.pack("<q", 4) + DATA) * 2))
    put(t, "bad-old-unknown-key", saved_old(ok, keys=("9",)))
    put(t, "bad-torchscript", archive([pk, ("m/data/0", DATA, {}), ("m/constants.pkl", pickle(b")"), {})]))
    put(t, "bad-no-pickle", archive([("m/data/0", DATA, {})]))
    put(t, "bad-two-pickles", archive([pk, ("n/data.pkl", pickle(ok), {}), ("m/data/0", DATA, {})]))
    put(t, "bad-compressed", archive([pk, ("m/data/0", DATA, {"method": 8})]))
    put(t, "bad-encrypted", archive([pk, ("m/data/0", DATA, {"flags": 1})]))
    put(t, "bad-parent-name", archive([pk, ("m/../../etc", DATA, {})]))
    put(t, "bad-absolute-name", archive([pk, ("/etc/x", DATA, {})]))
    put(t, "bad-entry-twice", archive([pk, ("m/data/0", DATA, {}), ("m/data/0", DATA, {})]))
    put(t, "bad-entries-overlap", archive([pk, ("m/data/0", DATA, {}), ("m/data/0", DATA, {"offset": 0})]))
    inner = struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 0, 0, 0, 0, 0, 4, 4, 8, 0) + b"m/data/1" + b"abcd"
    at = len(archive([pk])) - 22 - 46 - 10  # of what follows the pickle
    put(t, "bad-entry-inside-entry", archive([pk, ("m/data/0", inner, {}), ("m/data/1", b"abcd", {"offset": at + 30 + 8})]))
    put(t, "bad-size-lies", archive([pk, ("m/data/0", DATA, {"size": 2**31})]))
    put(t, "bad-central-size-lies", archive([pk, ("m/data/0", DATA, {"central_size": 12})]))
    put(t, "bad-header-beyond", archive([pk, ("m/data/0", DATA, {"offset": 2**31})]))
    put(t, "bad-zip64-size", archive([pk, ("m/data/0", DATA, {"central_size": 0xffffffff, "extra": struct.pack("<HHQQ", 1, 16, 2**63, 2**63)})]))
    put(t, "bad-zip64-size-missing", archive([pk, ("m/data/0", DATA, {"central_size": 0xffffffff})]))
    put(t, "bad-zip64-extra-long", archive([pk, ("m/data/0", DATA, {"extra": struct.pack("<HH", 1, 60000)})]))
    put(t, "bad-zip64-count", saved(ok, zip64={"n": 2**40}))
    put(t, "bad-zip64-offset", saved(ok, zip64={"offset": 2**64 - 10}))
    put(t, "bad-zip64-bytes", saved(ok, zip64={"bytes": 2**63}))
    put(t, "bad-zip64-where", saved(ok, zip64={"where": 2**63}))
    put(t, "bad-directory-count", saved(ok, directory={"n": 9000}))
    put(t, "bad-directory-offset", saved(ok, directory={"offset": 7}))
    put(t, "bad-directory-bytes", saved(ok, directory={"bytes": 2**31}))
    put(t, "bad-no-end", saved(ok)[:-22])
    put(t, "bad-cut", saved(ok)[:200])
    put(t, "bad-empty", b"")
    put(t, "bad-only-magic", b"PK\x03\x04")


# ---- safetensors

def safetensors():
    t = "safetensors"

    def st(header, data=DATA, length=None):
        h = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(h) if length is None else length) + h + data

    one = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    put(t, "good", st({"w": one, "__metadata__": {"format": "pt"}}))
    put(t, "good-empty", st({}, b""))
    put(t, "good-padded", st(json.dumps({"w": one}).encode() + b"    "))
    put(t, "good-two", st({"a": dict(one, shape=[2], data_offsets=[0, 8]), "b": dict(one, dtype="BF16", shape=[4], data_offsets=[8, 16])}))
    put(t, "bad-empty", b"")
    put(t, "bad-short", b"\x08\x00\x00")
    put(t, "bad-header-huge", st({"w": one}, length=2**63))
    put(t, "bad-header-beyond", st({"w": one}, length=500))
    put(t, "bad-no-brace", st(b"[1]"))
    put(t, "bad-json", st(b'{"w": {"dtype": '))
    put(t, "bad-deep", st(b'{"w":' + b"[" * 5000 + b"]" * 5000 + b"}"))
    put(t, "bad-overlap", st({"a": dict(one, data_offsets=[0, 16]), "b": dict(one, shape=[1], data_offsets=[12, 16])}))
    put(t, "bad-hole", st({"a": dict(one, shape=[1], data_offsets=[0, 4]), "b": dict(one, shape=[2], data_offsets=[8, 16])}))
    put(t, "bad-behind", st({"w": one}, DATA + b"xx"))
    put(t, "bad-beyond", st({"w": dict(one, shape=[2**20], data_offsets=[0, 2**22])}))
    put(t, "bad-backwards", st({"w": dict(one, data_offsets=[16, 0])}))
    put(t, "bad-shape-lies", st({"w": dict(one, shape=[2, 3])}))
    put(t, "bad-shape-overflow", st({"w": dict(one, shape=[2**40, 2**40])}))
    put(t, "bad-negative", st({"w": dict(one, shape=[-2, -2])}))
    put(t, "bad-fraction", st(b'{"w":{"dtype":"F32","shape":[2.5,2],"data_offsets":[0,16]}}'))
    put(t, "bad-offset-large", st(b'{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,18446744073709551632]}}'))
    put(t, "bad-dtype", st({"w": dict(one, dtype="F31")}))
    put(t, "bad-twice", st(b'{"w":%s,"w":%s}' % ((json.dumps(one).encode(),) * 2)))
    put(t, "bad-missing", st({"w": {"dtype": "F32", "shape": [2, 2]}}))
    put(t, "bad-rank", st({"w": dict(one, shape=[1] * 40)}))
    put(t, "bad-metadata", st({"__metadata__": {"a": 1}, "w": one}))


# ---- GGUF

def gguf():
    t = "gguf"
    s = lambda x: struct.pack("<Q", len(x)) + x.encode()

    def kv(key, kind, value):
        return s(key) + struct.pack("<I", kind) + value

    def file(pairs=(), tensors=(), n_kv=None, n_tensors=None, version=3, magic=b"GGUF", data=DATA):
        b = magic + struct.pack("<IQQ", version, len(tensors) if n_tensors is None else n_tensors, len(pairs) if n_kv is None else n_kv)
        b += b"".join(pairs) + b"".join(tensors)
        return b + b"\0" * (-len(b) % 32) + data

    def info(name="t", dims=(4,), kind=0, offset=0, n=None):
        return s(name) + struct.pack("<I", len(dims) if n is None else n) + b"".join(struct.pack("<Q", d) for d in dims) + struct.pack("<IQ", kind, offset)

    arch = kv("general.architecture", 8, s("llama"))
    put(t, "bad-no-config", file([arch], [info()]))
    put(t, "bad-empty", b"")
    put(t, "bad-magic", file(magic=b"GGUX"))
    put(t, "bad-version", file(version=9))
    put(t, "bad-big-endian", file(version=0x03000000))
    put(t, "bad-pair-count", file([arch], n_kv=2**60))
    put(t, "bad-tensor-count", file([arch], [info()], n_tensors=2**60))
    put(t, "bad-cut", file([arch], [info()])[:40])
    put(t, "bad-key-length", file([struct.pack("<Q", 2**63) + b"k"]))
    put(t, "bad-string-length", file([s("general.name") + struct.pack("<IQ", 8, 2**62)]))
    put(t, "bad-array-length", file([kv("a.b", 9, struct.pack("<IQ", 4, 2**61))]))
    put(t, "bad-array-nested", file([kv("a.b", 9, struct.pack("<IQ", 9, 1) * 3000)]))
    put(t, "bad-value-type", file([kv("a.b", 77, b"")]))
    put(t, "bad-key-twice", file([arch, arch]))
    put(t, "bad-architecture", file([kv("general.architecture", 8, s("nosuch"))], [info()]))
    put(t, "bad-architecture-type", file([kv("general.architecture", 4, struct.pack("<I", 1))]))
    put(t, "bad-alignment", file([arch, kv("general.alignment", 4, struct.pack("<I", 3))], [info()]))
    put(t, "bad-dims", file([arch], [info(dims=(2**40, 2**40))]))
    put(t, "bad-dim-count", file([arch], [info(n=2**31)]))
    put(t, "bad-offset", file([arch], [info(offset=2**40)]))
    put(t, "bad-offset-odd", file([arch], [info(offset=3)]))
    put(t, "bad-tensor-type", file([arch], [info(kind=99)]))
    put(t, "bad-block-width", file([arch], [info(dims=(5,), kind=2)]))
    put(t, "bad-tensor-twice", file([arch], [info(), info(offset=32)], data=DATA * 4))
    put(t, "bad-split", file([arch, kv("split.count", 2, struct.pack("<H", 4))], [info()]))


# ---- ONNX

def varint(v):
    out = b""
    while v > 127:
        out += bytes([v & 127 | 128])
        v >>= 7
    return out + bytes([v])


def field(n, value):
    if isinstance(value, int):
        return varint(n << 3) + varint(value)
    b = value.encode() if isinstance(value, str) else value
    return varint(n << 3 | 2) + varint(len(b)) + b


def onnx():
    t = "onnx"
    shape = lambda *d: field(2, b"".join(field(1, field(1, x)) for x in d))
    info = lambda name, *d: field(1, name) + field(2, field(1, field(1, 1) + shape(*d)))
    node = lambda op, i, o, more=b"": field(1, b"".join(field(1, x) for x in i) + b"".join(field(2, x) for x in o) + field(4, op) + more)
    graph = lambda *parts, i=info("x", 2), o=info("y", 2): field(7, b"".join(parts) + field(2, "g") + field(11, i) + field(12, o))
    opset = lambda v=13, d="": field(8, field(1, d) + field(2, v))
    model = lambda *parts: field(1, 8) + b"".join(parts)
    add = node("Add", ["x", "x"], ["y"])
    put(t, "good", model(opset(), graph(add)))
    weight = lambda dims, raw, kind=1, more=b"": field(5, b"".join(field(1, d) for d in dims) + field(2, kind) + field(8, "w") + field(9, raw) + more)
    put(t, "good-weight", model(opset(), graph(weight([2], DATA[:8]), node("Add", ["x", "w"], ["y"]))))
    put(t, "bad-empty", b"")
    put(t, "bad-text", b"this is no model")
    put(t, "bad-cut", model(opset(), graph(add))[:-5])
    put(t, "bad-no-graph", model(opset()))
    put(t, "bad-two-graphs", model(opset(), graph(add), graph(add)))
    put(t, "bad-varint", b"\x08" + b"\xff" * 12)
    put(t, "bad-group", model(b"\x3b\x3c"))
    put(t, "bad-field-zero", model(b"\x02\x00"))
    put(t, "bad-length", model(b"\x3a\xff\xff\xff\xff\x7f"))
    put(t, "bad-opsets", model(opset() * 65, graph(add)))
    put(t, "bad-operator", model(opset(), graph(node("NoSuchOperator", ["x"], ["y"]))))
    put(t, "bad-domain", model(opset(), graph(node("Add", ["x", "x"], ["y"], field(7, "nowhere")))))
    put(t, "bad-input", model(opset(), graph(node("Add", ["x", "q"], ["y"]))))
    put(t, "bad-cycle", model(opset(), graph(node("Add", ["x", "b"], ["a"]), node("Add", ["x", "a"], ["b"]), node("Add", ["a", "b"], ["y"]))))
    put(t, "bad-name-twice", model(opset(), graph(add, add)))
    put(t, "bad-weight-short", model(opset(), graph(weight([1000], DATA), node("Add", ["x", "w"], ["y"]))))
    put(t, "bad-weight-overflow", model(opset(), graph(weight([2**40, 2**40], DATA), node("Add", ["x", "w"], ["y"]))))
    put(t, "bad-weight-negative", model(opset(), graph(weight([2**64 - 2], DATA), node("Add", ["x", "w"], ["y"]))))
    put(t, "bad-weight-type", model(opset(), graph(weight([2], DATA, 99), node("Add", ["x", "w"], ["y"]))))
    external = lambda place: field(13, field(1, "location") + field(2, place)) + field(14, 1)
    put(t, "bad-external-parent", model(opset(), graph(weight([2], b"", 1, external("../../etc/passwd")), node("Add", ["x", "w"], ["y"]))))
    put(t, "bad-external-absolute", model(opset(), graph(weight([2], b"", 1, external("/etc/passwd")), node("Add", ["x", "w"], ["y"]))))
    nested = field(2, "g")
    for _ in range(300):
        nested = node("If", ["x"], ["y"], field(5, field(1, "then_branch") + field(6, nested) + field(20, 5))) + field(2, "g")
    put(t, "bad-nested-graphs", model(opset(), field(7, nested)))


# ---- config.json

def hf_config():
    t = "hf_config"
    llama = dict(model_type="llama", vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4,
                 num_key_value_heads=2, max_position_embeddings=64)
    with_ = lambda **k: json.dumps(dict(llama, **k))
    q = lambda **k: with_(quantization_config=k)
    put(t, "good-llama", with_())
    put(t, "good-gptq", q(quant_method="gptq", bits=4, group_size=32))
    put(t, "good-awq", q(quant_method="awq", bits=4, group_size=32, version="gemm"))
    put(t, "good-fp8", q(quant_method="fp8", weight_block_size=[128, 128]))
    put(t, "good-compressed", q(quant_method="compressed-tensors", format="pack-quantized", config_groups={"g": {"weights": {"num_bits": 4}}}))
    put(t, "good-bitsandbytes", q(quant_method="bitsandbytes", load_in_4bit=True))
    put(t, "bad-empty", "")
    put(t, "bad-list", "[]")
    put(t, "bad-cut", with_()[:-4])
    put(t, "bad-deep", "[" * 20000)
    put(t, "bad-twice", '{"model_type":"llama","model_type":"llama"}')
    put(t, "bad-no-type", "{}")
    put(t, "bad-type", with_(model_type="nosuchmodel"))
    put(t, "bad-type-number", with_(model_type=7))
    put(t, "bad-layers-huge", with_(num_hidden_layers=10**12))
    put(t, "bad-layers-negative", with_(num_hidden_layers=-1))
    put(t, "bad-heads-zero", with_(num_attention_heads=0))
    put(t, "bad-heads-uneven", with_(num_attention_heads=7))
    put(t, "bad-key-heads", with_(num_key_value_heads=3))
    put(t, "bad-hidden-text", with_(hidden_size="64"))
    put(t, "bad-vocab-huge", with_(vocab_size=2**62))
    put(t, "bad-activation", with_(hidden_act="nosuch"))
    put(t, "bad-rope-type", with_(rope_scaling={"rope_type": "nosuch", "factor": 2}))
    put(t, "bad-rope-factor", with_(rope_scaling={"rope_type": "linear", "factor": "much"}))
    put(t, "bad-quant-method", q(quant_method="nosuch"))
    put(t, "bad-quant-list", json.dumps(dict(llama, quantization_config=[1])))
    put(t, "bad-gptq-bits", q(quant_method="gptq", bits=5))
    put(t, "bad-gptq-format", q(quant_method="gptq", bits=4, checkpoint_format="marlin"))
    put(t, "bad-gptq-group", q(quant_method="gptq", bits=4, group_size=-7))
    put(t, "bad-awq-version", q(quant_method="awq", bits=4, version="gemv_fast"))
    put(t, "bad-awq-bits", q(quant_method="awq", bits=3))
    put(t, "bad-fp8-block", q(quant_method="fp8", weight_block_size=[0, 128]))
    put(t, "bad-fp8-block-text", q(quant_method="fp8", weight_block_size="128"))
    put(t, "bad-compressed-format", q(quant_method="compressed-tensors", format="marlin-24"))
    put(t, "bad-compressed-sparse", q(quant_method="compressed-tensors", format="int-quantized", sparsity_config={"format": "sparse-24-bitmask"}))


# ---- tokenizer.json and SentencePiece

def tokenizer():
    t = "tokenizer"
    bpe = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"], "unk_token": None}
    file = lambda model=bpe, **k: json.dumps(dict({"version": "1.0", "model": model, "added_tokens": []}, **k))
    put(t, "good-bpe", file())
    put(t, "good-wordpiece", file({"type": "WordPiece", "vocab": {"[UNK]": 0, "a": 1, "##b": 2}, "unk_token": "[UNK]"}))
    put(t, "good-unigram", file({"type": "Unigram", "vocab": [["<unk>", 0], ["a", -1], ["b", -2]], "unk_id": 0}))
    put(t, "bad-empty", "{")
    put(t, "bad-list", "[]")
    put(t, "bad-no-model", '{"version":"1.0"}')
    put(t, "bad-model-type", file({"type": "Nosuch", "vocab": {}}))
    put(t, "bad-merge-unknown", file(dict(bpe, merges=["a q"])))
    put(t, "bad-merge-form", file(dict(bpe, merges=[["a", "b", "c"]])))
    put(t, "bad-merge-type", file(dict(bpe, merges=[7])))
    put(t, "bad-vocab-list", file(dict(bpe, vocab=[1, 2])))
    put(t, "bad-id-negative", file(dict(bpe, vocab={"a": -1, "b": 1, "ab": 2})))
    put(t, "bad-id-huge", file(dict(bpe, vocab={"a": 2**40, "b": 1, "ab": 2})))
    put(t, "bad-unigram-score", file({"type": "Unigram", "vocab": [["a", "x"]], "unk_id": 0}))
    put(t, "bad-unigram-unk", file({"type": "Unigram", "vocab": [["a", -1]], "unk_id": 99}))
    put(t, "bad-pre-tokenizer", file(pre_tokenizer={"type": "Nosuch"}))
    put(t, "bad-regex", file(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated", "invert": False}))
    put(t, "bad-normalizer", file(normalizer={"type": "Nosuch"}))
    put(t, "bad-charsmap", file(normalizer={"type": "Precompiled", "precompiled_charsmap": "////////"}))
    deep = {"type": "Lowercase"}
    for _ in range(200):
        deep = {"type": "Sequence", "normalizers": [deep]}
    put(t, "bad-normalizers-deep", file(normalizer=deep))
    put(t, "bad-added-type", file(added_tokens=7))
    put(t, "bad-deep", "[" * 20000)
    put(t, "bad-piece-cut", b"\n\x7f\n\x03abc")
    put(t, "bad-piece-length", b"\n\xff\xff\xff\xff\x0f\n")


def openvino():
    """Each with a data file of 4 KB."""
    def port(i, precision="FP32"):
        return f'<port id="{i}" precision="{precision}"/>'

    def layer(i, kind, ins, outs, data="", more="", version="opset1", precision="FP32"):
        inputs = "".join(port(k) for k in range(ins))
        outputs = "".join(port(k, precision) for k in range(ins, ins + outs))
        return (f'<layer id="{i}" name="l{i}" type="{kind}" version="{version}"><data {data}/><input>{inputs}</input>'
                f'<output>{outputs}</output>{more}</layer>')

    def parameter(i, shape="?,4"):
        return layer(i, "Parameter", 0, 1, f'shape="{shape}" element_type="f32"')

    def const(i, kind="f32", shape="4", offset=0, size=16):
        return layer(i, "Const", 0, 1, f'element_type="{kind}" shape="{shape}" offset="{offset}" size="{size}"', precision="I64" if kind == "i64" else "FP32")

    def edges(*pairs):
        return "".join(f'<edge from-layer="{a}" from-port="{b}" to-layer="{c}" to-port="{d}"/>' for a, b, c, d in pairs)

    def net(layers, joints, version=11):
        return f'<?xml version="1.0"?><net name="n" version="{version}"><layers>{"".join(layers)}</layers><edges>{edges(*joints)}</edges></net>'

    t = "openvino"
    x, last = parameter(0), layer(9, "Result", 1, 0)
    put(t, "good-relu", net([x, layer(1, "ReLU", 1, 1), last], [(0, 0, 1, 0), (1, 1, 9, 0)]))
    put(t, "good-add", net([x, const(1), layer(2, "Add", 2, 1, 'auto_broadcast="numpy"'), last], [(0, 0, 2, 0), (1, 0, 2, 1), (2, 2, 9, 0)]))
    put(t, "good-v10", net([x, layer(1, "Tanh", 1, 1), last], [(0, 0, 1, 0), (1, 1, 9, 0)], 10))
    put(t, "good-weight", net([x, const(1, "u4", "2, 2, 2", 0, 4), const(2, "f16", "2, 2, 1", 8, 8), const(3, "i64", "2", 16, 16),
                               layer(4, "Convert", 1, 1, 'destination_type="f16"'), layer(5, "Multiply", 2, 1), layer(6, "Reshape", 2, 1),
                               layer(7, "Convert", 1, 1, 'destination_type="f32"'), layer(8, "MatMul", 2, 1, 'transpose_b="true"'), last],
                              [(1, 0, 4, 0), (4, 1, 5, 0), (2, 0, 5, 1), (5, 2, 7, 0), (0, 0, 8, 0), (7, 1, 8, 1), (8, 2, 9, 0)]).replace("?,4", "?,2"))
    put(t, "good-state", net([parameter(0, "4"), layer(1, "ReadValue", 0, 1, 'variable_id="v" variable_type="f32" variable_shape="4"', version="opset6"),
                              layer(2, "Add", 2, 1), layer(3, "Assign", 1, 1, 'variable_id="v"', version="opset6"), last],
                             [(0, 0, 2, 0), (1, 0, 2, 1), (2, 2, 3, 0), (2, 2, 9, 0)]))
    body = f'<body><layers>{parameter(0, "1,4")}{layer(1, "ReLU", 1, 1)}{layer(2, "Result", 1, 0)}</layers><edges>{edges((0, 0, 1, 0), (1, 1, 2, 0))}</edges></body>'
    maps = ('<port_map><input external_port_id="0" internal_layer_id="0" axis="0"/>'
            '<output external_port_id="1" internal_layer_id="2" axis="0"/></port_map>')
    put(t, "good-iterator", net([x, layer(1, "TensorIterator", 1, 1, more=maps + body), last], [(0, 0, 1, 0), (1, 1, 9, 0)]))
    put(t, "bad-empty", "")
    put(t, "bad-cut", net([x, last], [(0, 0, 9, 0)])[:-20])
    put(t, "bad-doctype", '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><net name="&b;" version="11"/>')
    put(t, "bad-version", net([x, last], [(0, 0, 9, 0)], 6))
    put(t, "bad-deep", "<net>" * 3000)
    put(t, "bad-twice", net([x, x, last], [(0, 0, 9, 0)]))
    put(t, "bad-dangling", net([x, last], [(5, 0, 9, 0)]))
    put(t, "bad-cycle", net([layer(1, "ReLU", 1, 1), layer(2, "ReLU", 1, 1), last], [(1, 1, 2, 0), (2, 1, 1, 0), (2, 1, 9, 0)]))
    put(t, "bad-offset", net([const(1, offset=4090), last], [(1, 0, 9, 0)]))
    put(t, "bad-size", net([const(1, shape="5"), last], [(1, 0, 9, 0)]))
    put(t, "bad-count", net([const(1, shape="4294967296, 4294967296, 2"), last], [(1, 0, 9, 0)]))
    put(t, "bad-operation", net([x, layer(1, "Telescope", 1, 1), last], [(0, 0, 1, 0), (1, 1, 9, 0)]))
    put(t, "bad-slices", net([x, layer(1, "TensorIterator", 1, 1, more=maps.replace('axis="0"', 'axis="0" stride="3"') + body), last], [(0, 0, 1, 0), (1, 1, 9, 0)]))


for make in (pytorch, safetensors, gguf, onnx, openvino, hf_config, tokenizer):
    make()
