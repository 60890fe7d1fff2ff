/* SPDX-License-Identifier: Apache-2.0 */
/* What quantization knows of operators. */
#ifndef OL_QUANTIZE_OPERATORS_H
#define OL_QUANTIZE_OPERATORS_H

#include "graph/op.h"

typedef enum ol_quant_role {
    OL_QUANT_FLOAT,     /* computes in float */
    OL_QUANT_WEIGHTED,  /* multiplies by weights, or by a second activation */
    OL_QUANT_INPUTS,    /* takes quantized inputs */
    OL_QUANT_COMBINING, /* the same for two activations; with a constant it is part of what stands before */
    OL_QUANT_PASSING,   /* moves elements without changing them: a quantizer behind it may stand before it */
    OL_QUANT_JOINING,   /* the same for several inputs, which must share a grid */
    OL_QUANT_TABLE      /* looks rows of a table up */
} ol_quant_role;

ol_quant_role ol_quant_role_of(const ol_node *n);
bool ol_node_is(const ol_node *n, const char *op); /* of the default domain */
/* Index of the input that holds constant weights to be quantized, -1: none; *axis: that of the output channels. */
int ol_quant_weight_input(const ol_node *n, int *axis);
/* Axis of the input channels in the weights, and in the activation (negative: from the end). */
int ol_quant_weight_in_axis(const ol_node *n);
int ol_quant_channel_axis(const ol_node *n);
bool ol_quant_is_depthwise(const ol_node *n);
/* True for input i when it is an activation: a float tensor that is no constant. */
bool ol_quant_is_activation(const ol_node *n, int i);
/* The data inputs of a passing or joining operator: [0, their number). */
int ol_quant_n_data_inputs(const ol_node *n);
/* The constant bias of a weighted layer: an input of the node itself, or of the Add behind it. *at and *input say where. NULL: none. */
ol_value *ol_quant_bias_of(ol_node *n, ol_node **at, int *input);

#endif
