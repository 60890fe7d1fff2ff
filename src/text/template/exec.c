/* SPDX-License-Identifier: Apache-2.0 */
/* Statements and loops. */
#include "text/template/filters.h"

void ol_temit(ol_trun *r, ol_tv v) {
    if (ol_tbad(r)) return;
    ol_tput_str(r, r->out, v);
    ol_tcheck_buf(r, r->out, "the output");
}

ol_tv ol_tcapture(ol_trun *r, const ol_tnode *chain) {
    ol_buf b = ol_tbuf(r), *out = r->out;
    r->out = &b;
    ol_texec(r, chain);
    r->out = out;
    return ol_tstr_take(r, &b);
}

static void assign(ol_trun *r, const ol_tnode *target, ol_tv v) {
    if (ol_tbad(r)) return;
    if (target->kind == OL_N_NAME) {
        ol_tenv_set(r, r->env, target->name, v);
        return;
    }
    if (target->kind == OL_N_ATTR) {
        ol_tv ns = ol_teval(r, target->a);
        if (ns.kind != OL_TV_NAMESPACE) {
            ol_tfail(r, OLV_FORMAT, "cannot assign attribute on non-namespace object");
            return;
        }
        ol_tdict_set(r, ns.dict, target->value, v);
        return;
    }
    if (!ol_titerable(v)) {
        ol_tfail(r, OLV_FORMAT, "cannot unpack non-iterable %s object", ol_ttype(v));
        return;
    }
    const ol_tseq *s = ol_titer(r, v);
    if (!ol_tenter(r)) return;
    if (s->n != target->count)
        ol_tfail(r, OLV_FORMAT, "expected %u values to unpack, found %u", target->count, s->n);
    uint32_t i = 0;
    for (const ol_tnode *t = target->list; t && !ol_tbad(r); t = t->next) assign(r, t, s->items[i++]);
    ol_tleave(r);
}

/* Empties the scope for the next iteration, or gives a new one when a macro holds on to it. */
static void renew_scope(ol_trun *r, ol_tenv *outer) {
    if (r->env != outer && !r->env->captured) {
        r->env->n = 0;
        return;
    }
    r->env = outer;
    ol_tenv_push(r);
}

static const ol_tseq *filtered(ol_trun *r, const ol_tnode *n, const ol_tseq *all, ol_tenv *outer) {
    ol_tseq *out = ol_tseq_new(r, OL_SEQ_LIST);
    for (uint32_t i = 0; i < all->n && ol_ttick(r, 1); i++) {
        renew_scope(r, outer);
        assign(r, n->a, all->items[i]);
        if (ol_ttruth(ol_teval(r, n->c))) ol_tseq_push(r, out, all->items[i]);
    }
    r->env = outer;
    return out;
}

static uint32_t loop_name(const ol_trun *r) {
    const uint64_t *id = ol_map_get(&r->tpl->name_index, ol_str_of("loop"));
    return id ? (uint32_t)*id : UINT32_MAX;
}

static void run_loop(ol_trun *r, const ol_tnode *n, ol_tv over, int depth0) {
    ol_tenv *outer = r->env;
    const ol_tseq *items = ol_titer(r, over);
    if (n->c) items = filtered(r, n, items, outer);
    ol_tloop *loop = ol_tmem(r, sizeof *loop);
    if (!loop) return;
    *loop = (ol_tloop){.items = items, .depth0 = depth0, .node = n->flag ? n : NULL, .env = outer};
    uint32_t name = loop_name(r);
    for (uint32_t i = 0; i < items->n && ol_ttick(r, 1); i++) {
        renew_scope(r, outer);
        loop->index = i;
        if (name != UINT32_MAX) ol_tenv_set(r, r->env, name, (ol_tv){.kind = OL_TV_LOOP, .loop = loop});
        assign(r, n->a, items->items[i]);
        ol_texec(r, n->body);
        int flow = r->flow;
        r->flow = 0;
        if (flow == OL_FLOW_BREAK) break;
    }
    r->env = outer;
    if (items->n == 0 && n->other && !ol_tbad(r)) {
        ol_tenv_push(r);
        ol_texec(r, n->other);
        r->env = outer;
    }
}

ol_tv ol_tloop_recurse(ol_trun *r, const ol_tloop *loop, ol_tv items) {
    if (!loop->node) return ol_tfail(r, OLV_FORMAT, "the loop is called but was not written with 'recursive'");
    if (r->call_depth >= OL_TCALL_MAX)
        return ol_tfail(r, OLV_LIMIT, "loops call themselves more than %d levels deep", (int)OL_TCALL_MAX);
    r->call_depth++;
    ol_buf b = ol_tbuf(r), *out = r->out;
    ol_tenv *env = r->env;
    r->out = &b;
    r->env = loop->env;
    run_loop(r, loop->node, items, loop->depth0 + 1);
    r->env = env;
    r->out = out;
    r->call_depth--;
    return ol_tstr_take(r, &b);
}

