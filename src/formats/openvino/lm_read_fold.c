/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic of small constants, and of choices between two of them: frequencies that are scaled as the model runs. */
#include "formats/openvino/lm_read.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>

#define MAX_VALUES 65536

static double apply(const char *op, double a, double b) {
    if (strcmp(op, "Mul") == 0) return a * b;
    if (strcmp(op, "Div") == 0) return a / b;
    if (strcmp(op, "Add") == 0) return a + b;
    if (strcmp(op, "Sub") == 0) return a - b;
    return pow(a, b);
}

static int64_t count_of(const ol_const *c) { return ol_const_rows(c) * ol_const_width(c); }

static bool fits(const ol_const *c) { return c && ol_dtype_class(ol_const_dtype(c)) == 'f' && count_of(c) >= 1 && count_of(c) <= MAX_VALUES; }

/* a op b as f32 in one row: equal counts, or one of them a single number. */
static ol_const *combine(ol_translate *tr, const char *op, const ol_const *a, const ol_const *b) {
    int64_t na = count_of(a), nb = count_of(b), n = na > nb ? na : nb;
    float *x = ol_calloc((size_t)na, sizeof *x), *y = ol_calloc((size_t)nb, sizeof *y), *z = ol_calloc((size_t)n, sizeof *z);
    bool ok = x && y && z;
    ol_const *c = NULL;
    if (!ok) ol_fail(tr->err, OLV_NOMEM, "out of memory");
    ok = ok && ol_const_rows_f32(a, 0, ol_const_rows(a), x, tr->err) == OLV_OK && ol_const_rows_f32(b, 0, ol_const_rows(b), y, tr->err) == OLV_OK;
    for (int64_t i = 0; ok && i < n; i++) z[i] = (float)apply(op, (double)x[na == 1 ? 0 : i], (double)y[nb == 1 ? 0 : i]);
    if (ok) c = ol_const_bytes(OL_F32, 1, &n, z, (size_t)n * sizeof *z, NULL, ol_free, tr->err);
    ol_free(x);
    ol_free(y);
    if (!c) ol_free(z);
    return c;
}

ol_verdict ol_lmr_fold(ol_translate *tr, const ol_node *n) {
    static const char *const ops[] = {"Mul", "Div", "Add", "Sub", "Pow"};
    const ol_old *a = ol_tr_in(tr, n, 0), *b = ol_tr_in(tr, n, 1);
    bool known = false, two = a->kind == OL_OLD_CHOICE || b->kind == OL_OLD_CHOICE;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) known = known || strcmp(n->op->name, ops[i]) == 0;
    if (!known || !a->c || !b->c || !fits(a->c) || !fits(b->c)) return OL_PASSED;
    if (count_of(a->c) != count_of(b->c) && count_of(a->c) != 1 && count_of(b->c) != 1) return OL_PASSED;
    ol_const *yes = combine(tr, n->op->name, a->c, b->c), *no = NULL;
    if (yes && two) no = combine(tr, n->op->name, a->kind == OL_OLD_CHOICE ? a->c2 : a->c, b->kind == OL_OLD_CHOICE ? b->c2 : b->c);
    if (!yes || (two && !no)) {
        ol_const_release(yes);
        return OL_FAILED;
    }
    ol_old *o = &tr->known[n->outputs[0]->id];
    o->kind = two ? OL_OLD_CHOICE : OL_OLD_CONST;
    o->c = yes;
    o->c2 = no;
    o->source = n->outputs[0];
    o->threshold = a->kind == OL_OLD_CHOICE ? a->threshold : b->threshold;
    return OL_DONE;
}

/* A view of a choice. */
ol_verdict ol_lmr_view_choice(ol_translate *tr, const ol_node *n) {
    const ol_old *from = ol_tr_in(tr, n, 0);
    ol_old *o = &tr->known[n->outputs[0]->id];
    o->kind = OL_OLD_CHOICE;
    o->c = ol_const_retain(from->c);
    o->c2 = ol_const_retain(from->c2);
    o->source = from->source;
    o->threshold = from->threshold;
    return OL_DONE;
}
