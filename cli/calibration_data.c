/* SPDX-License-Identifier: Apache-2.0 */
#include "calibration_data.h"
#include "jsonl.h"
#include "model.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define AUTO_SAMPLES 128
#define AUTO_TOKENS 128
#define MAX_NPY ((size_t)64 << 20)

typedef enum source_kind { SOURCE_TEXT, SOURCE_JSON, SOURCE_FOLDER, SOURCE_AUTO } source_kind;

/* One dataset, read a sample at a time. */
typedef struct source {
    source_kind kind;
    const char *name;
    FILE *file;
    struct dirent **entries; /* of a folder, sorted */
    int n_entries, at;       /* next entry, or number of lines or samples so far */
    bool done;
} source;

struct calibration_data {
    olv_pipeline *pipeline;
    olv_token_dataset dataset;
    source *sources;
    size_t n, turn;
    int64_t auto_samples, auto_tokens;
    int64_t *ids; /* of the sample given last */
    char *line;
    size_t line_cap;
};

/* ---- samples ---- */

static olv_status encode(calibration_data *d, const char *text, bool special, size_t *n, olv_error *err) {
    return olv_pipeline_encode(d->pipeline, text, special, &d->ids, n, err);
}

/* The next line that is not empty, without its end; false: there are no more. */
static bool next_line(calibration_data *d, source *s) {
    ssize_t n;
    while ((n = getline(&d->line, &d->line_cap, s->file)) >= 0) {
        s->at++;
        while (n > 0 && (d->line[n - 1] == '\n' || d->line[n - 1] == '\r')) d->line[--n] = 0;
        if (n > 0) return true;
    }
    return false;
}

/* A conversation through the chat template, as it was held: without the beginning of another answer. */
static olv_status encode_messages(calibration_data *d, json_t *messages, const json_t *tools, size_t *n, olv_error *err) {
    json_t *all = json_pack("{s:O,s:b}", "messages", messages, "add_generation_prompt", 0);
    if (all && json_is_array(tools)) json_object_set(all, "tools", (json_t *)(uintptr_t)tools);
    char *text = all ? json_dumps(all, 0) : NULL, *rendered = NULL;
    json_decref(all);
    if (!text) return cli_fail(err, OLV_NOMEM, "out of memory");
    olv_status st = olv_pipeline_render(d->pipeline, text, &rendered, err);
    free(text);
    if (st == OLV_OK) st = encode(d, rendered, false, n, err);
    olv_free(rendered);
    return st;
}

static olv_status encode_item(calibration_data *d, const json_t *item, size_t *n, olv_error *err) {
    json_t *messages = json_object_get(item, "messages");
    const char *text = json_string_value(json_object_get(item, "text")), *prompt = json_string_value(json_object_get(item, "prompt"));
    const char *answer = json_string_value(json_object_get(item, "answer"));
    if (json_object_get(item, "ids")) return jsonl_ids(item, "ids", &d->ids, n, err);
    if (json_is_array(messages)) return encode_messages(d, messages, json_object_get(item, "tools"), n, err);
    if (text) return encode(d, text, true, n, err);
    if (!prompt) return cli_fail(err, OLV_ARG, "messages, prompt, text or ids expected");
    json_t *two = answer ? json_pack("[{s:s,s:s},{s:s,s:s}]", "role", "user", "content", prompt, "role", "assistant", "content", answer)
                         : json_pack("[{s:s,s:s}]", "role", "user", "content", prompt);
    if (!two) return cli_fail(err, OLV_NOMEM, "out of memory");
    olv_status st = encode_messages(d, two, NULL, n, err);
    json_decref(two);
    return st;
}

static olv_status next_json(calibration_data *d, source *s, size_t *n, olv_error *err) {
    if (!next_line(d, s)) return OLV_OK;
    json_error_t e;
    json_t *item = json_loads(d->line, JSON_REJECT_DUPLICATES, &e);
    olv_error why = {.message = ""};
    olv_status st = item ? encode_item(d, item, n, &why) : cli_fail(&why, OLV_FORMAT, "%s", e.text);
    json_decref(item);
    return st == OLV_OK ? st : cli_fail(err, st, "%s line %d: %s", s->name, s->at, why.message);
}

/* ---- .npy files of token ids: i32 or i64, any shape ---- */

