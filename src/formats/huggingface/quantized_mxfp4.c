/* SPDX-License-Identifier: Apache-2.0 */
/* Experts in 4-bit floats (gpt-oss): NAME_blocks u8 [E, N, K / 32, 16], two e2m1 codes a byte, the first one in the low
 * nibble, and NAME_scales u8 [E, N, K / 32], exponents plus 127. All experts are shown as one matrix NAME.weight
 * [E * N, K]; codes and scales lie as the planar form has them and are used in place. */
#include "base/error.h"
#include "formats/huggingface/quantized.h"

#define GROUP 32

static bool shape(const ol_hf_qread *q, const char *stem, int64_t dims[2]) {
    const ol_st_tensor *t = ol_hf_qfind(q, stem, "_blocks");
    if (!t || t->rank != 4 || t->dtype != OL_U8 || t->dims[3] != GROUP / 2) return false;
    return !__builtin_mul_overflow(t->dims[0], t->dims[1], &dims[0]) &&
           !__builtin_mul_overflow(t->dims[2], GROUP, &dims[1]);
}

static olv_status constant(ol_hf_qread *q, const char *stem, const int64_t dims[2], ol_const **out, olv_error *err) {
    const ol_st_tensor *t = ol_hf_qfind(q, stem, "_blocks");
    ol_hf_qheld h = {.n_consts = 0};
    ol_qconst qc = {.code = OL_Q_F4, .rows = dims[0], .k = dims[1], .group = GROUP, .n_groups = dims[1] / GROUP,
                    .row_bytes = (size_t)dims[1] / 2, .scale_dtype = OL_F8E8M0, .global_scale = 1};
    const uint8_t *scales = NULL;
    olv_status s = dims[0] > 0 && dims[1] > 0 ? OLV_OK : ol_fail(err, OLV_SHAPE, "an empty matrix");
    if (s == OLV_OK) s = ol_hf_qbytes(q, stem, "_blocks", OL_U8, 4, t->dims, &h, &qc.codes, err);
    if (s == OLV_OK) s = ol_hf_qbytes(q, stem, "_scales", OL_U8, 3, t->dims, &h, &scales, err);
    qc.scales = scales;
    if (s == OLV_OK)
        return ol_hf_qplanar(&qc, (size_t)qc.rows * qc.row_bytes, (size_t)(qc.rows * qc.n_groups), 0, &h, out, err);
    ol_hf_qheld_deinit(&h);
    return s;
}

const ol_hf_qmethod ol_hf_mxfp4 = {"mxfp4", NULL, shape, constant};
