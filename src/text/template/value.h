/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the template language, and the state of one rendering.
 *
 * Values are immutable except namespaces, so they are shared freely. Everything that a rendering makes lies in its
 * arena. Errors latch: the first failure is recorded in the rendering, operations go on with harmless values, and
 * every loop stops at its next tick. */
#ifndef OL_TEXT_TEMPLATE_VALUE_H
#define OL_TEXT_TEMPLATE_VALUE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "text/template/clock.h"

typedef enum ol_tv_kind {
    OL_TV_UNDEF, /* s: message of the error that its use gives */
    OL_TV_NONE,
    OL_TV_BOOL,
    OL_TV_INT,
    OL_TV_FLOAT,
    OL_TV_STR,
    OL_TV_SEQ,
    OL_TV_DICT,
    OL_TV_NAMESPACE,
    OL_TV_MACRO,
    OL_TV_FUNCTION, /* aux: index of the built-in */
    OL_TV_METHOD,   /* a built-in method with its receiver */
    OL_TV_LOOP,
    OL_TV_CYCLER,
    OL_TV_JOINER
} ol_tv_kind;

typedef struct ol_tseq ol_tseq;
typedef struct ol_tdict ol_tdict;

typedef struct ol_tv {
    uint8_t kind;
    uint8_t aux;  /* strings: 1 for markup */
    uint32_t len; /* strings: bytes */
    union {
        bool b;
        int64_t i;
        double f;
        const char *s;
        ol_tseq *seq;
        ol_tdict *dict;
        struct ol_tmacro *macro;
        struct ol_tmethod *method;
        struct ol_tloop *loop;
    };
} ol_tv;

typedef enum ol_tseq_flavor {
    OL_SEQ_LIST,
    OL_SEQ_TUPLE,
    OL_SEQ_GROUP, /* tuple of groupby: also .grouper and .list */
    OL_SEQ_RANGE,
    OL_SEQ_KEYS,
    OL_SEQ_VALUES,
    OL_SEQ_ITEMS,
    OL_SEQ_GENERATOR /* can be iterated once, has no length */
} ol_tseq_flavor;

struct ol_tseq {
    ol_tv *items;
    uint32_t n, cap;
    uint8_t flavor;
    bool consumed;
    int64_t range[3]; /* start, stop, step */
};

typedef struct ol_tpair {
    ol_tv key, value;
} ol_tpair;

struct ol_tdict {
    ol_tpair *items;
    uint32_t n, cap;
    uint32_t cycle_at; /* cyclers: next item; joiners: 1 once used */
};

typedef struct ol_tmethod {
    ol_tv self;
    const char *name;
    uint16_t id;
} ol_tmethod;

struct ol_tenv;

typedef struct ol_trun {
    ol_arena *arena;
    char *chunk; /* free end of the present string chunk */
    size_t chunk_left;
    size_t max_bytes; /* of the arena */
    uint64_t steps, max_steps;
    uint32_t depth, call_depth;
    int line;
    olv_status status; /* OLV_OK until the first failure */
    olv_error *err;
    ol_buf *out;
    size_t max_output;
    const struct ol_template *tpl;
    struct ol_tenv *env;
    int flow; /* 0, or OL_FLOW_BREAK, OL_FLOW_CONTINUE */
    ol_clock now;
} ol_trun;

enum { OL_FLOW_BREAK = 1, OL_FLOW_CONTINUE = 2 };
enum { OL_TDEPTH_MAX = 1200, OL_TCALL_MAX = 160, OL_TSTR_MAX = 64 << 20 };