static olv_status parse_npy(const char *path, const uint8_t *p, size_t size, int64_t **ids, size_t *n, olv_error *err) {
    if (size < 12 || memcmp(p, "\x93NUMPY", 6)) return cli_fail(err, OLV_FORMAT, "%s: no .npy file", path);
    size_t head = p[6] == 1 ? 10u : 12u, len = p[6] == 1 ? (size_t)p[8] | (size_t)p[9] << 8 : (size_t)p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16 | (size_t)p[11] << 24;
    char text[1024] = "";
    if (len > size - head) return cli_fail(err, OLV_FORMAT, "%s: the header of %zu bytes does not fit into the file", path, len);
    memcpy(text, p + head, len < sizeof text - 1 ? len : sizeof text - 1);
    bool wide = strstr(text, "'<i8'") != NULL;
    if (!wide && !strstr(text, "'<i4'")) return cli_fail(err, OLV_FORMAT, "%s: token ids of type i32 or i64 expected, the header says %.120s", path, text);
    const uint8_t *data = p + head + len;
    *n = (size - head - len) / (wide ? 8 : 4);
    *ids = malloc((*n + 1) * sizeof **ids);
    if (!*ids) return cli_fail(err, OLV_NOMEM, "out of memory");
    for (size_t i = 0; i < *n; i++) {
        int32_t v;
        if (wide) memcpy(*ids + i, data + 8 * i, 8);
        else memcpy(&v, data + 4 * i, 4), (*ids)[i] = v;
    }
    return OLV_OK;
}

static olv_status read_npy(const char *path, int64_t **ids, size_t *n, olv_error *err) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || (size_t)st.st_size > MAX_NPY) {
        int why = errno;
        if (f) fclose(f);
        return cli_fail(err, OLV_IO, "%s: %s", path, f ? "a file of at most 64 MiB expected" : strerror(why));
    }
    uint8_t *all = malloc((size_t)st.st_size + 1);
    size_t got = all ? fread(all, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    olv_status s = !all ? cli_fail(err, OLV_NOMEM, "out of memory") : parse_npy(path, all, got, ids, n, err);
    free(all);
    return s;
}

static olv_status next_npy(calibration_data *d, source *s, size_t *n, olv_error *err) {
    char path[4096];
    if (s->at == s->n_entries) return OLV_OK;
    snprintf(path, sizeof path, "%s/%s", s->name, s->entries[s->at++]->d_name);
    olv_status st = read_npy(path, &d->ids, n, err);
    return st == OLV_OK && !*n ? cli_fail(err, OLV_FORMAT, "%s: no token ids", path) : st;
}

/* ---- texts of the model's own ---- */

static olv_status next_own(calibration_data *d, source *s, size_t *n, olv_error *err) {
    olv_generation_config cfg;
    olv_generation g = {.ids = NULL};
    if (s->at >= d->auto_samples) return OLV_OK;
    olv_generation_config_init(&cfg);
    cfg.do_sample = true;
    cfg.temperature = 1;
    cfg.top_k = 0;
    cfg.top_p = 1;
    cfg.seed = (uint64_t)++s->at;
    cfg.max_new_tokens = d->auto_tokens;
    const olv_prompt user = {.messages = "[{\"role\":\"user\",\"content\":\"\"}]"}, empty = {.text = s->at % 2 ? " " : "\n"};
    olv_status st = olv_generate(d->pipeline, s->at % 4 ? &empty : &user, &cfg, NULL, NULL, &g, err);
    if (st == OLV_UNSUPPORTED || st == OLV_NOT_FOUND) st = olv_generate(d->pipeline, &empty, &cfg, NULL, NULL, &g, err); /* no template */
    if (st != OLV_OK) return st;
    d->ids = malloc((g.n_ids + 1) * sizeof *d->ids);
    if (d->ids) memcpy(d->ids, g.ids, g.n_ids * sizeof *d->ids);
    *n = d->ids ? g.n_ids : 0;
    olv_generation_deinit(&g);
    return d->ids ? OLV_OK : cli_fail(err, OLV_NOMEM, "out of memory");
}

static olv_status next_of(calibration_data *d, source *s, size_t *n, olv_error *err) {
    *n = 0;
    olv_free(d->ids);
    d->ids = NULL;
    switch (s->kind) {
    case SOURCE_TEXT: return next_line(d, s) ? encode(d, d->line, true, n, err) : OLV_OK;
    case SOURCE_JSON: return next_json(d, s, n, err);
    case SOURCE_FOLDER: return next_npy(d, s, n, err);
    default: return next_own(d, s, n, err);
    }
}

