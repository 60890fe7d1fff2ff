/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_FORMATS_OPENVINO_TO_STATE_H
#define OL_FORMATS_OPENVINO_TO_STATE_H

#include "formats/openvino/to.h"

bool ol_to_is_state(const ol_graph *g, const char *name, size_t len); /* a variable of the graph */
/* Inputs and outputs of the graph that are variables, and no Parameter or Result. */
bool ol_to_is_state_input(const ol_graph *g, const ol_value *v);
bool ol_to_is_state_output(const ol_graph *g, const ol_value *v);
void ol_to_assign(ol_to *t, const ol_value *v); /* the layer of such an output */

#endif
