/* SPDX-License-Identifier: Apache-2.0 */
/* Every expression is kept as a polynomial in normal form over atoms (a symbol, or a floor-division, maximum or minimum
 * of other dims), so that equal sums and products are found to be equal. Expressions and atoms are interned; atoms only
 * refer to expressions made before them. */
#include "tensor/dim.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/map.h"
#include <stdio.h>

#define MAX_TERMS 32   /* of a polynomial */
#define MAX_FACTORS 7  /* of a term (7: the struct has no padding, so bytes compare) */
#define MAX_COST 4096u /* steps of one evaluation: bounds time and recursion whatever the file says */
#define MAX_PARSE_DEPTH 32

typedef struct term {
    int64_t coef; /* never 0 in an interned polynomial */
    int n;        /* factors used */
    int atoms[MAX_FACTORS]; /* rising; unused entries are 0 */
} term;

typedef struct poly {
    int n;
    term terms[MAX_TERMS]; /* in the order of cmp_factors, the constant term last */
} poly;

typedef enum atom_kind { ATOM_SYMBOL, ATOM_DIV, ATOM_MAX, ATOM_MIN, ATOM_JOINT } atom_kind;

typedef struct atom {
    atom_kind kind;
    int symbol; /* index among the symbols */
    const char *name;
    ol_dim a, b;
    unsigned cost;
    ol_dim self; /* the expression that is just this atom */
} atom;

typedef struct expr {
    int n;
    const term *terms;
    unsigned cost;
} expr;

struct ol_dim_table {
    ol_arena *arena;
    expr *exprs;
    int n_exprs, cap_exprs;
    atom *atoms;
    int n_atoms, cap_atoms;
    int *symbols; /* atom of each symbol */
    int n_symbols, cap_symbols;
    ol_map by_terms, by_operands, by_name;
    uint64_t fresh;
    bool starved; /* something was not made for lack of memory */
};

ol_dim_table *ol_dim_table_create(void) {
    ol_dim_table *t = ol_calloc(1, sizeof *t);
    if (!t) return NULL;
    t->arena = ol_arena_create();
    if (!t->arena) {
        ol_free(t);
        return NULL;
    }
    ol_map_init(&t->by_terms);
    ol_map_init(&t->by_operands);
    ol_map_init(&t->by_name);
    return t;
}

void ol_dim_table_destroy(ol_dim_table *t) {
    if (!t) return;
    ol_map_deinit(&t->by_terms);
    ol_map_deinit(&t->by_operands);
    ol_map_deinit(&t->by_name);
    ol_free(t->exprs);
    ol_free(t->atoms);
    ol_free(t->symbols);
    ol_arena_destroy(t->arena);
    ol_free(t);
}

/* Room for one more entry of *items. */
static bool grow(void **items, int n, int *cap, size_t each) {
    if (n < *cap) return true;
    if (n > INT32_MAX / 4) return false;
    int want = *cap ? *cap * 2 : 16;
    void *p = ol_realloc(*items, (size_t)want * each);
    if (!p) return false;
    *items = p;
    *cap = want;
    return true;
}

static const expr *expr_of(const ol_dim_table *t, ol_dim d) {
    return d < 0 && d >= -(int64_t)t->n_exprs ? &t->exprs[-d - 1] : NULL;
}

/* ---- polynomials ---- */

static int cmp_factors(const term *a, const term *b) {
    if (a->n != b->n) return a->n > b->n ? -1 : 1;
    for (int i = 0; i < a->n; i++)
        if (a->atoms[i] != b->atoms[i]) return a->atoms[i] < b->atoms[i] ? -1 : 1;
    return 0;
}

/* p += t, keeping the order. */
static bool poly_add_term(poly *p, const term *t) {
    int i = 0;
    while (i < p->n && cmp_factors(&p->terms[i], t) < 0) i++;
    if (i < p->n && cmp_factors(&p->terms[i], t) == 0) {
        if (!ol_add_i64(p->terms[i].coef, t->coef, &p->terms[i].coef)) return false;
        if (p->terms[i].coef != 0) return true;
        p->n--;
        for (; i < p->n; i++) p->terms[i] = p->terms[i + 1];
        return true;
    }
    if (t->coef == 0) return true;
    if (p->n == MAX_TERMS) return false;
    for (int j = p->n; j > i; j--) p->terms[j] = p->terms[j - 1];
    p->terms[i] = *t;
    p->n++;
    return true;
}

