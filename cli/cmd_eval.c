/* SPDX-License-Identifier: Apache-2.0 */
/* Quality of a language model on files.
 *
 * `.txt` (one text a line): all lines are encoded and joined into one stream, cut into windows; in each window the tokens
 * from the second on (from the last `stride` on, where windows overlap) are predicted; perplexity is exp of their mean
 * negative log likelihood. `.jsonl` (prompt, answer): greedy answers in the chat template give exact_match, the right
 * answers' teacher-forced nats per token answer_nats. With --reference: share of equal answers, mean KL(reference || model)
 * per position (each text alone, up to --kl-lines lines of --kl-tokens tokens, and the answers' positions), top-1
 * agreement. Intervals are 95 %. */
#include "adapters.h"
#include "jsonl.h"
#include "model.h"
#include "progress.h"
#include <sys/stat.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cmd_eval(int argc, char **argv);

/* A growing sample with what a mean and its interval need. */
typedef struct sample {
    double *v;
    size_t n, cap;
} sample;

typedef struct eval_ctx {
    olv_pipeline *model, *reference;
    int64_t window, stride, kl_lines, kl_tokens;
    sample nats, answer_nats, kl, agree, right, same;
    /* rows of the reference, for the text at hand */
    float *rows;
    size_t n_rows, vocab;
    progress bar;
    uint64_t file_bytes;
} eval_ctx;

static void show_place(eval_ctx *c, FILE *f) {
    long at = ftell(f);
    if (at >= 0) progress_show(&c->bar, (uint64_t)at, c->file_bytes);
}

static olv_status add(sample *s, double v, olv_error *err) {
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 1024;
        double *p = realloc(s->v, cap * sizeof *p);
        if (!p) return cli_fail(err, OLV_NOMEM, "no memory for %zu results", cap);
        s->v = p;
        s->cap = cap;
    }
    s->v[s->n++] = v;
    return OLV_OK;
}

static double mean(const sample *s) {
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += s->v[i];
    return s->n ? sum / (double)s->n : 0;
}
static double half_width(const sample *s) {
    double m = mean(s), sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += (s->v[i] - m) * (s->v[i] - m);
    return s->n > 1 ? 1.96 * sqrt(sum / (double)(s->n - 1) / (double)s->n) : 0;
}

static double log_sum_exp(const float *x, size_t n) {
    float top = x[0];
    double sum = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > top) top = x[i];
    for (size_t i = 0; i < n; i++) sum += exp((double)(x[i] - top));
    return (double)top + log(sum);
}
static size_t best_of(const float *x, size_t n) {
    size_t b = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[b]) b = i;
    return b;
}

/* One pass over a text: what is scored, and against what. */
typedef struct pass {
    eval_ctx *c;
    const int64_t *ids;
    size_t n, first; /* row i is scored when first <= i + 1 < n */
    sample *nats;    /* or NULL */
    bool keep;       /* reference pass: keep the rows */
    bool compare;    /* model pass: compare with the kept rows */
    size_t compare_end;
    olv_error *err;
    olv_status status;
} pass;

static olv_status compare_row(pass *p, size_t row, const float *x, size_t vocab) {
    const float *r = p->c->rows + row * vocab;
    double zr = log_sum_exp(r, vocab), zx = log_sum_exp(x, vocab), kl = 0;
    for (size_t i = 0; i < vocab; i++) {
        double lr = (double)r[i] - zr;
        kl += exp(lr) * (lr - ((double)x[i] - zx));
    }
    olv_status s = add(&p->c->kl, kl, p->err);
    return s == OLV_OK ? add(&p->c->agree, best_of(r, vocab) == best_of(x, vocab), p->err) : s;
}

static bool on_row(void *ctx, size_t row, const float *x, size_t vocab) {
    pass *p = ctx;
    eval_ctx *c = p->c;
    if (p->keep) {
        if (!c->rows || c->vocab != vocab || c->n_rows < p->n) {
            free(c->rows);
            c->rows = malloc(p->n * vocab * sizeof *c->rows);
            c->vocab = vocab;
            c->n_rows = c->rows ? p->n : 0;
            if (!c->rows) return p->status = cli_fail(p->err, OLV_NOMEM, "no memory for %zu rows of scores", p->n), false;
        }
        memcpy(c->rows + row * vocab, x, vocab * sizeof *x);
        return !interrupted;
    }
    if (p->nats && row + 1 >= p->first && row + 1 < p->n)
        p->status = add(p->nats, log_sum_exp(x, vocab) - (double)x[p->ids[row + 1]], p->err);
    if (p->status == OLV_OK && p->compare && row + 1 >= p->first && row < p->compare_end) {
        if (vocab != c->vocab) p->status = cli_fail(p->err, OLV_SHAPE, "the reference has %zu tokens, the model %zu", c->vocab, vocab);
        else p->status = compare_row(p, row, x, vocab);
    }
    return p->status == OLV_OK && !interrupted;
}

