/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed views of constants: rows are read from the source, rounded and given out when somebody asks for them. */
#ifndef OL_COMPRESS_LAZY_H
#define OL_COMPRESS_LAZY_H

#include "tensor/constant.h"
#include <olivine/compress.h>

/* Errors of the rows that were produced so far. */
typedef struct ol_compress_stats {
    int64_t rows, rows_done;
    double error, energy; /* sums of squares over the rows done, in the order of the rows */
} ol_compress_stats;

/* A compressed view of src (rank >= 2): LAZY_QUANT for types with codes, a cast for f16 and bf16, src itself for KEEP. cpu:
 * flags of base/cpu.h that may be used; results do not depend on them. NULL on failure. */
ol_const *ol_compress_const(ol_const *src, const olv_weight_spec *spec, uint64_t cpu, olv_error *err);
/* The form of the codes of [rows, k] weights that such a view has; data pointers are NULL. */
ol_qconst ol_compress_form(const olv_weight_spec *spec, int64_t rows, int64_t k);
/* Statistics of a constant made above; false when it is of another kind. */
bool ol_compress_const_stats(const ol_const *c, ol_compress_stats *out);
/* The largest mean square of the errors of a row among those done; 0 for constants of another kind. */
double ol_compress_const_worst(const ol_const *c);
/* Sums of all rows as one line of text (of at most `size` bytes, "" when some rows were not done), and back into a constant
 * whose rows an earlier run produced. Other texts and constants are passed over. */
void ol_compress_stats_note(const ol_const *c, char *text, size_t size);
void ol_compress_stats_renew(ol_const *c, const char *text);

#endif