static bool poly_add_const(poly *p, int64_t c) { return poly_add_term(p, &(term){.coef = c}); }

/* The polynomial of a dim; false for no dim of this table. */
static bool poly_of(const ol_dim_table *t, ol_dim d, poly *p) {
    p->n = 0;
    if (d >= 0) return poly_add_const(p, d);
    const expr *e = expr_of(t, d);
    if (!e) return false;
    p->n = e->n;
    memcpy(p->terms, e->terms, (size_t)e->n * sizeof(term));
    return true;
}

static bool term_mul(const term *a, const term *b, term *out) {
    term r = {.n = a->n + b->n};
    if (r.n > MAX_FACTORS || !ol_mul_i64(a->coef, b->coef, &r.coef)) return false;
    for (int i = 0, j = 0, k = 0; k < r.n; k++)
        r.atoms[k] = j == b->n || (i < a->n && a->atoms[i] <= b->atoms[j]) ? a->atoms[i++] : b->atoms[j++];
    *out = r;
    return true;
}

static bool poly_mul(const poly *a, const poly *b, poly *out) {
    out->n = 0;
    for (int i = 0; i < a->n; i++) {
        for (int j = 0; j < b->n; j++) {
            term t;
            if (!term_mul(&a->terms[i], &b->terms[j], &t) || !poly_add_term(out, &t)) return false;
        }
    }
    return true;
}

/* out = a + sign * b */
static bool poly_add(const poly *a, const poly *b, int sign, poly *out) {
    *out = *a;
    for (int i = 0; i < b->n; i++) {
        term t = b->terms[i];
        if (!ol_mul_i64(t.coef, sign, &t.coef) || !poly_add_term(out, &t)) return false;
    }
    return true;
}

static bool poly_is_const(const poly *p, int64_t *c) {
    if (p->n == 0) *c = 0;
    if (p->n == 1 && p->terms[0].n == 0) *c = p->terms[0].coef;
    return p->n == 0 || (p->n == 1 && p->terms[0].n == 0);
}

static unsigned cost_of(const ol_dim_table *t, ol_dim d) {
    const expr *e = expr_of(t, d);
    return e ? e->cost : 1;
}

static ol_dim starve(ol_dim_table *t) {
    t->starved = true;
    return OL_DIM_NONE;
}

void ol_dim_starve(ol_dim_table *t) { t->starved = true; }
bool ol_dim_starved(const ol_dim_table *t) { return t->starved; }

/* The handle of a polynomial. */
static ol_dim intern(ol_dim_table *t, const poly *p) {
    int64_t c;
    if (poly_is_const(p, &c)) return c >= 0 ? c : OL_DIM_NONE;
    size_t bytes = (size_t)p->n * sizeof(term);
    uint64_t *found = ol_map_get(&t->by_terms, (ol_str){(const char *)p->terms, bytes});
    if (found) return -(int64_t)*found - 1;
    unsigned cost = 1;
    for (int i = 0; i < p->n; i++) {
        for (int j = 0; j < p->terms[i].n; j++) cost += t->atoms[p->terms[i].atoms[j]].cost;
        if (cost > MAX_COST) return OL_DIM_NONE;
    }
    term *copy = ol_arena_calloc(t->arena, (size_t)p->n, sizeof(term));
    if (!copy || !grow((void **)&t->exprs, t->n_exprs, &t->cap_exprs, sizeof(expr))) return starve(t);
    memcpy(copy, p->terms, bytes);
    if (ol_map_put(&t->by_terms, (ol_str){(const char *)copy, bytes}, (uint64_t)t->n_exprs) < 0)
        return starve(t);
    t->exprs[t->n_exprs] = (expr){p->n, copy, cost};
    return -(int64_t)(++t->n_exprs);
}

static ol_dim add_atom(ol_dim_table *t, const atom *a) {
    if (!grow((void **)&t->atoms, t->n_atoms, &t->cap_atoms, sizeof(atom))) return starve(t);
    t->atoms[t->n_atoms] = *a;
    poly p = {.n = 1, .terms = {{.coef = 1, .n = 1, .atoms = {t->n_atoms}}}};
    t->n_atoms++;
    ol_dim self = intern(t, &p);
    if (self == OL_DIM_NONE)
        t->n_atoms--;
    else
        t->atoms[t->n_atoms - 1].self = self;
    return self;
}

