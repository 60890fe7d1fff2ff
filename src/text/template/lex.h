/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of a template, with trim_blocks and lstrip_blocks on and the final newline dropped. */
#ifndef OL_TEXT_TEMPLATE_LEX_H
#define OL_TEXT_TEMPLATE_LEX_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

typedef enum ol_ttoken_kind {
    OL_T_EOF,
    OL_T_TEXT,
    OL_T_BLOCK_BEGIN,
    OL_T_BLOCK_END,
    OL_T_VAR_BEGIN,
    OL_T_VAR_END,
    OL_T_NAME,
    OL_T_STRING, /* text: decoded */
    OL_T_INT,
    OL_T_FLOAT,
    OL_T_OP /* text: "+", "==", ... */
} ol_ttoken_kind;

typedef struct ol_ttoken {
    ol_ttoken_kind kind;
    int line;
    ol_str text;
    int64_t i;
    double f;
} ol_ttoken;

typedef struct ol_tlexer {
    ol_arena *arena;
    const char *p, *end;
    int line;
    int mode;          /* 0 text, else the kind that began the tag */
    char stack[64];    /* open brackets inside the tag */
    int depth;
    bool line_starting, in_raw;
    olv_error *err;
} ol_tlexer;

/* Normalizes newlines into the arena and starts. */
OLV_MUST_USE olv_status ol_tlex_init(ol_tlexer *l, ol_arena *arena, const char *source, size_t len, olv_error *err);
OLV_MUST_USE olv_status ol_tlex_next(ol_tlexer *l, ol_ttoken *out);

#endif