static olv_status next_sample(void *ctx, const int64_t **ids, size_t *n, olv_error *err) {
    calibration_data *d = ctx;
    *n = 0;
    for (size_t ended = 0; ended < d->n;) {
        source *s = &d->sources[d->turn++ % d->n];
        int before = s->at;
        if (s->done) {
            ended++;
            continue;
        }
        olv_status st = next_of(d, s, n, err);
        if (st != OLV_OK) return st;
        *ids = d->ids;
        if (*n) return OLV_OK;
        s->done = s->at == before || s->kind == SOURCE_TEXT || s->kind == SOURCE_JSON;
        ended = 0;
    }
    return OLV_OK;
}

/* ---- opening ---- */

static int is_npy(const struct dirent *e) {
    size_t n = strlen(e->d_name);
    return n > 4 && !strcmp(e->d_name + n - 4, ".npy");
}

static int open_source(source *s, const char *name) {
    struct stat st;
    size_t n = strlen(name);
    *s = (source){.name = name};
    if (!strcmp(name, "auto")) {
        s->kind = SOURCE_AUTO;
        return 0;
    }
    if (stat(name, &st) == 0 && S_ISDIR(st.st_mode)) {
        s->kind = SOURCE_FOLDER;
        s->n_entries = scandir(name, &s->entries, is_npy, alphasort);
        if (s->n_entries > 0) return 0;
        fprintf(stderr, "olivine: error: --dataset %s: no .npy files in this folder\n", name);
        return 1;
    }
    s->kind = n > 6 && !strcmp(name + n - 6, ".jsonl") ? SOURCE_JSON : SOURCE_TEXT;
    s->file = fopen(name, "r");
    if (s->file) return 0;
    fprintf(stderr, "olivine: error: --dataset %s: %s; expected a .txt or .jsonl file, a folder of .npy files, or auto\n", name, strerror(errno));
    return 1;
}

bool calibration_wanted(const calibration_args *a) {
    return a->datasets.count || a->awq || a->scale_estimation || a->gptq || (a->profile && strcasecmp(a->profile, "default"));
}

static int read_methods(const calibration_args *a, olv_calibration_options *o) {
    if (a->profile && strcasecmp(a->profile, "best") && strcasecmp(a->profile, "default"))
        return usage_error("--profile %s: expected best or default", a->profile);
    bool best = a->profile && !strcasecmp(a->profile, "best");
    o->methods = (a->scale_estimation ? OLV_DATA_SCALE_ESTIMATION : 0u) | (a->gptq ? OLV_DATA_GPTQ : 0u) |
                 (best ? OLV_DATA_BEST : 0u);
    if (a->awq) return fprintf(stderr, "olivine: error: --awq is not there yet; use --gptq or --profile best\n"), 3;
    if (a->num_samples < 0 || a->seqlen < 0) return usage_error("--num-samples and --seqlen: expected at least 1");
    if (!(a->damping >= 0 && a->damping <= 1)) return usage_error("--damping %g: expected 0 to 1", a->damping);
    o->max_samples = a->num_samples;
    o->max_tokens = a->seqlen;
    if (a->damping > 0) o->damping = a->damping;
    return 0;
}

int calibration_open(const calibration_args *a, const char *model, olv_calibration_options *o, calibration_data **out) {
    *out = NULL;
    int code = read_methods(a, o);
    if (code || (!o->methods && !a->datasets.count)) return code;
    calibration_data *d = calloc(1, sizeof *d);
    const char *own = "auto", **names = a->datasets.count ? a->datasets.items : &own;
    if (d) d->n = a->datasets.count ? a->datasets.count : 1;
    if (d) d->sources = calloc(d->n, sizeof *d->sources);
    if (!d || !d->sources) {
        free(d);
        fprintf(stderr, "olivine: error: out of memory\n");
        return 1;
    }
    d->auto_samples = a->num_samples ? a->num_samples : AUTO_SAMPLES;
    d->auto_tokens = a->seqlen && a->seqlen < AUTO_TOKENS ? a->seqlen : AUTO_TOKENS;
    for (size_t i = 0; !code && i < d->n; i++) code = open_source(&d->sources[i], names[i]);
    if (!code) d->pipeline = open_named_model(model, false, &code);
    d->dataset = (olv_token_dataset){d, next_sample};
    o->dataset = &d->dataset;
    if (code) calibration_close(d);
    else *out = d;
    return code;
}

void calibration_close(calibration_data *d) {
    if (!d) return;
    for (size_t i = 0; i < d->n; i++) {
        source *s = &d->sources[i];
        if (s->file) fclose(s->file);
        for (int k = 0; s->entries && k < s->n_entries; k++) free(s->entries[k]);
        free(s->entries);
    }
    olv_pipeline_close(d->pipeline);
    olv_free(d->ids);
    free(d->line);
    free(d->sources);
    free(d);
}