/* The atom kind(a, b), interned. */
static ol_dim binary_atom(ol_dim_table *t, atom_kind kind, ol_dim a, ol_dim b) {
    struct {
        int64_t kind, a, b;
    } key = {kind, a, b};
    uint64_t *found = ol_map_get(&t->by_operands, (ol_str){(const char *)&key, sizeof key});
    if (found) return t->atoms[*found].self;
    atom n = {.kind = kind, .symbol = -1, .a = a, .b = b, .cost = 1 + cost_of(t, a) + cost_of(t, b)};
    if (n.cost > MAX_COST) return OL_DIM_NONE;
    void *copy = ol_arena_alloc(t->arena, sizeof key);
    if (!copy) return starve(t);
    memcpy(copy, &key, sizeof key);
    ol_dim self = add_atom(t, &n);
    if (self == OL_DIM_NONE) return self;
    if (ol_map_put(&t->by_operands, (ol_str){copy, sizeof key}, (uint64_t)t->n_atoms - 1) < 0) return starve(t);
    return self;
}

/* ---- symbols ---- */

ol_dim ol_dim_symbol(ol_dim_table *t, const char *name) {
    uint64_t *found = ol_map_get(&t->by_name, ol_str_of(name));
    if (found) return t->atoms[*found].self;
    char *copy = ol_arena_strdup(t->arena, name);
    if (!copy || !grow((void **)&t->symbols, t->n_symbols, &t->cap_symbols, sizeof(int))) return starve(t);
    ol_dim d = add_atom(t, &(atom){.kind = ATOM_SYMBOL, .symbol = t->n_symbols, .name = copy, .cost = 1});
    if (d == OL_DIM_NONE) return d;
    if (ol_map_put(&t->by_name, ol_str_of(copy), (uint64_t)t->n_atoms - 1) < 0) return starve(t);
    t->symbols[t->n_symbols++] = t->n_atoms - 1;
    return d;
}

ol_dim ol_dim_fresh(ol_dim_table *t, const char *prefix) {
    char *name;
    do {
        name = ol_arena_printf(t->arena, "%s#%llu", prefix, (unsigned long long)++t->fresh);
        if (!name) return starve(t);
    } while (ol_map_get(&t->by_name, ol_str_of(name)));
    return ol_dim_symbol(t, name);
}

static const atom *plain_atom(const ol_dim_table *t, ol_dim d) {
    const expr *e = expr_of(t, d);
    return e && e->n == 1 && e->terms[0].n == 1 && e->terms[0].coef == 1 ? &t->atoms[e->terms[0].atoms[0]] : NULL;
}

const char *ol_dim_symbol_name(const ol_dim_table *t, ol_dim d) {
    const atom *a = plain_atom(t, d);
    return a ? a->name : NULL;
}

size_t ol_dim_n_symbols(const ol_dim_table *t) { return (size_t)t->n_symbols; }

int ol_dim_symbol_index(const ol_dim_table *t, ol_dim d) {
    const atom *a = plain_atom(t, d);
    return a ? a->symbol : -1;
}

/* ---- arithmetic ---- */

static ol_dim add_signed(ol_dim_table *t, ol_dim a, ol_dim b, int sign) {
    poly pa, pb, r;
    if (!poly_of(t, a, &pa) || !poly_of(t, b, &pb) || !poly_add(&pa, &pb, sign, &r)) return OL_DIM_NONE;
    return intern(t, &r);
}

ol_dim ol_dim_add(ol_dim_table *t, ol_dim a, ol_dim b) { return add_signed(t, a, b, 1); }
ol_dim ol_dim_sub(ol_dim_table *t, ol_dim a, ol_dim b) { return add_signed(t, a, b, -1); }

