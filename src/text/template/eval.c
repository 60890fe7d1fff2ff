/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: names, operators, attributes, items. */
#include "text/template/filters.h"

#include <math.h>
#include <stdio.h>

ol_tenv *ol_tenv_push(ol_trun *r) {
    ol_tenv *e = ol_tmem(r, sizeof *e);
    if (!e) return r->env; /* the rendering has failed; nothing more is stored */
    e->parent = r->env;
    r->env = e;
    return e;
}

void ol_tenv_set(ol_trun *r, ol_tenv *e, uint32_t name, ol_tv v) {
    if (ol_tbad(r)) return;
    if (!e->parent) {
        e->values[name] = v;
        return;
    }
    for (uint32_t i = 0; i < e->n; i++)
        if (e->names[i] == name) {
            e->values[i] = v;
            return;
        }
    if (e->n == e->cap) {
        uint32_t cap = e->cap ? e->cap * 2 : 4;
        uint32_t *names = ol_tmem(r, cap * sizeof *names);
        ol_tv *values = ol_tmem(r, cap * sizeof *values);
        if (!names || !values) return;
        if (e->n) {
            memcpy(names, e->names, e->n * sizeof *names);
            memcpy(values, e->values, e->n * sizeof *values);
        }
        e->names = names;
        e->values = values;
        e->cap = cap;
    }
    e->names[e->n] = name;
    e->values[e->n++] = v;
}

ol_tv ol_tenv_get(ol_trun *r, uint32_t name) {
    for (const ol_tenv *e = r->env; e; e = e->parent) {
        if (!e->parent) {
            ol_tv v = e->values[name];
            if (v.kind != OL_TV_UNDEF || v.s) return v;
            break;
        }
        for (uint32_t i = 0; i < e->n; i++)
            if (e->names[i] == name) return e->values[i];
    }
    ol_tv g;
    if (ol_tglobal_find(r->tpl->names[name], &g)) return g;
    return ol_tundef(r, "'%s' is undefined", r->tpl->names[name]);
}

static ol_tv type_error(ol_trun *r, ol_top op, ol_tv a, ol_tv b) {
    static const char *const signs[] = {"+", "-", "*", "/", "//", "%", "**"};
    if (a.kind == OL_TV_UNDEF || b.kind == OL_TV_UNDEF)
        return ol_tfail(r, OLV_FORMAT, "%s", a.kind == OL_TV_UNDEF ? a.s : b.s);
    if (op == OL_OP_ADD && a.kind == OL_TV_STR)
        return ol_tfail(r, OLV_FORMAT, "can only concatenate str (not \"%s\") to str", ol_ttype(b));
    return ol_tfail(r, OLV_FORMAT, "unsupported operand type(s) for %s: '%s' and '%s'", signs[op], ol_ttype(a),
                    ol_ttype(b));
}

static ol_tv overflow(ol_trun *r) { return ol_tfail(r, OLV_LIMIT, "an integer does not fit in 64 bits"); }

static ol_tv int_power(ol_trun *r, int64_t a, int64_t b) {
    int64_t v = 1;
    if (b < 0) {
        if (a == 0) return ol_tfail(r, OLV_FORMAT, "0.0 cannot be raised to a negative power");
        return ol_tfloat(pow((double)a, (double)b));
    }
    if (a == 0 || a == 1) return ol_tint(b == 0 ? 1 : a);
    if (a == -1) return ol_tint(b % 2 ? -1 : 1);
    for (int64_t i = 0; i < b; i++)
        if (__builtin_mul_overflow(v, a, &v)) return overflow(r);
    return ol_tint(v);
}

