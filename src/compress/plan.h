/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a compression: one row for each table of weights, with what was decided about it and the constant that gives
 * its codes.
 *
 * ol_compress_graph makes the rows and decides by role; ol_compress_mix and ol_compress_budget change decisions
 * (ol_compress_decide). Writers ask for nothing but the constants in the graph, which are the rows' results.
 *
 * A method that works with data gives a layer's codes itself: for a row that is not kept, it reads row->source ([rows, k]
 * floats), makes a constant of the form that ol_compress_form gives for row->spec (codes in memory or in a store with
 * ol_const_quant; made on demand with ol_const_lazy_quant), and hands it over with ol_compress_give. Scales that it puts
 * on the columns of a layer (and takes from the layer before) go into the source first: ol_compress_rescale. */
#ifndef OL_COMPRESS_PLAN_H
#define OL_COMPRESS_PLAN_H

#include "compress/lazy.h"
#include "graph/graph.h"

typedef enum ol_weight_role { OL_ROLE_WEIGHT = 1, OL_ROLE_EMBEDDING = 2, OL_ROLE_HEAD = 4 } ol_weight_role;

/* What calibration knows of the inputs x of a layer (tokens of several samples). The four figures are those of NNCF's
 * criteria of the same names. */
typedef struct ol_layer_inputs {
    const float *mean_square; /* [k]: mean over tokens of each column; NULL: unknown */
    double hessian_trace, mean_variance, max_variance, mean_magnitude;
} ol_layer_inputs;

/* One table of weights that the pass looked at. */
typedef struct ol_compress_entry {
    char *name;     /* of the constant */
    unsigned roles; /* of ol_weight_role */
    olv_weight_spec spec;
    int64_t rows, k;
    double bits_before, bits_after; /* per weight, scales and zero points included */
    ol_const *source;               /* retained: the weights that the codes stand for */
    ol_const *result;               /* retained: what is written; the source itself when it is kept */
    const char *kept;               /* why it was kept; NULL when it was compressed */
    const ol_layer_inputs *inputs;  /* borrowed; NULL without data */
    double weight;                  /* what its relative squared error costs (of the divergence of scores); 0: unknown */
    const char *method;             /* static: who gave the codes; NULL: rounding alone */
    double error, energy;           /* sums of squares of what `method` gave */
} ol_compress_entry;

typedef struct ol_compress_plan {
    ol_compress_entry *entries; /* in the order of the graph */
    size_t n;
} ol_compress_plan;

void ol_compress_plan_deinit(ol_compress_plan *p);
/* The row of the table with this name; NULL: none. */
ol_compress_entry *ol_compress_plan_find(const ol_compress_plan *p, const char *name);

/* Compresses a row in another way, in the plan and in the graph. */
OLV_MUST_USE olv_status ol_compress_decide(ol_graph *g, ol_compress_entry *e, const olv_weight_spec *spec, uint64_t cpu, olv_error *err);
/* Takes the codes of a row from `made` (retained by the plan and the graph), whose form must be the row's. error and energy:
 * sums of (w - what the codes say)^2 and of w^2. */
OLV_MUST_USE olv_status ol_compress_give(ol_graph *g, ol_compress_entry *e, ol_const *made, const char *method, double error,
                                         double energy, olv_error *err);
/* Other float weights of the same shape become the source of a row (columns scaled by a method with data), which is
 * compressed anew. */
OLV_MUST_USE olv_status ol_compress_rescale(ol_graph *g, ol_compress_entry *e, ol_const *source, uint64_t cpu, olv_error *err);
/* Sums of squares of a row over all its weights, known once its rows were produced or given; false before. */
bool ol_compress_entry_stats(const ol_compress_entry *e, double *error, double *energy);

#endif