ol_dim ol_dim_mul(ol_dim_table *t, ol_dim a, ol_dim b) {
    poly pa, pb, r;
    if (!poly_of(t, a, &pa) || !poly_of(t, b, &pb) || !poly_mul(&pa, &pb, &r)) return OL_DIM_NONE;
    return intern(t, &r);
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

/* a = t * q with q a term; false when t does not divide a. */
static bool term_divides(const term *t, const term *a, term *q) {
    if (t->coef == -1 && a->coef == INT64_MIN) return false;
    if (a->coef % t->coef != 0) return false;
    term r = {.coef = a->coef / t->coef};
    int j = 0;
    for (int i = 0; i < a->n; i++) {
        if (j < t->n && t->atoms[j] == a->atoms[i])
            j++;
        else
            r.atoms[r.n++] = a->atoms[i];
    }
    *q = r;
    return j == t->n;
}

/* floor((c Q + R) / c) = Q + floor(R / c) for a known c: the whole multiples come out. */
static ol_dim div_known(ol_dim_table *t, const poly *a, int64_t c) {
    poly whole = {.n = 0}, rest = {.n = 0}, r;
    for (int i = 0; i < a->n; i++) {
        term q = a->terms[i], m = a->terms[i];
        q.coef = floor_div(q.coef, c);
        m.coef -= q.coef * c;
        if (!poly_add_term(&whole, &q) || !poly_add_term(&rest, &m)) return OL_DIM_NONE;
    }
    int64_t k;
    if (poly_is_const(&rest, &k)) return intern(t, &whole); /* 0 <= k < c */
    ol_dim num = intern(t, &rest), quot = num == OL_DIM_NONE ? num : binary_atom(t, ATOM_DIV, num, c);
    poly pq;
    if (quot == OL_DIM_NONE || !poly_of(t, quot, &pq) || !poly_add(&whole, &pq, 1, &r)) return OL_DIM_NONE;
    return intern(t, &r);
}

ol_dim ol_dim_div_floor(ol_dim_table *t, ol_dim a, ol_dim b) {
    poly pa, pb;
    if (b == 0 || !poly_of(t, a, &pa) || !poly_of(t, b, &pb)) return OL_DIM_NONE;
    if (b > 0) return div_known(t, &pa, b);
    if (a == b) return 1;
    poly q = {.n = 0};
    bool exact = pb.n == 1; /* a divisor of one term may divide every term */
    for (int i = 0; exact && i < pa.n; i++) {
        term x;
        exact = term_divides(&pb.terms[0], &pa.terms[i], &x) && poly_add_term(&q, &x);
    }
    return exact ? intern(t, &q) : binary_atom(t, ATOM_DIV, a, b);
}

ol_dim ol_dim_div_ceil(ol_dim_table *t, ol_dim a, ol_dim b) {
    if (a >= 0 && b > 0) return a / b + (a % b != 0);
    poly pa, pb, sum;
    if (b == 0 || !poly_of(t, a, &pa) || !poly_of(t, b, &pb)) return OL_DIM_NONE;
    if (!poly_add(&pa, &pb, 1, &sum) || !poly_add_const(&sum, -1)) return OL_DIM_NONE;
    ol_dim num = intern(t, &sum);
    return num == OL_DIM_NONE ? num : ol_dim_div_floor(t, num, b);
}

static ol_dim extreme(ol_dim_table *t, atom_kind kind, ol_dim a, ol_dim b) {
    poly pa, pb, diff;
    int64_t c;
    if (!poly_of(t, a, &pa) || !poly_of(t, b, &pb)) return OL_DIM_NONE;
    if (poly_add(&pa, &pb, -1, &diff) && poly_is_const(&diff, &c)) return (c >= 0) == (kind == ATOM_MAX) ? a : b;
    return a > b ? binary_atom(t, kind, a, b) : binary_atom(t, kind, b, a);
}

ol_dim ol_dim_max(ol_dim_table *t, ol_dim a, ol_dim b) { return extreme(t, ATOM_MAX, a, b); }
ol_dim ol_dim_min(ol_dim_table *t, ol_dim a, ol_dim b) { return extreme(t, ATOM_MIN, a, b); }

ol_dim ol_dim_joint(ol_dim_table *t, ol_dim a, ol_dim b) {
    if (a == b || b == 1) return a;
    if (a == 1) return b;
    if (a >= 0 && b >= 0) return OL_DIM_NONE;
    return a > b ? binary_atom(t, ATOM_JOINT, a, b) : binary_atom(t, ATOM_JOINT, b, a);
}

/* ---- evaluation ---- */

static bool eval(const ol_dim_table *t, ol_dim d, const int64_t *values, size_t n, int64_t *out);

static bool eval_atom(const ol_dim_table *t, const atom *m, const int64_t *values, size_t n, int64_t *out) {
    int64_t a, b;
    if (m->kind == ATOM_SYMBOL) {
        if ((size_t)m->symbol >= n || values[m->symbol] < 0) return false;
        *out = values[m->symbol];
        return true;
    }
    if (!eval(t, m->a, values, n, &a) || !eval(t, m->b, values, n, &b)) return false;
    if (m->kind == ATOM_DIV) {
        if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
        *out = floor_div(a, b);
    } else if (m->kind == ATOM_JOINT && (a == 1 || b == 1)) {
        *out = a == 1 ? b : a;
    } else if (m->kind == ATOM_JOINT) { /* equal, or sizes that whoever uses them will refuse */
        *out = a > b ? a : b;
    } else {
        *out = (a > b) == (m->kind == ATOM_MAX) ? a : b;
    }
    return true;
}

static bool eval(const ol_dim_table *t, ol_dim d, const int64_t *values, size_t n, int64_t *out) {
    int64_t sum = 0, v;
    if (d >= 0) {
        *out = d;
        return true;
    }
    const expr *e = expr_of(t, d);
    if (!e) return false;
    for (int i = 0; i < e->n; i++) {
        int64_t product = e->terms[i].coef;
        for (int j = 0; j < e->terms[i].n; j++) {
            if (!eval_atom(t, &t->atoms[e->terms[i].atoms[j]], values, n, &v)) return false;
            if (!ol_mul_i64(product, v, &product)) return false;
        }
        if (!ol_add_i64(sum, product, &sum)) return false;
    }
    *out = sum;
    return true;
}

int64_t ol_dim_eval(const ol_dim_table *t, ol_dim d, const int64_t *values, size_t n_values) {
    int64_t v;
    return eval(t, d, values, n_values, &v) && v >= 0 ? v : -1;
}

/* ---- text ---- */

static bool name_char(char c, bool first) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') return true;
    return !first && ((c >= '0' && c <= '9') || c == '.' || c == '#');
}

