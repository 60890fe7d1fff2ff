/* SPDX-License-Identifier: Apache-2.0 */
/* Variables that live between runs, as the reader of IR leaves them: a graph input per variable and one that says that a run
 * is the first become ReadValue layers, the outputs NAME.next Assign layers. */
#include "formats/openvino/to_state.h"
#include "formats/openvino/openvino.h"
#include <stdio.h>

bool ol_to_is_state(const ol_graph *g, const char *name, size_t len) {
    const char *list = ol_graph_get_meta(g, "states");
    for (const char *p = list; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t n = strcspn(p, "\n");
        if (n == len && !memcmp(p, name, n)) return true;
    }
    return false;
}

bool ol_to_is_state_input(const ol_graph *g, const ol_value *v) {
    return !g->parent && (ol_to_is_state(g, v->name, strlen(v->name)) || (ol_graph_get_meta(g, "states") && !strcmp(v->name, OL_IR_FRESH)));
}

/* Length of the variable's name in that of an output NAME.next; 0 for other outputs. */
static size_t next_of(const ol_graph *g, const ol_value *v) {
    size_t n = strlen(v->name), end = strlen(".next");
    return !g->parent && n > end && !strcmp(v->name + n - end, ".next") && ol_to_is_state(g, v->name, n - end) ? n - end : 0;
}

bool ol_to_is_state_output(const ol_graph *g, const ol_value *v) { return next_of(g, v) > 0; }

/* What both layers say about their variable. */
static int variable(ol_to *t, const char *id, const ol_type *x, ol_ir_attr *a) {
    ol_ir_type type = ol_to_ir_type(t, x);
    a[0] = ol_ir_say_text("variable_id", id);
    a[1] = ol_ir_say_text("variable_type", type.element->name);
    a[2] = ol_ir_say_text("variable_shape", ol_ir_shape_text(t->e, &type));
    return 3;
}

void ol_to_read_value(ol_to *t, const ol_node *n, const ol_to_rule *r) {
    (void)r;
    ol_ir_attr attrs[3];
    const ol_value *state = n->inputs[0];
    if (state->graph != t->g || !ol_to_is_state(t->g, state->name, strlen(state->name))) {
        ol_to_refuse(t, "a state that is no variable of the model");
        return;
    }
    int k = variable(t, state->name, &state->type, attrs);
    const ol_ir_out init = ol_to_in(t, n, 2);
    ol_to_put(t, n, "ReadValue", "opset6", &init, ol_to_has(n, 2) ? 1 : 0, attrs, k, 1);
}

void ol_to_assign(ol_to *t, const ol_value *v) {
    size_t n = next_of(t->g, v);
    const char *id = ol_arena_strndup(ol_ir_arena(t->e), v->name, n);
    int at = id ? ol_graph_find_input(t->g, id) : -1;
    ol_ir_attr attrs[1] = {ol_ir_say_text("variable_id", id)};
    ol_ir_type type = ol_to_ir_type(t, at >= 0 ? &t->g->inputs[at]->type : &v->type);
    const ol_ir_out x = ol_to_value(t, v);
    ol_ir_add(t->e, &(ol_ir_layer){.type = "Assign", .version = "opset6", .in = &x, .n_in = 1, .attrs = attrs, .n_attrs = 1, .out = &type, .n_out = 1});
}
