/* SPDX-License-Identifier: Apache-2.0 */
/* ModelProto: opsets, functions, metadata, the root graph. */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/onnx/onnx.h"
#include "formats/onnx/reader.h"
#include <stdio.h>

typedef struct model {
    ol_str graph, producer, producer_version;
    bool has_graph;
    ol_onnx_opset opsets[64];
    int n_opsets;
} model;

static olv_status parse_opset(ol_bytes m, ol_onnx_opset *o, olv_error *err) {
    ol_pb_field f;
    *o = (ol_onnx_opset){{"", 0}, 1};
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number == 1 && f.wire == 2) o->domain = f.bytes;
        if (f.number == 2 && f.wire == 0) o->version = (int64_t)f.value;
    }
    if (ol_str_is(o->domain, "ai.onnx")) o->domain = (ol_str){"", 0};
    return m.failed ? ol_fail(err, OLV_FORMAT, "malformed opset import") : OLV_OK;
}

static olv_status add_function(ol_onnx_reader *r, ol_str bytes, olv_error *err) {
    if (r->n_functions == r->cap_functions) {
        int cap = r->cap_functions ? r->cap_functions * 2 : 16;
        ol_onnx_function *p = ol_realloc(r->functions, (size_t)cap * sizeof *p);
        if (!p) return ol_fail(err, OLV_NOMEM, "no memory for functions");
        r->functions = p;
        r->cap_functions = cap;
    }
    ol_onnx_function *fn = &r->functions[r->n_functions++];
    *fn = (ol_onnx_function){.message = bytes};
    ol_bytes m = ol_bytes_of(bytes.ptr, bytes.len);
    ol_pb_field f;
    while (ol_pb_next(&m, &f) > 0) {
        if (f.wire != 2) continue;
        if (f.number == 1) fn->name = f.bytes;
        if (f.number == 10) fn->domain = f.bytes;
        if (f.number == 13) fn->overload = f.bytes;
    }
    if (ol_str_is(fn->domain, "ai.onnx")) fn->domain = (ol_str){"", 0};
    return m.failed ? ol_fail(err, OLV_FORMAT, "malformed function") : OLV_OK;
}

static olv_status add_meta(ol_graph *g, ol_bytes m, olv_error *err) {
    ol_pb_field f;
    const char *key = NULL, *value = "";
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number == 1 && f.wire == 2) key = ol_arena_strndup(g->arena, f.bytes.ptr, f.bytes.len);
        if (f.number == 2 && f.wire == 2) value = ol_arena_strndup(g->arena, f.bytes.ptr, f.bytes.len);
    }
    if (m.failed) return ol_fail(err, OLV_FORMAT, "malformed metadata");
    return key && *key && value ? ol_graph_set_meta(g, key, value, err) : OLV_OK;
}

static olv_status scan_model(ol_onnx_reader *r, ol_bytes m, ol_graph *g, model *out, olv_error *err) {
    ol_pb_field f;
    *out = (model){.has_graph = false};
    while (ol_pb_next(&m, &f) > 0) {
        if (f.number == 1 && f.wire == 0) {
            r->ir_version = (int64_t)f.value;
        } else if (f.number == 2 && f.wire == 2) {
            out->producer = f.bytes;
        } else if (f.number == 7 && f.wire == 2) {
            if (out->has_graph) return ol_fail(err, OLV_FORMAT, "two graphs");
            out->has_graph = true;
            out->graph = f.bytes;
        } else if (f.number == 8 && f.wire == 2) {
            if (out->n_opsets == 64) return ol_fail(err, OLV_LIMIT, "more than 64 opset imports");
            OL_TRY(parse_opset(ol_pb_message(&f), &out->opsets[out->n_opsets++], err));
        } else if (f.number == 14 && f.wire == 2) {
            OL_TRY(add_meta(g, ol_pb_message(&f), err));
        } else if (f.number == 25 && f.wire == 2) {
            OL_TRY(add_function(r, f.bytes, err));
        }
    }
    if (m.failed) return ol_fail(err, OLV_FORMAT, "malformed ModelProto near byte %zu", ol_bytes_pos(&m));
    if (!out->has_graph) return ol_fail(err, OLV_FORMAT, "no graph found: no ONNX model");
    return OLV_OK;
}

