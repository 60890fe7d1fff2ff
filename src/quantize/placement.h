/* SPDX-License-Identifier: Apache-2.0 */
/* Where quantizers go. Operators that compute on quantized numbers ask for them at their inputs; what asks moves up against
 * the data through operators that only rearrange elements, as far as every other reader asks too. The result are records
 * on values and edges; the graph is not changed. */
#ifndef OL_QUANTIZE_PLACEMENT_H
#define OL_QUANTIZE_PLACEMENT_H

#include "quantize/operators.h"
#include <olivine/quantize.h>

typedef enum ol_edge_mark { OL_EDGE_FLOAT, OL_EDGE_PER_TENSOR, OL_EDGE_PER_CHANNEL } ol_edge_mark;

/* A quantizer on a value, read by its marked edges. */
typedef struct ol_quantizer {
    ol_value *value;
    const ol_node *asker; /* the first reader in the order of the graph; NULL: a graph output */
    int grid;             /* quantizers of one grid share scale and zero point */
    bool echo;            /* the elements are on the grid already: rearranged from another value of it */
    bool at_output;       /* a graph output reads it quantized */
} ol_quantizer;

/* Numbers x of `n` ranges (1, or one for each channel of axis 1) are stored as round(x / scale) + zero. */
typedef struct ol_grid {
    bool per_channel, symmetric;
    int n;
    float *low, *high;   /* as seen on data, then as represented */
    float *scale;
    int32_t *zero;
    bool is_signed;
} ol_grid;

typedef struct ol_placement {
    ol_graph *graph;
    size_t n_nodes;
    ol_node **nodes;      /* by id */
    uint8_t *roles;       /* ol_quant_role by node id, after what is ignored became FLOAT */
    const char **reasons; /* by node id: why it stays in float; NULL: it need not */
    size_t *first_edge;   /* by node id */
    uint8_t *marks;       /* ol_edge_mark: first_edge[node id] + input */
    ol_quantizer *quantizers;
    size_t n_quantizers;
    int *by_value; /* by value id: index of its quantizer, -1: none */
    ol_grid *grids;
    int n_grids;
} ol_placement;

/* `kept` (by node id; may be NULL): why nodes stay in float as well, NULL where they need not. Deinit it in any case. */
OLV_MUST_USE olv_status ol_placement_make(ol_graph *g, const olv_quantize_params *p, const char *const *kept, ol_placement *out, olv_error *err);
void ol_placement_deinit(ol_placement *p);
static inline ol_edge_mark ol_placement_mark(const ol_placement *p, const ol_node *n, int input) {
    return (ol_edge_mark)p->marks[p->first_edge[n->id] + (size_t)input];
}
/* True when the layer's weights are to be quantized. */
bool ol_placement_has_weights(const ol_placement *p, const ol_node *n);
bool ol_quantize_is_mixed(const olv_quantize_params *p);
bool ol_quantize_per_channel(const olv_quantize_params *p);

/* ---- parts of the decision ---- */

/* Gives reasons to the nodes of the ignored scope. An entry that matches nothing is an error with a hint. */
OLV_MUST_USE olv_status ol_scope_apply(const ol_placement *pl, const olv_quantize_params *p, olv_error *err);
/* Gives reasons to nodes that stay in float because of the pattern around them. */
OLV_MUST_USE olv_status ol_patterns_apply(ol_placement *pl, const olv_quantize_params *p, olv_error *err);

#endif
