/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cpu/cpu.h"
#include "graph/op.h"
#include <string.h>

static const struct {
    const char *domain, *name;
    ol_lower_fn *fn;
} table[] = {
#define X(domain, name, fn) {domain, name, fn},
#include "device/cpu/lower.def"
#undef X
};

static ol_lower_fn *find(const ol_node *n) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].name, n->op->name) && !strcmp(table[i].domain, n->op->domain)) return table[i].fn;
    return NULL;
}

static const char *refuses(const ol_node *n) { return find(n) ? NULL : ol_cpu_reference_refuses(n); }

/* A form of the operator that its kernels do not cover is evaluated by the reference. */
static olv_status lower(ol_lowering *l, ol_node *n, olv_error *err) {
    ol_lower_fn *fn = find(n);
    if (!fn) return ol_cpu_lower_reference(l, n, err);
    int steps = l->n_steps;
    olv_error why = {.status = OLV_OK};
    olv_status s = fn(l, n, &why);
    if (s == OLV_UNSUPPORTED && l->n_steps == steps && !ol_cpu_reference_refuses(n)) {
        if (ol_cpu_lower_reference(l, n, NULL) == OLV_OK) return OLV_OK;
    }
    if (s != OLV_OK && err) *err = why;
    return s;
}

const ol_device ol_device_cpu = {"CPU", "the processor: portable C, AVX2, AVX-512", refuses, lower};
extern const ol_device ol_device_cpu;

int64_t ol_cpu_rows(const ol_run *r, ol_dim rows) {
    return ol_dim_eval(r->dims, rows, r->symbols, ol_dim_n_symbols(r->dims));
}