static ol_tv int_op(ol_trun *r, ol_top op, int64_t a, int64_t b) {
    int64_t v = 0;
    switch (op) {
    case OL_OP_ADD: return __builtin_add_overflow(a, b, &v) ? overflow(r) : ol_tint(v);
    case OL_OP_SUB: return __builtin_sub_overflow(a, b, &v) ? overflow(r) : ol_tint(v);
    case OL_OP_MUL: return __builtin_mul_overflow(a, b, &v) ? overflow(r) : ol_tint(v);
    case OL_OP_POW: return int_power(r, a, b);
    default: break;
    }
    if (b == 0) return ol_tfail(r, OLV_FORMAT, "integer division or modulo by zero");
    if (op == OL_OP_DIV) return ol_tfloat((double)a / (double)b);
    if (b == -1) {
        if (op == OL_OP_MOD) return ol_tint(0);
        return a == INT64_MIN ? overflow(r) : ol_tint(-a);
    }
    int64_t q = a / b, m = a % b;
    if (m != 0 && (m < 0) != (b < 0)) {
        q--;
        m += b;
    }
    return ol_tint(op == OL_OP_MOD ? m : q);
}

static ol_tv float_op(ol_trun *r, ol_top op, double a, double b) {
    switch (op) {
    case OL_OP_ADD: return ol_tfloat(a + b);
    case OL_OP_SUB: return ol_tfloat(a - b);
    case OL_OP_MUL: return ol_tfloat(a * b);
    case OL_OP_POW:
        if (a == 0 && b < 0) return ol_tfail(r, OLV_FORMAT, "0.0 cannot be raised to a negative power");
        if (a < 0 && b != floor(b)) return ol_tfail(r, OLV_UNSUPPORTED, "a power that is a complex number");
        if (isinf(pow(a, b)) && !isinf(a) && !isinf(b)) return ol_tfail(r, OLV_FORMAT, "Numerical result out of range");
        return ol_tfloat(pow(a, b));
    default: break;
    }
    if (b == 0) return ol_tfail(r, OLV_FORMAT, "float division by zero");
    if (op == OL_OP_DIV) return ol_tfloat(a / b);
    double m = fmod(a, b);
    if (m != 0 && (m < 0) != (b < 0)) m += b;
    else if (m == 0) m = copysign(0.0, b);
    if (op == OL_OP_MOD) return ol_tfloat(m);
    double q = (a - m) / b, f = floor(q);
    if (q != 0 && q - f > 0.5) f += 1;
    return ol_tfloat(q == 0 ? copysign(0.0, a / b) : f);
}

static ol_tv repeat(ol_trun *r, ol_tv s, int64_t times) {
    if (times < 0) times = 0;
    if (s.kind == OL_TV_STR) {
        if (s.len && times > (int64_t)(r->max_output / s.len))
            return ol_tfail(r, OLV_LIMIT, "a repeated string grows past %zu bytes", r->max_output);
        if (!ol_ttick(r, (uint64_t)times * s.len / 256)) return s;
        ol_buf b = ol_tbuf(r);
        for (int64_t i = 0; i < times && s.len; i++) ol_buf_append(&b, s.s, s.len);
        ol_tv v = ol_tstr_take(r, &b);
        v.aux = s.aux;
        return v;
    }
    ol_tseq *out = ol_tseq_new(r, (ol_tseq_flavor)s.seq->flavor);
    for (int64_t i = 0; i < times && s.seq->n && !ol_tbad(r); i++)
        for (uint32_t k = 0; k < s.seq->n && ol_ttick(r, 1); k++) ol_tseq_push(r, out, s.seq->items[k]);
    return ol_tseq_value(out);
}

static bool is_list(ol_tv v) { return v.kind == OL_TV_SEQ && v.seq->flavor <= OL_SEQ_GROUP; }

static ol_tv concat_lists(ol_trun *r, ol_tv a, ol_tv b) {
    ol_tseq *out = ol_tseq_new(r, a.seq->flavor == OL_SEQ_LIST ? OL_SEQ_LIST : OL_SEQ_TUPLE);
    ol_ttick(r, (a.seq->n + b.seq->n) / 8);
    for (uint32_t i = 0; i < a.seq->n; i++) ol_tseq_push(r, out, a.seq->items[i]);
    for (uint32_t i = 0; i < b.seq->n; i++) ol_tseq_push(r, out, b.seq->items[i]);
    return ol_tseq_value(out);
}

