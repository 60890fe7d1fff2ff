/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/error.h"
#include "formats/ortgenai/write.h"

#include <inttypes.h>
#include <stdio.h>

static const char *one(ol_og_writer *w, const char *op, const char *name, const char *const *in, int n_in,
                       const ol_og_attr *attrs) {
    const char *out = ol_og_text(w, "/model/attn_mask_reformat/%s/output_0", name);
    ol_og_node(&w->m, "", op, ol_og_text(w, "/model/attn_mask_reformat/%s", name), in, n_in, &out, 1, attrs);
    return out;
}

/* seqlens_k [B] = sum of the mask − 1, total_sequence_length = its width; both i32. */
void ol_og_mask(ol_og_writer *w) {
    int64_t v = 1;
    const char *list = ol_og_ints(w, &v, 1), *number = ol_og_ints(w, &v, -1);
    const ol_og_attr drop[] = {OL_OG_I("keepdims", 0), OL_OG_END}, to_i32[] = {OL_OG_I("to", 6), OL_OG_END},
                     axis[] = {OL_OG_I("axis", 0), OL_OG_END};
    const char *sum = one(w, "ReduceSum", "ReduceSum", (const char *const[]){"attention_mask", list}, 2, drop);
    const char *less = one(w, "Sub", "Sub", (const char *const[]){sum, list}, 2, NULL);
    w->seqlens = one(w, "Cast", "Sub/Cast", &less, 1, to_i32);
    const char *mask = "attention_mask", *shape = one(w, "Shape", "Shape", &mask, 1, NULL);
    const char *width = one(w, "Gather", "Gather", (const char *const[]){shape, number}, 2, axis);
    w->total = one(w, "Cast", "Gather/Cast", &width, 1, to_i32);
}

/* ---- rotary caches ---- */

/* Frequencies of an input of RotaryTable, in the arena. */
static const float *frequencies(ol_og_writer *w, const ol_node *n, int input, int64_t *half) {
    const ol_const *c = input < n->n_inputs && n->inputs[input] ? n->inputs[input]->constant : NULL;
    *half = c ? ol_const_width(c) : 0;
    float *f = c ? ol_arena_calloc(w->arena, (size_t)*half, sizeof *f) : NULL;
    if (f && ol_const_rows_f32(c, 0, 1, f, w->err) == OLV_OK) return f;
    ol_og_fail(w, n, c ? OLV_NOMEM : OLV_UNSUPPORTED, "no frequencies");
    return NULL;
}

static const char *put_cache(ol_og_writer *w, const ol_node *n, const char *name, int input, double factor, bool sine) {
    int64_t half;
    const float *f = frequencies(w, n, input, &half);
    ol_og_rope rope = {f, half, factor, sine};
    ol_og_tensor *t = f ? ol_og_data_rope(&w->d, name, &rope, w->context, w->io) : NULL;
    if (!t) {
        ol_og_fail(w, n, OLV_NOMEM, "out of memory");
        return NULL;
    }
    ol_og_external(&w->m, name, ol_dtype_onnx(w->io), (int64_t[]){w->context, half}, 2, OL_OG_DATA_NAME, t->offset[0],
                   (uint64_t)t->rows * t->row_bytes[0]);
    return name;
}

/* A branch that gives two initializers of the outer graph back. */
static void branch(ol_og_model *sub, ol_og_writer *w, const char *tag, const char *const *from, int64_t half) {
    for (int i = 0; i < 2; i++) {
        const char *out = ol_og_text(w, "%s_%s", from[i], tag);
        ol_og_node(sub, "", "Identity", ol_og_text(w, "/model/rotemb_caches/%s/%d", tag, i), &from[i], 1, &out, 1, NULL);
        ol_og_output(sub, out, w->io, (ol_og_dim[]){{w->context, NULL}, {half, NULL}}, 2);
    }
}

