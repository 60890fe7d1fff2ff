/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/pytorch/pickle.h"

#include "base/alloc.h"
#include "base/error.h"
#include "formats/pytorch/globals.h"

#define MAX_VALUES (4u << 20) /* values, and places of the memo */
#define MAX_TEXT (64u << 10)

enum {
    OP_MARK = '(', OP_STOP = '.', OP_BINFLOAT = 'G', OP_BININT = 'J', OP_BININT1 = 'K', OP_BININT2 = 'M',
    OP_NONE = 'N', OP_BINPERSID = 'Q', OP_REDUCE = 'R', OP_BINSTRING = 'T', OP_SHORT_BINSTRING = 'U',
    OP_BINUNICODE = 'X', OP_EMPTY_LIST = ']', OP_APPEND = 'a', OP_BUILD = 'b', OP_GLOBAL = 'c', OP_APPENDS = 'e',
    OP_BINGET = 'h', OP_LONG_BINGET = 'j', OP_BINPUT = 'q', OP_LONG_BINPUT = 'r', OP_SETITEM = 's', OP_TUPLE = 't',
    OP_EMPTY_TUPLE = ')', OP_SETITEMS = 'u', OP_EMPTY_DICT = '}', OP_BINBYTES = 'B', OP_SHORT_BINBYTES = 'C',
    OP_PROTO = 0x80, OP_NEWOBJ = 0x81, OP_TUPLE1 = 0x85, OP_TUPLE2 = 0x86, OP_TUPLE3 = 0x87, OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89, OP_LONG1 = 0x8a, OP_SHORT_BINUNICODE = 0x8c, OP_BINUNICODE8 = 0x8d, OP_STACK_GLOBAL = 0x93,
    OP_MEMOIZE = 0x94, OP_FRAME = 0x95
};

typedef struct machine {
    ol_bytes *r;
    ol_arena *arena;
    ol_pk_seq stack, memo; /* heap; a mark on the stack is NULL */
    size_t values;
    size_t start;
    olv_error *err;
} machine;

static olv_status out_of_memory(machine *m) { return ol_fail(m->err, OLV_NOMEM, "out of memory reading a pickle"); }

static olv_status broken(machine *m, const char *what) {
    return ol_fail(m->err, OLV_FORMAT, "pickle, byte %zu: %s", ol_bytes_pos(m->r) - m->start, what);
}

/* ---- values and stack ---- */

static ol_pk_value *new_value(machine *m, ol_pk_kind kind) {
    if (m->values == MAX_VALUES) {
        ol_fail(m->err, OLV_LIMIT, "pickle of more than %u values", MAX_VALUES);
        return NULL;
    }
    m->values++;
    ol_pk_value *v = ol_arena_alloc(m->arena, sizeof *v);
    if (v)
        v->kind = kind;
    else
        out_of_memory(m);
    return v;
}

static olv_status push(machine *m, ol_pk_value *v) {
    ol_pk_seq *s = &m->stack;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 256;
        if (cap > 2 * MAX_VALUES) return ol_fail(m->err, OLV_LIMIT, "pickle stack of more than %u values", MAX_VALUES);
        ol_pk_value **p = ol_realloc(s->items, cap * sizeof *p);
        if (!p) return out_of_memory(m);
        s->items = p;
        s->cap = cap;
    }
    s->items[s->n++] = v;
    return OLV_OK;
}

static olv_status push_new(machine *m, ol_pk_kind kind) {
    ol_pk_value *v = new_value(m, kind);
    return v ? push(m, v) : m->err->status;
}

/* The topmost value; NULL when the stack is empty or a mark is on top. */
static ol_pk_value *top(const machine *m) { return m->stack.n ? m->stack.items[m->stack.n - 1] : NULL; }

static ol_pk_value *pop(machine *m) {
    ol_pk_value *v = top(m);
    if (v) m->stack.n--;
    return v;
}

/* Place of the topmost mark; false when there is none. */
static bool find_mark(const machine *m, size_t *at) {
    for (size_t i = m->stack.n; i > 0; i--)
        if (!m->stack.items[i - 1]) {
            *at = i - 1;
            return true;
        }
    return false;
}