static ol_tv concat_markup(ol_trun *r, ol_tv a, ol_tv b) {
    if (a.aux == b.aux) return ol_tstr_concat(r, a, b);
    if (!a.aux) a = ol_tf_forceescape(r, a, NULL, NULL);
    else b = ol_tf_forceescape(r, b, NULL, NULL);
    ol_tv v = ol_tstr_concat(r, a, b);
    v.aux = 1;
    return v;
}

ol_tv ol_tbinary(ol_trun *r, ol_top op, ol_tv a, ol_tv b) {
    if (ol_tis_int(a) && ol_tis_int(b)) return int_op(r, op, ol_tint_of(a), ol_tint_of(b));
    if (ol_tis_number(a) && ol_tis_number(b)) return float_op(r, op, ol_tfloat_of(a), ol_tfloat_of(b));
    if (op == OL_OP_ADD && ol_tis_str(a) && ol_tis_str(b)) return concat_markup(r, a, b);
    if (op == OL_OP_ADD && is_list(a) && is_list(b) &&
        (a.seq->flavor == OL_SEQ_LIST) == (b.seq->flavor == OL_SEQ_LIST))
        return concat_lists(r, a, b);
    if (op == OL_OP_MOD && ol_tis_str(a)) return ol_tformat_percent(r, a, b);
    if (op == OL_OP_MUL) {
        if ((ol_tis_str(a) || is_list(a)) && ol_tis_int(b)) return repeat(r, a, ol_tint_of(b));
        if ((ol_tis_str(b) || is_list(b)) && ol_tis_int(a)) return repeat(r, b, ol_tint_of(a));
    }
    return type_error(r, op, a, b);
}

static const char *object_name(ol_tv v) {
    if (v.kind == OL_TV_NONE) return "'None'";
    return NULL;
}

static ol_tv missing(ol_trun *r, ol_tv v, ol_tv key) {
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    char name[80];
    if (!object_name(v)) snprintf(name, sizeof name, "'%s object'", ol_ttype(v));
    else snprintf(name, sizeof name, "%s", object_name(v));
    if (key.kind == OL_TV_STR)
        return ol_tundef(r, "%s has no attribute '%.*s'", name, (int)(key.len < 100 ? key.len : 100), key.s);
    ol_buf b = ol_tbuf(r);
    ol_tput_repr(r, &b, key);
    ol_tv u = ol_tundef(r, "%s has no element %.100s", name, b.data ? b.data : "");
    ol_buf_deinit(&b);
    return u;
}

static ol_tv loop_attr(ol_trun *r, const ol_tloop *l, ol_str n, bool *found) {
    int64_t i = l->index, len = l->items->n;
    *found = true;
    if (ol_str_is(n, "index")) return ol_tint(i + 1);
    if (ol_str_is(n, "index0")) return ol_tint(i);
    if (ol_str_is(n, "first")) return ol_tbool(i == 0);
    if (ol_str_is(n, "last")) return ol_tbool(i + 1 == len);
    if (ol_str_is(n, "length")) return ol_tint(len);
    if (ol_str_is(n, "revindex")) return ol_tint(len - i);
    if (ol_str_is(n, "revindex0")) return ol_tint(len - i - 1);
    if (ol_str_is(n, "depth")) return ol_tint(l->depth0 + 1);
    if (ol_str_is(n, "depth0")) return ol_tint(l->depth0);
    if (ol_str_is(n, "previtem"))
        return i > 0 ? l->items->items[i - 1] : ol_tundef(r, "there is no previous item");
    if (ol_str_is(n, "nextitem"))
        return i + 1 < len ? l->items->items[i + 1] : ol_tundef(r, "there is no next item");
    *found = false;
    return ol_tnone();
}

