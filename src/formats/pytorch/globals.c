/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/pytorch/globals.h"

#include "base/error.h"

#define STORAGE(type, dtype) {"torch", type "Storage", OL_PK_ROLE_STORAGE, dtype}
#define DTYPE(name, dtype) {"torch", name, OL_PK_ROLE_DTYPE, dtype}

static const ol_pk_global globals[] = {
    {"collections", "OrderedDict", OL_PK_ROLE_DICT, OL_DTYPE_NONE},
    {"torch._utils", "_rebuild_tensor_v2", OL_PK_ROLE_TENSOR, OL_DTYPE_NONE},
    {"torch._utils", "_rebuild_tensor_v3", OL_PK_ROLE_TENSOR, OL_DTYPE_NONE},
    {"torch._utils", "_rebuild_tensor", OL_PK_ROLE_TENSOR, OL_DTYPE_NONE},
    {"torch._utils", "_rebuild_parameter", OL_PK_ROLE_PARAMETER, OL_DTYPE_NONE},
    {"torch._utils", "_rebuild_parameter_with_state", OL_PK_ROLE_PARAMETER, OL_DTYPE_NONE},
    {"torch._tensor", "_rebuild_from_type_v2", OL_PK_ROLE_FROM_TYPE, OL_DTYPE_NONE},
    {"torch.nn.parameter", "Parameter", OL_PK_ROLE_PARAMETER, OL_DTYPE_NONE},
    {"torch.storage", "UntypedStorage", OL_PK_ROLE_STORAGE, OL_DTYPE_NONE},
    {"torch", "UntypedStorage", OL_PK_ROLE_STORAGE, OL_DTYPE_NONE},
    STORAGE("Float", OL_F32), STORAGE("Double", OL_F64), STORAGE("Half", OL_F16), STORAGE("BFloat16", OL_BF16),
    STORAGE("Long", OL_I64), STORAGE("Int", OL_I32), STORAGE("Short", OL_I16), STORAGE("Char", OL_I8),
    STORAGE("Byte", OL_U8), STORAGE("Bool", OL_BOOL), STORAGE("ComplexFloat", OL_C64),
    STORAGE("ComplexDouble", OL_C128),
    DTYPE("float32", OL_F32), DTYPE("float64", OL_F64), DTYPE("float16", OL_F16), DTYPE("bfloat16", OL_BF16),
    DTYPE("int64", OL_I64), DTYPE("int32", OL_I32), DTYPE("int16", OL_I16), DTYPE("int8", OL_I8),
    DTYPE("uint64", OL_U64), DTYPE("uint32", OL_U32), DTYPE("uint16", OL_U16), DTYPE("uint8", OL_U8),
    DTYPE("bool", OL_BOOL), DTYPE("complex64", OL_C64), DTYPE("complex128", OL_C128),
    DTYPE("float8_e4m3fn", OL_F8E4M3), DTYPE("float8_e4m3fnuz", OL_F8E4M3FNUZ), DTYPE("float8_e5m2", OL_F8E5M2),
    DTYPE("float8_e5m2fnuz", OL_F8E5M2FNUZ), DTYPE("float8_e8m0fnu", OL_F8E8M0),
    {"torch", "Size", OL_PK_ROLE_SIZE, OL_DTYPE_NONE},
    {"torch", "device", OL_PK_ROLE_OPAQUE, OL_DTYPE_NONE},
    {"torch", "Tensor", OL_PK_ROLE_OPAQUE, OL_DTYPE_NONE},
};

const ol_pk_global *ol_pk_global_find(ol_str module, ol_str name) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (ol_str_is(module, globals[i].module) && ol_str_is(name, globals[i].name)) return &globals[i];
    return NULL;
}

static ol_pk_value *value(ol_arena *arena, ol_pk_kind kind, olv_error *err) {
    ol_pk_value *v = ol_arena_alloc(arena, sizeof *v);
    if (v)
        v->kind = kind;
    else
        ol_fail(err, OLV_NOMEM, "out of memory reading a pickle");
    return v;
}

static const ol_pk_value *arg(const ol_pk_value *args, size_t i, ol_pk_kind kind) {
    if (args->kind != OL_PK_TUPLE || i >= args->seq.n || args->seq.items[i]->kind != kind) return NULL;
    return args->seq.items[i];
}

/* ---- tensors ---- */

static bool read_ints(const ol_pk_value *tuple, int rank, int64_t *out) {
    for (int i = 0; i < rank; i++) {
        const ol_pk_value *v = arg(tuple, (size_t)i, OL_PK_INT);
        if (!v || v->i < 0) return false;
        out[i] = v->i;
    }
    return true;
}

/* (storage, offset, size, stride, ...); v3 adds (requires_grad, hooks, dtype). */
static olv_status make_tensor(const ol_pk_global *g, const ol_pk_value *args, ol_arena *arena, ol_pk_value **out,
                              olv_error *err) {
    const ol_pk_value *storage = arg(args, 0, OL_PK_STORAGE), *offset = arg(args, 1, OL_PK_INT);
    const ol_pk_value *size = arg(args, 2, OL_PK_TUPLE), *stride = arg(args, 3, OL_PK_TUPLE);
    const ol_pk_value *type = ol_str_is(ol_str_of(g->name), "_rebuild_tensor_v3") ? arg(args, 6, OL_PK_GLOBAL) : NULL;
    if (!storage || !offset || !size || !stride || offset->i < 0 || size->seq.n != stride->seq.n)
        return ol_fail(err, OLV_FORMAT, "arguments of %s: a storage, an offset, sizes and strides expected", g->name);
    if (size->seq.n > OL_MAX_RANK)
        return ol_fail(err, OLV_LIMIT, "tensor of rank %zu found, at most %d expected", size->seq.n, OL_MAX_RANK);
    ol_pk_tensor *t = ol_arena_alloc(arena, sizeof *t);
    ol_pk_value *v = value(arena, OL_PK_TENSOR, err);
    if (!t || !v) return ol_fail(err, OLV_NOMEM, "out of memory reading a pickle");
    v->tensor = t;
    t->storage = storage->storage;
    t->offset = (uint64_t)offset->i;
    t->rank = (int)size->seq.n;
    t->dtype = type && type->global->role == OL_PK_ROLE_DTYPE ? type->global->dtype : t->storage->dtype;
    if (t->dtype == OL_DTYPE_NONE)
        return ol_fail(err, OLV_FORMAT, "tensor over untyped storage '%.*s' without an element type",
                       (int)t->storage->key.len, t->storage->key.ptr);
    if (!read_ints(size, t->rank, t->dims) || !read_ints(stride, t->rank, t->strides))
        return ol_fail(err, OLV_FORMAT, "sizes and strides of a tensor must be integers that are not negative");
    *out = v;
    return OLV_OK;
}

