/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: arguments, macros, global functions. */
#include "text/template/filters.h"

#include <stdio.h>

static ol_tseq no_items;
static ol_tdict no_keywords;

const char *ol_tmacro_name(const ol_tmacro *m) { return m->name; }

void ol_tput_loop(ol_buf *b, const ol_tloop *l) {
    ol_buf_printf(b, "<LoopContext %u/%u>", l->index + 1, l->items->n);
}

static void add_stars(ol_trun *r, const ol_tnode *n, ol_targs *a) {
    if (n->star) {
        const ol_tseq *s = ol_titer(r, ol_teval(r, n->star));
        for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) ol_tseq_push(r, a->pos, s->items[i]);
    }
    if (n->star2) {
        ol_tv d = ol_teval(r, n->star2);
        if (d.kind != OL_TV_DICT) {
            ol_tfail(r, OLV_FORMAT, "argument after ** must be a mapping, not %s", ol_ttype(d));
            return;
        }
        for (uint32_t i = 0; i < d.dict->n && ol_ttick(r, 1); i++) {
            if (!ol_tis_str(d.dict->items[i].key)) ol_tfail(r, OLV_FORMAT, "keywords must be strings");
            ol_tdict_set(r, a->kw, d.dict->items[i].key, d.dict->items[i].value);
        }
    }
}

ol_targs ol_teval_args(ol_trun *r, const ol_tnode *n) {
    ol_targs a = {&no_items, &no_keywords};
    if (!n->list && !n->keywords && !n->star && !n->star2) return a;
    a.pos = ol_tseq_new(r, OL_SEQ_LIST);
    a.kw = ol_tdict_new(r);
    for (const ol_tnode *e = n->list; e && !ol_tbad(r); e = e->next) ol_tseq_push(r, a.pos, ol_teval(r, e));
    for (const ol_tnode *k = n->keywords; k && !ol_tbad(r); k = k->next)
        ol_tdict_set(r, a.kw, ol_tstr_z(r->tpl->names[k->name]), ol_teval(r, k->a));
    add_stars(r, n, &a);
    return a;
}

static bool template_has(const ol_trun *r, const char *name, uint32_t *id) {
    const uint64_t *v = ol_map_get(&r->tpl->name_index, ol_str_of(name));
    if (v) *id = (uint32_t)*v;
    return v != NULL;
}

/* Positional arguments past the parameters, and keywords that name none. */
static void bind_rest(ol_trun *r, const ol_tmacro *m, const ol_targs *args) {
    uint32_t id, np = m->node->count;
    if (template_has(r, "varargs", &id)) {
        ol_tseq *s = ol_tseq_new(r, OL_SEQ_TUPLE);
        for (uint32_t i = np; i < args->pos->n; i++) ol_tseq_push(r, s, args->pos->items[i]);
        ol_tenv_set(r, r->env, id, ol_tseq_value(s));
    } else if (args->pos->n > np) {
        ol_tfail(r, OLV_FORMAT, "macro '%s' takes not more than %u argument(s)", m->name, np);
    }
    bool has_kwargs = template_has(r, "kwargs", &id);
    ol_tdict *rest = ol_tdict_new(r);
    for (uint32_t i = 0; i < args->kw->n && !ol_tbad(r); i++) {
        ol_tv key = args->kw->items[i].key;
        bool known = ol_str_is(ol_tview(key), "caller");
        for (const ol_tnode *p = m->node->list; p && !known; p = p->next)
            known = ol_str_is(ol_tview(key), r->tpl->names[p->name]);
        if (known) continue;
        if (!has_kwargs)
            ol_tfail(r, OLV_FORMAT, "macro '%s' takes no keyword argument '%.*s'", m->name, (int)key.len, key.s);
        ol_tdict_add(r, rest, key, args->kw->items[i].value);
    }
    if (has_kwargs) ol_tenv_set(r, r->env, id, ol_tdict_value(rest));
}