static olv_status push_int(machine *m, int64_t i) {
    ol_pk_value *v = new_value(m, OL_PK_INT);
    if (!v) return m->err->status;
    v->i = i;
    return push(m, v);
}

static olv_status push_bool(machine *m, bool b) {
    ol_pk_value *v = new_value(m, OL_PK_BOOL);
    if (!v) return m->err->status;
    v->b = b;
    return push(m, v);
}

static olv_status push_text(machine *m, uint64_t len) {
    const uint8_t *p = ol_bytes_take(m->r, len);
    if (m->r->failed) return broken(m, "text is cut off");
    if (len > MAX_TEXT) return broken(m, "text is too long");
    ol_pk_value *v = new_value(m, OL_PK_TEXT);
    if (!v) return m->err->status;
    v->text = (ol_str){(const char *)p, (size_t)len};
    return push(m, v);
}

/* Little-endian two's complement of any length; what does not fit 64 bits stays as its bytes. */
static olv_status push_long(machine *m) {
    uint8_t n = ol_bytes_u8(m->r);
    if (n > 8) return push_text(m, n);
    const uint8_t *p = ol_bytes_take(m->r, n);
    if (m->r->failed) return broken(m, "integer is cut off");
    uint64_t u = n && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (int i = n - 1; i >= 0; i--) u = u << 8 | p[i];
    int64_t i;
    memcpy(&i, &u, sizeof i);
    return push_int(m, i);
}

static olv_status push_float(machine *m) {
    const uint8_t *p = ol_bytes_take(m->r, 8);
    if (!p) return broken(m, "number is cut off");
    uint64_t u = 0;
    for (int i = 0; i < 8; i++) u = u << 8 | p[i];
    ol_pk_value *v = new_value(m, OL_PK_FLOAT);
    if (!v) return m->err->status;
    memcpy(&v->f, &u, sizeof v->f);
    return push(m, v);
}

/* ---- sequences ---- */

static olv_status extend(machine *m, ol_pk_value *to, ol_pk_value *const *items, size_t n) {
    ol_pk_seq *s = &to->seq;
    if (n > s->cap - s->n) {
        size_t cap = s->cap ? s->cap * 2 : 8;
        if (cap < s->n + n) cap = s->n + n;
        ol_pk_value **p = ol_arena_calloc(m->arena, cap, sizeof *p); /* doubling bounds what old copies waste */
        if (!p) return out_of_memory(m);
        if (s->n) memcpy(p, s->items, s->n * sizeof *p);
        s->items = p;
        s->cap = cap;
    }
    for (size_t i = 0; i < n; i++) s->items[s->n++] = items[i];
    return OLV_OK;
}

static olv_status make_tuple(machine *m, size_t n) {
    if (n > m->stack.n) return broken(m, "tuple of more values than there are");
    ol_pk_value **items = m->stack.items + (m->stack.n - n), *v = new_value(m, OL_PK_TUPLE);
    if (!v) return m->err->status;
    for (size_t i = 0; i < n; i++)
        if (!items[i]) return broken(m, "tuple across a mark");
    OL_TRY(extend(m, v, items, n));
    m->stack.n -= n;
    return push(m, v);
}

static olv_status make_marked_tuple(machine *m) {
    size_t at;
    if (!find_mark(m, &at)) return broken(m, "tuple without a mark");
    ol_pk_value *v = new_value(m, OL_PK_TUPLE);
    if (!v) return m->err->status;
    OL_TRY(extend(m, v, m->stack.items + at + 1, m->stack.n - at - 1));
    m->stack.n = at;
    return push(m, v);
}

/* Appends what lies above the mark, or `n` values from the top, to the list or dict below. */
static olv_status add_items(machine *m, bool marked, size_t n, ol_pk_kind kind) {
    size_t at = 0;
    if (marked) {
        if (!find_mark(m, &at)) return broken(m, "items without a mark");
        n = m->stack.n - at - 1;
    } else if (n < m->stack.n) {
        at = m->stack.n - n;
    }
    if (at == 0 || (kind == OL_PK_DICT && n % 2)) return broken(m, "items without a container");
    ol_pk_value **items = m->stack.items + at + (marked ? 1 : 0), *to = m->stack.items[at - 1];
    if (!to || to->kind != kind) return broken(m, kind == OL_PK_DICT ? "items for no dict" : "items for no list");
    for (size_t i = 0; i < n; i++)
        if (!items[i]) return broken(m, "items across a mark");
    OL_TRY(extend(m, to, items, n));
    m->stack.n = at;
    return OLV_OK;
}