/* OrderedDict(), or OrderedDict([(key, value), ...]). */
static olv_status make_dict(const ol_pk_value *args, ol_arena *arena, ol_pk_value **out, olv_error *err) {
    ol_pk_value *d = value(arena, OL_PK_DICT, err);
    if (!d) return OLV_NOMEM;
    *out = d;
    if (args->kind == OL_PK_TUPLE && args->seq.n == 0) return OLV_OK;
    const ol_pk_value *pairs = arg(args, 0, OL_PK_LIST);
    if (!pairs) return ol_fail(err, OLV_FORMAT, "arguments of OrderedDict: a list of pairs expected");
    size_t n = pairs->seq.n;
    d->seq.items = ol_arena_calloc(arena, 2 * n + 1, sizeof *d->seq.items);
    if (!d->seq.items) return ol_fail(err, OLV_NOMEM, "out of memory reading a pickle");
    d->seq.cap = 2 * n + 1;
    for (size_t i = 0; i < n; i++) {
        const ol_pk_value *p = pairs->seq.items[i];
        if ((p->kind != OL_PK_TUPLE && p->kind != OL_PK_LIST) || p->seq.n != 2)
            return ol_fail(err, OLV_FORMAT, "arguments of OrderedDict: a list of pairs expected");
        d->seq.items[d->seq.n++] = p->seq.items[0];
        d->seq.items[d->seq.n++] = p->seq.items[1];
    }
    return OLV_OK;
}

static olv_status first_argument(const ol_pk_global *g, const ol_pk_value *args, ol_pk_value **out, olv_error *err) {
    if (args->kind != OL_PK_TUPLE || args->seq.n == 0)
        return ol_fail(err, OLV_FORMAT, "%s without arguments", g->name);
    *out = args->seq.items[0];
    return OLV_OK;
}

olv_status ol_pk_call(const ol_pk_global *g, const ol_pk_value *args, ol_arena *arena, ol_pk_value **out,
                      olv_error *err) {
    const ol_pk_value *inner, *inner_args;
    switch (g->role) {
    case OL_PK_ROLE_DICT: return make_dict(args, arena, out, err);
    case OL_PK_ROLE_TENSOR: return make_tensor(g, args, arena, out, err);
    case OL_PK_ROLE_PARAMETER:
    case OL_PK_ROLE_SIZE: return first_argument(g, args, out, err);
    case OL_PK_ROLE_FROM_TYPE: /* (function, type, arguments, state) */
        inner = arg(args, 0, OL_PK_GLOBAL);
        inner_args = arg(args, 2, OL_PK_TUPLE);
        if (!inner || !inner_args ||
            (inner->global->role != OL_PK_ROLE_TENSOR && inner->global->role != OL_PK_ROLE_PARAMETER))
            return ol_fail(err, OLV_FORMAT, "arguments of %s: a function, a type and arguments expected", g->name);
        return ol_pk_call(inner->global, inner_args, arena, out, err);
    case OL_PK_ROLE_OPAQUE: return (*out = value(arena, OL_PK_OPAQUE, err)) ? OLV_OK : OLV_NOMEM;
    case OL_PK_ROLE_STORAGE:
    case OL_PK_ROLE_DTYPE: break;
    }
    return ol_fail(err, OLV_FORMAT, "the pickle calls %s.%s, which is not needed for tensors", g->module, g->name);
}

/* ('storage', class, key, location, count), and a last None in old files. */
olv_status ol_pk_storage_of(const ol_pk_value *id, ol_arena *arena, ol_pk_value **out, olv_error *err) {
    const ol_pk_value *tag = arg(id, 0, OL_PK_TEXT), *type = arg(id, 1, OL_PK_GLOBAL), *key = arg(id, 2, OL_PK_TEXT);
    const ol_pk_value *count = arg(id, 4, OL_PK_INT), *view = arg(id, 5, OL_PK_NONE);
    if (!tag || !ol_str_is(tag->text, "storage") || !type || type->global->role != OL_PK_ROLE_STORAGE || !key || !count ||
        count->i < 0)
        return ol_fail(err, OLV_FORMAT, "persistent id of another kind found, ('storage', class, key, location, count) "
                       "expected");
    if (id->seq.n > 5 && !view) return ol_fail(err, OLV_UNSUPPORTED, "storage that is a view of another one");
    ol_pk_value *v = value(arena, OL_PK_STORAGE, err);
    ol_pk_storage *s = ol_arena_alloc(arena, sizeof *s);
    if (!v || !s) return ol_fail(err, OLV_NOMEM, "out of memory reading a pickle");
    *s = (ol_pk_storage){key->text, type->global->dtype, (uint64_t)count->i};
    v->storage = s;
    *out = v;
    return OLV_OK;
}
