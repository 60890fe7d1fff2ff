/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters for a compiled model: finds the linear layers of a graph that the modules of a LoRA adapter mean, whatever
 * format the graph was read from, and makes the low-rank additions that its plan applies row by row.
 *
 * Modules that one side has fused (q, k and v, or gate and up, in one matrix) and the other has not are mapped by rows. */
#ifndef OL_RUNTIME_ADAPTER_H
#define OL_RUNTIME_ADAPTER_H

#include "device/lowrank.h"
#include "formats/peft/peft.h"
#include "graph/graph.h"

typedef struct ol_adapter_sites ol_adapter_sites;

/* The linear layers of a graph. To be made before weights are replaced (compression), which hides how rows of fused
 * matrices were taken apart. The graph must outlive the sites; nodes must stay. */
OLV_MUST_USE olv_status ol_adapter_sites_create(const ol_graph *g, ol_adapter_sites **out, olv_error *err);
void ol_adapter_sites_destroy(ol_adapter_sites *s); /* NULL accepted */

typedef struct ol_adapter_options {
    uint64_t cpu; /* OL_CPU_ flags that kernels may use */
    bool exact;   /* keep f32; else layers with quantized weights take their additions as f16 */
} ol_adapter_options;

/* The additions of an adapter, for the plan of the graph (node ids are those of now). A module that no layer is, or that
 * has other sizes, fails with its name. */
OLV_MUST_USE olv_status ol_adapter_bind(const ol_adapter_sites *s, const ol_peft *p, const ol_adapter_options *o,
                                        ol_lowrank **out, olv_error *err);

#endif