/* Two pairs of caches, chosen by the length of the sequence. */
static void choose_caches(ol_og_writer *w, const ol_node *n, const char **out) {
    double f_short = (double)ol_node_float(n, "attention_factor", 1), f_long = (double)ol_node_float(n, "attention_factor_long", 1);
    const char *small[] = {ol_og_text(w, "%s_small", out[0]), ol_og_text(w, "%s_small", out[1])};
    const char *large[] = {ol_og_text(w, "%s_large", out[0]), ol_og_text(w, "%s_large", out[1])};
    for (int i = 0; i < 2; i++) {
        put_cache(w, n, small[i], 1, f_short, i == 1);
        put_cache(w, n, large[i], 2, f_long, i == 1);
    }
    if (w->failed) return;
    int64_t half = ol_const_width(n->inputs[1]->constant);
    int32_t limit = (int32_t)ol_node_int(n, "original_length", INT32_MAX);
    const char *bound = ol_og_text(w, "/model/constants/INT32/%d", w->counter++), *cond = ol_og_fresh(w, n, "Greater/output_0");
    ol_og_inline(&w->m, bound, ol_dtype_onnx(OL_I32), NULL, 0, &limit, sizeof limit);
    ol_og_node(&w->m, "", "Greater", ol_og_fresh(w, n, "Greater"), (const char *const[]){w->total, bound}, 2, &cond, 1, NULL);
    ol_og_model yes, no;
    memset(&yes, 0, sizeof yes);
    memset(&no, 0, sizeof no);
    branch(&yes, w, "long", large, half);
    branch(&no, w, "short", small, half);
    ol_og_attr attrs[] = {OL_OG_G("then_branch", &yes), OL_OG_G("else_branch", &no), OL_OG_END};
    ol_og_node(&w->m, "", "If", "/model/rotemb_caches/If", &cond, 1, out, 2, attrs);
    if (yes.failed || no.failed) w->m.failed = true;
    ol_og_deinit(&yes);
    ol_og_deinit(&no);
}

/* Names of cos and sin cache of a table node; made once. NULL after a failure. */
static const char *const *caches(ol_og_writer *w, const ol_node *table) {
    for (int i = 0; i < w->n_caches; i++)
        if (w->cache_nodes[i] == table) return w->caches[i];
    if (w->n_caches == 8) return ol_og_fail(w, table, OLV_UNSUPPORTED, "more than 8 rotary tables"), NULL;
    const char **out = w->caches[w->n_caches];
    const char *tag = w->n_caches ? ol_og_text(w, "_%d", w->n_caches) : "";
    out[0] = ol_og_text(w, "cos_cache%s", tag);
    out[1] = ol_og_text(w, "sin_cache%s", tag);
    w->cache_nodes[w->n_caches++] = table;
    if (strcmp(table->op->name, "RotaryTableCached") == 0) {
        out[0] = ol_og_vector(w, table->inputs[1]);
        out[1] = ol_og_vector(w, table->inputs[2]);
    } else {
        ol_str mode = ol_node_string(table, "mode", "plain");
        if (ol_str_is(mode, "longrope")) {
            choose_caches(w, table, out);
        } else if (ol_str_is(mode, "plain")) {
            double factor = (double)ol_node_float(table, "attention_factor", 1);
            put_cache(w, table, out[0], 1, factor, false);
            put_cache(w, table, out[1], 1, factor, true);
        } else {
            ol_og_fail(w, table, OLV_UNSUPPORTED, "rotation of kind '%.*s' cannot be written as a table", (int)mode.len, mode.ptr);
        }
    }
    return w->failed ? NULL : out;
}

static ol_node *producer(const ol_value *v, const char *op) {
    return v && v->producer && strcmp(v->producer->op->name, op) == 0 ? v->producer : NULL;
}

/* A rotation outside of attention: RotaryEmbedding over position_ids. */
const char *ol_og_rotary(ol_og_writer *w, ol_node *n, const char *out) {
    const char *x = ol_og_name(w, n->inputs[0]), *const *c = caches(w, n->inputs[1]->producer);
    if (!x || !c) return NULL;
    int64_t heads = ol_node_int(n, "heads", 1), d = n->inputs[0]->type.dims[1] / heads, dim = n->inputs[1]->type.dims[1];
    w->uses_positions = true;
    const char *in[] = {x, "position_ids", c[0], c[1]};
    ol_og_attr attrs[] = {OL_OG_I("interleaved", ol_node_int(n, "interleaved", 0)), OL_OG_I("num_heads", d == dim ? 0 : heads),
                          OL_OG_I("rotary_embedding_dim", d == dim ? 0 : dim), OL_OG_END};
    ol_og_node(&w->m, "com.microsoft", "RotaryEmbedding", ol_og_fresh(w, n, "RotaryEmbedding"), in, 4, &out, 1, attrs);
    return out;
}

