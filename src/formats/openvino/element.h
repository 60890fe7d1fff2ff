/* SPDX-License-Identifier: Apache-2.0 */
/* Element types as OpenVINO's files spell them: in attributes ("f32") and at ports ("FP32"). */
#ifndef OL_FORMATS_OPENVINO_ELEMENT_H
#define OL_FORMATS_OPENVINO_ELEMENT_H

#include "tensor/dtype.h"

typedef struct ol_ir_element {
    const char *name;      /* "f32" */
    const char *precision; /* "FP32" */
    int bits;              /* of an element in the data file; 0 when it has no fixed size */
    ol_dtype dtype;        /* NONE: there is no such type here */
} ol_ir_element;

/* The entry of a type. For types that OpenVINO does not have, and for OL_DTYPE_NONE, that of "dynamic". */
const ol_ir_element *ol_ir_element_of(ol_dtype t);
/* By either spelling, without regard to case; NULL when unknown. */
const ol_ir_element *ol_ir_element_named(const char *name);

#endif
