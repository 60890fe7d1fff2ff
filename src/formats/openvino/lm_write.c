/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/openvino/lm_write.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- small layers ---- */

void ol_lmw_fail(ol_lmw *w, const ol_node *n, olv_status s, const char *fmt, ...) {
    char text[600];
    if (ol_lmw_failed(w)) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n) s = ol_fail(ol_ir_error(w->f), s, "node '%.120s' (%s): %s", n->name, n->op->name, text);
    else s = ol_fail(ol_ir_error(w->f), s, "%s", text);
    ol_ir_latch(w->f, s);
}

bool ol_lmw_failed(const ol_lmw *w) { return ol_ir_status(w->f) != OLV_OK; }

const char *ol_lmw_text(ol_lmw *w, const char *fmt, ...) {
    char text[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *copy = ol_arena_strdup(ol_ir_arena(w->e), text);
    if (!copy) ol_lmw_fail(w, NULL, OLV_NOMEM, "out of memory");
    return copy ? copy : "";
}

ol_ir_out ol_lmw_add(ol_lmw *w, const char *type, const char *version, const char *name, const ol_ir_out *in, int n_in,
                     const ol_ir_attr *attrs, int n_attrs, const ol_ir_type *out) {
    return ol_ir_add(w->e, &(ol_ir_layer){.type = type, .version = version, .name = name, .in = in, .n_in = n_in, .attrs = attrs,
                                          .n_attrs = n_attrs, .out = out, .n_out = 1});
}

ol_ir_type ol_lmw_type(ol_dtype t, int rank, const int64_t *dims) { return ol_ir_type_of(t, rank, dims); }

ol_ir_out ol_lmw_list(ol_lmw *w, int64_t v) { return ol_ir_const_i64(w->e, &v, 1); }
ol_ir_out ol_lmw_scalar(ol_lmw *w, int64_t v) { return ol_ir_const_i64(w->e, &v, -1); }
ol_ir_out ol_lmw_number(ol_lmw *w, double v) { return ol_ir_const_number(w->e, OL_F32, v); }

ol_ir_out ol_lmw_gather(ol_lmw *w, const char *name, ol_ir_out data, ol_ir_out index, int64_t axis, const ol_ir_type *out) {
    const ol_ir_out in[] = {data, index, ol_lmw_scalar(w, axis)};
    const ol_ir_attr attr = ol_ir_say_text("batch_dims", "0");
    return ol_lmw_add(w, "Gather", "opset8", name, in, 3, &attr, 1, out);
}

ol_ir_out ol_lmw_concat(ol_lmw *w, const char *name, const ol_ir_out *in, int n, int64_t axis, const ol_ir_type *out) {
    const ol_ir_attr attr = ol_ir_say_int(w->e, "axis", axis);
    return ol_lmw_add(w, "Concat", NULL, name, in, n, &attr, 1, out);
}

ol_ir_out ol_lmw_slice(ol_lmw *w, ol_ir_out x, int64_t start, int64_t end, int64_t step, const ol_ir_type *out) {
    const ol_ir_out in[] = {x, ol_lmw_list(w, start), ol_lmw_list(w, end), ol_lmw_list(w, step), ol_lmw_list(w, -1)};
    return ol_lmw_add(w, "Slice", "opset8", NULL, in, 5, NULL, 0, out);
}

const char *const *ol_lmw_names(ol_lmw *w, const ol_node *n) {
    if (n != w->last) return NULL;
    w->named = true;
    return &w->logits;
}

/* ---- values ---- */

int64_t ol_lmw_width(const ol_value *v) { return v->type.rank > 0 ? v->type.dims[v->type.rank - 1] : 1; }

ol_ir_type ol_lmw_row_type(const ol_value *v) {
    const int64_t dims[] = {-1, -1, ol_lmw_width(v) >= 0 ? ol_lmw_width(v) : -1};
    return ol_ir_type_of(OL_F32, 3, dims);
}

int ol_lmw_ints(const ol_node *n, int input, int64_t *out, int max) {
    ol_tensor t;
    if (input >= n->n_inputs || !n->inputs[input]) return 0;
    if (!ol_value_const_tensor(n->inputs[input], 4096, &t)) return -1;
    int64_t count = ol_tensor_count(&t);
    bool ok = count <= max && ol_dtype_class(t.dtype) == 's';
    for (int64_t i = 0; ok && i < count; i++)
        out[i] = t.dtype == OL_I64 ? ((const int64_t *)t.data)[i] : (int64_t)ol_elem_get(t.dtype, t.data, (uint64_t)i);
    ol_tensor_deinit(&t);
    return ok ? (int)count : -1;
}

void ol_lmw_set(ol_lmw *w, const ol_node *n, int output, ol_ir_out out, ol_lmw_form form, int64_t heads) {
    if (output < n->n_outputs && n->outputs[output])
        w->values[n->outputs[output]->id] = (ol_lmw_value){out, form, heads, NULL};
}

ol_ir_out ol_lmw_weight(ol_lmw *w, ol_value *v) {
    ol_lmw_value *x = &w->values[v->id];
    if (x->out.layer >= 0) return x->out;
    const char *name = ol_lmw_text(w, "self.%.500s", v->name);
    ol_dtype t = ol_const_dtype(v->constant);
    bool narrow = ol_dtype_class(t) == 'f' && t != OL_F32;
    ol_ir_out c = ol_ir_const(w->e, narrow ? ol_lmw_text(w, "%s_compressed", name) : name, NULL, v->constant);
    if (narrow) {
        ol_ir_type wide = ol_ir_type_of(OL_F32, ol_const_rank(v->constant), ol_const_dims(v->constant));
        const ol_ir_attr to = ol_ir_say_text("destination_type", "f32");
        c = ol_ir_add(w->e, &(ol_ir_layer){.type = "Convert", .name = name, .in = &c, .n_in = 1, .attrs = &to, .n_attrs = 1,
                                           .out = &wide, .n_out = 1, .rt_info = "decompression"});
    }
    x->out = c;
    x->form = OL_LMW_ROWS;
    return c;
}

static ol_ir_out missing(ol_lmw *w, const ol_value *v) {
    ol_lmw_fail(w, v->producer, OLV_UNSUPPORTED, "value '%.200s' has no place in an OpenVINO model", v->name);
    return OL_IR_NONE;
}

ol_ir_out ol_lmw_rows(ol_lmw *w, ol_value *v) {
    if (v->constant) return ol_lmw_weight(w, v);
    ol_lmw_value *x = &w->values[v->id];
    if (x->out.layer < 0) return missing(w, v);
    if (x->form == OL_LMW_ROWS || x->form == OL_LMW_EXPERTS) return x->out;
    ol_ir_out y = x->out;
    if (x->form == OL_LMW_HEADS) y = ol_ir_add_transpose(w->e, NULL, y, (const int64_t[]){0, 2, 1, 3}, 4);
    y = ol_ir_add_reshape(w->e, NULL, y, (const int64_t[]){0, 0, ol_lmw_width(v)}, 3, true);
    x->out = y;
    x->form = OL_LMW_ROWS;
    return y;
}

ol_ir_out ol_lmw_split(ol_lmw *w, ol_value *v, int64_t heads) {
    const ol_lmw_value *x = &w->values[v->id];
    if (x->out.layer >= 0 && x->form == OL_LMW_SPLIT && x->heads == heads) return x->out;
    if (x->out.layer >= 0 && x->form == OL_LMW_HEADS && x->heads == heads)
        return ol_ir_add_transpose(w->e, NULL, x->out, (const int64_t[]){0, 2, 1, 3}, 4);
    return ol_ir_add_reshape(w->e, NULL, ol_lmw_rows(w, v), (const int64_t[]){0, 0, heads, ol_lmw_width(v) / heads}, 4, true);
}

ol_ir_out ol_lmw_heads(ol_lmw *w, ol_value *v, int64_t heads) {
    const ol_lmw_value *x = &w->values[v->id];
    if (x->out.layer >= 0 && x->form == OL_LMW_HEADS && x->heads == heads) return x->out;
    return ol_ir_add_transpose(w->e, NULL, ol_lmw_split(w, v, heads), (const int64_t[]){0, 2, 1, 3}, 4);
}

/* ---- nodes ---- */

static bool is_op(const ol_node *n, const char *op) { return strcmp(n->op->name, op) == 0; }

/* Names for what is in another place: Identity, casts between float types, the choice of rows for the head. */
static bool is_renaming(const ol_lmw *w, const ol_node *n) {
    if (is_op(n, "Identity")) return true;
    if (is_op(n, "Gather")) return n->inputs[1] == w->output_rows;
    return is_op(n, "Cast") && ol_dtype_class(n->inputs[0]->type.dtype) == 'f' && ol_dtype_class(n->outputs[0]->type.dtype) == 'f';
}

/* Rows of a table; the rows of a table of another type than f32 are those of its f32 form. */
static bool look_up(ol_lmw *w, ol_node *n) {
    if (!is_op(n, "Gather") || !n->inputs[0]->constant || n->inputs[1]->constant || ol_node_int(n, "axis", 0) != 0) return false;
    ol_value *table = n->inputs[0];
    ol_ir_out index = ol_ir_add_convert(w->e, NULL, ol_lmw_rows(w, n->inputs[1]), ol_ir_element_of(OL_I32));
    ol_ir_type t = ol_lmw_row_type(n->outputs[0]);
    const char *name = ol_lmw_text(w, "__module.%.400s/aten::embedding/Gather", table->name);
    ol_lmw_set(w, n, 0, ol_lmw_gather(w, name, ol_lmw_weight(w, table), index, 0, &t), OL_LMW_ROWS, 0);
    return true;
}

static const struct {
    const char *name;
    ol_lmw_handler *run;
} handlers[] = {
    {"Linear", ol_lmw_linear}, {"RMSNormalization", ol_lmw_norm}, {"LayerNormalization", ol_lmw_norm},
    {"HeadNorm", ol_lmw_head_norm}, {"Rotary", ol_lmw_rotary}, {"Attention", ol_lmw_attention},
    {"ExpertLinear", ol_lmw_expert_linear},
};

static void visit(ol_lmw *w, ol_node *n) {
    if (is_renaming(w, n)) {
        ol_lmw_value *from = &w->values[n->inputs[0]->id];
        if (n->inputs[0]->constant) ol_lmw_weight(w, n->inputs[0]);
        w->values[n->outputs[0]->id] = *from;
        return;
    }
    if (is_op(n, "RotaryTable") || is_op(n, "RotaryTableCached")) return; /* made where it is used */
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        if (is_op(n, handlers[i].name)) {
            handlers[i].run(w, n);
            return;
        }
    if (look_up(w, n) || ol_lmw_weigh_experts(w, n) || ol_lmw_plain(w, n)) return;
    ol_lmw_fail(w, n, OLV_UNSUPPORTED, "OpenVINO's language models have no layer for this operator");
}

/* ---- the model ---- */

static olv_status find_inputs(ol_lmw *w, olv_error *err) {
    w->ids = ol_graph_find_value(w->g, "input_ids");
    w->positions = ol_graph_find_value(w->g, "positions");
    w->output_rows = ol_graph_find_value(w->g, "output_rows");
    if (!w->ids || !w->output_rows || w->g->n_outputs != 1)
        return ol_fail(err, OLV_UNSUPPORTED, "the graph is no language model in flat-row form");
    return OLV_OK;
}

static ol_ir_out parameter(ol_lmw *w, const char *name, ol_dtype t, int rank) {
    ol_ir_type type = ol_ir_type_of(t, rank, (const int64_t[]){-1, -1});
    return ol_ir_add_parameter(w->e, name, name, &type);
}

static void put_inputs(ol_lmw *w) {
    w->in_ids = parameter(w, "input_ids", OL_I64, 2);
    w->in_mask = parameter(w, "attention_mask", OL_I64, 2);
    if (w->positions && w->positions->n_uses > 0) w->in_positions = parameter(w, "position_ids", OL_I64, 2);
    w->in_beam = parameter(w, "beam_idx", OL_I32, 1);
    w->values[w->ids->id].out = w->in_ids;
    if (w->positions) w->values[w->positions->id].out = w->in_positions;
    const int64_t two = 2, one = 1;
    ol_ir_type shape = ol_ir_type_of(OL_I64, 1, &two), size = ol_ir_type_of(OL_I64, 1, &one);
    const ol_ir_attr i64 = ol_ir_say_text("output_type", "i64");
    ol_ir_out sizes = ol_lmw_add(w, "ShapeOf", "opset3", NULL, &w->in_ids, 1, &i64, 1, &shape);
    w->batch = ol_lmw_gather(w, NULL, sizes, ol_lmw_list(w, 0), 0, &size);
}

static void put_outputs(ol_lmw *w) {
    ol_value *v = w->g->outputs[0];
    ol_ir_out y = ol_lmw_rows(w, v);
    ol_ir_type t = ol_lmw_row_type(v);
    const ol_ir_attr to = ol_ir_say_text("destination_type", "f32");
    if (!w->named) /* the layer could not carry the name */
        y = ol_ir_add(w->e, &(ol_ir_layer){.type = "Convert", .name = "logits", .in = &y, .n_in = 1, .attrs = &to, .n_attrs = 1,
                                           .out = &t, .n_out = 1, .names = &w->logits});
    for (int i = 0; i < w->n_assigned; i++) {
        const ol_ir_type *s = ol_ir_get_type(w->e, w->assigned[i]);
        if (!s) return;
        t = *s;
        const ol_ir_attr id = ol_ir_say_text("variable_id", w->variables[i]);
        ol_lmw_add(w, "Assign", "opset6", NULL, &w->assigned[i], 1, &id, 1, &t);
    }
    ol_ir_add_result(w->e, "Result_logits", y);
}

static uint64_t constant_size(const ol_node *n) {
    uint64_t sum = 0;
    for (int i = 0; i < n->n_inputs; i++) {
        const ol_const *c = n->inputs[i] ? n->inputs[i]->constant : NULL;
        if (c) sum += (uint64_t)ol_const_rows(c) * (uint64_t)ol_const_width(c);
    }
    return sum;
}

static olv_status put_nodes(ol_lmw *w, const ol_openvino_lm_options *opt) {
    uint64_t done = 0, total = 0;
    for (const ol_node *n = w->g->first; n; n = n->next) total += constant_size(n);
    for (ol_node *n = w->g->first; n && !ol_lmw_failed(w); n = n->next) {
        visit(w, n);
        uint64_t more = constant_size(n);
        done += more;
        if (more && opt->progress && !opt->progress(opt->ctx, done, total)) ol_lmw_fail(w, NULL, OLV_CANCELLED, "cancelled");
    }
    if (!ol_lmw_failed(w) && w->n_layers == 0) ol_lmw_fail(w, NULL, OLV_UNSUPPORTED, "the graph has no attention");
    return ol_ir_status(w->f);
}

static olv_status write_model(ol_lmw *w, const char *path, const ol_openvino_lm_options *opt, olv_error *err) {
    int attention = 0;
    for (const ol_node *n = w->g->first; n; n = n->next) attention += is_op(n, "Attention");
    size_t n_values = (size_t)w->g->n_values + 1, n_states = 2 * (size_t)attention + 1;
    w->values = ol_calloc(n_values, sizeof *w->values);
    w->assigned = ol_calloc(n_states, sizeof *w->assigned);
    w->variables = ol_calloc(n_states, sizeof(*w->variables));
    if (!w->values || !w->assigned || !w->variables) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < n_values; i++) w->values[i].out = OL_IR_NONE;
    w->in_positions = w->past = OL_IR_NONE;
    OL_TRY(ol_ir_begin(path, &(ol_ir_options){.name = "Model0", .compress_to_f16 = opt->compress_to_f16}, &w->f, err));
    w->e = ol_ir_net(w->f);
    const ol_value *logits = w->g->outputs[0];
    while (logits->producer && is_renaming(w, logits->producer)) logits = logits->producer->inputs[0];
    const char *one = "logits";
    w->last = logits->producer;
    w->logits = ol_ir_names(w->e, &one, 1);
    put_inputs(w);
    OL_TRY(put_nodes(w, opt));
    put_outputs(w);
    ol_ir_info(w->f, "conversion_parameters/framework", "pytorch");
    return ol_ir_finish(w->f);
}

olv_status ol_openvino_lm_write(ol_graph *g, const char *folder, const ol_openvino_lm_options *opt, olv_error *err) {
    olv_error local = {OLV_OK, ""};
    ol_lmw w;
    memset(&w, 0, sizeof w);
    w.g = g;
    char *path = ol_path_join(folder, OL_OPENVINO_MODEL);
    olv_status s = path ? find_inputs(&w, &local) : ol_fail(&local, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) s = write_model(&w, path, opt, &local);
    ol_ir_abort(w.f);
    ol_free(w.values);
    ol_free(w.assigned);
    ol_free(w.variables);
    ol_free(path);
    if (s != OLV_OK && err) *err = local;
    return s;
}