/* Attributes that are no methods. */
static ol_tv special_attr(ol_trun *r, ol_tv v, ol_str name, bool *found) {
    *found = false;
    if (v.kind == OL_TV_LOOP) return loop_attr(r, v.loop, name, found);
    ol_tv out = ol_tnone();
    if (v.kind == OL_TV_NAMESPACE) *found = ol_tdict_find(v.dict, name.ptr, name.len, &out);
    if (v.kind == OL_TV_SEQ && v.seq->flavor == OL_SEQ_GROUP && v.seq->n == 2) {
        *found = ol_str_is(name, "grouper") || ol_str_is(name, "list");
        if (*found) return v.seq->items[ol_str_is(name, "list")];
    }
    if (v.kind == OL_TV_CYCLER && ol_str_is(name, "current")) {
        *found = true;
        return v.dict->n ? v.dict->items[v.dict->cycle_at].value : out;
    }
    if (v.kind == OL_TV_MACRO && ol_str_is(name, "name")) {
        *found = true;
        return ol_tstr_z(v.macro->name);
    }
    return out;
}

static ol_tv method_value(ol_trun *r, ol_tv v, uint16_t id) {
    ol_tmethod *m = ol_tmem(r, sizeof *m);
    if (!m) return ol_tnone();
    *m = (ol_tmethod){v, ol_tmethod_name(id), id};
    return (ol_tv){.kind = OL_TV_METHOD, .method = m};
}

/* Python's getattr: special attributes and methods; false if v has none of that name. */
static bool python_attr(ol_trun *r, ol_tv v, ol_str name, ol_tv *out) {
    bool found, unsafe = false;
    *out = special_attr(r, v, name, &found);
    if (found) return true;
    uint16_t id = ol_tmethod_find(v, name, &unsafe);
    if (unsafe || (name.len > 4 && ol_str_starts(name, "__") && ol_str_ends(name, "__") &&
                   (ol_str_is(name, "__class__") || ol_str_is(name, "__init__") || ol_str_is(name, "__dict__")))) {
        *out = ol_tundef(r, "access to attribute '%.*s' of '%s' object is unsafe", (int)name.len, name.ptr,
                         ol_ttype(v));
        return true;
    }
    if (id == OL_TNO_ID) return false;
    *out = method_value(r, v, id);
    return true;
}

ol_tv ol_tget_attr(ol_trun *r, ol_tv v, ol_str name) {
    ol_tv out;
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    if (python_attr(r, v, name, &out)) return out;
    if (v.kind == OL_TV_DICT && ol_tdict_find(v.dict, name.ptr, name.len, &out)) return out;
    return missing(r, v, ol_tstr_ref(name.ptr, name.len));
}

static bool sequence_item(ol_trun *r, ol_tv v, int64_t i, ol_tv *out) {
    int64_t n = ol_tlen(r, v);
    if (i < 0) i += n;
    if (i < 0 || i >= n) return false;
    if (v.kind == OL_TV_SEQ) {
        *out = v.seq->items[i];
        return true;
    }
    size_t a = ol_tcp_offset(v.s, v.len, i), b = a;
    int32_t cp;
    b += (size_t)ol_utf8_decode(v.s + a, v.len - a, &cp);
    *out = ol_tstr_ref(v.s + a, b - a);
    out->aux = v.aux;
    return true;
}

ol_tv ol_tget_item(ol_trun *r, ol_tv v, ol_tv key) {
    ol_tv out;
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    if (v.kind == OL_TV_DICT && ol_thashable(key) && ol_tdict_get(r, v.dict, key, &out)) return out;
    bool indexed = v.kind == OL_TV_STR || (v.kind == OL_TV_SEQ && v.seq->flavor <= OL_SEQ_RANGE);
    if (indexed && ol_tis_int(key) && sequence_item(r, v, ol_tint_of(key), &out)) return out;
    if (key.kind == OL_TV_STR && python_attr(r, v, ol_tview(key), &out)) return out;
    return missing(r, v, key);
}

static ol_tv eval_slice(ol_trun *r, const ol_tnode *n) {
    ol_tv v = ol_teval(r, n->a), part[3];
    const ol_tnode *const nodes[3] = {n->b, n->c, n->d};
    for (int i = 0; i < 3; i++) part[i] = nodes[i] ? ol_teval(r, nodes[i]) : ol_tnone();
    return ol_tslice(r, v, part[0], part[1], part[2]);
}

