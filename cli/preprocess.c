/* SPDX-License-Identifier: Apache-2.0 */
#include "preprocess.h"
#include "jsonl.h"
#include <olivine/preprocess.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_CHANNELS 64

/* The entry of an input in "NAME[...],NAME(...)", or what stands for all: text without a name. Copied into out; false: none. */
static bool entry_of(const char *text, const char *name, char *out, size_t size) {
    if (!text) return false;
    if (!strpbrk(text, "[(")) {
        snprintf(out, size, "%s", text);
        return true;
    }
    while (*text) {
        size_t n = strcspn(text, "[("), len = text[n] ? strcspn(text + n + 1, "])") : 0;
        if (n == 0 || (n == strlen(name) && !strncmp(text, name, n))) {
            snprintf(out, size, "%.*s", (int)len, text + n + (text[n] != 0));
            return true;
        }
        text += n + len + (text[n] ? 1 : 0);
        text += strspn(text, "]), ");
    }
    return false;
}

static olv_status read_numbers(const char *option, const char *text, float *out, size_t *n, olv_error *err) {
    for (const char *p = text; *p;) {
        char *end;
        float v = strtof(p, &end);
        if (end == p || *n == MAX_CHANNELS) return cli_fail(err, OLV_ARG, "-%s %.100s: numbers, separated by commas, expected", option, text);
        out[(*n)++] = v;
        p = end + strspn(end, ", ");
    }
    return OLV_OK;
}

static olv_status read_type(const char *text, olv_dtype *out, olv_error *err) {
    for (int t = 1; t <= OLV_I2; t++)
        if (!strcasecmp(text, olv_dtype_name((olv_dtype)t)) && t != OLV_STRING) {
            *out = (olv_dtype)t;
            return OLV_OK;
        }
    return cli_fail(err, OLV_ARG, "-ip %.40s: a type like f32, f16, u8, i8, i64 expected", text);
}

/* "NCHW" or "NCHW->NHWC", split in place. */
static void split_layout(char *text, olv_preprocess *p) {
    char *arrow = strstr(text, "->");
    p->model_layout = text;
    if (!arrow) return;
    *arrow = 0;
    p->layout = arrow + 2;
}

static olv_status preprocess_input(olv_model *m, const olv_port *port, const graph_preprocess *g, olv_error *err) {
    olv_preprocess p;
    float mean[MAX_CHANNELS], scale[MAX_CHANNELS];
    char layout[64], text[1024];
    olv_status s = OLV_OK;
    olv_preprocess_init(&p);
    if (entry_of(g->mean, port->name, text, sizeof text)) s = read_numbers("mean_values", text, mean, &p.n_mean, err);
    if (s == OLV_OK && entry_of(g->scale, port->name, text, sizeof text)) s = read_numbers("scale_values", text, scale, &p.n_scale, err);
    if (entry_of(g->layout, port->name, layout, sizeof layout)) split_layout(layout, &p);
    if (s == OLV_OK && entry_of(g->type, port->name, text, sizeof text)) s = read_type(text, &p.dtype, err);
    if (g->reverse) p.colour = "BGR", p.model_colour = "RGB";
    p.mean = mean;
    p.scale = scale;
    if (s != OLV_OK || (!p.n_mean && !p.n_scale && !p.layout && !p.dtype && !g->reverse)) return s;
    return olv_model_preprocess(m, port->name, &p, err);
}

olv_status preprocess_graph_model(olv_model *m, const graph_preprocess *g, olv_error *err) {
    olv_status s = OLV_OK;
    if (!g->mean && !g->scale && !g->layout && !g->type && !g->reverse) return s;
    for (size_t i = 0; s == OLV_OK && i < olv_model_n_inputs(m); i++) {
        olv_port port;
        char name[512]; /* the port's dies with the graph that is replaced */
        olv_model_get_input(m, i, &port);
        snprintf(name, sizeof name, "%s", port.name);
        port.name = name;
        if (!port.has_default) s = preprocess_input(m, &port, g, err);
    }
    return s;
}