/* Records the first failure ("line N: ...") and gives an undefined value. */
ol_tv ol_tfail(ol_trun *r, olv_status status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static inline bool ol_tbad(const ol_trun *r) { return r->status != OLV_OK; }
/* Charges n steps; false once the rendering has failed or the budget is spent. */
bool ol_ttick(ol_trun *r, uint64_t n);
/* Bounded recursion in C: each true enter needs a leave. */
bool ol_tenter(ol_trun *r);
static inline void ol_tleave(ol_trun *r) { r->depth--; }
/* Zeroed memory of the rendering, or NULL with the failure recorded. */
void *ol_tmem(ol_trun *r, size_t n);

static inline ol_tv ol_tnone(void) { return (ol_tv){.kind = OL_TV_NONE}; }
static inline ol_tv ol_tbool(bool b) { return (ol_tv){.kind = OL_TV_BOOL, .b = b}; }
static inline ol_tv ol_tint(int64_t i) { return (ol_tv){.kind = OL_TV_INT, .i = i}; }
static inline ol_tv ol_tfloat(double f) { return (ol_tv){.kind = OL_TV_FLOAT, .f = f}; }
static inline ol_tv ol_tseq_value(ol_tseq *s) { return (ol_tv){.kind = OL_TV_SEQ, .seq = s}; }
static inline ol_tv ol_tdict_value(ol_tdict *d) { return (ol_tv){.kind = OL_TV_DICT, .dict = d}; }
static inline ol_str ol_tview(ol_tv v) { return (ol_str){v.s, v.len}; }
static inline bool ol_tis_str(ol_tv v) { return v.kind == OL_TV_STR; }
static inline bool ol_tis_int(ol_tv v) { return v.kind == OL_TV_INT || v.kind == OL_TV_BOOL; }
static inline bool ol_tis_number(ol_tv v) { return ol_tis_int(v) || v.kind == OL_TV_FLOAT; }
static inline int64_t ol_tint_of(ol_tv v) { return v.kind == OL_TV_BOOL ? (int64_t)v.b : v.i; }
static inline double ol_tfloat_of(ol_tv v) {
    return v.kind == OL_TV_FLOAT ? v.f : (double)ol_tint_of(v);
}

ol_tv ol_tundef(ol_trun *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Borrowed bytes (they must outlive the rendering), a copy, a + b (extends a in place when it is the newest). */
ol_tv ol_tstr_ref(const char *p, size_t n);
ol_tv ol_tstr_z(const char *z);
ol_tv ol_tstr(ol_trun *r, const char *p, size_t n);
ol_tv ol_tstr_concat(ol_trun *r, ol_tv a, ol_tv b);
/* Copies the buffer's content out and frees the buffer; a failed buffer fails the run. */
ol_tv ol_tstr_take(ol_trun *r, ol_buf *b);
ol_buf ol_tbuf(const ol_trun *r);
/* Fails the run when text could not be put into the buffer. */
void ol_tcheck_buf(ol_trun *r, const ol_buf *b, const char *what);

/* Never NULL; after a failure an empty one, and pushing is harmless. */
ol_tseq *ol_tseq_new(ol_trun *r, ol_tseq_flavor flavor);
void ol_tseq_push(ol_trun *r, ol_tseq *s, ol_tv v);
ol_tdict *ol_tdict_new(ol_trun *r);
bool ol_tdict_get(ol_trun *r, const ol_tdict *d, ol_tv key, ol_tv *out);
bool ol_tdict_find(const ol_tdict *d, const char *key, size_t len, ol_tv *out);
/* Replaces or appends; an unhashable key is an error. */
void ol_tdict_set(ol_trun *r, ol_tdict *d, ol_tv key, ol_tv value);
/* Appends a key known to be new. */
void ol_tdict_add(ol_trun *r, ol_tdict *d, ol_tv key, ol_tv value);

bool ol_ttruth(ol_tv v);
bool ol_tequal(ol_trun *r, ol_tv a, ol_tv b);
/* Order as Python: <0, 0, >0; unorderable types are an error; NaN gives 2. */
int ol_tcompare(ol_trun *r, ol_tv a, ol_tv b);
bool ol_tcontains(ol_trun *r, ol_tv container, ol_tv item);
bool ol_thashable(ol_tv v);
bool ol_titerable(ol_tv v);
bool ol_thas_len(ol_tv v);
int64_t ol_tlen(ol_trun *r, ol_tv v);
/* The items of anything iterable (consumes generators); an empty sequence with an error recorded otherwise. */
ol_tseq *ol_titer(ol_trun *r, ol_tv v);
const char *ol_ttype(ol_tv v);

/* str(v), repr(v), json.dumps(v). */
ol_tv ol_tto_str(ol_trun *r, ol_tv v);
void ol_tput_str(ol_trun *r, ol_buf *b, ol_tv v);
void ol_tput_repr(ol_trun *r, ol_buf *b, ol_tv v);
typedef struct ol_tjson_style {
    bool ensure_ascii, sort_keys;
    ol_tv indent; /* none, int or string */
    ol_tv item_separator, key_separator; /* none: default */
} ol_tjson_style;
void ol_tput_json(ol_trun *r, ol_buf *b, ol_tv v, const ol_tjson_style *style);
/* Python's repr of a float; returns the length. */
int ol_tfloat_repr(double f, char out[40]);
/* Parses Python float text (no underscores, no surrounding space); false if it is none. */
bool ol_tfloat_parse(const char *p, size_t n, double *out);

/* Case mapping as Python's. */
typedef enum ol_tcase { OL_CASE_UPPER, OL_CASE_LOWER, OL_CASE_TITLE, OL_CASE_CAPITALIZE, OL_CASE_SWAP } ol_tcase;
void ol_tput_case(ol_buf *b, const char *p, size_t n, ol_tcase how);
bool ol_tis_space(int32_t cp);
bool ol_tis_printable(int32_t cp);

/* str.strip family: side 1 left, 2 right, 3 both; chars.kind none means white space. */
ol_tv ol_tstrip(ol_tv s, ol_tv chars, int side);
/* Byte offset of code point `index` (<= count). */
size_t ol_tcp_offset(const char *p, size_t n, int64_t index);
/* v[start:stop:step], each part none when absent. */
ol_tv ol_tslice(ol_trun *r, ol_tv v, ol_tv start, ol_tv stop, ol_tv step);

/* "fmt" % args and "fmt".format(args, kwargs). */
ol_tv ol_tformat_percent(ol_trun *r, ol_tv fmt, ol_tv args);
ol_tv ol_tformat_braces(ol_trun *r, ol_tv fmt, const ol_tseq *args, const ol_tdict *kwargs);

#endif
