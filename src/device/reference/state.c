/* SPDX-License-Identifier: Apache-2.0 */
#include "device/reference/state.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

typedef struct slot {
    int64_t key[3];
    int64_t width;
    float v[];
} slot;

void ol_reference_state_init(ol_reference_state *s) {
    ol_map_init(&s->slots);
    s->arena = NULL;
}

void ol_reference_state_deinit(ol_reference_state *s) {
    ol_map_deinit(&s->slots);
    if (s->arena) ol_arena_destroy(s->arena);
    s->arena = NULL;
}

static float *find_slot(void *ctx, int64_t state, int32_t sequence, int64_t position, int64_t width, bool make) {
    ol_reference_state *s = ctx;
    int64_t key[3] = {state, sequence, position};
    size_t bytes;
    uint64_t *found = ol_map_get(&s->slots, (ol_str){(const char *)key, sizeof key});
    if (found) {
        slot *old = (slot *)(uintptr_t)*found;
        return old->width == width ? old->v : NULL;
    }
    if (!make || width < 0 || !ol_mul_size((size_t)width, sizeof(float), &bytes)) return NULL;
    if (!s->arena && !(s->arena = ol_arena_create())) return NULL;
    slot *n = ol_arena_alloc(s->arena, sizeof *n + bytes);
    if (!n) return NULL;
    memcpy(n->key, key, sizeof key);
    n->width = width;
    ol_str name = {(const char *)n->key, sizeof key};
    return ol_map_put(&s->slots, name, (uint64_t)(uintptr_t)n) < 0 ? NULL : n->v;
}

/* Without a table: one sequence, its positions those of the input `positions`, or 0, 1, ... */
static int64_t default_rows(const ol_graph *g, const char *const *names, const ol_datum *inputs, size_t n,
                            const ol_tensor **positions) {
    *positions = NULL;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(names[i], "positions") && inputs[i].tensor.dtype == OL_I64) *positions = &inputs[i].tensor;
    if (*positions) return ol_tensor_count(*positions);
    for (size_t i = 0; i < n; i++)
        if (g->n_inputs && !strcmp(names[i], g->inputs[0]->name))
            return inputs[i].tensor.rank > 0 ? inputs[i].tensor.dims[0] : 0;
    return 0;
}

static void set_lengths(ol_reference_access *a) {
    for (int64_t i = 0; i < a->access.n_rows; i++)
        for (int64_t j = 0; j < a->access.n_rows; j++)
            if (a->sequence[j] == a->sequence[i] && a->position[j] >= a->length[i]) a->length[i] = a->position[j] + 1;
}

static bool looks_at_rows(const ol_graph *g) {
    for (const ol_node *n = g->first; n; n = n->next)
        if (!strcmp(n->op->domain, "olivine") &&
            (!strcmp(n->op->name, "Attention") || !strcmp(n->op->name, "RotaryTable")))
            return true;
    return false;
}

olv_status ol_reference_access_init(ol_reference_access *a, ol_reference_state *s, const ol_graph *g,
                                    const ol_reference_rows *rows, const char *const *names, const ol_datum *inputs,
                                    size_t n, olv_error *err) {
    *a = (ol_reference_access){.used = rows || g->n_states > 0 || looks_at_rows(g)};
    if (!a->used) return OLV_OK;
    const ol_tensor *positions = NULL;
    int64_t count = rows ? rows->n : default_rows(g, names, inputs, n, &positions);
    a->sequence = ol_calloc((size_t)count + 1, sizeof *a->sequence);
    a->position = ol_calloc((size_t)count + 1, sizeof *a->position);
    a->length = ol_calloc((size_t)count + 1, sizeof *a->length);
    if (!a->sequence || !a->position || !a->length) {
        ol_reference_access_deinit(a);
        return ol_fail(err, OLV_NOMEM, "no memory for %lld rows", (long long)count);
    }
    for (int64_t i = 0; i < count; i++) {
        a->sequence[i] = rows ? rows->sequence[i] : 0;
        a->position[i] = rows ? rows->position[i] : positions ? ((const int64_t *)positions->data)[i] : i;
    }
    a->access = (ol_state_access){s, count, a->sequence, a->position, a->length, find_slot};
    set_lengths(a);
    return OLV_OK;
}

void ol_reference_access_deinit(ol_reference_access *a) {
    ol_free(a->sequence);
    ol_free(a->position);
    ol_free(a->length);
}
