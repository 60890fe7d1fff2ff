/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of a product of 8-bit codes: constant weights with a scale for each output, and what becomes of the sums. */
#ifndef OL_DEVICE_CPU_INT8_WEIGHTS_H
#define OL_DEVICE_CPU_INT8_WEIGHTS_H

#include "device/cpu/codes.h"
#include "kernels/int8/int8.h"

/* [outputs, k]; unsigned codes have their top bit turned, and zero points move along. */
typedef struct ol_int8_weights {
    int64_t outputs, k;
    const int8_t *codes;
    float *scales;  /* [outputs] */
    int32_t *zeros; /* [outputs] */
    bool has_zeros; /* some are not 0 */
    const void *source; /* what identifies the constant */
    void *own;
} ol_int8_weights;

/* Of a DequantizeLinear of constants, one scale for all or one for each of `outputs` rows. */
OLV_MUST_USE olv_status ol_int8_weights_of_node(const ol_node *dequantize, int64_t outputs, ol_int8_weights *w, olv_error *err);
/* Of a constant matrix of 8 bits with a scale for each row, or of the transpose of one with one scale for all. */
OLV_MUST_USE olv_status ol_int8_weights_of_const(const ol_const *c, ol_int8_weights *w, olv_error *err);
void ol_int8_weights_deinit(ol_int8_weights *w);

/* What a product makes of its sums: codes where its result goes to a QuantizeLinear, at most through Relu or Clip. */
typedef struct ol_int8_result {
    ol_value *value;      /* last covered */
    ol_node *covered[2];
    bool codes, is_signed;
    olk_codes_form form;  /* with the bounds of the activation */
} ol_int8_result;
ol_int8_result ol_int8_result_of(const ol_lowering *l, ol_value *y);
/* Covers the nodes and gives the buffer of the result; -1 when out of memory. */
int ol_int8_take_result(ol_lowering *l, const ol_int8_result *r, bool channels_last);
/* The step of node n that reads buffer x and writes y; buffers below 0: there was no memory for them. */
OLV_MUST_USE olv_status ol_int8_add_step(ol_lowering *l, const ol_step_class *class, const ol_node *n, void *args, const char *kernel, int x, int y,
                                         olv_error *err);

/* Arrays of olk_int8_end, by group, each padded to whole panels. */
typedef struct ol_int8_ends {
    const int32_t *start, *weight_zero;
    const float *scale, *shift;
    float lo, hi;
    int32_t zero;
    bool codes;
} ol_int8_ends;
/* bias may be NULL or a constant of w->outputs floats: OLV_UNSUPPORTED when it is none of these. */
OLV_MUST_USE olv_status ol_int8_make_ends(ol_lowering *l, const ol_int8_weights *w, ol_value *bias, const ol_codes *x, const ol_int8_result *r,
                                          int64_t groups, int64_t outputs, int64_t panel, ol_int8_ends *out, olv_error *err);
static inline olk_int8_end ol_int8_end(const ol_int8_ends *e, int64_t at) {
    return (olk_int8_end){e->start + at, e->scale + at, e->shift + at, e->weight_zero ? e->weight_zero + at : NULL, e->lo, e->hi, e->zero, e->codes};
}

#endif