static olv_status run_pass(olv_pipeline *on, pass *p) {
    olv_status s = olv_logits(on, p->ids, NULL, p->n, on_row, p, p->err);
    return p->status != OLV_OK ? p->status : s;
}

/* Scores ids from index `first` on; with a reference and `compare`, row by row against it up to compare_end. */
static olv_status score(eval_ctx *c, const int64_t *ids, size_t n, size_t first, sample *nats, bool compare, size_t compare_end,
                        olv_error *err) {
    pass p = {.c = c, .ids = ids, .n = n, .first = first, .err = err};
    if (compare && c->reference) {
        p.keep = true;
        olv_status s = run_pass(c->reference, &p);
        if (s != OLV_OK) return s;
        p.keep = false;
        p.compare = true;
        p.compare_end = compare_end;
    }
    p.nats = nats;
    return run_pass(c->model, &p);
}

/* ---- texts ------------------------------------------------------------------------------------------- */

typedef struct stream {
    int64_t *ids;
    size_t n, cap;
} stream;

static olv_status append_ids(stream *s, const int64_t *ids, size_t n, olv_error *err) {
    if (s->n + n > s->cap) {
        size_t cap = (s->n + n) * 2;
        int64_t *p = realloc(s->ids, cap * sizeof *p);
        if (!p) return cli_fail(err, OLV_NOMEM, "no memory for %zu tokens", cap);
        s->ids = p;
        s->cap = cap;
    }
    memcpy(s->ids + s->n, ids, n * sizeof *ids);
    s->n += n;
    return OLV_OK;
}

static olv_status score_line(eval_ctx *c, const int64_t *ids, size_t n, size_t line, olv_error *err) {
    if (!c->reference || line >= (size_t)c->kl_lines) return OLV_OK;
    if (n > (size_t)c->kl_tokens) n = (size_t)c->kl_tokens;
    return score(c, ids, n, 0, NULL, true, n, err);
}

static olv_status score_windows(eval_ctx *c, const stream *s, olv_error *err) {
    size_t w = (size_t)c->window, step = (size_t)c->stride;
    progress_begin(&c->bar, "perplexity", PROGRESS_ITEMS);
    for (size_t at = 0; at < s->n; at += step) {
        size_t n = s->n - at < w ? s->n - at : w, first = at && w > step ? w - step : 1;
        if (n > first) {
            olv_status st = score(c, s->ids + at, n, first, &c->nats, false, 0, err);
            if (st != OLV_OK) return st;
        }
        progress_show(&c->bar, at + n, s->n);
        if (at + n >= s->n) break;
    }
    progress_end(&c->bar);
    return OLV_OK;
}

static olv_status eval_text(eval_ctx *c, FILE *f, olv_error *err) {
    stream all = {0};
    char *line = NULL;
    size_t cap = 0, index = 0;
    olv_status s = OLV_OK;
    for (ssize_t n; s == OLV_OK && (n = getline(&line, &cap, f)) >= 0;) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
        if (!n) continue;
        int64_t *ids;
        size_t count;
        s = olv_pipeline_encode(c->model, line, false, &ids, &count, err);
        if (s != OLV_OK) break;
        s = append_ids(&all, ids, count, err);
        if (s == OLV_OK) s = score_line(c, ids, count, index++, err);
        olv_free(ids);
        show_place(c, f);
    }
    progress_end(&c->bar);
    if (s == OLV_OK) s = score_windows(c, &all, err);
    free(line);
    free(all.ids);
    return s;
}

/* ---- prompts and answers ----------------------------------------------------------------------------- */

static olv_status greedy(olv_pipeline *p, const char *prompt, char **text, olv_error *err) {
    olv_generation_config cfg;
    olv_generation g;
    olv_pipeline_get_config(p, &cfg);
    cfg.do_sample = false;
    cfg.max_new_tokens = 64;
    olv_status s = olv_generate(p, &(olv_prompt){.text = prompt}, &cfg, NULL, NULL, &g, err);
    if (s != OLV_OK) return s;
    *text = g.text;
    g.text = NULL;
    olv_generation_deinit(&g);
    return OLV_OK;
}

static olv_status compare_answers(eval_ctx *c, const char *prompt, const char *answer, olv_error *err) {
    char *mine = NULL, *theirs = NULL;
    olv_status s = greedy(c->model, prompt, &mine, err);
    if (s == OLV_OK) s = add(&c->right, !strcmp(mine, answer), err);
    if (s == OLV_OK && c->reference) s = greedy(c->reference, prompt, &theirs, err);
    if (s == OLV_OK && c->reference) s = add(&c->same, !strcmp(mine, theirs), err);
    olv_free(mine);
    olv_free(theirs);
    return s;
}

