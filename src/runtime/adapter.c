/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/adapter.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/hash.h"
#include "graph/op.h"
#include "runtime/module_name.h"
#include "tensor/constant_view.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_NAME 512
#define MAX_MODULES 65536

/* A linear layer. Its rows are rows of its module's matrix: first + i, or order[i]. */
typedef struct site {
    const ol_node *node;
    char *module;
    ol_module_id id;
    bool part; /* of a fused matrix */
    int64_t n, k;
    int64_t first; /* -1: not known */
    int32_t *order;
} site;

struct ol_adapter_sites {
    const ol_graph *g;
    site *sites;
    int n_sites;
};

void ol_adapter_sites_destroy(ol_adapter_sites *s) {
    if (!s) return;
    for (int i = 0; i < s->n_sites; i++) {
        ol_free(s->sites[i].module);
        ol_free(s->sites[i].order);
    }
    ol_free(s->sites);
    ol_free(s);
}

/* ---- finding the layers ---- */

static bool is_linear(const ol_node *n) {
    return !strcmp(n->op->name, "Linear") && !strcmp(n->op->domain, "olivine") && n->inputs[1]->constant;
}

/* How many layers before this one are parts of the same matrix, and their rows together. */
static int parts_before(const ol_adapter_sites *s, const site *x, int64_t *rows) {
    int count = 0;
    *rows = 0;
    for (const site *y = s->sites; y < x; y++) {
        if (!y->part || strcmp(y->module, x->module)) continue;
        count++;
        *rows += y->n;
    }
    return count;
}

static olv_status copy_order(site *x, const ol_const *c, olv_error *err) {
    x->order = ol_calloc((size_t)x->n, sizeof *x->order);
    if (!x->order) return ol_fail(err, OLV_NOMEM, "out of memory");
    for (int64_t i = 0; i < x->n; i++) x->order[i] = c->order[i];
    return OLV_OK;
}

/* Which rows of a fused matrix these are: what the name says, else those that follow the parts before it. Permutations
 * are read off the view; a quantized constant does not tell whether it was permuted, so those of modules whose parts
 * may be interleaved stay unknown. */
static olv_status find_rows(const ol_adapter_sites *s, site *x, const char *part, const ol_const *c, olv_error *err) {
    int64_t before;
    int index = parts_before(s, x, &before);
    ol_module_role fused = x->id.role;
    x->id.role = ol_role_member(fused, index);
    if (ol_const_get_kind(c) == OL_CONST_PERMUTE_ROWS) {
        x->id.role = OL_ROLE_NONE;
        return copy_order(x, c, err);
    }
    if (sscanf(part, "rows%" SCNd64, &x->first) == 1) return OLV_OK;
    bool may_interleave = fused == OL_ROLE_NONE || strstr(x->module, "query_key_value") || strstr(x->module, "Wqkv");
    x->first = ol_const_quant_form(c) && may_interleave ? -1 : before;
    return OLV_OK;
}

static olv_status add_site(ol_adapter_sites *s, const ol_node *n, olv_error *err) {
    char module[MAX_NAME], part[64];
    const ol_const *c = n->inputs[1]->constant;
    if (!ol_module_of_weight(n->inputs[1]->name, module, sizeof module, part, sizeof part)) return OLV_OK;
    site *x = &s->sites[s->n_sites++];
    *x = (site){.node = n, .part = *part != 0, .n = ol_const_rows(c), .k = ol_const_width(c), .id = ol_module_identify(module)};
    size_t bytes = strlen(module) + 1;
    if (!(x->module = ol_alloc(bytes))) return ol_fail(err, OLV_NOMEM, "out of memory");
    memcpy(x->module, module, bytes);
    return x->part ? find_rows(s, x, part, c, err) : OLV_OK;
}

olv_status ol_adapter_sites_create(const ol_graph *g, ol_adapter_sites **out, olv_error *err) {
    ol_adapter_sites *s = ol_calloc(1, sizeof *s);
    if (!s) return ol_fail(err, OLV_NOMEM, "out of memory");
    s->g = g;
    s->sites = ol_calloc((size_t)g->n_nodes + 1, sizeof *s->sites);
    olv_status st = s->sites ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
    for (const ol_node *n = g->first; n && st == OLV_OK; n = n->next)
        if (is_linear(n)) st = add_site(s, n, err);
    if (st == OLV_OK) *out = s;
    else ol_adapter_sites_destroy(s);
    return st;
}

/* ---- matching ---- */

/* What a module does to a site: its B's rows, by order or from `first` on. */
typedef struct match {
    const ol_peft_module *module; /* NULL: nothing */
    int64_t first;
    const int32_t *order;
} match;