/* ---- attention ---- */

/* The Linear that gives only this value, with a constant weight. */
static ol_node *own_linear(ol_og_writer *w, ol_value *v) {
    v = ol_og_root(w, v);
    ol_node *l = producer(v, "Linear");
    return l && v->n_uses == 1 && !w->names[v->id] && l->inputs[1]->constant && l->inputs[1]->n_uses == 1 ? l : NULL;
}

static bool same_form(const ol_const *a, const ol_const *b) {
    const ol_qconst *p = ol_const_quant_form(a), *q = ol_const_quant_form(b);
    if (!p || !q) return !p && !q;
    return p->code == q->code && p->group == q->group && p->scale_dtype == q->scale_dtype && p->zero_dtype == q->zero_dtype &&
           p->row_bytes == q->row_bytes && p->global_scale == q->global_scale && p->perm == q->perm;
}

/* Biases of three layers one after the other, zeros where one has none. */
static ol_const *join_biases(ol_og_writer *w, ol_node *const *l) {
    int64_t n = 0, at = 0, rows[3];
    bool any = false;
    for (int i = 0; i < 3; i++) {
        n += rows[i] = ol_const_dims(l[i]->inputs[1]->constant)[0];
        any = any || (l[i]->n_inputs > 2 && l[i]->inputs[2]);
    }
    float *v = any ? ol_calloc((size_t)n, sizeof *v) : NULL;
    if (!v) return NULL;
    olv_status s = OLV_OK;
    for (int i = 0; i < 3 && s == OLV_OK; at += rows[i++])
        if (l[i]->n_inputs > 2 && l[i]->inputs[2]) s = ol_const_rows_f32(l[i]->inputs[2]->constant, 0, 1, v + at, w->err);
    ol_const *c = s == OLV_OK ? ol_const_bytes(OL_F32, 1, &n, v, (size_t)n * sizeof *v, NULL, ol_free, w->err) : NULL;
    if (!c) {
        ol_free(v);
        w->failed = true;
    }
    return c;
}

/* One product for q, k and v where they come from the same rows in the same form; NULL when they do not. */
static const char *packed(ol_og_writer *w, const ol_node *n, ol_value *const *qkv) {
    ol_node *l[3];
    if (w->opt->target == OL_ORTGENAI_DML) return NULL;
    for (int i = 0; i < 3; i++) {
        l[i] = own_linear(w, qkv[i]);
        if (!l[i] || l[i]->inputs[0] != l[0]->inputs[0] || !same_form(l[i]->inputs[1]->constant, l[0]->inputs[1]->constant))
            return NULL;
    }
    for (int i = 0; i < 3; i++)
        if (l[i]->n_inputs > 2 && l[i]->inputs[2] && !l[i]->inputs[2]->constant) return NULL;
    ol_const *parts[] = {l[0]->inputs[1]->constant, l[1]->inputs[1]->constant, l[2]->inputs[1]->constant};
    ol_const *all = ol_const_concat_rows(parts, 3, w->err);
    if (!all) {
        w->failed = true;
        return NULL;
    }
    ol_const *bias = join_biases(w, l);
    ol_og_weight *record = NULL;
    const char *base = ol_og_text(w, "model.layers.%d.attn.qkv_proj", w->n_layers), *out = ol_og_fresh(w, n, "qkv_proj/output_0");
    const char *y = ol_og_product(w, l[0], ol_og_name(w, l[0]->inputs[0]), all, base, &record, bias, out);
    ol_const_release(bias);
    return y;
}

static const char *unsupported(const ol_og_writer *w, const ol_node *n) {
    const ol_type *k = &n->inputs[1]->type, *v = &n->inputs[2]->type;
    if (n->n_inputs > 4 && n->inputs[4]) return "ALiBi biases";
    if (!ol_node_int(n, "causal", 1)) return "attention that is not causal";
    if (k->dims[1] != v->dims[1]) return "keys and values of different sizes";
    (void)w;
    return NULL;
}

