/* SPDX-License-Identifier: Apache-2.0 */
/* Symbolic dimensions. A dim is a known size (>= 0) or a handle (< 0) to an expression in a table: a symbol, or
 * an affine, product, floor-division, max, min or joint expression over dims. Equal expressions share one handle, so dims
 * compare by ==. */
#ifndef OL_TENSOR_DIM_H
#define OL_TENSOR_DIM_H

#include "base/arena.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int64_t ol_dim;
typedef struct ol_dim_table ol_dim_table;

ol_dim_table *ol_dim_table_create(void);
void ol_dim_table_destroy(ol_dim_table *t);
static inline bool ol_dim_known(ol_dim d) { return d >= 0; }
/* The symbol of that name (made when new). ol_dim_fresh makes a new anonymous one. Each gives OL_DIM_NONE when out
 * of memory; so do the operations below, also on overflow of known sizes. */
#define OL_DIM_NONE INT64_MIN
/* The table was out of memory at least once, or somebody who asks for dims of it was: shapes cannot be trusted. */
bool ol_dim_starved(const ol_dim_table *t);
void ol_dim_starve(ol_dim_table *t);
ol_dim ol_dim_symbol(ol_dim_table *t, const char *name);
ol_dim ol_dim_fresh(ol_dim_table *t, const char *prefix);
const char *ol_dim_symbol_name(const ol_dim_table *t, ol_dim d); /* NULL if d is no plain symbol */
ol_dim ol_dim_add(ol_dim_table *t, ol_dim a, ol_dim b);
ol_dim ol_dim_sub(ol_dim_table *t, ol_dim a, ol_dim b);
ol_dim ol_dim_mul(ol_dim_table *t, ol_dim a, ol_dim b);
ol_dim ol_dim_div_floor(ol_dim_table *t, ol_dim a, ol_dim b);
ol_dim ol_dim_div_ceil(ol_dim_table *t, ol_dim a, ol_dim b);
ol_dim ol_dim_max(ol_dim_table *t, ol_dim a, ol_dim b);
ol_dim ol_dim_min(ol_dim_table *t, ol_dim a, ol_dim b);
/* What two sizes broadcast to: the other one where one is 1 (so 0 and 1 give 0). NONE for known sizes that do not fit. */
ol_dim ol_dim_joint(ol_dim_table *t, ol_dim a, ol_dim b);
/* Value of d when symbol i of the table has values[i] (values[i] < 0: unbound). -1 when unbound or negative. */
int64_t ol_dim_eval(const ol_dim_table *t, ol_dim d, const int64_t *values, size_t n_values);
size_t ol_dim_n_symbols(const ol_dim_table *t);
/* Index of the symbol d in the table, or -1. */
int ol_dim_symbol_index(const ol_dim_table *t, ol_dim d);
/* "4", "T", "(T + 3)" into out. */
void ol_dim_format(const ol_dim_table *t, ol_dim d, char *out, size_t size);
/* Parses that text form again; OL_DIM_NONE when malformed. */
ol_dim ol_dim_parse(ol_dim_table *t, const char *text, size_t len);

#endif
