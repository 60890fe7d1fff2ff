/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/plan.h"
#include <stdlib.h>
#include <string.h>

/* Rows rounded to 8 bits pay where weights stream from memory. Fewer bytes stay in a cache, and there a model of OpenVINO keeps
 * exact rows, with which its results are OpenVINO's (docs/decisions/small-models.md). */
#define SMALL_WEIGHTS ((uint64_t)32 << 20)

olk_precision ol_plan_default_precision(const ol_graph *g) {
    const char *level = ol_graph_get_meta(g, "accuracy_level"), *format = ol_graph_get_meta(g, "format");
    if (level && atoi(level) < 2) return OLK_F32; /* as onnxruntime runs it */
    bool openvino = format && !strcmp(format, "openvino");
    return openvino && ol_graph_weight_bytes(g, NULL) < SMALL_WEIGHTS ? OLK_F32 : OLK_DEFAULT;
}