static void put_kv(ol_og_writer *w, int64_t kv_heads, int64_t d) {
    w->kv_heads = kv_heads;
    w->head_dim = d;
}

void ol_og_attention(ol_og_writer *w, ol_node *n) {
    int64_t heads = ol_node_int(n, "heads", 1), kv = ol_node_int(n, "kv_heads", heads);
    const char *why = unsupported(w, n);
    if (why) {
        ol_og_fail(w, n, OLV_UNSUPPORTED, "%s", why);
        return;
    }
    int64_t d = n->inputs[1]->type.dims[1] / kv;
    ol_value *qkv[3] = {ol_og_root(w, n->inputs[0]), ol_og_root(w, n->inputs[1]), ol_og_root(w, n->inputs[2])};
    ol_node *rq = producer(qkv[0], "Rotary"), *rk = producer(qkv[1], "Rotary");
    const char *in[12] = {NULL}, *const *c = NULL;
    /* The operator rotates in units of 8 pairs; odd sizes go through RotaryEmbedding. */
    bool inside = rq && rk && rq->inputs[1]->type.dims[1] % 16 == 0 && w->opt->target != OL_ORTGENAI_DML && rq->inputs[1] == rk->inputs[1] &&
                  ol_node_int(rq, "interleaved", 0) == ol_node_int(rk, "interleaved", 0);
    if (inside) {
        if (!(c = caches(w, rq->inputs[1]->producer))) return;
        qkv[0] = rq->inputs[0];
        qkv[1] = rk->inputs[0];
    }
    in[0] = packed(w, n, qkv);
    for (int i = 0; i < 3 && !in[0] && !w->failed; i++) {
        in[0] = ol_og_name(w, qkv[0]);
        in[1] = ol_og_name(w, qkv[1]);
        in[2] = ol_og_name(w, qkv[2]);
    }
    in[3] = ol_og_text(w, "past_key_values.%d.key", w->n_layers);
    in[4] = ol_og_text(w, "past_key_values.%d.value", w->n_layers);
    in[5] = w->seqlens;
    in[6] = w->total;
    in[7] = inside ? c[0] : NULL;
    in[8] = inside ? c[1] : NULL;
    in[11] = n->n_inputs > 3 && n->inputs[3] ? ol_og_vector(w, n->inputs[3]) : NULL;
    int64_t window = ol_node_int(n, "window", 0);
    const char *out[] = {ol_og_fresh(w, n, "output_0"), ol_og_text(w, "present.%d.key", w->n_layers),
                         ol_og_text(w, "present.%d.value", w->n_layers)};
    ol_og_attr attrs[] = {OL_OG_I("num_heads", heads), OL_OG_I("kv_num_heads", kv),
                          OL_OG_F("scale", ol_node_float(n, "scale", 0)), OL_OG_I("local_window_size", window > 0 ? window : -1),
                          OL_OG_F("softcap", ol_node_float(n, "softcap", 0)), OL_OG_I("do_rotary", inside),
                          OL_OG_I("rotary_interleaved", inside ? ol_node_int(rq, "interleaved", 0) : 0), OL_OG_END};
    if (w->failed) return;
    ol_og_node(&w->m, "com.microsoft", "GroupQueryAttention", ol_og_text(w, "/model/layers.%d/attn/GroupQueryAttention", w->n_layers),
               in, 12, out, 3, attrs);
    w->names[n->outputs[0]->id] = out[0];
    const ol_og_dim past[] = {{-1, "batch_size"}, {kv, NULL}, {-1, "past_sequence_length"}, {d, NULL}};
    const ol_og_dim now[] = {{-1, "batch_size"}, {kv, NULL}, {-1, "total_sequence_length"}, {d, NULL}};
    ol_og_input(&w->m, in[3], w->io, past, 4);
    ol_og_input(&w->m, in[4], w->io, past, 4);
    ol_og_output(&w->m, out[1], w->io, now, 4);
    ol_og_output(&w->m, out[2], w->io, now, 4);
    w->n_heads = heads;
    put_kv(w, kv, d);
    w->n_layers++;
}