static void exec_if(ol_trun *r, const ol_tnode *n) {
    for (;;) {
        if (ol_ttruth(ol_teval(r, n->a))) {
            ol_texec(r, n->body);
            return;
        }
        if (!n->other || ol_tbad(r)) return;
        if (!n->other->flag) {
            ol_texec(r, n->other);
            return;
        }
        n = n->other; /* elif */
    }
}

static void exec_scope(ol_trun *r, const ol_tnode *body) {
    ol_tenv *env = r->env;
    ol_tenv_push(r);
    ol_texec(r, body);
    r->env = env;
}

static ol_tv captured_scope(ol_trun *r, const ol_tnode *body) {
    ol_tenv *env = r->env;
    ol_tenv_push(r);
    ol_tv v = ol_tcapture(r, body);
    r->env = env;
    return v;
}

static ol_tv make_macro(ol_trun *r, const ol_tnode *n, const char *name) {
    ol_tmacro *m = ol_tmem(r, sizeof *m);
    if (!m) return ol_tnone();
    *m = (ol_tmacro){n, r->env, name};
    for (ol_tenv *e = r->env; e && !e->captured; e = e->parent) e->captured = true;
    return (ol_tv){.kind = OL_TV_MACRO, .macro = m};
}

static void exec_call_block(ol_trun *r, const ol_tnode *n) {
    ol_tv callee = ol_teval(r, n->a->a);
    ol_targs args = ol_teval_args(r, n->a);
    ol_tdict *kw = ol_tdict_new(r);
    for (uint32_t i = 0; i < args.kw->n; i++) ol_tdict_add(r, kw, args.kw->items[i].key, args.kw->items[i].value);
    ol_tdict_set(r, kw, ol_tstr_z("caller"), make_macro(r, n, "caller"));
    args.kw = kw;
    if (!ol_tbad(r)) ol_temit(r, ol_tcall(r, callee, &args));
}

static void exec_with(ol_trun *r, const ol_tnode *n) {
    ol_tenv *env = r->env;
    ol_tseq *values = ol_tseq_new(r, OL_SEQ_LIST);
    for (const ol_tnode *s = n->list; s && !ol_tbad(r); s = s->next) ol_tseq_push(r, values, ol_teval(r, s->b));
    ol_tenv_push(r);
    uint32_t i = 0;
    for (const ol_tnode *s = n->list; s && !ol_tbad(r); s = s->next) assign(r, s->a, values->items[i++]);
    ol_texec(r, n->body);
    r->env = env;
}

static void exec_node(ol_trun *r, const ol_tnode *n) {
    switch ((ol_tnode_kind)n->kind) {
    case OL_N_TEXT: ol_temit(r, n->value); break;
    case OL_N_PRINT: ol_temit(r, ol_teval(r, n->a)); break;
    case OL_N_FOR: run_loop(r, n, ol_teval(r, n->b), 0); break;
    case OL_N_IF: exec_if(r, n); break;
    case OL_N_SET: assign(r, n->a, ol_teval(r, n->b)); break;
    case OL_N_SET_BLOCK: assign(r, n->a, ol_tapply_chain(r, n->b, captured_scope(r, n->body))); break;
    case OL_N_MACRO: {
        const char *name = r->tpl->names[n->name];
        ol_tenv_set(r, r->env, n->name, make_macro(r, n, name));
        break;
    }
    case OL_N_CALL_BLOCK: exec_call_block(r, n); break;
    case OL_N_FILTER_BLOCK: ol_temit(r, ol_tapply_chain(r, n->a, captured_scope(r, n->body))); break;
    case OL_N_WITH: exec_with(r, n); break;
    case OL_N_SCOPE: exec_scope(r, n->body); break;
    case OL_N_BREAK: r->flow = OL_FLOW_BREAK; break;
    case OL_N_CONTINUE: r->flow = OL_FLOW_CONTINUE; break;
    default: ol_tfail(r, OLV_INTERNAL, "a node of kind %d is no statement", n->kind);
    }
}

void ol_texec(ol_trun *r, const ol_tnode *chain) {
    if (!ol_tenter(r)) return;
    for (const ol_tnode *n = chain; n && ol_ttick(r, 1) && !r->flow; n = n->next) {
        r->line = n->line;
        exec_node(r, n);
    }
    ol_tleave(r);
}