static bool compare_one(ol_trun *r, ol_top op, ol_tv a, ol_tv b) {
    int c;
    switch (op) {
    case OL_OP_EQ: return ol_tequal(r, a, b);
    case OL_OP_NE: return !ol_tequal(r, a, b);
    case OL_OP_IN: return ol_tcontains(r, b, a);
    case OL_OP_NOT_IN: return !ol_tcontains(r, b, a);
    default: break;
    }
    c = ol_tcompare(r, a, b);
    if (c == 2) return false;
    return op == OL_OP_LT ? c < 0 : op == OL_OP_LE ? c <= 0 : op == OL_OP_GT ? c > 0 : c >= 0;
}

static ol_tv eval_compare(ol_trun *r, const ol_tnode *n) {
    ol_tv a = ol_teval(r, n->a);
    for (const ol_tnode *o = n->list; o; o = o->next) {
        ol_tv b = ol_teval(r, o->a);
        if (ol_tbad(r) || !compare_one(r, (ol_top)o->op, a, b)) return ol_tbool(false);
        a = b;
    }
    return ol_tbool(true);
}

static ol_tv eval_concat(ol_trun *r, const ol_tnode *n) {
    ol_tv v = ol_tstr_ref("", 0);
    for (const ol_tnode *e = n->list; e && !ol_tbad(r); e = e->next) {
        ol_tv s = ol_tto_str(r, ol_teval(r, e));
        s.aux = 0;
        v = ol_tstr_concat(r, v, s);
    }
    v.aux = 0;
    return v;
}

static ol_tv eval_items(ol_trun *r, const ol_tnode *n) {
    ol_tseq *s = ol_tseq_new(r, n->kind == OL_N_LIST ? OL_SEQ_LIST : OL_SEQ_TUPLE);
    for (const ol_tnode *e = n->list; e && !ol_tbad(r); e = e->next) ol_tseq_push(r, s, ol_teval(r, e));
    return ol_tseq_value(s);
}

static ol_tv eval_dict(ol_trun *r, const ol_tnode *n) {
    ol_tdict *d = ol_tdict_new(r);
    for (const ol_tnode *e = n->list; e && !ol_tbad(r); e = e->next) {
        ol_tv key = ol_teval(r, e->a);
        ol_tdict_set(r, d, key, ol_teval(r, e->b));
    }
    return ol_tdict_value(d);
}

static ol_tv eval_sign(ol_trun *r, const ol_tnode *n) {
    ol_tv v = ol_teval(r, n->a);
    if (v.kind == OL_TV_UNDEF) return ol_tfail(r, OLV_FORMAT, "%s", v.s);
    if (!ol_tis_number(v))
        return ol_tfail(r, OLV_FORMAT, "bad operand type for unary %c: '%s'", n->kind == OL_N_NEG ? '-' : '+',
                        ol_ttype(v));
    if (n->kind == OL_N_POS) return ol_tis_int(v) ? ol_tint(ol_tint_of(v)) : v;
    if (v.kind == OL_TV_FLOAT) return ol_tfloat(-v.f);
    return int_op(r, OL_OP_SUB, 0, ol_tint_of(v));
}

/* "x.method(...)" without making a method object. */
static ol_tv eval_call(ol_trun *r, const ol_tnode *n) {
    if (n->a->kind == OL_N_ATTR) {
        ol_tv self = ol_teval(r, n->a->a);
        ol_str name = ol_tview(n->a->value);
        bool unsafe = false, special = false;
        uint16_t id = self.kind == OL_TV_UNDEF ? OL_TNO_ID : ol_tmethod_find(self, name, &unsafe);
        if (id != OL_TNO_ID && !unsafe) special_attr(r, self, name, &special);
        ol_tv callee = ol_tnone();
        bool direct = id != OL_TNO_ID && !unsafe && !special;
        if (!direct) callee = ol_tget_attr(r, self, name);
        ol_targs args = ol_teval_args(r, n);
        if (ol_tbad(r)) return callee;
        r->line = n->line;
        return direct ? ol_tmethod_call(r, self, id, &args) : ol_tcall(r, callee, &args);
    }
    ol_tv callee = ol_teval(r, n->a);
    ol_targs args = ol_teval_args(r, n);
    if (ol_tbad(r)) return callee;
    r->line = n->line;
    return ol_tcall(r, callee, &args);
}

