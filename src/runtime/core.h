/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of cores, models and compiled models. */
#ifndef OL_RUNTIME_CORE_H
#define OL_RUNTIME_CORE_H

#include "base/executor.h"
#include "base/file.h"
#include "plan/plan.h"
#include "runtime/extension.h"
#include "runtime/prepared_store.h"
#include "runtime/properties.h"
#include <olivine/model.h>
#include <pthread.h>
#include <stdatomic.h>

struct olv_core {
    atomic_int refs;
    pthread_mutex_t lock; /* properties */
    ol_properties properties;
    ol_executor *executor; /* on all usable processors */
    ol_custom_ops ops;
};

/* Sizes that inputs take: OL_MAX_RANK ranges for each. */
typedef olv_range ol_input_ranges[OLV_MAX_RANK];

struct olv_model {
    ol_graph *graph; /* as read, or reshaped: no pass has run */
    ol_input_ranges *ranges; /* by input */
    olv_core *core; /* whose operators it uses; NULL: none's */
};

OLV_MUST_USE olv_status ol_model_read_with(const char *path, const ol_op_set *ops, olv_model **out, olv_error *err);
/* Takes the graph. */
OLV_MUST_USE olv_status ol_model_create(ol_graph *graph, olv_model **out, olv_error *err);

#define OL_MAX_STREAMS 64

struct olv_compiled {
    atomic_int refs;
    olv_core *core, *operators; /* operators: the model's; may be NULL */
    pthread_mutex_t lock; /* told properties */
    ol_properties properties;
    const ol_graph *graph; /* the plan's, or `reference` */
    ol_plan *plan;         /* NULL on the reference device */
    ol_graph *reference;   /* the graph when there is no plan */
    ol_input_ranges *ranges; /* by input */
    ol_graph *source; /* before passes, for export; NULL with `reference` */
    ol_store *store;
    ol_store_terms terms;
    ol_file *blob; /* that the store's data and the source's weights may lie in */
    ol_executor *streams[OL_MAX_STREAMS]; /* the first may be the core's */
    int n_streams;
    bool borrows_executor;
    atomic_uint next_stream;
};

/* OLV_ARG, with the names of the inputs that there are. */
olv_status ol_no_such_input(const ol_graph *g, const char *name, olv_error *err);
/* Prepared data that are at hand, and what they were made for; `file`, which they lie in, may be NULL. */
typedef struct ol_given_store {
    ol_store *store;
    ol_file *file;
    ol_store_terms terms;
} ol_given_store;
/* olv_compile; a given store is used where it fits, and then retained, as is its file. NULL: none. */
OLV_MUST_USE olv_status ol_compile_with(olv_core *core, const olv_model *model, const char *device, const char *const *properties,
                                        size_t n_properties, const ol_given_store *given, olv_compiled **out, olv_error *err);
olv_core *ol_core_retain(olv_core *c);
olv_compiled *ol_compiled_retain(olv_compiled *c);

#endif
