/* SPDX-License-Identifier: Apache-2.0 */
/* LoRA adapters on the command line and in JSON lines. */
#ifndef CLI_ADAPTERS_H
#define CLI_ADAPTERS_H

#include "model.h"
#include <olivine/adapter.h>

extern arg_list adapter_args;
#define ADAPTER_OPTION                                                                                                 \
    {"adapter adapters", ARG_LIST, &adapter_args, "DIR[=SCALE]", "LoRA adapter to apply; several add up", NULL}

/* Loads what --adapter names and puts it to use; exit code, 0: all is well. */
int load_adapters(olv_pipeline *p);
/* The adapters of one line: "adapter": a name, "name=scale", null (none), or a list of those; without the field, all that the
 * command line names. */
olv_status apply_adapter_field(olv_pipeline *p, const json_t *item, olv_error *err);

#endif