static olv_status note_model(ol_graph *g, const ol_onnx_reader *r, const model *m, olv_error *err) {
    char text[32];
    for (int i = 0; i < m->n_opsets; i++) {
        char key[160];
        ol_str d = m->opsets[i].domain;
        snprintf(key, sizeof key, "opset%s%.*s", d.len ? "." : "", (int)(d.len > 100 ? 100 : d.len), d.len ? d.ptr : "");
        snprintf(text, sizeof text, "%lld", (long long)m->opsets[i].version);
        OL_TRY(ol_graph_set_meta(g, key, text, err));
    }
    snprintf(text, sizeof text, "%lld", (long long)r->ir_version);
    OL_TRY(ol_graph_set_meta(g, "ir_version", text, err));
    const char *p = ol_arena_strndup(g->arena, m->producer.ptr ? m->producer.ptr : "", m->producer.len);
    return p && *p ? ol_graph_set_meta(g, "producer", p, err) : OLV_OK;
}

static olv_status read_model(ol_onnx_reader *r, ol_bytes whole, ol_graph *g, olv_error *err) {
    model m;
    ol_onnx_scope scope = {.prefix = ""};
    OL_TRY(scan_model(r, whole, g, &m, err));
    ol_map_init(&scope.names);
    scope.opsets = m.opsets;
    scope.n_opsets = m.n_opsets;
    olv_status s = ol_onnx_graph(r, ol_bytes_of(m.graph.ptr, m.graph.len), g, &scope, err);
    ol_map_deinit(&scope.names);
    if (s == OLV_OK) s = note_model(g, r, &m, err);
    return s;
}

static olv_status read_part(ol_file *file, ol_bytes whole, const char *name, const char *dir, const ol_op_set *ops, ol_graph **out,
                            olv_error *err) {
    ol_onnx_reader *r = ol_calloc(1, sizeof *r);
    ol_graph *g = ol_graph_create("");
    olv_status s = r && g ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for a graph");
    if (s == OLV_OK) {
        r->name = name;
        r->dir = dir;
        r->file = file;
        g->ops = ops;
        s = read_model(r, whole, g, err);
    }
    for (int i = 0; r && i < r->n_ext; i++) ol_file_release(r->ext[i]);
    if (r) ol_free(r->functions);
    ol_free(r);
    if (s != OLV_OK) {
        ol_graph_destroy(g);
        return ol_error_at(err, "%.200s", name);
    }
    *out = g;
    return OLV_OK;
}

static olv_status read_file(ol_file *file, const char *name, const char *dir, ol_graph **out, olv_error *err) {
    return read_part(file, ol_bytes_of(file->data, (size_t)file->size), name, dir, NULL, out, err);
}

olv_status ol_onnx_read_part(ol_file *file, uint64_t place, uint64_t bytes, const char *name, ol_graph **out, olv_error *err) {
    if (place > file->size || bytes > file->size - place) return ol_fail(err, OLV_FORMAT, "%.200s: the model lies outside of its file", name);
    return read_part(file, ol_bytes_of(file->data + place, (size_t)bytes), name, NULL, NULL, out, err);
}

olv_status ol_onnx_read(const char *path, ol_graph **out, olv_error *err) { return ol_onnx_read_with(path, NULL, out, err); }

olv_status ol_onnx_read_with(const char *path, const ol_op_set *ops, ol_graph **out, olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_open(path, &f, err));
    const char *name = ol_path_name(path);
    size_t n = (size_t)(name - path);
    char *dir = ol_alloc(n + 2);
    olv_status s = OLV_NOMEM;
    if (dir) {
        memcpy(dir, n ? path : ".", n ? n : 1);
        dir[n ? (n > 1 ? n - 1 : 1) : 1] = 0;
        s = read_part(f, ol_bytes_of(f->data, (size_t)f->size), name, dir, ops, out, err);
    } else {
        ol_fail(err, OLV_NOMEM, "no memory");
    }
    ol_free(dir);
    ol_file_release(f);
    return s;
}

