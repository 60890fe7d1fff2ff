/* SPDX-License-Identifier: Apache-2.0 */
/* GraphProto: initializers, inputs, nodes, outputs. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/onnx/reader.h"

ol_value *ol_onnx_lookup(const ol_onnx_scope *s, ol_str name) {
    for (; s; s = s->outer) {
        const uint64_t *v = ol_map_get(&s->names, name);
        if (v) return (ol_value *)(uintptr_t)*v;
    }
    return NULL;
}

olv_status ol_onnx_name(ol_graph *g, const ol_onnx_scope *s, ol_str name, const char **out, olv_error *err) {
    if (name.len > 4096 || (name.len && memchr(name.ptr, 0, name.len)))
        return ol_fail(err, OLV_FORMAT, "malformed name of %zu bytes", name.len);
    const char *text = *s->prefix ? ol_arena_printf(g->arena, "%s%.*s", s->prefix, (int)name.len, name.ptr)
                                  : ol_arena_strndup(g->arena, name.ptr ? name.ptr : "", name.len);
    if (!text) return ol_fail(err, OLV_NOMEM, "no memory for a name");
    *out = text;
    return OLV_OK;
}

olv_status ol_onnx_define(ol_onnx_scope *s, ol_str name, ol_value *v, olv_error *err) {
    int r = ol_map_put(&s->names, name, (uint64_t)(uintptr_t)v);
    if (r < 0) return ol_fail(err, OLV_NOMEM, "no memory for a name");
    if (r == 0) return ol_fail(err, OLV_FORMAT, "name '%.*s' is defined twice", (int)name.len, name.ptr);
    return OLV_OK;
}

static olv_status failed(olv_error *err) { return err ? err->status : OLV_INTERNAL; }

static olv_status add_initializer(ol_onnx_reader *r, const ol_pb_field *f, bool sparse, ol_graph *g,
                                  ol_onnx_scope *scope, olv_error *err) {
    ol_const *c;
    ol_str name;
    const char *text;
    OL_TRY(sparse ? ol_onnx_sparse(r, ol_pb_message(f), &c, &name, err)
                  : ol_onnx_tensor(r, ol_pb_message(f), &c, &name, err));
    olv_status s = ol_onnx_name(g, scope, name, &text, err);
    if (s != OLV_OK) {
        ol_const_release(c);
        return s;
    }
    ol_value *v = ol_graph_add_constant(g, text, c, err);
    return v ? ol_onnx_define(scope, name, v, err) : failed(err);
}

static olv_status value_info(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_str *name, ol_type *type, olv_error *err) {
    ol_pb_field f;
    *name = (ol_str){"", 0};
    *type = (ol_type){.kind = OL_VALUE_TENSOR, .rank = -1};
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number == 1 && f.wire == 2) *name = f.bytes;
        if (f.number == 2 && f.wire == 2) OL_TRY(ol_onnx_type(r, g->dims, ol_pb_message(&f), type, err));
    }
    return m.failed ? ol_fail(err, OLV_FORMAT, "malformed value info") : OLV_OK;
}

/* An input that also has an initializer: a constant up to IR version 3, an input with a default after. */
static olv_status add_input(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_scope *scope, ol_map *defaults,
                            olv_error *err) {
    ol_str name;
    ol_type type;
    const char *text;
    OL_TRY(value_info(r, m, g, &name, &type, err));
    const uint64_t *init = ol_map_get(defaults, name);
    if (init && r->ir_version < 4) return OLV_OK;
    OL_TRY(ol_onnx_name(g, scope, name, &text, err));
    ol_value *v = ol_graph_add_input(g, text, &type, err);
    if (!v) return failed(err);
    if (init) v->constant = ol_const_retain((ol_const *)(uintptr_t)*init);
    return ol_onnx_define(scope, name, v, err);
}