static ol_tv eval_filter(ol_trun *r, const ol_tnode *n) {
    ol_tv v = ol_teval(r, n->a);
    ol_targs args = ol_teval_args(r, n);
    if (ol_tbad(r)) return v;
    if (n->kind == OL_N_TEST) return ol_tbool(ol_ttest_apply(r, n->id, ol_tview(n->value), v, &args));
    return ol_tfilter_apply(r, n->id, ol_tview(n->value), v, &args);
}

ol_tv ol_tapply_chain(ol_trun *r, const ol_tnode *chain, ol_tv text) {
    if (!chain || !ol_tenter(r)) return text;
    ol_tv v = ol_tapply_chain(r, chain->a, text);
    ol_targs args = ol_teval_args(r, chain);
    if (!ol_tbad(r)) v = ol_tfilter_apply(r, chain->id, ol_tview(chain->value), v, &args);
    ol_tleave(r);
    return v;
}

static ol_tv eval_if(ol_trun *r, const ol_tnode *n) {
    if (ol_ttruth(ol_teval(r, n->b))) return ol_teval(r, n->a);
    if (n->c) return ol_teval(r, n->c);
    return ol_tundef(r, "the inline if-expression on line %d evaluated to false and no else section was defined.",
                     n->line);
}

static ol_tv eval_node(ol_trun *r, const ol_tnode *n) {
    ol_tv a;
    switch ((ol_tnode_kind)n->kind) {
    case OL_N_CONST: return n->value;
    case OL_N_NAME: return ol_tenv_get(r, n->name);
    case OL_N_LIST:
    case OL_N_TUPLE: return eval_items(r, n);
    case OL_N_DICT: return eval_dict(r, n);
    case OL_N_ATTR: a = ol_teval(r, n->a); return ol_tget_attr(r, a, ol_tview(n->value));
    case OL_N_ITEM: a = ol_teval(r, n->a); return ol_tget_item(r, a, ol_teval(r, n->b));
    case OL_N_SLICE: return eval_slice(r, n);
    case OL_N_CALL: return eval_call(r, n);
    case OL_N_FILTER:
    case OL_N_TEST: return eval_filter(r, n);
    case OL_N_NEG:
    case OL_N_POS: return eval_sign(r, n);
    case OL_N_NOT: return ol_tbool(!ol_ttruth(ol_teval(r, n->a)));
    case OL_N_AND: a = ol_teval(r, n->a); return ol_ttruth(a) ? ol_teval(r, n->b) : a;
    case OL_N_OR: a = ol_teval(r, n->a); return ol_ttruth(a) ? a : ol_teval(r, n->b);
    case OL_N_BINARY: a = ol_teval(r, n->a); return ol_tbinary(r, (ol_top)n->op, a, ol_teval(r, n->b));
    case OL_N_COMPARE: return eval_compare(r, n);
    case OL_N_CONCAT: return eval_concat(r, n);
    case OL_N_IF_EXPR: return eval_if(r, n);
    default: return ol_tfail(r, OLV_INTERNAL, "a node of kind %d is no expression", n->kind);
    }
}

ol_tv ol_teval(ol_trun *r, const ol_tnode *n) {
    if (!ol_ttick(r, 1) || !ol_tenter(r)) return (ol_tv){.kind = OL_TV_UNDEF, .s = "a failed expression"};
    r->line = n->line;
    ol_tv v = eval_node(r, n);
    ol_tleave(r);
    return v;
}