olv_status ol_onnx_read_bytes(const void *data, size_t len, const char *name, const char *dir, ol_graph **out,
                              olv_error *err) {
    ol_file *f;
    OL_TRY(ol_file_of_bytes(data, len, name, &f, err));
    olv_status s = read_file(f, name, dir, out, err);
    ol_file_release(f);
    return s;
}

/* ---- test data ---- */

static olv_status read_value(ol_onnx_reader *r, ol_bytes m, ol_value_kind kind, bool sequence_inside, ol_datum *out,
                             olv_error *err);

static olv_status append(ol_datum *seq, ol_datum *item, olv_error *err) {
    if (seq->n_items == seq->cap_items) {
        size_t cap = seq->cap_items ? seq->cap_items * 2 : 4;
        ol_datum *p = ol_realloc(seq->items, cap * sizeof *p);
        if (!p) return ol_fail(err, OLV_NOMEM, "no memory for a sequence");
        seq->items = p;
        seq->cap_items = cap;
    }
    seq->items[seq->n_items++] = *item;
    return OLV_OK;
}

/* SequenceProto: name 1, elem_type 2, tensors 3, sequences 5, optionals 7; OptionalProto alike. */
static olv_status read_compound(ol_onnx_reader *r, ol_bytes m, bool optional, ol_datum *out, olv_error *err) {
    ol_pb_field f;
    while (ol_pb_next(&m, &f) > 0) {
        if (f.wire != 2 || (f.number != 3 && f.number != 5)) continue;
        ol_datum item = {.kind = OL_VALUE_TENSOR};
        olv_status s = read_value(r, ol_pb_message(&f), f.number == 3 ? OL_VALUE_TENSOR : OL_VALUE_SEQUENCE, false, &item, err);
        if (s == OLV_OK && optional) {
            ol_datum_deinit(out);
            *out = item;
            out->present = true;
        } else if (s == OLV_OK) {
            s = append(out, &item, err);
        }
        if (s != OLV_OK) {
            ol_datum_deinit(&item);
            return s;
        }
    }
    return m.failed ? ol_fail(err, OLV_FORMAT, "malformed value") : OLV_OK;
}

static olv_status read_value(ol_onnx_reader *r, ol_bytes m, ol_value_kind kind, bool sequence_inside, ol_datum *out,
                             olv_error *err) {
    (void)sequence_inside;
    if (++r->depth > 16) return ol_fail(err, OLV_LIMIT, "nested value");
    *out = (ol_datum){.kind = kind, .present = kind != OL_VALUE_OPTIONAL};
    olv_status s;
    if (kind == OL_VALUE_TENSOR) {
        ol_const *c = NULL;
        s = ol_onnx_tensor(r, m, &c, NULL, err);
        if (s == OLV_OK) s = ol_const_materialize(c, SIZE_MAX, &out->tensor, err);
        ol_const_release(c);
    } else {
        s = read_compound(r, m, kind == OL_VALUE_OPTIONAL, out, err);
        if (s == OLV_OK && kind == OL_VALUE_OPTIONAL) out->kind = OL_VALUE_OPTIONAL;
    }
    r->depth--;
    return s;
}

olv_status ol_onnx_read_value(const void *data, size_t len, const ol_type *type, ol_datum *out, olv_error *err) {
    ol_onnx_reader *r = ol_calloc(1, sizeof *r);
    if (!r) return ol_fail(err, OLV_NOMEM, "no memory");
    r->name = "value";
    ol_datum d;
    olv_status s = read_value(r, ol_bytes_of(data, len), type->kind, type->sequence_inside, &d, err);
    if (s == OLV_OK) *out = d;
    ol_free(r);
    return s;
}
