/* SPDX-License-Identifier: Apache-2.0 */
/* The adapters of a pipeline: those loaded, and those that its next sequences carry. */
#ifndef OL_GENERATE_ADAPTERS_H
#define OL_GENERATE_ADAPTERS_H

#include "runtime/adapter.h"
#include "runtime/state_pool.h"
#include <olivine/adapter.h>

#define OL_MAX_ADAPTERS 256 /* loaded at once */

typedef struct ol_adapter_entry {
    char *name;
    ol_lowrank *adapter;
} ol_adapter_entry;

typedef struct ol_adapters {
    ol_adapter_sites *sites;
    ol_adapter_entry *loaded;
    size_t n_loaded;
    ol_lowrank_use uses[OL_MAX_LOWRANK]; /* borrowed from loaded */
    int n_uses;
} ol_adapters;

void ol_adapters_deinit(ol_adapters *a);
/* The loaded adapter of a name, borrowed; NULL when there is none. */
ol_lowrank *ol_adapters_find(const ol_adapters *a, const char *name);
/* Hash of what the next sequences carry; 0: nothing. */
uint64_t ol_adapters_key(const ol_adapters *a);
/* A sequence that carries the adapters chosen at present. */
OLV_MUST_USE olv_status ol_adapters_sequence(const ol_adapters *a, ol_state_pool *pool, ol_sequence **out, olv_error *err);

#endif
