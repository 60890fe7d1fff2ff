/* SPDX-License-Identifier: Apache-2.0 */
/* olivine.Linear of codes by a constant matrix of 8 bits: rows of codes as they lie, times panels packed once per plan. */
#include "base/error.h"
#include "device/cpu/codes.h"
#include "device/cpu/cpu.h"
#include "device/cpu/int8_weights.h"
#include <string.h>

#define ROW_TILE 48
#define TILE_PANELS 4
#define FORM_INT8 113 /* prepared form */

typedef struct linear_args {
    int x, y;
    ol_dim rows;
    int64_t k, n, panels;
    const int8_t *weights;
    ol_int8_ends ends;
    const olk_int8 *int8;
} linear_args;

static unsigned tiles(const ol_step *s, const ol_run *r) {
    const linear_args *a = s->args;
    return (unsigned)((ol_cpu_rows(r, a->rows) + ROW_TILE - 1) / ROW_TILE * ((a->panels + TILE_PANELS - 1) / TILE_PANELS));
}

static void run(const ol_step *s, const ol_run *r, unsigned tile, void *scratch) {
    const linear_args *a = s->args;
    int64_t rows = ol_cpu_rows(r, a->rows), pieces = (a->panels + TILE_PANELS - 1) / TILE_PANELS, nb = a->int8->nb;
    int64_t m0 = tile / pieces * ROW_TILE, m = rows - m0 < ROW_TILE ? rows - m0 : ROW_TILE, p0 = tile % pieces * TILE_PANELS;
    const uint8_t *x = (const uint8_t *)ol_run_buffer(r, a->x) + m0 * a->k, *at[ROW_TILE];
    char *y = ol_run_buffer(r, a->y);
    int32_t sums[ROW_TILE];
    olk_int8_tile t = {.rows = at, .row_step = ROW_TILE, .places = 1, .k = a->k, .m = m, .ldy = a->n};
    (void)scratch;
    for (int64_t i = 0; i < m; i++) at[i] = x + i * a->k;
    if (a->ends.weight_zero) olk_int8_row_sums(at, ROW_TILE, 1, a->k, m, sums), t.row_sum = sums;
    for (int64_t p = p0; p < p0 + TILE_PANELS && p < a->panels; p++) {
        olk_int8_end end = ol_int8_end(&a->ends, p * nb);
        t.n = a->n - p * nb < nb ? a->n - p * nb : nb;
        t.end = &end;
        t.weights = a->weights + p * olk_int8_panel_bytes(a->int8, 1, a->k);
        t.y = y + (m0 * a->n + p * nb) * (end.codes ? 1 : (int64_t)sizeof(float));
        a->int8->multiply(&t);
    }
}
static const ol_step_class linear_class = {"linear int8", tiles, NULL, NULL, run};

typedef struct packing {
    const linear_args *a;
    const int8_t *codes;
    int8_t *to;
} packing;

static void pack_panel(void *ctx, size_t i, int lane) {
    const packing *p = ctx;
    const linear_args *a = p->a;
    int64_t j = (int64_t)i * a->int8->nb, n = a->n - j;
    (void)lane;
    olk_int8_pack(p->codes + j * a->k, a->k, 0, 1, n < a->int8->nb ? n : a->int8->nb, 1, a->k, a->int8->nb, p->to + (int64_t)i * olk_int8_panel_bytes(a->int8, 1, a->k));
}

static olv_status emit(ol_lowering *l, ol_node *n, linear_args *a, const ol_int8_weights *w, const ol_codes *x, olv_error *err) {
    ol_int8_result result = ol_int8_result_of(l, n->outputs[0]);
    bool made;
    OL_TRY(ol_int8_make_ends(l, w, n->n_inputs > 2 ? n->inputs[2] : NULL, x, &result, 1, a->n, a->int8->nb, &a->ends, err));
    ol_prepared_item *item = ol_prepare(l->prepared, n->name, w->source, FORM_INT8, (size_t)(a->panels * olk_int8_panel_bytes(a->int8, 1, a->k)), &made);
    if (!item) return ol_fail(err, OLV_NOMEM, "no memory for weight '%s'", n->inputs[1]->name);
    packing p = {a, w->codes, item->data};
    a->weights = item->data;
    if (made) ol_lower_for(l, (size_t)a->panels, pack_panel, &p);
    a->x = ol_cpu_codes_buffer(l, n->inputs[0], false);
    a->y = a->x >= 0 ? ol_int8_take_result(l, &result, false) : -1;
    return ol_int8_add_step(l, &linear_class, n, a, a->int8->name, a->x, a->y, err);
}

olv_status ol_cpu_lower_int8_linear(ol_lowering *l, ol_node *n, olv_error *err) {
    const ol_codes *x = ol_cpu_codes_of(l, n->inputs[0]);
    ol_int8_weights w = {0};
    if (!x || x->buffer < 0 || !n->inputs[1]->constant) return ol_fail(err, OLV_UNSUPPORTED, "no codes");
    linear_args *a = ol_arena_calloc(l->arena, 1, sizeof *a);
    if (!a) return ol_fail(err, OLV_NOMEM, "no memory for the plan");
    OL_TRY(ol_int8_weights_of_const(n->inputs[1]->constant, &w, err));
    a->int8 = olk_int8_select(l->opt.cpu);
    a->rows = ol_lower_rows(l, n->inputs[0]);
    a->k = w.k, a->n = w.outputs;
    a->panels = (a->n + a->int8->nb - 1) / a->int8->nb;
    olv_status s = a->k == ol_lower_width(n->inputs[0]) && a->k <= OLK_INT8_MOST_PRODUCTS ? emit(l, n, a, &w, x, err) : ol_fail(err, OLV_UNSUPPORTED, "no kernel");
    ol_int8_weights_deinit(&w);
    return s;
}
