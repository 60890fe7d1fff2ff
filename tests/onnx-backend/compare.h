/* SPDX-License-Identifier: Apache-2.0 */
#ifndef OL_TESTS_ONNX_BACKEND_COMPARE_H
#define OL_TESTS_ONNX_BACKEND_COMPARE_H

#include "graph/op.h"

/* Kinds, types and shapes must be equal; floats within rtol and atol, all else equal. The first difference is described
 * in text. */
bool compare_datums(const ol_datum *have, const ol_datum *want, double rtol, double atol, char *text, size_t size);

#endif