static void bind_parameters(ol_trun *r, const ol_tmacro *m, const ol_targs *args) {
    uint32_t i = 0, id;
    for (const ol_tnode *p = m->node->list; p && !ol_tbad(r); p = p->next, i++) {
        const char *name = r->tpl->names[p->name];
        ol_tv v;
        bool keyword = ol_tdict_find(args->kw, name, strlen(name), &v);
        if (i < args->pos->n) {
            if (keyword) ol_tfail(r, OLV_FORMAT, "macro '%s' got multiple values for argument '%s'", m->name, name);
            v = args->pos->items[i];
        } else if (!keyword) {
            v = p->a ? ol_teval(r, p->a) : ol_tundef(r, "parameter '%s' was not provided", name);
        }
        ol_tenv_set(r, r->env, p->name, v);
    }
    bind_rest(r, m, args);
    if (m->node->kind == OL_N_MACRO && template_has(r, "caller", &id)) {
        ol_tv v;
        if (!ol_tdict_find(args->kw, "caller", 6, &v)) v = ol_tundef(r, "No caller defined");
        ol_tenv_set(r, r->env, id, v);
    }
}

static ol_tv call_macro(ol_trun *r, const ol_tmacro *m, const ol_targs *args) {
    if (r->call_depth >= OL_TCALL_MAX)
        return ol_tfail(r, OLV_LIMIT, "macro '%s' is called more than %d levels deep", m->name, (int)OL_TCALL_MAX);
    r->call_depth++;
    ol_tenv *env = r->env;
    r->env = m->env;
    ol_tenv_push(r);
    bind_parameters(r, m, args);
    ol_tv v = ol_tcapture(r, m->node->body);
    r->env = env;
    r->call_depth--;
    return v;
}

ol_tv ol_tcall(ol_trun *r, ol_tv f, const ol_targs *args) {
    switch ((ol_tv_kind)f.kind) {
    case OL_TV_UNDEF: return ol_tfail(r, OLV_FORMAT, "%s", f.s);
    case OL_TV_MACRO: return call_macro(r, f.macro, args);
    case OL_TV_FUNCTION: return ol_tglobal_call(r, f.aux, args);
    case OL_TV_METHOD: return ol_tmethod_call(r, f.method->self, f.method->id, args);
    case OL_TV_LOOP:
        if (args->pos->n != 1) return ol_tfail(r, OLV_FORMAT, "a loop is called with one iterable");
        return ol_tloop_recurse(r, f.loop, args->pos->items[0]);
    case OL_TV_JOINER: {
        bool used = f.dict->cycle_at != 0;
        f.dict->cycle_at = 1;
        return used && f.dict->n ? f.dict->items[0].value : ol_tstr_ref("", 0);
    }
    default: return ol_tfail(r, OLV_FORMAT, "'%s' object is not callable", ol_ttype(f));
    }
}

static ol_tv global_range(ol_trun *r, const ol_targs *args) {
    int64_t v[3] = {0, 0, 1};
    ol_tv a[OL_TARGS_MAX];
    if (!ol_tbind(r, "range", "start stop step", args, a)) return ol_tnone();
    if (args->pos->n == 0) return ol_tfail(r, OLV_FORMAT, "range expected at least 1 argument, got 0");
    for (uint32_t i = 0; i < args->pos->n; i++) v[i] = ol_targ_int(r, a[i], 0);
    if (args->pos->n == 1) {
        v[1] = v[0];
        v[0] = 0;
    }
    if (v[2] == 0) return ol_tfail(r, OLV_FORMAT, "range() arg 3 must not be zero");
    ol_tseq *s = ol_tseq_new(r, OL_SEQ_RANGE);
    if (ol_tbad(r)) return ol_tnone();
    memcpy(s->range, v, sizeof v);
    __int128 span = v[2] > 0 ? (__int128)v[1] - v[0] : (__int128)v[0] - v[1];
    __int128 step = v[2] > 0 ? v[2] : -(__int128)v[2];
    __int128 n = span <= 0 ? 0 : (span + step - 1) / step;
    if (n > 100000) return ol_tfail(r, OLV_LIMIT, "Range too big. The sandbox blocks ranges larger than 100000");
    for (int64_t i = 0; i < (int64_t)n; i++) ol_tseq_push(r, s, ol_tint(v[0] + i * v[2]));
    ol_ttick(r, (uint64_t)n / 8);
    return ol_tseq_value(s);
}