/* prompt + answer + end of turn, teacher forced. */
static olv_status force_answer(eval_ctx *c, const char *prompt, const char *answer, olv_error *err) {
    olv_generation_config cfg;
    olv_pipeline_get_config(c->model, &cfg);
    char *end = NULL, *text = NULL;
    int64_t *a = NULL, *b = NULL;
    size_t na = 0, nb = 0;
    olv_status s = cfg.n_eos ? olv_pipeline_decode(c->model, cfg.eos_token_id, 1, false, &end, err) : OLV_OK;
    if (s == OLV_OK && asprintf(&text, "%s%s%s", prompt, answer, end ? end : "") < 0) s = cli_fail(err, OLV_NOMEM, "out of memory");
    if (s == OLV_OK) s = olv_pipeline_encode(c->model, prompt, false, &a, &na, err);
    if (s == OLV_OK) s = olv_pipeline_encode(c->model, text, false, &b, &nb, err);
    if (s == OLV_OK && nb > na) s = score(c, b, nb, na, &c->answer_nats, c->reference != NULL, nb - 1, err);
    olv_free(end);
    free(text);
    olv_free(a);
    olv_free(b);
    return s;
}

static olv_status eval_item(eval_ctx *c, const json_t *item, olv_error *err) {
    const char *prompt = json_string_value(json_object_get(item, "prompt")), *answer = json_string_value(json_object_get(item, "answer"));
    if (!prompt || !answer) return cli_fail(err, OLV_FORMAT, "an item without \"prompt\" and \"answer\"");
    json_t *vars = json_pack("{s:[{s:s,s:s}],s:b}", "messages", "role", "user", "content", prompt, "add_generation_prompt", 1);
    char *messages = json_dumps(vars, JSON_COMPACT), *rendered = NULL;
    json_decref(vars);
    olv_status s = messages ? olv_pipeline_render(c->model, messages, &rendered, err) : cli_fail(err, OLV_NOMEM, "out of memory");
    free(messages);
    if (s == OLV_OK) s = compare_answers(c, rendered, answer, err);
    if (s == OLV_OK) s = force_answer(c, rendered, answer, err);
    olv_free(rendered);
    return s;
}

static olv_status eval_answers(eval_ctx *c, FILE *f, olv_error *err) {
    char *line = NULL;
    size_t cap = 0, number = 0;
    olv_status s = OLV_OK;
    for (ssize_t n; s == OLV_OK && (n = getline(&line, &cap, f)) >= 0;) {
        number++;
        if (strspn(line, " \r\n") == (size_t)n) continue;
        json_error_t je;
        json_t *item = json_loadb(line, (size_t)n, 0, &je);
        if (!item) s = cli_fail(err, OLV_FORMAT, "line %zu: %s", number, je.text);
        else s = eval_item(c, item, err);
        json_decref(item);
        show_place(c, f);
    }
    progress_end(&c->bar);
    free(line);
    return s;
}

/* ---- result ------------------------------------------------------------------------------------------ */

static void put(json_t *o, const char *name, double v, double lo, double hi) {
    char key[64];
    json_object_set_new(o, name, json_real(v));
    snprintf(key, sizeof key, "%s_interval", name);
    json_object_set_new(o, key, json_pack("[f, f]", lo, hi));
}
static void put_mean(json_t *o, const char *name, const sample *s) {
    if (s->n) put(o, name, mean(s), mean(s) - half_width(s), mean(s) + half_width(s));
}

static json_t *result(const eval_ctx *c) {
    json_t *o = json_object();
    if (c->nats.n) {
        double m = mean(&c->nats), h = half_width(&c->nats);
        put(o, "perplexity", exp(m), exp(m - h), exp(m + h));
        json_object_set_new(o, "scored_tokens", json_integer((json_int_t)c->nats.n));
    }
    put_mean(o, "answer_nats", &c->answer_nats);
    put_mean(o, "exact_match", &c->right);
    put_mean(o, "same_as_reference", &c->same);
    put_mean(o, "kl_mean", &c->kl);
    put_mean(o, "top1_agreement", &c->agree);
    return o;
}

static void print_text(json_t *o) {
    const char *key;
    json_t *v;
    json_object_foreach(o, key, v) {
        char name[64];
        snprintf(name, sizeof name, "%s_interval", key);
        json_t *i = json_object_get(o, name);
        if (json_is_array(v)) continue;
        printf("%-20s %.6g", key, json_number_value(v));
        if (i) printf("   [%.6g .. %.6g]", json_real_value(json_array_get(i, 0)), json_real_value(json_array_get(i, 1)));
        putchar('\n');
    }
}

