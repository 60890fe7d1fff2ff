/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/openvino/write.h"
#include "base/alloc.h"
#include "base/error.h"
#include "formats/openvino/to_state.h"

static void put_inputs(ol_to *t) {
    for (int i = 0; i < t->g->n_inputs; i++) {
        const ol_value *v = t->g->inputs[i];
        if (ol_to_is_state_input(t->g, v)) continue;
        ol_ir_type type = ol_to_ir_type(t, &v->type);
        t->place[v->id] = ol_ir_add_parameter(t->e, v->name, ol_to_names(t, v), &type);
    }
}

static void put_outputs(ol_to *t) {
    for (int i = 0; i < t->g->n_outputs; i++)
        if (ol_to_is_state_output(t->g, t->g->outputs[i])) ol_to_assign(t, t->g->outputs[i]);
    for (int i = 0; i < t->g->n_outputs; i++) {
        const ol_value *v = t->g->outputs[i];
        if (ol_to_is_state_output(t->g, v)) continue;
        const char *name = ol_arena_printf(ol_ir_arena(t->e), "%s/result", v->name);
        ol_ir_add_result(t->e, name, ol_to_value(t, v));
    }
}

/* What an IR said about itself stays; other models tell where they come from. */
static void put_info(ol_ir_file *f, const ol_graph *g) {
    static const char prefix[] = "rt_info.";
    bool any = false;
    for (int i = 0; i < g->n_meta; i++) {
        if (strncmp(g->meta_keys[i], prefix, strlen(prefix))) continue;
        char *path = ol_arena_strdup(ol_ir_arena(ol_ir_net(f)), g->meta_keys[i] + strlen(prefix));
        for (char *p = path; p && *p; p++)
            if (*p == '.') *p = '/';
        if (path) ol_ir_info(f, path, g->meta_values[i]);
        any = true;
    }
    if (!any) ol_ir_info(f, "conversion_parameters/framework", "olivine");
}

olv_status ol_openvino_write(const ol_graph *g, const char *path, const ol_openvino_write_options *opt, olv_error *err) {
    const ol_ir_options o = {.name = g->name, .compress_to_f16 = opt && opt->compress_to_f16};
    olv_error own;
    ol_ir_file *f;
    if (!err) err = &own;
    if (g->n_states) return ol_fail(err, OLV_UNSUPPORTED, "%.200s: states of a language model have a form of their own", path);
    OL_TRY(ol_ir_begin(path, &o, &f, err));
    ol_to t = {.e = ol_ir_net(f), .g = g, .place = ol_calloc((size_t)g->n_values + 1, sizeof *t.place)};
    if (!t.place) ol_ir_latch(f, OLV_NOMEM);
    for (int i = 0; t.place && i < g->n_values; i++) t.place[i] = OL_IR_NONE;
    if (t.place) {
        put_inputs(&t);
        ol_to_nodes(&t);
        put_outputs(&t);
    }
    put_info(f, g);
    olv_status s = ol_ir_finish(f);
    ol_free(t.place);
    ol_ir_abort(f);
    return s == OLV_OK ? s : ol_error_at(err, "%.200s", path);
}
