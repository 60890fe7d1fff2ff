/* SPDX-License-Identifier: Apache-2.0 */
/* The globals that a pickle of tensors may name, and what calling them makes. */
#ifndef OL_FORMATS_PYTORCH_GLOBALS_H
#define OL_FORMATS_PYTORCH_GLOBALS_H

#include "formats/pytorch/pickle.h"

typedef enum ol_pk_role {
    OL_PK_ROLE_DICT,          /* collections.OrderedDict */
    OL_PK_ROLE_TENSOR,        /* _rebuild_tensor, _v2, _v3 */
    OL_PK_ROLE_PARAMETER,     /* _rebuild_parameter: its first argument */
    OL_PK_ROLE_FROM_TYPE,     /* _rebuild_from_type_v2: calls its first argument */
    OL_PK_ROLE_STORAGE,       /* a typed storage class; dtype NONE: untyped */
    OL_PK_ROLE_DTYPE,
    OL_PK_ROLE_SIZE,          /* torch.Size: its argument */
    OL_PK_ROLE_OPAQUE
} ol_pk_role;

typedef struct ol_pk_global {
    const char *module, *name;
    ol_pk_role role;
    ol_dtype dtype;
} ol_pk_global;

const ol_pk_global *ol_pk_global_find(ol_str module, ol_str name); /* NULL: not for tensors */
/* What global(args) is. New values lie in the arena. */
OLV_MUST_USE olv_status ol_pk_call(const ol_pk_global *g, const ol_pk_value *args, ol_arena *arena, ol_pk_value **out,
                                   olv_error *err);
/* The storage that a persistent id stands for. */
OLV_MUST_USE olv_status ol_pk_storage_of(const ol_pk_value *id, ol_arena *arena, ol_pk_value **out, olv_error *err);

#endif