static const site *sibling(const ol_adapter_sites *s, ol_module_id id) {
    for (int i = 0; i < s->n_sites; i++)
        if (s->sites[i].id.layer == id.layer && s->sites[i].id.role == id.role) return &s->sites[i];
    return NULL;
}

/* First row of this layer in the fused matrix that the layers of its kind would make. */
static int64_t fused_offset(const ol_adapter_sites *s, const site *x) {
    ol_module_role fused = ol_role_fused(x->id.role), r;
    int64_t at = 0;
    for (int i = 0; (r = ol_role_member(fused, i)) != x->id.role; i++) {
        const site *before = sibling(s, (ol_module_id){x->id.layer, r});
        if (!before) return -1;
        at += before->n;
    }
    return at;
}

/* Modules of the file are compared by name first; by layer and role where formats differ. */
static bool find_match(const ol_adapter_sites *s, const site *x, const ol_peft_module *m, ol_module_id id, match *out) {
    *out = (match){.module = m};
    if (ol_module_same_name(x->module, m->name)) {
        out->first = x->first;
        out->order = x->order;
        return true;
    }
    if (x->id.role == OL_ROLE_NONE || id.layer != x->id.layer) return false;
    if (id.role == x->id.role) return true;
    if (id.role == OL_ROLE_NONE || id.role != ol_role_fused(x->id.role)) return false;
    out->first = x->part ? x->first : fused_offset(s, x);
    return true;
}

static olv_status check_match(const site *x, const match *a, olv_error *err) {
    const ol_peft_module *m = a->module;
    if (!a->order && a->first < 0)
        return ol_fail(err, OLV_UNSUPPORTED, "module '%.200s' cannot be taken apart for the quantized layer '%.200s'", m->name, x->module);
    bool fits = a->order || (a->first <= m->n && x->n <= m->n - a->first);
    for (int64_t i = 0; fits && a->order && i < x->n; i++) fits = a->order[i] >= 0 && a->order[i] < m->n;
    if (m->k == x->k && fits && (x->part || a->first || m->n == x->n)) return OLV_OK;
    return ol_fail(err, OLV_SHAPE, "module '%.200s': found an adapter for [%" PRId64 ",%" PRId64 "], expected [%" PRId64 ",%" PRId64 "] of layer '%.200s'",
                   m->name, m->n, m->k, x->n, x->k, x->module);
}

static olv_status match_all(const ol_adapter_sites *s, const ol_peft *p, match *out, olv_error *err) {
    ol_module_id *ids = ol_calloc(p->n_modules + 1, sizeof *ids);
    bool *used = ol_calloc(p->n_modules + 1, sizeof *used);
    olv_status st = ids && used ? OLV_OK : ol_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; st == OLV_OK && i < p->n_modules; i++) ids[i] = ol_module_identify(p->modules[i].name);
    for (int i = 0; st == OLV_OK && i < s->n_sites; i++)
        for (size_t j = 0; st == OLV_OK && j < p->n_modules; j++) {
            match a;
            if (!find_match(s, &s->sites[i], &p->modules[j], ids[j], &a)) continue;
            if (out[i].module)
                st = ol_fail(err, OLV_FORMAT, "modules '%.200s' and '%.200s' are both for layer '%.200s'", out[i].module->name,
                             p->modules[j].name, s->sites[i].module);
            else st = check_match(&s->sites[i], &a, err);
            out[i] = a;
            used[j] = true;
        }
    for (size_t j = 0; st == OLV_OK && j < p->n_modules; j++)
        if (!used[j])
            st = ol_fail(err, OLV_UNSUPPORTED, "module '%.200s' of the adapter is no linear layer of the model%s", p->modules[j].name,
                         strstr(p->modules[j].name, "experts") ? " (experts take no adapters)" : "");
    ol_free(ids);
    ol_free(used);
    return st;
}

/* ---- making the additions ---- */

typedef struct binder {
    const ol_adapter_sites *s;
    const ol_adapter_options *o;
    const match *matches;
    ol_lowrank *out;
} binder;

static bool as_half(const binder *b, int i) {
    return !b->o->exact && ol_const_quant_form(b->s->sites[i].node->inputs[1]->constant);
}

/* Stores floats in the type of the part. */
static void store(const float *v, size_t n, bool half, void *out, size_t at) {
    for (size_t i = 0; i < n; i++) {
        if (half) ((uint16_t *)out)[at + i] = ol_f32_to_f16(v[i]);
        else ((float *)out)[at + i] = v[i];
    }
}

/* f16 holds no more than 65504; larger factors, which no trained adapter has, would become infinite. */
static bool fits_half(const float *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(v[i]) <= 65504)) return false;
    return true;
}