/* ---- memo ---- */

static olv_status put(machine *m, uint64_t i) {
    ol_pk_seq *s = &m->memo;
    ol_pk_value *v = top(m);
    if (!v) return broken(m, "nothing to remember");
    if (i >= MAX_VALUES) return broken(m, "place of the memo is too far");
    if (i >= s->cap) {
        size_t cap = s->cap ? s->cap : 256;
        while (cap <= i) cap *= 2;
        ol_pk_value **p = ol_realloc(s->items, cap * sizeof *p);
        if (!p) return out_of_memory(m);
        memset(p + s->cap, 0, (cap - s->cap) * sizeof *p);
        s->items = p;
        s->cap = cap;
    }
    s->items[i] = v;
    s->n++;
    return OLV_OK;
}

static olv_status get(machine *m, uint64_t i) {
    if (i >= m->memo.cap || !m->memo.items[i]) return broken(m, "value that was not remembered");
    return push(m, m->memo.items[i]);
}

/* ---- globals and calls ---- */

static olv_status push_global(machine *m, ol_str module, ol_str name) {
    const ol_pk_global *g = ol_pk_global_find(module, name);
    if (!g)
        return ol_fail(m->err, OLV_FORMAT, "the pickle names %.*s.%.*s, which is not needed for tensors: refused",
                       (int)(module.len < 100 ? module.len : 100), module.ptr, (int)(name.len < 100 ? name.len : 100),
                       name.ptr);
    ol_pk_value *v = new_value(m, OL_PK_GLOBAL);
    if (!v) return m->err->status;
    v->global = g;
    return push(m, v);
}

static bool take_line(machine *m, ol_str *out) {
    const uint8_t *p = m->r->ptr, *end = p && p != m->r->end ? memchr(p, '\n', ol_bytes_left(m->r)) : NULL;
    if (!end) return false;
    *out = (ol_str){(const char *)p, (size_t)(end - p)};
    ol_bytes_take(m->r, out->len + 1);
    return true;
}

static olv_status read_global(machine *m) {
    ol_str module, name;
    if (!take_line(m, &module) || !take_line(m, &name)) return broken(m, "name is cut off");
    return push_global(m, module, name);
}

static olv_status stack_global(machine *m) {
    ol_pk_value *name = pop(m), *module = pop(m);
    if (!name || !module || name->kind != OL_PK_TEXT || module->kind != OL_PK_TEXT)
        return broken(m, "global without its names");
    return push_global(m, module->text, name->text);
}

static olv_status call(machine *m) {
    ol_pk_value *args = pop(m), *f = pop(m), *v = NULL;
    if (!args || !f || f->kind != OL_PK_GLOBAL) return broken(m, "call of what is no function");
    /* A dict copies the items of a list that may be remembered, and so be given again and again. */
    size_t cost = 1;
    if (args->kind == OL_PK_TUPLE && args->seq.n && args->seq.items[0]->kind == OL_PK_LIST)
        cost += args->seq.items[0]->seq.n;
    if (cost > MAX_VALUES - m->values)
        return ol_fail(m->err, OLV_LIMIT, "pickle of more than %u values", MAX_VALUES);
    m->values += cost;
    OL_TRY(ol_pk_call(f->global, args, m->arena, &v, m->err));
    return push(m, v);
}

static olv_status persistent(machine *m) {
    ol_pk_value *id = pop(m), *v = NULL;
    if (!id) return broken(m, "persistent id is missing");
    OL_TRY(ol_pk_storage_of(id, m->arena, &v, m->err));
    return push(m, v);
}

/* The state of an object holds attributes, which are of no interest here. */
static olv_status build(machine *m) {
    if (!pop(m) || !top(m)) return broken(m, "state without an object");
    return OLV_OK;
}

/* ---- the loop ---- */

