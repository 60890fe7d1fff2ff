/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/ortgenai/ortgenai.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/onnx/onnx.h"

olv_status ol_ortgenai_read(const char *folder, const ol_ortgenai_config *c, ol_graph **out, olv_error *err) {
    char *path = ol_path_join(folder, c->filename);
    if (!path) return ol_fail(err, OLV_NOMEM, "out of memory");
    ol_graph *old = NULL;
    olv_status s = ol_onnx_read(path, &old, err);
    if (s == OLV_OK) {
        s = ol_ortgenai_translate(old, c, out, err);
        if (s != OLV_OK) ol_error_at(err, "%s", path);
        ol_graph_destroy(old);
    }
    ol_free(path);
    return s;
}
