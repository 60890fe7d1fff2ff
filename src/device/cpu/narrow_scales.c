/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "device/cpu/cpu.h"
#include "kernels/linear/narrow.h"

#define NARROW_GROUP 64 /* above that, f32 scales are under a tenth of the bytes */

olv_status ol_cpu_narrow_scales(ol_lowering *l, const ol_const *c, const char *name, ol_qconst *q, olv_error *err) {
    size_t n = (size_t)(q->rows * q->n_groups);
    bool made;
    if (q->scale_dtype != OL_F32 || q->group > NARROW_GROUP || q->code == OL_Q_BLOCK) return OLV_OK;
    ol_prepared_item *p = ol_prepare(l->prepared, name, q->scales, OL_CPU_FORM_NARROW_SCALES, n * sizeof(uint16_t), &made);
    if (!p) return ol_fail(err, OLV_NOMEM, "no memory for the scales of '%s'", name);
    if (made && !olk_narrow_f16(q->scales, p->data, n)) ol_prepare_refuse(l->prepared, p);
    if (!p->data) return OLV_OK;
    if (made) ol_const_drop_pages(c, q->scales, n * sizeof(float));
    q->scales = p->data;
    q->scale_dtype = OL_F16;
    return OLV_OK;
}
