/* SPDX-License-Identifier: Apache-2.0 */
/* The best plan of a given size: a knapsack in which each layer takes one of several forms.
 *
 * The loss of a form is measured: the squared error that rounding leaves, over the sum of squares, so that layers of large and small
 * weights count alike; with data, columns count by the mean square of the inputs they meet, which makes it the relative error of
 * the layer's output. Sizes are exact bytes. Dynamic programming over sizes in whole steps finds the least sum of losses; a step is a
 * fraction of what the layers' sizes differ by, and what rounding to steps left over is given back to the layers that gain most. */
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "compress/compress.h"
#include "compress/measure.h"
#include "compress/round.h"
#include "tensor/qconst_form.h"
#include <math.h>
#include <string.h>

#define MAX_FORMS 12
#define STEPS 40000

typedef struct form {
    olv_weight_spec spec;
    uint64_t bytes;
    double loss;
} form;

typedef struct layer {
    ol_compress_entry *entry;
    form forms[MAX_FORMS]; /* from small to large, each better than the ones before */
    int n, chosen;
} layer;

typedef struct budget {
    layer *layers;
    size_t n;
    uint64_t limit; /* bytes for these layers */
} budget;

static uint64_t form_bytes(const ol_qconst *q) {
    return (uint64_t)q->rows * (q->row_bytes + ol_qconst_scale_row_bytes(q) + q->zero_row_bytes);
}

/* Bits of a weight count scales as f16 whatever they are written as; bytes count what is written. */
static uint64_t table_bytes(const ol_compress_entry *e, bool bits) {
    const ol_qconst *q = ol_const_quant_form(e->result);
    if (q && !bits && q->code != OL_Q_BLOCK) return form_bytes(q);
    return (uint64_t)ceil((double)e->rows * (double)e->k * e->bits_after / 8);
}

/* ---- the forms of a layer ---- */

/* The kind of weights that was asked for in all its groups, and 8 bits. */
static int list_forms(const olv_compress_params *p, olv_weight_spec *out) {
    static const int32_t groups[] = {256, 128, 64, 32};
    bool asym = ol_weight_asym(p->weights.type);
    int n = 0;
    olv_weight_spec s = p->weights;
    int32_t fixed = s.type == OLV_WEIGHT_MXFP4 || s.type == OLV_WEIGHT_NVFP4 || s.type == OLV_WEIGHT_MXFP8_E4M3 ? s.group_size : 0;
    for (int i = 0; i < 4 && ol_weight_bits(s.type) < 8; i++) {
        s.group_size = fixed ? fixed : groups[i];
        out[n++] = s;
        if (fixed) break;
    }
    s.type = asym ? OLV_WEIGHT_INT8_ASYM : OLV_WEIGHT_INT8_SYM;
    static const int32_t eight[] = {-1, 128, 32};
    for (int i = 0; i < 3; i++) {
        s.group_size = eight[i];
        out[n++] = s;
    }
    return n;
}

/* Keeps forms in the order of their sizes, without those that another one of at most the same size beats. */
static void insert(layer *l, const form *f) {
    int at = 0;
    while (at < l->n && l->forms[at].bytes <= f->bytes) at++;
    if (at > 0 && l->forms[at - 1].loss <= f->loss) return;
    int end = at;
    while (end < l->n && l->forms[end].loss >= f->loss) end++;
    memmove(&l->forms[at + 1], &l->forms[end], (size_t)(l->n - end) * sizeof *f);
    l->n += 1 - (end - at);
    l->forms[at] = *f;
}

static olv_status measure_layer(layer *l, const olv_weight_spec *specs, int n_specs, bool bits, uint64_t cpu, ol_executor *e, olv_error *err) {
    for (int i = 0; i < n_specs; i++) {
        form f = {.spec = specs[i]};
        if (f.spec.group_size > 0 && l->entry->k % f.spec.group_size) continue;
        double error, energy;
        OL_TRY(ol_compress_measure(l->entry, &f.spec, cpu, e, &error, &energy, err));
        ol_qconst q = ol_compress_form(&f.spec, l->entry->rows, l->entry->k);
        if (bits && q.scale_dtype == OL_F32) q.scale_dtype = OL_F16;
        f.bytes = form_bytes(&q);
        f.loss = energy > 0 ? error / energy : 0;
        if (l->entry->weight > 0) f.loss *= l->entry->weight;
        insert(l, &f);
    }
    return OLV_OK;
}

/* ---- the knapsack ---- */

static uint64_t least_bytes(const budget *b) {
    uint64_t n = 0;
    for (size_t i = 0; i < b->n; i++) n += b->layers[i].forms[0].bytes;
    return n;
}

static uint64_t chosen_bytes(const budget *b) {
    uint64_t n = 0;
    for (size_t i = 0; i < b->n; i++) n += b->layers[i].forms[b->layers[i].chosen].bytes;
    return n;
}

/* What a form takes above the smallest one, in steps: rounded up, so that the sum holds. */
static int steps_of(const layer *l, int at, double step) {
    return (int)ceil((double)(l->forms[at].bytes - l->forms[0].bytes) / step - 1e-9);
}

