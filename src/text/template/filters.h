/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of filters, tests, methods and global functions. Each row names its parameters, so that positional and
 * keyword arguments are bound (and refused) in one place. */
#ifndef OL_TEXT_TEMPLATE_FILTERS_H
#define OL_TEXT_TEMPLATE_FILTERS_H

#include "text/template/call.h"

enum { OL_TNO_ID = 0xffff, OL_TARGS_MAX = 5 };

/* a: the bound parameters (ol_tgiven tells absent ones); args: as written, for rows with parameters "*". */
typedef ol_tv ol_tfilter_fn(ol_trun *r, ol_tv v, const ol_tv *a, const ol_targs *args);

typedef struct ol_trow {
    const char *name;
    const char *parameters;
    ol_tfilter_fn *fn;
} ol_trow;

#define OL_FILTER(name, parameters, fn) ol_tv fn(ol_trun *, ol_tv, const ol_tv *, const ol_targs *);
#define OL_TEST(name, parameters, fn) OL_FILTER(name, parameters, fn)
#define OL_METHOD(kind, name, parameters, fn) OL_FILTER(name, parameters, fn)
#include "text/template/filters.def"
#undef OL_FILTER
#undef OL_TEST
#undef OL_METHOD

static inline bool ol_tgiven(ol_tv v) { return v.kind != OL_TV_UNDEF || v.s != NULL; }
static inline bool ol_tgiven_value(ol_tv v) { return ol_tgiven(v) && v.kind != OL_TV_NONE; }

uint16_t ol_tfilter_find(ol_str name);
uint16_t ol_ttest_find(ol_str name);
ol_tv ol_tfilter_apply(ol_trun *r, uint16_t id, ol_str name, ol_tv v, const ol_targs *args);
bool ol_ttest_apply(ol_trun *r, uint16_t id, ol_str name, ol_tv v, const ol_targs *args);
/* A method of v's type: OL_TNO_ID if it has none; *unsafe when it would change the object. */
uint16_t ol_tmethod_find(ol_tv v, ol_str name, bool *unsafe);
ol_tv ol_tmethod_call(ol_trun *r, ol_tv self, uint16_t id, const ol_targs *args);
const char *ol_tmethod_name(uint16_t id);

/* Binds args to the space-separated parameter names; false with the error recorded. */
bool ol_tbind(ol_trun *r, const char *what, const char *parameters, const ol_targs *args, ol_tv out[OL_TARGS_MAX]);
/* Integer argument, def when absent. */
int64_t ol_targ_int(ol_trun *r, ol_tv v, int64_t def);
ol_tv ol_targ_str(ol_trun *r, ol_tv v, const char *def);
/* v.a.b.0: the path of attributes as filters take it (text with dots, or an index). */
ol_tv ol_tpath(ol_trun *r, ol_tv v, ol_tv path);
/* Stable sort of n values by keys. */
void ol_tsort(ol_trun *r, ol_tv *values, ol_tv *keys, uint32_t n, bool reverse);
/* Lower case for keys compared without case; other values as they are. */
ol_tv ol_tfold_case(ol_trun *r, ol_tv v);

#endif
