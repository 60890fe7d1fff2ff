/* SPDX-License-Identifier: Apache-2.0 */
#include "device/cpu/cpu.h"
#include "device/cpu/codes.h"
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

static const char *refuses(const ol_node *n) { return find(n) ? NULL : "no kernel"; }

/* With the codes that values live as, where there are any and a kernel takes them. */
static olv_status lower(ol_lowering *l, ol_node *n, olv_error *err) {
    olv_status s = l->codes ? ol_cpu_lower_with_codes(l, n, err) : OLV_UNSUPPORTED;
    return s == OLV_UNSUPPORTED ? find(n)(l, n, err) : s;
}

const ol_device ol_device_cpu = {"CPU", "the processor: portable C, AVX2, AVX-512", refuses, lower};
extern const ol_device ol_device_cpu;

int64_t ol_cpu_rows(const ol_run *r, ol_dim rows) {
    return ol_dim_eval(r->dims, rows, r->symbols, ol_dim_n_symbols(r->dims));
}