/* Least sum of losses within `room` steps. pick[layer][steps used] is the form taken. */
static bool solve(budget *b, int room, double step) {
    size_t width = (size_t)room + 1;
    double *best = ol_alloc(width * sizeof *best), *next = ol_alloc(width * sizeof *next);
    uint8_t *pick = ol_alloc(width * (b->n + 1));
    bool ok = best && next && pick;
    for (size_t r = 0; ok && r < width; r++) best[r] = 0;
    for (size_t i = 0; ok && i < b->n; i++) {
        const layer *l = &b->layers[i];
        for (int r = 0; r <= room; r++) next[r] = INFINITY;
        for (int f = 0; f < l->n; f++) {
            int need = steps_of(l, f, step);
            for (int r = need; r <= room; r++) {
                double v = best[r - need] + l->forms[f].loss;
                if (!(v < next[r])) continue;
                next[r] = v;
                pick[i * width + (size_t)r] = (uint8_t)f;
            }
        }
        double *t = best;
        best = next;
        next = t;
    }
    int r = room;
    for (size_t i = b->n; ok && i-- > 0;) {
        b->layers[i].chosen = pick[i * width + (size_t)r];
        r -= steps_of(&b->layers[i], b->layers[i].chosen, step);
    }
    ol_free(best);
    ol_free(next);
    ol_free(pick);
    return ok;
}

/* Takes better forms while there is room, the largest gain for a byte first. */
static void fill_up(budget *b) {
    for (;;) {
        uint64_t room = b->limit - chosen_bytes(b);
        layer *best = NULL;
        int best_form = 0;
        double gain = 0;
        for (size_t i = 0; i < b->n; i++) {
            layer *l = &b->layers[i];
            const form *now = &l->forms[l->chosen];
            for (int f = l->chosen + 1; f < l->n; f++) {
                uint64_t more = l->forms[f].bytes - now->bytes;
                double g = (now->loss - l->forms[f].loss) / (double)(more ? more : 1);
                if (more > room || !(g > gain)) continue;
                gain = g;
                best = l;
                best_form = f;
            }
        }
        if (!best) return;
        best->chosen = best_form;
    }
}

static olv_status choose(budget *b, olv_error *err) {
    uint64_t least = least_bytes(b), most = 0;
    for (size_t i = 0; i < b->n; i++) most += b->layers[i].forms[b->layers[i].n - 1].bytes;
    uint64_t room = (b->limit < most ? b->limit : most) - least;
    double step = room > STEPS ? (double)room / STEPS : 1;
    if (!solve(b, (int)((double)room / step + 1e-6), step)) return ol_fail(err, OLV_NOMEM, "no memory for a knapsack of %zu layers", b->n);
    fill_up(b);
    return OLV_OK;
}

/* ---- the plan ---- */

static double weights_of(const ol_compress_plan *p) {
    double n = 0;
    for (size_t i = 0; i < p->n; i++) n += (double)p->entries[i].rows * (double)p->entries[i].k;
    return n;
}

/* Takes the layers out of the plan; the limit is what the other tables leave of the whole. */
static olv_status collect(budget *b, const ol_compress_plan *plan, const olv_compress_params *p, uint64_t cpu, ol_executor *e, olv_error *err) {
    olv_weight_spec specs[MAX_FORMS];
    int n_specs = list_forms(p, specs);
    double limit = p->budget_bytes ? (double)p->budget_bytes : p->bits * weights_of(plan) / 8;
    uint64_t fixed = 0;
    for (size_t i = 0; i < plan->n; i++) {
        ol_compress_entry *t = &plan->entries[i];
        if (t->kept || (t->roles != OL_ROLE_WEIGHT && !(t->weight > 0)) || !ol_const_quant_form(t->result)) {
            fixed += table_bytes(t, p->budget_bytes == 0);
            continue;
        }
        layer *l = &b->layers[b->n];
        l->entry = t;
        OL_TRY(measure_layer(l, specs, n_specs, p->budget_bytes == 0, cpu, e, err));
        if (l->n) b->n++;
        else fixed += table_bytes(t, p->budget_bytes == 0);
    }
    uint64_t least = least_bytes(b) + fixed;
    if (limit < (double)least)
        return ol_fail(err, OLV_ARG, "a budget of %.4g MB (%.3f bits a weight) found, at least %.4g MB (%.3f) expected: tables that "
                                     "the format or the options keep count in full; --all-layers, larger groups or another --format hold less",
                       limit / 1e6, limit * 8 / weights_of(plan), (double)least / 1e6, (double)least * 8 / weights_of(plan));
    b->limit = limit >= 0x1p62 ? (uint64_t)1 << 62 : (uint64_t)limit;
    b->limit -= fixed;
    return OLV_OK;
}

olv_status ol_compress_budget(ol_graph *g, ol_compress_plan *plan, const olv_compress_params *params, uint64_t cpu, ol_executor *e,
                              olv_error *err) {
    if (params->budget_bytes == 0 && params->bits == 0) return OLV_OK;
    if (!(params->bits >= 0 && params->bits <= 32)) return ol_fail(err, OLV_ARG, "%g bits a weight found, 0 to 32 expected", params->bits);
    if (ol_weight_bits(params->weights.type) == 0)
        return ol_fail(err, OLV_ARG, "a budget needs a type with codes, %s found", olv_weight_type_name(params->weights.type));
    budget b = {.layers = ol_calloc(plan->n + 1, sizeof *b.layers)};
    olv_status s = b.layers ? collect(&b, plan, params, cpu, e, err) : ol_fail(err, OLV_NOMEM, "no memory for %zu layers", plan->n);
    if (s == OLV_OK && b.n) s = choose(&b, err);
    for (size_t i = 0; s == OLV_OK && i < b.n; i++) {
        layer *l = &b.layers[i];
        s = ol_compress_decide(g, l->entry, &l->forms[l->chosen].spec, cpu, err);
    }
    ol_free(b.layers);
    return s;
}