static olv_status step(machine *m, uint8_t op) {
    switch (op) {
    case OP_PROTO: {
        uint8_t v = ol_bytes_u8(m->r);
        return v >= 2 && v <= 5 ? OLV_OK : broken(m, "protocol 2 to 5 expected");
    }
    case OP_FRAME: ol_bytes_take(m->r, 8); return OLV_OK;
    case OP_MARK: return push(m, NULL);
    case OP_NONE: return push_new(m, OL_PK_NONE);
    case OP_NEWTRUE: return push_bool(m, true);
    case OP_NEWFALSE: return push_bool(m, false);
    case OP_BININT: return push_int(m, (int32_t)ol_bytes_u32(m->r));
    case OP_BININT1: return push_int(m, ol_bytes_u8(m->r));
    case OP_BININT2: return push_int(m, ol_bytes_u16(m->r));
    case OP_LONG1: return push_long(m);
    case OP_BINFLOAT: return push_float(m);
    case OP_BINSTRING:
    case OP_BINBYTES:
    case OP_BINUNICODE: return push_text(m, ol_bytes_u32(m->r));
    case OP_BINUNICODE8: return push_text(m, ol_bytes_u64(m->r));
    case OP_SHORT_BINSTRING:
    case OP_SHORT_BINBYTES:
    case OP_SHORT_BINUNICODE: return push_text(m, ol_bytes_u8(m->r));
    case OP_EMPTY_LIST: return push_new(m, OL_PK_LIST);
    case OP_EMPTY_DICT: return push_new(m, OL_PK_DICT);
    case OP_EMPTY_TUPLE: return push_new(m, OL_PK_TUPLE);
    case OP_TUPLE: return make_marked_tuple(m);
    case OP_TUPLE1: return make_tuple(m, 1);
    case OP_TUPLE2: return make_tuple(m, 2);
    case OP_TUPLE3: return make_tuple(m, 3);
    case OP_APPEND: return add_items(m, false, 1, OL_PK_LIST);
    case OP_APPENDS: return add_items(m, true, 0, OL_PK_LIST);
    case OP_SETITEM: return add_items(m, false, 2, OL_PK_DICT);
    case OP_SETITEMS: return add_items(m, true, 0, OL_PK_DICT);
    case OP_BINPUT: return put(m, ol_bytes_u8(m->r));
    case OP_LONG_BINPUT: return put(m, ol_bytes_u32(m->r));
    case OP_MEMOIZE: return put(m, m->memo.n);
    case OP_BINGET: return get(m, ol_bytes_u8(m->r));
    case OP_LONG_BINGET: return get(m, ol_bytes_u32(m->r));
    case OP_GLOBAL: return read_global(m);
    case OP_STACK_GLOBAL: return stack_global(m);
    case OP_REDUCE:
    case OP_NEWOBJ: return call(m);
    case OP_BINPERSID: return persistent(m);
    case OP_BUILD: return build(m);
    default: break;
    }
    return ol_fail(m->err, OLV_FORMAT, "pickle, byte %zu: opcode 0x%02x, which is not needed for tensors: refused",
                   ol_bytes_pos(m->r) - m->start - 1, op);
}

static olv_status run(machine *m, ol_pk_value **out) {
    for (;;) {
        uint8_t op = ol_bytes_u8(m->r);
        if (m->r->failed) return broken(m, "it is cut off");
        if (op == OP_STOP) break;
        OL_TRY(step(m, op));
        if (m->r->failed) return broken(m, "it is cut off");
    }
    if (m->stack.n != 1 || !(*out = top(m))) return broken(m, "one value expected at the end");
    return OLV_OK;
}

olv_status ol_pk_read(ol_bytes *r, ol_arena *arena, ol_pk_value **out, olv_error *err) {
    olv_error local = {OLV_OK, ""};
    machine m = {.r = r, .arena = arena, .start = ol_bytes_pos(r), .err = err ? err : &local};
    olv_status s = run(&m, out);
    ol_free(m.stack.items);
    ol_free(m.memo.items);
    return s;
}

const ol_pk_value *ol_pk_get(const ol_pk_value *dict, const char *key) {
    if (!dict || dict->kind != OL_PK_DICT) return NULL;
    for (size_t i = dict->seq.n; i >= 2; i -= 2) {
        const ol_pk_value *k = dict->seq.items[i - 2];
        if (k->kind == OL_PK_TEXT && ol_str_is(k->text, key)) return dict->seq.items[i - 1];
    }
    return NULL;
}
