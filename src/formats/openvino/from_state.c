/* SPDX-License-Identifier: Apache-2.0 */
/* Variables: openvino.h says what becomes of them. */
#include "base/error.h"
#include "formats/openvino/reader.h"

static ol_ir_state *find_state(const ol_ir *t, const char *id) {
    for (ol_ir_state *s = t->r->states; s; s = s->link)
        if (!strcmp(s->id, id)) return s;
    return NULL;
}

static const char *variable(ol_ir *t) {
    const char *id = ol_ir_text(t, "variable_id", "");
    if (!*id) ol_ir_fail(t, OLV_FORMAT, "no variable_id");
    if (t->g->parent) ol_ir_fail(t, OLV_UNSUPPORTED, "a variable inside of a body");
    return id;
}

/* Opset 3 leaves the type to the initial value. */
static bool declare(ol_ir *t, ol_ir_state *s) {
    if (ol_ir_text(t, "variable_type", NULL)) {
        olv_status st = ol_ir_declared(t->l, "variable_type", "variable_shape", t->g->dims, &s->type, t->err);
        if (st != OLV_OK) t->status = st;
    } else {
        const ol_value *init = ol_ir_need(t, 0);
        if (init) s->type = init->type;
    }
    return t->status == OLV_OK;
}

static void read_value(ol_ir *t) {
    const char *id = variable(t);
    if (t->status != OLV_OK) return;
    if (find_state(t, id)) {
        ol_ir_fail(t, OLV_UNSUPPORTED, "variable '%.200s' is read twice", id);
        return;
    }
    ol_ir_state *s = ol_arena_calloc(t->r->arena, 1, sizeof *s), **end = &t->r->states;
    if (!s) {
        ol_ir_fail(t, OLV_NOMEM, "no memory for a state");
        return;
    }
    s->id = id;
    if (!declare(t, s)) return;
    if (!t->r->fresh) t->r->fresh = ol_graph_add_input(t->g, OL_IR_FRESH, &(ol_type){.dtype = OL_BOOL}, t->err);
    s->input = t->r->fresh ? ol_graph_add_input(t->g, id, &s->type, t->err) : NULL;
    if (!s->input) {
        t->status = t->err->status;
        return;
    }
    while (*end) end = &(*end)->link;
    *end = s;
    ol_value *init = ol_ir_has(t, 0) ? ol_ir_in(t, 0) : NULL;
    ol_ir_result(t, 0, "olivine.ReadValue", (ol_value *[]){s->input, t->r->fresh, init}, 3, NULL, 0);
}

/* The ReadValue of the variable may come later in the order: the value is noted then. */
static void assign(ol_ir *t) {
    const char *id = variable(t);
    ol_value *v = ol_ir_need(t, 0);
    ol_ir_state *s = t->status == OLV_OK ? find_state(t, id) : NULL;
    if (!s) {
        ol_ir_fail(t, OLV_UNSUPPORTED, "variable '%.200s' is assigned before it is read, or never read", id);
        return;
    }
    if (s->next) ol_ir_fail(t, OLV_UNSUPPORTED, "variable '%.200s' is assigned twice", id);
    s->next = v;
    ol_ir_set(t, 0, v);
}

const ol_ir_operation ol_ir_states[] = {{"ReadValue", read_value, NULL}, {"Assign", assign, NULL}, {NULL, NULL, NULL}};