static olv_status fill_part(const binder *b, int i, uint8_t **a, uint8_t **bt, float *fa, float *fb, olv_error *err) {
    const site *x = &b->s->sites[i];
    const match *m = &b->matches[i];
    ol_lowrank_part *part = &b->out->parts[x->node->id];
    int64_t r = m->module->rank;
    bool half = as_half(b, i);
    size_t na = (size_t)(r * x->k), element = half ? 2 : 4;
    OL_TRY(ol_const_rows_f32(m->module->a, 0, r, fa, err));
    OL_TRY(ol_const_rows_f32(m->module->b, 0, m->module->n, fb, err));
    if (half && !(fits_half(fa, na) && fits_half(fb, (size_t)(m->module->n * r))))
        return ol_fail(err, OLV_UNSUPPORTED, "module '%.200s': values beyond 65504; run with precision f32", m->module->name);
    *part = (ol_lowrank_part){.rank = r, .n = x->n, .b = *bt};
    part->a = (olk_weight){.dtype = half ? OL_F16 : OL_F32, .data = *a, .row_bytes = (size_t)x->k * element, .n = r, .k = x->k};
    store(fa, na, half, *a, 0);
    for (int64_t c = 0; c < x->n; c++) {
        const float *row = fb + (m->order ? m->order[c] : m->first + c) * r;
        for (int64_t j = 0; j < r; j++) {
            float v = row[j] * m->module->scale;
            store(&v, 1, half, *bt, (size_t)olk_lowrank_at(r, j, c));
        }
    }
    *a += ol_align_up(na * element, 64);
    *bt += ol_align_up((size_t)olk_lowrank_size(r, x->n) * element, 64);
    if (r > b->out->max_rank) b->out->max_rank = r;
    return ol_lowrank_choose(part, b->o->cpu, err);
}

/* Bytes of all A and all B, and floats of the largest. Sizes are those of tensors that lie in memory. */
static bool measure(const binder *b, size_t *bytes, size_t *floats) {
    bytes[0] = bytes[1] = floats[0] = floats[1] = 0;
    for (int i = 0; i < b->s->n_sites; i++) {
        const site *x = &b->s->sites[i];
        if (!b->matches[i].module) continue;
        size_t r = (size_t)b->matches[i].module->rank, element = as_half(b, i) ? 2 : 4, n;
        const size_t widths[2] = {(size_t)x->k, (size_t)olk_lowrank_size(1, x->n)};
        for (int w = 0; w < 2; w++) {
            if (!ol_mul_size(r, widths[w], &n) || n > SIZE_MAX / 16 || bytes[w] > SIZE_MAX / 4) return false;
            bytes[w] += ol_align_up(n * element, 64);
            if (w == 1) n = r * (size_t)b->matches[i].module->n;
            if (n > floats[w]) floats[w] = n;
        }
    }
    return true;
}

static olv_status fill_all(binder *b, olv_error *err) {
    size_t bytes[2], floats[2];
    if (!measure(b, bytes, floats)) return ol_fail(err, OLV_LIMIT, "the adapter is too large");
    float *fa = ol_calloc(floats[0] + 1, sizeof *fa), *fb = ol_calloc(floats[1] + 1, sizeof *fb);
    for (int w = 0; w < 2; w++) b->out->memory[w] = ol_alloc_aligned(bytes[w] + 64);
    uint8_t *a = b->out->memory[0], *bt = b->out->memory[1];
    olv_status st = fa && fb && a && bt ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for an adapter");
    if (st == OLV_OK) memset(a, 0, bytes[0] + 64), memset(bt, 0, bytes[1] + 64);
    for (int i = 0; st == OLV_OK && i < b->s->n_sites; i++)
        if (b->matches[i].module) st = fill_part(b, i, &a, &bt, fa, fb, err);
    ol_free(fa);
    ol_free(fb);
    if (st != OLV_OK) return st;
    b->out->bytes = bytes[0] + bytes[1];
    b->out->key = ol_hash64(b->out->memory[1], bytes[1], ol_hash64(b->out->memory[0], bytes[0], 1));
    return OLV_OK;
}

olv_status ol_adapter_bind(const ol_adapter_sites *s, const ol_peft *p, const ol_adapter_options *o, ol_lowrank **out,
                           olv_error *err) {
    if (p->n_modules > MAX_MODULES)
        return ol_fail(err, OLV_LIMIT, "an adapter of %zu modules, expected at most %d", p->n_modules, MAX_MODULES);
    match *matches = ol_calloc((size_t)s->n_sites + 1, sizeof *matches);
    binder b = {s, o, matches, ol_lowrank_create(s->g->n_nodes)};
    olv_status st = matches && b.out ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for an adapter");
    if (st == OLV_OK) st = match_all(s, p, matches, err);
    if (st == OLV_OK) st = fill_all(&b, err);
    ol_free(matches);
    if (st == OLV_OK) *out = b.out;
    else ol_lowrank_release(b.out);
    return st;
}
