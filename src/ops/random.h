/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers drawn by operators. A seed given by the model gives the same numbers on every run and
 * machine; without one, every evaluation draws others. */
#ifndef OL_OPS_RANDOM_H
#define OL_OPS_RANDOM_H

#include "ops/ops.h"

typedef struct ol_random {
    uint64_t state;
    double spare; /* second normal of a pair */
    bool has_spare;
} ol_random;

/* By the node's attribute `seed` (float or integer). */
void ol_random_init(ol_random *r, const ol_node *n);
double ol_random_uniform(ol_random *r); /* in [0, 1) */
double ol_random_normal(ol_random *r);

#endif
