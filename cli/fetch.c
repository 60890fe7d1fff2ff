/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch.h"
#include "args.h"
#include "progress.h"
#include <olivine/hub.h>
#include <olivine/pipeline.h>
#include <string.h>
#include <unistd.h>

int fetch_missing(const char *model) {
    olv_hub_options o;
    olv_error err = {.message = ""};
    char *path = NULL;
    if (!model || common.offline || !strchr(model, '/') || !olv_hub_is_id(model) || access(model, F_OK) == 0) return 0;
    olv_hub_options_init(&o);
    o.offline = o.model_files = true;
    if (olv_hub_pull(model, &o, &path, &err) == OLV_OK) {
        olv_free(path);
        return 0;
    }
    int code = progress_check();
    if (code) return code;
    progress bar;
    progress_begin(&bar, "fetch", PROGRESS_BYTES);
    o.offline = false;
    o.progress = progress_show;
    o.progress_ctx = &bar;
    olv_status s = olv_hub_pull(model, &o, &path, &err);
    progress_end(&bar);
    olv_free(path);
    return s == OLV_OK ? 0 : report(&err);
}