/* "kl_mean>0.002" or "perplexity>2.5,exact_match<0.8": 4 when one holds. */
static int fail_if(const json_t *o, const char *goals) {
    while (goals && *goals) {
        size_t n = strcspn(goals, "<>"), end;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)n, goals);
        const json_t *v = json_object_get(o, name);
        if (!goals[n] || !v) return usage_error("--fail-if %s: expected NAME<VALUE or NAME>VALUE of a measured name", goals);
        double limit = strtod(goals + n + 1, NULL), x = json_number_value(v);
        if (goals[n] == '<' ? x < limit : x > limit) {
            fprintf(stderr, "olivine: goal not met: %s is %g, limit %g\n", name, x, limit);
            return 4;
        }
        end = strcspn(goals, ",");
        goals += end + (goals[end] == ',');
    }
    return 0;
}

static olv_status eval_file(eval_ctx *c, const char *path, olv_error *err) {
    FILE *f = fopen(path, "r");
    if (!f) return cli_fail(err, OLV_NOT_FOUND, "cannot open '%.900s'", path);
    struct stat st;
    size_t n = strlen(path);
    c->file_bytes = fstat(fileno(f), &st) ? 0 : (uint64_t)st.st_size;
    progress_begin(&c->bar, "read", PROGRESS_BYTES);
    bool lines = n > 6 && !strcmp(path + n - 6, ".jsonl");
    olv_status s = lines ? eval_answers(c, f, err) : eval_text(c, f, err);
    fclose(f);
    if (s != OLV_OK && interrupted) return cli_fail(err, OLV_CANCELLED, "interrupted");
    return s;
}

int cmd_eval(int argc, char **argv) {
    arg_list positionals = {0}, data = {0};
    eval_ctx c = {.window = 256, .stride = 256, .kl_lines = 200, .kl_tokens = 200};
    const char *reference = NULL, *metric = NULL, *goals = NULL;
    const arg_option options[] = {{"reference", ARG_STRING, &reference, "MODEL", "model to compare with (KL, equal answers)", NULL},
                                  {"data d", ARG_LIST, &data, "FILE", ".txt: a text a line; .jsonl: prompt and answer (repeatable)", NULL},
                                  {"window", ARG_INT, &c.window, "N", "tokens of a perplexity window (256)", NULL},
                                  {"stride", ARG_INT, &c.stride, "N", "tokens between windows (256)", NULL},
                                  {"kl-lines", ARG_INT, &c.kl_lines, "N", "lines compared with the reference (200)", NULL},
                                  {"kl-tokens", ARG_INT, &c.kl_tokens, "N", "tokens compared per line (200)", NULL},
                                  {"metric", ARG_STRING, &metric, "NAME", "print this one alone", NULL},
                                  {"fail-if", ARG_STRING, &goals, "GOALS", "NAME>VALUE,...: exit code 4 when one holds", NULL},
                                  ADAPTER_OPTION, COMMON_OPTIONS};
    const arg_spec spec = {.usage = "MODEL --data FILE", .summary = "Perplexity, exact match, distance from a reference model.",
                           .example = "olivine eval out/ --reference models/pebble --data models/pebble/stories.txt --json",
                           .options = options, .n_options = sizeof options / sizeof options[0], .positionals = &positionals};
    int code = args_parse("eval", &spec, argc, argv);
    if (code) return code - 1;
    if (!data.count) code = usage_error("no data; give --data FILE");
    if (c.window < 2 || c.stride < 1 || c.stride > c.window) code = usage_error("window %lld and stride %lld: expected 1 <= stride <= window, window >= 2", (long long)c.window, (long long)c.stride);
    if (!code) c.model = open_model(&positionals, false, &code);
    if (c.model) code = load_adapters(c.model);
    if (c.model && !code && reference) {
        common.precision = "f32"; /* the reference is computed exactly, as stored */
        common.weights = NULL;
        common.kv_cache = NULL;
        c.reference = open_named_model(reference, false, &code);
    }
    olv_error err = {.message = ""};
    olv_status s = OLV_OK;
    for (size_t i = 0; !code && s == OLV_OK && i < data.count; i++) s = eval_file(&c, data.items[i], &err);
    if (!code && s != OLV_OK) code = report(&err);
    if (!code) {
        json_t *o = result(&c);
        if (metric) printf("%.8g\n", json_number_value(json_object_get(o, metric)));
        else if (common.json) json_dumpf(o, stdout, JSON_INDENT(1)), putchar('\n');
        else print_text(o);
        code = fail_if(o, goals);
        json_decref(o);
    }
    olv_pipeline_close(c.model);
    olv_pipeline_close(c.reference);
    sample *samples[] = {&c.nats, &c.answer_nats, &c.kl, &c.agree, &c.right, &c.same};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) free(samples[i]->v);
    free(c.rows);
    args_free_list(&positionals);
    args_free_list(&data);
    return code;
}