static void add_pairs(ol_trun *r, ol_tdict *d, ol_tv from) {
    if (from.kind == OL_TV_DICT) {
        for (uint32_t i = 0; i < from.dict->n && ol_ttick(r, 1); i++)
            ol_tdict_set(r, d, from.dict->items[i].key, from.dict->items[i].value);
        return;
    }
    const ol_tseq *s = ol_titer(r, from);
    for (uint32_t i = 0; i < s->n && ol_ttick(r, 1); i++) {
        const ol_tseq *p = ol_titer(r, s->items[i]);
        if (p->n != 2) {
            ol_tfail(r, OLV_FORMAT, "dictionary update sequence element #%u has length %u; 2 is required", i, p->n);
            return;
        }
        ol_tdict_set(r, d, p->items[0], p->items[1]);
    }
}

static ol_tv global_dict(ol_trun *r, const ol_targs *args, bool namespace) {
    ol_tdict *d = ol_tdict_new(r);
    if (args->pos->n > 1) return ol_tfail(r, OLV_FORMAT, "dict expected at most 1 argument, got %u", args->pos->n);
    if (args->pos->n) add_pairs(r, d, args->pos->items[0]);
    add_pairs(r, d, ol_tdict_value(args->kw));
    ol_tv v = ol_tdict_value(d);
    if (namespace) v.kind = OL_TV_NAMESPACE;
    return v;
}

static ol_tv global_namespace(ol_trun *r, const ol_targs *args) { return global_dict(r, args, true); }
static ol_tv global_dict_plain(ol_trun *r, const ol_targs *args) { return global_dict(r, args, false); }

static ol_tv global_raise(ol_trun *r, const ol_targs *args) {
    ol_tv a[OL_TARGS_MAX];
    if (!ol_tbind(r, "raise_exception", "message", args, a)) return ol_tnone();
    ol_tv s = ol_tto_str(r, ol_tgiven(a[0]) ? a[0] : ol_tstr_ref("", 0));
    return ol_tfail(r, OLV_FORMAT, "%.*s", (int)(s.len < 800 ? s.len : 800), s.s);
}

static ol_tv global_strftime(ol_trun *r, const ol_targs *args) {
    ol_tv a[OL_TARGS_MAX];
    if (!ol_tbind(r, "strftime_now", "format", args, a)) return ol_tnone();
    if (!ol_tgiven(a[0]) || !ol_tis_str(a[0])) return ol_tfail(r, OLV_FORMAT, "strftime_now takes a format string");
    ol_buf b = ol_tbuf(r);
    ol_clock_format(&r->now, a[0].s, a[0].len, &b);
    return ol_tstr_take(r, &b);
}

static ol_tv global_cycler(ol_trun *r, const ol_targs *args) {
    if (args->pos->n == 0) return ol_tfail(r, OLV_FORMAT, "at least one item has to be provided");
    ol_tdict *d = ol_tdict_new(r);
    for (uint32_t i = 0; i < args->pos->n; i++) ol_tdict_add(r, d, ol_tint(i), args->pos->items[i]);
    return (ol_tv){.kind = OL_TV_CYCLER, .dict = d};
}

static ol_tv global_joiner(ol_trun *r, const ol_targs *args) {
    ol_tv a[OL_TARGS_MAX];
    if (!ol_tbind(r, "joiner", "sep", args, a)) return ol_tnone();
    ol_tdict *d = ol_tdict_new(r);
    ol_tdict_add(r, d, ol_tint(0), ol_tgiven(a[0]) ? a[0] : ol_tstr_z(", "));
    return (ol_tv){.kind = OL_TV_JOINER, .dict = d};
}

static const struct {
    const char *name;
    ol_tv (*fn)(ol_trun *, const ol_targs *);
} globals[] = {{"range", global_range},
               {"dict", global_dict_plain},
               {"namespace", global_namespace},
               {"raise_exception", global_raise},
               {"strftime_now", global_strftime},
               {"cycler", global_cycler},
               {"joiner", global_joiner}};

bool ol_tglobal_find(const char *name, ol_tv *out) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (strcmp(name, globals[i].name) == 0) {
            *out = (ol_tv){.kind = OL_TV_FUNCTION, .aux = (uint8_t)i};
            return true;
        }
    return false;
}

ol_tv ol_tglobal_call(ol_trun *r, uint8_t index, const ol_targs *args) { return globals[index].fn(r, args); }