/* Symbols that are no plain words are written between back quotes. */
static void put_symbol(ol_buf *b, const char *name) {
    bool plain = *name != 0;
    for (const char *p = name; *p; p++) plain = plain && name_char(*p, p == name);
    ol_buf_printf(b, plain ? "%s" : "`%s`", name);
}

static void put_dim(const ol_dim_table *t, ol_dim d, ol_buf *b);

static void put_atom(const ol_dim_table *t, const atom *m, ol_buf *b) {
    if (m->kind == ATOM_SYMBOL) {
        put_symbol(b, m->name);
        return;
    }
    static const char *const opening[] = {"", "(", "max(", "min(", "joint("};
    ol_buf_puts(b, opening[m->kind]);
    put_dim(t, m->a, b);
    ol_buf_puts(b, m->kind == ATOM_DIV ? " / " : ", ");
    put_dim(t, m->b, b);
    ol_buf_putc(b, ')');
}

static void put_term(const ol_dim_table *t, const term *x, bool first, ol_buf *b) {
    uint64_t mag = x->coef < 0 ? 0 - (uint64_t)x->coef : (uint64_t)x->coef;
    ol_buf_puts(b, first ? (x->coef < 0 ? "-" : "") : (x->coef < 0 ? " - " : " + "));
    if (mag != 1 || x->n == 0) ol_buf_printf(b, x->n ? "%llu*" : "%llu", (unsigned long long)mag);
    for (int i = 0; i < x->n; i++) {
        if (i) ol_buf_putc(b, '*');
        put_atom(t, &t->atoms[x->atoms[i]], b);
    }
}

static void put_dim(const ol_dim_table *t, ol_dim d, ol_buf *b) {
    const expr *e = expr_of(t, d);
    if (!e) {
        ol_buf_printf(b, d >= 0 ? "%lld" : "?", (long long)d);
        return;
    }
    if (e->n > 1) ol_buf_putc(b, '(');
    for (int i = 0; i < e->n; i++) put_term(t, &e->terms[i], i == 0, b);
    if (e->n > 1) ol_buf_putc(b, ')');
}

void ol_dim_format(const ol_dim_table *t, ol_dim d, char *out, size_t size) {
    ol_buf b = OL_BUF_INIT;
    put_dim(t, d, &b);
    if (size) snprintf(out, size, "%s", b.data && !b.failed ? b.data : "?");
    ol_buf_deinit(&b);
}

