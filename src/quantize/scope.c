/* SPDX-License-Identifier: Apache-2.0 */
/* The ignored scope: nodes by name, pattern, operator, or place between others. */
#include "base/alloc.h"
#include "base/error.h"
#include "base/map.h"
#include "quantize/placement.h"
#include <regex.h>
#include <string.h>
#include <strings.h>

static const char scope_reason[] = "in the ignored scope";

static const char *after(const char *text, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) ? NULL : text + n;
}

static const ol_node *named(const ol_placement *pl, const char *name, size_t len) {
    for (size_t i = 0; i < pl->n_nodes; i++)
        if (strlen(pl->nodes[i]->name) == len && !strncmp(pl->nodes[i]->name, name, len)) return pl->nodes[i];
    return NULL;
}

/* ---- one kind of entry each: how many nodes it names, or an error ---- */

static size_t keep_named(const ol_placement *pl, const char *name) {
    const ol_node *n = named(pl, name, strlen(name));
    if (n) pl->reasons[n->id] = scope_reason;
    return n != NULL;
}

static olv_status keep_pattern(const ol_placement *pl, const char *pattern, size_t *found, olv_error *err) {
    regex_t re;
    ol_buf whole = OL_BUF_INIT;
    ol_buf_printf(&whole, "^(%s)$", pattern);
    olv_status s = ol_buf_status(&whole);
    if (s != OLV_OK) return ol_fail(err, s, "no memory for a pattern");
    int code = regcomp(&re, whole.data, REG_EXTENDED | REG_NOSUB);
    ol_buf_deinit(&whole);
    if (code) return ol_fail(err, OLV_ARG, "ignored scope: '%.200s' is no regular expression", pattern);
    for (size_t i = 0; i < pl->n_nodes; i++) {
        if (regexec(&re, pl->nodes[i]->name, 0, NULL, 0)) continue;
        pl->reasons[i] = scope_reason;
        ++*found;
    }
    regfree(&re);
    return OLV_OK;
}

static size_t keep_type(const ol_placement *pl, const char *type) {
    size_t found = 0;
    for (size_t i = 0; i < pl->n_nodes; i++) {
        if (strcasecmp(pl->nodes[i]->op->name, type)) continue;
        pl->reasons[i] = scope_reason;
        found++;
    }
    return found;
}

/* Marks the nodes named in "A,B,C" up to `end`. */
static olv_status mark_list(const ol_placement *pl, const char *list, const char *end, bool *marks, olv_error *err) {
    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list)), *stop = comma ? comma : end;
        const ol_node *n = named(pl, list, (size_t)(stop - list));
        if (!n) return ol_fail(err, OLV_ARG, "ignored scope: the model has no node '%.*s'", (int)(stop - list), list);
        marks[n->id] = true;
        list = stop + 1;
    }
    return OLV_OK;
}

/* Two sweeps: what the inputs reach, and what reaches the outputs. */
static void spread(const ol_placement *pl, bool *down, bool *up) {
    for (size_t i = 0; i < pl->n_nodes; i++) {
        const ol_node *n = pl->nodes[i];
        for (int k = 0; k < n->n_inputs && !down[i]; k++)
            if (n->inputs[k] && n->inputs[k]->producer && n->inputs[k]->graph == pl->graph) down[i] = down[n->inputs[k]->producer->id];
    }
    for (size_t i = pl->n_nodes; i-- > 0;) {
        const ol_node *n = pl->nodes[i];
        for (int k = 0; k < n->n_inputs && up[i]; k++)
            if (n->inputs[k] && n->inputs[k]->producer && n->inputs[k]->graph == pl->graph) up[n->inputs[k]->producer->id] = true;
    }
}

static olv_status keep_between(const ol_placement *pl, const char *text, size_t *found, olv_error *err) {
    const char *arrow = strstr(text, "->");
    if (!arrow) return ol_fail(err, OLV_ARG, "ignored scope: 'sub:%.200s', expected sub:INPUT,...->OUTPUT,...", text);
    bool *down = ol_calloc(pl->n_nodes + 1, 1), *up = ol_calloc(pl->n_nodes + 1, 1);
    olv_status s = down && up ? OLV_OK : ol_fail(err, OLV_NOMEM, "no memory for the ignored scope");
    if (s == OLV_OK) s = mark_list(pl, text, arrow, down, err);
    if (s == OLV_OK) s = mark_list(pl, arrow + 2, text + strlen(text), up, err);
    if (s == OLV_OK) spread(pl, down, up);
    for (size_t i = 0; s == OLV_OK && i < pl->n_nodes; i++) {
        if (!down[i] || !up[i]) continue;
        pl->reasons[i] = scope_reason;
        ++*found;
    }
    ol_free(down), ol_free(up);
    return s;
}

/* ---- entries ---- */

static olv_status matches_nothing(const ol_placement *pl, const char *entry, olv_error *err) {
    const char *word = after(entry, "type:"), *near = NULL;
    const char **names = ol_calloc(pl->n_nodes + 1, sizeof *names);
    for (size_t i = 0; names && i < pl->n_nodes; i++) names[i] = word ? pl->nodes[i]->op->name : pl->nodes[i]->name;
    if (names && !strstr(entry, "re:")) near = ol_nearest(word ? word : entry, names, pl->n_nodes);
    olv_status s = near ? ol_fail(err, OLV_ARG, "ignored scope: '%.200s' matches no node; did you mean '%.200s'?", entry, near)
                        : ol_fail(err, OLV_ARG, "ignored scope: '%.200s' matches none of %zu nodes, such as '%.200s'; patterns match whole names",
                                  entry, pl->n_nodes, pl->n_nodes ? pl->nodes[0]->name : "");
    ol_free(names);
    return s;
}

olv_status ol_scope_apply(const ol_placement *pl, const olv_quantize_params *p, olv_error *err) {
    for (size_t i = 0; i < p->n_ignored; i++) {
        const char *e = p->ignored[i], *rest;
        size_t found = 0;
        if ((rest = after(e, "re:")) || (rest = after(e, "{re}"))) OL_TRY(keep_pattern(pl, rest, &found, err));
        else if ((rest = after(e, "type:"))) found = keep_type(pl, rest);
        else if ((rest = after(e, "sub:"))) OL_TRY(keep_between(pl, rest, &found, err));
        else found = keep_named(pl, e);
        if (!found && !p->ignored_may_miss) return matches_nothing(pl, e, err);
    }
    return OLV_OK;
}