/* Initializers of these names become defaults of inputs: name -> constant. */
static olv_status collect_defaults(ol_onnx_reader *r, ol_bytes m, ol_map *defaults, olv_error *err) {
    ol_map inputs;
    ol_pb_field f, g;
    olv_status s = OLV_OK;
    ol_map_init(&inputs);
    for (ol_bytes p = m; s == OLV_OK && ol_pb_next(&p, &f) > 0;) {
        if (f.number != 11 || f.wire != 2) continue;
        for (ol_bytes v = ol_pb_message(&f); ol_pb_next(&v, &g) > 0;)
            if (g.number == 1 && g.wire == 2 && ol_map_put(&inputs, g.bytes, 1) < 0) s = ol_fail(err, OLV_NOMEM, "no memory");
    }
    for (ol_bytes p = m; s == OLV_OK && inputs.count && ol_pb_next(&p, &f) > 0;) {
        if (f.number != 5 || f.wire != 2) continue;
        ol_str name = {"", 0};
        for (ol_bytes v = ol_pb_message(&f); ol_pb_next(&v, &g) > 0;)
            if (g.number == 8 && g.wire == 2) name = g.bytes;
        if (!ol_map_get(&inputs, name) || ol_map_get(defaults, name)) continue;
        ol_const *c;
        s = ol_onnx_tensor(r, ol_pb_message(&f), &c, NULL, err);
        if (s == OLV_OK && ol_map_put(defaults, name, (uint64_t)(uintptr_t)c) < 0) {
            ol_const_release(c);
            s = ol_fail(err, OLV_NOMEM, "no memory");
        }
    }
    ol_map_deinit(&inputs);
    return s;
}

static olv_status read_values(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_scope *scope, ol_map *defaults,
                              olv_error *err) {
    ol_pb_field f, n;
    for (ol_bytes p = m; ol_pb_next(&p, &f) > 0;)
        if (f.number == 11 && f.wire == 2) OL_TRY(add_input(r, ol_pb_message(&f), g, scope, defaults, err));
    for (ol_bytes p = m; ol_pb_next(&p, &f) > 0;) {
        if (f.wire != 2 || (f.number != 5 && f.number != 15)) continue;
        ol_str name = {"", 0};
        for (ol_bytes v = ol_pb_message(&f); f.number == 5 && ol_pb_next(&v, &n) > 0;)
            if (n.number == 8 && n.wire == 2) name = n.bytes;
        const uint64_t *have = ol_map_get(&scope->names, name);
        if (f.number == 5 && have && ((ol_value *)(uintptr_t)*have)->is_input) continue;
        OL_TRY(add_initializer(r, &f, f.number == 15, g, scope, err));
    }
    return OLV_OK;
}

static olv_status add_outputs(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_scope *scope, olv_error *err) {
    ol_pb_field f;
    while (ol_pb_next(&m, &f) > 0) {
        ol_str name;
        ol_type type;
        if (f.number != 12 || f.wire != 2) continue;
        OL_TRY(value_info(r, ol_pb_message(&f), g, &name, &type, err));
        ol_value *v = ol_onnx_lookup(scope, name);
        if (!v) return ol_fail(err, OLV_FORMAT, "graph output '%.*s' is not defined", (int)name.len, name.ptr);
        if (v->producer && v->type.dtype == OL_DTYPE_NONE) v->type.dtype = type.dtype;
        if (v->producer && v->type.rank < 0 && v->type.kind == OL_VALUE_TENSOR && type.kind == OL_VALUE_TENSOR) {
            v->type.rank = type.rank; /* the file's word for what cannot be inferred: the rank, not the sizes */
            for (int i = 0; i < type.rank; i++) v->type.dims[i] = ol_dim_fresh(g->dims, "d");
        }
        OL_TRY(ol_graph_add_output(g, v, err));
    }
    return OLV_OK;
}

olv_status ol_onnx_graph(ol_onnx_reader *r, ol_bytes m, ol_graph *g, ol_onnx_scope *scope, olv_error *err) {
    ol_map defaults;
    ol_pb_field f;
    ol_bytes p = m;
    if (++r->depth > OL_ONNX_MAX_DEPTH)
        return ol_fail(err, OLV_LIMIT, "more than %d graphs inside one another", OL_ONNX_MAX_DEPTH);
    while (ol_pb_next(&p, &f) > 0)
        if (f.number == 2 && f.wire == 2 && !memchr(f.bytes.ptr, 0, f.bytes.len)) {
            const char *name = ol_arena_strndup(g->arena, f.bytes.ptr, f.bytes.len);
            if (name) g->name = name;
        }
    if (p.failed) return ol_fail(err, OLV_FORMAT, "malformed graph");
    ol_map_init(&defaults);
    olv_status s = collect_defaults(r, m, &defaults, err);
    if (s == OLV_OK) s = read_values(r, m, g, scope, &defaults, err);
    for (size_t i = 0; i < defaults.count; i++) ol_const_release((ol_const *)(uintptr_t)defaults.entries[i].value);
    ol_map_deinit(&defaults);
    if (s == OLV_OK) s = ol_onnx_nodes(r, m, 1, g, scope, err);
    if (s == OLV_OK) s = add_outputs(r, m, g, scope, err);
    r->depth--;
    return s;
}
