/* SPDX-License-Identifier: Apache-2.0 */
/* Values that live as 8-bit codes in a plan: what QuantizeLinear makes, and what DequantizeLinear makes of it again. Nodes
 * that compute with codes take them from here; for all others a value is decoded when it is first asked for. Codes are
 * always unsigned (signed ones have their top bit turned, and zero points move along); images lie with their channels last.
 * Only in plans of whole graphs. */
#ifndef OL_DEVICE_CPU_CODES_H
#define OL_DEVICE_CPU_CODES_H

#include "device/lowering.h"
#include "graph/op.h"
#include "kernels/codes/codes.h"

typedef struct ol_codes {
    int buffer;          /* bytes, OLK_INT8_SLACK more than codes; -1: codes of a constant */
    bool channels_last;  /* [N, C, ...] lies as [N, ..., C] */
    bool is_signed;      /* codes of an integer value */
    olk_codes_form form; /* of a floating value */
    const ol_node *node; /* of a constant: the DequantizeLinear */
} ol_codes;

/* The codes of a value, or NULL. */
const ol_codes *ol_cpu_codes_of(const ol_lowering *l, const ol_value *v);
/* New codes for a value, in a buffer of their own when c->buffer is -2. NULL when out of memory (latched). */
ol_codes *ol_cpu_codes_set(ol_lowering *l, ol_value *v, ol_codes c);
/* The buffer of a value's codes in a layout; -1 when out of memory (latched). */
int ol_cpu_codes_buffer(ol_lowering *l, const ol_value *v, bool channels_last);

/* Reads scale and zero point of a QuantizeLinear or DequantizeLinear of 8-bit codes, one constant scale for all. */
bool ol_cpu_read_quantizer(const ol_node *n, olk_codes_form *form, bool *is_signed);
/* The QuantizeLinear that alone reads v, when it can be read; else NULL. */
ol_node *ol_cpu_following_quantize(const ol_lowering *l, const ol_value *v, olk_codes_form *form, bool *is_signed);
/* True if somebody computes with the codes of v, an output of QuantizeLinear; *channels_last: as images. */
bool ol_cpu_wants_codes(const ol_lowering *l, const ol_value *v, bool *channels_last);
/* Emits x (f32) to the codes of v. */
olv_status ol_cpu_emit_quantize(ol_lowering *l, const ol_node *n, olk_codes_form form, bool is_signed, bool channels_last, olv_error *err);
/* The elements of a value. */
ol_dim ol_cpu_count(ol_lowering *l, const ol_value *v);

/* Ways to compute with codes: OLV_UNSUPPORTED, without a step emitted, when there is none for the node. */
typedef olv_status ol_cpu_codes_fn(ol_lowering *l, ol_node *n, olv_error *err);
#define X(domain, name, fn) ol_cpu_codes_fn fn;
#include "device/cpu/lower_codes.def"
#undef X
ol_cpu_codes_fn ol_cpu_lower_codes_unary;
/* The one of them that the node has. */
ol_cpu_codes_fn ol_cpu_lower_with_codes;
/* DequantizeLinear as f32 at once (lower_quantize.c). */
olv_status ol_cpu_lower_dequantize(ol_lowering *l, const ol_node *n, olv_error *err);

/* DequantizeLinear nodes that read nothing but what a quantizer gives, done by the quantizer's own step. */
typedef struct ol_cpu_dequantizers {
    const ol_node *quantize;
    ol_node *nodes[64];
    int n;
    bool good; /* of the user looked at last: false where some user is none */
} ol_cpu_dequantizers;
/* Covers them and gives the one buffer of their results; -1 when out of memory. */
int ol_cpu_take_dequantizers(ol_lowering *l, const ol_cpu_dequantizers *d);

#endif