/* Values while parsing are polynomials, since a part may be negative ("-1 + T"). */
typedef struct parser {
    ol_dim_table *t;
    const char *p, *end;
    int depth;
} parser;

static bool parse_sum(parser *s, poly *out);

static void skip_space(parser *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t')) s->p++;
}

static bool take(parser *s, char c) {
    skip_space(s);
    if (s->p == s->end || *s->p != c) return false;
    s->p++;
    return true;
}

static bool parse_number(parser *s, poly *out) {
    int64_t v = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (!ol_mul_i64(v, 10, &v) || !ol_add_i64(v, *s->p - '0', &v)) return false;
    out->n = 0;
    return poly_add_const(out, v);
}

/* The two operands of max, min, joint or floor-division joined into a dim, given as a polynomial again. */
static bool join(parser *s, ol_dim (*op)(ol_dim_table *, ol_dim, ol_dim), const poly *a, const poly *b, poly *out) {
    ol_dim da = intern(s->t, a), db = intern(s->t, b);
    if (da == OL_DIM_NONE || db == OL_DIM_NONE) return false;
    ol_dim r = op(s->t, da, db);
    return r != OL_DIM_NONE && poly_of(s->t, r, out);
}

static bool parse_symbol(parser *s, poly *out) {
    char name[256];
    const char *start = s->p;
    bool quoted = *start == '`';
    if (quoted) {
        start = ++s->p;
        while (s->p < s->end && *s->p != '`') s->p++;
    } else {
        while (s->p < s->end && name_char(*s->p, s->p == start)) s->p++;
    }
    size_t len = (size_t)(s->p - start);
    if (len == 0 || len >= sizeof name || memchr(start, 0, len)) return false;
    if (quoted && !take(s, '`')) return false;
    memcpy(name, start, len);
    name[len] = 0;
    bool is_max = !quoted && strcmp(name, "max") == 0, is_min = !quoted && strcmp(name, "min") == 0;
    bool is_joint = !quoted && strcmp(name, "joint") == 0;
    if ((is_max || is_min || is_joint) && take(s, '(')) {
        poly a, b;
        return parse_sum(s, &a) && take(s, ',') && parse_sum(s, &b) && take(s, ')') &&
               join(s, is_max ? ol_dim_max : is_min ? ol_dim_min : ol_dim_joint, &a, &b, out);
    }
    ol_dim d = ol_dim_symbol(s->t, name);
    return d != OL_DIM_NONE && poly_of(s->t, d, out);
}

static bool parse_factor(parser *s, poly *out) {
    skip_space(s);
    if (s->p == s->end) return false;
    if (take(s, '(')) return parse_sum(s, out) && take(s, ')');
    if (*s->p >= '0' && *s->p <= '9') return parse_number(s, out);
    return parse_symbol(s, out);
}

static bool parse_product(parser *s, poly *out) {
    poly a, b, r;
    if (!parse_factor(s, &a)) return false;
    for (;;) {
        bool mul = take(s, '*');
        if (!mul && !take(s, '/')) break;
        if (!parse_factor(s, &b)) return false;
        if (!(mul ? poly_mul(&a, &b, &r) : join(s, ol_dim_div_floor, &a, &b, &r))) return false;
        a = r;
    }
    *out = a;
    return true;
}

static bool parse_sum(parser *s, poly *out) {
    poly a = {.n = 0}, b, r;
    if (++s->depth > MAX_PARSE_DEPTH) return false;
    int sign = take(s, '-') ? -1 : 1;
    for (;;) {
        if (!parse_product(s, &b) || !poly_add(&a, &b, sign, &r)) return false;
        a = r;
        if (take(s, '+'))
            sign = 1;
        else if (take(s, '-'))
            sign = -1;
        else
            break;
    }
    s->depth--;
    *out = a;
    return true;
}

ol_dim ol_dim_parse(ol_dim_table *t, const char *text, size_t len) {
    parser s = {t, text, text + len, 0};
    poly p;
    if (!parse_sum(&s, &p)) return OL_DIM_NONE;
    skip_space(&s);
    return s.p == s.end ? intern(t, &p) : OL_DIM_NONE;
}
