/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"
#include "bundle/bundle.h"
#include "formats/gguf/mix.h"
#include <olivine/convert.h>
#include <strings.h>

olv_status olv_convert_gguf(const char *model, const char *out, const char *out_type, olv_progress_fn *progress, void *ctx,
                            olv_error *err) {
    int t = 0;
    while (t < OL_GGUF_N_OUT && strcasecmp(out_type, ol_gguf_outtype_name((ol_gguf_outtype)t)) != 0) t++;
    if (t == OL_GGUF_N_OUT)
        return ol_fail(err, OLV_ARG, "type '%.40s', expected f32, f16, q8_0, q4_0, q4_k_s, q4_k_m, q5_k_s, q5_k_m or q6_k", out_type);
    ol_bundle *b = NULL;
    ol_bundle_options o = {NULL, true};
    OL_TRY(ol_bundle_open(model, &o, &b, err));
    olv_status s = b->kind == OL_BUNDLE_HF
                       ? ol_gguf_write(b->folder, out, (ol_gguf_outtype)t, progress, ctx, err)
                       : ol_fail(err, OLV_UNSUPPORTED, "%s: a model of kind %s, expected config.json with safetensors",
                                 b->path, ol_bundle_kind_name(b->kind));
    ol_bundle_close(b);
    return s;
}
